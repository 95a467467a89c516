//! How long goods are on their way, where nothing but the distance says it, and how late they are then.

use earmark_protocol::ids::TimestampMs;

/// Miles a day that a policy may say. The least is what ground services go at their slowest; at it, half the globe, 12,437
/// miles, takes [`TRANSIT_DAYS_MAX`] days.
pub(crate) const MILES_PER_DAY: std::ops::RangeInclusive<u16> = 400..=10_000;
/// Most days on the way.
pub(crate) const TRANSIT_DAYS_MAX: usize = 32;

const DAY_MS: u64 = 24 * 3_600_000;

/// Days, or parts of one, from the moment that was wished to the one that is promised; 0 where that is in time.
#[must_use]
pub fn days_late(promised: TimestampMs, wished: TimestampMs) -> u64 {
    promised.0.saturating_sub(wished.0).div_ceil(DAY_MS)
}

/// How fast goods travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transit {
    /// One of [`MILES_PER_DAY`].
    pub(crate) miles_per_day: u16,
    /// Whether they travel on weekends.
    pub(crate) weekends: bool,
}

impl Transit {
    /// Days for this way, one at least.
    #[inline]
    pub(crate) fn days(self, miles: u32) -> usize {
        miles.div_ceil(u32::from(self.miles_per_day)).max(1) as usize
    }
}
