//! What is run: a peer, a version, a family, an authentication, a mode.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use lab::peers::FrrVirtualRouter;

use crate::child::{Checksum, Plan};

/// The VRID of all combinations.
pub(crate) const VRID: u8 = 51;
/// keepalived's interface with the virtual MAC address.
pub(crate) const VMAC: &str = "vmac";
/// The secret of those with authentication.
const SECRET: &str = "secret";

/// Whose program the other router is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Keepalived,
    Frr,
    /// Ours again, for comparison.
    Ours,
}

/// How version 2 is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    Pass,
    Ah,
}

/// One line of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent, as options are")]
pub(crate) struct Combination {
    pub(crate) peer: Peer,
    pub(crate) version: u8,
    pub(crate) six: bool,
    pub(crate) auth: Auth,
    pub(crate) unicast: bool,
    pub(crate) interval: Duration,
    /// We send the checksum of RFC 9568, not the one with a pseudo-header.
    pub(crate) message_only: bool,
    /// keepalived's `old_unicast_checksum`; we follow what we hear.
    pub(crate) old_checksum: bool,
    /// keepalived's `use_vmac`: its addresses are on an interface with the virtual MAC address.
    pub(crate) virtual_mac: bool,
    /// Ours is on one, too.
    pub(crate) our_mac: bool,
    /// Their own secret, where it is another.
    pub(crate) their_secret: &'static str,
    /// Their own interval, where it is another.
    pub(crate) their_interval: Option<Duration>,
    /// Our addresses, where they are not the usual ones.
    pub(crate) our_addresses: Option<&'static [&'static str]>,
    /// Their own addresses, where they are others.
    pub(crate) their_addresses: Option<&'static [&'static str]>,
}

/// What one router is told beyond the combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) priority: u8,
    pub(crate) preempt: bool,
}

impl Rank {
    pub(crate) const fn new(priority: u8) -> Self {
        Self { priority, preempt: true }
    }

    pub(crate) const fn patient(priority: u8) -> Self {
        Self { priority, preempt: false }
    }
}

impl Combination {
    /// Version 3 over IPv4, multicast, every 100 ms.
    pub(crate) const fn new(peer: Peer) -> Self {
        Self {
            peer,
            version: 3,
            six: false,
            auth: Auth::None,
            unicast: false,
            interval: Duration::from_millis(100),
            message_only: false,
            old_checksum: false,
            virtual_mac: false,
            our_mac: false,
            their_secret: SECRET,
            their_interval: None,
            our_addresses: None,
            their_addresses: None,
        }
    }

    pub(crate) const fn six(self) -> Self {
        Self { six: true, ..self }
    }

    pub(crate) const fn unicast(self) -> Self {
        Self { unicast: true, ..self }
    }

    pub(crate) const fn every(self, milliseconds: u64) -> Self {
        Self { interval: Duration::from_millis(milliseconds), ..self }
    }

    /// Version 2, every second.
    pub(crate) const fn two(self, auth: Auth) -> Self {
        Self { version: 2, auth, ..self }.every(1_000)
    }

    /// The virtual addresses on their side.
    pub(crate) fn their_addresses(&self) -> &'static [&'static str] {
        self.their_addresses.unwrap_or(self.addresses())
    }

    fn their_interval(&self) -> Duration {
        self.their_interval.unwrap_or(self.interval)
    }

    /// Our virtual addresses.
    pub(crate) const fn addresses(&self) -> &'static [&'static str] {
        match (self.our_addresses, self.six) {
            (Some(addresses), _) => addresses,
            (None, true) => &["fe80::100/64", "2001:db8::100/64"],
            (None, false) => &["192.0.2.100/24"],
        }
    }

    /// Our own address and theirs.
    pub(crate) const fn sources(&self) -> [&'static str; 2] {
        if self.six { ["fe80::1", "fe80::2"] } else { ["192.0.2.1", "192.0.2.2"] }
    }

    /// `Skew_Time` at this priority (RFC 9568 §6.1, RFC 3768 §6.1).
    pub(crate) fn skew(&self, priority: u8) -> Duration {
        let interval = if self.version == 2 { Duration::from_secs(1) } else { self.interval };
        interval * (256 - u32::from(priority)) / 256
    }

    /// `Active_Down_Interval` at this priority.
    pub(crate) fn down(&self, priority: u8) -> Duration {
        self.interval * 3 + self.skew(priority)
    }

    /// Our side of it, or theirs for our own router.
    pub(crate) fn plan(&self, ours: bool) -> Plan {
        let [us, them] = self.sources();
        Plan {
            version: self.version,
            auth: self.auth,
            secret: if ours { SECRET } else { self.their_secret },
            interval: if ours { self.interval } else { self.their_interval() },
            unicast: self.unicast.then_some(if ours { them } else { us }),
            checksum: match (self.message_only, self.old_checksum) {
                (true, _) if ours => Checksum::MessageOnly,
                (_, true) if ours => Checksum::Heard,
                _ => Checksum::PseudoHeader,
            },
            addresses: if ours { self.addresses() } else { self.their_addresses() },
            virtual_mac: self.our_mac,
        }
    }

    /// keepalived's side of it.
    pub(crate) fn keepalived(&self, rank: Rank) -> String {
        let mut lines = vec![
            "state BACKUP".to_owned(),
            "interface eth0".to_owned(),
            format!("virtual_router_id {VRID}"),
            format!("version {}", self.version),
            format!("priority {}", rank.priority),
            format!("advert_int {}", self.their_interval().as_secs_f64()),
        ];
        if !rank.preempt {
            lines.push("nopreempt".to_owned());
        }
        if self.unicast {
            let [us, them] = self.sources();
            lines.push(format!("unicast_src_ip {them}\nunicast_peer {{\n {us}\n}}"));
        }
        if self.virtual_mac {
            lines.push(format!("use_vmac {VMAC}"));
        }
        if self.old_checksum {
            lines.push("old_unicast_checksum".to_owned());
        }
        let kind = match self.auth {
            Auth::None => None,
            Auth::Pass => Some("PASS"),
            Auth::Ah => Some("AH"),
        };
        if let Some(kind) = kind {
            lines.push(format!(
                "authentication {{\n auth_type {kind}\n auth_pass {}\n}}",
                self.their_secret
            ));
        }
        let addresses: Vec<_> =
            self.their_addresses().iter().map(|address| format!(" {address}")).collect();
        lines.push(format!("virtual_ipaddress {{\n{}\n}}", addresses.join("\n")));
        format!("vrrp_instance web {{\n{}\n}}\n", lines.join("\n"))
    }

    /// FRR's side of it.
    pub(crate) fn frr(&self, rank: Rank) -> String {
        let addresses: Vec<IpAddr> = self
            .addresses()
            .iter()
            .map(|address| address.split('/').next().unwrap().parse().unwrap())
            .collect();
        FrrVirtualRouter {
            interface: "eth0",
            vrid: VRID,
            version: self.version,
            priority: rank.priority,
            milliseconds: u32::try_from(self.their_interval().as_millis()).unwrap(),
            preempt: rank.preempt,
            addresses: &addresses,
        }
        .configuration()
    }
}

/// The first columns of the table.
impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match self.peer {
            Peer::Keepalived => "keepalived",
            Peer::Frr => "FRR",
            Peer::Ours => "ours",
        };
        let auth = match self.auth {
            Auth::None => "none",
            Auth::Pass => "PASS",
            Auth::Ah => "AH",
        };
        let mode = match (self.unicast, self.old_checksum) {
            _ if self.our_mac => "multicast, virtual MAC on both",
            _ if self.virtual_mac => "multicast, `use_vmac`",
            (_, true) => "unicast, `old_unicast_checksum`",
            (true, _) => "unicast",
            _ => "multicast",
        };
        let family = if self.six { 6 } else { 4 };
        let (version, seconds) = (self.version, self.interval.as_secs_f64());
        write!(f, "{peer} | {version} | IPv{family} | {auth} | {mode} | {seconds} s")
    }
}
