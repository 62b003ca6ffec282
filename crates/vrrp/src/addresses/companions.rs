//! Routes and rules that live and die with the addresses: added after the last of them, removed before the first.

use journal::Journal;
use vip_netlink::{Client, Deviation, Event, Object, QueryError, Watch};

use super::with_causes;

/// One route or rule.
#[derive(Debug)]
struct Companion {
    object: Object,
    /// The kernel has it, as far as we know.
    present: bool,
    /// We may have put it there: it is in the journal, and has to be removed.
    ours: bool,
}

/// The routes and rules of one virtual router, in the order in which they are added.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    list: Vec<Companion>,
    watch: Watch,
}

impl Companions {
    pub(crate) fn new(objects: Vec<Object>) -> Self {
        let companion = |object| Companion { object, present: false, ours: false };
        Self { list: objects.into_iter().map(companion).collect(), watch: Watch::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that the kernel has because of us.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Object> {
        self.list.iter().filter(|one| one.ours).map(|one| &one.object)
    }

    /// They do not concern us any more, or are on their way out.
    pub(crate) fn leave(&mut self) {
        for one in &mut self.list {
            one.present = false;
        }
    }

    /// Adds what is missing; what could not be added, and why.
    pub(crate) fn add(
        &mut self,
        kernel: &mut Client,
        journal: Option<&mut Journal>,
    ) -> Vec<(Object, String)> {
        let missing: Vec<&mut Companion> =
            self.list.iter_mut().filter(|one| !one.present).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        let objects: Vec<Object> = missing.iter().map(|one| one.object.clone()).collect();
        if let Some(journal) = journal
            && let Err(error) = journal.record_all(objects.iter().map(Object::to_string))
        {
            let error = with_causes(&error);
            return objects.into_iter().map(|object| (object, error.clone())).collect();
        }
        let mut failed = Vec::new();
        for object in &objects {
            self.watch.hold(object.clone());
        }
        for (one, result) in missing.into_iter().zip(kernel.add(&objects)) {
            one.ours = true;
            match result {
                Ok(_) => one.present = true,
                Err(error) => {
                    // What is not there is nobody's loss.
                    self.watch.forget(one.object.clone());
                    failed.push((one.object.clone(), with_causes(&error)));
                }
            }
        }
        failed
    }

    /// Removes what is ours, the last first; what could not be removed, and why.
    pub(crate) fn remove(
        &mut self,
        kernel: &mut Client,
        journal: Option<&mut Journal>,
    ) -> Vec<(Object, String)> {
        let ours: Vec<&mut Companion> = self.list.iter_mut().rev().filter(|one| one.ours).collect();
        if ours.is_empty() {
            return Vec::new();
        }
        let objects: Vec<Object> = ours.iter().map(|one| one.object.clone()).collect();
        for object in &objects {
            self.watch.forget(object.clone());
        }
        let (mut failed, mut gone) = (Vec::new(), Vec::new());
        for (one, result) in ours.into_iter().zip(kernel.remove(&objects)) {
            match result {
                Ok(_) => {
                    (one.ours, one.present) = (false, false);
                    gone.push(one.object.to_string());
                }
                Err(error) => failed.push((one.object.clone(), with_causes(&error))),
            }
        }
        if let Some(journal) = journal {
            // An entry too many is harmless: the next start removes what is not there.
            drop(journal.forget_all(&gone));
        }
        failed
    }

    /// Others in their place: what stays, stays untouched. Returns what is ours and wanted no longer, the last first; and whether
    /// there is any difference.
    pub(crate) fn replace(&mut self, new: Self) -> (Vec<Object>, bool) {
        let same =
            self.list.iter().map(|one| &one.object).eq(new.list.iter().map(|one| &one.object));
        if same {
            return (Vec::new(), false);
        }
        let mut former = core::mem::replace(&mut self.list, new.list);
        for one in &mut self.list {
            if let Some(place) = former.iter().position(|old| old.object == one.object) {
                let old = former.remove(place);
                (one.present, one.ours) = (old.present, old.ours);
            }
        }
        let gone: Vec<Object> =
            former.into_iter().rev().filter(|old| old.ours).map(|old| old.object).collect();
        for object in &gone {
            self.watch.forget(object.clone());
        }
        (gone, true)
    }

    /// News of the kernel.
    pub(crate) fn handle_event(&mut self, event: &Event) {
        if !self.list.is_empty() {
            self.watch.handle_event(event);
        }
    }

    /// What others have removed since the last look.
    pub(crate) fn lost(&mut self, kernel: &mut Client) -> Result<Vec<Object>, QueryError> {
        if self.list.is_empty() {
            return Ok(Vec::new());
        }
        kernel.refresh(&mut self.watch)?;
        let mut lost = Vec::new();
        while let Some(deviation) = self.watch.poll_output() {
            let Deviation::Lost { object, .. } = deviation else { continue };
            if let Some(one) = self.list.iter_mut().find(|one| one.object == object) {
                one.present = false;
                lost.push(object);
            }
        }
        Ok(lost)
    }
}
