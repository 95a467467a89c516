//! Holds and routed reservations: what is claimed, from which cells, until when.

use std::collections::BTreeMap;

use earmark_protocol::command::{Hold, Order, Reserve};
use earmark_protocol::ids::{
    CommandId, HoldClass, LineId, Lsn, Money, NodeIx, QUANTITY_MAX, Tenant, TimestampMs,
};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, RowView, Shipment, ShipmentLine, Status, Unfilled};

use super::reservations::Stage;
use super::stock::{CellKey, key_of, too_large_at};
use super::{Decided, Model, Noes, Reservation, Wish, Wished, Yes};

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
            if *sum > u64::from(QUANTITY_MAX) {
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
                let available = self.stock.available(&key_of(cell)).max(0);
                if demand[&key_of(cell)] > available as u64 {
                    return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line)
                        .at(index)
                        .detail(available));
                }
            }
        }
        let mut rows = Vec::new();
        let mut unfilled = Vec::new();
        for (index, cell) in hold.cells.iter().enumerate() {
            let line = LineId(index as u32);
            let got = i64::from(cell.quantity).min(self.stock.available(&key_of(cell)).max(0));
            let held = u32::try_from(got).expect("at most what was asked");
            if held < cell.quantity {
                let quantity = cell.quantity - held;
                unfilled.push(Unfilled { line, quantity, reason: RefusalCode::OutOfStock });
            }
            if held > 0 {
                self.stock.cell(&key_of(cell)).held += got;
                rows.push(RowView {
                    line,
                    sku: cell.sku,
                    node: cell.node,
                    segment: cell.segment,
                    held,
                    ..RowView::default()
                });
            }
        }
        if rows.is_empty() {
            return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0));
        }
        let plan = (!unfilled.is_empty()).then(|| plain_plan(&rows, unfilled));
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
        let lines: Vec<_> = reserve
            .order
            .lines
            .iter()
            .map(|line| Wished { line: line.line, sku: line.sku, quantity: line.quantity })
            .collect();
        let wish =
            Wish { tenant, order: &reserve.order, lines, without: None, best_effort: reserve.best_effort };
        let plan = match self.plan_or_refusal(&wish, seen)? {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut rows = Vec::new();
        self.take_plan(&mut rows, &plan, Stage::Held);
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

/// What a plain hold got where it did not get all, as a plan without prices.
fn plain_plan(rows: &[RowView], unfilled: Vec<Unfilled>) -> Plan {
    let mut by_node = BTreeMap::<NodeIx, Vec<ShipmentLine>>::new();
    for row in rows {
        let part = ShipmentLine { line: row.line, sku: row.sku, segment: row.segment, quantity: row.held };
        by_node.entry(row.node).or_default().push(part);
    }
    let shipments = by_node
        .into_iter()
        .map(|(node, lines)| Shipment {
            node,
            miles: 0,
            cost: Money(0),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            lines,
        })
        .collect();
    Plan { shipments, unfilled, ..Plan::default() }
}
