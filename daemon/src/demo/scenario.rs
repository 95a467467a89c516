//! What a demo runs on: nodes, skus, orders in the order of their time, cancellations, and the stock. All of it is
//! fixed before the first order is sent; the same seed gives the same scenario, byte for byte.

use earmark_protocol::catalogue::{NodeSpec, SkuSpec};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::Money;

use super::stock::Stock;

/// A whole scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where it comes from, in a few words.
    pub source: String,
    /// Nodes; a [`Cells`](super::stock::Cells) names them by their place here.
    pub nodes: Vec<NodeSpec>,
    /// Skus; lines name them by their place here.
    pub skus: Vec<SkuSpec>,
    /// Orders by time.
    pub orders: Vec<DemoOrder>,
    /// Cancellations by time.
    pub cancellations: Vec<Cancellation>,
    /// Units in each cell at the start.
    pub stock: Stock,
}

/// An order of the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoOrder {
    /// Its code; empty where it was drawn.
    pub code: String,
    /// When it was placed, in seconds.
    pub at_s: i64,
    /// Who placed it; 0 where nobody is known.
    pub customer: u32,
    /// Where it goes.
    pub position: Position,
    /// The postal code there; may be empty.
    pub postal: String,
    /// What it is worth, where prices are known.
    pub value: Option<Money>,
    /// Its lines; a line's id is its place here.
    pub lines: Vec<DemoLine>,
}

/// A line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoLine {
    /// The sku's place in the scenario.
    pub sku: u32,
    /// Units.
    pub units: u32,
}

/// A customer gives units of a sku back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// When, in seconds.
    pub at_s: i64,
    /// Who.
    pub customer: u32,
    /// The sku's place in the scenario; `None` where no order ever names it.
    pub sku: Option<u32>,
    /// Units.
    pub units: u32,
}

/// Units wanted of each sku over all orders.
#[must_use]
pub fn demand(skus: usize, orders: &[DemoOrder]) -> Vec<u64> {
    let mut demand = vec![0; skus];
    for line in orders.iter().flat_map(|order| &order.lines) {
        demand[line.sku as usize] += u64::from(line.units);
    }
    demand
}
