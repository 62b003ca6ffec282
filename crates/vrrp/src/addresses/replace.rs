//! Other addresses in the place of those at work: only what differs is touched.

use std::collections::{BTreeMap, VecDeque};

use vip_netlink::{Address, Object};
use vrrp_fsm::Wanted;

use super::{Addresses, Companions, Held, Step, Work, with_causes};
use crate::links::Links;
use crate::promotion::Promotion;

impl Addresses {
    /// From now on these are the addresses; whether that makes a difference. What stays, stays untouched; what is ours and
    /// wanted no longer, or otherwise, is removed before anything is added.
    pub(crate) fn replace(
        &mut self,
        held: Vec<Held>,
        companions: Companions,
        keep_foreign: bool,
    ) -> bool {
        self.keep_foreign = keep_foreign;
        let former = core::mem::take(&mut self.held);
        let same = former.len() == held.len()
            && former.iter().zip(&held).all(|(old, new)| old.address == new.address);
        let mut former: BTreeMap<_, Held> =
            former.into_iter().map(|old| (old.address.key(), old)).collect();
        self.held = held;
        for new in &mut self.held {
            let key = new.address.key();
            if former.get(&key).is_some_and(|old| old.address == new.address)
                && let Some(old) = former.remove(&key)
            {
                (new.present, new.ours, new.foreign) = (old.present, old.ours, old.foreign);
            }
        }
        let (gone, differ) = self.companions.replace(companions);
        self.retired.extend(gone);
        let gone = former.into_values().filter(|old| old.ours);
        self.retired.extend(gone.map(|old| Object::from(old.address)));
        if !same || differ {
            self.work_again();
        }
        !same
    }

    /// Whether we are Master, or about to be.
    pub(crate) fn wants_all(&self) -> bool {
        self.latest.is_some_and(|(_, wanted)| wanted == Wanted::All)
    }

    /// Another virtual router leaves an address to this one: listed from now on, as if we had put it there. Whether it is.
    pub(crate) fn inherit(&mut self, address: &Address) -> bool {
        let listed = self
            .journal
            .as_mut()
            .is_none_or(|journal| journal.record(&address.to_string()).is_ok());
        if listed && let Some(held) = self.held.iter_mut().find(|held| held.address == *address) {
            (held.ours, held.foreign) = (true, false);
        }
        listed
    }

    /// Leaves an address to another virtual router, who has it listed.
    pub(crate) fn give(&mut self, address: &Address) {
        for held in self.held.iter_mut().filter(|held| held.address == *address) {
            held.ours = false;
        }
        self.forget(&address.to_string());
    }

    /// Towards the same end with other addresses.
    fn work_again(&mut self) {
        let Some((id, wanted)) = self.latest else { return };
        let answered = self.work.is_none();
        if answered && wanted == Wanted::None {
            return;
        }
        let failed = self.work.as_ref().is_some_and(|work| work.failed);
        let repeated = answered || self.work.as_ref().is_some_and(|work| work.repeated);
        let pending = self.pending(wanted);
        self.work = Some(Work { id, wanted, pending, failed, repeated });
    }

    /// The places of the addresses that have to be changed for this end, in order.
    pub(super) fn pending(&self, wanted: Wanted) -> VecDeque<usize> {
        let places = self.held.iter().enumerate().filter(|(_, held)| match wanted {
            Wanted::All => !held.present,
            Wanted::None => held.ours,
        });
        let mut pending: VecDeque<usize> = places.map(|(place, _)| place).collect();
        if wanted == Wanted::None {
            // The last first: removing the first of a subnet is much work for the kernel while there are others.
            pending.make_contiguous().reverse();
        }
        pending
    }

    /// Removes a part of what is wanted no longer. What the kernel refuses to remove stays listed for the next start.
    pub(super) fn retire(&mut self, kernel: &mut vip_netlink::Client, links: &Links) -> Step {
        let size = self.chunk.get().min(self.retired.len());
        let chunk: Vec<Object> = self.retired.drain(..size).collect();
        let before = reactor::Clock::now();
        let address = |object: &Object| match object {
            Object::Address(address) => Some(address.clone()),
            Object::Route(_) | Object::Rule(_) | _ => None,
        };
        let addresses: Vec<Address> = chunk.iter().filter_map(address).collect();
        let promotion = Promotion::begin(&addresses, links, self.journal.as_mut());
        self.doubt |= promotion.is_doubtful;
        let results = kernel.remove(&chunk);
        promotion.end(self.journal.as_mut());
        let (mut step, mut gone) = (Step::default(), Vec::with_capacity(chunk.len()));
        for (object, result) in chunk.into_iter().zip(results) {
            match result {
                Ok(_) => gone.push(object.to_string()),
                Err(error) => step.stuck.push((object, with_causes(&error))),
            }
        }
        if let Some(journal) = &mut self.journal {
            // An entry too many is harmless: the next start removes what is not there.
            drop(journal.forget_all(&gone));
        }
        self.chunk.handle_duration(super::elapsed(before));
        step
    }
}
