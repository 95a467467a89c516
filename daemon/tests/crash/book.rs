//! What the clients know: what they asked for, what they were told, and what they are still waiting for.

use std::collections::BTreeMap;
use std::fmt;

use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::{CommandId, LineId, Lsn, NodeIx, SkuIx, TimestampMs};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Done, Plan, Refused, ReservationView, Reserved, Status};

use super::shape::{CONFIRMED, DISPATCHED, HELD, READY, Shape};
use super::stock::{Cell, Stock};

/// The book of all clients.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) skus: Vec<SkuIx>,
    /// Skus whose stock is counted and moved, and that nobody reserves: so no count leaves a promise short.
    pub(crate) counted: Vec<SkuIx>,
    pub(crate) nodes: Vec<NodeIx>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) stock: Stock,
    pub(crate) answered: u64,
    pub(crate) faults: Faults,
}

/// A reservation that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: CommandId,
    /// The `Hold` or `Reserve`.
    pub(crate) asked: CommandBody,
    pub(crate) told: Told,
    /// A step that was sent and not answered.
    pub(crate) pending: Option<(CommandId, CommandBody)>,
}

/// What its client was told of it last.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Nothing: it may be there or not.
    Nothing,
    /// No, and that is remembered.
    Refused,
    /// No, and that is not remembered; or it was given up. It was never decided.
    Undecided,
    /// Where and how it was made, and what it is now.
    Is { lsn: Lsn, plan: Option<Box<Plan>>, shape: Shape, deadline: TimestampMs },
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

    pub(crate) fn lose(&mut self, what: &dyn fmt::Display) {
        println!("lost: {what}");
        self.lost += 1;
    }

    pub(crate) fn double(&mut self, what: &dyn fmt::Display) {
        println!("doubled: {what}");
        self.doubled += 1;
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { lost, doubled, oversold } = self.faults;
        write!(f, "answered: {}, lost: {lost}, doubled: {doubled}, oversold: {oversold}", self.answered)
    }
}

impl Entry {
    pub(crate) fn new(id: CommandId, asked: CommandBody) -> Self {
        Self { id, asked, told: Told::Nothing, pending: None }
    }

    /// Whether it lives shorter than its class.
    pub(crate) fn is_short(&self) -> bool {
        matches!(&self.asked, CommandBody::Hold(hold) if hold.lifetime_ms > 0)
    }

    /// Its client is told that it was made.
    pub(crate) fn made(&mut self, reserved: Reserved) {
        let Reserved { lsn, deadline, plan, .. } = reserved;
        let shape = match (&plan, &self.asked) {
            (Some(plan), _) => Shape::held(plan.shipments.iter().flat_map(|shipment| {
                shipment.lines.iter().map(|line| (line.line, shipment.node, line.sku, line.quantity))
            })),
            (None, CommandBody::Hold(hold)) => {
                let lines = (0..).zip(&hold.cells);
                Shape::held(lines.map(|(line, cell)| (LineId(line), cell.node, cell.sku, cell.quantity)))
            }
            (None, asked) => panic!("{asked:?} was answered without a plan"),
        };
        self.told = Told::Is { lsn, plan: plan.map(Box::new), shape, deadline };
    }

    /// Its client is told that the pending step took place; gives the shapes before and after it.
    pub(crate) fn stepped(&mut self, done: &Done, faults: &mut Faults) -> Option<(Shape, Shape)> {
        let (_, body) = self.pending.take()?;
        let entry = format!("{self:?}");
        let Told::Is { shape, deadline, .. } = &mut self.told else { return None };
        let before = shape.clone();
        let (mut after, moved) = before.after(&body);
        // What is still held may have expired just before.
        if done.deadline == TimestampMs(0) && after.units(HELD) > 0 {
            after = after.expired();
        }
        if done.moved != moved || done.status != Some(after.status) {
            faults.lose(&format_args!("{body:?} was answered {done:?}, of {entry}"));
        }
        (*shape, *deadline) = (after.clone(), done.deadline);
        Some((before, after))
    }

    /// Whether its client may be told this though it did all it should: a hold that has expired takes no step any more.
    pub(crate) fn may_be_refused(&self, refused: Refused) -> bool {
        use RefusalCode::{Expired, OutOfStock, Overloaded, WrongStatus};
        match refused.refusal.code {
            OutOfStock => matches!(self.pending, Some((_, CommandBody::Amend(_)))),
            Expired | WrongStatus => {
                self.is_short() && matches!(&self.told, Told::Is { shape, .. } if shape.units(HELD) > 0)
            }
            Overloaded => refused.lsn == Lsn(0),
            _ => false,
        }
    }

    /// What one that was this may be now: its pending step may have been taken, its deadline may have passed.
    fn may_be(&self, shape: &Shape, has_passed: bool) -> Vec<Shape> {
        let mut shapes = vec![shape.clone()];
        shapes.extend(self.pending.as_ref().map(|(_, body)| shape.after(body).0));
        if has_passed {
            shapes.extend(shapes.clone().iter().map(Shape::expired));
        }
        shapes
    }

    /// Compares it with what is there.
    pub(crate) fn compare(&self, view: Option<&ReservationView>, now: TimestampMs, faults: &mut Faults) {
        match (&self.told, view) {
            (Told::Nothing | Told::Refused | Told::Undecided, None) => {}
            (Told::Refused | Told::Undecided, Some(view)) => {
                faults.double(&format_args!("{self:?} was refused and is {view:?}"));
            }
            (Told::Nothing, Some(view)) => {
                if !self.is_whole(&Shape::of(view)) {
                    faults.lose(&format_args!("{self:?} is half there: {view:?}"));
                }
            }
            (Told::Is { .. }, None) => faults.lose(&format_args!("{self:?} is not there")),
            (Told::Is { lsn, shape, deadline, .. }, Some(view)) => {
                let shapes = self.may_be(shape, *deadline <= now);
                if !shapes.contains(&Shape::of(view)) || view.lsn != *lsn {
                    faults.lose(&format_args!("{self:?} is {view:?}"));
                }
            }
        }
    }

    /// Whether this can be what was asked for, and all of it.
    fn is_whole(&self, shape: &Shape) -> bool {
        if shape.status == Status::Expired {
            return shape.rows.is_empty();
        }
        let mut units: BTreeMap<(LineId, SkuIx), u32> = BTreeMap::new();
        for ((line, _), row) in &shape.rows {
            *units.entry((*line, row.sku)).or_default() += row.units[HELD];
        }
        let (wanted, best_effort): (BTreeMap<_, _>, bool) = match &self.asked {
            CommandBody::Hold(hold) => {
                let cells = (0..).zip(&hold.cells);
                (
                    cells.map(|(line, cell)| ((LineId(line), cell.sku), cell.quantity)).collect(),
                    hold.best_effort,
                )
            }
            CommandBody::Reserve(reserve) => {
                let lines = reserve.order.lines.iter();
                (lines.map(|line| ((line.line, line.sku), line.quantity)).collect(), reserve.best_effort)
            }
            other => panic!("{other:?} makes no reservation"),
        };
        let fits = |(line, units): (&_, &u32)| wanted.get(line).is_some_and(|most| units <= most);
        shape.status == Status::Held
            && if best_effort { !units.is_empty() && units.iter().all(fits) } else { units == wanted }
    }
}

impl Book {
    /// Units held and allocated of each cell, as they must be.
    pub(crate) fn cells(&self) -> BTreeMap<Cell, (u64, u64)> {
        let mut cells = BTreeMap::new();
        for entry in &self.entries {
            let Told::Is { shape, .. } = &entry.told else { continue };
            for ((_, node), row) in &shape.rows {
                let (held, allocated): &mut (u64, u64) = cells.entry((row.sku, *node)).or_default();
                *held += u64::from(row.units[HELD]);
                *allocated += [CONFIRMED, DISPATCHED, READY]
                    .map(|stage| u64::from(row.units[stage]))
                    .iter()
                    .sum::<u64>();
            }
        }
        cells
    }
}
