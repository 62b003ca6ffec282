//! Advertisements that wait for the end of a step, to leave by few system calls, and what became of each.
//!
//! Whoever changes anything else in the kernel or on the wire transmits first: an advertisement precedes what follows from it.

use core::net::IpAddr;
use std::io;

use vrrp_fsm::{PathId, SendFailed};

use crate::port::Port;
use crate::sys::{BATCH, Outgoing};

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The octets of all that waits, one after the other.
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Waiting {
    port: usize,
    start: usize,
    end: usize,
    source: Option<IpAddr>,
    destination: IpAddr,
    /// The place in [`Outbox::outcomes`].
    outcome: usize,
}

type Call<'a> =
    dyn FnMut(usize, bool, &mut dyn Iterator<Item = Outgoing<'_>>) -> io::Result<usize> + 'a;

/// What became of one advertisement on one path. It works when one of its destinations could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) router: usize,
    pub(crate) path: PathId,
    pub(crate) result: Result<(), SendFailed>,
}

impl Outbox {
    /// Begins an advertisement of a virtual router on a path; [`Outbox::push`] gives it destinations.
    pub(crate) fn begin(&mut self, router: usize, path: PathId) {
        self.outcomes.push(Outcome { router, path, result: Err(SendFailed) });
    }

    /// The advertisement begun last, to one destination. An IPv6 one without a source cannot be sent.
    pub(crate) fn push(
        &mut self,
        port: usize,
        bytes: &[u8],
        source: Option<IpAddr>,
        destination: IpAddr,
    ) {
        if destination.is_ipv6() && !source.is_some_and(|source| source.is_ipv6()) {
            return;
        }
        let Some(outcome) = self.outcomes.len().checked_sub(1) else { return };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        self.waiting.push(Waiting { port, start, end, source, destination, outcome });
    }

    /// More would need another system call.
    pub(crate) const fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    /// Sends all that waits.
    pub(crate) fn transmit(&mut self, ports: &[Port]) {
        self.transmit_by(&mut |port, is_direct, messages| {
            let port = ports.get(port).ok_or(io::ErrorKind::NotConnected)?;
            port.sender.send(is_direct, messages)
        });
    }

    /// `call` is given a port, whether the routing table is to be left out, and datagrams; it takes some of them in their order, or
    /// refuses the first.
    fn transmit_by(&mut self, call: &mut Call<'_>) {
        if !self.waiting.is_sorted_by_key(|message| message.port) {
            self.waiting.sort_by_key(|message| message.port);
        }
        let kind = |message: &Waiting| (message.port, message.is_direct());
        for of_one in self.waiting.chunk_by(|one, next| kind(one) == kind(next)) {
            let mut rest = of_one;
            while let Some((first, others)) = rest.split_first() {
                let mut messages = rest.iter().map(|message| message.outgoing(&self.bytes));
                match call(first.port, first.is_direct(), &mut messages) {
                    Ok(taken @ 1..) => {
                        let (sent, left) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
                        for message in sent {
                            if let Some(outcome) = self.outcomes.get_mut(message.outcome) {
                                outcome.result = Ok(());
                            }
                        }
                        rest = left;
                    }
                    // The call stops at what it cannot send, and that is the first now; those behind it are not concerned.
                    Ok(0) | Err(_) => rest = others,
                }
            }
        }
        self.waiting.clear();
        self.bytes.clear();
    }

    /// Exchanges what became of all that was transmitted for an empty list, whose memory is used again.
    pub(crate) fn take_outcomes(&mut self, into: &mut Vec<Outcome>) {
        into.clear();
        core::mem::swap(&mut self.outcomes, into);
    }

    /// Whether anything waits, to be sent or to be told.
    pub(crate) const fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

impl Waiting {
    /// A multicast advertisement goes out of the device whatever the routing table says; IPv6 does so by the interface in its
    /// control data.
    const fn is_direct(&self) -> bool {
        match self.destination {
            IpAddr::V4(destination) => destination.is_multicast(),
            IpAddr::V6(_) => false,
        }
    }

    fn outgoing<'a>(&self, bytes: &'a [u8]) -> Outgoing<'a> {
        let source = match self.source {
            Some(IpAddr::V6(source)) => Some(source),
            Some(IpAddr::V4(_)) | None => None,
        };
        Outgoing {
            bytes: bytes.get(self.start..self.end).unwrap_or_default(),
            source: source.filter(|_| self.destination.is_ipv6()),
            destination: self.destination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(224, 0, 0, 18));
    const PEER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));

    /// One call as the kernel saw it: port, direct, the first octets of its datagrams.
    type Seen = (usize, bool, Vec<u8>);

    /// Sends as `sendmmsg` does: those whose first octet is in `refused` fail.
    fn transmit(outbox: &mut Outbox, refused: &[u8]) -> (Vec<Seen>, Vec<Outcome>) {
        let mut calls = Vec::new();
        outbox.transmit_by(&mut |port, is_direct, messages| {
            let offered: Vec<u8> = messages.take(BATCH).map(|message| message.bytes[0]).collect();
            let is_refused = |octet: &&u8| refused.contains(octet);
            let taken = offered.iter().take_while(|octet| !is_refused(octet)).count();
            calls.push((port, is_direct, offered));
            if taken == 0 { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(taken) }
        });
        let mut outcomes = Vec::new();
        outbox.take_outcomes(&mut outcomes);
        assert!(outbox.is_empty());
        (calls, outcomes)
    }

    fn add(outbox: &mut Outbox, port: usize, router: u8, destinations: &[IpAddr]) {
        outbox.begin(usize::from(router), PathId::FIRST);
        for destination in destinations {
            outbox.push(port, &[router, 0], None, *destination);
        }
    }

    fn failed(outcomes: &[Outcome]) -> Vec<usize> {
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err());
        failed.map(|outcome| outcome.router).collect()
    }

    #[test]
    fn all_of_a_port_leave_by_one_call() {
        let mut outbox = Outbox::default();
        for router in 0..60 {
            add(&mut outbox, 0, router, &[GROUP]);
        }
        let (calls, outcomes) = transmit(&mut outbox, &[]);
        assert_eq!(calls, [(0, true, (0..60).collect())]);
        assert_eq!(outcomes.len(), 60);
        assert_eq!(failed(&outcomes), []);
    }

    #[test]
    fn a_call_takes_no_more_than_it_can() {
        let mut outbox = Outbox::default();
        for router in 0..=255 {
            add(&mut outbox, 0, router, &[GROUP]);
        }
        let (calls, outcomes) = transmit(&mut outbox, &[]);
        assert_eq!(calls.len(), 4);
        assert_eq!((outcomes.len(), failed(&outcomes)), (256, vec![]));
    }

    #[test]
    fn who_is_refused_keeps_nobody_else() {
        let mut outbox = Outbox::default();
        for router in 0..8 {
            add(&mut outbox, 0, router, &[GROUP]);
        }
        let (calls, outcomes) = transmit(&mut outbox, &[0, 3, 4, 7]);
        assert_eq!(failed(&outcomes), [0, 3, 4, 7]);
        assert_eq!(outcomes.len(), 8, "each is told");
        // 0 | 1 2 | 3 | 4 | 5 6 | 7
        assert_eq!(calls.len(), 6, "{calls:?}");
    }

    #[test]
    fn each_port_and_each_way_of_routing_has_its_call() {
        let mut outbox = Outbox::default();
        add(&mut outbox, 1, 1, &[GROUP]);
        add(&mut outbox, 0, 2, &[GROUP]);
        add(&mut outbox, 1, 3, &[GROUP]);
        add(&mut outbox, 0, 4, &[PEER]);
        let (calls, outcomes) = transmit(&mut outbox, &[]);
        assert_eq!(calls, [(0, true, vec![2]), (0, false, vec![4]), (1, true, vec![1, 3])]);
        assert_eq!(failed(&outcomes), []);
    }

    #[test]
    fn one_destination_is_enough_and_none_is_a_failure() {
        let mut outbox = Outbox::default();
        add(&mut outbox, 0, 1, &[PEER, PEER]);
        add(&mut outbox, 0, 2, &[]);
        add(&mut outbox, 0, 3, &["ff02::12".parse().unwrap()]);
        let mut refused_once = [true].into_iter();
        outbox.transmit_by(&mut |_, _, messages| match refused_once.next() {
            Some(_) => Err(io::ErrorKind::PermissionDenied.into()),
            None => Ok(messages.count()),
        });
        let mut outcomes = Vec::new();
        outbox.take_outcomes(&mut outcomes);
        assert_eq!(failed(&outcomes), [2, 3], "3 has no source");
    }
}
