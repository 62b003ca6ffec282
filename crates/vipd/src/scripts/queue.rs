//! Whose turn it is: for one object one at a time and in order, for all together a bounded number.

use std::collections::{BTreeMap, VecDeque};

/// What waits and what runs, by object.
#[derive(Debug)]
pub(crate) struct Queues<J> {
    objects: BTreeMap<String, Object<J>>,
    running: usize,
    limits: Limits,
}

/// How much there may be of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// That run at the same time.
    pub(crate) running: usize,
    /// That wait for one object.
    pub(crate) waiting: usize,
}

#[derive(Debug)]
struct Object<J> {
    waiting: VecDeque<J>,
    runs: bool,
}

impl<J> Queues<J> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { objects: BTreeMap::new(), running: 0, limits }
    }

    /// Adds a job. When too many wait for its object the oldest of them is given back: what is latest counts most.
    pub(crate) fn push(&mut self, object: &str, job: J) -> Option<J> {
        let empty = || Object { waiting: VecDeque::new(), runs: false };
        let queue = self.objects.entry(object.to_owned()).or_insert_with(empty);
        queue.waiting.push_back(job);
        if queue.waiting.len() > self.limits.waiting { queue.waiting.pop_front() } else { None }
    }

    /// A job that may start now; its object is busy until [`Queues::done`].
    pub(crate) fn next(&mut self) -> Option<(String, J)> {
        if self.running >= self.limits.running {
            return None;
        }
        let (name, object) = self.objects.iter_mut().find(|(_, object)| !object.runs)?;
        let job = object.waiting.pop_front()?;
        object.runs = true;
        self.running += 1;
        Some((name.clone(), job))
    }

    /// The job of this object has ended.
    pub(crate) fn done(&mut self, object: &str) {
        let Some(queue) = self.objects.get_mut(object).filter(|queue| queue.runs) else { return };
        queue.runs = false;
        self.running -= 1;
        if queue.waiting.is_empty() {
            self.objects.remove(object);
        }
    }

    /// Whether nothing waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(running: usize, waiting: usize) -> Queues<u8> {
        Queues::new(Limits { running, waiting })
    }

    #[test]
    fn one_at_a_time_and_in_order_for_one_object() {
        let mut queues = queues(8, 8);
        for (object, job) in [("a", 1), ("a", 2), ("b", 3)] {
            assert_eq!(queues.push(object, job), None);
        }
        assert_eq!(queues.next(), Some(("a".into(), 1)));
        assert_eq!(queues.next(), Some(("b".into(), 3)));
        assert_eq!(queues.next(), None, "the second waits for the first");
        queues.done("b");
        queues.done("b");
        queues.done("stranger");
        assert_eq!(queues.next(), None);
        queues.done("a");
        assert_eq!(queues.next(), Some(("a".into(), 2)));
        assert!(!queues.is_idle());
        queues.done("a");
        assert!(queues.is_idle());
    }

    #[test]
    fn both_numbers_are_bounded() {
        let mut queues = queues(1, 2);
        assert_eq!(queues.push("a", 1), None);
        assert_eq!(queues.next(), Some(("a".into(), 1)));
        assert_eq!(queues.push("a", 2), None);
        assert_eq!(queues.push("a", 3), None);
        assert_eq!(queues.push("a", 4), Some(2), "the oldest that waits");
        assert_eq!(queues.push("b", 5), None);
        assert_eq!(queues.next(), None, "one runs");
        queues.done("a");
        let next = queues.next();
        assert_eq!(next, Some(("a".into(), 3)));
    }
}
