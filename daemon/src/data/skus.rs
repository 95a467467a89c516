//! The file `skus`: a row per sku.

use earmark_protocol::catalogue::SkuSpec;

use super::field;
use super::table::{Column, Row, optional, required};

/// Its columns.
pub const COLUMNS: &[Column] = &[
    required("code"),
    optional("weight_g"),
    optional("flags"),
    optional("group"),
    optional("length_mm"),
    optional("width_mm"),
    optional("height_mm"),
];

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<SkuSpec> {
    let code = row.required("code", field::code);
    let weight_g = row.optional("weight_g", field::number).unwrap_or_default();
    let flags = row.optional("flags", field::flags).unwrap_or_default();
    let group = row.optional("group", field::code).unwrap_or_default();
    let size_mm = ["length_mm", "width_mm", "height_mm"].map(|side| row.optional(side, field::number));
    if size_mm.iter().any(Option::is_some) && size_mm.iter().any(Option::is_none) {
        row.wrong("length_mm", "length, width and height go together; give all of them or none");
    }
    let size_mm = size_mm.map(Option::unwrap_or_default);
    Some(SkuSpec { code: code?, weight_g, flags, group, size_mm })
}
