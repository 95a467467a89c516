//! What is on its way to cells, and who waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use earmark_protocol::catalogue::CODE_LEN_MAX;
use earmark_protocol::ids::{CommandId, QUANTITY_MAX, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::RowView;
use earmark_protocol::supply::{Receive, SupplyKey, SupplySpec, WaitKey, WaitView};

use super::reservations::key_of_row;
use super::stock::{key_of, too_large_at};
use super::{CellKey, Model, Noes, Yes};

/// A row that waits for supply, or did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(super) tenant: Tenant,
    pub(super) reservation: CommandId,
    /// Its place in the reservation.
    pub(super) row: usize,
    /// The day that was said.
    pub(super) day: u32,
}

/// Units that are still to come, and the day.
pub(crate) type Supplies = BTreeMap<SupplyKey, (u32, u32)>;

impl Model {
    pub(super) fn put_supplies(&mut self, tenant: Tenant, specs: &[SupplySpec]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut keys = BTreeSet::new();
        for (index, spec) in specs.iter().enumerate() {
            let fits = 1..=CODE_LEN_MAX;
            if !fits.contains(&spec.code.len()) || spec.code.chars().any(char::is_control) {
                let refusal = Refusal::of(RefusalCode::TextTooLong, Field::Code).at(index);
                noes.push(refusal.detail(CODE_LEN_MAX as i64));
            }
            if spec.quantity > QUANTITY_MAX {
                noes.push(too_large_at(index));
            }
            if !keys.insert(spec.key()) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            self.judge_place(&mut noes, tenant, (spec.sku, spec.node, spec.segment), Some(index));
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        let mut cells = BTreeSet::new();
        for spec in specs {
            let key = (spec.sku, spec.node, spec.segment);
            cells.insert(key);
            if spec.quantity > 0 {
                self.stock.cells.entry(key).or_default();
            }
            self.supplies.insert(spec.key(), (spec.quantity, spec.day));
        }
        self.supplies.retain(|_, (quantity, _)| *quantity > 0);
        Ok(Yes { moved: specs.len() as u64, short: self.waits_in_vain(&cells), ..Yes::default() })
    }

    pub(super) fn receive(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        receive: &Receive,
    ) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, receive.cells.len(), false, self.rules.lines_max);
        let mut cells = BTreeSet::new();
        for (index, cell) in receive.cells.iter().enumerate() {
            let key = key_of(cell);
            if cell.quantity == 0 {
                noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
            }
            let there = self.stock.cells.get(&key).map_or(0, |cell| cell.on_hand);
            let limit = i64::from(QUANTITY_MAX);
            // What is nowhere on its way is not added up.
            let is_known = self.supplies.contains_key(&supply_key(key, &receive.code));
            if i64::from(cell.quantity) > limit
                || is_known && (there + i64::from(cell.quantity)).abs() > limit
            {
                noes.push(too_large_at(index));
            }
            if !cells.insert(key) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            let mut of_place = Noes::default();
            self.judge_place(&mut of_place, tenant, key, Some(index));
            match of_place.first() {
                Some(refusal) if refusal.code < RefusalCode::UnknownSupply => noes.push(refusal),
                _ if !is_known => noes.at(RefusalCode::UnknownSupply, Field::Code, index),
                _ => {}
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        let mut moved = 0;
        for cell in &receive.cells {
            let (key, units) = (key_of(cell), cell.quantity);
            self.stock.moves(now, key, i64::from(units));
            moved += u64::from(units);
            let expected = self.supplies.get_mut(&supply_key(key, &receive.code)).expect("it is known");
            expected.0 = if receive.closes { 0 } else { expected.0.saturating_sub(units) };
        }
        self.supplies.retain(|_, (quantity, _)| *quantity > 0);
        cells.iter().for_each(|key| self.serve(*key));
        let short = self.stock.short(&cells) + self.waits_in_vain(&cells);
        Ok(Yes { moved, short, ..Yes::default() })
    }

    /// Gives what is available to those who wait, in their turn; of each to what is confirmed first.
    fn serve(&mut self, key: CellKey) {
        for turn in self.turns.clone() {
            let there = self.stock.available(&key).max(0);
            let reservation = self.reservations.get_mut(&(turn.tenant, turn.reservation));
            let Some(row) = reservation.map(|found| &mut found.rows[turn.row]) else { continue };
            if key_of_row(row) != key {
                continue;
            }
            let confirmed = row.backordered.min(u32::try_from(there).unwrap_or(u32::MAX));
            let held = row.awaited.min(u32::try_from(there).unwrap_or(u32::MAX) - confirmed);
            row.backordered -= confirmed;
            row.confirmed += confirmed;
            row.awaited -= held;
            row.held += held;
            let cell = self.stock.cell(&key);
            cell.allocated += i64::from(confirmed);
            cell.held += i64::from(held);
        }
        self.assert_served(key);
    }

    /// Nobody waits while there is stock, right after some came.
    fn assert_served(&self, key: CellKey) {
        assert!(
            self.waiting_for(key) == 0 || self.stock.available(&key) <= 0,
            "{key:?} has stock for who waits"
        );
    }

    /// Those who wait for a cell, in their turn, with their rows.
    fn queue(&self, key: CellKey) -> impl Iterator<Item = (Turn, RowView)> + '_ {
        let rows = self.turns.iter().filter_map(|turn| {
            let reservation = self.reservations.get(&(turn.tenant, turn.reservation))?;
            Some((*turn, reservation.rows[turn.row]))
        });
        rows.filter(move |(_, row)| key_of_row(row) == key && row.awaited + row.backordered > 0)
    }

    /// Units that wait for a cell.
    pub(super) fn waiting_for(&self, key: CellKey) -> u64 {
        self.queue(key).map(|(_, row)| u64::from(row.awaited) + u64::from(row.backordered)).sum()
    }

    /// Units that come to a cell by a day, overdue ones aside, and that nobody waits for.
    pub(super) fn free_by(&self, key: CellKey, day: u32) -> u64 {
        self.comes_on(key, self.first_day()..=day).saturating_sub(self.waiting_for(key))
    }

    /// Units that wait for these cells, and that nothing comes for.
    fn waits_in_vain(&self, cells: &BTreeSet<CellKey>) -> u64 {
        cells.iter().map(|key| self.waiting_for(*key).saturating_sub(self.comes_on(*key, 0..=u32::MAX))).sum()
    }

    /// The first day that is not over in all time zones.
    pub(crate) fn first_day(&self) -> u32 {
        (self.now.0.saturating_sub(43_200_000) / 86_400_000) as u32
    }

    /// The first day by which so many units have come, overdue ones aside.
    pub(super) fn day_of(&self, key: CellKey, units: u64) -> Option<u32> {
        let days: BTreeSet<u32> = self.supplies.values().map(|(_, day)| *day).collect();
        let first = self.first_day();
        days.into_iter().find(|day| *day >= first && self.comes_on(key, first..=*day) >= units)
    }

    /// All who wait, as a tenant's question is answered, but for the numbers of their turns.
    pub(crate) fn waiting(&self, tenant: Tenant) -> Vec<WaitView> {
        let mut all = Vec::new();
        for key in self.stock.cells.keys().filter(|key| self.catalogue.sku(tenant, key.0).is_some()) {
            let mut served = 0;
            for (turn, row) in self.queue(*key) {
                served += u64::from(row.awaited) + u64::from(row.backordered);
                let day = self.day_of(*key, served);
                let is_on_its_way = day.is_none() && self.comes_on(*key, 0..=u32::MAX) >= served;
                all.push(WaitView {
                    key: WaitKey { sku: row.sku, node: row.node, segment: row.segment, turn: 0 },
                    reservation: turn.reservation,
                    line: row.line,
                    awaited: row.awaited,
                    backordered: row.backordered,
                    said_day: turn.day,
                    day,
                    overdue_since: is_on_its_way.then(|| self.first_expected(*key)).flatten(),
                });
            }
        }
        all
    }

    /// The first day on which something of all that still comes to a cell was expected.
    fn first_expected(&self, (sku, node, segment): CellKey) -> Option<u32> {
        let of_cell =
            self.supplies.iter().filter(|(key, _)| (key.sku, key.node, key.segment) == (sku, node, segment));
        of_cell.map(|(_, (_, day))| *day).min()
    }

    /// Units that come to a cell on these days.
    fn comes_on(&self, (sku, node, segment): CellKey, days: RangeInclusive<u32>) -> u64 {
        let of_cell = self.supplies.iter().filter(|(key, (_, expected))| {
            (key.sku, key.node, key.segment) == (sku, node, segment) && days.contains(expected)
        });
        of_cell.map(|(_, (quantity, _))| u64::from(*quantity)).sum()
    }
}

fn supply_key((sku, node, segment): CellKey, code: &str) -> SupplyKey {
    SupplyKey { sku, node, segment, code: code.to_owned() }
}
