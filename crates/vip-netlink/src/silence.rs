//! Addresses of this host that it shall not answer for.

use core::net::IpAddr;
use std::collections::BTreeSet;

use netlink::errno::{EAFNOSUPPORT, ENOENT, EOPNOTSUPP, EPERM};
use netlink::{Protocol, RequestError, Socket, TransactionError};

use crate::change::Change;

mod nft;
mod ruleset;

/// How silent a host is for an address that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the two cases of RFC 9568")]
pub enum Manner {
    /// It answers ARP and neighbour solicitations, and drops packets to the address: a Master that does not own it, without
    /// `Accept_Mode` (RFC 9568 §6.4.3).
    Refuse,
    /// It does not answer at all, and sends nothing from it: a Backup (RFC 9568 §6.4.2).
    Mute,
}

/// An address and how silent the host is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Silenced {
    /// The address.
    pub ip: IpAddr,
    /// The index of the interface that a link-local IPv6 address belongs to; 0 for all others, which are silenced on every interface.
    pub interface: u32,
    /// How silent.
    pub manner: Manner,
}

impl Silenced {
    /// Silence for an address on the interface with this index. The interface counts for link-local IPv6 addresses only.
    #[must_use]
    pub fn new(ip: IpAddr, interface: u32, manner: Manner) -> Self {
        let of_link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        Self { ip, interface: if of_link { interface } else { 0 }, manner }
    }

    /// [`Manner::Refuse`] for an address on the interface with this index.
    #[must_use]
    pub fn refused(ip: IpAddr, interface: u32) -> Self {
        Self::new(ip, interface, Manner::Refuse)
    }

    /// [`Manner::Mute`] for an address on the interface with this index.
    #[must_use]
    pub fn muted(ip: IpAddr, interface: u32) -> Self {
        Self::new(ip, interface, Manner::Mute)
    }

    fn is_of_link(&self) -> bool {
        self.interface != 0
    }
}

/// Firewall tables of one's own that keep the host silent for addresses, of the network namespace in which it was opened.
///
/// They are two `nf_tables` tables of one name (families `inet` and `arp`) with sets of addresses: whatever the number of addresses, a
/// change is one transaction, and a packet is looked up and not compared. Rules of others are not touched; a packet that they drop stays dropped. What
/// is sent through packet sockets passes by, as announcements have to.
///
/// The tables outlive the process, so that a host whose process dies does not begin to answer; write
/// [`Entry::Silence`](crate::Entry::Silence) to the journal first. Remove the addresses before the silence.
///
/// ```no_run
/// use vip_netlink::{Silence, Silenced};
///
/// let vip = "192.0.2.100".parse()?;
/// let mut silence = Silence::open("vrrp")?;
/// silence.set([Silenced::muted(vip, 3)])?; // before the address is added: nobody hears of it
/// silence.set([Silenced::refused(vip, 3)])?; // Master, not the owner: ARP is answered, packets are dropped
/// silence.set([])?; // all is heard
/// silence.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Silence {
    socket: Socket,
    table: String,
    /// What the kernel has because of us; `None`: nothing yet, or we do not know.
    present: Option<Wanted>,
    /// What it shall have.
    wanted: Wanted,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    addresses: BTreeSet<Silenced>,
    quiet: BTreeSet<u32>,
}

/// What is in `one` and not in `other`.
fn only<T: Ord + Copy>(one: &BTreeSet<T>, other: &BTreeSet<T>) -> Vec<T> {
    one.difference(other).copied().collect()
}

/// The longest name of the tables, in bytes.
const MAX_NAME_LEN: usize = 64;

impl Silence {
    /// Prepares tables of this name: 1 to 64 letters, digits and `_`, the first a letter. Nothing is changed yet.
    ///
    /// # Errors
    ///
    /// [`SilenceError::Name`], and [`SilenceError::NotSupported`] where the kernel has no netfilter.
    pub fn open(table: &str) -> Result<Self, SilenceError> {
        check_name(table)?;
        let socket = Socket::open(Protocol::Netfilter)
            .map_err(|source| error("open a netlink socket for", table, source))?;
        Ok(Self { socket, table: table.to_owned(), present: None, wanted: Wanted::default() })
    }

    /// Makes the host silent for exactly these addresses, in one moment. The first time it makes the tables, instead of what a dead
    /// predecessor left under their name.
    ///
    /// # Errors
    ///
    /// [`SilenceError`]; then nothing has changed.
    pub fn set(&mut self, wanted: impl IntoIterator<Item = Silenced>) -> Result<(), SilenceError> {
        let wanted =
            Wanted { addresses: wanted.into_iter().collect(), quiet: self.wanted.quiet.clone() };
        self.apply(wanted)
    }

    /// Keeps exactly these interfaces (by index) from telling what they listen to: no IGMP, no multicast listener discovery and no router
    /// solicitation leaves. For macvlans: their reports would come with the virtual MAC address from every router, and mislead switches.
    ///
    /// # Errors
    ///
    /// [`SilenceError`]; then nothing has changed.
    pub fn set_quiet(
        &mut self,
        interfaces: impl IntoIterator<Item = u32>,
    ) -> Result<(), SilenceError> {
        let quiet = interfaces.into_iter().collect();
        self.apply(Wanted { addresses: self.wanted.addresses.clone(), quiet })
    }

    fn apply(&mut self, wanted: Wanted) -> Result<(), SilenceError> {
        if let Some(present) = &self.present {
            let table = &self.table;
            let gone = only(&present.addresses, &wanted.addresses);
            let mut requests = ruleset::change(table, &gone, false);
            let new = only(&wanted.addresses, &present.addresses);
            requests.extend(ruleset::change(table, &new, true));
            let gone = only(&present.quiet, &wanted.quiet);
            requests.extend(ruleset::change_quiet(table, &gone, false));
            let new = only(&wanted.quiet, &present.quiet);
            requests.extend(ruleset::change_quiet(table, &new, true));
            if requests.is_empty() {
                return Ok(());
            }
            match self.socket.transaction(nft::SUBSYSTEM, &requests) {
                Ok(()) => {
                    self.note(wanted);
                    return Ok(());
                }
                // Somebody has emptied or removed the tables: all anew.
                Err(error) if error.source.errno() == Some(ENOENT) => self.present = None,
                Err(failure) => return Err(self.failed("change", failure)),
            }
        }
        let addresses: Vec<Silenced> = wanted.addresses.iter().copied().collect();
        let quiet: Vec<u32> = wanted.quiet.iter().copied().collect();
        let requests = ruleset::replace(&self.table, &addresses, &quiet);
        let done = self.socket.transaction(nft::SUBSYSTEM, &requests);
        done.map_err(|failure| self.failed("make", failure))?;
        self.note(wanted);
        Ok(())
    }

    fn note(&mut self, wanted: Wanted) {
        self.present = Some(wanted.clone());
        self.wanted = wanted;
    }

    /// The addresses that the kernel has in the tables, by whomever; `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`SilenceError`].
    pub fn present(&mut self) -> Result<Option<BTreeSet<Silenced>>, SilenceError> {
        let mut present = BTreeSet::new();
        for set in &ruleset::SETS {
            let request = nft::dump_elements(set.family, &self.table, set.name);
            let dumped = self.socket.dump(&request, |kind, payload| {
                if kind == nft::NEWSETELEM {
                    let keys = nft::decode_elements(payload);
                    present.extend(keys.iter().filter_map(|key| set.read(key)));
                }
            });
            match dumped {
                Ok(()) => {}
                Err(source) if source.errno() == Some(ENOENT) => return Ok(None),
                Err(source) => return Err(error("read", &self.table, source)),
            }
        }
        Ok(Some(present))
    }

    /// Removes the tables, and with them all silence. That there are none is a success.
    ///
    /// # Errors
    ///
    /// [`SilenceError`].
    pub fn remove(&mut self) -> Result<Change, SilenceError> {
        self.present = None;
        self.wanted = Wanted::default();
        let mut change = Change::Already;
        for request in ruleset::remove(&self.table) {
            match self.socket.transaction(nft::SUBSYSTEM, &[request]) {
                Ok(()) => change = Change::Made,
                Err(failure) if failure.source.errno() == Some(ENOENT) => {}
                Err(failure) => return Err(self.failed("remove", failure)),
            }
        }
        Ok(change)
    }

    fn failed(&mut self, operation: &'static str, failure: TransactionError) -> SilenceError {
        if failure.source.outcome_unknown() {
            self.present = None;
        }
        error(operation, &self.table, failure.source)
    }
}

/// Is it a name that tables can have?
pub(crate) fn check_name(table: &str) -> Result<(), SilenceError> {
    let plain = table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let letter = table.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if plain && letter && table.len() <= MAX_NAME_LEN {
        return Ok(());
    }
    Err(SilenceError::Name { table: table.to_owned() })
}

fn error(operation: &'static str, table: &str, source: RequestError) -> SilenceError {
    let table = table.to_owned();
    match source.errno() {
        Some(EPERM) => SilenceError::NoPermission { operation, table, source },
        Some(EOPNOTSUPP | EAFNOSUPPORT | libc::EPROTONOSUPPORT | ENOENT) => {
            SilenceError::NotSupported { operation, table, source }
        }
        _ => SilenceError::Refused { operation, table, source },
    }
}

/// Why a host cannot be made silent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// No table can have that name.
    #[error(
        "{table:?} cannot be the name of a firewall table: 1 to {MAX_NAME_LEN} letters, digits and _, the first a letter"
    )]
    Name {
        /// The name.
        table: String,
    },
    /// The kernel has no `nf_tables`, or not all that is needed of it.
    #[error(
        "cannot {operation} the firewall table {table}: the kernel lacks nf_tables; load its module (modprobe nf_tables), or build it with CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET and CONFIG_NF_TABLES_ARP"
    )]
    NotSupported {
        /// What was to be done.
        operation: &'static str,
        /// The name of the table.
        table: String,
        /// What the kernel said.
        source: RequestError,
    },
    /// A privilege is missing.
    #[error(
        "cannot {operation} the firewall table {table}: it needs CAP_NET_ADMIN in this network namespace, run as root or grant it"
    )]
    NoPermission {
        /// What was to be done.
        operation: &'static str,
        /// The name of the table.
        table: String,
        /// What the kernel said.
        source: RequestError,
    },
    /// The kernel refused for another reason.
    #[error("cannot {operation} the firewall table {table}: {source}")]
    Refused {
        /// What was to be done.
        operation: &'static str,
        /// The name of the table.
        table: String,
        /// What the kernel said.
        source: RequestError,
    },
}

#[cfg(fuzzing)]
pub(crate) fn fuzz(payload: &[u8]) {
    for key in nft::decode_elements(payload) {
        for set in &ruleset::SETS {
            assert!(set.read(&key).is_none_or(|read| read.ip.is_ipv4() || read.ip.is_ipv6()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for table in ["", "1vrrp", "vr rp", "vrrp-1", "_v", &"v".repeat(65), "ö"] {
            assert!(matches!(Silence::open(table), Err(SilenceError::Name { .. })), "{table:?}");
        }
    }

    #[test]
    fn a_kernel_without_tables_is_told_with_the_remedy() {
        for errno in [EOPNOTSUPP, EAFNOSUPPORT, libc::EPROTONOSUPPORT] {
            let source = RequestError::Socket { call: "socket", errno };
            let text = error("make", "vrrp", source).to_string();
            assert!(text.contains("cannot make the firewall table vrrp: the kernel lacks nf_tables; load its module"), "{text}");
        }
        let refused = RequestError::Lost;
        assert!(matches!(error("make", "vrrp", refused), SilenceError::Refused { .. }));
    }

    proptest! {
        #[test]
        fn every_address_is_in_the_sets_it_needs_and_reads_back(v4: [u8; 4], v6: [u8; 16], interface in 1_u32.., link: bool, mute: bool) {
            let manner = if mute { Manner::Mute } else { Manner::Refuse };
            let mut v6 = v6;
            if link {
                (v6[0], v6[1]) = (0xfe, 0x80);
            }
            for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
                let silenced = Silenced::new(ip, interface, manner);
                let requests = ruleset::change("vrrp", &[silenced], true);
                // A muted IPv4 address is in the ARP table, too.
                prop_assert_eq!(requests.len(), if mute && ip.is_ipv4() { 2 } else { 1 });
                for request in requests {
                    let keys = nft::decode_elements(request.payload());
                    let read = |set: &ruleset::SetOf| set.read(&keys[0]);
                    prop_assert!(ruleset::SETS.iter().filter_map(read).any(|read| read == silenced));
                }
            }
        }

        #[test]
        fn any_answer_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for key in nft::decode_elements(&bytes) {
                for set in &ruleset::SETS {
                    set.read(&key);
                }
            }
        }
    }
}
