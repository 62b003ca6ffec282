//! A real server of a service.

use core::fmt;
use core::num::NonZeroU16;

use crate::key::DestinationKey;

/// A real server: where packets of a service go, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    key: DestinationKey,
    method: ForwardingMethod,
    weight: Weight,
    thresholds: Thresholds,
}

impl Destination {
    /// A real server of weight 1 without thresholds.
    #[must_use]
    pub const fn new(key: DestinationKey, method: ForwardingMethod) -> Self {
        Self { key, method, weight: Weight::ONE, thresholds: Thresholds::OFF }
    }

    /// The same server with another weight.
    #[must_use]
    pub const fn with_weight(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// The same server with other thresholds.
    #[must_use]
    pub const fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// What identifies it within its service.
    #[must_use]
    pub const fn key(&self) -> DestinationKey {
        self.key
    }

    /// How packets reach it.
    #[must_use]
    pub const fn method(&self) -> ForwardingMethod {
        self.method
    }

    /// Its share.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// When it gets no more connections.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardingMethod {
    /// NAT: addresses are rewritten, answers must come back through the director.
    Masquerade,
    /// The director itself serves.
    Local,
    /// Packets are wrapped and sent to the server, which answers clients itself.
    Tunnel(Tunnel),
    /// Packets get the server's MAC address; it is on the director's link and answers clients itself.
    DirectRoute,
    /// Past IPVS to the packet's own destination, for caches.
    Bypass,
    /// A number that the kernel gives no meaning to. It takes any up to 7; such destinations come from others.
    Other(u8),
}

impl fmt::Display for ForwardingMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other(_) => "unknown method",
            Self::Masquerade => "masquerade",
            Self::Local => "local",
            Self::Tunnel(Tunnel::Ipip) => "tunnel",
            Self::Tunnel(Tunnel::Gue { .. }) => "gue tunnel",
            Self::Tunnel(Tunnel::Gre { .. }) => "gre tunnel",
            Self::Tunnel(Tunnel::Other { .. }) => "unknown tunnel",
            Self::DirectRoute => "direct route",
            Self::Bypass => "bypass",
        })
    }
}

/// How a tunnel wraps packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation (Linux 5.2).
    Gue {
        /// UDP port of the receiver.
        port: NonZeroU16,
        /// Checksum of the outer packet.
        checksum: TunnelChecksum,
    },
    /// GRE (Linux 5.3).
    Gre {
        /// Checksum of the outer packet. GRE has no remote checksum offload.
        checksum: TunnelChecksum,
    },
    /// A number of a newer kernel.
    Other {
        /// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
        kind: u8,
    },
}

/// Checksum of a tunnel's outer packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// Computed.
    Full,
    /// Left to the receiver (GUE remote checksum offload).
    RemoteOffload,
}

/// A real server's share of new connections, 0 to 2³¹−1. With 0 it gets none and keeps those it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

impl Weight {
    /// No new connections.
    pub const QUIESCED: Self = Self(0);
    /// The usual weight.
    pub const ONE: Self = Self(1);
    /// The largest weight.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// The weight of this number.
    ///
    /// # Errors
    ///
    /// [`DestinationError::Weight`] above 2³¹−1.
    pub const fn new(weight: u32) -> Result<Self, DestinationError> {
        if weight > Self::MAX.0 {
            return Err(DestinationError::Weight { weight });
        }
        Ok(Self(weight))
    }

    /// What the kernel says about a destination.
    pub(crate) const fn of_kernel(weight: u32) -> Self {
        Self(weight)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl From<u16> for Weight {
    fn from(weight: u16) -> Self {
        Self(weight.into())
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers of connections between which a server is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Thresholds {
    upper: u32,
    lower: u32,
}

impl Thresholds {
    /// No limits.
    pub const OFF: Self = Self { upper: 0, lower: 0 };

    /// A server with `upper` connections gets no more until it has fewer than `lower` (0: three quarters of
    /// `upper`). `upper` 0 is no limit.
    ///
    /// # Errors
    ///
    /// [`DestinationError::Thresholds`] if `lower` exceeds `upper`, or `upper` exceeds 2³¹−1.
    pub const fn new(upper: u32, lower: u32) -> Result<Self, DestinationError> {
        if lower > upper || upper > 0x7fff_ffff {
            return Err(DestinationError::Thresholds { upper, lower });
        }
        Ok(Self { upper, lower })
    }

    /// What the kernel says about a destination.
    pub(crate) const fn of_kernel(upper: u32, lower: u32) -> Self {
        Self { upper, lower }
    }

    /// Connections at which the server gets no more; 0: never.
    #[must_use]
    pub const fn upper(self) -> u32 {
        self.upper
    }

    /// Connections below which it gets some again; 0: three quarters of the upper threshold.
    #[must_use]
    pub const fn lower(self) -> u32 {
        self.lower
    }
}

/// Why the kernel would not take a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// The weight is out of range.
    #[error("weight {weight} exceeds {}", Weight::MAX.0)]
    Weight {
        /// The weight asked for.
        weight: u32,
    },
    /// The thresholds exclude each other.
    #[error("thresholds: lower {lower} must not exceed upper {upper}, nor that 2147483647")]
    Thresholds {
        /// The upper threshold.
        upper: u32,
        /// The lower threshold.
        lower: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_thresholds_the_kernel_refuses() {
        assert_eq!(Weight::new(0x7fff_ffff), Ok(Weight::MAX));
        assert_eq!(Weight::new(0x8000_0000), Err(DestinationError::Weight { weight: 0x8000_0000 }));
        assert!(Thresholds::new(10, 10).is_ok() && Thresholds::new(0, 0) == Ok(Thresholds::OFF));
        for (upper, lower) in [(0, 1), (10, 11), (0x8000_0000, 0)] {
            assert_eq!(
                Thresholds::new(upper, lower),
                Err(DestinationError::Thresholds { upper, lower })
            );
        }
    }
}
