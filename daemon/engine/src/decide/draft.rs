//! A change of one reservation in the making: its rows as they will be, and what that does to their cells.

use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Status;

use crate::expire::status_of_open;
use crate::outcomes::CompactReply;
use crate::record::{Effect, Stage};
use crate::reservations::slot::{Head, Row, RowValue};
use crate::state::State;

/// The change.
pub(crate) struct Draft<'a> {
    state: &'a State,
    pub(crate) head: Head,
    pub(crate) rows: Vec<RowValue>,
    effects: &'a mut Vec<Effect>,
    /// What became available or was taken, by cell.
    freed: Vec<(u32, i64)>,
    pub(crate) moved: u64,
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
        let rows = table.rows(slot, &head).iter().map(Row::load).collect();
        effects.push(Effect::Touch { slot });
        Ok(Self { state, head, rows, effects, freed: Vec::new(), moved: 0 })
    }

    /// Whether units are held whose deadline has passed, or that were expired already.
    pub(crate) fn expired(&self, now: TimestampMs) -> bool {
        let due = self.head.deadline.0 != 0 && now >= self.head.deadline;
        due || self.head.status == Status::Expired
    }

    /// Units over all rows in a stage.
    pub(crate) fn units(&self, stage: Stage) -> u64 {
        self.rows.iter().map(|row| u64::from(row.units(stage))).sum()
    }

    /// A refusal that says the status stands in the way.
    pub(crate) fn wrong_status(&self) -> Refusal {
        Refusal::of(RefusalCode::WrongStatus, Field::Reservation).detail(self.head.status as i64)
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

    /// Moves units of a row.
    pub(crate) fn shift(&mut self, row: usize, from: Stage, to: Stage, quantity: u32) {
        if quantity == 0 {
            return;
        }
        let cell = self.cell(row);
        self.rows[row].move_units(from, to, quantity);
        self.effects.push(Effect::Move { row: row as u16, cell, from, to, quantity });
        self.moved += u64::from(quantity);
        let sign = match (from, to) {
            (Stage::Free, _) => -1,
            (_, Stage::Free) => 1,
            _ => 0,
        };
        self.freed.push((cell, sign * i64::from(quantity)));
    }

    /// Adds an effect of another kind that changes what can be promised of a cell by this much.
    pub(crate) fn also(&mut self, effect: Effect, touched: Option<(u32, i64)>) {
        self.effects.push(effect);
        self.freed.extend(touched);
    }

    /// Ends the change: the new status, with this one where nothing is open any more.
    pub(crate) fn settle(mut self, ended: Status) -> CompactReply {
        let held = self.units(Stage::Held) > 0;
        let deadline = if held { self.head.deadline } else { TimestampMs(0) };
        self.settle_with(ended, deadline)
    }

    /// The same with a new deadline.
    pub(crate) fn settle_with(&mut self, ended: Status, deadline: TimestampMs) -> CompactReply {
        let status = self.rows.iter().filter_map(status_of_open).min().unwrap_or(ended);
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
