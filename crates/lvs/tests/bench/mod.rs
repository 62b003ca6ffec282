//! What the director's tests share: a table in memory that records and refuses, and a director in virtual time.
#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::allow_attributes, reason = "which part is unused differs between the targets")]
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use healthcheck::Timing;
use ipvs::{
    Command, Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey,
    SyncDaemon, Table,
};
use lvs::{
    Config, Director, DirectorBuilder, EventKind, Kernel, KernelError, MemoryKernel, RealServer,
    ServiceConfig, Traffic,
};
use reactor::{Clock, Events, Interest, Reactor, Token};
use socket2::{Domain, Socket, Type};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Listens on an address that tests do not share, so that a port that is given up is not taken by another test.
pub(crate) fn listen(address: &str) -> TcpListener {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.into()
}

pub(crate) fn timing() -> Timing {
    Timing::new()
        .interval(Duration::from_secs(6))
        .timeout(Duration::from_secs(3))
        .retries(1)
        .start_jitter(Duration::ZERO)
}

pub(crate) fn key(port: u16) -> ServiceKey {
    ServiceKey::tcp(IpAddr::from([192, 0, 2, 1]), port)
}

pub(crate) fn service(port: u16) -> Service {
    Service::new(key(port), Scheduler::RoundRobin)
}

pub(crate) fn destination(address: SocketAddr) -> Destination {
    Destination::new(DestinationKey::from(address), ForwardingMethod::DirectRoute)
}

pub(crate) fn checked(listener: &TcpListener) -> RealServer {
    RealServer::new(destination(listener.local_addr().unwrap())).tcp_check(timing())
}

/// A service of one real server without checks.
pub(crate) fn unchecked(service_port: u16, port: u16) -> ServiceConfig {
    let address = SocketAddr::new(IpAddr::from([198, 51, 100, 1]), port);
    ServiceConfig::new(service(service_port)).real_server(RealServer::new(destination(address)))
}

/// Ports of the destinations of a service, with their weights.
pub(crate) fn weights(table: &Table, port: u16) -> Option<Vec<(u16, u32)>> {
    let entry = table.service(&key(port))?;
    Some(entry.destinations().map(|d| (d.key().port, d.weight().value())).collect())
}

pub(crate) fn builder(
    config: Config,
    directory: &Path,
    kernel: &(impl Kernel + Clone + 'static),
) -> DirectorBuilder {
    Director::builder(config).run_directory(directory).kernel(kernel.clone())
}

/// A director, the virtual time, and a real wait for its descriptor.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) director: Director,
    pub(crate) now: Instant,
    reactor: Reactor,
    batch: Events,
}

impl Bench {
    pub(crate) fn new(director: Director) -> Self {
        let mut reactor = Reactor::new().unwrap();
        reactor.register(&director, Interest::Readable, Token(0)).unwrap();
        Self { director, now: Clock::now(), reactor, batch: Events::with_capacity(4) }
    }

    fn is_checking(&self) -> bool {
        let status = self.director.status(self.now);
        let mut checks = status
            .services
            .iter()
            .flat_map(|service| &service.real_servers)
            .flat_map(|server| &server.checks);
        checks.any(|check| check.status.running)
    }

    /// Everything that is due at the present virtual time, to its end.
    pub(crate) fn settle(&mut self) -> Vec<EventKind> {
        self.director.process(self.now).unwrap();
        while self.is_checking() {
            self.reactor.wait(Some(Clock::now() + PATIENCE), &mut self.batch).unwrap();
            assert!(
                self.batch.next(&self.reactor).is_some(),
                "nothing happened on the connections"
            );
            self.director.process(self.now).unwrap();
        }
        let events = self.director.events();
        core::iter::from_fn(|| events.try_recv()).map(|event| event.kind).collect()
    }

    /// As [`Bench::settle`], after so much virtual time, with everything that comes due in it.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<EventKind> {
        let end = self.now + time;
        let mut events = self.settle();
        while let Some(next) = self.director.poll_timeout().filter(|&next| next <= end) {
            self.now = next;
            events.extend(self.settle());
        }
        self.now = end;
        events
    }
}

/// Only what is told of single real servers going up or down.
pub(crate) fn health(mut events: Vec<EventKind>) -> Vec<EventKind> {
    events.retain(|event| matches!(event, EventKind::RealServer { .. }));
    events
}

pub(crate) const EPERM: i32 = 1;

/// A kernel that keeps what it was told to do, and refuses what a test says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) inner: MemoryKernel,
    told: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<Option<&'static str>>>,
    unreadable: Arc<AtomicBool>,
}

impl Recorder {
    /// The commands since the last call.
    pub(crate) fn told(&self) -> Vec<String> {
        core::mem::take(&mut self.told.lock().unwrap())
    }

    /// From now on refuses commands that contain this text.
    pub(crate) fn refuse(&self, text: Option<&'static str>) {
        *self.refused.lock().unwrap() = text;
    }

    pub(crate) fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.store(unreadable, Ordering::Relaxed);
    }
}

impl Kernel for Recorder {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        if self.unreadable.load(Ordering::Relaxed) {
            return Err(KernelError::unreadable(EPERM));
        }
        self.inner.read(services)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        let refused = *self.refused.lock().unwrap();
        commands
            .iter()
            .map(|command| {
                let text = command.to_string();
                let refuse = refused.is_some_and(|part| text.contains(part));
                self.told.lock().unwrap().push(text);
                if refuse {
                    Err(KernelError::refused(command, EPERM))
                } else {
                    self.inner.change(command)
                }
            })
            .collect()
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.inner.traffic(services)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        self.inner.daemons()
    }
}
