//! What a tutorial sets up: its addresses, as its configuration files have them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

/// A tutorial's network.
#[derive(Debug)]
pub(crate) struct Scene {
    /// `003` or `004`.
    pub(crate) tutorial: &'static str,
    pub(crate) title: &'static str,
    /// The directors' interface.
    pub(crate) interface: &'static str,
    /// The address that fails over.
    pub(crate) virtual_address: Ipv4Addr,
    /// Director 1 and director 2.
    pub(crate) directors: [Router; 2],
    /// Empty: the directors answer themselves.
    pub(crate) servers: &'static [Ipv4Addr],
    /// The client's addresses. The first asks all the time, the others are for single steps.
    pub(crate) clients: [Ipv4Addr; 4],
}

/// A director's address, and its priority in the configuration file (to explain what was seen).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Router {
    pub(crate) address: Ipv4Addr,
    pub(crate) priority: u8,
}

const fn lan4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, host)
}

const fn lan3(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 100, host)
}

impl Scene {
    pub(crate) fn of(tutorial: &str) -> Self {
        if tutorial == "003" {
            return Self {
                tutorial: "003",
                title: "two machines, one address",
                interface: "ens32",
                virtual_address: lan3(253),
                directors: [
                    Router { address: lan3(40), priority: 100 },
                    Router { address: lan3(50), priority: 90 },
                ],
                servers: &[],
                clients: [lan3(10), lan3(11), lan3(12), lan3(13)],
            };
        }
        Self {
            tutorial: "004",
            title: "two LVS directors, two nginx real servers",
            interface: "ens33",
            virtual_address: lan4(150),
            directors: [
                Router { address: lan4(151), priority: 100 },
                Router { address: lan4(152), priority: 50 },
            ],
            servers: const { &[lan4(171), lan4(172)] },
            clients: [lan4(10), lan4(11), lan4(12), lan4(13)],
        }
    }

    /// The configuration file of a director (0 or 1), as the tutorial has it.
    pub(crate) fn configuration(&self, director: usize) -> PathBuf {
        crate::host::workspace().join("xtask/tutorials").join(format!(
            "{}.d{}.conf",
            self.tutorial,
            director + 1
        ))
    }

    /// The port that the clients ask.
    pub(crate) fn service(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.virtual_address, 80)
    }

    /// RFC 3768 §6.1: how much longer than three intervals a backup waits, `(256 - priority) / 256` s.
    pub(crate) fn skew_time(&self, director: usize) -> Duration {
        let below = 256 - u32::from(self.directors[director].priority);
        Duration::from_secs(1) * below / 256
    }
}
