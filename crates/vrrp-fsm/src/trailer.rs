//! Signed advertisements: who signs, with which keys, and what is believed.

use alloc::{vec, vec::Vec};
use core::{num::NonZeroU8, time::Duration};

use vrrp_proto::TrailerKey;

use crate::{Config, ConfigError};

/// Advertisements with an HMAC-SHA-256 in a [`Trailer`](vrrp_proto::Trailer) behind them, in either
/// version and address family: keepalived's `auth_hmac`.
///
/// The first key signs; those of the others that are known are accepted as well, so that a key is
/// replaced in three steps without losing an advertisement: every router gets the new key as a
/// further one, then every router signs with it, then the old one is dropped.
///
/// It is **unverified against a peer**, see [`Trailer`](vrrp_proto::Trailer).
///
/// ```
/// use vrrp_fsm::{TrailerConfig, TrailerMode, vrrp_proto::TrailerKey};
///
/// let (new, old) = (TrailerKey::new(2, &[0x5a; 32])?, TrailerKey::new(1, &[0xa5; 32])?);
/// let trailer = TrailerConfig::new(new).also_accept(old).mode(TrailerMode::Permissive);
/// assert_eq!(trailer.keys().len(), 2);
/// # Ok::<(), vrrp_fsm::vrrp_proto::TrailerKeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrailerConfig {
    /// The first one signs. Not empty.
    keys: Vec<TrailerKey>,
    /// Whether ours are signed, and others have to be. Default: both.
    pub mode: TrailerMode,
    /// Which copies of old advertisements are noticed. Default: by the clock as well.
    pub anti_replay: AntiReplay,
}

impl TrailerConfig {
    /// Signs with this key, and accepts nothing else.
    #[must_use]
    pub fn new(key: TrailerKey) -> Self {
        Self { keys: vec![key], mode: TrailerMode::default(), anti_replay: AntiReplay::default() }
    }

    /// Accepts what was signed with this key, too.
    #[must_use]
    pub fn also_accept(mut self, key: TrailerKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets [`mode`](field@Self::mode).
    #[must_use]
    pub const fn mode(mut self, mode: TrailerMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets [`anti_replay`](field@Self::anti_replay).
    #[must_use]
    pub const fn anti_replay(mut self, anti_replay: AntiReplay) -> Self {
        self.anti_replay = anti_replay;
        self
    }

    /// The keys that are accepted; the first is the one that signs.
    #[must_use]
    pub fn keys(&self) -> &[TrailerKey] {
        &self.keys
    }

    /// The key of this number.
    pub(crate) fn key(&self, id: u8) -> Option<&TrailerKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key that signs, unless nothing is signed.
    pub(crate) fn signing_key(&self) -> Option<&TrailerKey> {
        match self.mode {
            TrailerMode::Enforce | TrailerMode::Permissive => self.keys.first(),
            TrailerMode::ReceiveOnly => None,
        }
    }

    /// Whether an advertisement without trailer is accepted.
    pub(crate) const fn accepts_unsigned(&self) -> bool {
        match self.mode {
            TrailerMode::Enforce => false,
            TrailerMode::Permissive | TrailerMode::ReceiveOnly => true,
        }
    }

    /// How far a trailer's time may be from our clock; `None`: as far as it likes.
    pub(crate) fn time_window(&self, advertisement_interval: Duration) -> Option<Duration> {
        match self.anti_replay {
            AntiReplay::Time { window: Some(window) } => Some(window),
            AntiReplay::Time { window: None } => {
                Some(advertisement_interval.saturating_mul(3).clamp(MIN_DEFAULT_WINDOW, MAX_WINDOW))
            }
            AntiReplay::Monotonic => None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (index, key) in self.keys.iter().enumerate() {
            if self.keys.iter().take(index).any(|earlier| earlier.id() == key.id()) {
                let id = NonZeroU8::new(key.id()).unwrap_or(NonZeroU8::MIN);
                return Err(ConfigError::DuplicateTrailerKey { id });
            }
        }
        match self.anti_replay {
            AntiReplay::Time { window: Some(window) }
                if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) =>
            {
                Err(ConfigError::TimeWindow { window })
            }
            AntiReplay::Time { .. } | AntiReplay::Monotonic => Ok(()),
        }
    }
}

const MIN_WINDOW: Duration = Duration::from_secs(1);
const MIN_DEFAULT_WINDOW: Duration = Duration::from_secs(5);
const MAX_WINDOW: Duration = Duration::from_secs(300);

/// Whether advertisements are signed. Two routers that do not understand trailers and one that sends
/// them are two Masters: first every router is made [`ReceiveOnly`](Self::ReceiveOnly), then
/// [`Permissive`](Self::Permissive), then [`Enforce`](Self::Enforce), each before the next begins.
///
/// A trailer that is there has to be right in every mode. Only the last one keeps anybody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TrailerMode {
    /// Ours are signed, and unsigned ones discarded.
    #[default]
    Enforce,
    /// Ours are signed, unsigned ones are accepted and counted
    /// ([`Statistics::unsigned_received`](crate::Statistics::unsigned_received)).
    Permissive,
    /// Ours are not signed, unsigned ones are accepted and counted.
    ReceiveOnly,
}

/// How copies of old advertisements are told from new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AntiReplay {
    /// The sequence numbers of a sender grow, and each was made just now. It takes synchronous
    /// clocks, see [`VirtualRouter::handle_utc`](crate::VirtualRouter::handle_utc), and holds
    /// across restarts of the receiver.
    Time {
        /// How far the two clocks may be apart, 1 s to 300 s. `None`: three advertisement intervals
        /// of ours, at least 5 s.
        window: Option<Duration>,
    },
    /// The sequence numbers of a sender grow. A receiver that was restarted believes any copy until
    /// it hears the sender itself, and a sender whose clock was set back is ignored after a restart
    /// until its clock has caught up.
    Monotonic,
}

impl Default for AntiReplay {
    fn default() -> Self {
        Self::Time { window: None }
    }
}

impl Config {
    /// Whether sequence numbers of others have to be remembered.
    pub(crate) fn remembers_senders(&self) -> bool {
        self.trailer.is_some() || self.authentication.header_key().is_some()
    }
}
