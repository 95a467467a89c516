//! Confirmed orders are looked at again here, beside the I/O cores and below all other threads: what could be served for less is
//! moved, order by order or pair by pair, as often as policies want it. How it is found is the engine's; the committer has the
//! last word.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use earmark_engine::Replanner;
use earmark_protocol::command::CommandBody;

use super::errand;
use super::shared::Shared;
use crate::priority::yield_to_others;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Orders of one look: some 50 plans for an order with many that could take its place, so some milliseconds of each look.
const ORDERS: u64 = 50;

/// The thread, and the way to it.
pub(super) struct Background {
    thread: JoinHandle<()>,
    stop: Sender<()>,
}

impl Background {
    /// Starts the thread. It does nothing as long as no policy has orders looked at again.
    pub(super) fn start(shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let (stop, told) = bounded(1);
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("replan".to_owned());
        let thread = thread
            .spawn(move || {
                yield_to_others();
                look_again_and_again(&shared, &told);
            })
            .context("starting the thread that plans orders again")?;
        Ok(Self { thread, stop })
    }

    /// Ends the thread after the look in hand.
    pub(super) fn stop(self) {
        // A send fails only where the thread is gone already.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the thread that plans orders again panicked");
        }
    }
}

fn look_again_and_again(shared: &Shared, stop: &Receiver<()>) {
    let (mut replanner, mut from) = (Replanner::default(), 0);
    while matches!(stop.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
        if !shared.reader.has_replans() {
            continue;
        }
        let look = replanner.look(&shared.reader, shared.clock.now(), None, from, ORDERS);
        shared.looked_at_again.fetch_add(look.looked_at, Ordering::Relaxed);
        for (tenant, saving) in look.found {
            errand::run(shared, tenant, CommandBody::Move(saving.command), None);
        }
        from = look.next.unwrap_or(0);
    }
}
