//! The states and what the machine knows in each; one file each for what happens in them.

mod backup;
mod initialize;
mod master;

use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::{ChecksumForm, Priority, Version};

pub(crate) use self::{
    backup::{Backup, master_adver_interval},
    initialize::Farewell,
    master::Master,
};
use crate::{Instant, PathId};

/// The states of RFC 9568 §6.4. What keepalived calls FAULT is `Initialize` with a non-empty
/// [`faults`](crate::VirtualRouter::faults).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the RFC has three states")]
pub enum State {
    /// Not taking part: not a candidate, or faulty.
    Initialize,
    /// Another router is Master, or may be.
    Backup,
    /// This router answers for the virtual addresses. RFC 9568 calls it Active, RFC 3768 and
    /// keepalived Master.
    Master,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Master => "master",
        })
    }
}

/// The state with what belongs to it. A Backup has its down timer, a Master its advertisement
/// timer, and Initialize none: the wrong timer cannot be armed (RFC 9568 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Initialize,
    Backup(Backup),
    Master(Master),
}

impl Phase {
    pub(crate) const fn state(&self) -> State {
        match self {
            Self::Initialize => State::Initialize,
            Self::Backup(_) => State::Backup,
            Self::Master(_) => State::Master,
        }
    }
}

/// What was heard last from another router that advertises as Master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Heard {
    /// Its source address; that of the first path, if there are several.
    pub source: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// In which version it said so.
    pub version: Version,
    /// Its advertisement interval.
    pub interval: Duration,
    /// The checksum form it sends; `None` where there is no choice.
    pub checksum: Option<ChecksumForm>,
    /// On which path.
    pub path: PathId,
    /// When.
    pub at: Instant,
}
