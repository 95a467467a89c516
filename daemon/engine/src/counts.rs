//! When sources counted cells, beside the newest count that each cell keeps itself.
//!
//! A cell that one source counts needs no place here. Room is bounded: where it is full the oldest count is forgotten, and
//! whoever forgets it must from then on refuse counts that are older.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::ids::TimestampMs;

/// Sku, place and source of a count.
pub(crate) type CountKey = (u32, u32, u16);

/// The last count by each source but the newest of its cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OtherCounts {
    taken: BTreeMap<CountKey, TimestampMs>,
    by_time: BTreeSet<(TimestampMs, CountKey)>,
}

impl OtherCounts {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// When a source counted a cell, where that is kept here.
    pub(crate) fn get(&self, key: CountKey) -> Option<TimestampMs> {
        self.taken.get(&key).copied()
    }

    /// Keeps a count in place of that source's last.
    pub(crate) fn keep(&mut self, key: CountKey, as_of: TimestampMs) {
        self.remove(key);
        self.taken.insert(key, as_of);
        self.by_time.insert((as_of, key));
    }

    /// Forgets a source's count of a cell: the cell keeps it itself.
    pub(crate) fn remove(&mut self, key: CountKey) {
        if let Some(as_of) = self.taken.remove(&key) {
            self.by_time.remove(&(as_of, key));
        }
    }

    /// Forgets the oldest count where there are more than `most`; gives its time.
    pub(crate) fn forget_beyond(&mut self, most: usize) -> Option<TimestampMs> {
        if self.taken.len() <= most {
            return None;
        }
        let (as_of, key) = self.by_time.pop_first()?;
        self.taken.remove(&key);
        Some(as_of)
    }

    /// All of them, by sku, place and source.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CountKey, TimestampMs)> {
        self.taken.iter().map(|(key, as_of)| (*key, *as_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_count_makes_room_and_a_source_has_one_of_each_cell() {
        let mut counts = OtherCounts::default();
        let key = |source| (7, 8, source);
        for (source, as_of) in [(1, 30), (2, 10), (3, 20), (2, 40)] {
            counts.keep(key(source), TimestampMs(as_of));
        }
        assert_eq!(counts.len(), 3);
        assert_eq!(counts.get(key(2)), Some(TimestampMs(40)));
        assert_eq!(counts.forget_beyond(3), None);
        assert_eq!(counts.forget_beyond(2), Some(TimestampMs(20)), "the oldest");
        assert_eq!(counts.get(key(3)), None);
        counts.remove(key(1));
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(key(2), TimestampMs(40))]);
    }
}
