//! Asking the kernel.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use netlink::{Protocol, Request, RequestError, Socket, errno};

use crate::apply::Report;
use crate::attrs::{FAMILY, command};
use crate::backend::Backend;
use crate::command::Command;
use crate::connection::Connections;
use crate::daemon::{Information, SyncDaemon, Timeouts};
use crate::error::{CommandError, OpenError, ReadCause, ReadError};
use crate::key::ServiceKey;
use crate::namespace;
use crate::reply::{self, DestinationStatus, ReplyError, ServiceStatus};
use crate::request;
use crate::table::Table;

/// Commands whose messages are in memory at a time: as many as go into two `send`s.
const CHUNK: usize = 400;

/// A connection to the IPVS of one network namespace: that of the thread that opened it.
///
/// Every call blocks until the kernel has answered. Nothing is undone when the client is dropped.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    family: u16,
    namespace: OwnedFd,
}

impl Client {
    /// Opens IPVS in the network namespace of the calling thread; the kernel loads its module if it may.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoIpvs`] without kernel support, [`OpenError::NotPermitted`] without privilege.
    pub fn open() -> Result<Self, OpenError> {
        let namespace = namespace::current().map_err(|error| OpenError::namespace(&error))?;
        let mut socket = Socket::open(Protocol::Generic)?;
        let family = socket.family(FAMILY)?;
        let mut client = Self { socket, family, namespace };
        // Finding the family needs no privilege, anything else does.
        client.information()?;
        Ok(client)
    }

    /// Opens IPVS in another network namespace, given by a descriptor of its `/proc/PID/ns/net` or `/run/netns/NAME`. The calling thread
    /// stays where it is; a short-lived one goes there, which needs `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Namespace`] if it cannot be entered, else as [`open`](Self::open).
    pub fn open_in(namespace: impl AsFd) -> Result<Self, OpenError> {
        let opened = namespace::inside(namespace.as_fd(), Self::open);
        opened.map_err(|error| OpenError::namespace(&error))?
    }

    /// The connections of the client's namespace, at most `limit`, with the data of persistence engines. The kernel walks its whole table
    /// for it, and connections come and go meanwhile.
    ///
    /// # Errors
    ///
    /// Those of reading `/proc/net/ip_vs_conn`, and from another namespace those of entering the client's.
    pub fn connections(&self, limit: usize) -> io::Result<Connections> {
        namespace::connections(self.namespace.as_fd(), "ip_vs_conn", limit)
    }

    /// The same with the origin of each connection instead of the data of persistence engines.
    ///
    /// # Errors
    ///
    /// Those of reading `/proc/net/ip_vs_conn_sync`, and from another namespace those of entering the client's.
    pub fn connections_with_origins(&self, limit: usize) -> io::Result<Connections> {
        namespace::connections(self.namespace.as_fd(), "ip_vs_conn_sync", limit)
    }

    /// Version and size.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn information(&mut self) -> Result<Information, ReadError> {
        self.question(
            "information about IPVS",
            |family| request::ask(family, command::GET_INFO),
            reply::information,
        )
    }

    /// The timeouts of connections.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn timeouts(&mut self) -> Result<Timeouts, ReadError> {
        self.question(
            "timeouts",
            |family| request::ask(family, command::GET_CONFIG),
            reply::timeouts,
        )
    }

    /// The running sync daemons, at most one of each role.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, ReadError> {
        self.list("sync daemons", |family| request::ask(family, command::GET_DAEMON), reply::daemon)
    }

    /// Every service with its counters, in no particular order. If others change the table meanwhile, one may be
    /// missing or come twice: the kernel does not notice.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn services(&mut self) -> Result<Vec<ServiceStatus>, ReadError> {
        self.list("services", |family| request::ask(family, command::GET_SERVICE), reply::service)
    }

    /// One service with its counters, if it exists.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn service(&mut self, key: &ServiceKey) -> Result<Option<ServiceStatus>, ReadError> {
        let ask = |family| request::ask_service(family, command::GET_SERVICE, key);
        match self.question(&format!("service {key}"), ask, reply::service) {
            Ok(status) => Ok(Some(status)),
            Err(ReadError { cause: ReadCause::Request(cause), .. })
                if cause.errno() == Some(errno::ESRCH) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The destinations of a service with their counters. A service that does not exist has none.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn destinations(&mut self, key: &ServiceKey) -> Result<Vec<DestinationStatus>, ReadError> {
        let ask = |family| request::ask_service(family, command::GET_DEST, key);
        let read = |payload: &[u8]| reply::destination(payload, key.family());
        self.list(&format!("destinations of service {key}"), ask, read)
    }

    /// The services that `of_interest` picks by their keys, with their destinations.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn table(
        &mut self,
        mut of_interest: impl FnMut(&ServiceKey) -> bool,
    ) -> Result<Table, ReadError> {
        Backend::table(self, &mut of_interest)
    }

    /// Brings the kernel's table to `desired`, touching only what is in `owned` or did not exist: see [`Backend::apply`].
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the table cannot be read.
    pub fn apply(
        &mut self,
        desired: &Table,
        owned: &BTreeSet<ServiceKey>,
    ) -> Result<Report, ReadError> {
        Backend::apply(self, desired, owned)
    }

    /// Does commands in order, in few system calls; the result at index `i` belongs to `commands[i]`.
    ///
    /// Commands after a failed one are still done, and nothing is done twice.
    pub fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), CommandError>> {
        let mut results = Vec::with_capacity(commands.len());
        // Messages of all of them at once would take more time for memory than for the kernel's work.
        for chunk in commands.chunks(CHUNK) {
            let requests: Vec<_> =
                chunk.iter().map(|command| request::change(self.family, command)).collect();
            let answers = chunk.iter().zip(self.socket.batch(&requests));
            results.extend(answers.map(|(command, result)| {
                result.map_err(|cause| CommandError::failed(command, cause))
            }));
        }
        results
    }

    /// Asks for one object.
    fn question<T>(
        &mut self,
        what: &str,
        ask: impl Fn(u16) -> Request,
        read: impl Fn(&[u8]) -> Result<T, ReplyError>,
    ) -> Result<T, ReadError> {
        let mut answer = None;
        let result =
            self.socket.query(&ask(self.family), |_, payload| answer = Some(read(payload)));
        let failed = |cause| ReadError { what: what.to_owned(), cause };
        result.map_err(|cause| failed(ReadCause::Request(cause)))?;
        let missing = || ReadCause::Request(RequestError::NoAnswer);
        answer.ok_or_else(|| failed(missing()))?.map_err(|cause| failed(ReadCause::Reply(cause)))
    }

    /// Asks for a list of objects.
    fn list<T>(
        &mut self,
        what: &str,
        ask: impl Fn(u16) -> Request,
        read: impl Fn(&[u8]) -> Result<T, ReplyError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut answers = Vec::new();
        let result = self.socket.dump(&ask(self.family), |_, payload| answers.push(read(payload)));
        let failed = |cause| ReadError { what: what.to_owned(), cause };
        result.map_err(|cause| failed(ReadCause::Request(cause)))?;
        answers
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|cause| failed(ReadCause::Reply(cause)))
    }
}
