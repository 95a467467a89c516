//! Who is let in when there is too much to do: by how long work waits until it is decided, and by how urgent it is.
//! It reads no clock; moments are passed in.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;
use crate::config::Overload;
use crate::security::Work;

/// What was measured loses half its weight in this time, so that a queue that has emptied lets work in again.
const HALF_LIFE_US: u64 = 20_000;

/// How long each kind of work may find others waiting before it is shed, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    bounds_us: [u64; 4],
}

impl Admission {
    pub(crate) fn new(overload: &Overload) -> Self {
        let Overload { quote_ms, reserve_ms, other_ms, finish_ms } = *overload;
        Self { bounds_us: [quote_ms, reserve_ms, other_ms, finish_ms].map(|ms| u64::from(ms) * 1_000) }
    }

    /// Whether work of this kind is let in where work waits this long.
    pub(crate) fn admits(&self, work: Work, waits_us: u64) -> bool {
        let bound = match work {
            Work::Ask => self.bounds_us[0],
            Work::Claim => self.bounds_us[1],
            Work::Keep => self.bounds_us[2],
            Work::Finish => self.bounds_us[3],
        };
        waits_us <= bound
    }
}

/// How long work has waited of late. Written by few, read by the I/O cores; a torn pair of its two words is off by
/// one measurement and forgotten with the next.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    level_us: AtomicU64,
    at: AtomicU64,
}

impl Waits {
    /// Work that was decided at `now` had waited this long.
    pub(crate) fn observe(&self, now: Moment, waited_us: u64) {
        let level = self.level_us(now);
        // A quarter of the way towards what was measured: four batches in a row tell, a single late one does not.
        let level =
            if waited_us > level { level + (waited_us - level) / 4 } else { level - (level - waited_us) / 4 };
        self.level_us.store(level, Ordering::Relaxed);
        self.at.store(now.0, Ordering::Relaxed);
    }

    /// How long work waits, as far as is known at `now`.
    pub(crate) fn level_us(&self, now: Moment) -> u64 {
        let age_us = now.us_since(Moment(self.at.load(Ordering::Relaxed)));
        let halvings = u32::try_from(age_us / HALF_LIFE_US).unwrap_or(u32::MAX);
        self.level_us.load(Ordering::Relaxed).checked_shr(halvings).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    #[test]
    fn questions_are_shed_first_and_finishing_steps_last() {
        let admission =
            Admission::new(&Overload { quote_ms: 10, reserve_ms: 20, other_ms: 30, finish_ms: 40 });
        let kinds = [Work::Ask, Work::Claim, Work::Keep, Work::Finish];
        for (waits_ms, let_in) in [(10, 4), (11, 3), (20, 3), (21, 2), (31, 1), (40, 1), (41, 0)] {
            let admitted: Vec<bool> = kinds.map(|kind| admission.admits(kind, waits_ms * 1_000)).into();
            assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), let_in, "at {waits_ms} ms");
            assert!(admitted.is_sorted(), "the less urgent goes first, at {waits_ms} ms");
        }
    }

    #[test]
    fn a_wait_that_lasts_is_seen_and_one_late_batch_is_not_enough() {
        let waits = Waits::default();
        waits.observe(at_ms(1), 100_000);
        assert_eq!(waits.level_us(at_ms(1)), 25_000);
        (2..12).for_each(|ms| waits.observe(at_ms(ms), 100_000));
        assert!(waits.level_us(at_ms(11)) > 90_000);
        (12..30).for_each(|ms| waits.observe(at_ms(ms), 0));
        assert!(waits.level_us(at_ms(29)) < 2_000);
    }

    #[test]
    fn where_all_is_shed_the_level_sinks_by_itself() {
        let waits = Waits::default();
        (0..50).for_each(|ms| waits.observe(at_ms(ms), 1_000_000));
        let high = waits.level_us(at_ms(49));
        assert_eq!(waits.level_us(at_ms(49 + 20)), high / 2);
        assert_eq!(waits.level_us(at_ms(49 + 200)), high >> 10);
        assert_eq!(waits.level_us(at_ms(1_000_000)), 0);
    }
}
