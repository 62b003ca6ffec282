//! What will happen, ordered by time; at the same time in the order it was announced.

use std::collections::BinaryHeap;

use core::cmp::Ordering;

use vrrp_fsm::Instant;

#[derive(Debug, Clone)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), next: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, what: T) {
        self.heap.push(Entry { at, number: self.next, what });
        self.next += 1;
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    /// When the last of those that `matches` comes.
    pub(crate) fn latest(&self, matches: impl Fn(&T) -> bool) -> Option<Instant> {
        self.heap.iter().filter(|entry| matches(&entry.what)).map(|entry| entry.at).max()
    }
}

impl<T> Ord for Entry<T> {
    // The heap pops the greatest: the earliest has to be it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_earlier_comes_first_and_equal_times_in_order_of_arrival() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b'), (5, 'e')] {
            queue.push(Instant::from_nanos(at), what);
        }
        assert_eq!(queue.latest(|what| *what < 'c'), Some(Instant::from_nanos(3)));
        assert_eq!(queue.next_at(), Some(Instant::from_nanos(1)));
        let order: String = core::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcde");
    }
}
