//! The gate: how far the log is durable, as a predicate over acknowledgers. It wakes those who wait, and never
//! decides what waits or why.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Called with the new mark each time the gate moves, on the thread that moved it. It must not block.
pub type Watcher = Box<dyn Fn(u64) + Send + Sync>;

/// How far the log is durable: the least of what its acknowledgers have reached. One acknowledger is the disk
/// (or memory, where nothing is kept); each follower that must have a record before it is answered is another.
pub struct Gate {
    marks: Vec<AtomicU64>,
    watchers: RwLock<Vec<Watcher>>,
}

impl Gate {
    /// A gate that stands at 0, and its acknowledgers.
    ///
    /// # Panics
    /// Where `acknowledgers` is 0: such a gate would never stop anything.
    #[must_use]
    pub fn new(acknowledgers: usize) -> (Arc<Self>, Vec<Acknowledger>) {
        assert!(acknowledgers > 0, "a gate needs at least one acknowledger");
        let marks = (0..acknowledgers).map(|_| AtomicU64::new(0)).collect();
        let gate = Arc::new(Self { marks, watchers: RwLock::default() });
        let hands = (0..acknowledgers).map(|place| Acknowledger { gate: Arc::clone(&gate), place }).collect();
        (gate, hands)
    }

    /// All records up to this lsn are durable.
    #[must_use]
    pub fn passed(&self) -> u64 {
        // SeqCst pairs with the store in `Acknowledger::reached`: one who announces that he waits and then reads
        // this mark, and one who moves the mark and then looks for those who wait, cannot both see the old.
        self.marks.iter().map(|mark| mark.load(Ordering::SeqCst)).min().unwrap_or(0)
    }

    /// Have `watcher` called each time the gate moves.
    pub fn watch(&self, watcher: Watcher) {
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("marks", &self.marks).finish_non_exhaustive()
    }
}

/// One party's hand on the gate.
#[derive(Debug)]
pub struct Acknowledger {
    gate: Arc<Gate>,
    place: usize,
}

impl Acknowledger {
    /// This party has all records up to `lsn`.
    ///
    /// # Panics
    /// Where it had more before: durable records do not become undone.
    pub fn reached(&self, lsn: u64) {
        let gate = &*self.gate;
        let before = gate.passed();
        let own = gate.marks[self.place].swap(lsn, Ordering::SeqCst);
        assert!(own <= lsn, "the durable mark goes from {own} back to {lsn}");
        let after = gate.passed();
        if after > before {
            for watcher in gate.watchers.read().unwrap_or_else(PoisonError::into_inner).iter() {
                watcher(after);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_stands_where_its_slowest_acknowledger_is() {
        let (gate, hands) = Gate::new(2);
        hands[0].reached(7);
        assert_eq!(gate.passed(), 0);
        hands[1].reached(5);
        assert_eq!(gate.passed(), 5);
        hands[1].reached(9);
        assert_eq!(gate.passed(), 7);
    }

    #[test]
    fn a_watcher_is_called_when_the_gate_moves_and_only_then() {
        let (gate, hands) = Gate::new(2);
        let seen = Arc::new(AtomicU64::new(0));
        let calls = Arc::new(AtomicU64::new(0));
        let (seen_too, calls_too) = (Arc::clone(&seen), Arc::clone(&calls));
        gate.watch(Box::new(move |mark| {
            seen_too.store(mark, Ordering::SeqCst);
            calls_too.fetch_add(1, Ordering::SeqCst);
        }));
        hands[0].reached(3);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        hands[1].reached(2);
        assert_eq!((seen.load(Ordering::SeqCst), calls.load(Ordering::SeqCst)), (2, 1));
        hands[1].reached(2);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    #[should_panic(expected = "goes from 4 back to 3")]
    fn the_durable_mark_never_goes_back() {
        let (_gate, hands) = Gate::new(1);
        hands[0].reached(4);
        hands[0].reached(3);
    }
}
