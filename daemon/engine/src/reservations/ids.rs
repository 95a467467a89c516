//! Where a command id is remembered: buckets of a cache line each over fixed room, written by one, read by all.
//!
//! An id lies in the bucket of its hash, or in one behind it where that is full; each bucket counts the ids that passed it,
//! so nearly every search is over after one line, and none moves another's entry. A reader beside the writer may miss an
//! id that is there; it then asks the committer. It never finds an id that is not there, because it checks the id where
//! the entry points.

use earmark_protocol::ids::CommandId;

use crate::arena::Arena;
use crate::prefetch::ahead;
use crate::sync::{AtomicU64, Ordering, set_u64};

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

/// Entries of a bucket, with the count before them a cache line; one under loom, where each costs interleavings.
const ENTRIES: usize = if cfg!(loom) { 1 } else { 7 };

/// A cache line of the index.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Bucket {
    /// Ids of this bucket and of those before it that found it full, and lie behind it.
    passed: AtomicU64,
    /// The upper half of an entry is the id's tag, the lower what it leads to; 0 is empty.
    entries: [AtomicU64; ENTRIES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// Which entries are so, a bit each. All are looked at: that takes less than to guess where to stop.
    #[inline]
    fn which(&self, is_so: impl Fn(u64) -> bool) -> u32 {
        // Acquire: pairs with the Release store of `insert`, so what the entry leads to is written.
        let bit = |(at, entry): (usize, &AtomicU64)| u32::from(is_so(entry.load(Ordering::Acquire))) << at;
        self.entries.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    }

    #[inline]
    fn is_passed(&self) -> bool {
        self.passed.load(Ordering::Relaxed) > 0
    }
}

/// The index.
pub(crate) struct Ids {
    buckets: Arena<Bucket>,
}

/// 64 bits of a multiplicative hash of the id: its upper half says which bucket, its lower is the tag.
#[inline]
fn hash(id: &CommandId) -> u64 {
    let [high, low] = id.halves();
    let product = u128::from(high ^ low.rotate_left(23)) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
    (product >> 64) as u64 ^ product as u64
}

#[inline]
fn entry(hash: u64, remembered: Remembered) -> u64 {
    hash << 32 | u64::from(remembered.pack())
}

impl Ids {
    /// Room for this many ids, four to a bucket when all are there.
    pub(crate) fn new(ids: usize) -> std::io::Result<Self> {
        Ok(Self { buckets: Arena::new(ids.div_ceil(ENTRIES.div_ceil(2)).max(2))? })
    }

    /// Has the kernel give memory for all of it.
    pub(crate) fn populate(&self) {
        self.buckets.populate(0..self.buckets.len());
    }

    /// Remembers ids that are not remembered yet, one after the other, with their memory asked for ahead. For the writer.
    pub(crate) fn insert_all(&self, ids: impl Iterator<Item = (CommandId, Remembered)>) {
        ahead(ids, |(id, _)| self.prefetch(id), |(id, remembered)| self.insert(&id, remembered));
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    /// The buckets from the one of a hash on, each once.
    #[inline]
    fn past_home(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let (before, from) = self.buckets.split_at(self.home(hash));
        from.iter().chain(before)
    }

    /// Asks for the cache line where the search of an id begins.
    #[inline]
    pub(crate) fn prefetch(&self, id: &CommandId) {
        crate::arena::prefetch(&self.buckets[self.home(hash(id))]);
    }

    /// What an id leads to; `is_there` says whether the id is really the one at that place.
    #[inline]
    pub(crate) fn find(&self, id: &CommandId, is_there: impl Fn(Remembered) -> bool) -> Option<Remembered> {
        let hash = hash(id);
        for bucket in self.past_home(hash) {
            let mut tagged = bucket.which(|entry| (entry >> 32) as u32 == hash as u32);
            while tagged != 0 {
                // It may be gone by now, or empty.
                let entry = bucket.entries[tagged.trailing_zeros() as usize].load(Ordering::Relaxed) as u32;
                let found = (entry != 0).then(|| Remembered::unpack(entry)).filter(|found| is_there(*found));
                if found.is_some() {
                    return found;
                }
                tagged &= tagged - 1;
            }
            if !bucket.is_passed() {
                return None;
            }
        }
        None
    }

    /// Remembers an id that is not remembered yet. For the writer.
    #[inline]
    pub(crate) fn insert(&self, id: &CommandId, remembered: Remembered) {
        let hash = hash(id);
        for bucket in self.past_home(hash) {
            let empty = bucket.which(|entry| entry == 0);
            if empty != 0 {
                // Release: pairs with the Acquire load of `which`.
                bucket.entries[empty.trailing_zeros() as usize]
                    .store(entry(hash, remembered), Ordering::Release);
                return;
            }
            set_u64(&bucket.passed, bucket.passed.load(Ordering::Relaxed) + 1);
        }
        unreachable!("there is room for every id that may be remembered");
    }

    /// Forgets an id. For the writer.
    #[inline]
    pub(crate) fn remove(&self, id: &CommandId, remembered: Remembered) {
        let hash = hash(id);
        let forgotten = entry(hash, remembered);
        for (past, bucket) in self.past_home(hash).enumerate() {
            let found = bucket.which(|entry| entry == forgotten);
            if found != 0 {
                bucket.entries[found.trailing_zeros() as usize].store(0, Ordering::Release);
                for passed in self.past_home(hash).take(past) {
                    set_u64(&passed.passed, passed.passed.load(Ordering::Relaxed) - 1);
                }
                return;
            }
            if !bucket.is_passed() {
                return;
            }
        }
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
