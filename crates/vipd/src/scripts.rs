//! Scripts: what tells about changes, and what is tracked. They run on a thread of their own, one after the other for one
//! object, and never for ever; nobody waits for them but the end of the program, and that not long.

mod fifo;
mod files;
pub(crate) mod queue;
pub(crate) mod runnable;
pub(crate) mod tracked;
mod users;
mod worker;

use core::time::Duration;
use std::path::PathBuf;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use reactor::Waker;
use vrrp::Condition;

pub(crate) use files::TrackedFile;
use runnable::Runnable;
use tracked::Tracked;

use crate::trackers::Subject;

/// How long a script that tells about a change may run.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// One run of a script that tells about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Who it is about; those about one object run in order.
    pub(crate) object: String,
    pub(crate) script: Runnable,
    /// Behind those of the configuration.
    pub(crate) arguments: Vec<String>,
}

/// What is known of something that is tracked, when it is other than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) subject: Subject,
    pub(crate) condition: Condition,
}

/// What the thread works on from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) scripts: Vec<Tracked>,
    pub(crate) files: Vec<TrackedFile>,
    pub(crate) fifos: Vec<(FifoKind, PathBuf)>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Notify(Notification),
    /// A line for the FIFOs.
    Line(fifo::Kind, String),
    Configure(Setup),
    /// No script is tracked any more; says so when all notifications are done.
    Finish(Sender<()>),
}

pub(crate) use fifo::Kind as FifoKind;

/// The thread. Dropping it kills what still runs.
#[derive(Debug)]
pub(crate) struct Scripts {
    orders: Sender<Order>,
    verdicts: Receiver<Verdict>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Scripts {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (orders, received) = crossbeam_channel::unbounded();
        let (tell, verdicts) = crossbeam_channel::unbounded();
        let worker = worker::Worker::new(received, tell)?;
        let waker = worker.waker();
        let thread = std::thread::Builder::new().name("scripts".into());
        let thread = thread.spawn(move || worker.run())?;
        Ok(Self { orders, verdicts, waker, thread: Some(thread) })
    }

    pub(crate) const fn verdicts(&self) -> &Receiver<Verdict> {
        &self.verdicts
    }

    pub(crate) fn configure(&self, setup: Setup) {
        self.order(Order::Configure(setup));
    }

    pub(crate) fn notify(&self, notification: Notification) {
        self.order(Order::Notify(notification));
    }

    pub(crate) fn write(&self, kind: FifoKind, line: String) {
        self.order(Order::Line(kind, line));
    }

    /// Waits until every notification is done, but not longer than `patience`. Tracked scripts are killed at once: one of them
    /// may be what stops us.
    pub(crate) fn finish(&self, patience: Duration) {
        let (done, finished) = crossbeam_channel::bounded(1);
        self.order(Order::Finish(done));
        if finished.recv_timeout(patience).is_err() {
            log::warn!("scripts that still run after {patience:?} are killed");
        }
    }

    fn order(&self, order: Order) {
        // A thread that has ended is told of by the end of its verdicts.
        if self.orders.send(order).is_ok() {
            self.waker.wake();
        }
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        // The end of the orders is the end of the thread.
        let (orders, _) = crossbeam_channel::unbounded();
        drop(core::mem::replace(&mut self.orders, orders));
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_else(|_| log::error!("the thread of the scripts panicked"));
        }
    }
}
