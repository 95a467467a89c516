//! What is on hand where, from the answers alone: each names its place in the one order of all commands.

use std::collections::BTreeMap;

use earmark_protocol::command::{CommandBody, Disposition};
use earmark_protocol::ids::{CommandId, Lsn, NodeIx, SkuIx};

use super::shape::{SHIPPED, Shape};

/// A cell; all are of the common segment.
pub(crate) type Cell = (SkuIx, NodeIx);

/// What a command does to what is on hand.
#[derive(Clone, Copy, Debug)]
enum Change {
    Set(u32),
    Add(i64),
}

/// What is on hand, and what changes it.
#[derive(Default)]
pub(crate) struct Stock {
    on_hand: BTreeMap<Cell, i64>,
    changes: Vec<(Lsn, Cell, Change)>,
    /// Sent and not answered.
    pub(crate) pending: Vec<(CommandId, CommandBody)>,
}

impl Stock {
    /// A command about stock took place.
    pub(crate) fn done(&mut self, lsn: Lsn, body: &CommandBody) {
        let mut change = |sku, node, change| self.changes.push((lsn, (sku, node), change));
        match body {
            CommandBody::SetStock(set) => {
                set.counts.iter().for_each(|count| change(count.sku, count.node, Change::Set(count.on_hand)));
            }
            CommandBody::AdjustStock(adjust) => {
                let changes = adjust.changes.iter();
                changes.for_each(|by| change(by.sku, by.node, Change::Add(i64::from(by.delta))));
            }
            CommandBody::Restock(restock) => {
                assert_eq!(restock.disposition, Disposition::Sellable);
                let cell = restock.cell;
                change(cell.sku, cell.node, Change::Add(i64::from(cell.quantity)));
            }
            CommandBody::Transfer(transfer) => {
                let (from, units) = (transfer.from, i64::from(transfer.from.quantity));
                change(from.sku, from.node, Change::Add(-units));
                change(from.sku, transfer.to_node, Change::Add(units));
            }
            other => panic!("{other:?} is no command about stock"),
        }
    }

    /// Goods left the building: a reservation went from one shape to the other.
    pub(crate) fn shipped(&mut self, lsn: Lsn, before: &Shape, after: &Shape) {
        for ((line, node), row) in &after.rows {
            let was = before.rows.get(&(*line, *node)).map_or(0, |row| row.units[SHIPPED]);
            let units = i64::from(row.units[SHIPPED] - was);
            if units > 0 {
                self.changes.push((lsn, (row.sku, *node), Change::Add(-units)));
            }
        }
    }

    /// Takes what another has seen.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.changes.append(&mut other.changes);
        self.pending.append(&mut other.pending);
    }

    /// What is on hand, when nothing is pending.
    pub(crate) fn on_hand(&mut self) -> &BTreeMap<Cell, i64> {
        assert!(self.pending.is_empty(), "what is not known cannot be told");
        self.changes.sort_by_key(|(lsn, ..)| *lsn);
        for (_, cell, change) in self.changes.drain(..) {
            let on_hand = self.on_hand.entry(cell).or_default();
            *on_hand = match change {
                Change::Set(count) => i64::from(count),
                Change::Add(units) => *on_hand + units,
            };
        }
        &self.on_hand
    }
}
