//! The file `orders`: a row per line of an order. What is said of the order as a whole stands in its first row;
//! later rows leave it empty or say the same.

use std::collections::HashMap;

use earmark_protocol::command::SellerLines;
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, Money, TimestampMs};

use super::field;
use super::table::{Column, Located, Row, optional, required};
use super::trouble::BadRows;

/// Its columns.
pub const COLUMNS: &[Column] = &[
    required("order"),
    optional("line"),
    required("sku"),
    required("quantity"),
    optional("seller"),
    optional("substitutable"),
    optional("lat"),
    optional("lon"),
    optional("postal"),
    optional("home"),
    optional("pickup"),
    optional("to_store"),
    optional("channel"),
    optional("shipments_max"),
    optional("value"),
    optional("at"),
    optional("deliver_by"),
    optional("supply_by"),
];

/// One row.
#[derive(Clone, Debug)]
pub struct OrderRow {
    order: String,
    line: Option<u32>,
    sku: String,
    quantity: u32,
    seller: String,
    substitutable: bool,
    whole: Whole,
}

/// What is said of an order as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Whole {
    position: Option<Position>,
    postal: Option<String>,
    home: Option<bool>,
    pickup: Option<String>,
    to_store: Option<String>,
    channel: Option<u16>,
    shipments_max: Option<u16>,
    value: Option<Money>,
    at: Option<TimestampMs>,
    deliver_by: Option<TimestampMs>,
    supply_by: Option<u32>,
}

/// An order by its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderData {
    /// The order's own code.
    pub code: String,
    /// Line of the file it starts in.
    pub at_line: u64,
    /// Sales channel.
    pub channel: Channel,
    /// Where it goes.
    pub destination: Destination,
    /// Most shipments; 0 for the policy's own limit.
    pub shipments_max: u16,
    /// What it is worth, where that is said.
    pub value: Option<Money>,
    /// When it was placed, where that is said.
    pub at: Option<TimestampMs>,
    /// By when it should be there, where that is said.
    pub deliver_by: Option<TimestampMs>,
    /// By when what is not in stock has to come, where it may wait.
    pub supply_by: Option<u32>,
    /// Its lines.
    pub lines: Vec<OrderDataLine>,
}

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To an address.
    Ship {
        /// Where it is.
        position: Position,
        /// Its postal code; may be empty.
        postal: String,
        /// Whether it is a home.
        home: bool,
    },
    /// To be picked up at the node of this code.
    Pickup(String),
    /// To be shipped to the node of this code, and picked up there.
    ToStore(String),
}

/// A line of an order by its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDataLine {
    /// Line of the file.
    pub at_line: u64,
    /// The line's number in the order.
    pub line: LineId,
    /// Code of the sku.
    pub sku: String,
    /// Units.
    pub quantity: u32,
    /// Code of the seller whose nodes may serve it; empty where any may.
    pub seller: String,
    /// Whether a substitute may be sent for it.
    pub substitutable: bool,
}

impl OrderData {
    /// The lines for which substitutes may be sent.
    #[must_use]
    pub fn substitutable(&self) -> Vec<LineId> {
        self.lines.iter().filter(|line| line.substitutable).map(|line| line.line).collect()
    }
}

/// Which lines are a seller's, by the code of each line's seller; those without are left out.
#[must_use]
pub fn sellers<'a>(lines: impl Iterator<Item = (LineId, &'a str)>) -> Vec<SellerLines> {
    let mut sellers: Vec<SellerLines> = Vec::new();
    for (line, seller) in lines.filter(|(_, seller)| !seller.is_empty()) {
        match sellers.iter_mut().find(|known| known.seller == seller) {
            Some(known) => known.lines.push(line),
            None => sellers.push(SellerLines { seller: seller.to_owned(), lines: vec![line] }),
        }
    }
    sellers
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<OrderRow> {
    let order = row.required("order", field::code);
    let line = row.optional("line", field::number);
    let sku = row.required("sku", field::code);
    let quantity = row.required("quantity", field::quantity);
    let seller = row.optional("seller", field::code).unwrap_or_default();
    let substitutable = row.optional("substitutable", field::yes_or_no).unwrap_or_default();
    let lat = row.optional("lat", field::degrees);
    let lon = row.optional("lon", field::degrees);
    let position = match (lat, lon) {
        (Some(lat), Some(lon)) => field::position(lat, lon).map_err(|reason| row.wrong("lat", reason)).ok(),
        (Some(_), None) => {
            row.wrong("lon", "there is a latitude without a longitude");
            None
        }
        (None, Some(_)) => {
            row.wrong("lat", "there is a longitude without a latitude");
            None
        }
        (None, None) => None,
    };
    let postal = row.optional("postal", field::postal);
    let home = row.optional("home", field::yes_or_no);
    let pickup = row.optional("pickup", field::code);
    let to_store = row.optional("to_store", field::code);
    let channel = row.optional("channel", field::number);
    let shipments_max = row.optional("shipments_max", field::number);
    let value = row.optional("value", field::value);
    let at = row.optional("at", field::moment);
    let deliver_by = row.optional("deliver_by", field::moment);
    let supply_by = row.optional("supply_by", field::day);
    let whole = Whole {
        position,
        postal,
        home,
        pickup,
        to_store,
        channel,
        shipments_max,
        value,
        at,
        deliver_by,
        supply_by,
    };
    Some(OrderRow { order: order?, line, sku: sku?, quantity: quantity?, seller, substitutable, whole })
}

/// Puts the rows of each order together, in the order in which orders first appear.
#[must_use]
pub fn group(file: &str, rows: Vec<Located<OrderRow>>, bad: &mut BadRows) -> Vec<OrderData> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut orders: Vec<(Whole, Vec<OrderDataLine>, String, u64)> = Vec::new();
    for Located { line: at_line, value } in rows {
        let OrderRow { order, line, sku, quantity, seller, substitutable, whole } = value;
        let place = *places.entry(order).or_insert_with_key(|order| {
            orders.push((whole.clone(), Vec::new(), order.clone(), at_line));
            orders.len() - 1
        });
        let (first, lines, ..) = &mut orders[place];
        for column in differences(first, &whole) {
            bad.push(
                file,
                at_line,
                column,
                "it differs from the order's first row; leave it empty or say the same",
            );
        }
        let line = LineId(line.unwrap_or(lines.len() as u32));
        lines.push(OrderDataLine { at_line, line, sku, quantity, seller, substitutable });
    }
    orders
        .into_iter()
        .filter_map(|(whole, lines, code, at_line)| one(file, code, at_line, whole, lines, bad))
        .collect()
}

fn one(
    file: &str,
    code: String,
    at_line: u64,
    whole: Whole,
    lines: Vec<OrderDataLine>,
    bad: &mut BadRows,
) -> Option<OrderData> {
    let mut seen: HashMap<LineId, u64> = HashMap::new();
    for line in &lines {
        if let Some(before) = seen.insert(line.line, line.at_line) {
            let reason = format!("line {} of order {code:?} stands in line {before} already", line.line);
            bad.push(file, line.at_line, "line", reason);
        }
    }
    let destination = match (whole.pickup.clone(), whole.to_store.clone(), whole.position) {
        (Some(node), None, None) => Destination::Pickup(node),
        (None, Some(node), None) => Destination::ToStore(node),
        (None, None, Some(position)) => Destination::Ship {
            position,
            postal: whole.postal.clone().unwrap_or_default(),
            home: whole.home.unwrap_or_default(),
        },
        (None, None, None) => {
            let reason =
                "the order's first row has no position; give lat and lon, or a node as pickup or to_store";
            bad.push(file, at_line, "lat", reason);
            return None;
        }
        (Some(_), _, Some(_)) => {
            bad.push(file, at_line, "pickup", "the order has a position too; give one of them");
            return None;
        }
        (_, Some(_), _) => {
            bad.push(file, at_line, "to_store", "the order says another place too; give one of them");
            return None;
        }
    };
    let channel = Channel(whole.channel.unwrap_or_default());
    let shipments_max = whole.shipments_max.unwrap_or_default();
    let Whole { value, at, deliver_by, supply_by, .. } = whole;
    Some(OrderData {
        code,
        at_line,
        channel,
        destination,
        shipments_max,
        value,
        at,
        deliver_by,
        supply_by,
        lines,
    })
}

/// Columns that say something else than the first row did.
fn differences(first: &Whole, later: &Whole) -> Vec<&'static str> {
    fn differs<T: PartialEq>(first: &Option<T>, later: &Option<T>) -> bool {
        later.is_some() && first != later
    }
    [
        (differs(&first.position, &later.position), "lat"),
        (differs(&first.postal, &later.postal), "postal"),
        (differs(&first.home, &later.home), "home"),
        (differs(&first.pickup, &later.pickup), "pickup"),
        (differs(&first.to_store, &later.to_store), "to_store"),
        (differs(&first.channel, &later.channel), "channel"),
        (differs(&first.shipments_max, &later.shipments_max), "shipments_max"),
        (differs(&first.value, &later.value), "value"),
        (differs(&first.at, &later.at), "at"),
        (differs(&first.deliver_by, &later.deliver_by), "deliver_by"),
        (differs(&first.supply_by, &later.supply_by), "supply_by"),
    ]
    .into_iter()
    .filter_map(|(differs, column)| differs.then_some(column))
    .collect()
}
