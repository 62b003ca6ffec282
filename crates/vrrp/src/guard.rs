//! Guards: who is asked before a silent Master is replaced, on a thread of its own.

mod combine;
mod echo;
mod lease;
mod lock_file;
mod ping;
mod vip_probe;

pub use combine::{AllOf, AnyOf};
pub use lock_file::{LockFile, LockFileError};
pub use ping::{GatewayPing, PeerPing};
pub use vip_probe::VipProbe;

use core::fmt;
use core::net::IpAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use vrrp_fsm::{Reason, Ticket, Verdict};

use crate::error::BuildError;
use crate::handle::{Command, Handle};

/// What a guard is asked: may this virtual router, or this sync group, replace a Master that has fallen silent?
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Question {
    /// The name of the virtual router, or of the sync group.
    pub name: Arc<str>,
    /// Its advertised addresses, which the Master has if it lives.
    pub addresses: Vec<IpAddr>,
    /// The interface of each of these addresses, in their order.
    pub interfaces: Vec<Arc<str>>,
    /// Why it would be Master.
    pub reason: Reason,
    /// How long the answer counts.
    pub deadline: Duration,
}

/// Who is asked before a silent Master is replaced. Closures are guards, too: see
/// [`VirtualRouter::guard`](crate::VirtualRouter::guard).
pub trait Guard: Send + Sync {
    /// May the asker be Master? It runs on a thread of its own and may wait; see [`GuardConfig`](crate::GuardConfig) for how long.
    fn ask(&self, question: &Question) -> Verdict;

    /// The asker has become Master, also without having asked, or is it no longer. On the same thread.
    fn handle_master(&self, master: bool) {
        let _ = master;
    }

    /// A number that shared storage can use to refuse an old Master, if this guard supplies one and has it now. Called from any
    /// thread; it must not wait.
    fn fencing_token(&self) -> Option<u64> {
        None
    }
}

impl<F: Fn(&Question) -> Verdict + Send + Sync> Guard for F {
    fn ask(&self, question: &Question) -> Verdict {
        self(question)
    }
}

/// A guard in several hands.
#[derive(Clone)]
pub(crate) struct SharedGuard(Arc<dyn Guard>);

impl SharedGuard {
    pub(crate) fn new(guard: impl Guard + 'static) -> Self {
        Self(Arc::new(guard))
    }

    /// See [`Guard::fencing_token`].
    pub(crate) fn fencing_token(&self) -> Option<u64> {
        self.0.fencing_token()
    }

    /// Whether it is the very same one.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for SharedGuard {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl fmt::Debug for SharedGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// Who has deadlines and may have a guard, by its place in the order they were added in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    Router(usize),
    SyncGroup(usize),
}

type Asked = (Ticket, Question);

/// The thread on which a guard is asked. It ends with its last answer after this is dropped; nobody waits for it.
#[derive(Clone, Debug)]
pub(crate) struct GuardThread {
    guard: SharedGuard,
    questions: Latest<Asked>,
    masterships: Latest<bool>,
}

impl GuardThread {
    /// A thread for this guard, in the network namespace of the calling thread.
    pub(crate) fn start(
        guard: SharedGuard,
        party: Party,
        handle: Handle,
    ) -> Result<Self, BuildError> {
        let (questions, masterships) = (Latest::new(), Latest::new());
        let (asked, changed) = (questions.unread.clone(), masterships.unread.clone());
        let thread = Asker { guard: guard.clone(), party, handle };
        let run = move || {
            loop {
                crossbeam_channel::select! {
                    recv(asked) -> asked => match asked {
                        Ok((ticket, question)) => thread.ask(ticket, &question),
                        Err(_) => return,
                    },
                    recv(changed) -> master => match master {
                        Ok(master) => thread.tell(master),
                        Err(_) => return,
                    },
                }
            }
        };
        std::thread::Builder::new()
            .name("vrrp-guard".to_owned())
            .spawn(run)
            .map_err(|source| BuildError::Thread { source })?;
        Ok(Self { guard, questions, masterships })
    }

    /// Whether it is this guard's.
    pub(crate) fn is_of(&self, guard: &SharedGuard) -> bool {
        self.guard.is(guard)
    }

    /// The guard.
    pub(crate) fn guard(&self) -> SharedGuard {
        self.guard.clone()
    }

    /// Asks, without waiting: a question that is not read yet is replaced, for nobody waits for its answer. After a panic in the
    /// guard's code, as after the deadline, the default verdict counts.
    pub(crate) fn ask(&self, ticket: Ticket, question: Question) {
        self.questions.send((ticket, question));
    }

    /// Tells that the asker has become Master, or is it no longer, without waiting.
    pub(crate) fn handle_master(&self, master: bool) {
        self.masterships.send(master);
    }
}

/// What the thread has.
struct Asker {
    guard: SharedGuard,
    party: Party,
    handle: Handle,
}

impl Asker {
    fn ask(&self, ticket: Ticket, question: &Question) {
        match catch_unwind(AssertUnwindSafe(|| self.guard.0.ask(question))) {
            Ok(verdict) => {
                self.handle.tell(Command::Verdict { party: self.party, ticket, verdict });
            }
            Err(_) => log::error!("{}: its guard panicked", question.name),
        }
    }

    fn tell(&self, master: bool) {
        if catch_unwind(AssertUnwindSafe(|| self.guard.0.handle_master(master))).is_err() {
            log::error!("a guard panicked when it was told of a mastership");
        }
    }
}

/// A channel of one, in which a newer message replaces an unread one.
#[derive(Clone, Debug)]
struct Latest<T> {
    sender: Sender<T>,
    /// To take back what nobody has read.
    unread: Receiver<T>,
}

impl<T> Latest<T> {
    fn new() -> Self {
        let (sender, unread) = crossbeam_channel::bounded(1);
        Self { sender, unread }
    }

    fn send(&self, message: T) {
        drop(self.unread.try_recv());
        // There is room now: this is the only sender.
        drop(self.sender.try_send(message));
    }
}
