//! A timer finer than the runtime's, whose ticks are a millisecond.

use std::io;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// Ticks at an even pace; ticks that nobody waited for are one.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// A timer of the kernel is read like a pipe: a read waits for a tick, and takes all that have passed.
    timer: Receiver,
}

impl Ticker {
    /// Must be called on a runtime.
    pub(crate) fn every(interval: Duration) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Timespec {
            tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(interval.subsec_nanos()),
        };
        let times = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        Ok(Self { timer: Receiver::from_owned_fd_unchecked(timer)? })
    }

    /// Waits for the next tick.
    pub(crate) async fn tick(&mut self) -> io::Result<()> {
        let mut ticks = [0; 8];
        self.timer.read_exact(&mut ticks).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn ticks_come_no_sooner_than_their_interval() {
        let clock = Clock::start();
        let interval = Duration::from_micros(200);
        let mut ticker = Ticker::every(interval).unwrap();
        for ticks in 1..=10 {
            ticker.tick().await.unwrap();
            assert!(clock.now().0 >= ticks * 200_000);
        }
    }
}
