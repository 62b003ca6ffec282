//! The thread that runs scripts: starts them, watches them end, kills what runs too long.

use std::collections::BTreeMap;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use healthcheck::process::{Child, Exit, SpawnError};
use reactor::{Clock, Events, Interest, Reactor, Registration, Token, Waker};

use super::fifo::Fifo;
use super::files::Files;
use super::queue::{Limits, Queues};
use super::tracked::{Standing, Tracked, next_run};
use super::{LONGEST, Notification, Order, Setup, Verdict};
use crate::trackers::Subject;

/// Notifications at a time, of all objects together, and waiting ones of one object.
const LIMITS: Limits = Limits { running: 64, waiting: 64 };

/// Who started a script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Tracked(String),
    /// The object.
    Notification(String),
}

#[derive(Debug)]
struct Run {
    owner: Owner,
    child: Child,
    registration: Registration,
    shown: String,
}

#[derive(Debug)]
struct Watch {
    tracked: Tracked,
    standing: Standing,
    due: Instant,
    runs: bool,
}

#[derive(Debug)]
pub(super) struct Worker {
    orders: Receiver<Order>,
    verdicts: Sender<Verdict>,
    reactor: Reactor,
    runs: BTreeMap<u64, Run>,
    next_run: u64,
    queues: Queues<Notification>,
    watches: Vec<Watch>,
    files: Files,
    fifos: Vec<Fifo>,
    finish: Option<Sender<()>>,
    configured: bool,
}

impl Worker {
    pub(super) fn new(orders: Receiver<Order>, verdicts: Sender<Verdict>) -> std::io::Result<Self> {
        let (mut reactor, files) = (Reactor::new()?, Files::new()?);
        reactor.register(&files, Interest::Readable, Token(u64::MAX))?;
        Ok(Self {
            orders,
            verdicts,
            reactor,
            files,
            runs: BTreeMap::new(),
            next_run: 0,
            queues: Queues::new(LIMITS),
            watches: Vec::new(),
            fifos: Vec::new(),
            finish: None,
            configured: false,
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.reactor.waker()
    }

    /// Until nobody gives orders any more.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            if let Err(error) = self.reactor.wait(self.deadline(), &mut events) {
                log::error!("scripts are not run any more: {error}");
                return;
            }
            // Which of them have ended is asked below, of all: there are few.
            while events.next(&self.reactor).is_some() {}
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.collect();
            match self.files.process(Clock::now()) {
                Ok(verdicts) => verdicts.into_iter().for_each(|verdict| self.tell(verdict)),
                Err(error) => log::error!("files are not read: {error}"),
            }
            self.start_due();
            self.start_waiting();
            if self.queues.is_idle()
                && let Some(finish) = self.finish.take()
            {
                // Who does not wait any more need not know.
                finish.try_send(()).unwrap_or_default();
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let children = self.runs.values().filter_map(|run| run.child.poll_timeout());
        let scripts = self.watches.iter().map(|watch| watch.due);
        children.chain(scripts).chain(self.files.poll_timeout()).min()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Notify(notification) => {
                let object = notification.object.clone();
                if let Some(lost) = self.queues.push(&object, notification) {
                    let shown = lost.script.program.path().display().to_string();
                    log::warn!(
                        "{object}: too many scripts wait; {shown} {} is left out",
                        lost.arguments.join(" ")
                    );
                }
            }
            Order::Line(kind, line) => {
                for fifo in self.fifos.iter_mut().filter(|fifo| fifo.kind.takes(kind)) {
                    fifo.write(&line);
                }
            }
            Order::Configure(Setup { scripts, files, fifos }) => {
                self.track(scripts);
                self.files.watch(Clock::now(), files);
                let mut former = core::mem::take(&mut self.fifos);
                for (kind, path) in fifos {
                    let same = |fifo: &Fifo| fifo.kind == kind && fifo.path == path;
                    if let Some(place) = former.iter().position(same) {
                        self.fifos.push(former.swap_remove(place));
                        continue;
                    }
                    match Fifo::open(kind, &path) {
                        Ok(fifo) => self.fifos.push(fifo),
                        Err(error) => log::error!("{}: {error}", path.display()),
                    }
                }
            }
            Order::Finish(done) => {
                self.watches.clear();
                self.runs.retain(|_, run| {
                    let tracked = matches!(run.owner, Owner::Tracked(_));
                    if tracked {
                        self.reactor.forget(run.registration);
                    }
                    !tracked
                });
                self.finish = Some(done);
            }
        }
    }

    /// From now on these scripts. What is known of one that stays is kept; one that a reload adds counts as up until it has run.
    fn track(&mut self, tracked: Vec<Tracked>) {
        let now = Clock::now();
        let mut former = core::mem::take(&mut self.watches);
        for tracked in tracked {
            let same = |watch: &Watch| {
                watch.tracked.name == tracked.name && watch.tracked.script == tracked.script
            };
            let (standing, due, runs) = match former.iter().position(same) {
                Some(place) => {
                    let watch = former.swap_remove(place);
                    let soon = watch.due.min(now + tracked.interval);
                    (watch.standing.scaled(&tracked), soon, watch.runs)
                }
                None if self.configured => (Standing::assumed(&tracked), now, false),
                None => (Standing::new(&tracked), now, false),
            };
            let subject = Subject::Script(tracked.name.clone());
            self.tell(Verdict { subject, condition: standing.condition() });
            self.watches.push(Watch { tracked, standing, due, runs });
        }
        self.configured = true;
    }

    fn tell(&self, verdict: Verdict) {
        // Nobody listens at the end.
        self.verdicts.send(verdict).unwrap_or_default();
    }

    fn start_due(&mut self) {
        let now = Clock::now();
        let mut due = Vec::new();
        for watch in self.watches.iter_mut().filter(|watch| watch.due <= now) {
            watch.due = next_run(watch.due, watch.tracked.interval, now);
            if watch.runs {
                log::debug!("vrrp_script {}: still runs", watch.tracked.name);
            } else {
                watch.runs = true;
                due.push(watch.tracked.clone());
            }
        }
        for tracked in due {
            let program = tracked.script.program.timeout(tracked.timeout);
            let shown = format!("vrrp_script {}", tracked.name);
            let owner = Owner::Tracked(tracked.name.clone());
            match self.start(owner, program.spawn(now), shown) {
                Ok(()) => {}
                Err(SpawnError::CannotRun { .. }) => {
                    self.handle_result(&tracked.name, false, "cannot be run any more");
                }
                // This machine is short of something: that says nothing about what the script watches.
                Err(error) => {
                    log::error!("vrrp_script {}: {error}", tracked.name);
                    self.watch(&tracked.name, |watch| watch.runs = false);
                }
            }
        }
    }

    fn start_waiting(&mut self) {
        while let Some((object, job)) = self.queues.next() {
            let program = job.script.program.arguments(&job.arguments).timeout(LONGEST);
            let shown =
                format!("{object}: {} {}", program.path().display(), job.arguments.join(" "));
            let shown = shown.trim_end().to_owned();
            log::debug!("{shown}: starts");
            let owner = Owner::Notification(object.clone());
            if let Err(error) = self.start(owner, program.spawn(Clock::now()), shown.clone()) {
                log::warn!("{shown}: {error}");
                self.queues.done(&object);
            }
        }
    }

    fn start(
        &mut self,
        owner: Owner,
        child: Result<Child, SpawnError>,
        shown: String,
    ) -> Result<(), SpawnError> {
        let child = child?;
        let token = Token(self.next_run);
        let registered = self.reactor.register(&child, Interest::Readable, token);
        let errno = |error: &std::io::Error| error.raw_os_error().unwrap_or(0);
        let registration =
            registered.map_err(|error| SpawnError::Local { errno: errno(&error) })?;
        self.runs.insert(self.next_run, Run { owner, child, registration, shown });
        self.next_run += 1;
        Ok(())
    }

    /// Takes note of those that have ended.
    fn collect(&mut self) {
        let now = Clock::now();
        let mut ended = Vec::new();
        for (id, run) in &mut self.runs {
            let before = run.child.timed_out();
            if let Some(exit) = run.child.process(now) {
                ended.push((*id, exit));
            } else if run.child.timed_out() && !before {
                log::warn!("{}: runs too long and is stopped", run.shown);
            }
        }
        for (id, exit) in ended {
            let Some(run) = self.runs.remove(&id) else { continue };
            self.reactor.forget(run.registration);
            let success = exit == Exit::Code(0) && !run.child.timed_out();
            let why = if run.child.timed_out() { "timed out".into() } else { exit.to_string() };
            match &run.owner {
                Owner::Tracked(name) => self.handle_result(name, success, &why),
                Owner::Notification(object) => {
                    if !success {
                        log::warn!("{}: {why}", run.shown);
                    }
                    self.queues.done(object);
                }
            }
        }
    }

    fn watch(&mut self, name: &str, change: impl FnOnce(&mut Watch)) {
        let mut watches = self.watches.iter_mut();
        if let Some(watch) = watches.find(|watch| watch.tracked.name == name) {
            change(watch);
        }
    }

    fn handle_result(&mut self, name: &str, success: bool, why: &str) {
        let Some(watch) = self.watches.iter_mut().find(|watch| watch.tracked.name == name) else {
            return;
        };
        watch.runs = false;
        let Some(condition) = watch.standing.handle(&watch.tracked, success) else { return };
        if success {
            log::info!("vrrp_script {name}: succeeds");
        } else {
            log::warn!("vrrp_script {name}: fails: {why}");
        }
        self.tell(Verdict { subject: Subject::Script(name.to_owned()), condition });
    }
}
