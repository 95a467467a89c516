//! The last movements of stock, so that a count that arrives late can be brought up to the present.
//!
//! A ring: each entry names the one before it of the same cell. Only physical movements are kept here (shipped,
//! collected, adjusted, returned, transferred); counts and corrections of what is known are not movements.

use earmark_protocol::ids::{SkuIx, TimestampMs};

use crate::arena::Arena;
use crate::inventory::Place;

/// One movement.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Movement {
    at_ms: u64,
    sku: u32,
    place: u32,
    delta: i32,
    /// The low half of the number of the cell's movement before this one; 0 for none.
    previous: u32,
}

/// The ring.
pub(crate) struct Movements {
    ring: Arena<Movement>,
    /// Number of the next entry; the first is 1.
    next: u64,
    /// The time of the newest entry that is no longer kept.
    forgotten_at: TimestampMs,
}

impl Movements {
    pub(crate) fn new(capacity: u32) -> std::io::Result<Self> {
        Ok(Self { ring: Arena::new(capacity.max(1) as usize)?, next: 1, forgotten_at: TimestampMs(0) })
    }

    fn place_of(&self, number: u64) -> usize {
        (number % self.ring.len() as u64) as usize
    }

    /// Counts older than this cannot be brought up to the present.
    pub(crate) fn kept_since(&self) -> TimestampMs {
        self.forgotten_at
    }

    /// Keeps a movement; gives what the cell must remember as its newest.
    pub(crate) fn keep(
        &mut self,
        now: TimestampMs,
        sku: SkuIx,
        place: Place,
        delta: i32,
        previous: u32,
    ) -> u32 {
        let number = self.next;
        let at = self.place_of(number);
        if number > self.ring.len() as u64 {
            self.forgotten_at = self.forgotten_at.max(TimestampMs(self.ring[at].at_ms));
        }
        self.ring[at] = Movement { at_ms: now.0, sku: sku.0, place: place.0, delta, previous };
        self.next += 1;
        number as u32
    }

    /// The sum of a cell's movements after a time, from its newest one back.
    pub(crate) fn since(&self, sku: SkuIx, place: Place, newest: u32, as_of: TimestampMs) -> i64 {
        let (mut sum, mut low) = (0, newest);
        while low != 0 {
            // The full number of the youngest entry with that low half.
            let last = self.next - 1;
            let number = last - u64::from((last as u32).wrapping_sub(low));
            if number == 0 || last - number >= self.ring.len() as u64 {
                break;
            }
            let movement = &self.ring[self.place_of(number)];
            if movement.at_ms <= as_of.0 || movement.sku != sku.0 || movement.place != place.0 {
                break;
            }
            sum += i64::from(movement.delta);
            low = movement.previous;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_count_sees_what_moved_since_and_nothing_older() {
        let mut movements = Movements::new(4).unwrap();
        let (sku, place) = (SkuIx(1), Place(2));
        let mut newest = 0;
        for (at, delta) in [(10, -1), (20, -2), (30, 5)] {
            newest = movements.keep(TimestampMs(at), sku, place, delta, newest);
        }
        assert_eq!(movements.since(sku, place, newest, TimestampMs(0)), 2);
        assert_eq!(movements.since(sku, place, newest, TimestampMs(10)), 3);
        assert_eq!(movements.since(sku, place, newest, TimestampMs(30)), 0);
        assert_eq!(movements.kept_since(), TimestampMs(0));
        let other = movements.keep(TimestampMs(40), SkuIx(9), place, 1, 0);
        movements.keep(TimestampMs(50), SkuIx(9), place, 1, other);
        assert_eq!(movements.kept_since(), TimestampMs(10));
        assert_eq!(movements.since(sku, place, newest, TimestampMs(10)), 3);
    }
}
