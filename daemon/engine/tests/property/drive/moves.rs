//! Moves of confirmed orders: to where there is some of what they have, or to each other's places.

use earmark_protocol::command::{Move, MoveOrder, Placed};
use earmark_protocol::ids::{CommandId, Money, NodeIx};
use earmark_protocol::reply::RowView;

use super::commands::Author;

impl Author<'_> {
    pub(super) fn move_orders(&mut self) -> Move {
        let saves = Money([0, 0, -5, 1_000, 900_000][self.dice.below(5)]);
        let confirmed = |row: &RowView| row.confirmed;
        let first = self.reservation(confirmed);
        let mut orders = vec![self.elsewhere(first)];
        if self.dice.one_in(2) {
            let second = self.reservation(confirmed);
            orders.push(self.elsewhere(second));
            self.change_places(&mut orders);
        }
        if self.dice.one_in(60) {
            orders.clear();
        }
        Move { orders, saves }
    }

    /// All of an order, mostly to where there is enough of it.
    fn elsewhere(&mut self, reservation: CommandId) -> MoveOrder {
        let rows: Vec<RowView> = self.rows(reservation).into_iter().filter(|row| row.confirmed > 0).collect();
        let together = self.dice.one_in(2).then(|| self.node());
        let mut to = Vec::new();
        for row in rows {
            let has = |node: &NodeIx| {
                let cells = self.model.stock.cells.keys().filter(|key| (key.0, key.1) == (row.sku, *node));
                cells.map(|key| self.model.stock.available(key).max(0)).sum::<i64>() >= row.confirmed.into()
            };
            let nodes: Vec<NodeIx> =
                self.model.stock.cells.keys().filter(|key| key.0 == row.sku).map(|key| key.1).collect();
            let enough: Vec<NodeIx> = nodes.into_iter().filter(has).collect();
            let node = match (together, self.dice.below(8)) {
                (Some(node), 0..6) => node,
                (_, 6) => row.node,
                (_, 7) => self.node(),
                _ if enough.is_empty() => row.node,
                _ => *self.dice.pick(&enough),
            };
            let mut quantity = row.confirmed;
            if self.dice.one_in(40) {
                quantity = self.quantity();
            }
            to.push(Placed { line: row.line, sku: row.sku, node, quantity });
        }
        MoveOrder { reservation, to }
    }

    /// Gives each of two orders the other's place of a sku that both have.
    fn change_places(&mut self, orders: &mut [MoveOrder]) {
        let places = |author: &Self, of: &MoveOrder| -> Vec<RowView> {
            author.rows(of.reservation).into_iter().filter(|row| row.confirmed > 0).collect()
        };
        let [first, second] = orders else { return };
        let (of_first, of_second) = (places(self, first), places(self, second));
        for (one, rows) in [(first, of_second), (second, of_first)] {
            for placed in &mut one.to {
                if let Some(row) = rows.iter().find(|row| row.sku == placed.sku) {
                    placed.node = row.node;
                }
            }
        }
    }
}
