//! The file `substitutes`: a row per substitute of a sku, the preferred ones first.

use std::collections::HashMap;

use earmark_protocol::ids::SkuIx;
use earmark_protocol::substitute::{SUBSTITUTES_MAX, SubstituteSpec};

use super::field;
use super::table::{Column, Located, Row, required};
use super::trouble::BadRows;

/// Its columns.
pub const COLUMNS: &[Column] = &[required("sku"), required("substitute")];

/// A substitute of a sku.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubstituteRow {
    sku: String,
    substitute: String,
}

/// What may stand for a sku.
#[derive(Clone, Debug)]
pub struct Substitutes {
    /// The sku's code.
    pub code: String,
    /// Codes of its substitutes, each with its line.
    pub by: Vec<Located<String>>,
}

impl Substitutes {
    /// By handles; `None` where one of its codes has none.
    pub fn spec(&self, handle: impl Fn(&str) -> Option<SkuIx>) -> Option<SubstituteSpec> {
        let substitutes = self.by.iter().map(|by| handle(&by.value)).collect::<Option<_>>()?;
        Some(SubstituteSpec { sku: handle(&self.code)?, substitutes })
    }
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<SubstituteRow> {
    let sku = row.required("sku", field::code);
    let substitute = row.required("substitute", field::code);
    Some(SubstituteRow { sku: sku?, substitute: substitute? })
}

/// Puts the rows of each sku together, in the order of their first rows.
pub fn group(file: &str, rows: Vec<Located<SubstituteRow>>, bad: &mut BadRows) -> Vec<Located<Substitutes>> {
    let (mut all, mut places) = (Vec::<Located<Substitutes>>::new(), HashMap::<String, usize>::new());
    for Located { line, value: SubstituteRow { sku, substitute } } in rows {
        let place = *places.entry(sku.clone()).or_insert_with(|| {
            all.push(Located { line, value: Substitutes { code: sku, by: Vec::new() } });
            all.len() - 1
        });
        let Substitutes { code, by } = &mut all[place].value;
        if *code == substitute {
            bad.push(file, line, "substitute", format!("{code:?} is the sku itself; name another one"));
        }
        if let Some(before) = by.iter().find(|before| before.value == substitute) {
            let reason = format!("{substitute:?} of that sku stands in line {} already", before.line);
            bad.push(file, line, "substitute", reason);
        }
        if by.len() == SUBSTITUTES_MAX {
            bad.push(file, line, "substitute", format!("a sku has at most {SUBSTITUTES_MAX} substitutes"));
        }
        by.push(Located { line, value: substitute });
    }
    all
}
