//! A node that cannot serve what was routed to it: its rows are taken off, its stock corrected, and the lines appended
//! again where the plan that was given says. It never chooses the new places.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::{Correction, Order, Reject};
use earmark_protocol::ids::{LineId, QUANTITY_MAX, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, RowView, Status, Unfilled};

use super::catalogue::text_is_bad;
use super::reservations::{Stage, is_of, judge_step_lines, key_of_row};
use super::stock::CellKey;
use super::{Decided, Model, Noes, Wish, Wished, plan_of, refused_with};

/// The longest reason, in bytes.
const REASON_MAX: usize = 200;

/// What was rejected of one sku of a line.
#[derive(Clone, Copy, Debug)]
struct Rejected {
    wished: Wished,
    /// How much of it was held.
    held: u32,
}

impl Model {
    pub(super) fn reject(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        reject: &Reject,
        seen: &Reply,
    ) -> Decided {
        let mut noes = Noes::default();
        noes.list(Field::Line, reject.lines.len(), true, self.rules.lines_max);
        if text_is_bad(&reject.reason, true, REASON_MAX) {
            noes.push(Refusal::of(RefusalCode::TextTooLong, Field::Reason).detail(REASON_MAX as i64));
        }
        if self.catalogue.node(tenant, reject.node).is_none() {
            noes.no(RefusalCode::UnknownNode, Field::Node);
        }
        let Some(mut reservation) = self.find(tenant, reject.reservation, seen)? else {
            noes.no(RefusalCode::UnknownReservation, Field::Reservation);
            return Ok(Err(noes.first().expect("it is unknown")));
        };
        let mut lines = reject.lines.clone();
        for (index, line) in lines.iter_mut().enumerate() {
            if line.node.is_some_and(|node| node != reject.node) {
                noes.at(RefusalCode::UnknownLine, Field::Node, index);
            }
            line.node = Some(reject.node);
        }
        judge_step_lines(&mut noes, &reservation, &lines);
        let status = reservation.status();
        if reservation.is_past_deadline(now) {
            noes.no(RefusalCode::Expired, Field::Reservation);
        }
        let mut taken = Vec::<(usize, Stage, u32)>::new();
        let wanted = if lines.is_empty() { vec![None] } else { lines.iter().map(Some).collect() };
        for (index, wanted) in wanted.into_iter().enumerate() {
            let is_meant = |row: &RowView| row.node == reject.node && is_of(row, wanted);
            let there: u64 = reservation.rows.iter().filter(|row| is_meant(row)).map(super::open_units).sum();
            let mut left = wanted.map_or(there, |line| match line.quantity {
                0 => there,
                quantity => u64::from(quantity),
            });
            if there == 0 && wanted.is_some() {
                noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Line).at(index).detail(status as i64));
            }
            if left > there {
                noes.push(
                    Refusal::of(RefusalCode::NotEnough, Field::Quantity).at(index).detail(there as i64),
                );
                left = there;
            }
            for (place, row) in reservation.rows.iter_mut().enumerate() {
                for stage in Stage::OPEN {
                    if is_meant(row) {
                        let units = u64::from(stage.units(row)).min(left) as u32;
                        *stage.of(row) -= units;
                        left -= u64::from(units);
                        taken.push((place, stage, units));
                    }
                }
            }
        }
        taken.retain(|(_, _, units)| *units > 0);
        if taken.is_empty() && lines.is_empty() {
            noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(status as i64));
        }
        let before = self.stock.clone();
        let moved = taken.iter().map(|(_, _, units)| u64::from(*units)).sum();
        let (rejected, mut touched) = self.take_off(now, &reservation.rows, &taken, reject.correction);
        if touched.iter().any(|key| !self.stock.cells[key].is_within_limits()) {
            noes.push(
                Refusal::of(RefusalCode::QuantityTooLarge, Field::Quantity).detail(i64::from(QUANTITY_MAX)),
            );
        }
        if let Some(refusal) = noes.first() {
            self.stock = before;
            return Ok(Err(refusal));
        }
        if reject.reroute && refused_with(seen, RefusalCode::CapacityReached) {
            self.stock = before;
            return self.full_for_a_plan(seen).map(Err);
        }
        let all_held = taken.iter().all(|(_, stage, _)| *stage == Stage::Held);
        reservation.ended = if all_held { Status::Released } else { Status::Cancelled };
        let mut plan = None;
        if reject.reroute {
            let lines = rejected.iter().map(|part| part.wished).collect();
            let rerouted = match &reservation.order {
                Some(order) => self.plan_again(tenant, order, lines, reject, seen),
                None => Ok(nowhere(&lines)),
            };
            let rerouted = match rerouted {
                Ok(plan) => plan,
                Err(why) => {
                    self.stock = before;
                    return Err(why);
                }
            };
            self.append(&mut reservation.rows, &rerouted, &rejected, &mut touched);
            if reservation.order.is_some() {
                reservation.plans.push(rerouted.clone());
            }
            plan = Some(rerouted);
        }
        let mut yes = self.put_back(tenant, reject.reservation, reservation, moved, &touched);
        yes.plan = plan;
        Ok(Ok(yes))
    }

    /// Takes units off their cells and corrects these. Returns what was rejected, by line.
    fn take_off(
        &mut self,
        now: TimestampMs,
        rows: &[RowView],
        taken: &[(usize, Stage, u32)],
        correction: Correction,
    ) -> (Vec<Rejected>, BTreeSet<CellKey>) {
        let mut by_cell = BTreeMap::<CellKey, i64>::new();
        let mut by_line = BTreeMap::<(LineId, SkuIx), Rejected>::new();
        for &(place, stage, units) in taken {
            let row = &rows[place];
            self.give_back(now, key_of_row(row), stage, units);
            *by_cell.entry(key_of_row(row)).or_default() += i64::from(units);
            let wished = Wished { line: row.line, sku: row.sku, quantity: 0 };
            let part = by_line.entry((row.line, row.sku)).or_insert(Rejected { wished, held: 0 });
            part.wished.quantity += units;
            part.held += if stage == Stage::Held { units } else { 0 };
        }
        for (key, &units) in &by_cell {
            let cell = self.stock.cell(key);
            match correction {
                Correction::None => {}
                Correction::Missing => cell.on_hand -= units,
                Correction::Unsellable => cell.unsellable += units,
                Correction::Empty => cell.on_hand -= cell.available().max(0),
            }
        }
        (by_line.into_values().collect(), by_cell.into_keys().collect())
    }

    fn plan_again(
        &self,
        tenant: Tenant,
        order: &Order,
        lines: Vec<Wished>,
        reject: &Reject,
        seen: &Reply,
    ) -> Result<Plan, String> {
        let plan = plan_of(seen).ok_or("rejected lines were to be planned again, and no plan was given")?;
        let order = Order { shipments_max: 0, ..order.clone() };
        let wish = Wish { tenant, order: &order, lines, without: Some(reject.node), best_effort: true };
        self.judge_plan(&wish, plan).map(|()| plan.clone())
    }

    /// Appends what the plan says. Of a line that was rejected in several stages, what is planned first is confirmed.
    fn append(
        &mut self,
        rows: &mut Vec<RowView>,
        plan: &Plan,
        rejected: &[Rejected],
        touched: &mut BTreeSet<CellKey>,
    ) {
        let mut confirmed: BTreeMap<(LineId, SkuIx), u32> = rejected
            .iter()
            .map(|part| ((part.wished.line, part.wished.sku), part.wished.quantity - part.held))
            .collect();
        for shipment in &plan.shipments {
            for part in &shipment.lines {
                let left =
                    confirmed.get_mut(&(part.line, part.sku)).expect("the plan is about rejected lines");
                let first = part.quantity.min(*left);
                *left -= first;
                let row = RowView {
                    line: part.line,
                    sku: part.sku,
                    node: shipment.node,
                    segment: part.segment,
                    confirmed: first,
                    held: part.quantity - first,
                    ..RowView::default()
                };
                touched.insert(key_of_row(&row));
                let cell = self.stock.cell(&key_of_row(&row));
                cell.allocated += i64::from(row.confirmed);
                cell.held += i64::from(row.held);
                rows.push(row);
            }
        }
    }
}

/// The plan of lines that have no destination.
fn nowhere(lines: &[Wished]) -> Plan {
    let unfilled = lines
        .iter()
        .map(|line| Unfilled { line: line.line, quantity: line.quantity, reason: RefusalCode::NoNode })
        .collect();
    Plan { unfilled, ..Plan::default() }
}
