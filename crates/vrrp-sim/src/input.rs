use core::net::IpAddr;

use vrrp_fsm::{
    Discard, EffectFailed, EffectId, Fault, GroupCommand, Instant, PathId, SendFailed, Ticket,
    Verdict, VirtualRouter,
};
use vrrp_proto::Priority;

use crate::host::Packet;

/// What can be told to a machine.
#[derive(Debug, Clone)]
pub(crate) enum Input<'a> {
    SourceAddress(PathId, IpAddr),
    Startup,
    Shutdown,
    Datagram(&'a Packet),
    Timeout,
    /// The answer to a request for addresses.
    Effect {
        id: EffectId,
        /// Whether no later request was made.
        current: bool,
        ok: bool,
    },
    /// Whether an advertisement left the host on a path.
    Sent(PathId, bool),
    Overflow,
    Fault(Fault),
    FaultCleared(Fault),
    Priority(Priority),
    AddressesLost,
    /// What the sync group wants.
    Group(GroupCommand),
    /// What a guard says.
    Verdict(Ticket, Verdict),
}

impl Input<'_> {
    /// Tells it. Returns why a datagram was discarded.
    pub(crate) fn tell(&self, machine: &mut VirtualRouter, now: Instant) -> Option<Discard> {
        match *self {
            Self::SourceAddress(path, source) => {
                machine.handle_source_address(now, path, Some(source));
            }
            Self::Startup => machine.handle_startup(now),
            Self::Shutdown => machine.handle_shutdown(now),
            Self::Datagram(packet) => {
                let datagram = packet.datagram();
                return datagram.and_then(|datagram| machine.handle_datagram(now, datagram)).err();
            }
            Self::Timeout => machine.handle_timeout(now),
            Self::Effect { id, ok, .. } => {
                machine.handle_effect(now, id, if ok { Ok(()) } else { Err(EffectFailed) });
            }
            Self::Sent(path, ok) => {
                machine.handle_send(now, path, if ok { Ok(()) } else { Err(SendFailed) });
            }
            Self::Overflow => machine.handle_overflow(now),
            Self::Fault(fault) => machine.handle_fault(now, fault),
            Self::FaultCleared(fault) => machine.handle_fault_cleared(now, fault),
            Self::Priority(priority) => machine.handle_priority(now, priority),
            Self::AddressesLost => machine.handle_addresses_lost(now),
            Self::Group(command) => machine.handle_group(now, command),
            Self::Verdict(ticket, verdict) => machine.handle_verdict(now, ticket, verdict),
        }
        None
    }
}
