//! The file `supplies`: a row per cell of a purchase order or transfer that is on its way.

use earmark_protocol::ids::Segment;

use super::field;
use super::table::{Column, Row, optional, required};

/// Its columns.
pub const COLUMNS: &[Column] = &[
    required("supply"),
    required("sku"),
    required("node"),
    optional("segment"),
    required("quantity"),
    required("day"),
];

/// What a supply brings to one cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SupplyRow {
    /// The supply's code.
    pub supply: String,
    /// Code of the sku.
    pub sku: String,
    /// Code of the node.
    pub node: String,
    /// Segment.
    pub segment: Segment,
    /// Units that are still to come.
    pub quantity: u32,
    /// When, in days since 1970.
    pub day: u32,
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<SupplyRow> {
    let supply = row.required("supply", field::code);
    let sku = row.required("sku", field::code);
    let node = row.required("node", field::code);
    let segment = row.optional("segment", field::segment).unwrap_or_default();
    let quantity = row.required("quantity", field::count);
    let day = row.required("day", field::day);
    Some(SupplyRow { supply: supply?, sku: sku?, node: node?, segment, quantity: quantity?, day: day? })
}
