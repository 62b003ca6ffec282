//! Guards: code of the caller's that is asked before a silent Master is replaced, on a thread of its own.

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
    /// Why it would be Master.
    pub reason: Reason,
    /// How long the answer counts.
    pub deadline: Duration,
}

/// The caller's code.
#[derive(Clone)]
pub(crate) struct Guard(Arc<dyn Fn(&Question) -> Verdict + Send + Sync>);

impl Guard {
    pub(crate) fn new(ask: impl Fn(&Question) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Whether it is the very same code.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl fmt::Debug for Guard {
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
    guard: Guard,
    questions: Sender<Asked>,
    /// To take back what nobody waits for any more.
    unread: Receiver<Asked>,
}

impl GuardThread {
    /// A thread for this guard, in the network namespace of the calling thread.
    pub(crate) fn start(guard: Guard, party: Party, handle: Handle) -> Result<Self, BuildError> {
        let (questions, unread) = crossbeam_channel::bounded::<Asked>(1);
        let (asked, ask) = (unread.clone(), Arc::clone(&guard.0));
        let run = move || {
            for (ticket, question) in asked {
                // After a panic, as after the deadline, the default verdict counts.
                match catch_unwind(AssertUnwindSafe(|| ask(&question))) {
                    Ok(verdict) => handle.tell(Command::Verdict { party, ticket, verdict }),
                    Err(_) => log::error!("{}: its guard panicked", question.name),
                }
            }
        };
        std::thread::Builder::new()
            .name("vrrp-guard".to_owned())
            .spawn(run)
            .map_err(|source| BuildError::Thread { source })?;
        Ok(Self { guard, questions, unread })
    }

    /// Whether it is this guard's.
    pub(crate) fn is_of(&self, guard: &Guard) -> bool {
        self.guard.is(guard)
    }

    /// Asks, without waiting: a question that is not read yet is replaced, for nobody waits for its answer.
    pub(crate) fn ask(&self, ticket: Ticket, question: Question) {
        drop(self.unread.try_recv());
        // There is room now, or else a panic has ended the thread: then the default verdict counts.
        drop(self.questions.try_send((ticket, question)));
    }
}
