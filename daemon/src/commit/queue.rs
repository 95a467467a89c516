//! What waits for the committer, and so how long what comes now will wait: what is ahead of it, times what each of it takes
//! (Little's law). That is known when work comes; a wait that is measured is known when it is over, and too late to shed
//! the right work by.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use super::Work;

/// The bounded queue before the committer.
pub(super) struct Queue {
    pieces: ArrayQueue<Work>,
    /// Messages in those pieces. Read without order: a piece more or less makes no difference.
    messages: AtomicU64,
    /// How long a message takes while more of them wait; 0 until that was so once.
    each_ns: AtomicU64,
}

impl Queue {
    /// Room for so many pieces of work.
    pub(super) fn new(pieces: usize) -> Self {
        Self { pieces: ArrayQueue::new(pieces), messages: AtomicU64::new(0), each_ns: AtomicU64::new(0) }
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

    /// So many messages took so long, from the beginning of their batch to the next one's, which waited.
    pub(super) fn took(&self, us: u64, messages: u64) {
        let (one, known) = (us.saturating_mul(1_000) / messages.max(1), self.each_ns.load(Ordering::Relaxed));
        // A quarter of the way: a few batches tell, a single late one does not.
        let each = if known == 0 { one } else { known - known / 4 + one / 4 };
        self.each_ns.store(each, Ordering::Relaxed);
    }

    /// How long a message that comes now will wait.
    pub(super) fn waits_us(&self) -> u64 {
        let (messages, each_ns) =
            (self.messages.load(Ordering::Relaxed), self.each_ns.load(Ordering::Relaxed));
        messages.saturating_mul(each_ns) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_waits_as_long_as_what_is_ahead_of_it_takes() {
        let queue = Queue::new(4);
        queue.messages.store(10_000, Ordering::Relaxed);
        assert_eq!(queue.waits_us(), 0, "nothing is known yet");
        queue.took(4_000, 4_000);
        assert_eq!(queue.waits_us(), 10_000);
        queue.took(40_000, 4_000);
        assert_eq!(queue.waits_us(), 32_500, "one late batch counts a quarter");
        queue.messages.store(0, Ordering::Relaxed);
        assert_eq!(queue.waits_us(), 0, "an empty queue makes nobody wait");
    }
}
