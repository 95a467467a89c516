//! A change of one reservation in the making: its rows as they will be, and what that does to their cells.

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Status};

use super::days::{self, Takes};
use super::hold::Claim;
use crate::expire::status_of_open;
use crate::facts::days_of;
use crate::outcomes::CompactReply;
use crate::record::{Effect, Stage};
use crate::reservations::slot::{Head, RowValue};
use crate::state::State;

/// The change.
pub(crate) struct Draft<'a> {
    state: &'a State,
    pub(crate) slot: u32,
    pub(crate) head: Head,
    pub(crate) rows: Vec<RowValue>,
    effects: &'a mut Vec<Effect>,
    /// What became available or was taken, by cell.
    freed: Vec<(u32, i64)>,
    pub(crate) moved: u64,
    /// By row: the day on which it leaves; nothing where no row takes room of a day.
    pub(crate) days: Vec<u32>,
    /// What was taken of days before.
    took: Takes,
}

/// How far a change had come.
pub(crate) struct Mark {
    rows: Vec<RowValue>,
    effects: usize,
    freed: usize,
    moved: u64,
}

impl<'a> Draft<'a> {
    /// Begins a change of a tenant's reservation.
    pub(crate) fn of(
        state: &'a State,
        tenant: Tenant,
        id: &earmark_protocol::ids::CommandId,
        effects: &'a mut Vec<Effect>,
    ) -> Result<Self, Refusal> {
        let slot = super::known::reservation(state, tenant, id)?;
        let table = &state.reservations.table;
        let head = table.head(slot);
        let rows = table.rows_with_waits(slot, &state.shared.supplies);
        let days = table.days(slot);
        let took = days::takes(&rows, &days);
        effects.push(Effect::Touch { slot });
        Ok(Self { state, slot, head, rows, effects, freed: Vec::new(), moved: 0, days, took })
    }

    /// Whether units are held whose deadline has passed, or that were expired already.
    pub(crate) fn expired(&self, now: TimestampMs) -> bool {
        let due = self.head.deadline.0 != 0 && now >= self.head.deadline;
        due || self.head.meta.status == Status::Expired
    }

    /// Units over all rows in a stage.
    pub(crate) fn units(&self, stage: Stage) -> u64 {
        self.rows.iter().map(|row| u64::from(row.units(stage))).sum()
    }

    /// Whether units are held until the deadline, in stock or on supply.
    pub(crate) fn has_deadline(&self) -> bool {
        self.units(Stage::Held) + self.units(Stage::Awaited) > 0
    }

    /// A refusal that says the status stands in the way.
    pub(crate) fn wrong_status(&self) -> Refusal {
        Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(self.head.meta.status as i64)
    }

    /// The same for one line of the command's list.
    pub(crate) fn wrong_status_of(&self, index: usize) -> Refusal {
        Refusal { field: Field::Line, ..self.wrong_status() }.at(index)
    }

    /// The cell of a row.
    pub(crate) fn cell(&self, row: usize) -> u32 {
        let row = &self.rows[row];
        self.state.inventory.inventory.find(row.sku, row.place).expect("a row's cell exists")
    }

    /// What can be promised of a cell after what this change did so far.
    pub(crate) fn available(&self, cell: u32) -> i64 {
        let freed: i64 = self.freed.iter().filter(|(at, _)| *at == cell).map(|(_, units)| units).sum();
        self.state.inventory.inventory.quantities(cell).available() + freed
    }

    /// Units that the day of a row has room for after what this change did so far. A row of which nothing stands is no line
    /// of its day any more, and is not taken up again; one that waits is in nobody's day, so no stock of a node whose days are
    /// limited is added to it.
    pub(crate) fn room_of_day(&self, tenant: Tenant, row: usize) -> u64 {
        let (value, day) = (&self.rows[row], self.days.get(row).copied().unwrap_or(0));
        let node = value.place.node();
        let limits =
            self.state.node(tenant, node).map_or_else(DayLoad::default, |found| found.spec.day_limit);
        let waits = value.units(Stage::Awaited) + value.units(Stage::Backordered) > 0;
        match (day, limits.units) {
            (0, _) if waits && limits != DayLoad::default() && self.is_routed() => 0,
            (0, _) => u64::MAX,
            _ if value.stages.iter().all(|units| *units == 0) => 0,
            (_, 0) => u64::MAX,
            _ => {
                let of = |takes: &Takes| takes.get(&(node, day)).map_or(0, |takes| takes.units);
                let others = self.state.shared.days.taken(node, day).units.saturating_sub(of(&self.took));
                limits.units.saturating_sub(others + of(&days::takes(&self.rows, &self.days)))
            }
        }
    }

    fn is_routed(&self) -> bool {
        self.state.reservations.table.facts(self.slot).is_some_and(|facts| facts.order.is_some())
    }

    /// Moves units of a row.
    pub(crate) fn shift(&mut self, row: usize, from: Stage, to: Stage, quantity: u32) {
        if quantity == 0 {
            return;
        }
        let cell = self.cell(row);
        self.rows[row].move_units(from, to, quantity);
        self.effects.push(Effect::shift(row as u16, &self.rows[row], cell, (from, to), quantity));
        self.moved += u64::from(quantity);
        let of_cell = |stage: Stage| i64::from(stage != Stage::Free && !stage.waits());
        self.freed.push((cell, (of_cell(from) - of_cell(to)) * i64::from(quantity)));
    }

    /// Where the change stands.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            rows: self.rows.clone(),
            effects: self.effects.len(),
            freed: self.freed.len(),
            moved: self.moved,
        }
    }

    /// Takes back what was moved since.
    pub(crate) fn back_to(&mut self, mark: &Mark) {
        self.rows.clone_from(&mark.rows);
        self.effects.truncate(mark.effects);
        self.freed.truncate(mark.freed);
        self.moved = mark.moved;
    }

    /// A new row, behind all there are, takes units of a cell; the reservation was widened for it.
    pub(crate) fn claim(&mut self, claim: &Claim, stage: Stage, quantity: u32) {
        let Claim { line, sku, place, cell, .. } = *claim;
        let row = self.rows.len() as u16;
        let mut value = RowValue::empty(line, sku, place);
        value.move_units(Stage::Free, stage, quantity);
        self.rows.push(value);
        let effect = Effect::Claim { row, cell, line, sku, place: place.0, quantity, stage };
        self.also(effect, Some((cell, -i64::from(quantity))));
    }

    /// Plans rows behind all there are: they leave when it says.
    pub(crate) fn plan_rows(&mut self, plan: &Plan) {
        let days: Vec<_> = days_of(plan).collect();
        if !self.days.is_empty() || days.iter().any(|day| *day > 0) {
            self.days.resize(self.rows.len(), 0);
            self.days.extend(days);
        }
    }

    /// Adds an effect of another kind that changes what can be promised of a cell by this much.
    pub(crate) fn also(&mut self, effect: Effect, touched: Option<(u32, i64)>) {
        self.effects.push(effect);
        self.freed.extend(touched);
    }

    /// Ends the change: the new status, with this one where nothing is open any more.
    pub(crate) fn settle(mut self, ended: Status) -> CompactReply {
        let held = self.has_deadline();
        let deadline = if held { self.head.deadline } else { TimestampMs(0) };
        self.settle_with(ended, deadline)
    }

    /// The same with a new deadline.
    pub(crate) fn settle_with(&mut self, ended: Status, deadline: TimestampMs) -> CompactReply {
        let status = self.rows.iter().filter_map(status_of_open).min().unwrap_or(ended);
        days::change(&self.took, &days::takes(&self.rows, &self.days), self.effects);
        self.effects.push(Effect::Settle { status, deadline });
        let short = self.short();
        CompactReply::Done { status: Some(status), deadline, moved: self.moved, short }
    }

    /// Units below what is promised over the cells this change touched, once it took place.
    fn short(&mut self) -> u64 {
        self.freed.sort_unstable();
        let inventory = &self.state.inventory.inventory;
        self.freed
            .chunk_by(|a, b| a.0 == b.0)
            .map(|of_cell| {
                let freed: i64 = of_cell.iter().map(|(_, units)| units).sum();
                (inventory.quantities(of_cell[0].0).available() + freed).min(0).unsigned_abs()
            })
            .sum()
    }
}
