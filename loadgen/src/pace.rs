//! When requests are due. A closed loop sends what its window allows; an open loop follows a schedule that nothing can
//! hold up, and a late request is counted from the moment it was due. It sends nothing.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock::{Moment, nanos};

/// A stretch of time at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) lasts: Duration,
    /// Requests per second.
    pub(crate) rate: f64,
}

/// When each batch of an open loop is due.
#[derive(Clone, Debug)]
pub(crate) enum Schedule {
    /// Evenly, at one rate after the other.
    Even {
        stretches: Vec<Stretch>,
        /// Batches in all.
        batches: u64,
    },
    /// At these moments, which rise.
    Listed(Vec<Moment>),
}

/// Batches that are evenly apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    begins: Moment,
    /// Batches before it.
    before: u64,
    batches: u64,
    /// Between two of its batches.
    gap_ns: f64,
}

impl Schedule {
    /// One step after the other, from this moment on, in batches of so many requests.
    pub(crate) fn even(begins: Moment, batch: u32, steps: &[Step]) -> Self {
        let (mut at, mut before, mut whole) = (begins, 0, 0.0);
        let mut stretches = Vec::with_capacity(steps.len());
        for step in steps {
            let gap_ns = 1e9 * f64::from(batch) / step.rate;
            // Rounded over all that went before, or slow steps would lose their parts of a batch.
            whole += nanos(step.lasts) as f64 / gap_ns;
            let batches = (whole.round() as u64).saturating_sub(before);
            stretches.push(Stretch { begins: at, before, batches, gap_ns });
            at = at.plus(step.lasts);
            before += batches;
        }
        Self::Even { stretches, batches: before }
    }

    /// Batches in all.
    pub(crate) fn batches(&self) -> u64 {
        match self {
            Self::Even { batches, .. } => *batches,
            Self::Listed(moments) => moments.len() as u64,
        }
    }

    /// When a batch is due.
    pub(crate) fn at(&self, batch: u64) -> Moment {
        let stretches = match self {
            Self::Even { stretches, .. } => stretches,
            Self::Listed(moments) => return moments[batch as usize],
        };
        let after = stretches.partition_point(|stretch| stretch.before <= batch);
        let stretch = &stretches[after.saturating_sub(1)];
        Moment(stretch.begins.0 + ((batch - stretch.before) as f64 * stretch.gap_ns) as u64)
    }

    /// How many batches are due by then.
    pub(crate) fn due_by(&self, moment: Moment) -> u64 {
        let stretches = match self {
            Self::Even { stretches, .. } => stretches,
            Self::Listed(moments) => return moments.partition_point(|due| *due <= moment) as u64,
        };
        let after = stretches.partition_point(|stretch| stretch.begins <= moment);
        let Some(stretch) = after.checked_sub(1).map(|at| &stretches[at]) else { return 0 };
        let gone = (moment.ns_since(stretch.begins) as f64 / stretch.gap_ns) as u64 + 1;
        stretch.before + gone.min(stretch.batches)
    }
}

/// What the lanes of one thread hear from its pacer. All of it is written and read on that thread alone, so relaxed
/// orderings are enough and the locks are never contended.
#[derive(Debug)]
pub(crate) struct Beat {
    due: AtomicU64,
    over: AtomicBool,
    lanes: Vec<Mutex<Option<Waker>>>,
}

impl Beat {
    pub(crate) fn new(lanes: usize) -> Self {
        let lanes = (0..lanes).map(|_| Mutex::default()).collect();
        Self { due: AtomicU64::new(0), over: AtomicBool::new(false), lanes }
    }

    /// So many of the thread's batches are due; wakes the lanes whose turn came. Batches go to the lanes in turn.
    pub(crate) fn advance(&self, due: u64) {
        let before = self.due.load(Ordering::Relaxed);
        self.due.store(due, Ordering::Relaxed);
        let lanes = self.lanes.len() as u64;
        for batch in before..due.min(before + lanes) {
            self.wake((batch % lanes) as usize);
        }
    }

    /// Among how many the batches are dealt.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The thread's batches that are due.
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Nobody waits any longer.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.wake_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Has every lane look at the time.
    pub(crate) fn wake_all(&self) {
        (0..self.lanes.len()).for_each(|lane| self.wake(lane));
    }

    /// Wakes this lane at the next beat that concerns it.
    pub(crate) fn wait(&self, lane: usize, waker: &Waker) {
        let mut waiting = self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(waiting) => waiting.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self, lane: usize) {
        let waiting = self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waiting {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(rate: f64) -> Step {
        Step { lasts: Duration::from_secs(1), rate }
    }

    #[test]
    fn batches_are_due_evenly_at_the_rate_of_their_step() {
        let schedule = Schedule::even(Moment(500), 10, &[second(1_000.0), second(4_000.0)]);
        assert_eq!(schedule.batches(), 500);
        assert_eq!(schedule.at(0), Moment(500));
        assert_eq!(schedule.at(1), Moment(10_000_500));
        assert_eq!(schedule.at(100), Moment(1_000_000_500));
        assert_eq!(schedule.at(101), Moment(1_002_500_500));
    }

    #[test]
    fn what_is_due_by_a_moment_is_what_was_to_be_sent_before_it() {
        let schedule = Schedule::even(Moment(500), 1, &[second(1_000.0), second(3_000.0)]);
        assert_eq!(schedule.due_by(Moment(499)), 0);
        for batch in [0, 1, 999, 1_000, 1_001, 3_999] {
            let at = schedule.at(batch);
            assert_eq!(schedule.due_by(Moment(at.0 + 1)), batch + 1, "batch {batch}");
            assert!(schedule.due_by(Moment(at.0.saturating_sub(1))) <= batch, "batch {batch}");
        }
        assert_eq!(schedule.due_by(Moment(u64::MAX / 2)), 4_000);
    }

    #[test]
    fn steps_of_less_than_a_batch_add_up() {
        let slow = Step { lasts: Duration::from_millis(100), rate: 4.0 };
        let schedule = Schedule::even(Moment(0), 1, &[slow; 20]);
        assert_eq!(schedule.batches(), 8);
        assert!((1..8).all(|batch| schedule.at(batch - 1) < schedule.at(batch)));
    }

    #[test]
    fn listed_batches_are_due_at_their_moments() {
        let schedule = Schedule::Listed([5, 7, 7, 9].map(Moment).to_vec());
        assert_eq!([4, 5, 7, 8, 9].map(|at| schedule.due_by(Moment(at))), [0, 1, 3, 3, 4]);
        assert_eq!((schedule.at(3), schedule.batches()), (Moment(9), 4));
    }

    #[test]
    fn a_beat_wakes_only_the_lanes_whose_batches_came_due() {
        use std::sync::Arc;
        use std::sync::atomic::AtomicUsize;
        use std::task::Wake;

        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let lanes: Vec<_> = (0..3).map(|_| Arc::new(Count(AtomicUsize::new(0)))).collect();
        let beat = Beat::new(3);
        for (lane, count) in lanes.iter().enumerate() {
            beat.wait(lane, &Arc::clone(count).into());
        }
        let woken = || lanes.iter().map(|count| count.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
        beat.advance(2);
        assert_eq!(woken(), [1, 1, 0]);
        beat.advance(3);
        assert_eq!(woken(), [1, 1, 1]);
        beat.advance(300);
        assert_eq!((woken(), beat.due()), (vec![2, 2, 2], 300));
    }
}
