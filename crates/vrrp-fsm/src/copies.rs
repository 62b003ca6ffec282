//! The same advertisement over several paths: told from the next one.

use alloc::{vec, vec::Vec};

use crate::{Heard, Instant, PathId, VirtualRouter};

/// What was heard on one path, to recognise copies on the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct News {
    /// The latest advertisement that was no copy and not a farewell.
    advertisement: Option<Heard>,
    /// The latest farewell, priority 0, that was no copy.
    farewell: Option<Heard>,
}

impl News {
    /// Nothing of each of so many paths; a single one has no copies.
    pub(crate) fn for_paths(paths: usize) -> Vec<Self> {
        let none = Self { advertisement: None, farewell: None };
        if paths > 1 { vec![none; paths] } else { Vec::new() }
    }

    fn note(&mut self, heard: Heard) {
        if heard.priority.is_release() {
            self.farewell = Some(heard);
        } else {
            self.advertisement = Some(heard);
        }
    }

    /// Whether what is heard on another path was heard here before.
    fn anticipates(&self, heard: &Heard) -> bool {
        // For one interval after a farewell, the other paths bring what was sent before it, and the
        // farewell itself. Whoever comes back so soon is heard on this path.
        let is_gone = self
            .farewell
            .is_some_and(|gone| gone.source == heard.source && heard.at < gone.at + gone.interval);
        // Whoever has something new to say says something else, or it is time.
        let is_same = self.advertisement.is_some_and(|earlier| {
            (earlier.source, earlier.priority, earlier.interval)
                == (heard.source, heard.priority, heard.interval)
                && heard.at < earlier.at + earlier.interval / 2
        });
        is_gone || is_same
    }

    /// See [`VirtualRouter::canonicalize`].
    pub(crate) fn canonicalize(&mut self, now: Instant) {
        let Self { advertisement, farewell } = self;
        *advertisement = advertisement.filter(|heard| now < heard.at + heard.interval / 2);
        *farewell = farewell.filter(|heard| now < heard.at + heard.interval);
        for heard in [advertisement, farewell].into_iter().flatten() {
            heard.at.canonicalize(now);
        }
    }
}

impl VirtualRouter {
    /// Notes an accepted advertisement on its path. Whether it is a copy, or older than news that
    /// came over another path: then it means nothing.
    #[inline]
    pub(crate) fn is_copy(&mut self, heard: &Heard) -> bool {
        if let Some(path) = self.paths.get_mut(heard.path.index()) {
            path.heard_at = Some(heard.at);
        }
        !self.news.is_empty() && self.is_copy_of_news(*heard)
    }

    /// Of several paths. By value, so that the caller with a single one can keep it in registers.
    #[cold]
    fn is_copy_of_news(&mut self, heard: Heard) -> bool {
        let is_copy = (0..)
            .map(PathId::new)
            .zip(&self.news)
            .any(|(path, news)| path != heard.path && news.anticipates(&heard));
        if let Some(news) = self.news.get_mut(heard.path.index()).filter(|_| !is_copy) {
            news.note(heard);
        }
        self.statistics.copies_received += u64::from(is_copy);
        is_copy
    }
}
