//! The client's own account of the stock, made from the replies alone: what was held, confirmed and given back, in
//! the order of the Lsn each reply names. It never asks the daemon what it counts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use earmark_protocol::digest;
use earmark_protocol::ids::{Lsn, Money, NodeIx, Segment, SkuIx, TimestampMs};
use earmark_protocol::reply::CellView;

use super::stock::Stock;

/// Units of one cell that a reservation has for one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line's place in its order.
    pub line: u32,
    /// The cell.
    pub cell: u32,
    /// Units.
    pub units: u32,
}

/// What a reply said.
#[derive(Clone, Debug)]
pub enum Event {
    /// Units are held.
    Reserved {
        /// The order's place in the scenario.
        order: u32,
        /// When it was decided: the deadline less the lifetime.
        at: TimestampMs,
        /// Until when.
        deadline: TimestampMs,
        /// Which.
        rows: Vec<Row>,
        /// What the plan costs.
        cost: Money,
        /// How many shipments it has.
        shipments: u32,
    },
    /// All that was held of the order is confirmed.
    Confirmed {
        /// The order.
        order: u32,
    },
    /// Units are given back.
    GaveBack {
        /// The order.
        order: u32,
        /// Which.
        rows: Vec<Row>,
    },
}

/// What happened to the stock, in order.
#[derive(Clone, Copy, Debug)]
pub enum Movement<'a> {
    /// Units of an order are held.
    Held {
        /// The order.
        order: u32,
        /// Which units.
        rows: &'a [Row],
        /// What the plan costs.
        cost: Money,
        /// How many shipments it has.
        shipments: u32,
    },
    /// Units of an order are free again: given back, or expired.
    Freed {
        /// The order.
        order: u32,
        /// Which units.
        rows: &'a [Row],
    },
}

/// All replies of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<(Lsn, Event)>,
    expired: HashSet<u32>,
    /// Units the daemon promised from cells that were never stocked.
    pub phantom_units: u64,
}

/// What the ledger says in the end.
#[derive(Debug)]
pub struct Balance {
    /// Units held now, per cell.
    pub held: Vec<u32>,
    /// Units allocated now, per cell.
    pub allocated: Vec<u32>,
    /// The most units a cell was ever promised beyond its stock, summed over cells.
    pub oversold_units: u64,
    /// Cells that were ever promised beyond their stock.
    pub oversold_cells: u64,
    /// Holds that expired.
    pub expired: u64,
    /// Units of each cell that came free again: given back by the client, or expired.
    pub freed: Vec<u64>,
    /// Units that were given back by the client; expired ones are not among them.
    pub given_back: u64,
}

/// What an order has now.
#[derive(Clone, Debug, Default)]
struct Open {
    rows: Vec<Row>,
    confirmed: bool,
}

impl Ledger {
    /// Notes a reply.
    pub fn note(&mut self, lsn: Lsn, event: Event) {
        self.entries.push((lsn, event));
    }

    /// Notes that what was held of this order has expired.
    pub fn note_expired(&mut self, order: u32) {
        self.expired.insert(order);
    }

    /// Puts the replies into the order of their Lsn.
    pub fn sort(&mut self) {
        self.entries.sort_by_key(|(lsn, _)| *lsn);
    }

    /// Walks all movements in order. A hold that expired is free again from its deadline on: what is held at that
    /// millisecond or later may have its units.
    pub fn walk(&self, orders: usize, stock: &Stock, mut each: impl FnMut(Movement<'_>)) -> Balance {
        let cells = stock.cells.len();
        let mut balance = Balance {
            held: vec![0; cells],
            allocated: vec![0; cells],
            oversold_units: 0,
            oversold_cells: 0,
            expired: 0,
            freed: vec![0; cells],
            given_back: 0,
        };
        let mut over = vec![0_u64; cells];
        let mut open = vec![Open::default(); orders];
        let mut deadlines = BinaryHeap::new();
        for (_, event) in &self.entries {
            match event {
                Event::Reserved { order, at, deadline, rows, cost, shipments } => {
                    self.expire(&mut deadlines, Some(*at), &mut open, &mut balance, &mut each);
                    for row in rows {
                        let cell = row.cell as usize;
                        balance.held[cell] += row.units;
                        let promised = u64::from(balance.held[cell]) + u64::from(balance.allocated[cell]);
                        over[cell] = over[cell].max(promised.saturating_sub(u64::from(stock.units[cell])));
                    }
                    open[*order as usize].rows.clone_from(rows);
                    if self.expired.contains(order) {
                        deadlines.push(Reverse((*deadline, *order)));
                    }
                    each(Movement::Held { order: *order, rows, cost: *cost, shipments: *shipments });
                }
                Event::Confirmed { order } => {
                    let open = &mut open[*order as usize];
                    open.confirmed = true;
                    for row in &open.rows {
                        balance.held[row.cell as usize] -= row.units;
                        balance.allocated[row.cell as usize] += row.units;
                    }
                }
                Event::GaveBack { order, rows } => {
                    let open = &mut open[*order as usize];
                    let from = if open.confirmed { &mut balance.allocated } else { &mut balance.held };
                    for row in rows {
                        from[row.cell as usize] -= row.units;
                        balance.freed[row.cell as usize] += u64::from(row.units);
                        balance.given_back += u64::from(row.units);
                        for had in &mut open.rows {
                            if (had.line, had.cell) == (row.line, row.cell) {
                                had.units -= row.units;
                            }
                        }
                    }
                    each(Movement::Freed { order: *order, rows });
                }
            }
        }
        self.expire(&mut deadlines, None, &mut open, &mut balance, &mut each);
        balance.oversold_cells = over.iter().filter(|units| **units > 0).count() as u64;
        balance.oversold_units = over.iter().sum::<u64>() + self.phantom_units;
        balance
    }

    fn expire(
        &self,
        deadlines: &mut BinaryHeap<Reverse<(TimestampMs, u32)>>,
        until: Option<TimestampMs>,
        open: &mut [Open],
        balance: &mut Balance,
        each: &mut impl FnMut(Movement<'_>),
    ) {
        while let Some(&Reverse((deadline, order))) = deadlines.peek() {
            if until.is_some_and(|until| deadline > until) {
                return;
            }
            deadlines.pop();
            let rows = std::mem::take(&mut open[order as usize].rows);
            for row in &rows {
                balance.held[row.cell as usize] -= row.units;
                balance.freed[row.cell as usize] += u64::from(row.units);
            }
            balance.expired += 1;
            each(Movement::Freed { order, rows: &rows });
        }
    }
}

impl Balance {
    /// Units of a cell that can be promised now.
    #[must_use]
    pub fn available(&self, stock: &Stock, cell: usize) -> i64 {
        i64::from(stock.units[cell]) - i64::from(self.held[cell]) - i64::from(self.allocated[cell])
    }

    /// The digest of quantities that the daemon must come to, by the daemon's own handles.
    #[must_use]
    pub fn digest(&self, stock: &Stock, skus: &[SkuIx], nodes: &[NodeIx]) -> u64 {
        let cells = &stock.cells;
        let runs =
            skus.iter().zip(0..).flat_map(|(&sku, place)| cells.of(place).map(move |cell| (sku, cell)));
        runs.fold(0, |sum: u64, (sku, cell)| {
            let view = CellView {
                node: nodes[cells.node(cell) as usize],
                segment: Segment(0),
                on_hand: i32::try_from(stock.units[cell]).unwrap_or(i32::MAX),
                held: self.held[cell],
                allocated: self.allocated[cell],
                safety: 0,
                unsellable: 0,
            };
            sum.wrapping_add(digest::cell(sku, &view))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock() -> Stock {
        Stock::of([vec![(0, 10), (1, 4)]])
    }

    fn reserved(order: u32, at: u64, deadline: u64, rows: &[(u32, u32)]) -> Event {
        let rows = rows.iter().map(|&(cell, units)| Row { line: 0, cell, units }).collect();
        let (at, deadline) = (TimestampMs(at), TimestampMs(deadline));
        Event::Reserved { order, at, deadline, rows, cost: Money(1), shipments: 1 }
    }

    fn walked(ledger: &mut Ledger) -> Balance {
        ledger.sort();
        ledger.walk(9, &stock(), |_| {})
    }

    #[test]
    fn replies_in_any_order_give_the_same_balance() {
        let row = |units| Row { line: 0, cell: 0, units };
        let entries = [
            (Lsn(1), reserved(0, 100, 900, &[(0, 6), (1, 4)])),
            (Lsn(2), Event::Confirmed { order: 0 }),
            (Lsn(3), Event::GaveBack { order: 0, rows: vec![row(2)] }),
            (Lsn(4), reserved(1, 120, 900, &[(0, 6)])),
            (Lsn(5), Event::GaveBack { order: 1, rows: vec![row(1)] }),
        ];
        for turn in 0..entries.len() {
            let mut ledger = Ledger::default();
            let mut turned = entries.to_vec();
            turned.rotate_left(turn);
            for (lsn, event) in turned {
                ledger.note(lsn, event);
            }
            let balance = walked(&mut ledger);
            assert_eq!((balance.held, balance.allocated), (vec![5, 0], vec![4, 4]));
            assert_eq!((balance.oversold_units, balance.oversold_cells, balance.given_back), (0, 0, 3));
        }
    }

    #[test]
    fn a_unit_promised_twice_is_seen_even_where_it_was_given_back_later() {
        let mut ledger = Ledger::default();
        ledger.note(Lsn(1), reserved(0, 100, 900, &[(1, 3)]));
        ledger.note(Lsn(2), reserved(1, 100, 900, &[(1, 3)]));
        ledger.note(Lsn(3), Event::GaveBack { order: 1, rows: vec![Row { line: 0, cell: 1, units: 3 }] });
        let balance = walked(&mut ledger);
        assert_eq!((balance.oversold_units, balance.oversold_cells), (2, 1));
    }

    #[test]
    fn an_expired_hold_counts_until_its_deadline_and_not_from_it_on() {
        for (next_at, oversold) in [(199, 3), (200, 0), (250, 0)] {
            let mut ledger = Ledger::default();
            ledger.note(Lsn(1), reserved(0, 100, 200, &[(1, 4)]));
            ledger.note(Lsn(2), reserved(1, next_at, 900, &[(1, 3)]));
            ledger.note_expired(0);
            let balance = walked(&mut ledger);
            assert_eq!((balance.oversold_units, balance.expired), (oversold, 1), "held again at {next_at}");
            assert_eq!((balance.held, balance.freed), (vec![0, 3], vec![0, 4]));
        }
    }

    #[test]
    fn the_digest_follows_every_quantity() {
        let (skus, nodes) = ([SkuIx(3)], [NodeIx(8), NodeIx(2)]);
        let mut ledger = Ledger::default();
        let empty = walked(&mut ledger).digest(&stock(), &skus, &nodes);
        ledger.note(Lsn(1), reserved(0, 100, 900, &[(0, 1)]));
        let held = walked(&mut ledger).digest(&stock(), &skus, &nodes);
        ledger.note(Lsn(2), Event::Confirmed { order: 0 });
        let confirmed = walked(&mut ledger).digest(&stock(), &skus, &nodes);
        assert!(empty != held && held != confirmed && empty != confirmed);
        let by_hand = |node, on_hand, allocated| {
            let segment = Segment(0);
            digest::cell(
                skus[0],
                &CellView { node, segment, on_hand, held: 0, allocated, safety: 0, unsellable: 0 },
            )
        };
        assert_eq!(confirmed, by_hand(nodes[0], 10, 1).wrapping_add(by_hand(nodes[1], 4, 0)));
    }
}
