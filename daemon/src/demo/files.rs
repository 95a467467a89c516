//! The scenario of a demo as data files: what anybody can check, import and replay.

use std::sync::Arc;

use earmark_protocol::ids::{Channel, LineId, Segment, TimestampMs};

use super::scenario::{DemoOrder, Scenario};
use crate::data::orders::{Destination, OrderData, OrderDataLine};
use crate::data::stock::Count;

impl Scenario {
    /// Its stock.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let of = |code: &String| Arc::from(code.as_str());
        let nodes: Vec<Arc<str>> = self.nodes.iter().map(|node| of(&node.code)).collect();
        let skus: Vec<Arc<str>> = self.skus.iter().map(|sku| of(&sku.code)).collect();
        let cells = &self.stock.cells;
        let count = |(sku, cell): (usize, usize)| Count {
            sku: Arc::clone(&skus[sku]),
            node: Arc::clone(&nodes[cells.node(cell) as usize]),
            segment: Segment(0),
            on_hand: self.stock.units[cell],
            safety: None,
        };
        let all = (0..cells.skus()).flat_map(|sku| cells.of(sku as u32).map(move |cell| (sku, cell)));
        all.map(count).collect()
    }

    /// Its orders.
    #[must_use]
    pub fn order_data(&self) -> Vec<OrderData> {
        self.orders.iter().enumerate().map(|(place, order)| self.order(place, order)).collect()
    }

    fn order(&self, place: usize, order: &DemoOrder) -> OrderData {
        let line = |(at, line): (usize, &super::scenario::DemoLine)| OrderDataLine {
            at_line: 0,
            line: LineId(at as u32),
            sku: self.skus[line.sku as usize].code.clone(),
            quantity: line.units,
            seller: String::new(),
            substitutable: false,
        };
        OrderData {
            code: if order.code.is_empty() { (place + 1).to_string() } else { order.code.clone() },
            at_line: 0,
            channel: Channel(0),
            deliver_by: None,
            supply_by: None,
            destination: Destination::Ship {
                position: order.position,
                postal: order.postal.clone(),
                home: false,
            },
            shipments_max: 0,
            value: order.value,
            at: u64::try_from(order.at_s).ok().map(|at_s| TimestampMs(at_s * 1_000)),
            lines: order.lines.iter().enumerate().map(line).collect(),
        }
    }
}
