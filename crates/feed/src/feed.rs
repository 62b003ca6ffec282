use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};

/// Something worth telling: its text, and how loud a log should be about it.
pub trait Report: Display {
    /// The level of a log line about it.
    fn level(&self) -> log::Level;
}

/// A receiver of what a loop tells. Clones share one queue: each item goes to one of them.
///
/// The queue is bounded; when nobody reads it the oldest items are dropped and counted.
pub struct Feed<T> {
    receiver: Receiver<T>,
    dropped: Arc<AtomicU64>,
}

impl<T> Feed<T> {
    /// Waits for the next item; `None` when the sender has ended and all its items are read.
    #[must_use]
    pub fn recv(&self) -> Option<T> {
        self.receiver.recv().ok()
    }

    /// Waits for the next item, but not longer than `timeout`; `None` also when the sender has ended.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<T> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// The next item if there is one already.
    #[must_use]
    pub fn try_recv(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }

    /// Items as they come, until the sender has ended.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.receiver.iter()
    }

    /// The channel itself, for `crossbeam_channel::select!`.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }

    /// How many items were dropped because nobody read them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl<T: Report> Feed<T> {
    /// Reads everything and writes it to the `log` facade, until the sender has ended.
    ///
    /// For a thread of yours: a loop never logs itself, because a log can block and the loop must not wait.
    pub fn log_all(&self) {
        for item in self.iter() {
            log::log!(item.level(), "{item}");
        }
    }
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), dropped: Arc::clone(&self.dropped) }
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, dropped) = (self.receiver.len(), self.dropped());
        f.debug_struct("Feed").field("waiting", &waiting).field("dropped", &dropped).finish()
    }
}

/// The loop's end of a [`Feed`]: it can never be waited on.
#[derive(Debug)]
pub struct FeedSink<T> {
    sender: Sender<T>,
    feed: Feed<T>,
}

impl<T> FeedSink<T> {
    /// A queue of at most `capacity` unread items, at least 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(capacity.max(1));
        Self { sender, feed: Feed { receiver, dropped: Arc::default() } }
    }

    /// A receiver of what is put in.
    #[must_use]
    pub fn feed(&self) -> Feed<T> {
        self.feed.clone()
    }

    /// Puts an item into the queue, in the place of the oldest one if there is no room; never waits.
    pub fn emit(&self, mut item: T) {
        while let Err(TrySendError::Full(refused)) = self.sender.try_send(item) {
            item = refused;
            if self.feed.receiver.try_recv().is_ok() {
                self.feed.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_it() {
        let sink = FeedSink::new(2);
        let (feed, other) = (sink.feed(), sink.feed());
        for number in [1, 2, 3] {
            sink.emit(number);
        }
        assert_eq!((feed.dropped(), other.dropped()), (1, 1));
        assert_eq!(other.try_recv(), Some(2));
        drop(sink);
        assert_eq!(feed.iter().collect::<Vec<_>>(), [3]);
        assert_eq!(feed.recv(), None, "the sender has ended");
    }

    #[test]
    fn no_capacity_is_room_for_the_latest() {
        let sink = FeedSink::new(0);
        sink.emit('a');
        sink.emit('b');
        assert_eq!(sink.feed().try_recv(), Some('b'));
    }
}
