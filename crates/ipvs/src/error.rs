//! What can go wrong, each with its remedy.

use core::fmt;
use std::io;

use netlink::{RequestError, errno};

use crate::command::Command;
use crate::reply::ReplyError;

const NO_PRIVILEGE: &str = "IPVS needs CAP_NET_ADMIN in the initial user namespace: run as root of the machine (root \
                            inside a rootless container is not enough)";

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The kernel has no IPVS and could not load it.
    #[error(
        "the kernel has no IPVS: run `modprobe ip_vs` as root on the host, or use a kernel built with CONFIG_IP_VS"
    )]
    NoIpvs,
    /// Only root of the machine may use IPVS, even to read.
    #[error("{NO_PRIVILEGE}")]
    NotPermitted,
    /// A network namespace could not be found out or entered.
    #[error("cannot use the network namespace: {}", io::Error::from_raw_os_error(*.errno))]
    Namespace {
        /// Positive error number; `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` if the descriptor is none of a network namespace.
        errno: i32,
    },
    /// The kernel could not be asked.
    #[error("cannot ask the kernel for IPVS: {0}")]
    Request(RequestError),
    /// It answered something else.
    #[error("cannot ask the kernel for IPVS: {0}")]
    Reply(ReplyError),
}

impl OpenError {
    pub(crate) fn namespace(error: &io::Error) -> Self {
        Self::Namespace { errno: error.raw_os_error().unwrap_or(errno::EINVAL) }
    }
}

impl From<RequestError> for OpenError {
    fn from(error: RequestError) -> Self {
        if matches!(error, RequestError::UnknownFamily { .. }) {
            Self::NoIpvs
        } else if error.errno() == Some(errno::EPERM) {
            Self::NotPermitted
        } else {
            Self::Request(error)
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error.cause {
            ReadCause::Request(cause) => cause.into(),
            ReadCause::Reply(cause) => Self::Reply(cause),
        }
    }
}

/// Why the kernel's table could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    pub(crate) what: String,
    pub(crate) cause: ReadCause,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadCause {
    Request(RequestError),
    Reply(ReplyError),
}

impl ReadError {
    /// The kernel's refusal or the failure to ask it; `None` if the answer was unreadable.
    #[must_use]
    pub const fn request_error(&self) -> Option<&RequestError> {
        match &self.cause {
            ReadCause::Request(cause) => Some(cause),
            ReadCause::Reply(_) => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, cause } = self;
        match cause {
            ReadCause::Request(cause) if cause.errno() == Some(errno::EPERM) => {
                write!(f, "cannot read {what}: {cause}; {NO_PRIVILEGE}")
            }
            ReadCause::Request(cause) => write!(f, "cannot read {what}: {cause}"),
            ReadCause::Reply(cause) => write!(f, "cannot read {what}: {cause}"),
        }
    }
}

impl core::error::Error for ReadError {}

/// A command that was not done. Its text names the object, the kernel's reason, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The kernel refused it, or could not be asked.
    Failed {
        /// The command.
        command: Box<Command>,
        /// Why.
        cause: RequestError,
    },
    /// The service exists and was made by another program: it was left alone.
    Foreign {
        /// The command that was not given.
        command: Box<Command>,
    },
    /// The kernel accepted it and kept something else: it is older than the setting.
    Ignored {
        /// The command.
        command: Box<Command>,
    },
}

impl CommandError {
    pub(crate) fn failed(command: &Command, cause: RequestError) -> Self {
        Self::Failed { command: Box::new(command.clone()), cause }
    }

    /// The command that was not done.
    #[must_use]
    pub fn command(&self) -> &Command {
        match self {
            Self::Failed { command, .. }
            | Self::Foreign { command }
            | Self::Ignored { command } => command,
        }
    }

    /// The kernel modules one of which is missing, for `modprobe`: the scheduler's, and the persistence engine's if there is one. Empty
    /// for every other failure.
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        let (Command::NewService(service) | Command::SetService(service)) = self.command() else {
            return Vec::new();
        };
        if self.errno() != Some(errno::ENOENT) {
            return Vec::new();
        }
        let engine = service.persistence().and_then(|persistence| persistence.engine());
        let engine = engine.map(|engine| format!("ip_vs_pe_{engine}"));
        core::iter::once(format!("ip_vs_{}", service.scheduler())).chain(engine).collect()
    }

    /// What an operator can do about it, where something is known to help; part of the text.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Failed { command, cause } => {
                cause.errno().and_then(|errno| remedy(command, errno))
            }
            Self::Foreign { .. } | Self::Ignored { .. } => None,
        }
    }

    /// The kernel's error number, if it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Failed { cause, .. } => cause.errno(),
            Self::Foreign { .. } | Self::Ignored { .. } => None,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { command, cause } => {
                write!(f, "cannot {command}: {cause}")?;
                match self.remedy() {
                    Some(remedy) => write!(f, "; {remedy}"),
                    None => Ok(()),
                }
            }
            Self::Foreign { command } => write!(
                f,
                "did not {command}: it exists, and another program (keepalived, ipvsadm, kube-proxy) made it; stop that program, or name \
                 the service as owned to take it over"
            ),
            Self::Ignored { command } => write!(
                f,
                "the kernel took \"{command}\" and ignored part of it; GUE tunnels need Linux 5.2, GRE tunnels 5.3"
            ),
        }
    }
}

impl core::error::Error for CommandError {}

/// What an operator can do about it.
fn remedy(command: &Command, error: i32) -> Option<String> {
    let text = match (error, command) {
        (errno::EPERM, _) => NO_PRIVILEGE.to_owned(),
        (errno::ENOENT, Command::NewService(service) | Command::SetService(service)) => {
            let scheduler = service.scheduler();
            let engine = service.persistence().and_then(|persistence| persistence.engine());
            let engine = engine.map(|engine| format!(", or the persistence engine (`modprobe ip_vs_pe_{engine}`)"));
            format!(
                "the kernel lacks the scheduler: run `modprobe ip_vs_{scheduler}` on the host{}",
                engine.unwrap_or_default()
            )
        }
        (errno::EEXIST, Command::NewService(_) | Command::NewDestination(..)) => {
            "it exists already: another program (keepalived, ipvsadm, kube-proxy) manages the same service".to_owned()
        }
        (errno::ESRCH, Command::StopDaemon(_)) => "it does not run".to_owned(),
        (errno::EEXIST, Command::StartDaemon(_)) => "it runs already: stop it first".to_owned(),
        (errno::ESRCH, _) => "there is no such service: it was removed by another program".to_owned(),
        (errno::ENOENT, Command::SetDestination(..) | Command::DelDestination(..)) => {
            "the service has no such destination: it was removed by another program".to_owned()
        }
        (errno::EAFNOSUPPORT, _) => "IPv6 is off: the kernel needs CONFIG_IP_VS_IPV6 and IPv6 enabled".to_owned(),
        (errno::EINVAL, Command::NewDestination(..) | Command::SetDestination(..)) => {
            "the address must be one a packet can be sent to (local or reachable unicast, not link-local), and of the \
             service's address family unless it is tunnelled to"
                .to_owned()
        }
        (errno::ENODEV, Command::StartDaemon(daemon)) => {
            format!("there is no interface {} in this network namespace", daemon.interface)
        }
        (errno::EINVAL, Command::StartDaemon(_)) => {
            "the group must be a multicast address, and no service may have destinations of the other address family".to_owned()
        }
        (errno::ENOPROTOOPT, _) => "the kernel is unloading its IPVS module: try again".to_owned(),
        (errno::EINVAL, Command::SetTimeouts(_)) => "a timeout is too long for the kernel".to_owned(),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use netlink::Refusal;

    use super::*;
    use crate::{AddressFamily, Netmask, Persistence, Scheduler, Service};

    #[test]
    fn modules_that_are_missing_are_named() {
        let service = Service::new("udp/192.0.2.1:5060".parse().unwrap(), Scheduler::MaglevHash);
        let host = Netmask::host(AddressFamily::Ipv4);
        let persistence = Persistence::new(Duration::from_secs(60), host).unwrap();
        let sip = persistence.with_engine("sip".parse().unwrap());
        let with_engine = service.clone().with_persistence(sip).unwrap();
        let failed = |command, errno| {
            CommandError::failed(&command, RequestError::Refused(Refusal::new(errno)))
        };
        let error = failed(Command::NewService(service.clone()), errno::ENOENT);
        assert_eq!(error.modules(), ["ip_vs_mh"]);
        assert!(error.remedy().unwrap().contains("modprobe ip_vs_mh"));
        let error = failed(Command::SetService(with_engine), errno::ENOENT);
        assert_eq!(error.modules(), ["ip_vs_mh", "ip_vs_pe_sip"]);
        assert!(error.to_string().contains("modprobe ip_vs_pe_sip"), "{error}");
        assert_eq!(failed(Command::NewService(service), errno::EEXIST).modules(), [""; 0]);
        assert_eq!(failed(Command::Flush, errno::ENOENT).modules(), [""; 0]);
    }
}
