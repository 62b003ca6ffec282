//! Services and destinations that the kernel takes and that work.

use core::time::Duration;

use crate::destination::{Destination, ForwardingMethod};
use crate::key::{AddressFamily, Protocol, ServiceKey};
use crate::scheduler::{Name, Scheduler};
use crate::service::{Netmask, Persistence, PersistenceError, Service, ServiceFlags};

/// Makes a [`Service`] that works, or says why there can be none: [`Service::builder`].
///
/// ```
/// use core::time::Duration;
/// use ipvs::{Scheduler, Service, ServiceError};
///
/// let web = Service::builder("tcp/192.0.2.1:443".parse()?, Scheduler::MaglevHash)
///     .hash_port()
///     .hash_fallback()
///     .build()?;
/// // Every port: clients have to be kept together, else the kernel schedules nothing.
/// let all = Service::builder("tcp/192.0.2.1:0".parse()?, Scheduler::RoundRobin);
/// assert_eq!(all.clone().build(), Err(ServiceError::EveryPort));
/// let all = all.persistent(Duration::from_secs(300)).prefix(24).build()?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ServiceBuilder {
    key: ServiceKey,
    scheduler: Scheduler,
    flags: ServiceFlags,
    persistent: Option<Duration>,
    prefix: Option<u8>,
    netmask: Option<Netmask>,
    engine: Option<Name>,
}

impl Service {
    /// Begins a service that is checked by [`ServiceBuilder::build`].
    pub const fn builder(key: ServiceKey, scheduler: Scheduler) -> ServiceBuilder {
        ServiceBuilder {
            key,
            scheduler,
            flags: ServiceFlags::empty(),
            persistent: None,
            prefix: None,
            netmask: None,
            engine: None,
        }
    }

    /// Whether the service works: the kernel takes more than it can use. What it says of a service of others may fail here.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], the first that applies.
    pub fn check(&self) -> Result<(), ServiceError> {
        let flags = self.flags();
        let udp = match self.key() {
            ServiceKey::Address { protocol: Protocol::Other(protocol), .. } => {
                return Err(ServiceError::Protocol { protocol });
            }
            ServiceKey::Address { port: 0, .. } if self.persistence().is_none() => {
                return Err(ServiceError::EveryPort);
            }
            ServiceKey::Address { protocol, .. } => protocol == Protocol::Udp,
            // Packets of any protocol are marked.
            ServiceKey::FirewallMark { .. } => true,
        };
        if flags.contains(ServiceFlags::ONE_PACKET) && !udp {
            return Err(ServiceError::OnePacket);
        }
        let hashes = matches!(
            self.scheduler(),
            Scheduler::SourceHash | Scheduler::MaglevHash | Scheduler::Other(_)
        );
        let of_scheduler =
            ServiceFlags::SCHEDULER_1 | ServiceFlags::SCHEDULER_2 | ServiceFlags::SCHEDULER_3;
        if flags.intersects(of_scheduler) && !hashes {
            return Err(ServiceError::SchedulerFlags { scheduler: self.scheduler().clone() });
        }
        let engine = self.persistence().and_then(Persistence::engine);
        if engine.is_some_and(|engine| engine.as_str() == "sip") && !udp {
            return Err(ServiceError::Engine);
        }
        Ok(())
    }

    /// Whether the destination works in this service.
    ///
    /// # Errors
    ///
    /// [`MismatchError`], the first that applies.
    pub fn check_destination(&self, destination: &Destination) -> Result<(), MismatchError> {
        let key = destination.key();
        let tunnelled = matches!(destination.method(), ForwardingMethod::Tunnel(_));
        if AddressFamily::of(&key.address) != self.key().family() && !tunnelled {
            return Err(MismatchError::Family);
        }
        let unchanged = tunnelled || destination.method() == ForwardingMethod::DirectRoute;
        if let ServiceKey::Address { port, .. } = self.key()
            && unchanged
            && key.port != port
        {
            return Err(MismatchError::Port { service: port, destination: key.port });
        }
        Ok(())
    }
}

impl ServiceBuilder {
    /// Clients stay with their server until they were idle for this time, whole seconds.
    pub fn persistent(self, timeout: Duration) -> Self {
        Self { persistent: Some(timeout), ..self }
    }

    /// Clients whose addresses agree in the first `len` bits stay together; without this every address by itself.
    pub fn prefix(self, len: u8) -> Self {
        Self { prefix: Some(len), netmask: None, ..self }
    }

    /// Clients whose addresses agree under this mask stay together.
    pub fn netmask(self, netmask: Netmask) -> Self {
        Self { netmask: Some(netmask), prefix: None, ..self }
    }

    /// Clients are recognised by a persistence engine, which looks into the packets (`sip`).
    pub fn engine(self, engine: Name) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Every datagram is scheduled anew.
    pub fn one_packet(self) -> Self {
        self.flag(ServiceFlags::ONE_PACKET)
    }

    /// `sh` and `mh`: another server takes the place of one that is unavailable.
    pub fn hash_fallback(self) -> Self {
        self.flag(ServiceFlags::HASH_FALLBACK)
    }

    /// `sh` and `mh`: the client's port counts, too.
    pub fn hash_port(self) -> Self {
        self.flag(ServiceFlags::HASH_PORT)
    }

    /// Sets flags, beside those that are set.
    pub fn flag(self, flags: ServiceFlags) -> Self {
        Self { flags: self.flags | flags, ..self }
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], the first that applies.
    pub fn build(self) -> Result<Service, ServiceError> {
        let family = self.key.family();
        let mut service = Service::new(self.key, self.scheduler).with_flags(self.flags);
        if let Some(timeout) = self.persistent {
            let netmask = match (self.netmask, self.prefix) {
                (Some(netmask), _) => netmask,
                (None, Some(len)) => Netmask::prefix(family, len)?,
                (None, None) => Netmask::host(family),
            };
            let persistence = Persistence::new(timeout, netmask)?;
            let persistence = match self.engine {
                Some(engine) => persistence.with_engine(engine),
                None => persistence,
            };
            service = service.with_persistence(persistence)?;
        } else if self.netmask.is_some() || self.prefix.is_some() || self.engine.is_some() {
            return Err(ServiceError::NotPersistent);
        }
        service.check()?;
        Ok(service)
    }
}

/// Why a service cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The persistence cannot be had.
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
    /// A netmask or an engine, but no timeout.
    #[error("a netmask or persistence engine needs a persistence timeout")]
    NotPersistent,
    /// IPVS balances nothing of this protocol.
    #[error("IPVS balances TCP, UDP and SCTP, not protocol {protocol}")]
    Protocol {
        /// The IP protocol number.
        protocol: u16,
    },
    /// Without persistence the kernel schedules nothing on a service for every port.
    #[error("a service for every port (port 0) must be persistent")]
    EveryPort,
    /// Only datagrams can be scheduled one by one.
    #[error("one-packet scheduling is for UDP")]
    OnePacket,
    /// The scheduler has no flags.
    #[error("the scheduler {scheduler} has no flags; sh and mh have")]
    SchedulerFlags {
        /// The scheduler.
        scheduler: Scheduler,
    },
    /// The engine reads UDP only.
    #[error("the persistence engine sip is for UDP")]
    Engine,
}

/// Why a destination does not work in a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MismatchError {
    /// Only tunnels lead to the other address family; the kernel refuses the rest.
    #[error("a destination of the other address family must be tunnelled to")]
    Family,
    /// Packets arrive unchanged; the kernel takes another port and ignores it.
    #[error(
        "with direct routing and tunnels packets arrive unchanged, at port {service} and not {destination}"
    )]
    Port {
        /// The service's port.
        service: u16,
        /// The destination's port.
        destination: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tunnel;

    fn builder(key: &str, scheduler: Scheduler) -> ServiceBuilder {
        Service::builder(key.parse().unwrap(), scheduler)
    }

    #[test]
    fn what_the_kernel_takes_and_cannot_use() {
        use Scheduler::{RoundRobin, SourceHash};
        let minute = Duration::from_secs(60);
        let sip: Name = "sip".parse().unwrap();
        let cases = [
            (builder("tcp/192.0.2.1:0", RoundRobin), ServiceError::EveryPort),
            (builder("47/192.0.2.1:1", RoundRobin), ServiceError::Protocol { protocol: 47 }),
            (builder("tcp/192.0.2.1:80", RoundRobin).one_packet(), ServiceError::OnePacket),
            (builder("tcp/192.0.2.1:80", SourceHash).prefix(24), ServiceError::NotPersistent),
            (
                builder("tcp/192.0.2.1:80", RoundRobin).hash_port(),
                ServiceError::SchedulerFlags { scheduler: RoundRobin },
            ),
            (
                builder("tcp/192.0.2.1:80", RoundRobin).persistent(minute).engine(sip.clone()),
                ServiceError::Engine,
            ),
            (
                builder("tcp/[2001:db8::1]:80", RoundRobin).persistent(minute).prefix(0),
                PersistenceError::PrefixLength { family: AddressFamily::Ipv6, len: 0 }.into(),
            ),
            (
                builder("tcp/192.0.2.1:80", RoundRobin)
                    .persistent(minute)
                    .netmask(Netmask::host(AddressFamily::Ipv6)),
                PersistenceError::Family.into(),
            ),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build(), Err(error));
        }
        for works in [
            builder("udp/192.0.2.1:5060", RoundRobin).persistent(minute).engine(sip).one_packet(),
            builder("fwmark/1/ipv6", SourceHash).hash_port().hash_fallback().one_packet(),
            builder("sctp/192.0.2.1:0", RoundRobin).persistent(minute),
        ] {
            assert_eq!(works.build().unwrap().check(), Ok(()));
        }
    }

    #[test]
    fn destinations_that_do_not_fit() {
        let service = builder("tcp/192.0.2.1:80", Scheduler::RoundRobin).build().unwrap();
        let server = |key: &str, method| Destination::new(key.parse().unwrap(), method);
        let tunnel = ForwardingMethod::Tunnel(Tunnel::Ipip);
        let (masq, direct) = (ForwardingMethod::Masquerade, ForwardingMethod::DirectRoute);
        let port = MismatchError::Port { service: 80, destination: 8080 };
        for (destination, expected) in [
            (server("10.0.0.1:8080", masq), Ok(())),
            (server("10.0.0.1:8080", direct), Err(port)),
            (server("10.0.0.1:8080", tunnel), Err(port)),
            (server("10.0.0.1:80", direct), Ok(())),
            (server("[2001:db8::2]:80", tunnel), Ok(())),
            (server("[2001:db8::2]:80", masq), Err(MismatchError::Family)),
        ] {
            assert_eq!(service.check_destination(&destination), expected);
        }
    }
}
