//! Counts may surprise. Where a cell promises more than it has, claims on it give way here, beside the I/O cores: holds
//! before confirmed units, by class, newest first. What gives way is routed to another node where one can serve it; a hold
//! that no other node can serve is given back, confirmed units stay and the cell stays short until stock comes.
//!
//! It acts as a client would, with `Reject` commands; the committer has the last word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam::channel::{Receiver, Sender};
use earmark_engine::routing::Planner;
use earmark_engine::{CellClaim, Reader};
use earmark_protocol::command::{CommandBody, Correction, Reject, StepLine};
use earmark_protocol::ids::{NodeIx, Segment, SkuIx, Tenant};

use super::errand;
use super::shared::Shared;
use crate::commit::Short;

/// How often a cell is looked at again when its claims changed meanwhile.
const ROUNDS: usize = 3;

/// The thread, and the way to it.
pub(super) struct Relief {
    thread: JoinHandle<()>,
    queue: Sender<Option<Short>>,
    stop: Arc<AtomicBool>,
}

impl Relief {
    /// Starts the thread; the committer tells it what became short.
    pub(super) fn start(shared: &Arc<Shared>) -> anyhow::Result<Self> {
        let (queue, shorts) = shared.committer.shorts();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, told) = (Arc::clone(shared), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("relief".to_owned());
        let thread = thread
            .spawn(move || relieve_all(&shared, &shorts, &told))
            .context("starting the relief thread")?;
        Ok(Self { thread, queue, stop })
    }

    /// Ends the thread after the cell in hand. What is short stays so, and is looked at again after the next start.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // A send fails only where the thread is gone already.
        let _ = self.queue.send(None);
        if self.thread.join().is_err() {
            tracing::error!("the relief thread panicked");
        }
    }
}

fn relieve_all(shared: &Shared, shorts: &Receiver<Option<Short>>, stop: &AtomicBool) {
    let mut planner = Planner::new();
    // What a count left short in an earlier life, and had not given way when that ended.
    for (tenant, sku, node, segment) in shared.reader.cells_short() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        relieve(shared, &mut planner, tenant, (sku, node, segment));
    }
    while let Ok(Some(Short { tenant, cells })) = shorts.recv() {
        for (sku, node, segment) in cells {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let units = relieve(shared, &mut planner, tenant, (sku, node, segment));
            if units > 0 {
                tracing::warn!(
                    "a count left sku {sku} at node {node} short: {units} units that were promised gave way"
                );
            }
        }
    }
}

/// Has claims on a cell give way until it is no longer short; says how many units did.
fn relieve(shared: &Shared, planner: &mut Planner, tenant: Tenant, cell: (SkuIx, NodeIx, Segment)) -> u64 {
    let (sku, node, segment) = cell;
    let reader = &shared.reader;
    let mut gave_way = 0;
    for _ in 0..ROUNDS {
        let deficit = |reader: &Reader| {
            reader.available(sku, node, segment).map_or(0, |have| have.min(0).unsigned_abs())
        };
        if deficit(reader) == 0 {
            break;
        }
        for claim in reader.claims_on(tenant, sku, node, segment) {
            let missing = deficit(reader);
            if missing == 0 {
                break;
            }
            give_way(shared, planner, tenant, node, &claim, missing.min(claim.units));
            gave_way += u64::from(missing.saturating_sub(deficit(reader)));
        }
    }
    gave_way
}

/// Has some units of a claim give way, where they may.
fn give_way(
    shared: &Shared,
    planner: &mut Planner,
    tenant: Tenant,
    node: NodeIx,
    claim: &CellClaim,
    units: u32,
) {
    let reader = &shared.reader;
    let mut reject = Reject {
        reservation: claim.reservation,
        node,
        lines: vec![StepLine { line: claim.line, node: Some(node), quantity: units }],
        correction: Correction::None,
        reason: "a count fell below what was promised".to_owned(),
        reroute: true,
    };
    let mut rest = reader.rest_to_reroute(tenant, &reject);
    let mut confirmed = claim.confirmed;
    // Of a kit that has several components at the node, all that is there of the line gives way, or nothing where the node
    // works on some of it. It counts as confirmed where any of it is.
    let in_parts = rest.as_ref().is_some_and(|rest| rest.order.lines.len() > 1);
    if in_parts {
        let view = reader.show(tenant, &claim.reservation);
        let rows = view.iter().flat_map(|view| &view.rows);
        let rows = rows.filter(|row| (row.line, row.node) == (claim.line, node));
        if rows.clone().any(|row| row.dispatched + row.ready > 0) {
            return;
        }
        confirmed |= rows.clone().any(|row| row.confirmed > 0);
        reject.lines[0].quantity = 0;
        rest = reader.rest_to_reroute(tenant, &reject);
    }
    let wanted: u32 = rest.iter().flat_map(|rest| &rest.order.lines).map(|line| line.quantity).sum();
    let planned = rest
        .map(|rest| planner.at(shared.clock.now()).plan_rest(reader, reader.lanes(), tenant, &rest, node));
    if confirmed {
        let placed = planned.as_ref().and_then(|planned| planned.as_ref().ok());
        let placed: u32 = placed.map_or(0, |proposal| proposal.picks.iter().map(|pick| pick.quantity).sum());
        if placed == 0 || in_parts && placed < wanted {
            return;
        }
        if !in_parts {
            reject.lines[0].quantity = placed.min(units);
        }
    }
    // Without an answer in time the relief goes on: what counts is what the cell says afterwards.
    errand::run(shared, tenant, CommandBody::Reject(reject), planned);
}
