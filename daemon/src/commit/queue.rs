//! What waits for the committer, and so how long what comes now will wait: what is ahead of it, times what each of it takes
//! (Little's law). That is known when work comes; a wait that is measured is known when it is over, and too late to shed
//! the right work by.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use super::Work;
use crate::clock::Moment;

/// What was measured counts for so long: a stall that is over sheds nothing of what comes later.
const KNOWN_US: u64 = 1_000_000;

/// The bounded queue before the committer.
pub(super) struct Queue {
    pieces: ArrayQueue<Work>,
    /// Messages in those pieces. Read without order: a piece more or less makes no difference.
    messages: AtomicU64,
    /// How long a message takes while more of them wait, and when that was seen last.
    each_ns: AtomicU64,
    seen: AtomicU64,
}

impl Queue {
    /// Room for so many pieces of work.
    pub(super) fn new(pieces: usize) -> Self {
        let [messages, each_ns, seen] = [const { AtomicU64::new(0) }; 3];
        Self { pieces: ArrayQueue::new(pieces), messages, each_ns, seen }
    }

    /// Queues work; it comes back where there is no room.
    pub(super) fn push(&self, work: Work) -> Result<(), Box<Work>> {
        let messages = work.items.len() as u64;
        // First, so that whoever takes it out has something to subtract from.
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.pieces.push(work).map_err(|work| {
            self.messages.fetch_sub(messages, Ordering::Relaxed);
            Box::new(work)
        })
    }

    /// The oldest work.
    pub(super) fn pop(&self) -> Option<Work> {
        let work = self.pieces.pop()?;
        self.messages.fetch_sub(work.items.len() as u64, Ordering::Relaxed);
        Some(work)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Pieces of work that wait.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The messages of a full batch took from its beginning to the next one's, which begins now.
    pub(super) fn took(&self, began: Moment, messages: u64, now: Moment) {
        let one = now.us_since(began).saturating_mul(1_000) / messages.max(1);
        let known = self.each_ns(now);
        // A quarter of the way: a few batches tell, a single late one does not.
        let each = if known == 0 { one } else { known - known / 4 + one / 4 };
        self.each_ns.store(each, Ordering::Relaxed);
        self.seen.store(now.0, Ordering::Relaxed);
    }

    /// How long a message that comes now will wait.
    pub(super) fn waits_us(&self, now: Moment) -> u64 {
        self.messages.load(Ordering::Relaxed).saturating_mul(self.each_ns(now)) / 1_000
    }

    fn each_ns(&self, now: Moment) -> u64 {
        let is_known = now.us_since(Moment(self.seen.load(Ordering::Relaxed))) < KNOWN_US;
        if is_known { self.each_ns.load(Ordering::Relaxed) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_waits_as_long_as_what_is_ahead_of_it_takes() {
        let at_ms = |ms: u64| Moment((10_000 + ms) * 1_000_000);
        let queue = Queue::new(4);
        queue.messages.store(10_000, Ordering::Relaxed);
        assert_eq!(queue.waits_us(at_ms(0)), 0, "nothing is known yet");
        queue.took(at_ms(0), 4_000, at_ms(4));
        assert_eq!(queue.waits_us(at_ms(4)), 10_000);
        queue.took(at_ms(4), 4_000, at_ms(44));
        assert_eq!(queue.waits_us(at_ms(44)), 32_500, "one late batch counts a quarter");
        queue.messages.store(0, Ordering::Relaxed);
        assert_eq!(queue.waits_us(at_ms(44)), 0, "an empty queue makes nobody wait");
        queue.messages.store(10_000, Ordering::Relaxed);
        assert_eq!(queue.waits_us(at_ms(1_044)), 0, "a stall of a second ago is over");
    }
}
