//! Reservations: rows with a column per stage, and the steps that move units from one column to the next.

use std::collections::BTreeSet;

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{CommandBody, Extend, Order, Step, StepLine};
use earmark_protocol::ids::{CommandId, HoldClass, Lsn, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, ReservationView, RowView, Status};

use super::stock::CellKey;
use super::{Decided, Model, Noes, Yes, refused_with};

/// An order's claim on cells.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) lsn: Lsn,
    pub(crate) class: HoldClass,
    /// When what is held expires, if anything is.
    pub(crate) expires: TimestampMs,
    pub(crate) rows: Vec<RowView>,
    /// How the last open unit ended.
    pub(crate) ended: Status,
    pub(crate) order: Option<Order>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) in_review: bool,
}

/// A column of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Held,
    Confirmed,
    Dispatched,
    Ready,
    Awaited,
    Backordered,
}

impl Stage {
    /// Those of units in the building.
    pub(super) const OPEN: [Self; 4] = [Self::Held, Self::Confirmed, Self::Dispatched, Self::Ready];
    /// All of them.
    const ALL: [Self; 6] =
        [Self::Held, Self::Confirmed, Self::Dispatched, Self::Ready, Self::Awaited, Self::Backordered];

    pub(super) fn of(self, row: &mut RowView) -> &mut u32 {
        match self {
            Self::Held => &mut row.held,
            Self::Confirmed => &mut row.confirmed,
            Self::Dispatched => &mut row.dispatched,
            Self::Ready => &mut row.ready,
            Self::Awaited => &mut row.awaited,
            Self::Backordered => &mut row.backordered,
        }
    }

    pub(super) fn units(self, row: &RowView) -> u32 {
        *self.of(&mut row.clone())
    }
}

/// What a step does with the units it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Into(Stage),
    Back,
    Out,
}

/// Where a step takes units from, in order, where they go, and how a reservation ends that has no open unit left.
fn course(body: &CommandBody) -> Option<(&Step, &'static [Stage], Target, Status)> {
    Some(match body {
        CommandBody::Confirm(step) => {
            (step, &[Stage::Held, Stage::Awaited], Target::Into(Stage::Confirmed), Status::Confirmed)
        }
        CommandBody::Release(step) => (step, &[Stage::Held, Stage::Awaited], Target::Back, Status::Released),
        CommandBody::Cancel(step) => (step, &Stage::ALL, Target::Back, Status::Cancelled),
        CommandBody::Dispatch(step) => {
            (step, &[Stage::Confirmed], Target::Into(Stage::Dispatched), Status::Dispatched)
        }
        CommandBody::Ready(step) => (step, &[Stage::Dispatched], Target::Into(Stage::Ready), Status::Ready),
        CommandBody::Ship(step) => (step, &[Stage::Dispatched], Target::Out, Status::Shipped),
        CommandBody::Collect(step) => (step, &[Stage::Ready], Target::Out, Status::Collected),
        _ => return None,
    })
}

/// Units of a row that are neither gone nor given back.
pub(crate) fn open_units(row: &RowView) -> u64 {
    Stage::OPEN.iter().map(|stage| u64::from(stage.units(row))).sum()
}

impl Reservation {
    fn has(&self, stage: Stage) -> bool {
        self.rows.iter().any(|row| stage.units(row) > 0)
    }

    pub(crate) fn status(&self) -> Status {
        if self.has_deadline() {
            Status::Held
        } else if self.has(Stage::Confirmed) || self.has(Stage::Backordered) {
            Status::Confirmed
        } else if self.has(Stage::Dispatched) {
            Status::Dispatched
        } else if self.has(Stage::Ready) {
            Status::Ready
        } else {
            self.ended
        }
    }

    /// The deadline as it is told: 0 where nothing is held.
    pub(crate) fn deadline(&self) -> TimestampMs {
        if self.has_deadline() { self.expires } else { TimestampMs(0) }
    }

    /// Whether units are held until the deadline, in stock or on supply.
    fn has_deadline(&self) -> bool {
        self.has(Stage::Held) || self.has(Stage::Awaited)
    }

    /// Whether units are held past their deadline.
    pub(crate) fn is_past_deadline(&self, now: TimestampMs) -> bool {
        self.has_deadline() && now >= self.expires
    }

    /// Whether units are held past their deadline, or the deadline ended it all.
    pub(super) fn is_expired(&self, now: TimestampMs) -> bool {
        self.is_past_deadline(now) || self.status() == Status::Expired
    }
}

impl Model {
    pub(super) fn step(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        body: &CommandBody,
        seen: &Reply,
    ) -> Decided {
        let (step, from, target, end) = course(body).expect("only steps come here");
        let mut noes = Noes::default();
        noes.list(Field::Line, step.lines.len(), true, self.rules.lines_max);
        let Some(mut reservation) = self.find(tenant, step.reservation, seen)? else {
            noes.no(RefusalCode::UnknownReservation, Field::Reservation);
            return Ok(Err(noes.first().expect("it is unknown")));
        };
        let status = reservation.status();
        if from == [Stage::Held, Stage::Awaited] && reservation.is_expired(now) {
            noes.no(RefusalCode::Expired, Field::Reservation);
        }
        judge_step_lines(&mut noes, &reservation, &step.lines);
        let mut moves = Vec::new();
        let lines = if step.lines.is_empty() { vec![None] } else { step.lines.iter().map(Some).collect() };
        for (index, wanted) in lines.into_iter().enumerate() {
            let mut there = 0_u64;
            for row in &reservation.rows {
                if is_of(row, wanted) {
                    there += from.iter().map(|stage| u64::from(stage.units(row))).sum::<u64>();
                }
            }
            if wanted.is_some() && there == 0 && !step.best_effort {
                noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Line).at(index).detail(status as i64));
            }
            let mut left = match wanted {
                Some(line) if line.quantity > 0 => u64::from(line.quantity),
                _ => there,
            };
            if left > there && !step.best_effort {
                noes.push(
                    Refusal::of(RefusalCode::NotEnough, Field::Quantity).at(index).detail(there as i64),
                );
            }
            left = left.min(there);
            for &stage in from {
                for (place, row) in reservation.rows.iter_mut().enumerate() {
                    if is_of(row, wanted) {
                        let column = stage.of(row);
                        let units = u64::from(*column).min(left) as u32;
                        *column -= units;
                        left -= u64::from(units);
                        moves.push((place, stage, units));
                        if let Target::Into(next) = target {
                            let next = if stage == Stage::Awaited { Stage::Backordered } else { next };
                            *next.of(row) += units;
                        } else if target == Target::Out {
                            row.shipped += units;
                        }
                    }
                }
            }
        }
        moves.retain(|(_, _, units)| *units > 0);
        if moves.is_empty() && (step.best_effort || step.lines.is_empty()) {
            noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(status as i64));
        }
        if matches!(body, CommandBody::Confirm(_)) && reservation.in_review && !moves.is_empty() {
            noes.no(RefusalCode::InReview, Field::Reservation);
        }
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        let mut touched = BTreeSet::new();
        let mut moved = 0;
        for (place, stage, units) in moves {
            let key = key_of_row(&reservation.rows[place]);
            touched.insert(key);
            moved += u64::from(units);
            self.leave(now, key, stage, units, target);
        }
        reservation.ended = end;
        Ok(Ok(self.put_back(tenant, step.reservation, reservation, moved, &touched)))
    }

    /// Takes units out of a stage's sum of the cell, and into that of the target.
    fn leave(&mut self, now: TimestampMs, key: CellKey, stage: Stage, units: u32, target: Target) {
        if matches!(stage, Stage::Awaited | Stage::Backordered) {
            return;
        }
        let units = i64::from(units);
        let cell = self.stock.cell(&key);
        match stage {
            Stage::Held => cell.held -= units,
            _ => cell.allocated -= units,
        }
        match target {
            Target::Into(_) => cell.allocated += units,
            Target::Back => {}
            Target::Out => self.stock.moves(now, key, -units),
        }
    }

    /// Gives units of a stage back to the cell.
    pub(super) fn give_back(&mut self, now: TimestampMs, key: CellKey, stage: Stage, units: u32) {
        self.leave(now, key, stage, units, Target::Back);
    }

    /// Keeps the changed reservation, and words the answer.
    pub(super) fn put_back(
        &mut self,
        tenant: Tenant,
        id: CommandId,
        reservation: Reservation,
        moved: u64,
        touched: &BTreeSet<CellKey>,
    ) -> Yes {
        let status = Some(reservation.status());
        let deadline = reservation.deadline();
        self.reservations.insert((tenant, id), reservation);
        Yes { status, deadline, moved, short: self.stock.short(touched), ..Yes::default() }
    }

    pub(super) fn extend(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        extend: &Extend,
        seen: &Reply,
    ) -> Decided {
        let Some(mut reservation) = self.find(tenant, extend.reservation, seen)? else {
            return Ok(Err(Refusal::of(RefusalCode::UnknownReservation, Field::Reservation)));
        };
        let mut noes = Noes::default();
        let lifetime_ms = self.judge_lifetime(&mut noes, reservation.class, extend.lifetime_ms);
        if reservation.is_expired(now) {
            noes.no(RefusalCode::Expired, Field::Reservation);
        }
        let status = reservation.status();
        if status != Status::Held {
            noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(status as i64));
        }
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        reservation.expires = now.plus_ms(lifetime_ms);
        Ok(Ok(self.put_back(tenant, extend.reservation, reservation, 0, &BTreeSet::new())))
    }

    pub(super) fn approve(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        id: CommandId,
        seen: &Reply,
    ) -> Decided {
        let mut noes = Noes::default();
        let Some(mut reservation) = self.find(tenant, id, seen)? else {
            noes.no(RefusalCode::UnknownReservation, Field::Reservation);
            return Ok(Err(noes.first().expect("it is unknown")));
        };
        if reservation.is_expired(now) {
            noes.no(RefusalCode::Expired, Field::Reservation);
        } else if !reservation.in_review || !reservation.has(Stage::Held) {
            let detail = reservation.status() as i64;
            noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(detail));
        }
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        reservation.in_review = false;
        Ok(Ok(self.put_back(tenant, id, reservation, 0, &BTreeSet::new())))
    }

    /// Gives back all that is held past its deadline by these reservations.
    ///
    /// # Panics
    /// Where one of them is not due.
    pub(crate) fn expire(&mut self, now: TimestampMs, due: &[(Tenant, CommandId)]) {
        assert!(!due.is_empty(), "a record of expiries expires something");
        self.lsn.0 += 1;
        for key in due {
            let mut reservation = self.reservations.remove(key).expect("what expires is known");
            assert!(reservation.is_past_deadline(now), "{} expired before its deadline", key.1);
            for row in &mut reservation.rows {
                row.awaited = 0;
                let units = std::mem::take(&mut row.held);
                self.give_back(now, key_of_row(row), Stage::Held, units);
            }
            reservation.ended = Status::Expired;
            self.reservations.insert(*key, reservation);
        }
    }

    /// All that is held lives at least until then; whether that changed anything.
    pub(crate) fn grant(&mut self, until: TimestampMs) -> bool {
        let mut any = false;
        for reservation in self.reservations.values_mut() {
            if reservation.has_deadline() && reservation.expires < until {
                reservation.expires = until;
                any = true;
            }
        }
        self.lsn.0 += u64::from(any);
        any
    }

    /// The reservations whose deadline has passed for at least `late_ms`, and whose units were not given back yet.
    pub(crate) fn due(&self, now: TimestampMs, late_ms: u64) -> Vec<(Tenant, CommandId)> {
        let then = TimestampMs(now.0.saturating_sub(late_ms));
        self.reservations
            .iter()
            .filter(|(_, reservation)| reservation.is_past_deadline(then))
            .map(|(key, _)| *key)
            .collect()
    }

    /// A reservation as `Show` tells it.
    pub(crate) fn view(&self, tenant: Tenant, id: CommandId) -> Option<ReservationView> {
        self.reservations.get(&(tenant, id)).map(|reservation| ReservationView {
            id,
            lsn: reservation.lsn,
            status: reservation.status(),
            class: reservation.class,
            deadline: reservation.deadline(),
            rows: reservation.rows.clone(),
            order: reservation.order.clone(),
            plans: reservation.plans.clone(),
            in_review: reservation.in_review,
        })
    }

    /// The reservation a command names. One that ended may be forgotten where its room was needed.
    pub(super) fn find(
        &self,
        tenant: Tenant,
        id: CommandId,
        seen: &Reply,
    ) -> Result<Option<Reservation>, String> {
        let key = (tenant, id);
        let Some(reservation) = self.reservations.get(&key) else { return Ok(None) };
        if !refused_with(seen, RefusalCode::UnknownReservation) {
            return Ok(Some(reservation.clone()));
        }
        if self.may_be_forgotten(reservation) {
            return Ok(None);
        }
        Err(format!("the reservation {id} is {:?} and not to be forgotten", reservation.status()))
    }

    /// Whether a reservation has ended, and its room was needed: there are more than there is room for.
    pub(crate) fn may_be_forgotten(&self, reservation: &Reservation) -> bool {
        reservation.status().is_final() && self.reservations.len() > self.limits.reservations
    }

    pub(super) fn judge_sellable(&self, noes: &mut Noes, tenant: Tenant, sku: SkuIx, index: usize) {
        if self.catalogue.sku(tenant, sku).is_some_and(|sku| sku.retired) {
            noes.at(RefusalCode::SkuRetired, Field::Sku, index);
        }
    }

    pub(super) fn judge_active(&self, noes: &mut Noes, tenant: Tenant, node: NodeIx, index: usize) {
        if self.catalogue.node(tenant, node).is_some_and(|node| node.state != NodeState::Active) {
            noes.at(RefusalCode::NodeNotActive, Field::Node, index);
        }
    }
}

/// Judges the lines of a step against the rows there are.
pub(super) fn judge_step_lines(noes: &mut Noes, reservation: &Reservation, lines: &[StepLine]) {
    let mut seen = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        if !reservation.rows.iter().any(|row| is_of(row, Some(line))) {
            noes.at(RefusalCode::UnknownLine, Field::Line, index);
        }
        if !seen.insert((line.line, line.node)) {
            noes.at(RefusalCode::LineTwice, Field::Line, index);
        }
        let skus = skus_of(reservation.rows.iter().filter(|row| is_of(row, Some(line))));
        if line.quantity > 0 && skus.len() > 1 {
            noes.at(RefusalCode::KitInParts, Field::Quantity, index);
        }
    }
}

/// The skus of which rows have units in the building, or that wait for supply.
pub(super) fn skus_of<'a>(rows: impl Iterator<Item = &'a RowView>) -> BTreeSet<SkuIx> {
    let open = |row: &&RowView| {
        row.held + row.confirmed + row.dispatched + row.ready + row.awaited + row.backordered > 0
    };
    let open = rows.filter(open);
    open.map(|row| row.sku).collect()
}

/// Whether a row is meant by a step's line; all rows are where no line is named.
pub(super) fn is_of(row: &RowView, wanted: Option<&StepLine>) -> bool {
    wanted.is_none_or(|line| line.line == row.line && line.node.is_none_or(|node| node == row.node))
}

pub(super) fn key_of_row(row: &RowView) -> CellKey {
    (row.sku, row.node, row.segment)
}
