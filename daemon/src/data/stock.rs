//! The file `stock`: a row per cell, its count.

use std::collections::HashSet;
use std::sync::Arc;

use earmark_protocol::ids::Segment;

use super::field;
use super::table::{Column, Row, optional, required};

/// Its columns.
pub const COLUMNS: &[Column] =
    &[required("sku"), required("node"), optional("segment"), required("on_hand"), optional("safety")];

/// The count of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Code of the sku.
    pub sku: Arc<str>,
    /// Code of the node.
    pub node: Arc<str>,
    /// Segment.
    pub segment: Segment,
    /// Units in the building.
    pub on_hand: u32,
    /// Units never promised; `None` leaves what is.
    pub safety: Option<u32>,
}

/// Codes that stand in many rows, each kept once.
#[derive(Debug, Default)]
pub struct Codes(HashSet<Arc<str>>);

impl Codes {
    /// The one copy of this code.
    pub fn keep(&mut self, code: &str) -> Arc<str> {
        if let Some(kept) = self.0.get(code) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = code.into();
        self.0.insert(Arc::clone(&kept));
        kept
    }
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>, codes: &mut Codes) -> Option<Count> {
    let sku = row.required("sku", field::code);
    let node = row.required("node", field::code);
    let segment = row.optional("segment", field::segment).unwrap_or_default();
    let on_hand = row.required("on_hand", field::count);
    let safety = row.optional("safety", field::count);
    Some(Count { sku: codes.keep(&sku?), node: codes.keep(&node?), segment, on_hand: on_hand?, safety })
}
