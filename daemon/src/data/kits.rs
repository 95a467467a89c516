//! The file `kits`: a row per component of a kit.

use std::collections::HashMap;

use earmark_protocol::ids::SkuIx;
use earmark_protocol::kit::{COMPONENTS_MAX, Component, KitSpec};

use super::field;
use super::table::{Column, Located, Row, optional, required};
use super::trouble::BadRows;

/// Its columns.
pub const COLUMNS: &[Column] = &[required("kit"), required("sku"), optional("quantity")];

/// A component of a kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitRow {
    kit: String,
    part: Part,
}

/// A component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Code of the sku.
    pub sku: String,
    /// Units in one kit.
    pub quantity: u32,
}

/// A kit.
#[derive(Clone, Debug)]
pub struct Kit {
    /// Its code.
    pub code: String,
    /// Its components, each with its line.
    pub parts: Vec<Located<Part>>,
}

impl Kit {
    /// By handles; `None` where one of its codes has none.
    pub fn spec(&self, handle: impl Fn(&str) -> Option<SkuIx>) -> Option<KitSpec> {
        let part = |part: &Located<Part>| {
            Some(Component { sku: handle(&part.value.sku)?, quantity: part.value.quantity })
        };
        Some(KitSpec {
            kit: handle(&self.code)?,
            components: self.parts.iter().map(part).collect::<Option<_>>()?,
        })
    }
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<KitRow> {
    let kit = row.required("kit", field::code);
    let sku = row.required("sku", field::code);
    let quantity = row.optional("quantity", field::quantity).unwrap_or(1);
    Some(KitRow { kit: kit?, part: Part { sku: sku?, quantity } })
}

/// Puts the rows of each kit together, in the order of their first rows.
pub fn group(file: &str, rows: Vec<Located<KitRow>>, bad: &mut BadRows) -> Vec<Located<Kit>> {
    let (mut kits, mut places) = (Vec::<Located<Kit>>::new(), HashMap::<String, usize>::new());
    for Located { line, value: KitRow { kit, part } } in rows {
        let place = *places.entry(kit.clone()).or_insert_with(|| {
            kits.push(Located { line, value: Kit { code: kit, parts: Vec::new() } });
            kits.len() - 1
        });
        let parts = &mut kits[place].value.parts;
        if let Some(before) = parts.iter().find(|before| before.value.sku == part.sku) {
            let reason = format!("{:?} of that kit stands in line {} already", part.sku, before.line);
            bad.push(file, line, "sku", reason);
        }
        if parts.len() == COMPONENTS_MAX {
            bad.push(file, line, "sku", format!("a kit has at most {COMPONENTS_MAX} components"));
        }
        parts.push(Located { line, value: part });
    }
    kits
}
