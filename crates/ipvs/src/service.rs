//! A virtual service.

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::key::{AddressFamily, ServiceKey};
use crate::scheduler::{Name, Scheduler};

/// A virtual service: what the kernel balances, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    key: ServiceKey,
    scheduler: Scheduler,
    flags: ServiceFlags,
    persistence: Option<Persistence>,
}

impl Service {
    /// A service without flags and persistence.
    #[must_use]
    pub const fn new(key: ServiceKey, scheduler: Scheduler) -> Self {
        Self { key, scheduler, flags: ServiceFlags::empty(), persistence: None }
    }

    /// The same service with other flags.
    #[must_use]
    pub fn with_flags(self, flags: ServiceFlags) -> Self {
        Self { flags, ..self }
    }

    /// The same service with persistence.
    ///
    /// # Errors
    ///
    /// [`PersistenceError::Family`] if the netmask is not of the service's family.
    pub fn with_persistence(self, persistence: Persistence) -> Result<Self, PersistenceError> {
        if persistence.netmask.family() != self.key.family() {
            return Err(PersistenceError::Family);
        }
        Ok(Self { persistence: Some(persistence), ..self })
    }

    /// What identifies it.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        self.key
    }

    /// How it chooses a destination.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Its flags.
    #[must_use]
    pub const fn flags(&self) -> ServiceFlags {
        self.flags
    }

    /// How it keeps clients on their destination, if it does.
    #[must_use]
    pub const fn persistence(&self) -> Option<&Persistence> {
        self.persistence.as_ref()
    }
}

bitflags::bitflags! {
    /// `IP_VS_SVC_F_*` flags a manager may choose; combine them with `|`. (`PERSISTENT` follows from
    /// [`Service::with_persistence`], `HASHED` is the kernel's own.)
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ServiceFlags: u32 {
        /// Every datagram is scheduled anew (UDP; `ipvsadm --ops`).
        const ONE_PACKET = 0x4;
        /// First flag of the scheduler: with `sh` and `mh`, fall back to another server if the chosen one is unavailable.
        const SCHEDULER_1 = 0x8;
        /// Second flag of the scheduler: with `sh` and `mh`, include the source port in the hash.
        const SCHEDULER_2 = 0x10;
        /// Third flag of the scheduler.
        const SCHEDULER_3 = 0x20;
    }
}

impl ServiceFlags {
    /// `sh` and `mh`: fall back to another server if the chosen one is unavailable.
    pub const HASH_FALLBACK: Self = Self::SCHEDULER_1;
    /// `sh` and `mh`: include the source port in the hash.
    pub const HASH_PORT: Self = Self::SCHEDULER_2;
}

/// Clients of one network go to the same destination until they were idle for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    timeout: u32,
    netmask: Netmask,
    engine: Option<Name>,
}

impl Persistence {
    /// Longest timeout in seconds, about 48 days: the kernel multiplies by its timer frequency in 32 bits.
    pub const MAX_SECONDS: u32 = u32::MAX / 1024;

    /// Clients whose addresses are equal under `netmask` stay together for `timeout` (whole seconds, 1 to
    /// [`MAX_SECONDS`](Self::MAX_SECONDS)).
    ///
    /// # Errors
    ///
    /// [`PersistenceError::Timeout`] for another timeout.
    pub fn new(timeout: Duration, netmask: Netmask) -> Result<Self, PersistenceError> {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        if timeout.subsec_nanos() != 0 || !(1..=Self::MAX_SECONDS).contains(&seconds) {
            return Err(PersistenceError::Timeout { timeout });
        }
        Ok(Self { timeout: seconds, netmask, engine: None })
    }

    /// What the kernel says about a service, without our limits.
    pub(crate) const fn of_kernel(timeout: u32, netmask: Netmask, engine: Option<Name>) -> Self {
        Self { timeout, netmask, engine }
    }

    /// The same with a persistence engine (`sip`), which looks into the packets.
    #[must_use]
    pub fn with_engine(self, engine: Name) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Idle time, whole seconds.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    /// Which part of a client's address counts.
    #[must_use]
    pub const fn netmask(&self) -> Netmask {
        self.netmask
    }

    /// The persistence engine.
    #[must_use]
    pub const fn engine(&self) -> Option<&Name> {
        self.engine.as_ref()
    }

    pub(crate) const fn seconds(&self) -> u32 {
        self.timeout
    }
}

/// Which part of a client's address counts for persistence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Netmask(Mask);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mask {
    Ipv4(Ipv4Addr),
    Ipv6(u32),
}

impl Netmask {
    /// Every client by itself: /32 or /128.
    #[must_use]
    pub const fn host(family: AddressFamily) -> Self {
        match family {
            AddressFamily::Ipv4 => Self(Mask::Ipv4(Ipv4Addr::BROADCAST)),
            AddressFamily::Ipv6 => Self(Mask::Ipv6(128)),
        }
    }

    /// An IPv4 mask, as `255.255.255.0`.
    #[must_use]
    pub const fn ipv4(mask: Ipv4Addr) -> Self {
        Self(Mask::Ipv4(mask))
    }

    /// The first `len` bits: 0 to 32 for IPv4, 1 to 128 for IPv6.
    ///
    /// # Errors
    ///
    /// [`PersistenceError::PrefixLength`] for another length.
    pub fn prefix(family: AddressFamily, len: u8) -> Result<Self, PersistenceError> {
        match (family, len) {
            (AddressFamily::Ipv4, 0) => Ok(Self::ipv4(Ipv4Addr::UNSPECIFIED)),
            (AddressFamily::Ipv4, 1..=32) => {
                Ok(Self::ipv4(Ipv4Addr::from_bits(u32::MAX << 32_u8.saturating_sub(len))))
            }
            (AddressFamily::Ipv6, 1..=128) => Ok(Self(Mask::Ipv6(len.into()))),
            _ => Err(PersistenceError::PrefixLength { family, len }),
        }
    }

    /// The family it is for.
    #[must_use]
    pub const fn family(self) -> AddressFamily {
        match self.0 {
            Mask::Ipv4(_) => AddressFamily::Ipv4,
            Mask::Ipv6(_) => AddressFamily::Ipv6,
        }
    }

    /// The attribute's four octets: an IPv4 mask in network order, or an IPv6 prefix length in host order.
    pub(crate) const fn to_attribute(self) -> [u8; 4] {
        match self.0 {
            Mask::Ipv4(mask) => mask.octets(),
            Mask::Ipv6(len) => len.to_ne_bytes(),
        }
    }

    pub(crate) const fn from_attribute(family: AddressFamily, value: [u8; 4]) -> Self {
        Self(match family {
            AddressFamily::Ipv4 => {
                let [a, b, c, d] = value;
                Mask::Ipv4(Ipv4Addr::new(a, b, c, d))
            }
            AddressFamily::Ipv6 => Mask::Ipv6(u32::from_ne_bytes(value)),
        })
    }
}

/// Why a persistence cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PersistenceError {
    /// Not a whole number of seconds in range.
    #[error(
        "persistence timeout {timeout:?} is not 1 to {} whole seconds",
        Persistence::MAX_SECONDS
    )]
    Timeout {
        /// The timeout asked for.
        timeout: Duration,
    },
    /// No mask of the family has this length.
    #[error("no {family} netmask has the length {len}")]
    PrefixLength {
        /// The family.
        family: AddressFamily,
        /// The length asked for.
        len: u8,
    },
    /// Netmask and service are of different families.
    #[error("persistence netmask of the other address family")]
    Family,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmasks() {
        let mask = |len| Netmask::prefix(AddressFamily::Ipv4, len).unwrap().to_attribute();
        assert_eq!(mask(0), [0; 4]);
        assert_eq!(mask(24), [255, 255, 255, 0]);
        assert_eq!(mask(32), [255; 4]);
        let six = Netmask::prefix(AddressFamily::Ipv6, 64).unwrap();
        assert_eq!(six.to_attribute(), 64_u32.to_ne_bytes());
        assert_eq!(Netmask::from_attribute(AddressFamily::Ipv6, six.to_attribute()), six);
        for (family, len) in
            [(AddressFamily::Ipv4, 33), (AddressFamily::Ipv6, 0), (AddressFamily::Ipv6, 129)]
        {
            assert_eq!(
                Netmask::prefix(family, len),
                Err(PersistenceError::PrefixLength { family, len })
            );
        }
    }

    #[test]
    fn timeouts_the_kernel_would_garble() {
        let host = Netmask::host(AddressFamily::Ipv4);
        for timeout in [Duration::ZERO, Duration::from_millis(1500), Duration::from_secs(1 << 33)] {
            assert_eq!(Persistence::new(timeout, host), Err(PersistenceError::Timeout { timeout }));
        }
        let longest = Duration::from_secs(Persistence::MAX_SECONDS.into());
        assert_eq!(Persistence::new(longest, host).unwrap().timeout(), longest);
    }

    #[test]
    fn a_netmask_of_the_other_family_is_refused() {
        let key = ServiceKey::tcp([192, 0, 2, 1].into(), 80);
        let six =
            Persistence::new(Duration::from_secs(60), Netmask::host(AddressFamily::Ipv6)).unwrap();
        let service = Service::new(key, Scheduler::RoundRobin);
        assert_eq!(service.with_persistence(six), Err(PersistenceError::Family));
    }

    #[test]
    fn flags_leave_out_what_is_not_ours() {
        assert_eq!(ServiceFlags::from_bits_truncate(u32::MAX).bits(), 0x3c);
        let both = ServiceFlags::HASH_PORT | ServiceFlags::HASH_FALLBACK;
        assert!(both.contains(ServiceFlags::HASH_PORT) && !both.contains(ServiceFlags::ONE_PACKET));
    }
}
