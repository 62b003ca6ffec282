//! The virtual addresses of one virtual router in the kernel: worked off in chunks, each listed in the journal before
//! the kernel is changed.

mod companions;
mod replace;

use core::time::Duration;
use std::collections::VecDeque;

use journal::Journal;
use reactor::Clock;
use vip_netlink::{Address, Change, ChunkSize, Entry, Object};
use vrrp_fsm::{EffectId, Wanted};

use crate::links::Links;
use crate::promotion::Promotion;
pub(crate) use companions::Companions;

/// One virtual address and what we know of it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Held {
    /// As it shall be in the kernel.
    pub(crate) address: Address,
    /// The kernel has it, as far as we know.
    pub(crate) present: bool,
    /// We may have put it there: it is in the journal, and has to be removed.
    pub(crate) ours: bool,
    /// It was there when we started, and nobody of ours had put it there.
    pub(crate) foreign: bool,
    /// Its removal by others is noticed.
    pub(crate) watched: bool,
}

/// What one step did.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Present since now: to be announced.
    pub(crate) added: Vec<usize>,
    /// Refused by the kernel, or impossible to list.
    pub(crate) failed: Vec<(usize, String)>,
    /// Wanted no longer, and impossible to remove; routes and rules also: impossible to add.
    pub(crate) stuck: Vec<(Object, String)>,
    /// All is done, with or without failures.
    pub(crate) complete: Option<Completed>,
}

/// The work on one `SetAddresses` has come to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed {
    pub(crate) id: EffectId,
    pub(crate) wanted: Wanted,
    pub(crate) success: bool,
    /// The order was answered before, and has changed since.
    pub(crate) repeated: bool,
}

/// Work that is not done yet.
#[derive(Debug)]
struct Work {
    id: EffectId,
    wanted: Wanted,
    pending: VecDeque<usize>,
    failed: bool,
    repeated: bool,
}

/// The addresses of one virtual router, and the work on them.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) held: Vec<Held>,
    pub(crate) companions: Companions,
    journal: Option<Journal>,
    work: Option<Work>,
    /// The latest order.
    latest: Option<(EffectId, Wanted)>,
    /// Ours and wanted no longer.
    retired: VecDeque<Object>,
    chunk: ChunkSize,
    /// An owner's addresses are the interface's own: those that were there stay when we leave.
    keep_foreign: bool,
    /// The kernel may have removed more than it was told to.
    pub(crate) doubt: bool,
}

impl Addresses {
    pub(crate) fn new(
        held: Vec<Held>,
        companions: Companions,
        journal: Option<Journal>,
        keep_foreign: bool,
    ) -> Self {
        Self {
            held,
            companions,
            journal,
            work: None,
            latest: None,
            retired: VecDeque::new(),
            chunk: ChunkSize::default(),
            keep_foreign,
            doubt: false,
        }
    }

    /// Gives the journal back and forgets the addresses, none of which is there.
    pub(crate) fn close(&mut self) {
        (self.held, self.journal) = (Vec::new(), None);
    }

    /// Starts towards what is wanted; what was not done of an older order is dropped.
    pub(crate) fn set(&mut self, id: EffectId, wanted: Wanted) {
        let pending = self.pending(wanted);
        if wanted == Wanted::None {
            for held in &mut self.held {
                // Ours are on their way out; the others do not concern us as Backup.
                held.present = false;
            }
            self.companions.leave();
        }
        self.latest = Some((id, wanted));
        self.work = Some(Work { id, wanted, pending, failed: false, repeated: false });
    }

    /// The same addresses on interfaces with other indices, where nothing of ours is. What is still listed of the old ones is for
    /// the next start.
    pub(crate) fn rebind(&mut self, held: Vec<Held>, companions: Companions) {
        self.held = held;
        self.companions = companions;
        let all = 0..self.held.len();
        if let Some(work) = &mut self.work {
            work.pending.clear();
            if work.wanted == Wanted::All {
                work.pending.extend(all);
            }
        }
    }

    /// Removes at once what is ours, before [`Addresses::rebind`] loses sight of it.
    pub(crate) fn release_now(&mut self, kernel: &mut vip_netlink::Client, links: &Links) {
        self.companions.remove(kernel, self.journal.as_mut());
        let ours = self.held.iter().enumerate().filter(|(_, held)| held.ours);
        let ours: Vec<usize> = ours.map(|(index, _)| index).collect();
        // What the kernel refuses to remove stays on the interface that has lost its name: nobody will ask for it there.
        self.remove(kernel, links, &ours, &mut Step::default());
    }

    /// Whether there is work to do.
    pub(crate) fn is_working(&self) -> bool {
        self.work.is_some() || !self.retired.is_empty()
    }

    /// What the kernel has because of us.
    pub(crate) fn ours(&self) -> impl Iterator<Item = Object> {
        let held = self.held.iter().filter(|held| held.ours);
        let held = held.map(|held| Object::from(held.address.clone()));
        held.chain(self.retired.iter().cloned()).chain(self.companions.ours().cloned())
    }

    /// Whether the kernel has nothing because of us.
    pub(crate) fn is_clear(&self) -> bool {
        self.retired.is_empty()
            && !self.held.iter().any(|held| held.ours)
            && self.companions.ours().next().is_none()
    }

    /// Indices of the addresses that are present.
    pub(crate) fn present(&self) -> Vec<usize> {
        self.held
            .iter()
            .enumerate()
            .filter(|(_, held)| held.present)
            .map(|(index, _)| index)
            .collect()
    }

    /// Does a part of the work that takes about a millisecond.
    pub(crate) fn step(&mut self, kernel: &mut vip_netlink::Client, links: &Links) -> Step {
        if !self.retired.is_empty() {
            return self.retire(kernel, links);
        }
        let Some(mut work) = self.work.take() else { return Step::default() };
        let chunk: Vec<usize> = {
            let size = self.chunk.get().min(work.pending.len());
            work.pending.drain(..size).collect()
        };
        let mut step = Step::default();
        if work.wanted == Wanted::None {
            step.stuck.extend(self.companions.remove(kernel, self.journal.as_mut()));
        }
        if !chunk.is_empty() {
            let before = Clock::now();
            match work.wanted {
                Wanted::All => self.add(kernel, &chunk, &mut step),
                Wanted::None => self.remove(kernel, links, &chunk, &mut step),
            }
            self.chunk.handle_duration(elapsed(before));
        }
        if work.wanted == Wanted::All && work.pending.is_empty() && !self.companions.is_empty() {
            step.stuck.extend(self.companions.add(kernel, self.journal.as_mut()));
        }
        work.failed |= !(step.failed.is_empty() && step.stuck.is_empty());
        if work.pending.is_empty() {
            let Work { id, wanted, failed, repeated, .. } = work;
            step.complete = Some(Completed { id, wanted, success: !failed, repeated });
        } else {
            self.work = Some(work);
        }
        step
    }

    fn add(&mut self, kernel: &mut vip_netlink::Client, chunk: &[usize], step: &mut Step) {
        let addresses = self.select(chunk);
        // Only what is listed may be configured, else a death here would leave it for ever.
        let unlisted = chunk.iter().zip(&addresses).filter(|(index, _)| !self.keeps(**index));
        let texts: Vec<String> = unlisted.map(|(_, address)| address.to_string()).collect();
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.record_all(&texts)
        {
            step.failed.extend(chunk.iter().map(|index| (*index, with_causes(&error))));
            return;
        }
        for index in chunk {
            let keep = self.keeps(*index);
            if let Some(held) = self.held.get_mut(*index) {
                held.ours = !keep;
            }
        }
        for (index, result) in chunk.iter().zip(kernel.add(&addresses)) {
            match result {
                Ok(_) => {
                    if let Some(held) = self.held.get_mut(*index) {
                        held.present = true;
                    }
                    step.added.push(*index);
                }
                Err(error) => step.failed.push((*index, with_causes(&error))),
            }
        }
    }

    fn remove(
        &mut self,
        kernel: &mut vip_netlink::Client,
        links: &Links,
        chunk: &[usize],
        step: &mut Step,
    ) {
        let addresses = self.select(chunk);
        let mut gone = Vec::with_capacity(chunk.len());
        let promotion = Promotion::begin(&addresses, links, self.journal.as_mut());
        self.doubt |= promotion.is_doubtful;
        let results = kernel.remove(&addresses);
        promotion.end(self.journal.as_mut());
        for (index, result) in chunk.iter().zip(results) {
            match result {
                Ok(_) => {
                    if let Some(held) = self.held.get_mut(*index) {
                        held.ours = false;
                        held.foreign = false;
                        gone.push(held.address.to_string());
                    }
                }
                Err(error) => step.failed.push((*index, with_causes(&error))),
            }
        }
        if let Some(journal) = &mut self.journal {
            // An entry too many is harmless: the next start removes what is not there.
            drop(journal.forget_all(&gone));
        }
    }

    /// Deals with what a dead predecessor left: keeps it if we will want it at once, removes it otherwise. Returns what was
    /// removed, for people.
    pub(crate) fn take_over(
        &mut self,
        kernel: &mut vip_netlink::Client,
        links: &Links,
        text: &str,
    ) -> Option<Address> {
        let address = match text.parse::<Entry>() {
            Ok(Entry::Object(Object::Address(address))) => address,
            Ok(entry) => {
                // What cannot be undone stays listed for the next start.
                if kernel.undo(&entry).is_ok() {
                    self.forget(text);
                }
                return None;
            }
            Err(_) => {
                self.forget(text);
                return None;
            }
        };
        let wanted = self.held.iter_mut().find(|held| held.address.key() == address.key());
        if let Some(held) = wanted {
            held.foreign = false;
            if self.keep_foreign {
                held.ours = true;
                return None;
            }
        }
        let promotion =
            Promotion::begin(core::slice::from_ref(&address), links, self.journal.as_mut());
        let result = kernel.remove(core::slice::from_ref(&address)).pop();
        promotion.end(self.journal.as_mut());
        match result {
            Some(Ok(change)) => {
                self.forget(text);
                (change == Change::Made).then_some(address)
            }
            // It stays listed: the next start, or the next release, tries again.
            Some(Err(_)) | None => None,
        }
    }

    /// Strikes an entry from the journal. One too many is harmless: the next start undoes what is not there.
    pub(crate) fn forget(&mut self, text: &str) {
        if let Some(journal) = &mut self.journal {
            drop(journal.forget(text));
        }
    }

    /// The list of what is configured.
    pub(crate) fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_mut()
    }

    fn keeps(&self, index: usize) -> bool {
        self.keep_foreign && self.held.get(index).is_some_and(|held| held.foreign)
    }

    fn select(&self, chunk: &[usize]) -> Vec<Address> {
        chunk
            .iter()
            .filter_map(|index| self.held.get(*index))
            .map(|held| held.address.clone())
            .collect()
    }
}

fn elapsed(since: std::time::Instant) -> Duration {
    Clock::now().saturating_duration_since(since)
}

/// The text of an error with those of its causes.
pub(crate) fn with_causes(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
