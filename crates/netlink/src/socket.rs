//! The request socket.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::netlink;

use crate::dump;
use crate::error::{DecodeError, RequestError, TransactionError};
use crate::exchange::Exchange;
use crate::request::{Flags, Request};
use crate::sys;
use crate::transport::{Received, Transport};

/// Messages of one `send`. If all of them are refused, their answers still fit a default receive buffer (256
/// acknowledgements, or fewer with many words in a buffer twice as large, which an unprivileged process gets on asking).
const MAX_MESSAGES: usize = 200;
/// Octets of one `send`, below the default send buffer (208 KiB).
const MAX_OCTETS: usize = 32 * 1024;
/// `NFNL_MSG_BATCH_BEGIN` and its end (`linux/netfilter/nfnetlink.h`).
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
/// Asked for; without privilege the kernel grants `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Datagrams read for one request before the kernel is taken for mad.
const MAX_DATAGRAMS: u32 = 1 << 20;

/// Netlink protocol: which part of the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `NETLINK_ROUTE`: links, addresses, routes, rules, neighbours.
    Route,
    /// `NETLINK_GENERIC`: families found by name.
    Generic,
    /// `NETLINK_NETFILTER`: firewall tables and their kin, changed by [`Socket::transaction`].
    Netfilter,
}

/// A socket for requests and their answers.
///
/// It belongs to the network namespace of the thread that opened it, for ever. As [`AsFd`] it is
/// good for `setns`-like questions and for reading `/proc/self/fdinfo`; there is nothing to poll.
#[derive(Debug)]
pub struct Socket {
    transport: Transport,
    /// Number of the next request; never 0, which marks notifications.
    sequence: u32,
    outgoing: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread. Needs no privilege.
    ///
    /// On [`Protocol::Route`] the kernel's strict checking is on (Linux 4.20): dump requests need
    /// the whole fixed header of their type, and fields of it, like the interface index, filter.
    ///
    /// # Errors
    ///
    /// [`RequestError::Socket`], for example without a free descriptor.
    pub fn open(protocol: Protocol) -> Result<Self, RequestError> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Generic => Some(netlink::GENERIC),
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let failed =
            |call, errno: Errno| RequestError::Socket { call, errno: errno.raw_os_error() };
        let transport =
            Transport::open(number, RECEIVE_BUFFER).map_err(|(call, errno)| failed(call, errno))?;
        if protocol == Protocol::Route {
            match transport.set_option(sys::GET_STRICT_CHK, 1) {
                Ok(()) | Err(Errno::NOPROTOOPT) => {}
                Err(errno) => return Err(failed("setsockopt", errno)),
            }
        }
        Ok(Self { transport, sequence: 1, outgoing: Vec::new() })
    }

    /// Sends one request and waits for its acknowledgement.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with the kernel's error; others when it could not be asked or
    /// understood.
    pub fn request(&mut self, request: &Request) -> Result<(), RequestError> {
        self.query(request, |_, _| {})
    }

    /// Sends one request, hands each data message of the answer to `each` (type, payload), and
    /// waits for the acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request). `each` may have been called before.
    pub fn query(
        &mut self,
        request: &Request,
        each: impl FnMut(u16, &[u8]),
    ) -> Result<(), RequestError> {
        let exchange = self.single(request, Flags::ACKNOWLEDGE, each)?;
        exchange.into_results(None).collect()
    }

    /// Dumps a table: `each` gets every message (type, payload) of one undisturbed dump, after
    /// it is complete.
    ///
    /// A dump during which the table changed (`NLM_F_DUMP_INTR`) is thrown away and repeated, at
    /// most 16 times. Not every family marks changes (IPVS does not), and those of `NETLINK_ROUTE` mark them a moment
    /// late: a dump during which addresses are removed can still lack a lasting one (Linux 6.18: a few in a hundred
    /// such dumps). A [`Monitor`](crate::Monitor) opened before tells that there were removals: then dump again.
    ///
    /// # Errors
    ///
    /// [`RequestError::Interrupted`] if the table never held still, else as
    /// [`request`](Self::request). `each` is not called then.
    pub fn dump(
        &mut self,
        request: &Request,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), RequestError> {
        let table = dump::repeat(|table| {
            self.single(request, Flags::DUMP, |kind, payload| table.push(kind, payload))
        })?;
        table.iter().for_each(|(message_type, payload)| each(message_type, payload));
        Ok(())
    }

    pub(crate) fn port(&self) -> Result<u32, Errno> {
        self.transport.port()
    }

    /// Sends many requests with few system calls; the result at index `i` belongs to `requests[i]`.
    ///
    /// A batch is not atomic: each request succeeds or fails by itself, in order, and those after
    /// a failed one are still done. Only refusals carry the kernel's words, warnings on success do not come.
    pub fn batch(&mut self, requests: &[Request]) -> Vec<Result<(), RequestError>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at_checked(chunk_len(rest)).unwrap_or((rest, &[]));
            self.send_chunk(chunk, &mut results);
            rest = tail;
        }
        results
    }

    /// Sends requests to a subsystem of netfilter (`NFNL_SUBSYS_*`) as one transaction: the kernel does all of them or none.
    ///
    /// They have to fit one `send`; the send buffer is made as large as they need, for which a process without `CAP_NET_ADMIN` gets no
    /// more than `net.core.wmem_max`.
    ///
    /// # Errors
    ///
    /// [`TransactionError`], which tells the first request that was refused. Nothing was done then, unless
    /// [`outcome_unknown`](RequestError::outcome_unknown).
    pub fn transaction(
        &mut self,
        subsystem: u8,
        requests: &[Request],
    ) -> Result<(), TransactionError> {
        let whole = |source| TransactionError { request: None, source };
        let count = requests.len().saturating_add(2);
        let first = self.number(count);
        self.outgoing.clear();
        // struct nfgenmsg; its last two octets name the subsystem.
        let bound =
            |message_type| Request::new(message_type, Flags::NONE, vec![0, 0, 0, subsystem]);
        let (begin, end) = (bound(NFNL_MSG_BATCH_BEGIN), bound(NFNL_MSG_BATCH_END));
        let all = core::iter::once(&begin).chain(requests).chain(core::iter::once(&end));
        for (index, (sequence, request)) in (first..).zip(all).enumerate() {
            let last = index == requests.len();
            let flags = if last { Flags::ACKNOWLEDGE } else { Flags::NONE };
            request.encode(flags, sequence, &mut self.outgoing).map_err(whole)?;
        }
        self.transport.make_room(self.outgoing.len()).map_err(|errno| {
            let errno = errno.raw_os_error();
            whole(RequestError::Socket { call: "setsockopt", errno })
        })?;
        self.send().map_err(whole)?;
        // The end has no answer of its own.
        let mut exchange = Exchange::transaction(first, count.saturating_sub(1));
        let failure = self.collect(&mut exchange, &mut |_, _| {}).err();
        let mut results = exchange.into_results(failure.as_ref()).enumerate();
        let refused = results.find_map(|(index, result)| Some((index, result.err()?)));
        refused.map_or(Ok(()), |(index, source)| {
            Err(TransactionError { request: index.checked_sub(1), source })
        })
    }

    /// Resolves a generic-netlink family to its message type. The kernel tries to load the
    /// family's module first.
    ///
    /// # Errors
    ///
    /// [`RequestError::UnknownFamily`] if the kernel has none of this name.
    pub fn family(&mut self, name: &str) -> Result<u16, RequestError> {
        crate::family::resolve(self, name)
    }

    /// One request until its last answer.
    fn single(
        &mut self,
        request: &Request,
        flags: Flags,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<Exchange, RequestError> {
        let sequence = self.number(1);
        self.outgoing.clear();
        request.encode(flags, sequence, &mut self.outgoing)?;
        self.send()?;
        let mut exchange = Exchange::new(sequence, 1);
        self.collect(&mut exchange, &mut each)?;
        Ok(exchange)
    }

    fn send_chunk(&mut self, chunk: &[Request], results: &mut Vec<Result<(), RequestError>>) {
        let first = self.number(chunk.len());
        self.outgoing.clear();
        let mut sent = Ok(());
        for (index, (sequence, request)) in (first..).zip(chunk).enumerate() {
            let last = index.saturating_add(1) == chunk.len();
            let flags = if last { Flags::ACKNOWLEDGE } else { Flags::NONE };
            sent = sent.and_then(|()| request.encode(flags, sequence, &mut self.outgoing));
        }
        if let Err(error) = sent.and_then(|()| self.send()) {
            results.extend(chunk.iter().map(|_| Err(error.clone())));
            return;
        }
        let mut exchange = Exchange::new(first, chunk.len());
        let failure = self.collect(&mut exchange, &mut |_, _| {}).err();
        results.extend(exchange.into_results(failure.as_ref()));
    }

    /// Reserves `count` consecutive numbers, none of which is 0.
    fn number(&mut self, count: usize) -> u32 {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let first = if self.sequence.checked_add(count).is_some() { self.sequence } else { 1 };
        self.sequence = first.saturating_add(count);
        first
    }

    fn send(&self) -> Result<(), RequestError> {
        let sent = self.transport.send(&self.outgoing);
        sent.map_err(|errno| RequestError::Socket { call: "send", errno: errno.raw_os_error() })
    }

    /// Reads until the exchange is complete.
    fn collect(
        &mut self,
        exchange: &mut Exchange,
        each: &mut dyn FnMut(u16, &[u8]),
    ) -> Result<(), RequestError> {
        let mut waited = false;
        for _ in 0..MAX_DATAGRAMS {
            if exchange.is_complete() {
                return Ok(());
            }
            let failed =
                |errno: Errno| RequestError::Socket { call: "recv", errno: errno.raw_os_error() };
            let unreadable = match self.transport.receive().map_err(failed)? {
                Received::Datagram(datagram) => exchange.feed(datagram, &mut *each).err(),
                Received::Truncated { len, buffer } => Some(DecodeError::Truncated { len, buffer }),
                Received::Foreign => None,
                Received::Overrun => {
                    exchange.lost = true;
                    None
                }
                Received::Nothing if waited || exchange.lost => return Err(exchange.silence()),
                Received::Nothing => {
                    if !self.transport.wait().map_err(failed)? {
                        return Err(exchange.silence());
                    }
                    waited = true;
                    continue;
                }
            };
            if let Some(error) = unreadable {
                self.drain();
                return Err(error.into());
            }
            waited = false;
        }
        Err(exchange.silence())
    }

    /// Throws away what is queued, which also lets the kernel finish a dump that is under way.
    fn drain(&mut self) {
        for _ in 0..MAX_DATAGRAMS {
            if matches!(self.transport.receive(), Ok(Received::Nothing) | Err(_)) {
                return;
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

/// How many of `requests` go into one `send`: at least one, and a request that cannot be encoded alone.
fn chunk_len(requests: &[Request]) -> usize {
    let mut octets = 0_usize;
    let mut count = 0;
    for request in requests.iter().take(MAX_MESSAGES) {
        octets = octets.saturating_add(request.encoded_len());
        if octets > MAX_OCTETS || request.is_oversize() {
            break;
        }
        count += 1;
    }
    count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn requests(lens: &[usize]) -> Vec<Request> {
        lens.iter().map(|&len| Request::new(20, Flags::NONE, vec![0; len])).collect()
    }

    #[test]
    fn chunks_are_bounded_by_count_and_octets() {
        assert_eq!(chunk_len(&requests(&[8; 500])), 200);
        assert_eq!(chunk_len(&requests(&[8; 3])), 3);
        assert_eq!(chunk_len(&requests(&[16_000, 16_000, 1_000])), 2);
        assert_eq!(chunk_len(&requests(&[60_000, 8])), 1);
    }

    #[test]
    fn a_request_that_cannot_be_encoded_does_not_spoil_its_neighbours() {
        let mut all = requests(&[8, 8]);
        all.push(Request::new(20, Flags::NONE, Payload::new().attribute(1, &vec![0; 66_000])));
        all.extend(requests(&[8]));
        assert_eq!(chunk_len(&all), 2);
        assert_eq!(chunk_len(&all[2..]), 1);
    }

    #[test]
    fn numbers_skip_zero() {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        assert_eq!((socket.number(1), socket.number(3), socket.number(1)), (1, 2, 5));
        socket.sequence = u32::MAX - 1;
        assert_eq!((socket.number(5), socket.number(1)), (1, 6));
    }
}
