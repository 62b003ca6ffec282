//! Errors, one type for each thing a caller does.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::io;

use vrrp_fsm::ConfigError;
use vrrp_fsm::vrrp_proto::{AddressFamily, PasswordTooLong};

use crate::scheduling::SchedulingError;

/// Why a [`Router`](crate::Router) cannot be built. Nothing is left configured in the kernel then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to run.
    #[error("no virtual router is configured: add one with RouterBuilder::virtual_router")]
    NoVirtualRouters,
    /// The sentinel cannot be started.
    #[error(
        "the sentinel cannot be started: give the path of vrrp-sentinel, and it the capabilities of this process"
    )]
    Sentinel {
        /// What it said, or the kernel.
        source: io::Error,
    },
    /// Two virtual routers have one name.
    #[error("two virtual routers are named {name:?}: names must be unique")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Two trackers of a virtual router have one name.
    #[error(
        "virtual router {virtual_router:?} has two trackers named {name:?}: names must be unique"
    )]
    DuplicateTracker {
        /// The virtual router's name.
        virtual_router: String,
        /// The tracker's.
        name: String,
    },
    /// Two virtual routers are the same one: VRID, interface, family and peers.
    #[error(
        "{first:?} and {second:?} are the same virtual router on {interface}: change the VRID of one"
    )]
    DuplicateVirtualRouter {
        /// The earlier one's name.
        first: String,
        /// The later one's name.
        second: String,
        /// Their interface.
        interface: String,
    },
    /// Two paths of a virtual router are the same one.
    #[error(
        "virtual router {virtual_router:?} has two multicast paths on {interface}: name each interface once"
    )]
    DuplicatePath {
        /// The virtual router's name.
        virtual_router: String,
        /// The interface.
        interface: String,
    },
    /// A sync group is to have no members.
    #[error(
        "sync group {group:?} has no members: name the virtual routers that are to be Master together"
    )]
    EmptySyncGroup {
        /// The group's name.
        group: String,
        /// What the group's machine says.
        source: vrrp_fsm::EmptySyncGroup,
    },
    /// The guard of a sync group cannot be as it was asked for.
    #[error("sync group {group:?}: its guard is not configured correctly")]
    SyncGroupGuard {
        /// The group's name.
        group: String,
        /// What does not fit.
        source: ConfigError,
    },
    /// There is no sync group of this name to be guarded.
    #[error("there is no sync group {name:?} to be guarded; there are: {}", existing.join(", "))]
    UnknownSyncGroup {
        /// The name.
        name: String,
        /// Those that there are.
        existing: Vec<String>,
    },
    /// Two sync groups have one name.
    #[error("two sync groups are named {name:?}: names must be unique")]
    DuplicateSyncGroup {
        /// The name.
        name: String,
    },
    /// A member of a sync group is not configured.
    #[error("sync group {group:?}: there is no virtual router {member:?}; there are: {}", existing.join(", "))]
    UnknownMember {
        /// The group's name.
        group: String,
        /// The virtual router that is not there.
        member: String,
        /// Those that are.
        existing: Vec<String>,
    },
    /// A virtual router is in two sync groups, or twice in one.
    #[error(
        "virtual router {member:?} is in sync group {first:?} and again in {second:?}: it can be in one"
    )]
    DuplicateMember {
        /// The virtual router's name.
        member: String,
        /// The group that has it.
        first: String,
        /// The group that wants it as well, maybe the same.
        second: String,
    },
    /// An advertised address is needed at least to know the family.
    #[error(
        "virtual router {virtual_router:?} has no virtual address: add one with VirtualRouter::address"
    )]
    NoAddresses {
        /// The virtual router's name.
        virtual_router: String,
    },
    /// Addresses of two families in one virtual router.
    #[error(
        "virtual router {virtual_router:?} is {family}, {address} is not: make a second virtual router, \
             or mark a virtual address as not advertised"
    )]
    WrongFamily {
        /// The virtual router's name.
        virtual_router: String,
        /// The address that does not fit.
        address: IpAddr,
        /// The family of the virtual router.
        family: AddressFamily,
    },
    /// The password cannot be sent.
    #[error("virtual router {virtual_router:?}: the password cannot be used")]
    Password {
        /// The virtual router's name.
        virtual_router: String,
        /// What is wrong with it.
        source: PasswordTooLong,
    },
    /// The parameters do not fit each other.
    #[error("virtual router {virtual_router:?} is not configured correctly")]
    Config {
        /// The virtual router's name.
        virtual_router: String,
        /// What does not fit.
        source: ConfigError,
    },
    /// The interface does not exist.
    #[error("virtual router {virtual_router:?}: there is no interface {interface:?}; there are: {}", existing.join(", "))]
    NoSuchInterface {
        /// The virtual router's name.
        virtual_router: String,
        /// The interface asked for.
        interface: String,
        /// The interfaces of this network namespace.
        existing: Vec<String>,
    },
    /// The interface cannot carry VRRP.
    #[error(
        "virtual router {virtual_router:?}: the interface {interface:?} cannot send multicast; use unicast peers"
    )]
    NoMulticast {
        /// The virtual router's name.
        virtual_router: String,
        /// The interface.
        interface: String,
    },
    /// The process lacks a capability.
    #[error(
        "no permission for {action}: {capability} is missing. Run as root, or give it to the program (setcap \
         cap_net_admin,cap_net_raw+ep PROGRAM; systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW; containers: --cap-add NET_ADMIN \
         --cap-add NET_RAW)"
    )]
    Permission {
        /// Which.
        capability: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The scheduling asked for cannot be had.
    #[error("the router's thread cannot be scheduled as asked for")]
    Scheduling {
        /// What is missing.
        #[from]
        source: SchedulingError,
    },
    /// The network namespace cannot be entered.
    #[error(
        "cannot enter the network namespace: it needs CAP_SYS_ADMIN, in the user namespace that the network namespace belongs to \
             and in one's own; run as root or grant it, or start the whole program inside"
    )]
    Namespace {
        /// What the kernel said.
        source: io::Error,
    },
    /// A VRRP socket cannot be opened.
    #[error("cannot open a VRRP socket on {interface}")]
    Socket {
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The event loop, netlink or packet socket cannot be opened.
    #[error("cannot open {what}")]
    Open {
        /// What it was.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's links and addresses cannot be read.
    #[error("the interfaces of this network namespace cannot be read")]
    Read {
        /// What the kernel said.
        #[from]
        source: vip_netlink::QueryError,
    },
    /// An address cannot be what was asked for.
    #[error("virtual router {virtual_router:?}: the address {address} cannot be used")]
    Address {
        /// The virtual router's name.
        virtual_router: String,
        /// The address.
        address: String,
        /// What is wrong with it.
        source: vip_netlink::InvalidAddress,
    },
    /// A route or rule cannot be what was asked for.
    #[error("virtual router {virtual_router:?} cannot have {object}")]
    Companion {
        /// The virtual router's name.
        virtual_router: String,
        /// The route or rule.
        object: String,
        /// What is wrong with it.
        source: vip_netlink::InvalidObject,
    },
    /// The interface of its virtual MAC address cannot be made.
    #[error("virtual router {virtual_router:?} cannot have a virtual MAC address")]
    VirtualMac {
        /// The virtual router's name.
        virtual_router: String,
        /// Why.
        source: crate::VirtualMacError,
    },
    /// Packets to its addresses cannot be refused.
    #[error("virtual router {virtual_router:?} cannot do without Accept_Mode")]
    AcceptMode {
        /// The virtual router's name.
        virtual_router: String,
        /// Why.
        source: vip_netlink::SilenceError,
    },
    /// Addresses cannot be announced.
    #[error("virtual addresses cannot be announced")]
    Announce {
        /// What the kernel said.
        #[from]
        source: vip_netlink::AnnounceError,
    },
    /// Another process runs the same virtual router, or the run directory cannot be used.
    #[error("virtual router {virtual_router:?} cannot be journalled")]
    Journal {
        /// The virtual router's name.
        virtual_router: String,
        /// Which; [`JournalError::Held`](journal::JournalError::Held) names the other process.
        source: journal::JournalError,
    },
    /// The thread cannot be started.
    #[error("cannot start the router's thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// There is no virtual router of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no virtual router {name:?}; there are: {}", existing.join(", "))]
pub struct UnknownVirtualRouter {
    pub(crate) name: String,
    pub(crate) existing: Vec<String>,
}

/// Why a tracker's condition cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetTrackerError {
    /// There is no such virtual router.
    #[error(transparent)]
    VirtualRouter(#[from] UnknownVirtualRouter),
    /// It has no such tracker.
    #[error("{virtual_router}: there is no tracker {name:?}; there are: {}", existing.join(", "))]
    Tracker {
        /// The virtual router's name.
        virtual_router: String,
        /// What was asked for.
        name: String,
        /// The trackers it has.
        existing: Vec<String>,
    },
}

/// Why a virtual router is not known to be out of service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There is no such virtual router.
    #[error(transparent)]
    VirtualRouter(#[from] UnknownVirtualRouter),
    /// The kernel does not let go of its addresses; it is still tried.
    #[error("{virtual_router}: not released within {timeout:?}")]
    Timeout {
        /// The virtual router's name.
        virtual_router: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The router has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a campaign ended without mastership.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// The time is over; the virtual router is no candidate any more.
    #[error("{virtual_router}: not Master within {timeout:?}: {why}")]
    Timeout {
        /// The virtual router's name.
        virtual_router: String,
        /// How long was waited.
        timeout: Duration,
        /// The reason of its present state, for people.
        why: String,
    },
    /// It is not Master at this moment.
    #[error("{virtual_router}: not Master: {why}")]
    NotMaster {
        /// The virtual router's name.
        virtual_router: String,
        /// The reason of its present state, for people.
        why: String,
    },
    /// The router has been shut down, or its thread has ended.
    #[error("the router has been shut down")]
    Stopped,
}

/// The router has been shut down, or its thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router has been shut down")]
#[non_exhaustive]
pub struct Stopped;

/// Why a shutdown was not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Addresses could not be removed in time. They are in the journal: the next start removes them.
    #[error(
        "not released within {timeout:?}: {}; remove them with `ip address del`",
        Remaining(remaining)
    )]
    Timeout {
        /// How long was waited.
        timeout: Duration,
        /// The addresses that remain, by virtual router.
        remaining: Vec<(String, Vec<String>)>,
    },
    /// The router's thread panicked; it released what it could while it unwound.
    #[error("the router's thread panicked")]
    Panicked,
    /// The event loop failed.
    #[error("the router's event loop failed: {error}")]
    Loop {
        /// What the system said.
        error: String,
    },
}

struct Remaining<'a>(&'a [(String, Vec<String>)]);

impl fmt::Display for Remaining<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, addresses)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name}: {}", addresses.join(", "))?;
        }
        Ok(())
    }
}
