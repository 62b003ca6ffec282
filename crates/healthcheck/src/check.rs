//! What to check.

use core::net::SocketAddr;
use std::sync::Arc;

use crate::machine::{Machine, Output};
use crate::{ExchangeCheck, Failure, Outcome, TcpCheck, Timing};

/// The caller's number for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an identifier is its number and nothing else")]
pub struct CheckId(pub u64);

/// Which machine runs, over which transport.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(crate) fn run(&self) -> AnyMachine {
        match self {
            Self::Tcp => AnyMachine::Tcp(TcpCheck::new()),
            Self::Exchange { send, expect } => {
                AnyMachine::Exchange(ExchangeCheck::new(Arc::clone(send), Arc::clone(expect)))
            }
        }
    }
}

/// Where connections come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// One check of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    target: SocketAddr,
    kind: Kind,
    source: Source,
    timing: Timing,
}

impl Check {
    /// A check of `target` with the default [`Timing`].
    #[must_use]
    pub fn new(target: SocketAddr, kind: Kind) -> Self {
        Self { target, kind, source: Source::new(), timing: Timing::new() }
    }

    /// Sets where connections come from.
    #[must_use]
    pub fn source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Sets the times and counts.
    #[must_use]
    pub fn timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The server.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// Which machine runs.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The outcome that holds until the first result.
    #[must_use]
    pub fn assumed(&self) -> Outcome {
        self.timing.assumed()
    }

    pub(crate) fn parts(&self) -> (&Source, &Timing) {
        (&self.source, &self.timing)
    }
}

/// Every machine in one type, so that a run needs no allocation.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    Tcp(TcpCheck),
    Exchange(ExchangeCheck),
}

impl AnyMachine {
    fn inner(&mut self) -> &mut dyn Machine {
        match self {
            Self::Tcp(machine) => machine,
            Self::Exchange(machine) => machine,
        }
    }
}

impl Machine for AnyMachine {
    fn handle_connected(&mut self) {
        self.inner().handle_connected();
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        self.inner().handle_data(bytes);
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.inner().handle_closed(failure);
    }

    fn handle_timeout(&mut self, after: core::time::Duration) {
        self.inner().handle_timeout(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        self.inner().poll_output()
    }
}
