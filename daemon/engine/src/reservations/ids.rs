//! Where a command id is remembered: open addressing over fixed room, written by one, read by all.
//!
//! Removing shifts entries back, so a reader beside the writer may miss an id that is there; it then asks the
//! committer. It never finds an id that is not there, because it checks the id where the entry points.

use earmark_protocol::ids::CommandId;

use crate::arena::Arena;
use crate::prefetch::ahead;
use crate::sync::{AtomicU64, Ordering};

/// What an id leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// A reservation's slot.
    Slot(u32),
    /// A row of the outcomes.
    Outcome(u32),
}

const OUTCOME_BIT: u32 = 1 << 31;

impl Remembered {
    fn pack(self) -> u32 {
        match self {
            Self::Slot(slot) => slot + 1,
            Self::Outcome(row) => (row + 1) | OUTCOME_BIT,
        }
    }

    fn unpack(word: u32) -> Self {
        if word & OUTCOME_BIT == 0 { Self::Slot(word - 1) } else { Self::Outcome((word & !OUTCOME_BIT) - 1) }
    }
}

/// The index: the upper half of an entry is the id's tag, the lower what it leads to; 0 is empty.
pub(crate) struct Ids {
    entries: Arena<AtomicU64>,
}

/// 32 bits of a multiplicative hash of the id.
#[inline]
fn tag(id: &CommandId) -> u32 {
    let [high, low] = id.halves();
    let product = u128::from(high ^ low.rotate_left(23)) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
    ((product >> 64) as u64 ^ product as u64) as u32
}

impl Ids {
    /// Room for this many ids at a load of at most one half.
    pub(crate) fn new(ids: usize) -> std::io::Result<Self> {
        Ok(Self { entries: Arena::new((ids * 2).max(2))? })
    }

    /// Remembers ids that are not remembered yet, one after the other, with their memory asked for ahead. For the writer.
    pub(crate) fn insert_all(&self, ids: impl Iterator<Item = (CommandId, Remembered)>) {
        ahead(ids, |(id, _)| self.prefetch(id), |(id, remembered)| self.insert(&id, remembered));
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.entries.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 == self.entries.len() { 0 } else { place + 1 }
    }

    /// Asks for the cache line where the search of an id begins.
    #[inline]
    pub(crate) fn prefetch(&self, id: &CommandId) {
        crate::arena::prefetch(&self.entries[self.home(tag(id))]);
    }

    #[inline]
    fn place(&self, id: &CommandId, is_there: impl Fn(Remembered) -> bool) -> Option<usize> {
        let tag = tag(id);
        let mut place = self.home(tag);
        for _ in 0..self.entries.len() {
            // Acquire: pairs with the Release store of `insert`, so what the entry leads to is written.
            let entry = self.entries[place].load(Ordering::Acquire);
            if entry == 0 {
                return None;
            }
            if (entry >> 32) as u32 == tag && is_there(Remembered::unpack(entry as u32)) {
                return Some(place);
            }
            place = self.after(place);
        }
        None
    }

    /// What an id leads to; `is_there` says whether the id is really the one at that place.
    #[inline]
    pub(crate) fn find(&self, id: &CommandId, is_there: impl Fn(Remembered) -> bool) -> Option<Remembered> {
        let place = self.place(id, &is_there)?;
        let entry = self.entries[place].load(Ordering::Relaxed) as u32;
        (entry != 0).then(|| Remembered::unpack(entry)).filter(|found| is_there(*found))
    }

    /// Remembers an id that is not remembered yet. For the writer.
    #[inline]
    pub(crate) fn insert(&self, id: &CommandId, remembered: Remembered) {
        let tag = tag(id);
        let mut place = self.home(tag);
        while self.entries[place].load(Ordering::Relaxed) != 0 {
            place = self.after(place);
        }
        // Release: pairs with the Acquire load of `place`.
        self.entries[place].store(u64::from(tag) << 32 | u64::from(remembered.pack()), Ordering::Release);
    }

    /// Forgets an id, and moves what lay behind it back towards its home. For the writer.
    #[inline]
    pub(crate) fn remove(&self, id: &CommandId, remembered: Remembered) {
        let Some(mut hole) = self.place(id, |found| found == remembered) else { return };
        let len = self.entries.len();
        let distance = |from: usize, to: usize| if to >= from { to - from } else { to + len - from };
        let mut place = hole;
        loop {
            place = self.after(place);
            let entry = self.entries[place].load(Ordering::Relaxed);
            if entry == 0 {
                break;
            }
            let home = self.home((entry >> 32) as u32);
            if distance(home, place) >= distance(hole, place) {
                self.entries[hole].store(entry, Ordering::Release);
                hole = place;
            }
        }
        self.entries[hole].store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use earmark_protocol::ids::TimestampMs;

    #[test]
    fn ids_are_found_until_they_are_removed() {
        let mut random = fastrand::Rng::with_seed(3);
        let ids = Ids::new(500).unwrap();
        let mut live: Vec<(CommandId, u32)> = Vec::new();
        let mut all: Vec<CommandId> = Vec::new();
        for turn in 0..20_000_u32 {
            if live.len() < 500 && random.bool() {
                let id =
                    CommandId::new(TimestampMs(u64::from(turn / 8)), std::array::from_fn(|_| random.u8(..)));
                let slot = all.len() as u32;
                all.push(id);
                ids.insert(&id, Remembered::Slot(slot));
                live.push((id, slot));
            } else if !live.is_empty() {
                let (id, slot) = live.swap_remove(random.usize(..live.len()));
                ids.remove(&id, Remembered::Slot(slot));
                assert_eq!(ids.find(&id, |found| found == Remembered::Slot(slot)), None);
            }
            if turn % 64 == 0 {
                for (id, slot) in &live {
                    let there = |found| matches!(found, Remembered::Slot(at) if all[at as usize] == *id);
                    assert_eq!(ids.find(id, there), Some(Remembered::Slot(*slot)));
                }
            }
        }
    }
}
