//! A lease on shared storage. The rules are in `lease.rs`.

mod files;
mod keeper;
#[cfg(test)]
mod tests;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::Sender;
use reactor::Clock;
use vrrp_fsm::Verdict;

use self::files::Files;
use self::keeper::{Keeper, Order};
use super::lease::{Watch, is_holder};
use super::{Guard, Question};

/// A lease on shared storage (NFS, a cluster file system, a shared disk): only who holds it becomes Master out of silence, and each
/// holder has a greater number than all before it, which the same storage, or whatever the service writes to, can use to
/// refuse an old Master: [`Leadership::fencing_token`](crate::Leadership::fencing_token).
///
/// A Master renews the lease by a counter. Others take it when the counter has not changed for the lease's duration, by their own
/// clocks; a Master that leaves gives it back at once. The clocks of hosts are never compared. The files are
/// `PATH.NUMBER`; each is made by `link(2)`, which only one can do, and written only by who made it, by `rename(2)`.
///
/// - A Master that loses the lease (the storage is gone for longer than its duration, or somebody has a greater number)
///   **keeps its mastership** and says so: [`on_lost`](Self::on_lost). Resign there if the service needs it; else an outage
///   of the storage takes the address down everywhere.
/// - A Master that became it without asking (it preempted, or was told that the old one leaves) takes the lease as soon as it is
///   free, and has no fencing token before.
/// - Storage that hangs stops nothing: the lease has a thread of its own, and the verdict is a veto after
///   [`timeout`](Self::timeout).
/// - Garbage in the files counts as the lease of somebody until it has not changed for its duration. Who can write to the
///   directory can keep everybody from being Master.
///
/// Failover out of silence takes longer by what is left of the lease when the Master has fallen silent, so choose a duration
/// below the master-down interval (3 advertisement intervals and a bit): then it has expired when it is asked for, and taking it
/// costs some file operations (measured on a local disk: 1.2 ms).
///
/// ```no_run
/// # use core::time::Duration;
/// use vrrp::{GuardConfig, LockFile, Verdict, VirtualRouter, Vrid};
///
/// let lock = LockFile::open("/shared/web/lease", "host-a", Duration::from_secs(2))?;
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .address("192.0.2.100/24".parse()?)
///     .guarded_by(GuardConfig::new(Duration::from_secs(1), Verdict::Veto), lock);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LockFile {
    orders: Sender<Order>,
    /// The token that is held; 0: none.
    token: Arc<AtomicU64>,
    timeout: Duration,
}

impl fmt::Debug for LockFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockFile").field("token", &self.fencing_token()).finish_non_exhaustive()
    }
}

/// Why a lease cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockFileError {
    /// The path has no file name.
    #[error("{} does not name a file: give a directory that all routers share and a name in it", path.display())]
    Path {
        /// What was given.
        path: PathBuf,
    },
    /// The holder's name is empty, too long, or has other characters.
    #[error(
        "{holder:?} cannot be a holder's name: use 1 to 64 letters, digits, '-', '_' and '.', another name on each host"
    )]
    Holder {
        /// What was given.
        holder: String,
    },
    /// The duration is out of range.
    #[error("a lease of {duration:?} is not possible: 50 ms to 1 h are")]
    Duration {
        /// What was given.
        duration: Duration,
    },
    /// The directory cannot be listed, or no file can be made in it.
    #[error("the lease's directory {} cannot be used: it has to be there and writable", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// There is no thread to be had.
    #[error("the lease's thread cannot be started")]
    Thread(#[source] io::Error),
}

impl LockFile {
    /// A lease at `path`, the same for all routers, on behalf of `holder`, another on each host. `duration`: 50 ms to 1 h, the same on
    /// all hosts; it has to be longer than the storage ever hangs.
    ///
    /// # Errors
    ///
    /// [`LockFileError`]; the directory is looked at once, and that can take as long as the storage takes.
    pub fn open(
        path: impl AsRef<Path>,
        holder: impl Into<String>,
        duration: Duration,
    ) -> Result<Self, LockFileError> {
        let (path, holder) = (path.as_ref(), holder.into());
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let (Some(name), Some(directory)) = (name, path.parent()) else {
            return Err(LockFileError::Path { path: path.to_owned() });
        };
        if !is_holder(&holder) {
            return Err(LockFileError::Holder { holder });
        }
        if !(Duration::from_millis(50)..=Duration::from_secs(3600)).contains(&duration) {
            return Err(LockFileError::Duration { duration });
        }
        let files = Files { directory: directory.to_owned(), name, holder };
        let usable = files.find().and_then(|_| files.write_temporary("").map(drop));
        usable.map_err(|source| LockFileError::Directory { path: directory.to_owned(), source })?;
        let (orders, inbox) = crossbeam_channel::unbounded();
        let token = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            files,
            duration,
            start: Clock::now(),
            watch: Watch::new(duration),
            holding: None,
            master: false,
            token: Arc::clone(&token),
            on_lost: Box::new(|| {}),
        };
        std::thread::Builder::new()
            .name("vrrp-lease".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(LockFileError::Thread)?;
        Ok(Self { orders, token, timeout: Duration::from_millis(500) })
    }

    /// How long the storage may take for a verdict, 500 ms by default; then it is a veto. Less than the deadline of the
    /// [`GuardConfig`](crate::GuardConfig).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is done when a Master has lost its lease, on the lease's thread; by default a warning is logged. For example
    /// [`Handle::set_ready`](crate::Handle::set_ready) with false, which gives up the mastership.
    #[must_use]
    pub fn on_lost(self, act: impl FnMut() + Send + 'static) -> Self {
        drop(self.orders.send(Order::OnLost(Box::new(act))));
        self
    }

    /// The number of the lease while it is held, greater than that of every holder before.
    #[must_use]
    pub fn fencing_token(&self) -> Option<u64> {
        Some(self.token.load(Ordering::Acquire)).filter(|token| *token > 0)
    }
}

impl Guard for LockFile {
    fn ask(&self, question: &Question) -> Verdict {
        let (reply, verdict) = crossbeam_channel::bounded(1);
        drop(self.orders.send(Order::Take(reply, Clock::now() + self.timeout)));
        verdict.recv_timeout(self.timeout).unwrap_or_else(|_| {
            log::warn!("{}: the lease's storage does not answer", question.name);
            Verdict::Veto
        })
    }

    fn handle_master(&self, master: bool) {
        drop(self.orders.send(Order::Master(master)));
    }

    fn fencing_token(&self) -> Option<u64> {
        self.fencing_token()
    }
}
