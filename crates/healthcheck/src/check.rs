//! What to check.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

#[cfg(feature = "tls")]
use crate::Tls;
use crate::machine::{Machine, Output};
use crate::{
    DnsCheck, DnsQuery, ExchangeCheck, Failure, FileCheck, Http, HttpCheck, Outcome, PingCheck,
    Script, Smtp, SmtpCheck, TcpCheck, Timing, Udp, UdpCheck,
};

/// The caller's number for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an identifier is its number and nothing else")]
pub struct CheckId(pub u64);

/// Which machine runs, over which transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The server completes a TCP handshake; the connection is then reset, so that it costs the server nothing more.
    Tcp,
    /// Over TCP: the server's first bytes, after ours if there are any, begin as expected.
    Exchange {
        /// Sent when connected; empty for a server that speaks first.
        send: Arc<[u8]>,
        /// What the answer must begin with.
        expect: Arc<[u8]>,
    },
    /// Over TCP: HTTP requests, answered as wanted. With [`Check::tls`]: HTTPS.
    Http(Http),
    /// Over TCP: a mail server greets.
    Smtp(Smtp),
    /// A datagram meets no ICMP error, or the wanted answer.
    Udp(Udp),
    /// A name server answers a query over UDP.
    Dns(DnsQuery),
    /// The host answers an ICMP echo request; the port does not matter.
    Ping,
}

impl Kind {
    /// A fresh run against `target`; `seed` decides what is left to chance.
    fn run(&self, target: SocketAddr, seed: u64) -> AnyMachine {
        let [.., high, low] = seed.to_be_bytes();
        match self {
            Self::Http(http) => AnyMachine::Http(Box::new(HttpCheck::new(http.clone(), target))),
            Self::Smtp(smtp) => AnyMachine::Smtp(SmtpCheck::new(smtp.clone())),
            Self::Udp(udp) => AnyMachine::Udp(UdpCheck::new(udp.clone())),
            Self::Dns(query) => {
                AnyMachine::Dns(DnsCheck::new(query, u16::from_be_bytes([high, low])))
            }
            Self::Ping => AnyMachine::Ping(Box::new(PingCheck::new(target.is_ipv6(), seed))),
            Self::Tcp => AnyMachine::Tcp(TcpCheck::new()),
            Self::Exchange { send, expect } => {
                AnyMachine::Exchange(ExchangeCheck::new(Arc::clone(send), Arc::clone(expect)))
            }
        }
    }
}

/// Where connections come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    address: Option<SocketAddr>,
    interface: Option<String>,
    mark: Option<u32>,
}

impl Source {
    /// The kernel's choice.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The local address; port 0 lets the kernel choose one.
    #[must_use]
    pub fn address(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The interface (`SO_BINDTODEVICE`).
    #[must_use]
    pub fn interface(self, name: impl Into<String>) -> Self {
        Self { interface: Some(name.into()), ..self }
    }

    /// The firewall mark of the packets (`SO_MARK`, needs `CAP_NET_ADMIN`).
    #[must_use]
    pub fn mark(self, mark: u32) -> Self {
        Self { mark: Some(mark), ..self }
    }

    pub(crate) fn parts(&self) -> (Option<SocketAddr>, Option<&str>, Option<u32>) {
        (self.address, self.interface.as_deref(), self.mark)
    }
}

/// A server to connect to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) target: SocketAddr,
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Server(Server),
    Script(Script),
    File(FileCheck),
}

/// One check of one server. Checks that are equal share their runs in a [`Driver`](crate::Driver); a clone costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts {
    subject: Subject,
    timing: Timing,
}

impl Check {
    fn of(subject: Subject) -> Self {
        Self(Arc::new(Parts { subject, timing: Timing::new() }))
    }

    /// A check of `target` with the default [`Timing`].
    #[must_use]
    pub fn new(target: SocketAddr, kind: Kind) -> Self {
        let server = Server {
            target,
            kind,
            source: Source::new(),
            #[cfg(feature = "tls")]
            tls: None,
        };
        Self::of(Subject::Server(server))
    }

    /// A check by a program with the default [`Timing`].
    #[must_use]
    pub fn script(script: Script) -> Self {
        Self::of(Subject::Script(script))
    }

    /// A check by a file with the default [`Timing`].
    #[must_use]
    pub fn file(file: FileCheck) -> Self {
        Self::of(Subject::File(file))
    }

    /// Sets where connections come from. Scripts and files have none.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        if let Subject::Server(server) = &mut Arc::make_mut(&mut self.0).subject {
            server.source = source;
        }
        self
    }

    /// Speaks TLS on the connection. Kinds that have none ([`Kind::Udp`], [`Kind::Dns`], [`Kind::Ping`]), scripts and files stay as they are.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        if let Subject::Server(server) = &mut Arc::make_mut(&mut self.0).subject {
            server.tls = Some(tls);
        }
        self
    }

    /// Sets the times and counts.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        Arc::make_mut(&mut self.0).timing = timing;
        self
    }

    /// The server, if the check connects to one.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        match &self.0.subject {
            Subject::Server(server) => Some(server.target),
            Subject::Script(_) | Subject::File(_) => None,
        }
    }

    /// Which machine runs, if the check connects to a server.
    #[must_use]
    pub fn kind(&self) -> Option<&Kind> {
        match &self.0.subject {
            Subject::Server(server) => Some(&server.kind),
            Subject::Script(_) | Subject::File(_) => None,
        }
    }

    /// The outcome that holds until the first result.
    #[must_use]
    pub fn assumed(&self) -> Outcome {
        self.0.timing.assumed()
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.0.subject
    }

    pub(crate) fn times(&self) -> &Timing {
        &self.0.timing
    }
}

/// Every machine in one type, so that a run of a small one needs no allocation.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    Http(Box<HttpCheck>),
    Smtp(SmtpCheck),
    Udp(UdpCheck),
    Dns(DnsCheck),
    Ping(Box<PingCheck>),
    Tcp(TcpCheck),
    Exchange(ExchangeCheck),
}

impl AnyMachine {
    pub(crate) fn of(server: &Server, seed: u64) -> Self {
        server.kind.run(server.target, seed)
    }

    pub(crate) fn inner(&mut self) -> &mut dyn Machine {
        match self {
            Self::Http(machine) => &mut **machine,
            Self::Smtp(machine) => machine,
            Self::Udp(machine) => machine,
            Self::Dns(machine) => machine,
            Self::Ping(machine) => &mut **machine,
            Self::Tcp(machine) => machine,
            Self::Exchange(machine) => machine,
        }
    }

    pub(crate) fn handle_closed(&mut self, failure: Option<Failure>) {
        self.inner().handle_closed(failure);
    }

    pub(crate) fn handle_timeout(&mut self, after: Duration) {
        self.inner().handle_timeout(after);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<'_>> {
        self.inner().poll_output()
    }
}
