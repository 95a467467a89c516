//! Time. The only place of the daemon that reads a clock: monotonic, slewed towards wall time by at most 500 ppm,
//! never going back. The core is pure and takes time as a parameter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use earmark_protocol::ids::TimestampMs;
use parking_lot::Mutex;

/// How fast the daemon's time may run ahead of or behind the monotonic clock: what NTP daemons slew by.
pub const SLEW_PPM_MAX: i64 = 500;
/// A wall clock further away than this has jumped: that is alarmed, not followed.
pub const JUMP_NS: i64 = 5_000_000_000;
/// How often the wall clock is looked at.
pub const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// Nanoseconds since the daemon's clock was made: for measuring, never for what is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Microseconds from `earlier` to this moment; 0 where it is not earlier.
    #[must_use]
    pub fn us_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }
}

/// What an observation of the wall clock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is near, and followed.
    Near,
    /// It has just jumped away by this many nanoseconds, and is not followed.
    Jumped(i64),
    /// It is still away.
    Away,
    /// It has come back near, and is followed again.
    Back,
}

/// The pure core: a line through (monotonic, time) whose slope is 1 ± 500 ppm.
#[derive(Clone, Copy, Debug)]
pub struct Slew {
    base_monotonic_ns: u64,
    base_time_ns: u64,
    ppm: i64,
    away: bool,
}

impl Slew {
    /// A clock that shows `wall_ns` (since 1970) at this monotonic moment.
    #[must_use]
    pub fn new(monotonic_ns: u64, wall_ns: u64) -> Self {
        Self { base_monotonic_ns: monotonic_ns, base_time_ns: wall_ns, ppm: 0, away: false }
    }

    /// The time at this monotonic moment.
    #[must_use]
    pub fn time_ns(&self, monotonic_ns: u64) -> u64 {
        let passed = monotonic_ns.saturating_sub(self.base_monotonic_ns);
        // In 128 bits: a year of nanoseconds times 500 would not fit in 64.
        let slewed = i128::from(passed) * i128::from(1_000_000 + self.ppm) / 1_000_000;
        self.base_time_ns.saturating_add(u64::try_from(slewed).unwrap_or(0))
    }

    /// Compare with the wall clock and choose the slope until the next observation: as steep as closes the gap
    /// within `until_next_ns`, at most [`SLEW_PPM_MAX`].
    pub fn observe(&mut self, monotonic_ns: u64, wall_ns: u64, until_next_ns: u64) -> Observed {
        let time_ns = self.time_ns(monotonic_ns);
        let gap = i64::try_from(i128::from(wall_ns) - i128::from(time_ns)).unwrap_or(i64::MAX);
        (self.base_monotonic_ns, self.base_time_ns) = (monotonic_ns.max(self.base_monotonic_ns), time_ns);
        let was_away = std::mem::replace(&mut self.away, gap.unsigned_abs() > JUMP_NS.unsigned_abs());
        if self.away {
            self.ppm = 0;
            return if was_away { Observed::Away } else { Observed::Jumped(gap) };
        }
        let wanted = i128::from(gap) * 1_000_000 / i128::from(until_next_ns.max(1));
        let bound = i128::from(SLEW_PPM_MAX);
        self.ppm = i64::try_from(wanted.clamp(-bound, bound)).unwrap_or(0);
        if was_away { Observed::Back } else { Observed::Near }
    }
}

/// Where moments come from.
#[derive(Debug)]
enum Source {
    /// The system's monotonic clock, from here on.
    Monotonic(Instant),
    /// Nanoseconds, as they were set.
    Standing(AtomicU64),
}

/// The daemon's clock, shared by all its threads.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    slew: Mutex<Slew>,
    jumps: AtomicU64,
    away: AtomicBool,
}

impl Clock {
    /// A clock that shows wall time now.
    #[must_use]
    pub fn start() -> Self {
        Self::of(Source::Monotonic(monotonic()), wall_ns())
    }

    /// A clock that stands still until it is [advanced](Clock::advance), for those who play time themselves.
    #[must_use]
    pub fn standing_at(time: TimestampMs) -> Self {
        Self::of(Source::Standing(AtomicU64::new(0)), time.0 * 1_000_000)
    }

    fn of(source: Source, time_ns: u64) -> Self {
        let slew = Mutex::new(Slew::new(0, time_ns));
        Self { source, slew, jumps: AtomicU64::new(0), away: AtomicBool::new(false) }
    }

    /// Moves a clock that stands still.
    ///
    /// # Panics
    /// Where it is a clock that runs by itself.
    pub fn advance(&self, ms: u64) {
        let Source::Standing(moment_ns) = &self.source else { panic!("a clock that runs cannot be moved") };
        // Nothing else is read on the strength of it, so Relaxed will do, here and in `moment`.
        moment_ns.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }

    /// The time to stamp on what is decided.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        TimestampMs(self.slew.lock().time_ns(self.moment().0) / 1_000_000)
    }

    /// The moment to measure waits from.
    #[must_use]
    pub fn moment(&self) -> Moment {
        match &self.source {
            Source::Monotonic(start) => {
                let passed = monotonic().duration_since(*start);
                Moment(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Standing(moment_ns) => Moment(moment_ns.load(Ordering::Relaxed)),
        }
    }

    /// Look at the wall clock; call it every [`OBSERVE_EVERY`].
    pub fn observe(&self) -> Observed {
        let every_ns = u64::try_from(OBSERVE_EVERY.as_nanos()).unwrap_or(u64::MAX);
        let observed = self.slew.lock().observe(self.moment().0, wall_ns(), every_ns);
        if let Observed::Jumped(_) = observed {
            self.jumps.fetch_add(1, Ordering::Relaxed);
        }
        self.away.store(matches!(observed, Observed::Jumped(_) | Observed::Away), Ordering::Relaxed);
        observed
    }

    /// How often the wall clock has jumped, and whether it is away now.
    #[must_use]
    pub fn jumps(&self) -> (u64, bool) {
        (self.jumps.load(Ordering::Relaxed), self.away.load(Ordering::Relaxed))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the room the clock is read in")]
fn monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the room the clock is read in")]
fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WALL: u64 = 1_700_000_000 * SECOND;

    /// Runs `seconds` observations, the wall clock being `gap_ns` away from the start on; returns the time's
    /// distance from the wall at the end, and checks on the way that time never goes back or runs too fast.
    fn run(slew: &mut Slew, seconds: u64, gap_ns: i64) -> i64 {
        let mut before = slew.time_ns(0);
        for second in 1..=seconds {
            let monotonic = second * SECOND;
            let now = slew.time_ns(monotonic);
            assert!(now >= before + SECOND - 500_000 && now <= before + SECOND + 500_000, "beyond 500 ppm");
            before = now;
            slew.observe(monotonic, (WALL + monotonic).saturating_add_signed(gap_ns), SECOND);
        }
        (WALL + seconds * SECOND).saturating_add_signed(gap_ns) as i64 - slew.time_ns(seconds * SECOND) as i64
    }

    #[test]
    fn a_small_gap_is_closed_at_500_ppm_both_ways() {
        for gap in [100_000_000, -100_000_000] {
            let mut slew = Slew::new(0, WALL);
            let left = run(&mut slew, 100, gap);
            assert_eq!(left.abs(), 100_000_000 - 99 * 500_000, "half a millisecond per second");
            let mut slew = Slew::new(0, WALL);
            assert_eq!(run(&mut slew, 300, gap), 0);
        }
    }

    #[test]
    fn a_jump_over_five_seconds_is_told_once_and_not_followed() {
        let mut slew = Slew::new(0, WALL);
        let jumped = WALL + SECOND + 3600 * SECOND;
        assert_eq!(slew.observe(SECOND, jumped, SECOND), Observed::Jumped(3600 * SECOND as i64));
        assert_eq!(slew.observe(2 * SECOND, jumped + SECOND, SECOND), Observed::Away);
        assert_eq!(slew.time_ns(3 * SECOND), WALL + 3 * SECOND, "it runs on as the monotonic clock does");
        assert_eq!(slew.observe(3 * SECOND, WALL + 3 * SECOND, SECOND), Observed::Back);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_take_time_back() {
        let mut slew = Slew::new(0, WALL);
        assert_eq!(run(&mut slew, 10, -4 * SECOND as i64), -4 * SECOND as i64 + 9 * 500_000);
        let before = slew.time_ns(10 * SECOND);
        assert!(slew.time_ns(10 * SECOND + 1_000) >= before);
    }

    #[test]
    fn the_clock_shows_wall_time_and_moments_only_grow() {
        let clock = Clock::start();
        let earlier = clock.moment();
        assert!(clock.now().0.abs_diff(wall_ns() / 1_000_000) < 1_000);
        assert!(clock.moment() >= earlier);
        assert_eq!(clock.observe(), Observed::Near);
        assert_eq!(clock.jumps(), (0, false));
    }

    #[test]
    fn a_clock_that_stands_moves_when_it_is_told_to() {
        let clock = Clock::standing_at(TimestampMs(5_000));
        assert_eq!((clock.now(), clock.moment()), (TimestampMs(5_000), Moment(0)));
        clock.advance(7);
        assert_eq!((clock.now(), clock.moment()), (TimestampMs(5_007), Moment(7_000_000)));
    }
}
