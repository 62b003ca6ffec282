//! Guards that ask a host for a sign of life, by ICMP echo.

use core::hash::{BuildHasher as _, Hasher as _};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::hash::RandomState;
use std::io;
use std::time::Instant;

use reactor::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};
use vrrp_fsm::Verdict;

use super::echo::Echo;
use super::{Guard, Question};

/// What both kinds have.
#[derive(Clone, Debug)]
struct Ping {
    targets: Vec<IpAddr>,
    interface: Option<String>,
    timeout: Duration,
    unknown: Verdict,
}

macro_rules! settings {
    () => {
        /// Asks through this interface, whatever the routing table says; link-local addresses need it.
        pub fn interface(mut self, interface: impl Into<String>) -> Self {
            self.0.interface = Some(interface.into());
            self
        }

        /// How long an answer is waited for, 100 ms by default; it is asked for three times in it. Less than the deadline of the
        /// [`GuardConfig`](crate::GuardConfig).
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.0.timeout = timeout;
            self
        }

        /// The verdict when nothing could be asked: there is no route, or no permission for raw sockets.
        pub fn unknown(mut self, verdict: Verdict) -> Self {
            self.0.unknown = verdict;
            self
        }
    };
}

/// Asks the other routers themselves, at addresses of their own: whoever answers lives, and that is a veto.
///
/// It tells a dead host from one that is not heard, over another line than the advertisements' if its addresses are there. As with
/// [`VipProbe`](crate::VipProbe), a host on which only the VRRP process has died answers: let the peers run with a
/// [sentinel](crate::RouterBuilder::sentinel), or limit [`GuardConfig::max_vetoes`](crate::GuardConfig::max_vetoes).
///
/// Failover out of silence takes longer by the whole timeout (100 ms; measured: 100.4 ms).
#[derive(Clone, Debug)]
#[must_use]
pub struct PeerPing(Ping);

impl PeerPing {
    /// Asks these addresses, at the same time. By default the verdict is [`Verdict::Promote`] when none can be asked.
    pub fn new(peers: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(Ping::new(peers, Verdict::Promote))
    }

    settings!();
}

/// Asks hosts that have to be there, the gateway most often: if one answers we may be Master, and if none does it is we who
/// are cut off.
///
/// It keeps the isolated side of a partition from becoming Master; if the old Master is on that side, it stays Master there. It does
/// not help when both sides reach the gateway and not each other. Choose hosts that answer pings at all times, and more than one:
/// while none answers nobody becomes Master out of silence.
///
/// Failover out of silence takes longer by one round trip (measured on a virtual switch: 0.4 ms).
#[derive(Clone, Debug)]
#[must_use]
pub struct GatewayPing(Ping);

impl GatewayPing {
    /// Asks these addresses, at the same time. By default the verdict is [`Verdict::Veto`] when none can be asked.
    pub fn new(gateways: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(Ping::new(gateways, Verdict::Veto))
    }

    settings!();
}

impl Guard for PeerPing {
    fn ask(&self, question: &Question) -> Verdict {
        self.0.verdict(question, Verdict::Veto, Verdict::Promote)
    }
}

impl Guard for GatewayPing {
    fn ask(&self, question: &Question) -> Verdict {
        self.0.verdict(question, Verdict::Promote, Verdict::Veto)
    }
}

impl Ping {
    fn new(targets: impl IntoIterator<Item = IpAddr>, unknown: Verdict) -> Self {
        let targets = targets.into_iter().collect();
        Self { targets, interface: None, timeout: Duration::from_millis(100), unknown }
    }

    fn verdict(&self, question: &Question, answered: Verdict, silent: Verdict) -> Verdict {
        match self.answered() {
            Ok(Some(address)) => {
                log::info!("{}: {address} answers: {answered}", question.name);
                answered
            }
            Ok(None) => {
                log::info!("{}: none of {:?} answers: {silent}", question.name, self.targets);
                silent
            }
            Err(error) => {
                log::warn!("{}: {:?} cannot be asked: {error}", question.name, self.targets);
                self.unknown
            }
        }
    }

    /// The first that answers. An error only if none could be asked.
    fn answered(&self) -> io::Result<Option<IpAddr>> {
        let start = Clock::now();
        let mut error = None;
        let mut asked = Vec::new();
        for target in &self.targets {
            match Asked::open(*target, self.interface.as_deref()) {
                Ok(one) => asked.push(one),
                Err(refused) => error = Some(refused),
            }
        }
        for sending in 1..=3 {
            for one in &asked {
                // A router may say that the host cannot be reached; another time it can be.
                if let Err(refused) = one.send() {
                    error = Some(refused);
                }
            }
            let answered = first_answer(&asked, start + self.timeout * sending / 3)?;
            if answered.is_some() {
                return Ok(answered);
            }
        }
        match error {
            Some(error) if asked.is_empty() => Err(error),
            _ => Ok(None),
        }
    }
}

/// A question to one host.
struct Asked {
    target: IpAddr,
    socket: Socket,
    echo: Echo,
}

impl Asked {
    fn open(target: IpAddr, interface: Option<&str>) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = match target {
            IpAddr::V4(_) => Socket::new_raw(Domain::IPV4, kind, Some(Protocol::ICMPV4))?,
            IpAddr::V6(_) => Socket::new_raw(Domain::IPV6, kind, Some(Protocol::ICMPV6))?,
        };
        if let Some(interface) = interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        // Only what comes from there is received.
        socket.connect(&SocketAddr::new(target, 0).into())?;
        let echo = Echo { nonce: RandomState::new().build_hasher().finish() };
        Ok(Self { target, socket, echo })
    }

    fn send(&self) -> io::Result<()> {
        self.socket.send(&self.echo.request(self.target.is_ipv6())).map(drop)
    }

    /// Whether the answer is among what has come.
    fn is_answered(&self) -> bool {
        let mut buffer = [0; 128];
        // What others send from there as well ends with the socket's queue, at the latest.
        for _ in 0..1024 {
            match recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let received = buffer.get(..length).unwrap_or_default();
                    if self.echo.is_answered_by(self.target.is_ipv6(), received) {
                        return true;
                    }
                }
                // An ICMP error that came for it, once.
                Err(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::CONNREFUSED | Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        false
    }
}

fn first_answer(asked: &[Asked], until: Instant) -> io::Result<Option<IpAddr>> {
    loop {
        if let Some(one) = asked.iter().find(|one| one.is_answered()) {
            return Ok(Some(one.target));
        }
        let left = until.saturating_duration_since(Clock::now());
        if left.is_zero() {
            return Ok(None);
        }
        let timeout = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut all: Vec<PollFd<'_>> =
            asked.iter().map(|one| PollFd::new(&one.socket, PollFlags::IN)).collect();
        match poll(&mut all, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
