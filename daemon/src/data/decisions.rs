//! A file of decisions: where another system had each line of its orders shipped from, a row per line and node.

use std::collections::HashMap;
use std::path::Path;

use earmark_protocol::ids::LineId;

use super::table::{Column, Located, Row, required};
use super::trouble::BadRows;
use super::{DataFile, field, file};

/// Its columns.
pub const COLUMNS: &[Column] = &[required("order"), required("line"), required("node"), required("quantity")];

/// Units of a line from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The line's number in its order.
    pub line: LineId,
    /// Code of the node.
    pub node: String,
    /// Units.
    pub quantity: u32,
}

/// Decisions by code of their order.
pub type Decisions = HashMap<String, Vec<Located<Decision>>>;

/// Reads a file of decisions.
#[must_use]
pub fn read(path: &Path, bad: &mut BadRows) -> Decisions {
    let DataFile { rows, .. } = file(path, COLUMNS, bad, parse);
    let mut decisions = Decisions::new();
    for Located { line, value: (order, decision) } in rows {
        decisions.entry(order).or_default().push(Located { line, value: decision });
    }
    decisions
}

fn parse(row: &mut Row<'_>) -> Option<(String, Decision)> {
    let order = row.required("order", field::code);
    let line = row.required("line", field::number).map(LineId);
    let node = row.required("node", field::code);
    let quantity = row.required("quantity", field::quantity);
    Some((order?, Decision { line: line?, node: node?, quantity: quantity? }))
}
