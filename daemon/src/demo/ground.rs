//! What the demo stands on: a daemon with the scenario's catalogue and stock in it, a client, and the handles the
//! daemon gave to the scenario's nodes and skus.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_protocol::client::Client;
use earmark_protocol::command::{Delivery, Order, OrderLine, StockCount};
use earmark_protocol::ids::{Channel, LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::reply::Plan;

use super::ledger::Row;
use super::scenario::Scenario;
use crate::clock::Clock;
use crate::data::load::{LoadError, put_nodes, put_skus, resolve, set_stock};

/// A client of a daemon that holds the scenario.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The client.
    pub client: Client,
    /// What the daemon was given.
    pub scenario: Arc<Scenario>,
    /// Handles of the scenario's skus.
    pub skus: Arc<Vec<SkuIx>>,
    /// Handles of the scenario's nodes.
    pub nodes: Arc<Vec<NodeIx>>,
    /// To measure with.
    pub clock: Arc<Clock>,
    places: Arc<HashMap<NodeIx, u32>>,
}

impl Ground {
    /// Sends the scenario's catalogue and stock.
    pub async fn lay(client: Client, scenario: Arc<Scenario>, clock: Arc<Clock>) -> Result<Self, LoadError> {
        put_nodes(&client, &scenario.nodes).await?;
        put_skus(&client, &scenario.skus, |_| {}).await?;
        let sku_codes: Vec<_> = scenario.skus.iter().map(|sku| sku.code.as_str()).collect();
        let node_codes: Vec<_> = scenario.nodes.iter().map(|node| node.code.as_str()).collect();
        let (skus, nodes) = resolve(&client, &sku_codes, &node_codes).await?;
        let unknown = || LoadError::Unexpected { what: "codes" };
        let skus: Vec<SkuIx> = skus.into_iter().collect::<Option<_>>().ok_or_else(unknown)?;
        let nodes: Vec<NodeIx> = nodes.into_iter().collect::<Option<_>>().ok_or_else(unknown)?;
        let places = nodes.iter().copied().zip(0..).collect();
        let ground = Self {
            client,
            scenario,
            skus: Arc::new(skus),
            nodes: Arc::new(nodes),
            clock,
            places: Arc::new(places),
        };
        set_stock(&ground.client, &ground.counts(), |_| {}).await?;
        Ok(ground)
    }

    fn counts(&self) -> Vec<StockCount> {
        let stock = &self.scenario.stock;
        let runs = self.skus.iter().zip(0..).flat_map(|(&sku, place)| {
            stock.cells.of(place).map(move |cell| StockCount {
                sku,
                node: self.nodes[stock.cells.node(cell) as usize],
                segment: Segment(0),
                on_hand: stock.units[cell],
                safety: None,
            })
        });
        runs.collect()
    }

    /// A node's place in the scenario.
    #[must_use]
    pub fn place(&self, node: NodeIx) -> Option<u32> {
        self.places.get(&node).copied()
    }

    /// An order of the scenario, in the daemon's handles.
    #[must_use]
    pub fn order(&self, order: u32) -> Order {
        let order = &self.scenario.orders[order as usize];
        let lines = order.lines.iter().zip(0..).map(|(line, place)| OrderLine {
            line: LineId(place),
            sku: self.skus[line.sku as usize],
            quantity: line.units,
        });
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position: order.position, postal: order.postal.clone(), home: false },
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: lines.collect(),
        }
    }

    /// The rows of a plan for an order, and the units in it that lie in no cell of the scenario.
    #[must_use]
    pub fn rows(&self, order: u32, plan: &Plan) -> (Vec<Row>, u64) {
        let lines = &self.scenario.orders[order as usize].lines;
        let (mut rows, mut phantom) = (Vec::new(), 0);
        for shipment in &plan.shipments {
            for part in &shipment.lines {
                let ordered = lines.get(part.line.0 as usize);
                let ordered = ordered.filter(|line| self.skus[line.sku as usize] == part.sku);
                let cell = ordered
                    .zip(self.place(shipment.node))
                    .and_then(|(line, node)| self.scenario.stock.cells.find(line.sku, node));
                match cell {
                    Some(cell) if part.segment == Segment(0) => {
                        rows.push(Row { line: part.line.0, cell: cell as u32, units: part.quantity });
                    }
                    _ => phantom += u64::from(part.quantity),
                }
            }
        }
        (rows, phantom)
    }
}
