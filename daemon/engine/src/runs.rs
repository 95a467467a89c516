//! Places for runs of neighbouring units in an arena: sizes in classes, freed runs reused by their class.
//!
//! Holds no memory of its own and knows nothing of what lies in a run. The same calls in the same order give the
//! same places, so replaying a log lands where the live daemon was.

/// Smallest run that holds `len` units: exact up to 16, then in steps of an eighth, so at most 12.5 % stay empty.
pub(crate) fn class_size(len: u32) -> u32 {
    if len <= 16 {
        return len;
    }
    let step = 1_u32 << (31 - (len - 1).leading_zeros()).saturating_sub(3);
    len.div_ceil(step) * step
}

/// A dense number for a class size.
fn class_number(size: u32) -> usize {
    if size <= 16 {
        return size as usize;
    }
    let power = 31 - (size - 1).leading_zeros();
    let step = 1_u32 << (power - 3);
    16 + (power as usize - 4) * 8 + ((size - (1 << power)) / step) as usize
}

/// Fresh room of an arena, given out in extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    next: u32,
    limit: u32,
    extent: u32,
}

impl Extents {
    /// Room for units `first..limit`, in extents of `extent` units.
    pub(crate) fn new(first: u32, limit: u32, extent: u32) -> Self {
        Self { next: first, limit, extent: extent.max(1) }
    }

    /// Units given out so far, counted from the arena's start.
    pub(crate) fn used(&self) -> u32 {
        self.next
    }

    /// Units not given out yet.
    pub(crate) fn fresh(&self) -> u64 {
        u64::from(self.limit - self.next)
    }

    /// Fresh units that a run of this size takes at most.
    pub(crate) fn fresh_for(&self, size: u32) -> u32 {
        size.checked_next_multiple_of(self.extent).unwrap_or(u32::MAX)
    }

    fn take(&mut self, len: u32) -> Option<(u32, u32)> {
        let size = len.checked_next_multiple_of(self.extent)?.min(self.limit - self.next);
        if size < len {
            return None;
        }
        let start = self.next;
        self.next += size;
        Some((start, size))
    }
}

/// The runs of one owner: its open extent and its freed runs by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    open: u32,
    open_end: u32,
    free: Vec<Vec<u32>>,
}

impl Runs {
    /// The open extent, and the freed runs by class.
    pub(crate) fn parts(&self) -> ([u32; 2], &[Vec<u32>]) {
        ([self.open, self.open_end], &self.free)
    }

    /// Runs of these parts.
    pub(crate) fn of([open, open_end]: [u32; 2], free: Vec<Vec<u32>>) -> Self {
        Self { open, open_end, free }
    }

    /// A run of at least `len` units; `None` when the arena has no room left for it.
    pub(crate) fn take(&mut self, extents: &mut Extents, len: u32) -> Option<u32> {
        let size = class_size(len);
        if let Some(start) = self.free.get_mut(class_number(size)).and_then(Vec::pop) {
            return Some(start);
        }
        if self.open_end - self.open < size {
            let (start, given) = extents.take(size)?;
            self.keep_rest();
            (self.open, self.open_end) = (start, start + given);
        }
        let start = self.open;
        self.open += size;
        Some(start)
    }

    /// Whether a run of at least `len` units could be taken.
    pub(crate) fn fits(&self, extents: &Extents, len: u32) -> bool {
        let size = class_size(len);
        self.free.get(class_number(size)).is_some_and(|free| !free.is_empty())
            || self.open_end - self.open >= size
            || extents.fresh() >= u64::from(size)
    }

    /// Gives back a run that was taken for `len` units.
    pub(crate) fn give(&mut self, start: u32, len: u32) {
        let class = class_number(class_size(len));
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        self.free[class].push(start);
    }

    /// What is left of the open extent goes to the free lists, in classes that fit.
    fn keep_rest(&mut self) {
        while self.open < self.open_end {
            let rest = self.open_end - self.open;
            let mut size = rest;
            while class_size(size) > rest {
                size -= size / 9 + 1;
            }
            let size = class_size(size);
            self.give(self.open, size);
            self.open += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_wastes_at_most_an_eighth() {
        let mut numbers = std::collections::BTreeMap::new();
        for len in 1..70_000 {
            let size = class_size(len);
            assert!(size >= len && size - len <= len / 8 + 1, "{len} got {size}");
            assert_eq!(class_size(size), size);
            assert_eq!(
                *numbers.entry(class_number(size)).or_insert(size),
                size,
                "two sizes share a class at {len}"
            );
        }
    }

    #[test]
    fn runs_never_overlap_and_freed_ones_are_used_again() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut extents = Extents::new(0, 100_000, 64);
        let mut runs = Runs::default();
        let mut owner = vec![0_u32; 100_000];
        let mut live: Vec<(u32, u32)> = Vec::new();
        for turn in 1..20_000_u32 {
            if live.len() > 300 || (!live.is_empty() && random.bool()) {
                let (start, len) = live.swap_remove(random.usize(..live.len()));
                owner[start as usize..(start + len) as usize].fill(0);
                runs.give(start, len);
            } else {
                let len = random.u32(1..200);
                let start = runs.take(&mut extents, len).expect("freed runs keep the arena from filling up");
                let units = &mut owner[start as usize..(start + len) as usize];
                assert!(units.iter().all(|unit| *unit == 0), "turn {turn} got units that are in use");
                units.fill(turn);
                live.push((start, len));
            }
        }
        assert!(extents.used() <= 100_000);
    }

    #[test]
    fn a_full_arena_gives_nothing_and_loses_nothing() {
        let mut extents = Extents::new(0, 100, 64);
        let mut runs = Runs::default();
        assert_eq!(runs.take(&mut extents, 64), Some(0));
        assert_eq!(runs.take(&mut extents, 37), None);
        assert_eq!(runs.take(&mut extents, 36), Some(64));
        assert_eq!(runs.take(&mut extents, 1), None);
        runs.give(0, 64);
        assert_eq!(runs.take(&mut extents, 64), Some(0));
    }
}
