//! What the clients know: what they asked for, what they were told, and what they are still waiting for.

use std::collections::BTreeMap;
use std::fmt;

use earmark_protocol::command::{CellQuantity, CommandBody};
use earmark_protocol::ids::{CommandId, Lsn, NodeIx, SkuIx};
use earmark_protocol::reply::{ReservationView, Status};

/// The book of all clients.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) skus: Vec<SkuIx>,
    pub(crate) nodes: Vec<NodeIx>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) answered: u64,
    pub(crate) faults: Faults,
}

/// A reservation that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: CommandId,
    pub(crate) cells: Vec<CellQuantity>,
    pub(crate) told: Told,
    /// A step that was sent and not answered.
    pub(crate) pending: Option<Pending>,
}

/// What its client was told of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Refused,
    Is(Lsn, Status),
}

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) id: CommandId,
    pub(crate) body: CommandBody,
    pub(crate) to: Status,
}

/// Promises that were broken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) oversold: u64,
}

impl Faults {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.oversold == 0
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { lost, doubled, oversold } = self.faults;
        write!(f, "answered: {}, lost: {lost}, doubled: {doubled}, oversold: {oversold}", self.answered)
    }
}

impl Entry {
    /// Compares it with what is there. Which broken promises that shows.
    pub(crate) fn compare(&self, view: Option<&ReservationView>) -> Faults {
        let mut faults = Faults::default();
        let is_there = view.is_some();
        match self.told {
            Told::Nothing if !is_there => return faults,
            // Nothing was promised: it may be there, but whole.
            Told::Nothing => {}
            Told::Refused => {
                faults.doubled += u64::from(is_there);
                return faults;
            }
            Told::Is(..) if !is_there => {
                faults.lost += 1;
                return faults;
            }
            Told::Is(..) => {}
        }
        let Some(view) = view else { return faults };
        let may_be = [
            match self.told {
                Told::Is(_, status) => Some(status),
                _ => Some(Status::Held),
            },
            self.pending.as_ref().map(|pending| pending.to),
        ];
        let is_whole = view.rows.len() == self.cells.len()
            && view.rows.iter().zip(&self.cells).all(|(row, cell)| {
                let quantity = |status| if view.status == status { cell.quantity } else { 0 };
                (row.sku, row.node) == (cell.sku, cell.node)
                    && row.held == quantity(Status::Held)
                    && row.confirmed == quantity(Status::Confirmed)
            });
        let is_of_its_lsn = match self.told {
            Told::Is(lsn, _) => view.lsn == lsn,
            _ => true,
        };
        if !may_be.contains(&Some(view.status)) || !is_whole || !is_of_its_lsn {
            println!("{self:?} is {view:?}");
            faults.lost += 1;
        }
        faults
    }
}

impl Book {
    /// Units held and allocated of each cell, as they must be.
    pub(crate) fn cells(&self) -> BTreeMap<(SkuIx, NodeIx), (u32, u32)> {
        let mut cells = BTreeMap::new();
        for entry in &self.entries {
            let Told::Is(_, status) = entry.told else { continue };
            for cell in &entry.cells {
                let (held, allocated): &mut (u32, u32) = cells.entry((cell.sku, cell.node)).or_default();
                match status {
                    Status::Held => *held += cell.quantity,
                    Status::Confirmed => *allocated += cell.quantity,
                    _ => {}
                }
            }
        }
        cells
    }
}
