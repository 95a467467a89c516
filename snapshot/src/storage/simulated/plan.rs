//! What is to go wrong on a simulated disk, and when.

use crate::storage::Attempt;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// EIO: the disk is broken there. A write may have happened in part; what was to be synced may be lost for good.
    Broken,
    /// ENOSPC: the disk is full. Nothing happened.
    Full,
    /// A read or write that ends early: a part of it happened, and there is no more. Anything else fails as if broken.
    Short,
}

/// How a simulated machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// What was not synced may be lost, kept or torn.
    PowerCut,
    /// The process is gone; the disk still gets what was written, if no power cut follows.
    Kill,
}

/// What happens to one operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Happens,
    Fails(Trouble),
    /// A write that the disk claims to have done.
    Lost,
    /// A write that the disk does elsewhere.
    Misdirected(String, u64),
    Stops(Stop),
}

/// What is planned, each for the nth operation of its sort from the time it was planned.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: Vec<(Attempt, u64, Fate)>,
    stop: Option<(u64, Stop)>,
}

impl Plan {
    pub(super) fn add(&mut self, attempt: Attempt, nth: u64, fate: Fate) {
        assert!(nth > 0, "the next operation is number 1");
        self.entries.push((attempt, nth, fate));
    }

    pub(super) fn stop_at(&mut self, operation: u64, stop: Stop) {
        self.stop = Some((operation, stop));
    }

    /// What happens to this operation; `changes` is its number where it changes something.
    pub(super) fn fate(&mut self, attempt: Attempt, changes: Option<u64>) -> Fate {
        let mut due = None;
        for (place, (planned, left, _)) in self.entries.iter_mut().enumerate() {
            if *planned == attempt {
                *left -= 1;
                if *left == 0 {
                    due = Some(place);
                }
            }
        }
        // Several for one operation: the last planned has its way, the others are spent with it.
        let fate = due.map(|place| self.entries.remove(place).2);
        self.entries.retain(|(_, left, _)| *left > 0);
        match self.stop {
            Some((operation, stop)) if changes == Some(operation) => {
                self.stop = None;
                Fate::Stops(stop)
            }
            _ => fate.unwrap_or(Fate::Happens),
        }
    }
}
