//! How soon the router's thread gets a processor, and whether its memory may be swapped out.

use core::num::NonZeroU64;
use core::time::Duration;
use std::io;

use reactor::Clock;

use crate::sys;

/// What keeps a busy machine from delaying advertisements; everything is off by default.
///
/// For a router that runs in a thread of its own ([`RouterBuilder::start`](crate::RouterBuilder::start)). Who steps a
/// [`Router`](crate::Router) in a thread of theirs calls [`Scheduling::apply`] there.
///
/// Without it, a machine with more to do than processors delays an advertisement by some milliseconds at times, which matters at
/// intervals of some ten milliseconds. Each part needs a capability beyond those of the router itself, and whoever lacks it gets
/// an error that names it.
///
/// ```
/// use core::time::Duration;
/// use vrrp::{Router, Scheduling};
///
/// let scheduling = Scheduling::new()
///     .real_time_priority(10)                     // CAP_SYS_NICE
///     .lock_memory(true)                          // CAP_IPC_LOCK
///     .timer_slack(Duration::from_micros(1));     // nothing
/// let builder = Router::builder().scheduling(scheduling);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    real_time_priority: Option<u8>,
    lock_memory: bool,
    timer_slack: Option<Duration>,
}

/// Why the [`Scheduling`] asked for cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulingError {
    /// There is no such priority.
    #[error("the real-time priority {priority} does not exist: it is 1 (least) to 99")]
    NoSuchPriority {
        /// What was asked for.
        priority: u8,
    },
    /// The process may not use real-time scheduling.
    #[error(
        "no permission for the real-time priority {priority}: CAP_SYS_NICE is missing. Give it to the program (setcap \
         cap_sys_nice+ep PROGRAM; systemd: AmbientCapabilities=CAP_SYS_NICE; containers: --cap-add SYS_NICE), raise the limit \
         (ulimit -r {priority}; systemd: LimitRTPRIO={priority}), or do without"
    )]
    RealTimePermission {
        /// What was asked for.
        priority: u8,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses it for another reason.
    #[error("the kernel does not give the real-time priority {priority}")]
    RealTime {
        /// What was asked for.
        priority: u8,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process may not lock (so much) memory.
    #[error(
        "no permission to lock the memory of the process: CAP_IPC_LOCK is missing. Give it to the program (setcap \
         cap_ipc_lock+ep PROGRAM; systemd: AmbientCapabilities=CAP_IPC_LOCK; containers: --cap-add IPC_LOCK), raise the limit \
         (ulimit -l unlimited; systemd: LimitMEMLOCK=infinity), or do without"
    )]
    LockMemoryPermission {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses it for another reason.
    #[error("the kernel does not lock the memory of the process")]
    LockMemory {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel does not set the timer slack.
    #[error("the kernel does not set a timer slack of {slack:?}")]
    TimerSlack {
        /// What was asked for.
        slack: Duration,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no thread to try it in.
    #[error("no thread to try the scheduling in")]
    Thread {
        /// What the kernel said.
        source: io::Error,
    },
}

impl Scheduling {
    /// Nothing of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `SCHED_FIFO` with this priority, 1 (least) to 99, for the thread: it runs before everything that is not real-time. Threads and
    /// processes that it starts are not (`SCHED_RESET_ON_FORK`). Needs `CAP_SYS_NICE`, or a limit (`RLIMIT_RTPRIO`).
    ///
    /// The kernel leaves others 5 % of the time (`kernel.sched_rt_runtime_us`), should the thread never rest.
    #[must_use]
    pub fn real_time_priority(mut self, priority: u8) -> Self {
        self.real_time_priority = Some(priority);
        self
    }

    /// Whether the memory of the whole process is kept from being swapped out or dropped, each page from its first use on
    /// (`mlockall` with `MCL_ONFAULT`). Needs `CAP_IPC_LOCK`, or a limit (`RLIMIT_MEMLOCK`).
    #[must_use]
    pub fn lock_memory(mut self, lock: bool) -> Self {
        self.lock_memory = lock;
        self
    }

    /// How late the kernel may end the thread's waits in order to group wake-ups, a nanosecond or more; it is 50 µs otherwise
    /// (`PR_SET_TIMERSLACK`). Real-time threads have none.
    #[must_use]
    pub fn timer_slack(mut self, slack: Duration) -> Self {
        self.timer_slack = Some(slack);
        self
    }

    /// Applies it to the calling thread; what concerns memory, to the process.
    ///
    /// # Errors
    ///
    /// What was applied before the error stays.
    pub fn apply(&self) -> Result<(), SchedulingError> {
        if self.lock_memory {
            sys::lock_memory().map_err(|source| {
                match source.raw_os_error() {
                    // Without the capability, and with a limit of zero or of some pages.
                    Some(libc::EPERM | libc::ENOMEM | libc::EAGAIN) => {
                        SchedulingError::LockMemoryPermission { source }
                    }
                    _ => SchedulingError::LockMemory { source },
                }
            })?;
        }
        if let Some(slack) = self.timer_slack {
            let nanos = u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX);
            Clock::set_timer_slack(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
                .map_err(|source| SchedulingError::TimerSlack { slack, source })?;
        }
        let Some(priority) = self.real_time_priority else { return Ok(()) };
        sys::set_real_time_priority(priority).map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM) => SchedulingError::RealTimePermission { priority, source },
            Some(libc::EINVAL) if !(1..=99).contains(&priority) => {
                SchedulingError::NoSuchPriority { priority }
            }
            _ => SchedulingError::RealTime { priority, source },
        })
    }

    /// Whether it can be had: tried in a thread that ends at once. (The memory stays locked.)
    pub(crate) fn try_out(self) -> Result<(), SchedulingError> {
        if self == Self::default() {
            return Ok(());
        }
        let thread = std::thread::Builder::new().name("vrrp".to_owned());
        let tried = thread.spawn(move || self.apply());
        let result = tried.map_err(|source| SchedulingError::Thread { source })?.join();
        result.unwrap_or_else(|_| {
            Err(SchedulingError::Thread { source: io::Error::other("it panicked") })
        })
    }
}
