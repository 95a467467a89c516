//! Reservations amended in place: a line keeps its nodes, more is taken where it stands, less is given back.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::Amend;
use earmark_protocol::ids::{LineId, QUANTITY_MAX, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Reply, Status};

use super::reservations::{Stage, key_of_row};
use super::stock::{CellKey, too_large_at};
use super::{Decided, Model, Noes, Reservation};

/// What could be added to a line.
#[derive(Default)]
struct Raised {
    /// Of the line: units, or kits.
    could: i64,
    /// Units of all its skus.
    units: u64,
    day_is_full: bool,
    /// A sku of which nothing could be added, and so nothing of the line.
    stuck: Option<SkuIx>,
}

/// The skus of a line, and how many units of each one of it is: of a kit, as its first plan has it.
fn parts_of(reservation: &Reservation, line: LineId) -> BTreeMap<SkuIx, i64> {
    let rows = reservation.rows.iter().filter(|row| row.line == line);
    let mut parts: BTreeMap<SkuIx, i64> = rows.map(|row| (row.sku, 1)).collect();
    let ordered = reservation.order.iter().flat_map(|order| &order.lines).find(|own| own.line == line);
    let (Some(ordered), Some(plan)) = (ordered, reservation.plans.first()) else { return parts };
    if !parts.contains_key(&ordered.sku) {
        let left_out: u32 =
            plan.unfilled.iter().filter(|left| left.line == line).map(|left| left.quantity).sum();
        for (sku, per) in &mut parts {
            let planned = plan.shipments.iter().flat_map(|shipment| &shipment.lines);
            let planned = planned.filter(|part| (part.line, part.sku) == (line, *sku));
            let units: i64 = planned.map(|part| i64::from(part.quantity)).sum();
            *per = units / i64::from(ordered.quantity - left_out);
        }
    }
    parts
}

impl Model {
    pub(super) fn amend(&mut self, now: TimestampMs, tenant: Tenant, amend: &Amend, seen: &Reply) -> Decided {
        let mut noes = Noes::default();
        noes.list(Field::Line, amend.lines.len(), false, self.rules.lines_max);
        let Some(mut reservation) = self.find(tenant, amend.reservation, seen)? else {
            noes.no(RefusalCode::UnknownReservation, Field::Reservation);
            return Ok(Err(noes.first().expect("it is unknown")));
        };
        let status = reservation.status();
        if reservation.is_expired(now) {
            noes.no(RefusalCode::Expired, Field::Reservation);
        }
        let mut lines = BTreeSet::new();
        for (index, line) in amend.lines.iter().enumerate() {
            if !reservation.rows.iter().any(|row| row.line == line.line) {
                noes.at(RefusalCode::UnknownLine, Field::Line, index);
            }
            if !lines.insert(line.line) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            if line.quantity > QUANTITY_MAX {
                noes.push(too_large_at(index));
            }
        }
        if noes.first().is_some_and(|no| no.code == RefusalCode::UnknownLine) {
            return Ok(Err(noes.first().expect("a line is unknown")));
        }
        let (before, as_it_was) = (self.stock.clone(), reservation.clone());
        let (mut moved, mut touched, mut confirmed_went) = (0_u64, BTreeSet::new(), false);
        let mut less_of = Vec::new();
        for (index, line) in amend.lines.iter().enumerate() {
            let parts = parts_of(&reservation, line.line);
            let units = |stages: [Stage; 2], sku: SkuIx| -> i64 {
                let rows = reservation.rows.iter().filter(|row| (row.line, row.sku) == (line.line, sku));
                rows.flat_map(|row| stages.map(|stage| i64::from(stage.units(row)))).sum()
            };
            let held = |sku| units([Stage::Held, Stage::Awaited], sku);
            let there = |sku| held(sku) + units([Stage::Confirmed, Stage::Backordered], sku);
            let quantities: BTreeSet<(i64, i64)> =
                parts.iter().map(|(sku, per)| (there(*sku) / per, there(*sku) % per)).collect();
            let mut lines = quantities.into_iter();
            let stage = if parts.keys().any(|sku| held(*sku) > 0) { Stage::Held } else { Stage::Confirmed };
            let now_there = match (lines.next(), lines.next()) {
                (Some((lines, 0)), None) => lines,
                _ if line.quantity == 0 => 0,
                _ => {
                    noes.at(RefusalCode::KitInParts, Field::Quantity, index);
                    continue;
                }
            };
            let change = i64::from(line.quantity) - now_there;
            if line.quantity == 0 || change < 0 {
                for (sku, per) in parts {
                    let less = there(sku) - i64::from(line.quantity) * per;
                    less_of.push((line.line, sku, less));
                }
            } else if change > 0 && now_there == 0 {
                noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Line).at(index).detail(status as i64));
            } else if change > 0 {
                for sku in parts.keys() {
                    self.judge_sellable(&mut noes, tenant, *sku, index);
                }
                let raised = self.raise_line(
                    tenant,
                    (&as_it_was, &mut reservation),
                    (line.line, &parts),
                    stage,
                    change,
                    &mut touched,
                );
                moved += raised.units;
                for row in raised.stuck.iter().flat_map(|sku| {
                    reservation.rows.iter().filter(move |row| (row.line, row.sku) == (line.line, *sku))
                }) {
                    self.judge_active(&mut noes, tenant, row.node, index);
                }
                if raised.could < change && !amend.best_effort {
                    let code =
                        if raised.day_is_full { RefusalCode::DayFull } else { RefusalCode::OutOfStock };
                    noes.push(Refusal::of(code, Field::Line).at(index).detail(raised.could));
                }
            }
            for (line, sku, less) in less_of.drain(..) {
                confirmed_went |= self.lower(now, &mut reservation, (line, sku), less, &mut touched);
                moved += less.unsigned_abs();
            }
        }
        if let Some(refusal) = noes.first() {
            self.stock = before;
            return Ok(Err(refusal));
        }
        if moved > 0 {
            reservation.ended = if confirmed_went { Status::Cancelled } else { Status::Released };
        }
        Ok(Ok(self.put_back(tenant, amend.reservation, reservation, moved, &touched)))
    }

    /// Adds to a line; to a kit's line, whole kits, one after the other until one cannot be had.
    fn raise_line(
        &mut self,
        tenant: Tenant,
        (as_it_was, reservation): (&Reservation, &mut Reservation),
        (line, parts): (LineId, &BTreeMap<SkuIx, i64>),
        stage: Stage,
        by: i64,
        touched: &mut BTreeSet<CellKey>,
    ) -> Raised {
        let mut raised = Raised::default();
        let is_kit = parts.len() > 1 || parts.values().any(|per| *per > 1);
        let (stock, rows) = (self.stock.clone(), reservation.rows.clone());
        let mut good = (stock.clone(), rows.clone());
        for quantity in if is_kit { 1..=by } else { by..=by } {
            (self.stock, reservation.rows) = (stock.clone(), rows.clone());
            let mut units = 0;
            for (sku, per) in parts {
                let wanted = quantity.saturating_mul(*per);
                let of = (line, *sku);
                let (could, day_is_full) =
                    self.raise(tenant, (as_it_was, reservation), of, stage, wanted, touched);
                units += could.unsigned_abs();
                if could == 0 && raised.could == 0 {
                    raised.stuck = Some(*sku);
                }
                if is_kit && could < wanted {
                    (self.stock, reservation.rows) = good;
                    return Raised { day_is_full, ..raised };
                }
                (raised.could, raised.day_is_full) =
                    if is_kit { (raised.could, false) } else { (could, day_is_full) };
            }
            raised.units = units;
            if is_kit {
                raised.could = quantity;
            }
            good = (self.stock.clone(), reservation.rows.clone());
        }
        raised
    }

    /// Adds to a line's rows of a sku in their order, where their nodes are active, as availability and room of days allow. Returns what
    /// could be added, and whether a day had too little room.
    fn raise(
        &mut self,
        tenant: Tenant,
        (as_it_was, reservation): (&Reservation, &mut Reservation),
        of: (LineId, SkuIx),
        stage: Stage,
        by: i64,
        touched: &mut BTreeSet<CellKey>,
    ) -> (i64, bool) {
        let (mut left, mut day_is_full) = (by, false);
        for place in 0..reservation.rows.len() {
            let of_day = self.room_of_day(as_it_was, reservation, place);
            let row = &mut reservation.rows[place];
            if (row.line, row.sku) != of {
                continue;
            }
            let key = key_of_row(row);
            if !self.catalogue.is_active(tenant, row.node) {
                continue;
            }
            let room = i64::from(QUANTITY_MAX) - i64::from(stage.units(row));
            let could = self.stock.available(&key).max(0).min(left).min(room);
            let units = could.min(of_day);
            day_is_full |= units < could;
            if units > 0 {
                touched.insert(key);
            }
            *stage.of(row) += units as u32;
            let cell = self.stock.cell(&key);
            match stage {
                Stage::Held => cell.held += units,
                _ => cell.allocated += units,
            }
            left -= units;
        }
        (by - left, day_is_full)
    }

    /// Takes from a line's rows, the last first, of each what waits before what is in stock, and of both what is held before what
    /// is confirmed. Returns whether
    /// confirmed units went.
    fn lower(
        &mut self,
        now: TimestampMs,
        reservation: &mut Reservation,
        of: (LineId, SkuIx),
        by: i64,
        touched: &mut BTreeSet<CellKey>,
    ) -> bool {
        let (mut left, mut confirmed_went) = (by as u32, false);
        for row in reservation.rows.iter_mut().rev().filter(|row| (row.line, row.sku) == of) {
            for stage in [Stage::Awaited, Stage::Backordered, Stage::Held, Stage::Confirmed] {
                let units = stage.units(row).min(left);
                if units == 0 {
                    continue;
                }
                *stage.of(row) -= units;
                left -= units;
                let key = key_of_row(row);
                touched.insert(key);
                self.give_back(now, key, stage, units);
                confirmed_went |= matches!(stage, Stage::Confirmed | Stage::Backordered);
            }
        }
        confirmed_went
    }
}
