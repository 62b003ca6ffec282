//! A heap of deadlines by key.

use core::cmp::Ordering;
use core::hash::Hash;
use std::collections::HashMap;
use std::time::Instant;

use crate::KeyHash;

#[derive(Clone, Copy, Debug)]
struct Entry<K, T> {
    at: T,
    /// Breaks ties: equal deadlines come out in the order they were set.
    order: u64,
    key: K,
}

impl<K, T: Ord> Entry<K, T> {
    fn is_before(&self, other: &Self) -> bool {
        self.at.cmp(&other.at).then(self.order.cmp(&other.order)) == Ordering::Less
    }
}

/// Deadlines by key: at most one for each, setting, moving and cancelling in O(log n), the nearest in O(1).
///
/// `T` is any ordered moment: [`Instant`] here, a pure machine's own newtype elsewhere. Equal deadlines come out in the
/// order in which they were set. It allocates only when it grows beyond its largest size so far.
#[derive(Clone, Debug)]
pub struct Timers<K, T = Instant> {
    /// A binary heap: no entry is before its parent.
    heap: Vec<Entry<K, T>>,
    position: HashMap<K, usize, KeyHash>,
    next_order: u64,
}

impl<K, T> Default for Timers<K, T> {
    fn default() -> Self {
        Self { heap: Vec::new(), position: HashMap::default(), next_order: 0 }
    }
}

impl<K: Copy + Eq + Hash, T: Copy + Ord> Timers<K, T> {
    /// No deadlines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many deadlines are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no deadline is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Sets the deadline of `key`, or moves it; returns the one it had.
    pub fn set(&mut self, key: K, at: T) -> Option<T> {
        let entry = Entry { at, order: self.next_order, key };
        self.next_order = self.next_order.wrapping_add(1);
        let Some(&index) = self.position.get(&key) else {
            let index = self.heap.len();
            self.heap.push(entry);
            self.position.insert(key, index);
            self.rise(index);
            return None;
        };
        let old = self.heap.get_mut(index).map(|slot| core::mem::replace(slot, entry));
        self.settle(index);
        old.map(|old| old.at)
    }

    /// Removes the deadline of `key`; returns the one it had.
    pub fn cancel(&mut self, key: &K) -> Option<T> {
        let index = self.position.remove(key)?;
        Some(self.remove(index)?.at)
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn deadline(&self, key: &K) -> Option<T> {
        self.heap.get(*self.position.get(key)?).map(|entry| entry.at)
    }

    /// The nearest deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<T> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Takes out the nearest deadline if it is not after `now`.
    pub fn pop_due(&mut self, now: T) -> Option<(K, T)> {
        let &Entry { at, key, .. } = self.heap.first().filter(|entry| entry.at <= now)?;
        self.position.remove(&key);
        self.remove(0)?;
        Some((key, at))
    }

    /// Removes all deadlines and keeps the memory.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.position.clear();
    }

    /// Takes the entry at `index` out of the heap; its key is gone from `position` already.
    fn remove(&mut self, index: usize) -> Option<Entry<K, T>> {
        if index >= self.heap.len() {
            return None;
        }
        let entry = self.heap.swap_remove(index);
        if let Some(moved) = self.heap.get(index) {
            self.position.insert(moved.key, index);
            self.settle(index);
        }
        Some(entry)
    }

    fn settle(&mut self, index: usize) {
        let index = self.rise(index);
        self.sink(index);
    }

    fn rise(&mut self, mut index: usize) -> usize {
        while let Some(parent) = index.checked_sub(1).map(|above| above / 2)
            && self.before(index, parent)
        {
            self.swap(index, parent);
            index = parent;
        }
        index
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let left = index.saturating_mul(2).saturating_add(1);
            let right = left.saturating_add(1);
            let child = if self.before(right, left) { right } else { left };
            if !self.before(child, index) {
                return;
            }
            self.swap(child, index);
            index = child;
        }
    }

    /// Whether the entry at `a` comes before that at `b`; false when one does not exist.
    fn before(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => a.is_before(b),
            _ => false,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for index in [a, b] {
            if let Some(entry) = self.heap.get(index) {
                self.position.insert(entry.key, index);
            }
        }
    }
}
