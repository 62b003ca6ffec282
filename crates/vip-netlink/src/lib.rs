//! Own virtual IP addresses on Linux: add, remove, announce by ARP and ND, watch links.
//!
//! Everything that a program needs to *hold* an address that moves between hosts, and nothing about *when* to hold it: an election
//! (VRRP or another), a supervisor or a person decides that.
//!
//! # Mental model
//!
//! ```text
//!  Client      links(), addresses(), routes(), rules()     how things are
//!              add(), remove()            a batch of addresses, routes, rules; idempotent; one result for each
//!  Monitor     poll() -> Event            what has changed, by us or by others
//!  Watch                                  what shall be there, and what others did to it (pure)
//!  Announcer   gratuitous_arp(), ...      tells the hosts on the link where the address is now
//!  ChunkSize                              how many at a time, between timers (pure)
//!  AnnouncementSchedule, Pacer            when to announce what, at which rate (pure)
//!  difference(wanted, present)            what to remove and to add (pure)
//!  primary_ipv4(), link_local_ipv6()      which own address to send from (pure)
//!  Macvlan                                an interface for a virtual MAC address
//!  Silence                                addresses that this host has and does not answer for (nf_tables)
//!  SysctlChange, SysctlClaims             a kernel setting, changed and put back, for several
//!  Entry                                  any of these as a line of a journal; Client::undo()
//! ```
//!
//! Each of `Client`, `Monitor` and `Announcer` belongs to the network namespace of the thread that opened it. What they
//! configure prints to a line of text and parses from it, for a journal: [`Entry`].
//!
//! # Example
//!
//! ```no_run
//! use vip_netlink::{Address, Announcer, Client};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::open()?;
//! let link = client.link("eth0")?; // an error lists the interfaces that exist
//! let vip = Address::new(link.index, "192.0.2.100".parse()?, 24)?;
//!
//! for result in client.add(std::slice::from_ref(&vip)) {
//!     result?; // names the address, the interface and the remedy
//! }
//! if let Some(mac) = link.mac {
//!     Announcer::open()?.gratuitous_arp(link.index, mac, "192.0.2.100".parse()?)?;
//! }
//! // ... and at the end:
//! client.remove(&[vip]);
//! # Ok(())
//! # }
//! ```
//!
//! # The order of things
//!
//! 1. Open the [`Monitor`], then read the tables: nothing falls between.
//! 2. Write each [`Entry`] to a journal, then configure it: [`Macvlan`] and its sysctls, [`Silence`], addresses, routes, rules. Hold each in a
//!    [`Watch`] before it is added.
//! 3. Thousands of addresses go to [`Client::add`] in chunks of [`ChunkSize`], each announced when it is present: [`AnnouncementSchedule`] says
//!    which is due, [`Announcer`] sends.
//! 4. Hand the monitor's events to the watch; when it is drained, [`Client::refresh`] reads what is stale, and the watch tells what others did.
//! 5. At the end the reverse: forget, then remove, rules first and addresses last; then silence, macvlan, sysctls; then strike it from the journal. A
//!    successor of a killed process does the same with [`Client::undo`].
//!
//! `examples/hold.rs` does it for one address, `examples/many.rs` measures thousands.
//!
//! Reading needs no privilege:
//!
//! ```
//! let mut client = vip_netlink::Client::open()?;
//! for link in client.links()? {
//!     assert!(link.index > 0 && !link.name.is_empty());
//! }
//! # Ok::<(), vip_netlink::QueryError>(())
//! ```
//!
//! # What it does not do
//!
//! It knows no VRRP: it is given the MAC address to announce. It decides nothing, keeps no state of what it added (write a journal), makes no
//! threads, reads no clock and does not log. Announcements
//! are Ethernet frames; other link layers are told apart by [`Link::mac`] being `None`.

#![cfg(target_os = "linux")]

mod address;
mod announce;
mod announcements;
mod change;
mod chunk;
mod client;
mod difference;
mod entry;
mod error;
mod frame;
mod link;
mod macvlan;
mod monitor;
mod object;
mod prefix;
mod probe;
mod prober;
mod route;
mod rule;
mod schedule;
mod silence;
mod source;
mod sys;
mod sysctl;
mod watch;

pub use address::{Address, InvalidAddress, MAX_LABEL_LEN, PresentAddress, Scope};
pub use announce::Announcer;
pub use announcements::Announcements;
pub use change::Change;
pub use chunk::ChunkSize;
pub use client::Client;
pub use difference::{Difference, difference};
pub use entry::{Entry, InvalidEntry, UndoError};
pub use error::{Action, AnnounceError, ChangeError, QueryError, Reason};
pub use frame::{ArpForm, GRATUITOUS_ARP_LEN, UNSOLICITED_NA_LEN, gratuitous_arp, unsolicited_na};
pub use link::Link;
pub use macvlan::{
    ClaimError, Macvlan, MacvlanError, MacvlanMode, SysctlClaims, all_rp_filter_pushed_down,
    parent_sysctls,
};
pub use monitor::{Event, Listen, Monitor};
pub use netlink::{MonitorError, Progress};
pub use object::{InvalidObject, Object, ObjectKey};
pub use prefix::{InvalidPrefix, Prefix};
pub use probe::{ARP_PROBE_LEN, NEIGHBOUR_PROBE_LEN, arp_probe, in_use, neighbour_probe};
pub use prober::Prober;
pub use route::{InvalidRoute, Metric, NextHop, Route, RouteKey, RouteKind, RouterPreference};
pub use rule::{InvalidRule, Rule, RuleAction};
pub use schedule::{Announcement, AnnouncementSchedule, Pacer};
pub use silence::{Manner, Silence, SilenceError, Silenced};
pub use source::{link_local_ipv6, primary_ipv4};
pub use sysctl::{SysctlChange, SysctlError, forwards_ipv6};
pub use watch::{Deviation, Table, Watch};

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzzer reaches and nobody else.

    use crate::{Entry, address, link, route, rule, silence};

    /// Reads a payload as everything that it could be.
    ///
    /// # Panics
    /// When an object is written otherwise than it is read.
    pub fn notification(payload: &[u8]) {
        if let Some(present) = address::codec::decode(payload) {
            let address = present.address;
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        if let Some(route) = route::codec::decode(payload) {
            assert_eq!(route.to_string().parse(), Ok(route));
        }
        if let Some(rule) = rule::codec::decode(payload) {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        silence::fuzz(payload);
        drop(link::decode(payload));
    }

    /// Reads a line as an entry of a journal.
    ///
    /// # Panics
    /// When it is written otherwise than it is read.
    pub fn entry(line: &str) {
        if let Ok(entry) = line.parse::<Entry>() {
            let again = entry.to_string().parse::<Entry>();
            assert!(again.is_ok_and(|again| again == entry), "{entry}");
        }
    }
}

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
