//! What a reservation is, and what each command makes of it, as the documentation says and without a look at the engine:
//! units per line and node, and the stage they stand in.

use std::collections::BTreeMap;

use earmark_protocol::command::{CommandBody, Step};
use earmark_protocol::ids::{LineId, NodeIx, SkuIx};
use earmark_protocol::reply::{ReservationView, Status};

/// The stages, in the order of [`Row::units`].
pub(crate) const HELD: usize = 0;
pub(crate) const CONFIRMED: usize = 1;
pub(crate) const DISPATCHED: usize = 2;
pub(crate) const READY: usize = 3;
pub(crate) const SHIPPED: usize = 4;
/// Stages of units that are still open.
const OPEN: [(usize, Status); 4] = [
    (HELD, Status::Held),
    (CONFIRMED, Status::Confirmed),
    (DISPATCHED, Status::Dispatched),
    (READY, Status::Ready),
];

/// Units of one line at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) sku: SkuIx,
    pub(crate) units: [u32; 5],
}

/// A reservation. Rows without units do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) status: Status,
    pub(crate) rows: BTreeMap<(LineId, NodeIx), Row>,
}

impl Shape {
    /// All of it held.
    pub(crate) fn held(rows: impl IntoIterator<Item = (LineId, NodeIx, SkuIx, u32)>) -> Self {
        let row = |(line, node, sku, quantity)| ((line, node), Row { sku, units: [quantity, 0, 0, 0, 0] });
        Self { status: Status::Held, rows: rows.into_iter().map(row).collect() }
    }

    /// As the daemon shows it.
    pub(crate) fn of(view: &ReservationView) -> Self {
        let rows = view.rows.iter().map(|row| {
            let units = [row.held, row.confirmed, row.dispatched, row.ready, row.shipped];
            ((row.line, row.node), Row { sku: row.sku, units })
        });
        let rows = rows.filter(|(_, row)| row.units.iter().any(|units| *units > 0)).collect();
        Self { status: view.status, rows }
    }

    /// What is left when its deadline has passed.
    pub(crate) fn expired(&self) -> Self {
        self.moved(&[], &[HELD], None, Status::Expired).0
    }

    /// What this command makes of it, and how many units it moves.
    pub(crate) fn after(&self, body: &CommandBody) -> (Self, u64) {
        let go = |step: &Step, from: &[usize], to, end| {
            let lines: Vec<LineId> = step.lines.iter().map(|line| line.line).collect();
            self.moved(&lines, from, to, end)
        };
        match body {
            CommandBody::Confirm(step) => go(step, &[HELD], Some(CONFIRMED), Status::Confirmed),
            CommandBody::Release(step) => go(step, &[HELD], None, Status::Released),
            CommandBody::Cancel(step) => {
                go(step, &[HELD, CONFIRMED, DISPATCHED, READY], None, Status::Cancelled)
            }
            CommandBody::Dispatch(step) => go(step, &[CONFIRMED], Some(DISPATCHED), Status::Dispatched),
            CommandBody::Ready(step) => go(step, &[DISPATCHED], Some(READY), Status::Ready),
            CommandBody::Ship(step) => go(step, &[DISPATCHED], Some(SHIPPED), Status::Shipped),
            CommandBody::Collect(step) => go(step, &[READY], Some(SHIPPED), Status::Collected),
            CommandBody::Extend(_) => (self.clone(), 0),
            CommandBody::Amend(amend) => {
                let (mut shape, mut moved) = (self.clone(), 0);
                for line in &amend.lines {
                    let of_line = |((found, _), _): &(&(LineId, NodeIx), &mut Row)| *found == line.line;
                    let (_, row) = shape.rows.iter_mut().find(of_line).expect("lines that are there");
                    let stage = if row.units[HELD] > 0 { HELD } else { CONFIRMED };
                    moved += u64::from(row.units[stage].abs_diff(line.quantity));
                    row.units[stage] = line.quantity;
                }
                (shape, moved)
            }
            other => panic!("{other:?} is no command about a reservation"),
        }
    }

    /// Units of these lines (none for all) go on, or back to the stock.
    fn moved(&self, lines: &[LineId], from: &[usize], to: Option<usize>, end: Status) -> (Self, u64) {
        let (mut shape, mut moved) = (self.clone(), 0);
        for ((line, _), row) in &mut shape.rows {
            if lines.is_empty() || lines.contains(line) {
                let units = from.iter().map(|stage| std::mem::take(&mut row.units[*stage])).sum::<u32>();
                moved += u64::from(units);
                if let Some(to) = to {
                    row.units[to] += units;
                }
            }
        }
        shape.rows.retain(|_, row| row.units.iter().any(|units| *units > 0));
        let open = OPEN.into_iter().find(|(stage, _)| shape.units(*stage) > 0);
        if moved > 0 {
            shape.status = open.map_or(end, |(_, status)| status);
        }
        (shape, moved)
    }

    /// Units in a stage.
    pub(crate) fn units(&self, stage: usize) -> u64 {
        self.rows.values().map(|row| u64::from(row.units[stage])).sum()
    }
}
