//! Prices for the future of stock are learned here, beside the I/O cores: from the orders that the committer held, a little
//! each second, and published whole. How they are learned is the engine's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use earmark_engine::routing::Learner;

use super::shared::Shared;
use crate::commit::Held;
use crate::config::{PriceMode, Routing};

/// Time between two learnings.
const EVERY: Duration = Duration::from_secs(1);
/// Weight of the last second in the rate of orders.
const RATE_WEIGHT: f64 = 0.1;

/// The thread, and the way to it.
pub(super) struct PriceLearner {
    thread: JoinHandle<()>,
    held: Sender<Held>,
}

impl PriceLearner {
    /// Starts the thread, where prices are to be learned; the committer tells it what was held.
    pub(super) fn start(shared: &Arc<Shared>, settings: &Routing) -> anyhow::Result<Option<Self>> {
        // Where they are not, the receiver goes, and nothing is told any more.
        let held = shared.committer.held();
        let Some((held, orders)) = held.filter(|_| settings.prices == PriceMode::Learned) else {
            return Ok(None);
        };
        let (shared, horizon_ms) = (Arc::clone(shared), settings.prices_horizon_ms);
        let thread = std::thread::Builder::new().name("prices".to_owned());
        let thread = thread
            .spawn(move || learn_all(&shared, &orders, horizon_ms))
            .context("starting the thread that learns prices")?;
        Ok(Some(Self { thread, held }))
    }

    /// Ends the thread. Prices are learned anew after the next start.
    pub(super) fn stop(self) {
        // A send fails only where the thread is gone already.
        let _ = self.held.send(None);
        if self.thread.join().is_err() {
            tracing::error!("the thread that learns prices panicked");
        }
    }
}

fn learn_all(shared: &Shared, orders: &Receiver<Held>, horizon_ms: u64) {
    let counted = || shared.committer.counters().orders.load(Ordering::Relaxed);
    let mut learner = Learner::default();
    let (mut begun, mut before, mut per_ms) = (shared.clock.moment(), counted(), None);
    loop {
        let left = EVERY.saturating_sub(Duration::from_micros(shared.clock.moment().us_since(begun)));
        match orders.recv_timeout(left) {
            Ok(Some((tenant, order))) => learner.note(tenant, order),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = shared.clock.moment();
        let elapsed_us = now.us_since(begun);
        if Duration::from_micros(elapsed_us) < EVERY {
            continue;
        }
        let held = counted();
        let latest = (held - before) as f64 / (elapsed_us as f64 / 1e3);
        let rate = per_ms.map_or(latest, |rate: f64| rate + RATE_WEIGHT * (latest - rate));
        per_ms = (rate > 0.0).then_some(rate);
        if held > before {
            let ahead = rate * horizon_ms as f64;
            let prices = learner.learn(&shared.reader, shared.clock.now(), ahead as u64);
            shared.reader.prices().publish(prices);
        }
        (begun, before) = (shared.clock.moment(), held);
    }
}
