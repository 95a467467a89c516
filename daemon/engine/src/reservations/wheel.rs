//! The timer wheel: holds by the tick of their deadline, in doubly linked chains through their slots.
//!
//! 65,536 ticks of 10 ms go round in 11 minutes; a hold that lives longer is passed over once a round.

use earmark_protocol::ids::TimestampMs;

use super::{NONE, Reservations};
use crate::arena::Arena;
use crate::sync::Ordering;

/// A tick: stock of an expired hold is back within one.
pub(crate) const TICK_MS: u64 = 10;

const TICKS: u64 = 1 << 16;

/// The wheel. Heads are slots plus one, so that zeroed memory is an empty wheel.
pub(crate) struct Wheel {
    heads: Arena<u32>,
    /// Every tick before this one is empty of holds that are due. A hint: it is no part of the state.
    hand: u64,
    /// No hold is due before this tick. A hint too: it may be earlier than the earliest, never later.
    soonest: u64,
    held: u64,
}

/// The first tick at whose time a deadline has passed.
fn tick_of(deadline: TimestampMs) -> u64 {
    deadline.0.div_ceil(TICK_MS)
}

impl Wheel {
    /// Memory for the heads of all ticks.
    pub(crate) fn memory() -> std::io::Result<Arena<u32>> {
        Arena::new(TICKS as usize)
    }

    /// A wheel of these heads, with this many holds in its chains.
    pub(crate) fn new(heads: Arena<u32>, held: u64) -> Self {
        Self { heads, hand: 0, soonest: if held == 0 { u64::MAX } else { 0 }, held }
    }

    /// Holds in its chains.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The heads as they lie in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.heads.bytes(self.heads.len())
    }

    fn head_of(deadline: TimestampMs) -> usize {
        (tick_of(deadline) % TICKS) as usize
    }

    #[inline]
    pub(crate) fn link(&mut self, table: &Reservations, slot: u32, deadline: TimestampMs) {
        let head = &mut self.heads[Self::head_of(deadline)];
        let next = head.checked_sub(1).unwrap_or(NONE);
        table.slot(slot).previous.store(NONE, Ordering::Relaxed);
        table.slot(slot).next.store(next, Ordering::Relaxed);
        if next != NONE {
            table.slot(next).previous.store(slot, Ordering::Relaxed);
        }
        *head = slot + 1;
        self.hand = self.hand.min(tick_of(deadline));
        self.soonest = self.soonest.min(tick_of(deadline));
        self.held += 1;
    }

    #[inline]
    pub(crate) fn unlink(&mut self, table: &Reservations, slot: u32, deadline: TimestampMs) {
        let links = table.slot(slot);
        let (previous, next) = (links.previous.load(Ordering::Relaxed), links.next.load(Ordering::Relaxed));
        if previous == NONE {
            self.heads[Self::head_of(deadline)] = if next == NONE { 0 } else { next + 1 };
        } else {
            table.slot(previous).next.store(next, Ordering::Relaxed);
        }
        if next != NONE {
            table.slot(next).previous.store(previous, Ordering::Relaxed);
        }
        self.held -= 1;
    }

    pub(crate) fn due(&mut self, table: &Reservations, now: TimestampMs, most: usize, due: &mut Vec<u32>) {
        due.clear();
        let last = now.0 / TICK_MS;
        if self.held == 0 {
            (self.hand, self.soonest) = (last + 1, u64::MAX);
            return;
        }
        if self.soonest > last {
            return;
        }
        // After a long pause one round sees every chain.
        self.hand = self.hand.max((last + 1).saturating_sub(TICKS));
        while self.hand <= last {
            let mut slot = self.heads[(self.hand % TICKS) as usize].checked_sub(1).unwrap_or(NONE);
            while slot != NONE {
                if due.len() == most {
                    return;
                }
                let next = table.slot(slot).next.load(Ordering::Relaxed);
                table.prefetch_chain(slot, next);
                if table.slot(slot).deadline() <= now {
                    due.push(slot);
                }
                slot = next;
            }
            if due.is_empty() {
                self.hand += 1;
            } else {
                // The chain is seen again once these are gone, so the hand waits for the record to be applied.
                return;
            }
        }
        // All that was due is gone: the next chain is the soonest, though its holds may belong to a later round.
        let next = (self.hand..self.hand + TICKS).find(|tick| self.heads[(tick % TICKS) as usize] != 0);
        self.soonest = next.unwrap_or(u64::MAX);
    }

    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        (self.held > 0).then(|| TimestampMs(self.soonest.saturating_mul(TICK_MS)))
    }
}
