//! Sums over the whole state: what a client's own account, a replay and a replica are compared with.

use earmark_protocol::codec;
use earmark_protocol::ids::{SkuIx, Tenant};
use earmark_protocol::reply::DigestReply;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::facts::TextAt;
use crate::reservations::slot::Row;
use crate::state::State;
use crate::supply::Wait;
use crate::sync::Ordering;

fn hash(part: u8, value: &impl Serialize) -> u64 {
    let mut bytes = vec![part];
    codec::encode(value, &mut bytes);
    xxh3_64(&bytes)
}

/// A digest of all that is decided by: cells, reservations with their facts, remembered outcomes, catalogue, clock.
/// Equal states give equal digests, wherever things lie in memory.
#[must_use]
pub fn digest(state: &State) -> u64 {
    let mut sum = hash(0, &(state.lsn(), state.now, state.forgotten_before, state.movements.kept_since()));
    sum = sum.wrapping_add(hash(6, &state.plan_epoch()));
    for count in state.other_counts.iter() {
        sum = sum.wrapping_add(hash(9, &count));
    }
    for movement in state.movements.iter() {
        sum = sum.wrapping_add(hash(7, &movement));
    }
    for sku in (0..state.skus.skus.len()).map(SkuIx) {
        let facts = state.skus.skus.facts(sku).expect("the sku is below the table's length");
        sum = sum.wrapping_add(hash(1, &(facts.tenant, facts.retired, &state.skus.skus.view(sku))));
        for (place, quantities) in state.inventory.inventory.cells_of(sku) {
            sum = sum.wrapping_add(hash(2, &(sku, quantities.view(place))));
        }
        for cell in state.inventory.inventory.indices_of(sku) {
            let cell = state.inventory.inventory.cell(cell);
            let beside = (cell.movement.load(Ordering::Relaxed), cell.counted.load(Ordering::Relaxed));
            sum = sum.wrapping_add(hash(8, &(sku, beside)));
        }
    }
    for (node, found) in state.nodes.nodes.iter().enumerate() {
        sum = sum.wrapping_add(hash(3, &(node as u32, found.tenant, found.state, &*found.spec)));
    }
    for of_day in state.shared.days.of_nodes(state.nodes.handles()) {
        sum = sum.wrapping_add(hash(12, &of_day));
    }
    let supplies = state.shared.supplies.read();
    sum = sum.wrapping_add(hash(14, &supplies.turns()));
    for spec in supplies.after(None) {
        sum = sum.wrapping_add(hash(13, &spec));
    }
    for (at, Wait { turn, cell: (sku, place), reservation, line, awaited, backordered, day }) in
        supplies.waits()
    {
        let kept = (at, turn, (sku, place.0), (reservation, line), [awaited, backordered, day]);
        sum = sum.wrapping_add(hash(15, &kept));
    }
    for calendar in state.nodes.calendars() {
        sum = sum.wrapping_add(hash(10, &calendar));
    }
    for (tenant, tariffs) in state.nodes.tariffs.iter() {
        for (place, piece) in (0_u64..).zip(tariffs.pieces()) {
            sum = sum.wrapping_add(hash(11, &(tenant, tariffs.version, place, piece)));
        }
    }
    for kit in state.nodes.kits.from(SkuIx(0)) {
        sum = sum.wrapping_add(hash(16, &kit));
    }
    for spec in state.nodes.substitutes.from(SkuIx(0)) {
        sum = sum.wrapping_add(hash(17, &spec));
    }
    for (tenant, kept) in state.policies.iter() {
        sum = sum.wrapping_add(hash(9, &(tenant, kept.version, kept.lsn, kept.since, &kept.text)));
    }
    let table = &state.reservations.table;
    for slot in 0..state.reservations.used() {
        let head = table.head(slot);
        let rows: Vec<_> = table.rows(slot).iter().map(|row| Row::load(row).view()).collect();
        let (id, deadline, meta) = (head.id, head.deadline, head.meta);
        let kept = (id, head.content, head.lsn, deadline, meta.tenant, meta.class, meta.status);
        sum = sum.wrapping_add(hash(4, &(kept, meta.in_review, rows, table.facts(slot))));
    }
    for row in 0..state.outcomes.len() {
        let kept = state.outcomes.get(row);
        let plan = if kept.text == TextAt(0) { Vec::new() } else { state.texts.texts.read(kept.text) };
        let id = state.outcomes.id(row);
        sum = sum.wrapping_add(hash(5, &(id, kept.tenant, kept.content, kept.lsn, kept.outcome, plan)));
    }
    sum
}

/// Sums and the digest of quantities over a tenant's cells, as of the last record.
#[must_use]
pub fn quantities(state: &State, tenant: Tenant) -> DigestReply {
    let mut reply = DigestReply { lsn: state.lsn(), state: digest(state), ..DigestReply::default() };
    for sku in (0..state.skus.skus.len()).map(SkuIx) {
        if state.skus.skus.facts(sku).is_none_or(|facts| facts.tenant != tenant) {
            continue;
        }
        for (place, cell) in state.inventory.inventory.cells_of(sku) {
            reply.cells += 1;
            reply.on_hand += i64::from(cell.on_hand);
            reply.held += u64::from(cell.held);
            reply.allocated += u64::from(cell.allocated);
            reply.unsellable += u64::from(cell.unsellable);
            reply.cells_short += u64::from(cell.available() < 0);
            let part = earmark_protocol::digest::cell(sku, &cell.view(place));
            reply.quantities = reply.quantities.wrapping_add(part);
        }
    }
    reply
}
