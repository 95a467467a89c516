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

/// What is known of the ring beside its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MovementScalars {
    /// Movements ever made.
    pub(crate) made: u64,
    /// Those that are kept.
    pub(crate) len: u64,
    /// The time of the newest movement, or count by a further source, that is no longer kept.
    pub(crate) forgotten_at: TimestampMs,
}

impl MovementScalars {
    /// Places of a ring of this size that were ever used.
    pub(crate) fn places(&self, ring: usize) -> usize {
        usize::try_from(self.made).map_or(ring, |made| made.min(ring))
    }
}

/// The ring.
pub(crate) struct Movements {
    ring: Arena<Movement>,
    /// Number of the next entry; the first is 1.
    next: u64,
    /// Entries that are kept.
    len: u64,
    /// The time of the newest entry, or count by a further source, that is no longer kept.
    forgotten_at: TimestampMs,
}

impl Movements {
    /// Memory for this many movements.
    pub(crate) fn memory(capacity: u32) -> std::io::Result<Arena<Movement>> {
        Arena::new(capacity.max(1) as usize)
    }

    /// The ring in this memory.
    pub(crate) fn new(ring: Arena<Movement>, scalars: MovementScalars) -> Self {
        let MovementScalars { made, len, forgotten_at } = scalars;
        Self { ring, next: made + 1, len, forgotten_at }
    }

    /// What is known of it beside its memory.
    pub(crate) fn scalars(&self) -> MovementScalars {
        MovementScalars { made: self.next - 1, len: self.len, forgotten_at: self.forgotten_at }
    }

    /// The same movements in other memory that has room for them.
    pub(crate) fn move_to(&self, ring: &mut Arena<Movement>) {
        let room = ring.len() as u64;
        for number in self.next - self.len..self.next {
            ring[((number - 1) % room) as usize] = self.ring[self.place_of(number)];
        }
    }

    /// The movements as they lie in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.ring.bytes(self.scalars().places(self.ring.len()))
    }

    /// All that is kept, oldest first, as it is digested.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, [u32; 4])> {
        (self.next - self.len..self.next).map(|number| {
            let Movement { at_ms, sku, place, delta, previous } = self.ring[self.place_of(number)];
            (at_ms, [sku, place, delta.cast_unsigned(), previous])
        })
    }

    fn place_of(&self, number: u64) -> usize {
        ((number - 1) % self.ring.len() as u64) as usize
    }

    /// How many can be kept.
    pub(crate) fn room(&self) -> usize {
        self.ring.len()
    }

    /// Counts older than this cannot be judged any more, because one of that time was forgotten.
    pub(crate) fn forget_before(&mut self, time: TimestampMs) {
        self.forgotten_at = self.forgotten_at.max(time);
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
        if self.len < self.ring.len() as u64 {
            self.len += 1;
        } else {
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
            if number == 0 || last - number >= self.len {
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
        let mut movements = Movements::new(Movements::memory(4).unwrap(), MovementScalars::default());
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
