//! A client that asks a TCP port every millisecond whether it is served, and so sees how long it was not.
//!
//! Each probe is one bare SYN from a raw socket; a SYN-ACK is an answer, a reset or silence is none. The client's
//! kernel, which knows of no such connection, answers a SYN-ACK with a reset, and the prober does so after a reset:
//! directors on the way, which see only the client's half in direct routing, forget the connection after 10 s. A probe
//! goes the way of a request (ARP, director, real server) and is cheap enough to be sent a thousand times a second even
//! in user-mode Linux.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

use crate::namespace::Namespace;

/// One question to the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was sent, since the Unix epoch.
    pub sent: Duration,
    /// When the SYN-ACK came.
    pub answered: Option<Duration>,
}

/// A time in which the port did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the first probe was sent that got no answer.
    pub from: Duration,
    /// When the next one was sent that got one; none while the gap lasts.
    pub to: Option<Duration>,
    /// How many probes got no answer.
    pub lost: usize,
}

impl Gap {
    /// How long it lasted; none while it lasts.
    pub fn length(&self) -> Option<Duration> {
        self.to.map(|to| to.saturating_sub(self.from))
    }
}

/// A running prober; it ends when dropped.
#[derive(Debug)]
pub struct Prober {
    probes: Arc<Mutex<Vec<Probe>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Source ports of the probes, below those that the kernel gives to connections. At one a millisecond each is used
/// again after 31 s, when IPVS has forgotten to which real server it was sent the last time.
const FIRST_PORT: u16 = 1_024;
const PORTS: u16 = 31_744;

impl Prober {
    /// Probes `target` from the address `source` of `namespace` once every `interval`.
    pub fn start(
        namespace: &Namespace,
        source: Ipv4Addr,
        target: SocketAddrV4,
        interval: Duration,
    ) -> io::Result<Self> {
        let socket = namespace.run(|| raw_socket(source, *target.ip()))?;
        let probes = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (list, end) = (Arc::clone(&probes), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("prober".to_owned())
            .spawn(move || probe(&socket, source, target, interval, &list, &end))?;
        Ok(Self { probes, stop, thread: Some(thread) })
    }

    /// All probes so far, in the order they were sent. The latest may still get an answer.
    pub fn probes(&self) -> Vec<Probe> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a probe sent at `after` or later has been answered; says when it was sent.
    pub fn wait_answer(&self, after: Duration, patience: Duration) -> Option<Duration> {
        crate::eventually(patience, || {
            let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
            let first = probes.partition_point(|probe| probe.sent < after);
            probes
                .get(first..)?
                .iter()
                .find(|probe| probe.answered.is_some())
                .map(|probe| probe.sent)
        })
    }

    /// The gaps among the probes sent from `from` on (only those that are older than `settle`, the time an answer
    /// may take).
    pub fn gaps(&self, from: Duration, settle: Duration) -> Vec<Gap> {
        let until = crate::now().saturating_sub(settle);
        let probes = self.probes();
        gaps(probes.iter().filter(|probe| probe.sent >= from && probe.sent <= until))
    }

    /// Ends the probing; an error is why it had ended before.
    pub fn stop(mut self) -> io::Result<Vec<Probe>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| io::Error::other("the prober panicked"))??;
        }
        Ok(self.probes())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The runs of unanswered probes.
pub fn gaps<'a>(probes: impl IntoIterator<Item = &'a Probe>) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    let mut open: Option<Gap> = None;
    for probe in probes {
        if probe.answered.is_none() {
            open.get_or_insert(Gap { from: probe.sent, to: None, lost: 0 }).lost += 1;
        } else if let Some(gap) = open.take() {
            gaps.push(Gap { to: Some(probe.sent), ..gap });
        }
    }
    gaps.extend(open);
    gaps
}

fn raw_socket(source: Ipv4Addr, target: Ipv4Addr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::TCP))?;
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    rustix::net::connect(&socket, &SocketAddrV4::new(target, 0))?;
    Ok(socket)
}

fn probe(
    socket: &OwnedFd,
    source: Ipv4Addr,
    target: SocketAddrV4,
    interval: Duration,
    probes: &Mutex<Vec<Probe>>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut due = Instant::now();
    let locked = || probes.lock().unwrap_or_else(PoisonError::into_inner);
    for number in 0u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let port = FIRST_PORT + u16::try_from(number % u32::from(PORTS)).unwrap_or_default();
        locked().push(Probe { sent: crate::now(), answered: None });
        // No route, no neighbour: not answered, which is what the list says.
        let _ = rustix::net::send(
            socket,
            &segment(source, target, port, number, SYN),
            SendFlags::empty(),
        );
        due += interval;
        loop {
            while let Some(answer) = receive(socket, target.port())? {
                match answer {
                    Answer::Served { number } => {
                        let at = crate::now();
                        let mut probes = locked();
                        let probe =
                            usize::try_from(number).ok().and_then(|index| probes.get_mut(index));
                        if let Some(probe) = probe {
                            probe.answered.get_or_insert(at);
                        }
                    }
                    Answer::Refused { port, next } => {
                        let reset = segment(source, target, port, next, RESET);
                        let _ = rustix::net::send(socket, &reset, SendFlags::empty());
                    }
                }
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Late by more than a few intervals: go on from here, a burst would not measure anything.
        let now = Instant::now();
        if now > due + interval * 4 {
            due = now;
        }
    }
    Ok(())
}

/// What came back for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A SYN-ACK for the probe of this number.
    Served { number: u32 },
    /// A reset, to the probe's source port; the sequence number that it expects next.
    Refused { port: u16, next: u32 },
}

/// The next queued answer; packets that answer no probe are dropped.
fn receive(socket: &OwnedFd, port: u16) -> io::Result<Option<Answer>> {
    let mut buffer = [0u8; 128];
    loop {
        match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((_, length)) => {
                if let Some(answer) = buffer.get(..length).and_then(|packet| answer(packet, port)) {
                    return Ok(Some(answer));
                }
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            // An ICMP message about an earlier probe (no route to host): that probe stays unanswered.
            Err(error) if is_unreachable(error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_unreachable(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::CONNREFUSED,
        Errno::HOSTDOWN,
        Errno::PROTO,
        Errno::NOPROTOOPT,
    ]
    .contains(&error)
}

/// What this IPv4 packet says when it is a SYN-ACK or a reset from `port` to a probe.
fn answer(packet: &[u8], port: u16) -> Option<Answer> {
    let tcp = packet.get(usize::from(packet.first()? & 0x0f) * 4..)?;
    let source = u16::from_be_bytes(*tcp.first_chunk()?);
    let destination = u16::from_be_bytes(*tcp.get(2..)?.first_chunk()?);
    let next = u32::from_be_bytes(*tcp.get(8..)?.first_chunk()?);
    let flags = *tcp.get(13)?;
    if source != port || !(FIRST_PORT..FIRST_PORT + PORTS).contains(&destination) {
        return None;
    }
    match flags & (SYN | RESET | ACKNOWLEDGE) {
        kind if kind == SYN | ACKNOWLEDGE => Some(Answer::Served { number: next.wrapping_sub(1) }),
        kind if kind & RESET != 0 => Some(Answer::Refused { port: destination, next }),
        _ => None,
    }
}

// Flags of a TCP header (RFC 9293 §3.1).
const SYN: u8 = 0x02;
const RESET: u8 = 0x04;
const ACKNOWLEDGE: u8 = 0x10;

/// A TCP header without options. A probe's sequence number is the probe's number.
fn segment(
    source: Ipv4Addr,
    target: SocketAddrV4,
    port: u16,
    sequence: u32,
    flags: u8,
) -> [u8; 20] {
    let mut segment = [0; 20];
    segment[0..2].copy_from_slice(&port.to_be_bytes());
    segment[2..4].copy_from_slice(&target.port().to_be_bytes());
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[12] = 5 << 4; // header length in 32-bit words
    segment[13] = flags;
    segment[14..16].copy_from_slice(&1024u16.to_be_bytes());
    let pseudo_header = [source.octets(), target.ip().octets(), [0, 6, 0, 20]].concat();
    let words = pseudo_header.chunks_exact(2).chain(segment.chunks_exact(2));
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let checksum = !u16::try_from(sum).unwrap_or_default();
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_run_from_the_first_lost_to_the_next_answered() {
        let at = Duration::from_millis;
        let probe =
            |sent, served: bool| Probe { sent: at(sent), answered: served.then(|| at(sent + 1)) };
        let probes =
            [probe(0, true), probe(1, false), probe(2, false), probe(3, true), probe(4, false)];
        let expected =
            [Gap { from: at(1), to: Some(at(3)), lost: 2 }, Gap { from: at(4), to: None, lost: 1 }];
        assert_eq!(gaps(&probes), expected);
        assert_eq!(expected[0].length(), Some(at(2)));
        assert_eq!(gaps(&[probe(0, true)]), []);
    }
}
