//! Sysctls of an interface: changed for as long as they are needed, and put back.

use core::fmt;
use core::str::FromStr;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A sysctl, the value it has and the value it shall have.
///
/// `Display` and `FromStr` agree with each other: write the change to a journal *before* [`apply`](Self::apply), and a successor
/// of a killed process can [`undo`](Self::undo) it.
///
/// ```
/// use vip_netlink::SysctlChange;
///
/// let change: SysctlChange = "net/ipv4/conf/lo/arp_ignore 0 -> 1".parse()?;
/// assert_eq!(change.name(), "net/ipv4/conf/lo/arp_ignore");
/// assert_eq!(change.to_string(), "net/ipv4/conf/lo/arp_ignore 0 -> 1");
/// # Ok::<(), vip_netlink::SysctlError>(())
/// ```
///
/// Sysctls below `net/` belong to the network namespace of the *calling thread*.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlChange {
    name: String,
    before: String,
    after: String,
}

impl SysctlChange {
    /// Reads the sysctl `name`, a path below `/proc/sys` that starts with `net/`, and plans to set it to `after`.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Name`], [`SysctlError::Value`] and [`SysctlError::Read`].
    pub fn plan(name: &str, after: &str) -> Result<Self, SysctlError> {
        let before = read(name)?;
        Self::new(name, &before, after)
    }

    /// Plans to set the IPv4 sysctl `key` (`arp_ignore`, `arp_announce`, `promote_secondaries`, ...) of an interface.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
    pub fn plan_ipv4(interface: &str, key: &str, after: &str) -> Result<Self, SysctlError> {
        Self::plan(&format!("net/ipv4/conf/{interface}/{key}"), after)
    }

    /// Plans to set the IPv6 sysctl `key` (`accept_dad`, `disable_ipv6`, ...) of an interface.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
    pub fn plan_ipv6(interface: &str, key: &str, after: &str) -> Result<Self, SysctlError> {
        Self::plan(&format!("net/ipv6/conf/{interface}/{key}"), after)
    }

    fn new(name: &str, before: &str, after: &str) -> Result<Self, SysctlError> {
        check_name(name)?;
        for value in [before, after] {
            let plain = value
                .split(' ')
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()));
            if !plain || value.contains("->") || value.len() > 200 {
                return Err(SysctlError::Value { name: name.to_owned() });
            }
        }
        Ok(Self { name: name.to_owned(), before: before.to_owned(), after: after.to_owned() })
    }

    /// The sysctl, as a path below `/proc/sys`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is it to be changed at all? If not, [`apply`](Self::apply) and [`undo`](Self::undo) change nothing.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.before != self.after
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Write`].
    pub fn apply(&self) -> Result<(), SysctlError> {
        if self.is_needed() { write(&self.name, &self.after) } else { Ok(()) }
    }

    /// The value before the change.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.before
    }

    /// The value that the change sets.
    #[must_use]
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Puts the old value back, unless somebody else has changed it since: then it is theirs. A sysctl that is gone together with
    /// its interface is a success. Whether there was something to put back.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Read`] and [`SysctlError::Write`].
    pub fn undo(&self) -> Result<bool, SysctlError> {
        if !self.is_needed() {
            return Ok(false);
        }
        match read(&self.name) {
            Ok(value) if value == self.after => write(&self.name, &self.before).map(|()| true),
            Ok(_) => Ok(false),
            Err(SysctlError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for SysctlChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.name, self.before, self.after)
    }
}

impl FromStr for SysctlChange {
    type Err = SysctlError;

    fn from_str(text: &str) -> Result<Self, SysctlError> {
        let parts = text
            .split_once(' ')
            .and_then(|(name, values)| Some((name, values.split_once(" -> ")?)));
        let (name, (before, after)) = parts.ok_or(SysctlError::Text)?;
        Self::new(name, before, after)
    }
}

/// Does this host forward IPv6 packets that arrive on the interface, so that it is a router to the hosts there?
///
/// # Errors
///
/// [`SysctlError::Read`], for an interface that does not exist or a kernel without IPv6.
pub fn forwards_ipv6(interface: &str) -> Result<bool, SysctlError> {
    Ok(read(&format!("net/ipv6/conf/{interface}/forwarding"))? != "0")
}

/// Why a sysctl cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysctlError {
    /// The name is no path below `net/`.
    #[error(
        "{name:?} is not the name of a network sysctl: it starts with net/ and has no empty or dotted steps"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The present or the wanted value is not a line of plain words.
    #[error("value of the sysctl {name} is not one line of plain words")]
    Value {
        /// The sysctl.
        name: String,
    },
    /// The text is not what `Display` writes.
    #[error("text is not NAME OLD -> NEW")]
    Text,
    /// The sysctl cannot be read.
    #[error("cannot read the sysctl {name}: does the interface exist, is /proc mounted?")]
    Read {
        /// The sysctl.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The sysctl cannot be written.
    #[error(
        "cannot set the sysctl {name} to {value}: it needs CAP_NET_ADMIN and a writable /proc/sys (containers often have a read-only one)"
    )]
    Write {
        /// The sysctl.
        name: String,
        /// The value.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
}

fn check_name(name: &str) -> Result<(), SysctlError> {
    let step = |step: &str| {
        !matches!(step, "" | "." | "..") && step.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if name.starts_with("net/") && name.split('/').all(step) {
        return Ok(());
    }
    Err(SysctlError::Name { name: name.to_owned() })
}

fn path(name: &str) -> Result<PathBuf, SysctlError> {
    check_name(name)?;
    Ok(PathBuf::from("/proc/sys").join(name))
}

fn read(name: &str) -> Result<String, SysctlError> {
    let text = fs::read_to_string(path(name)?)
        .map_err(|source| SysctlError::Read { name: name.to_owned(), source })?;
    Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

fn write(name: &str, value: &str) -> Result<(), SysctlError> {
    fs::write(path(name)?, value).map_err(|source| SysctlError::Write {
        name: name.to_owned(),
        value: value.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_refused() {
        for text in [
            "",
            "net/ipv4/conf/lo/arp_ignore",
            "net/ipv4/conf/lo/arp_ignore 0",
            "net/ipv4/conf/lo/arp_ignore 0 ->",
            "net/ipv4/conf/lo/arp_ignore  -> 1",
            "net/ipv4/conf/lo/arp_ignore 0 -> 1 -> 2",
            "kernel/core_pattern core -> x",
            "net/../kernel/core_pattern core -> |/tmp/x",
            "net//ipv4/x 0 -> 1",
            "/net/ipv4/x 0 -> 1",
            "net/ipv4/x\u{e9} 0 -> 1",
            "net/ipv4/x 0 -> 1\n2",
        ] {
            assert!(text.parse::<SysctlChange>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn values_of_several_words_are_kept() {
        let text = "net/ipv4/tcp_rmem 4096 131072 6291456 -> 4096 65536 65536";
        let change: SysctlChange = text.parse().unwrap();
        assert_eq!((change.to_string().as_str(), change.is_needed()), (text, true));
        assert!(!"net/ipv4/x 1 -> 1".parse::<SysctlChange>().unwrap().is_needed());
    }
}
