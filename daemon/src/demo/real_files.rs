//! The scenario of a demo on real files: orders, cancellations, nodes and places as CSV of their publishers'
//! layouts, plain or gzipped. Stock is drawn, since no public data set has any.

use std::collections::HashMap;
use std::path::PathBuf;

use earmark_protocol::catalogue::{DayLoad, NodeKind, NodeSpec, SkuSpec, capabilities, sku_flags};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::Money;
use fastrand::Rng;

use super::network::FC_GROUP;
use super::scenario::{Cancellation, DemoLine, DemoOrder, Scenario, demand};
use super::stock::{Stock, StockRule};
use crate::data::field;
use crate::data::table::{self, Column, Row, optional, required};
use crate::data::trouble::BadRows;

/// Columns of the file of orders: a row per line, the lines of an order one below the other.
pub const ORDERS: &[Column] = &[
    required("order_id"),
    required("ts"),
    optional("customer"),
    optional("country"),
    required("us_zip"),
    required("sku"),
    required("qty"),
    optional("unit_price"),
];
/// Columns of the file of cancellations; quantities are below 0.
pub const CANCELLATIONS: &[Column] =
    &[required("cancel_id"), required("ts"), required("customer"), required("sku"), required("qty")];
/// Columns of the file of nodes.
pub const NODES: &[Column] =
    &[required("id"), required("type"), required("lat"), required("lon"), optional("state")];
/// Columns of the file of places.
pub const PLACES: &[Column] = &[required("zip"), required("lat"), required("lon"), optional("state")];

/// Which files.
#[derive(Clone, Debug)]
pub struct RealFiles {
    /// Orders.
    pub orders: PathBuf,
    /// Nodes.
    pub nodes: PathBuf,
    /// Positions of postal codes.
    pub places: PathBuf,
    /// Cancellations.
    pub cancellations: Option<PathBuf>,
}

/// Reads the files and draws the stock. All that is wrong goes into `bad`; the scenario is whole only where that
/// stays empty.
#[must_use]
pub fn scenario(files: &RealFiles, rule: StockRule, slack: f64, seed: u64, bad: &mut BadRows) -> Scenario {
    let nodes: Vec<_> = values(table::read(&files.nodes, NODES, bad, node));
    let places: HashMap<_, _> = values(table::read(&files.places, PLACES, bad, place)).into_iter().collect();
    let mut skus = Skus::default();
    let rows = values(table::read(&files.orders, ORDERS, bad, |row| order_line(row, &places, &mut skus)));
    let orders = orders(rows);
    let mut cancellations = Vec::new();
    if let Some(path) = &files.cancellations {
        let rows = table::read(path, CANCELLATIONS, bad, |row| cancellation(row, &skus));
        cancellations = values(rows);
        cancellations.sort_by_key(|cancellation: &Cancellation| cancellation.at_s);
    }
    let skus: Vec<_> = skus.codes.into_iter().map(|code| SkuSpec { code, ..SkuSpec::default() }).collect();
    let mut rng = Rng::with_seed(seed);
    let stock = Stock::draw(rule, slack, &nodes, &skus, &demand(skus.len(), &orders), &mut rng);
    let source = files.orders.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Scenario { source, nodes, skus, orders, cancellations, stock }
}

fn values<T>(rows: Vec<table::Located<T>>) -> Vec<T> {
    rows.into_iter().map(|row| row.value).collect()
}

fn node(row: &mut Row<'_>) -> Option<NodeSpec> {
    let code = row.required("id", field::code);
    let kind = row.required("type", |text| match text {
        "fc" => Ok((NodeKind::Dc, FC_GROUP)),
        "dc" => Ok((NodeKind::Dc, "dc")),
        "supercenter" => Ok((NodeKind::Store, "supercenter")),
        "store" => Ok((NodeKind::Store, "store")),
        _ => Err(format!("{text:?} is no type of node; types are fc, dc, supercenter, store")),
    });
    let position = position(row)?;
    let (kind, group) = kind?;
    Some(NodeSpec {
        code: code?,
        kind,
        position,
        time_zone: time_zone(position).to_owned(),
        group: group.to_owned(),
        priority: 0,
        capabilities: capabilities::SHIP | sku_flags::ALL,
        cost_per_order: Money(0),
        cost_per_line: Money(0),
        cost_per_unit: Money(0),
        calendar: String::new(),
        postal: String::new(),
        day_limit: DayLoad::default(),
        seller: String::new(),
    })
}

fn place(row: &mut Row<'_>) -> Option<(String, Position)> {
    let zip = row.required("zip", field::code);
    let position = position(row);
    Some((zip?, position?))
}

fn position(row: &mut Row<'_>) -> Option<Position> {
    let lat = row.required("lat", field::degrees);
    let lon = row.required("lon", field::degrees);
    field::position(lat?, lon?).map_err(|reason| row.wrong("lat", reason)).ok()
}

/// A time zone by longitude. The file has none and nothing in the demo depends on it.
fn time_zone(position: Position) -> &'static str {
    match (position.lat_udeg / 1_000_000, position.lon_udeg / 1_000_000) {
        (..=25, ..=-150) => "Pacific/Honolulu",
        (_, ..=-130) => "America/Anchorage",
        (_, ..=-115) => "America/Los_Angeles",
        (_, ..=-102) => "America/Denver",
        (_, ..=-87) => "America/Chicago",
        _ => "America/New_York",
    }
}

/// Places of skus by code, in the order in which orders first name them.
#[derive(Debug, Default)]
struct Skus {
    places: HashMap<String, u32>,
    codes: Vec<String>,
}

impl Skus {
    fn place(&mut self, code: String) -> u32 {
        let next = self.codes.len() as u32;
        *self.places.entry(code).or_insert_with_key(|code| {
            self.codes.push(code.clone());
            next
        })
    }
}

struct OrderLineRow {
    order: String,
    at_s: i64,
    customer: u32,
    position: Position,
    postal: String,
    line: DemoLine,
    /// Of all its units, where the file says it.
    value: Option<Money>,
}

fn order_line(
    row: &mut Row<'_>,
    places: &HashMap<String, Position>,
    skus: &mut Skus,
) -> Option<OrderLineRow> {
    let order = row.required("order_id", field::code);
    let at_s = row.required("ts", field::number);
    let customer = row.optional("customer", field::number).unwrap_or_default();
    let to = row.required("us_zip", |zip| match places.get(zip) {
        Some(&position) => Ok((position, zip.to_owned())),
        None => Err(format!("{zip:?} stands in no row of the places")),
    });
    let sku = row.required("sku", field::code);
    let units = row.required("qty", field::quantity);
    let price = row.optional("unit_price", field::money);
    let (position, postal) = to?;
    let line = DemoLine { sku: skus.place(sku?), units: units? };
    let value = price.and_then(|Money(price)| price.checked_mul(line.units.into())).map(Money);
    Some(OrderLineRow { order: order?, at_s: at_s?, customer, position, postal, line, value })
}

/// Puts lines of one order together and sorts orders by time.
fn orders(rows: Vec<OrderLineRow>) -> Vec<DemoOrder> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut orders: Vec<DemoOrder> = Vec::new();
    for row in rows {
        let OrderLineRow { order, at_s, customer, position, postal, line, value } = row;
        let place = *places.entry(order).or_insert_with_key(|code| {
            let (code, value, lines) = (code.clone(), Some(Money(0)), Vec::new());
            orders.push(DemoOrder { code, at_s, customer, position, postal, value, lines });
            orders.len() - 1
        });
        let order = &mut orders[place];
        order.lines.push(line);
        // A line without a price leaves the whole without a value.
        order.value = order.value.zip(value).and_then(|(a, b)| a.0.checked_add(b.0)).map(Money);
    }
    orders.sort_by_key(|order| order.at_s);
    orders
}

fn cancellation(row: &mut Row<'_>, skus: &Skus) -> Option<Cancellation> {
    let at_s = row.required("ts", field::number);
    let customer = row.required("customer", field::number);
    let sku = row.required("sku", field::code);
    let units = row.required("qty", |text| match field::number::<i64>(text)? {
        quantity @ ..0 => u32::try_from(-quantity).map_err(|_| format!("{text:?} is out of range")),
        _ => Err(format!("{text:?} is not below 0")),
    });
    let (at_s, customer, units) = (at_s?, customer?, units?);
    let sku = skus.places.get(sku?.as_str()).copied();
    Some(Cancellation { at_s, customer, sku, units })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::trouble::BAD_ROWS_MAX;

    const NODE_ROWS: &str = "id,type,lat,lon,state\nF1,fc,40,-90,IL\nD1,dc,41,-91,IA\nS1,store,42,-92,IA\n";
    const PLACE_ROWS: &str = "zip,lat,lon,state\n60601,41.88,-87.63,IL\n";

    fn read(orders: &str, cancellations: &str) -> (Scenario, BadRows) {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let files = RealFiles {
            orders: file("orders.csv", orders),
            nodes: file("nodes.csv", NODE_ROWS),
            places: file("places.csv", PLACE_ROWS),
            cancellations: Some(file("cancellations.csv", cancellations)),
        };
        let mut bad = BadRows::new(BAD_ROWS_MAX);
        (scenario(&files, StockRule::Deep, 1.1, 1, &mut bad), bad)
    }

    #[test]
    fn orders_are_put_together_and_sorted_by_time() {
        let (scenario, bad) = read(
            "order_id,ts,customer,country,us_zip,sku,qty,unit_price\n\
             2,200,7,UK,60601,A,3,1.5\n1,100,8,UK,60601,B,1,1\n2,200,7,UK,60601,B,20,2\n",
            "cancel_id,ts,customer,sku,qty\nC1,300,7,B,-5\nC2,310,7,never-sold,-1\n",
        );
        assert!(bad.is_empty(), "{bad}");
        let lines: Vec<_> = scenario.orders.iter().map(|order| (order.customer, order.lines.len())).collect();
        assert_eq!(lines, [(8, 1), (7, 2)]);
        let values: Vec<_> = scenario.orders.iter().map(|order| (&*order.code, order.value)).collect();
        assert_eq!(values, [("1", Some(Money(1_000_000))), ("2", Some(Money(44_500_000)))]);
        assert_eq!(scenario.skus.iter().map(|sku| sku.code.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let cancelled = |at_s, sku, units| Cancellation { at_s, customer: 7, sku, units };
        assert_eq!(scenario.cancellations, [cancelled(300, Some(1), 5), cancelled(310, None, 1)]);
        assert_eq!(scenario.stock.of_sku(1), 23, "1.1 times 21 units");
    }

    #[test]
    fn bad_rows_are_told_with_their_place() {
        let (_, bad) = read(
            "order_id,ts,us_zip,sku,qty\n1,100,99999,A,3\n2,noon,60601,B,0\n",
            "cancel_id,ts,customer,sku,qty\nC1,300,7,B,5\n",
        );
        let places: Vec<_> =
            bad.rows().iter().map(|row| format!("{}:{} {}", row.file, row.line, row.column)).collect();
        assert_eq!(
            places,
            ["orders.csv:2 us_zip", "orders.csv:3 ts", "orders.csv:3 qty", "cancellations.csv:2 qty"]
        );
    }
}
