//! The file `skus`: a row per sku.

use earmark_protocol::catalogue::SkuSpec;

use super::field;
use super::table::{Column, Row, optional, required};

/// Its columns.
pub const COLUMNS: &[Column] =
    &[required("code"), optional("weight_g"), optional("flags"), optional("group")];

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<SkuSpec> {
    let code = row.required("code", field::code);
    let weight_g = row.optional("weight_g", field::number).unwrap_or_default();
    let flags = row.optional("flags", field::flags).unwrap_or_default();
    let group = row.optional("group", field::code).unwrap_or_default();
    Some(SkuSpec { code: code?, weight_g, flags, group })
}
