//! A kernel in memory, for tests.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use netlink::{Refusal, RequestError, errno};

use crate::backend::Backend;
use crate::command::Command;
use crate::daemon::{Information, SyncDaemon, SyncRole, Timeouts};
use crate::destination::{Destination, ForwardingMethod};
use crate::error::{CommandError, ReadCause, ReadError};
use crate::key::{AddressFamily, DestinationKey, ServiceKey};
use crate::reply::{DestinationStatus, ServiceStatus};
use crate::scheduler::{Name, Scheduler};
use crate::service::Service;
use crate::statistics::Statistics;
use crate::table::{Entry, Table};

/// The kernel multiplies timeouts by its timer frequency in 31 bits; this is the shortest limit, that of 1,000 Hz.
const MAX_TIMEOUT: Duration = Duration::from_secs(0x7fff_ffff / 1000);
/// `IP_VS_SYNC_PORT`, and what else a sync daemon gets that is not asked for.
const SYNC_PORT: u16 = 8848;
const SYNC_GROUP: [u8; 4] = [224, 0, 0, 81];
/// Octets of the headers of IP and UDP, which a message has no room for.
const HEADERS_IPV4: u16 = 20 + 8;
const HEADERS_IPV6: u16 = 40 + 8;
/// The MTU of an Ethernet link, which a master fills if it is not told otherwise.
const ETHERNET: u16 = 1500;
/// A backup's buffer is never smaller.
const SYNC_MESSAGE_BACKUP: u16 = 1024;

/// An IPVS in memory that answers as the kernel's does (Linux 6.1), errors included: for the tests of code that uses a [`Backend`].
///
/// It has every scheduler of [`Scheduler::KNOWN`], the persistence engine `sip`, and the interfaces `lo` and `eth0`; take some away to
/// see what your program says. It forwards nothing: counters are 0 until set.
///
/// ```
/// use ipvs::{Backend, Command, FakeKernel, Scheduler, Service};
///
/// let mut kernel = FakeKernel::new();
/// kernel.remove_scheduler(&Scheduler::MaglevHash);
/// let service = Service::new("tcp/192.0.2.1:80".parse()?, Scheduler::MaglevHash);
/// let results = kernel.execute(&[Command::NewService(service)]);
/// assert!(results[0].as_ref().unwrap_err().to_string().contains("modprobe ip_vs_mh"));
/// # Ok::<(), ipvs::ParseKeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeKernel {
    table: Table,
    connections: BTreeMap<(ServiceKey, DestinationKey), (u32, u32)>,
    statistics: BTreeMap<ServiceKey, Statistics>,
    daemons: BTreeMap<SyncRole, SyncDaemon>,
    timeouts: Timeouts,
    schedulers: BTreeSet<Scheduler>,
    engines: BTreeSet<Name>,
    /// With their MTUs.
    interfaces: BTreeMap<Name, u32>,
    refusal: Option<i32>,
}

impl Default for FakeKernel {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeKernel {
    /// An IPVS without services, as after `modprobe ip_vs`.
    #[must_use]
    pub fn new() -> Self {
        let seconds = Duration::from_secs;
        let interfaces = [("lo", 65_536), ("eth0", u32::from(ETHERNET))];
        let interface = |(name, mtu): (&str, u32)| Some((name.parse().ok()?, mtu));
        Self {
            table: Table::new(),
            connections: BTreeMap::new(),
            statistics: BTreeMap::new(),
            daemons: BTreeMap::new(),
            timeouts: Timeouts { tcp: seconds(900), tcp_fin: seconds(120), udp: seconds(300) },
            schedulers: Scheduler::KNOWN.into(),
            engines: "sip".parse().into_iter().collect(),
            interfaces: interfaces.into_iter().filter_map(interface).collect(),
            refusal: None,
        }
    }

    /// Takes away a scheduler, as if its module could not be loaded. Services that have it keep it.
    pub fn remove_scheduler(&mut self, scheduler: &Scheduler) {
        self.schedulers.remove(scheduler);
    }

    /// Takes away a persistence engine.
    pub fn remove_engine(&mut self, engine: &Name) {
        self.engines.remove(engine);
    }

    /// Gives it another interface for sync daemons, with an MTU.
    pub fn add_interface(&mut self, interface: Name, mtu: u32) {
        self.interfaces.insert(interface, mtu);
    }

    /// From now on everything is refused with this (positive) error number, until `None`. `EPERM` (1) is what
    /// a program without privilege meets.
    pub fn refuse_all(&mut self, errno: Option<i32>) {
        self.refusal = errno;
    }

    /// Sets how many active and inactive connections a destination has.
    pub fn set_connections(
        &mut self,
        service: ServiceKey,
        destination: DestinationKey,
        active: u32,
        inactive: u32,
    ) {
        self.connections.insert((service, destination), (active, inactive));
    }

    /// Sets the counters of a service.
    pub fn set_statistics(&mut self, service: ServiceKey, statistics: Statistics) {
        self.statistics.insert(service, statistics);
    }

    fn readable(&self, what: &str) -> Result<(), ReadError> {
        self.refusal.map_or(Ok(()), |errno| {
            let cause = ReadCause::Request(RequestError::Refused(Refusal::new(errno)));
            Err(ReadError { what: what.to_owned(), cause })
        })
    }

    fn status(&self, service: &Service) -> ServiceStatus {
        let statistics = self.statistics.get(&service.key()).copied().unwrap_or_default();
        ServiceStatus { service: service.clone(), statistics }
    }

    /// Does one command, or says with which error number the kernel would refuse it.
    fn change(&mut self, command: &Command) -> Result<(), i32> {
        if let Some(errno) = self.refusal {
            return Err(errno);
        }
        match command {
            Command::NewService(service) => {
                if self.table.contains(&service.key()) {
                    return Err(errno::EEXIST);
                }
                self.modules(service)?;
            }
            Command::SetService(service) => {
                if !self.table.contains(&service.key()) {
                    return Err(errno::ESRCH);
                }
                self.modules(service)?;
            }
            Command::NewDestination(key, destination) => {
                let entry = self.table.service(key).ok_or(errno::ESRCH)?;
                self.families(key, destination)?;
                if entry.destination(&destination.key()).is_none() && !is_usable(destination) {
                    return Err(errno::EINVAL);
                }
            }
            Command::SetDestination(key, destination) => {
                self.table.service(key).ok_or(errno::ESRCH)?;
                self.families(key, destination)?;
            }
            Command::SetTimeouts(timeouts) => return self.set_timeouts(timeouts),
            Command::StartDaemon(daemon) => return self.start(daemon),
            Command::StopDaemon(role) => {
                return self.daemons.remove(role).map(drop).ok_or(errno::ESRCH);
            }
            Command::DelService(_)
            | Command::DelDestination(..)
            | Command::Zero(_)
            | Command::Flush => {}
        }
        self.table.execute(command)?;
        if let Command::Zero(zeroed) = command {
            self.statistics.retain(|key, _| zeroed.is_some_and(|zeroed| zeroed != *key));
        }
        // What is gone has no counters.
        let table = &self.table;
        self.statistics.retain(|key, _| table.contains(key));
        self.connections.retain(|(key, destination), _| {
            table.service(key).is_some_and(|entry| entry.destination(destination).is_some())
        });
        Ok(())
    }

    /// Scheduler and persistence engine have to be there.
    fn modules(&self, service: &Service) -> Result<(), i32> {
        let engine = service.persistence().and_then(|persistence| persistence.engine());
        let there = self.schedulers.contains(service.scheduler())
            && engine.is_none_or(|engine| self.engines.contains(engine));
        if there { Ok(()) } else { Err(errno::ENOENT) }
    }

    /// Only tunnels lead to the other family, and not with connections being synchronised.
    fn families(&self, key: &ServiceKey, destination: &Destination) -> Result<(), i32> {
        let tunnelled = matches!(destination.method(), ForwardingMethod::Tunnel(_));
        if is_mixed(key, destination) && (!tunnelled || !self.daemons.is_empty()) {
            return Err(errno::EINVAL);
        }
        Ok(())
    }

    fn set_timeouts(&mut self, wanted: &Timeouts) -> Result<(), i32> {
        let Timeouts { tcp, tcp_fin, udp } = *wanted;
        if [tcp, tcp_fin, udp].iter().any(|timeout| *timeout > MAX_TIMEOUT) {
            return Err(errno::EINVAL);
        }
        let present = &mut self.timeouts;
        for (present, wanted) in
            [(&mut present.tcp, tcp), (&mut present.tcp_fin, tcp_fin), (&mut present.udp, udp)]
        {
            if wanted.as_secs() != 0 {
                *present = Duration::from_secs(wanted.as_secs());
            }
        }
        Ok(())
    }

    fn start(&mut self, wanted: &SyncDaemon) -> Result<(), i32> {
        let mixed = self
            .table
            .iter()
            .any(|(key, entry)| entry.destinations().any(|destination| is_mixed(key, destination)));
        let group = wanted.group.unwrap_or(SYNC_GROUP.into());
        if mixed || !group.is_multicast() {
            return Err(errno::EINVAL);
        }
        let mtu = *self.interfaces.get(&wanted.interface).ok_or(errno::ENODEV)?;
        if self.daemons.contains_key(&wanted.role) {
            return Err(errno::EEXIST);
        }
        let headers = match AddressFamily::of(&group) {
            AddressFamily::Ipv4 => HEADERS_IPV4,
            AddressFamily::Ipv6 => HEADERS_IPV6,
        };
        let (mtu, shortest) = match wanted.role {
            SyncRole::Master => (ETHERNET, 1),
            SyncRole::Backup => {
                (u16::try_from(mtu).unwrap_or(u16::MAX).max(ETHERNET), SYNC_MESSAGE_BACKUP)
            }
        };
        let asked = wanted.max_message_len.filter(|&len| len != 0);
        let len = asked.map(|len| len.clamp(shortest, u16::MAX.saturating_sub(headers)));
        let started = SyncDaemon {
            max_message_len: len.or(Some(mtu.saturating_sub(headers))),
            group: Some(group),
            port: Some(wanted.port.filter(|&port| port != 0).unwrap_or(SYNC_PORT)),
            ttl: Some(wanted.ttl.filter(|&ttl| ttl != 0).unwrap_or(1)),
            ..SyncDaemon::new(wanted.role, wanted.interface.clone(), wanted.sync_id)
        };
        self.daemons.insert(wanted.role, started);
        Ok(())
    }
}

impl Backend for FakeKernel {
    fn information(&mut self) -> Result<Information, ReadError> {
        self.readable("information about IPVS")?;
        Ok(Information { version: (1, 2, 1), connection_table_size: 4096 })
    }

    fn timeouts(&mut self) -> Result<Timeouts, ReadError> {
        self.readable("timeouts")?;
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, ReadError> {
        self.readable("sync daemons")?;
        Ok(self.daemons.values().cloned().collect())
    }

    fn services(&mut self) -> Result<Vec<ServiceStatus>, ReadError> {
        self.readable("services")?;
        Ok(self.table.iter().map(|(_, entry)| self.status(entry.service())).collect())
    }

    fn service(&mut self, key: &ServiceKey) -> Result<Option<ServiceStatus>, ReadError> {
        self.readable(&format!("service {key}"))?;
        Ok(self.table.service(key).map(|entry| self.status(entry.service())))
    }

    fn destinations(&mut self, key: &ServiceKey) -> Result<Vec<DestinationStatus>, ReadError> {
        self.readable(&format!("destinations of service {key}"))?;
        let entry = self.table.service(key);
        let destinations = entry.into_iter().flat_map(Entry::destinations);
        let status = |destination: &Destination| {
            let (active, inactive) =
                self.connections.get(&(*key, destination.key())).copied().unwrap_or_default();
            DestinationStatus {
                destination: *destination,
                active_connections: active,
                inactive_connections: inactive,
                persistent_connections: 0,
                statistics: Statistics::default(),
            }
        };
        Ok(destinations.map(status).collect())
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), CommandError>> {
        let refused = |command, errno| {
            CommandError::failed(command, RequestError::Refused(Refusal::new(errno)))
        };
        let one = |command| self.change(command).map_err(|errno| refused(command, errno));
        commands.iter().map(one).collect()
    }
}

/// Whether packets of one family go to a server of the other.
fn is_mixed(key: &ServiceKey, destination: &Destination) -> bool {
    AddressFamily::of(&destination.key().address) != key.family()
}

/// Whether a packet can be sent to the address, as far as that can be said without interfaces.
fn is_usable(destination: &Destination) -> bool {
    match destination.key().address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first != 0 && !address.is_multicast() && !address.is_broadcast()
        }
        IpAddr::V6(address) => {
            !address.is_unspecified() && !address.is_multicast() && !address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Service {
        Service::new("tcp/192.0.2.1:80".parse().unwrap(), Scheduler::RoundRobin)
    }

    fn errnos(kernel: &mut FakeKernel, commands: &[Command]) -> Vec<Option<i32>> {
        let results = kernel.execute(commands);
        results.iter().map(|result| result.as_ref().err().and_then(CommandError::errno)).collect()
    }

    #[test]
    fn counters_follow_their_objects() {
        let mut kernel = FakeKernel::new();
        let key = web().key();
        let server = Destination::new("10.0.0.1:80".parse().unwrap(), ForwardingMethod::Masquerade);
        let make = [Command::NewService(web()), Command::NewDestination(key, server)];
        assert_eq!(errnos(&mut kernel, &make), [None, None]);
        kernel.set_connections(key, server.key(), 3, 4);
        kernel.set_statistics(key, Statistics { connections: 7, ..Statistics::default() });
        let status = kernel.destinations(&key).unwrap().remove(0);
        assert_eq!((status.active_connections, status.inactive_connections), (3, 4));
        assert_eq!(kernel.service(&key).unwrap().unwrap().statistics.connections, 7);
        assert_eq!(errnos(&mut kernel, &[Command::Zero(Some(key))]), [None]);
        assert_eq!(kernel.service(&key).unwrap().unwrap().statistics.connections, 0);
        let remake =
            [Command::DelDestination(key, server.key()), Command::NewDestination(key, server)];
        assert_eq!(errnos(&mut kernel, &remake), [None, None]);
        assert_eq!(kernel.destinations(&key).unwrap().remove(0).active_connections, 0);
    }

    #[test]
    fn without_privilege_nothing_works() {
        let mut kernel = FakeKernel::new();
        kernel.refuse_all(Some(errno::EPERM));
        assert!(kernel.services().unwrap_err().to_string().contains("CAP_NET_ADMIN"));
        let error = kernel.execute(&[Command::NewService(web())]).remove(0).unwrap_err();
        assert!(error.to_string().contains("CAP_NET_ADMIN"));
        kernel.refuse_all(None);
        assert_eq!(kernel.services(), Ok(Vec::new()));
    }
}
