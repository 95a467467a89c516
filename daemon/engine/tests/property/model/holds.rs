//! Holds and routed reservations: what is claimed, from which cells, until when.

use std::collections::BTreeMap;

use earmark_protocol::command::{Hold, Order, Reserve};
use earmark_protocol::ids::{
    CommandId, HoldClass, LineId, Lsn, Money, NodeIx, QUANTITY_MAX, Tenant, TimestampMs,
};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, RowView, Shipment, ShipmentLine, Status, Unfilled};

use super::reservations::{Stage, key_of_row};
use super::stock::{CellKey, key_of, too_large_at};
use super::supply::Turn;
use super::{Decided, Model, Noes, Reservation, Wish, Yes};

impl Model {
    pub(super) fn hold(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        id: CommandId,
        hold: &Hold,
    ) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, hold.cells.len(), false, self.rules.lines_max);
        let lifetime_ms = self.judge_lifetime(&mut noes, hold.class, hold.lifetime_ms);
        let mut demand = BTreeMap::<CellKey, u64>::new();
        for (index, cell) in hold.cells.iter().enumerate() {
            self.judge_cell(&mut noes, tenant, key_of(cell), Some(index));
            if cell.quantity == 0 {
                noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
            }
            let sum = demand.entry(key_of(cell)).or_default();
            *sum += u64::from(cell.quantity);
            // What has no cell is not added up.
            let sum =
                if self.catalogue.kits.contains_key(&cell.sku) { u64::from(cell.quantity) } else { *sum };
            if sum > u64::from(QUANTITY_MAX) {
                noes.push(too_large_at(index));
            }
            self.judge_sellable(&mut noes, tenant, cell.sku, index);
            self.judge_active(&mut noes, tenant, cell.node, index);
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        if !hold.best_effort {
            for (index, cell) in hold.cells.iter().enumerate() {
                let key = key_of(cell);
                let short = self.stock.available(&key).min(0);
                let supply = hold.supply_by.map_or(0, |day| self.free_by(key, day) as i64);
                let there = self.stock.available(&key).max(0) + (supply + short).max(0);
                if demand[&key] > there as u64 {
                    return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(index).detail(there));
                }
            }
        }
        let mut rows = Vec::new();
        let mut unfilled = Vec::new();
        let mut waits = Vec::new();
        for (index, cell) in hold.cells.iter().enumerate() {
            let (key, line) = (key_of(cell), LineId(index as u32));
            let row = |held, awaited| {
                let (sku, node, segment) = key;
                RowView { line, sku, node, segment, held, awaited, ..RowView::default() }
            };
            let got = i64::from(cell.quantity).min(self.stock.available(&key).max(0));
            let held = u32::try_from(got).expect("at most what was asked");
            if held > 0 {
                self.stock.cell(&key).held += got;
                rows.push(row(held, 0));
            }
            // What earlier lines of this command wait for is not in the queue yet.
            let before: u64 =
                rows.iter().filter(|row| key_of_row(row) == key).map(|row| u64::from(row.awaited)).sum();
            let ahead = before + self.stock.available(&key).min(0).unsigned_abs();
            let supply = hold.supply_by.map_or(0, |day| self.free_by(key, day).saturating_sub(ahead));
            let awaited = u64::from(cell.quantity - held).min(supply) as u32;
            if awaited > 0 {
                let served = self.waiting_for(key) + ahead + u64::from(awaited);
                let day = self.day_of(key, served).expect("it comes by the day that was asked for");
                waits.push(Turn { tenant, reservation: id, row: rows.len(), day });
                rows.push(row(0, awaited));
            }
            if held + awaited < cell.quantity {
                let quantity = cell.quantity - held - awaited;
                unfilled.push(Unfilled { line, quantity, reason: RefusalCode::OutOfStock });
            }
        }
        if rows.is_empty() {
            return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0));
        }
        let is_partial = !unfilled.is_empty() || !waits.is_empty();
        let plan = is_partial.then(|| plain_plan(&rows, &waits, unfilled));
        self.turns.extend(waits);
        let plans = plan.iter().cloned().collect();
        let expires = now.plus_ms(lifetime_ms);
        self.insert(tenant, id, hold.class, expires, rows, None, plans);
        Ok(Yes { deadline: expires, plan, ..Yes::default() })
    }

    pub(super) fn reserve(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        id: CommandId,
        reserve: &Reserve,
        seen: &Reply,
    ) -> Decided {
        let mut noes = Noes::default();
        let lifetime_ms = self.judge_lifetime(&mut noes, reserve.class, reserve.lifetime_ms);
        self.judge_order(&mut noes, tenant, &reserve.order);
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        let lines = self.in_components(&reserve.order, &BTreeMap::new());
        let wish =
            Wish { tenant, order: &reserve.order, lines, without: None, best_effort: reserve.best_effort };
        let plan = match self.plan_or_refusal(&wish, seen)? {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut rows = Vec::new();
        let (in_stock, waits) = Self::parted(&plan);
        self.take_plan(&mut rows, &in_stock, Stage::Held);
        self.wait_as_planned(&mut rows, (tenant, id), &waits);
        let expires = now.plus_ms(lifetime_ms);
        self.insert(
            tenant,
            id,
            reserve.class,
            expires,
            rows,
            Some(reserve.order.clone()),
            vec![plan.clone()],
        );
        Ok(Ok(Yes { deadline: expires, plan: Some(plan), ..Yes::default() }))
    }

    /// Claims what a plan says, a new row for each of its lines.
    pub(super) fn take_plan(&mut self, rows: &mut Vec<RowView>, plan: &Plan, stage: Stage) {
        for shipment in &plan.shipments {
            for part in &shipment.lines {
                let mut row = RowView {
                    line: part.line,
                    sku: part.sku,
                    node: shipment.node,
                    segment: part.segment,
                    ..RowView::default()
                };
                *stage.of(&mut row) = part.quantity;
                let cell = self.stock.cell(&(row.sku, row.node, row.segment));
                match stage {
                    Stage::Held => cell.held += i64::from(part.quantity),
                    _ => cell.allocated += i64::from(part.quantity),
                }
                rows.push(row);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a reservation, named at both ends")]
    fn insert(
        &mut self,
        tenant: Tenant,
        id: CommandId,
        class: HoldClass,
        expires: TimestampMs,
        rows: Vec<RowView>,
        order: Option<Order>,
        plans: Vec<Plan>,
    ) {
        let lsn = Lsn(self.lsn.0 + 1);
        let in_review = plans.first().is_some_and(|plan| plan.review);
        let ended = Status::Held;
        let reservation = Reservation { lsn, class, expires, rows, ended, order, plans, in_review };
        let before = self.reservations.insert((tenant, id), reservation);
        assert!(before.is_none(), "a reservation's id is decided once");
    }

    /// Judges class and lifetime; the lifetime in milliseconds.
    pub(super) fn judge_lifetime(&self, noes: &mut Noes, class: HoldClass, lifetime_ms: u32) -> u64 {
        let Some(&(default_ms, max_ms)) = self.rules.classes.get(usize::from(class.0)) else {
            noes.no(RefusalCode::UnknownClass, Field::Class);
            return 0;
        };
        if lifetime_ms > max_ms {
            noes.push(
                Refusal::of(RefusalCode::LifetimeOutOfBounds, Field::Lifetime).detail(i64::from(max_ms)),
            );
        }
        u64::from(if lifetime_ms == 0 { default_ms } else { lifetime_ms })
    }
}

/// What a plain hold got where it did not get all from stock, as a plan without prices.
fn plain_plan(rows: &[RowView], waits: &[Turn], unfilled: Vec<Unfilled>) -> Plan {
    let mut by_node = BTreeMap::<(NodeIx, u32), Vec<ShipmentLine>>::new();
    for (place, row) in rows.iter().enumerate() {
        let quantity = row.held + row.awaited;
        let part = ShipmentLine { line: row.line, sku: row.sku, segment: row.segment, quantity };
        let day = waits.iter().find(|turn| turn.row == place).map_or(0, |turn| turn.day);
        by_node.entry((row.node, day)).or_default().push(part);
    }
    let shipments = by_node
        .into_iter()
        .map(|((node, supply_day), lines)| Shipment {
            node,
            miles: 0,
            cost: Money(0),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            supply_day,
            lines,
        })
        .collect();
    Plan { shipments, unfilled, ..Plan::default() }
}
