//! What the two routers of a pair agree on, and the protocol's times that follow from it.

use std::net::Ipv4Addr;
use std::time::Duration;

/// The virtual addresses.
pub(crate) const VIPS: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 2, 100), Ipv4Addr::new(192, 0, 2, 101)];
/// The virtual router.
pub(crate) const VRID: u8 = 51;
/// `A`: the Master's advertisement interval.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// What the kernel, the scheduler and the observer may add to every bound of the protocol on a machine that is not stalled.
pub(crate) const SLACK: Duration = Duration::from_millis(150);

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// 192.0.2.1
    A,
    /// 192.0.2.2
    B,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// Its own address.
    pub(crate) fn address(self) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(192, 0, 2, 1),
            Self::B => Ipv4Addr::new(192, 0, 2, 2),
        }
    }

    /// The MAC address of its interface.
    pub(crate) fn mac(self) -> [u8; 6] {
        match self {
            Self::A => [2, 0, 0, 0, 0, 0xa],
            Self::B => [2, 0, 0, 0, 0, 0xb],
        }
    }

    /// The switch's port that it is plugged into.
    pub(crate) fn port(self) -> &'static str {
        match self {
            Self::A => "port-a",
            Self::B => "port-b",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// How the two reach each other, and where the virtual addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Advertisements go to the group, the addresses are on `eth0`.
    Multicast,
    /// Advertisements go to the other one.
    Unicast,
    /// The addresses have the virtual MAC address, on an interface of their own.
    VirtualMac,
}

impl Mode {
    /// The interface that the virtual addresses are on.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::Multicast | Self::Unicast => "eth0",
            Self::VirtualMac => "web0",
        }
    }

    /// Their prefix length.
    pub(crate) fn prefix(self) -> u8 {
        match self {
            Self::Multicast | Self::Unicast => 24,
            Self::VirtualMac => 32,
        }
    }

    /// The MAC address that answers for them on a host.
    pub(crate) fn mac(self, side: Side) -> [u8; 6] {
        match self {
            Self::Multicast | Self::Unicast => side.mac(),
            // RFC 9568 §7.3.
            Self::VirtualMac => [0, 0, 0x5e, 0, 1, VRID],
        }
    }

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// How the pair is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Of A and of B.
    pub(crate) priorities: [u8; 2],
    pub(crate) preempt: bool,
    pub(crate) mode: Mode,
    /// Each router has a process that outlives it.
    pub(crate) sentinel: bool,
}

impl Rules {
    pub(crate) fn priority(self, side: Side) -> u8 {
        self.priorities[side.index()]
    }

    /// `S`: how long it waits after priority 0 (RFC 9568 §6.1).
    pub(crate) fn skew(self, side: Side) -> Duration {
        INTERVAL * (256 - u32::from(self.priority(side))) / 256
    }

    /// `MDI` = 3 A + S: how long it waits for a silent Master.
    pub(crate) fn master_down(self, side: Side) -> Duration {
        INTERVAL * 3 + self.skew(side)
    }

    pub(crate) fn longest_master_down(self) -> Duration {
        Side::BOTH.map(|side| self.master_down(side)).into_iter().max().unwrap_or_default()
    }

    /// L2 of docs/properties.md: one Master, after whatever it was.
    pub(crate) fn one_master(self) -> Duration {
        self.longest_master_down() + INTERVAL
    }
}

impl std::fmt::Display for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b] = self.priorities;
        let preempt = if self.preempt { "preempting" } else { "not preempting" };
        let sentinel = if self.sentinel { ", sentinels" } else { "" };
        write!(f, "priorities {a} and {b}, {preempt}, {}{sentinel}", self.mode.name())
    }
}
