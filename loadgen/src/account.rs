//! The load generator's own account of what it was told, and how it compares with what the daemon has. It knows no rule
//! of the daemon's: an answer is a promise, and a promise is kept or broken.

use earmark_protocol::ids::{CommandId, Lsn};
use earmark_protocol::reply::{ReservationView, Status};

use crate::world::Cell;

/// A hold that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: CommandId,
    /// Its place among the cells of the load.
    pub(crate) cell: u32,
    pub(crate) quantity: u32,
    pub(crate) told: Told,
    /// A step that was sent and not answered.
    pub(crate) pending: Option<Status>,
}

/// What was said of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: it may have been done or not.
    Nothing,
    /// No.
    Refused,
    /// It was held at this place of the log, and has this status.
    Is(Lsn, Status),
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was answered is not there, or not as it was answered.
    Lost,
    /// What was refused is there.
    Doubled,
}

impl Entry {
    /// Compares it with what the daemon shows of it.
    pub(crate) fn compare(&self, cell: Cell, view: Option<&ReservationView>) -> Option<Fault> {
        match (self.told, view) {
            (Told::Nothing | Told::Refused, None) => None,
            (Told::Refused, Some(_)) => Some(Fault::Doubled),
            // What has ended may be forgotten once its room is needed.
            (Told::Is(_, status), None)
                if status.is_final() || self.pending.is_some_and(Status::is_final) =>
            {
                None
            }
            (Told::Is(..), None) => Some(Fault::Lost),
            // Nothing was promised: it may be there, but whole.
            (Told::Nothing, Some(view)) => {
                (!self.is_whole(cell, view, &[Some(Status::Held)])).then_some(Fault::Lost)
            }
            (Told::Is(lsn, status), Some(view)) => {
                let is_kept = view.lsn == lsn && self.is_whole(cell, view, &[Some(status), self.pending]);
                (!is_kept).then_some(Fault::Lost)
            }
        }
    }

    /// Whether the view is of this hold alone, all of it in one of these states.
    fn is_whole(&self, cell: Cell, view: &ReservationView, may_be: &[Option<Status>]) -> bool {
        let quantity = |status| if view.status == status { self.quantity } else { 0 };
        may_be.contains(&Some(view.status))
            && view.rows.len() == 1
            && view.rows.iter().all(|row| {
                (row.sku, row.node, row.segment) == (cell.sku, cell.node, cell.segment)
                    && row.held == quantity(Status::Held)
                    && row.confirmed == quantity(Status::Confirmed)
            })
    }

    /// Units of its cell that it may have taken: the least and the most.
    pub(crate) fn takes(&self) -> (u64, u64) {
        let units = u64::from(self.quantity);
        match (self.told, self.pending) {
            (Told::Is(_, Status::Held | Status::Confirmed), None | Some(Status::Confirmed)) => (units, units),
            (Told::Is(_, Status::Held), Some(_)) | (Told::Nothing, _) => (0, units),
            _ => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::{HoldClass, LineId, NodeIx, Segment, SkuIx, TimestampMs};
    use earmark_protocol::reply::RowView;

    use super::*;

    const CELL: Cell = Cell { sku: SkuIx(3), node: NodeIx(4), segment: Segment(0) };

    fn entry(told: Told, pending: Option<Status>) -> Entry {
        Entry { id: CommandId([1; 16]), cell: 0, quantity: 2, told, pending }
    }

    fn view(status: Status, held: u32, confirmed: u32) -> ReservationView {
        let (sku, node, segment) = (CELL.sku, CELL.node, CELL.segment);
        let row = RowView { line: LineId(0), sku, node, segment, held, confirmed, ..RowView::default() };
        ReservationView {
            id: CommandId([1; 16]),
            lsn: Lsn(9),
            status,
            class: HoldClass(0),
            deadline: TimestampMs(0),
            rows: vec![row],
            order: None,
            plans: Vec::new(),
            in_review: false,
        }
    }

    #[test]
    fn what_was_told_must_be_there_as_it_was_told() {
        let held = Told::Is(Lsn(9), Status::Held);
        let (there, confirmed) = (view(Status::Held, 2, 0), view(Status::Confirmed, 0, 2));
        let elsewhere = Told::Is(Lsn(8), Status::Held);
        for (told, pending, view, fault) in [
            (held, None, Some(&there), None),
            (held, None, None, Some(Fault::Lost)),
            (held, None, Some(&confirmed), Some(Fault::Lost)),
            (held, Some(Status::Confirmed), Some(&confirmed), None),
            (held, None, Some(&view(Status::Held, 1, 0)), Some(Fault::Lost)),
            (elsewhere, None, Some(&there), Some(Fault::Lost)),
            (Told::Is(Lsn(9), Status::Released), None, None, None),
            (held, Some(Status::Released), None, None),
            (Told::Refused, None, None, None),
            (Told::Refused, None, Some(&there), Some(Fault::Doubled)),
            (Told::Nothing, None, None, None),
            (Told::Nothing, None, Some(&there), None),
            (Told::Nothing, None, Some(&confirmed), Some(Fault::Lost)),
        ] {
            assert_eq!(entry(told, pending).compare(CELL, view), fault, "{told:?} {pending:?} {view:?}");
        }
    }

    #[test]
    fn only_what_was_not_answered_leaves_the_units_of_a_cell_open() {
        let is = |status| Told::Is(Lsn(9), status);
        for (told, pending, units) in [
            (is(Status::Held), None, (2, 2)),
            (is(Status::Confirmed), None, (2, 2)),
            (is(Status::Held), Some(Status::Confirmed), (2, 2)),
            (is(Status::Held), Some(Status::Released), (0, 2)),
            (is(Status::Released), None, (0, 0)),
            (Told::Refused, None, (0, 0)),
            (Told::Nothing, None, (0, 2)),
        ] {
            assert_eq!(entry(told, pending).takes(), units, "{told:?} {pending:?}");
        }
    }
}
