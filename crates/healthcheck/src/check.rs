//! What to check.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::machine::{Machine, Output};
use crate::{ExchangeCheck, Failure, FileCheck, Outcome, Script, TcpCheck, Timing};

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
}

impl Kind {
    /// A fresh run.
    fn run(&self, _seed: u64) -> AnyMachine {
        match self {
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

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Server { target: SocketAddr, kind: Kind, source: Source },
    Script(Script),
    File(FileCheck),
}

/// One check of one server. Checks that are equal share their runs in a [`Driver`](crate::Driver).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    subject: Subject,
    timing: Timing,
}

impl Check {
    /// A check of `target` with the default [`Timing`].
    #[must_use]
    pub fn new(target: SocketAddr, kind: Kind) -> Self {
        let subject = Subject::Server { target, kind, source: Source::new() };
        Self { subject, timing: Timing::new() }
    }

    /// A check by a program with the default [`Timing`].
    #[must_use]
    pub fn script(script: Script) -> Self {
        Self { subject: Subject::Script(script), timing: Timing::new() }
    }

    /// A check by a file with the default [`Timing`].
    #[must_use]
    pub fn file(file: FileCheck) -> Self {
        Self { subject: Subject::File(file), timing: Timing::new() }
    }

    /// Sets where connections come from. Scripts and files have none.
    #[must_use]
    pub fn source(mut self, new: Source) -> Self {
        if let Subject::Server { source, .. } = &mut self.subject {
            *source = new;
        }
        self
    }

    /// Sets the times and counts.
    #[must_use]
    pub fn timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The server, if the check connects to one.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        match &self.subject {
            Subject::Server { target, .. } => Some(*target),
            Subject::Script(_) | Subject::File(_) => None,
        }
    }

    /// Which machine runs, if the check connects to a server.
    #[must_use]
    pub fn kind(&self) -> Option<&Kind> {
        match &self.subject {
            Subject::Server { kind, .. } => Some(kind),
            Subject::Script(_) | Subject::File(_) => None,
        }
    }

    /// The outcome that holds until the first result.
    #[must_use]
    pub fn assumed(&self) -> Outcome {
        self.timing.assumed()
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn times(&self) -> &Timing {
        &self.timing
    }
}

/// Every machine in one type, so that a run needs no allocation.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    Tcp(TcpCheck),
    Exchange(ExchangeCheck),
}

impl AnyMachine {
    pub(crate) fn of(kind: &Kind, seed: u64) -> Self {
        kind.run(seed)
    }

    pub(crate) fn inner(&mut self) -> &mut dyn Machine {
        match self {
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
