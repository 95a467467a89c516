//! Reservations amended in place: a line keeps its nodes, more is taken where it stands, less is given back.

use std::collections::BTreeSet;

use earmark_protocol::command::Amend;
use earmark_protocol::ids::{LineId, QUANTITY_MAX, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Reply, RowView, Status};

use super::reservations::{Stage, key_of_row, skus_of};
use super::stock::{CellKey, too_large_at};
use super::{Decided, Model, Noes, Reservation};

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
        for (index, line) in amend.lines.iter().enumerate() {
            let skus = skus_of(reservation.rows.iter().filter(|row| row.line == line.line));
            if line.quantity > 0 && skus.len() > 1 {
                noes.at(RefusalCode::KitInParts, Field::Quantity, index);
                continue;
            }
            let units = |stage: Stage| -> i64 {
                let rows = reservation.rows.iter().filter(|row| row.line == line.line);
                rows.map(|row| i64::from(stage.units(row))).sum()
            };
            let held = units(Stage::Held) + units(Stage::Awaited);
            let confirmed = units(Stage::Confirmed) + units(Stage::Backordered);
            let change = i64::from(line.quantity) - held - confirmed;
            if change > 0 && held + confirmed == 0 {
                noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Line).at(index).detail(status as i64));
            } else if change > 0 {
                let stage = if held > 0 { Stage::Held } else { Stage::Confirmed };
                let of_line =
                    |row: &&RowView| row.line == line.line && (skus.is_empty() || skus.contains(&row.sku));
                let row = reservation.rows.iter().find(of_line).expect("it has units");
                let sku = row.sku;
                self.judge_sellable(&mut noes, tenant, sku, index);
                let (could, day_is_full) = self.raise(
                    tenant,
                    (&as_it_was, &mut reservation),
                    (line.line, sku),
                    stage,
                    change,
                    &mut touched,
                );
                moved += could as u64;
                if could == 0 {
                    for row in reservation.rows.iter().filter(|row| (row.line, row.sku) == (line.line, sku)) {
                        self.judge_active(&mut noes, tenant, row.node, index);
                    }
                }
                if could < change && !amend.best_effort {
                    let code = if day_is_full { RefusalCode::DayFull } else { RefusalCode::OutOfStock };
                    noes.push(Refusal::of(code, Field::Line).at(index).detail(could));
                }
            } else if change < 0 {
                confirmed_went |= self.lower(now, &mut reservation, line.line, -change, &mut touched);
                moved += change.unsigned_abs();
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
        line: LineId,
        by: i64,
        touched: &mut BTreeSet<CellKey>,
    ) -> bool {
        let (mut left, mut confirmed_went) = (by as u32, false);
        for row in reservation.rows.iter_mut().rev().filter(|row| row.line == line) {
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
