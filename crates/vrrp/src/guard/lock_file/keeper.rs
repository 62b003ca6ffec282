//! The lease's thread: renews, takes, gives back, answers.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use reactor::Clock;
use vrrp_fsm::Verdict;

use super::files::Files;
use crate::guard::lease::{Holding, Standing, Watch, held_content, released_content};

/// So many times a lease is renewed, or looked at, in its duration.
const RENEWALS: u32 = 5;

pub(super) enum Order {
    /// For whoever waits until the moment.
    Take(Sender<Verdict>, Instant),
    Master(bool),
    OnLost(Box<dyn FnMut() + Send>),
}

/// The thread.
pub(super) struct Keeper {
    pub(super) files: Files,
    pub(super) duration: Duration,
    pub(super) start: Instant,
    pub(super) watch: Watch,
    pub(super) holding: Option<Holding>,
    pub(super) master: bool,
    pub(super) token: Arc<AtomicU64>,
    pub(super) on_lost: Box<dyn FnMut() + Send>,
}

impl Keeper {
    pub(super) fn run(mut self, inbox: &Receiver<Order>) {
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
