//! The client's idea of the daemon's time. The only file of the client that reads a clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::{CommandId, TimestampMs};

/// The monotonic clock that deadlines are on.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The daemon's time, as of the last Hello and the monotonic clock since. It is behind the daemon's own by the way of
/// the answer, never ahead of it.
#[derive(Debug)]
pub(super) struct ServerClock {
    base: Instant,
    /// The daemon's time at `base`. Alone in its word, so relaxed is enough.
    base_ms: AtomicI64,
}

impl ServerClock {
    pub(super) fn new(time: TimestampMs) -> Self {
        let clock = Self { base: now(), base_ms: AtomicI64::new(0) };
        clock.set(time);
        clock
    }

    /// The daemon has just said its time.
    pub(super) fn set(&self, time: TimestampMs) {
        let base_ms = i64::try_from(time.0).unwrap_or(i64::MAX).saturating_sub(self.since_base_ms());
        self.base_ms.store(base_ms, Ordering::Relaxed);
    }

    pub(super) fn time(&self) -> TimestampMs {
        let time = self.base_ms.load(Ordering::Relaxed).saturating_add(self.since_base_ms());
        TimestampMs(u64::try_from(time).unwrap_or(0))
    }

    /// An id of the daemon's present.
    pub(super) fn new_id(&self) -> CommandId {
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        CommandId::new(self.time(), random)
    }

    fn since_base_ms(&self) -> i64 {
        i64::try_from(now().duration_since(self.base).as_millis()).unwrap_or(i64::MAX)
    }
}

/// How long to pause before the next try: doubling, and a random part of it so that clients do not come in step.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, min, max }
    }

    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.max);
        self.next = (whole * 2).max(self.min);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ids_are_made_on_the_daemons_time() {
        let clock = ServerClock::new(TimestampMs(1_000_000));
        assert_eq!(clock.new_id().time(), TimestampMs(1_000_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.new_id().time(), TimestampMs(1_000_250));
        clock.set(TimestampMs(5_000));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(clock.time(), TimestampMs(5_001));
        assert!(clock.new_id().is_v7());
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(40));
        for whole_ms in [10, 20, 40, 40] {
            let pause = backoff.pause();
            assert!(pause >= Duration::from_millis(whole_ms) / 2 && pause <= Duration::from_millis(whole_ms));
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(10));
    }
}
