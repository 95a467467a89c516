//! The one place that reads clocks. A moment is nanoseconds since the load began, on one monotonic clock for all
//! threads.

use std::time::Duration;

use earmark_protocol::hello::HelloReply;
use earmark_protocol::ids::{CommandId, TimestampMs};
use fastrand::Rng;
use tokio::time::Instant;

/// Nanoseconds since the clock was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// Nanoseconds since an earlier moment; 0 where it is not earlier.
    pub(crate) fn ns_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A started clock. Copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { zero: Instant::now() }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        Moment(nanos(self.zero.elapsed()))
    }

    /// When that is, for the runtime's timers.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.zero + Duration::from_nanos(moment.0)
    }
}

/// Ids on the daemon's time. What is random in them comes from the system, never from the seed: two runs of one seed
/// ask for the same things under other ids.
#[derive(Debug)]
pub(crate) struct Ids {
    /// The daemon's time when the clock was started.
    zero_ms: u64,
    rng: Rng,
}

impl Ids {
    pub(crate) fn new(hello: &HelloReply, greeted: Moment) -> Self {
        Self { zero_ms: hello.time.0.saturating_sub(greeted.0 / 1_000_000), rng: Rng::new() }
    }

    #[inline]
    pub(crate) fn next(&mut self, now: Moment) -> CommandId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.rng.u64(..).to_le_bytes());
        random[8..].copy_from_slice(&self.rng.u16(..).to_le_bytes());
        CommandId::new(self.time(now), random)
    }

    /// The daemon's time.
    pub(crate) fn time(&self, now: Moment) -> TimestampMs {
        TimestampMs(self.zero_ms + now.0 / 1_000_000)
    }
}
