//! What is on its way to cells.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::CODE_LEN_MAX;
use earmark_protocol::ids::{QUANTITY_MAX, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::supply::{Receive, SupplyKey, SupplySpec};

use super::stock::{key_of, too_large_at};
use super::{CellKey, Model, Noes, Yes};

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
        for spec in specs {
            self.supplies.insert(spec.key(), (spec.quantity, spec.day));
        }
        self.supplies.retain(|_, (quantity, _)| *quantity > 0);
        Ok(Yes { moved: specs.len() as u64, ..Yes::default() })
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
                Some(refusal) => noes.push(refusal),
                None if !is_known => noes.at(RefusalCode::UnknownSupply, Field::Code, index),
                None => {}
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
        Ok(Yes { moved, short: self.stock.short(&cells), ..Yes::default() })
    }

    /// Units that come to a cell by a day.
    pub(super) fn comes_by(&self, (sku, node, segment): CellKey, day: u32) -> u64 {
        let of_cell = self.supplies.iter().filter(|(key, (_, expected))| {
            (key.sku, key.node, key.segment) == (sku, node, segment) && *expected <= day
        });
        of_cell.map(|(_, (quantity, _))| u64::from(*quantity)).sum()
    }
}

fn supply_key((sku, node, segment): CellKey, code: &str) -> SupplyKey {
    SupplyKey { sku, node, segment, code: code.to_owned() }
}
