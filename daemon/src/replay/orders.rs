//! Orders and decisions of files, by the handles of the state they are routed on.

use std::collections::HashMap;

use earmark_engine::Reader;
use earmark_engine::routing::Take;
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::ids::{LineId, Tenant, TimestampMs};

use crate::data::DataFile;
use crate::data::decisions::{Decision, Decisions};
use crate::data::orders::{Destination, OrderData, sellers};
use crate::data::table::Located;
use crate::data::trouble::BadRows;

/// An order to be routed.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its code.
    pub code: String,
    /// When it was placed, where that is said.
    pub at: Option<TimestampMs>,
    /// The order.
    pub order: Order,
}

/// What another system decided of each order, in the order of the orders; nothing for those it says nothing of.
pub type Told = Vec<Vec<Take>>;

/// Looks up the codes of orders in a state's catalogue, and notes those that it does not know.
#[must_use]
pub fn place(reader: &Reader, tenant: Tenant, file: DataFile<OrderData>, bad: &mut BadRows) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(file.rows.len());
    for Located { line: at_line, value } in file.rows {
        let mut lines = Vec::with_capacity(value.lines.len());
        for line in &value.lines {
            match reader.resolve_sku(tenant, &line.sku) {
                Some(sku) => lines.push(OrderLine { line: line.line, sku, quantity: line.quantity }),
                None => bad.push(&file.name, line.at_line, "sku", format!("there is no sku {:?}", line.sku)),
            }
        }
        let substitutable = value.substitutable();
        let delivery = match value.destination {
            Destination::Ship { position, postal, home } => Delivery::Ship { position, postal, home },
            Destination::Pickup(ref code) | Destination::ToStore(ref code) => {
                let is_shipped = matches!(value.destination, Destination::ToStore(_));
                let Some(node) = reader.resolve_node(tenant, code) else {
                    let column = if is_shipped { "to_store" } else { "pickup" };
                    bad.push(&file.name, at_line, column, format!("there is no node {code:?}"));
                    continue;
                };
                if is_shipped { Delivery::ToStore { node } } else { Delivery::Pickup { node } }
            }
        };
        let order = Order {
            channel: value.channel,
            delivery,
            nodes: Vec::new(),
            shipments_max: value.shipments_max,
            lines,
            value: value.value,
            deliver_by_ms: value.deliver_by,
            substitutable,
            supply_by: value.supply_by,
            sellers: sellers(value.lines.iter().map(|line| (line.line, line.seller.as_str()))),
        };
        placed.push(Placed { code: value.code, at: value.at, order });
    }
    placed
}

/// Puts decisions to the orders they are of, and notes those that fit none.
#[must_use]
pub fn tell(
    reader: &Reader,
    tenant: Tenant,
    orders: &[Placed],
    mut decisions: Decisions,
    file: &str,
    bad: &mut BadRows,
) -> Told {
    let mut told = Told::with_capacity(orders.len());
    for placed in orders {
        let mut open: HashMap<LineId, u64> = HashMap::new();
        for line in &placed.order.lines {
            *open.entry(line.line).or_default() += u64::from(line.quantity);
        }
        let rows = decisions.remove(&placed.code).unwrap_or_default();
        let mut takes = Vec::with_capacity(rows.len());
        for Located { line: at, value: Decision { line, node, quantity } } in rows {
            let left = open.get(&line).copied();
            match (left, reader.resolve_node(tenant, &node)) {
                (None, _) => {
                    bad.push(file, at, "line", format!("order {:?} has no line {line}", placed.code));
                }
                (Some(left), _) if left < u64::from(quantity) => {
                    let reason = format!("order {:?} has {left} units of line {line} left", placed.code);
                    bad.push(file, at, "quantity", reason);
                }
                (_, None) => bad.push(file, at, "node", format!("there is no node {node:?}")),
                (Some(left), Some(node)) => {
                    open.insert(line, left - u64::from(quantity));
                    takes.push(Take { line, node, quantity });
                }
            }
        }
        told.push(takes);
    }
    let mut left: Vec<_> =
        decisions.into_iter().filter_map(|(code, rows)| Some((rows.first()?.line, code))).collect();
    left.sort_unstable();
    left.into_iter()
        .for_each(|(at, code)| bad.push(file, at, "order", format!("there is no order {code:?}")));
    told
}
