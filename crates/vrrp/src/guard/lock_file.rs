//! A lease on shared storage. The rules are in `lease.rs`; here are the files and the thread.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use reactor::Clock;
use vrrp_fsm::Verdict;

use super::lease::{
    Found, Holding, MAX_CONTENT, Standing, Watch, file_name, held_content, is_holder,
    released_content, token_of,
};
use super::{Guard, Question};

/// The most files beside the lease that are listed: a directory of its own is better.
const MAX_FILES: usize = 4096;

/// So many times a lease is renewed, or looked at, in its duration.
const RENEWALS: u32 = 5;

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

enum Order {
    /// For whoever waits until the moment.
    Take(Sender<Verdict>, Instant),
    Master(bool),
    OnLost(Box<dyn FnMut() + Send>),
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

/// The thread.
struct Keeper {
    files: Files,
    duration: Duration,
    start: Instant,
    watch: Watch,
    holding: Option<Holding>,
    master: bool,
    token: Arc<AtomicU64>,
    on_lost: Box<dyn FnMut() + Send>,
}

impl Keeper {
    fn run(mut self, inbox: &Receiver<Order>) {
        let period = self.duration / RENEWALS;
        let mut next = Clock::now();
        loop {
            match inbox.recv_deadline(next) {
                Ok(Order::Take(reply, until)) => {
                    // Nobody waits for it any more when an earlier operation took too long.
                    if Clock::now() >= until {
                        continue;
                    }
                    if let Err(error) = self.look().and_then(|()| self.take()) {
                        self.warn(&error);
                    }
                    let verdict =
                        if self.holding.is_some() { Verdict::Promote } else { Verdict::Veto };
                    crate::handle::answer(&reply, verdict);
                }
                Ok(Order::Master(master)) => {
                    self.master = master;
                    self.tick();
                    next = Clock::now() + period;
                }
                Ok(Order::OnLost(act)) => self.on_lost = act,
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    next = Clock::now() + period;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.release();
                    return;
                }
            }
        }
    }

    fn now(&self) -> Duration {
        Clock::now().saturating_duration_since(self.start)
    }

    fn warn(&self, error: &io::Error) {
        log::warn!("the lease {}: {error}", self.files.path(&self.files.name).display());
    }

    /// Renews, takes, or gives back, and looks at what others do.
    fn tick(&mut self) {
        let had_it = self.holding.is_some();
        let done = self.look().and_then(|()| match (self.master, self.holding) {
            (true, Some(holding)) => self.renew(holding),
            (true, None) => self.take(),
            // Taken, and then not Master: its Master was heard again.
            (false, Some(holding)) if self.now() < holding.renewed + self.duration / 2 => Ok(()),
            (false, _) => {
                self.release();
                Ok(())
            }
        });
        if let Err(error) = done {
            self.warn(&error);
        }
        self.check_validity();
        if had_it && self.holding.is_none() && self.master {
            log::warn!("a Master has lost its lease, and keeps its mastership");
            (self.on_lost)();
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let found = self.files.find()?;
        let now = self.now();
        self.watch.see(now, found);
        self.check_validity();
        Ok(())
    }

    fn check_validity(&mut self) {
        let (now, greatest) = (self.now(), self.watch.greatest());
        let valid = |holding: &Holding| holding.is_valid(now, greatest, self.duration);
        if !self.holding.as_ref().is_some_and(valid) {
            self.set(None);
        }
    }

    fn set(&mut self, holding: Option<Holding>) {
        self.token.store(holding.map_or(0, |holding| holding.token), Ordering::Release);
        self.holding = holding;
    }

    fn take(&mut self) -> io::Result<()> {
        let begun = self.now();
        if self.holding.is_some() {
            return Ok(());
        }
        match self.watch.standing(begun) {
            Standing::Free(token) => {
                let content = held_content(&self.files.holder, 0);
                if self.files.create(token, &content)? {
                    self.set(Some(Holding { token, counter: 0, renewed: begun }));
                    self.files.remove_before(token);
                }
                self.look()
            }
            Standing::Exhausted => Err(io::Error::other("no greater number is possible")),
            Standing::Held(_) | Standing::Unknown => Ok(()),
        }
    }

    fn renew(&mut self, holding: Holding) -> io::Result<()> {
        let renewed = self.now();
        let counter = holding.counter.wrapping_add(1);
        self.files.replace(holding.token, &held_content(&self.files.holder, counter))?;
        self.set(Some(Holding { counter, renewed, ..holding }));
        Ok(())
    }

    fn release(&mut self) {
        let Some(holding) = self.holding else { return };
        self.set(None);
        let content = released_content(&self.files.holder);
        if let Err(error) = self.files.replace(holding.token, &content) {
            self.warn(&error);
        }
    }
}

/// The files of a lease.
struct Files {
    directory: PathBuf,
    name: String,
    holder: String,
}

impl Files {
    fn path(&self, file: &str) -> PathBuf {
        // An empty parent is the working directory.
        self.directory.join(file)
    }

    fn tokens(&self) -> io::Result<Vec<u64>> {
        let here = Path::new(".");
        let directory =
            if self.directory.as_os_str().is_empty() { here } else { self.directory.as_path() };
        let mut tokens = Vec::new();
        for (number, entry) in std::fs::read_dir(directory)?.enumerate() {
            if number >= MAX_FILES {
                return Err(io::Error::other("too many files in its directory"));
            }
            let file = entry?.file_name();
            tokens.extend(file.to_str().and_then(|file| token_of(&self.name, file)));
        }
        Ok(tokens)
    }

    /// The lease: the file with the greatest token.
    fn find(&self) -> io::Result<Option<Found>> {
        let Some(token) = self.tokens()?.into_iter().max() else { return Ok(None) };
        // Replaced or removed meanwhile, or something that cannot be read: it is not released, and it does not change.
        let content = self.read(token).unwrap_or_default();
        Ok(Some(Found { token, content }))
    }

    fn read(&self, token: u64) -> io::Result<Vec<u8>> {
        // Neither a link to somewhere else nor a pipe that nobody writes to.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let path = self.path(&file_name(&self.name, token));
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let mut content = Vec::new();
        if file.metadata()?.is_file() {
            let most = u64::try_from(MAX_CONTENT).unwrap_or(u64::MAX);
            file.take(most).read_to_end(&mut content)?;
        }
        Ok(content)
    }

    /// A file of our own with this content, on its way to its place.
    fn write_temporary(&self, content: &str) -> io::Result<Temporary> {
        let name = format!("{}.tmp-{}-{}", self.name, self.holder, std::process::id());
        let temporary = Temporary(self.path(&name));
        // Nobody else has this name; what is there is left from an earlier process.
        drop(std::fs::remove_file(&temporary.0));
        let mut file =
            File::options().write(true).create_new(true).mode(0o644).open(&temporary.0)?;
        file.write_all(content.as_bytes())?;
        // Storage that others read: not only in our memory.
        file.sync_all()?;
        Ok(temporary)
    }

    /// Makes the file of a token; false if somebody else has.
    fn create(&self, token: u64, content: &str) -> io::Result<bool> {
        let temporary = self.write_temporary(content)?;
        match std::fs::hard_link(&temporary.0, self.path(&file_name(&self.name, token))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, token: u64, content: &str) -> io::Result<()> {
        let temporary = self.write_temporary(content)?;
        std::fs::rename(&temporary.0, self.path(&file_name(&self.name, token)))
    }

    /// Removes what earlier holders have left.
    fn remove_before(&self, token: u64) {
        for old in self.tokens().unwrap_or_default().into_iter().filter(|old| *old < token) {
            drop(std::fs::remove_file(self.path(&file_name(&self.name, old))));
        }
    }
}

/// A file that is removed again unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;
    use vrrp_fsm::Reason;

    const LEASE: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);

    fn question() -> Question {
        Question {
            name: Arc::from("web"),
            addresses: Vec::new(),
            interfaces: Vec::new(),
            reason: Reason::MasterSilent,
            deadline: LONG,
        }
    }

    fn lock(directory: &Path, holder: &str) -> LockFile {
        LockFile::open(directory.join("lease"), holder, LEASE).unwrap().timeout(LONG)
    }

    #[test]
    fn one_of_many_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let locks: Vec<LockFile> =
            (0..8).map(|number| lock(directory.path(), &format!("host-{number}"))).collect();
        let barrier = std::sync::Barrier::new(locks.len());
        let ask = |lock: &LockFile| {
            barrier.wait();
            lock.ask(&question())
        };
        let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
            let asked: Vec<_> = locks.iter().map(|lock| scope.spawn(move || ask(lock))).collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let promoted = verdicts.iter().filter(|verdict| **verdict == Verdict::Promote).count();
        assert_eq!(promoted, 1, "{verdicts:?}");
    }

    #[test]
    fn the_lease_of_a_dead_holder_expires_and_that_of_one_that_ends_does_not_need_to() {
        let directory = tempfile::tempdir().unwrap();
        let dead = directory.path().join("lease.41");
        std::fs::write(&dead, held_content("dead", 7)).unwrap();
        let a = lock(directory.path(), "a");
        assert_eq!(a.ask(&question()), Verdict::Veto);
        let taken = || (a.ask(&question()) == Verdict::Promote).then_some(());
        lab::eventually(LONG, taken).expect("it expires");
        assert_eq!(a.fencing_token(), Some(42));
        assert!(!dead.exists());
        a.handle_master(true);
        let b = lock(directory.path(), "b");
        assert_eq!(b.ask(&question()), Verdict::Veto);
        drop(a);
        let taken = || (b.ask(&question()) == Verdict::Promote).then_some(());
        lab::eventually(LONG, taken).expect("it was given back");
        assert_eq!(b.fencing_token(), Some(43));
    }

    #[test]
    fn nothing_hangs_on_what_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("lease.3");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_os_str().as_bytes(), 0o644.into()).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.path().join("lease.4")).unwrap();
        std::fs::create_dir(directory.path().join("lease.5")).unwrap();
        let a = lock(directory.path(), "a");
        assert_eq!(a.ask(&question()), Verdict::Veto);
        let taken = || (a.ask(&question()) == Verdict::Promote).then_some(());
        lab::eventually(LONG, taken).expect("it expires");
        assert_eq!(a.fencing_token(), Some(6));
    }

    #[test]
    fn storage_that_hangs_is_a_veto_and_no_token_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (resume, wait) = crossbeam_channel::bounded::<()>(0);
        let a = lock(directory.path(), "a").timeout(Duration::from_millis(50));
        let a = a.on_lost(move || assert!(wait.recv_timeout(LONG).is_err()));
        a.handle_master(true);
        lab::eventually(LONG, || a.fencing_token()).expect("the lease");
        // The lease's thread hangs in the caller's code, as it would in the kernel.
        std::fs::write(directory.path().join("lease.9"), "somebody").unwrap();
        let gone = || a.fencing_token().is_none().then_some(());
        lab::eventually(LONG, gone).expect("the loss");
        assert_eq!(a.ask(&question()), Verdict::Veto);
        drop(resume);
        // What was asked while it hung is not answered by taking the lease.
        let again = || a.fencing_token().filter(|token| *token == 10);
        lab::eventually(LONG, again).expect("the Master takes it when it has expired");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let open =
            |path: &str, holder: &str, lease| LockFile::open(path, holder, lease).unwrap_err();
        assert!(matches!(open("/", "a", LEASE), LockFileError::Path { .. }));
        assert!(matches!(open("/tmp/x", "a b", LEASE), LockFileError::Holder { .. }));
        assert!(matches!(open("/tmp/x", "a", Duration::ZERO), LockFileError::Duration { .. }));
        let missing = open("/nonexistent/lease", "a", LEASE);
        assert!(matches!(missing, LockFileError::Directory { .. }), "{missing}");
    }
}
