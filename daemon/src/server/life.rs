//! An I/O core's life: it serves until it is told to stop and its pipes have ended, and the first of them keeps time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::core::Core;
use super::listen;
use super::shared::Shared;
use crate::clock::{OBSERVE_EVERY, Observed};
use crate::commit::TICK;

/// How long a closed endpoint gets to tell its peers.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves until told to stop, and then until the pipes have ended.
pub(super) async fn serve(
    core: Arc<Core>,
    number: usize,
    endpoint: quinn::Endpoint,
    unix: Option<listen::UnixSocket>,
    stop: &Notify,
    drain: Duration,
) {
    let shared = Arc::clone(core.shared());
    tokio::spawn(Arc::clone(&core).turns());
    let accepting = tokio::spawn(listen::accept(Arc::clone(&core), endpoint.clone()));
    let unix = unix.map(|unix| tokio::spawn(unix.accept(Arc::clone(&core))));
    if number == 0 {
        tokio::spawn(tick(Arc::clone(&shared)));
        tokio::spawn(observe(Arc::clone(&shared)));
    }
    stop.notified().await;
    endpoint.set_server_config(None);
    if let Some(unix) = unix {
        unix.abort();
    }
    if tokio::time::timeout(drain, shared.until_pipes_ended()).await.is_err() {
        let pipes = shared.pipes_open();
        tracing::warn!("stopping with {pipes} pipe(s) whose peers have not taken their replies");
    }
    endpoint.close(quinn::VarInt::from_u32(0), b"the daemon is shutting down");
    // A peer that hears nothing of it will time out by itself.
    let _ = tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await;
    accepting.abort();
}

/// Has holds expire when no traffic does it.
async fn tick(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        while shared.committer.tick() {
            tokio::task::yield_now().await;
        }
    }
}

/// Keeps the clock near wall time, and tells where that cannot be.
async fn observe(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(OBSERVE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match shared.clock.observe() {
            Observed::Near | Observed::Away => {}
            Observed::Jumped(gap_ns) => tracing::error!(
                "the system's clock jumped by {} ms; the daemon's time runs on without it. Check NTP, and restart \
                 the daemon where the new time is right",
                gap_ns / 1_000_000
            ),
            Observed::Back => {
                tracing::warn!("the system's clock is back; the daemon's time follows it again")
            }
        }
    }
}
