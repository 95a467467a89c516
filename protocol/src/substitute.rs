//! Substitutes: skus that may be sent where another one cannot be had.

use serde::{Deserialize, Serialize};

use crate::ids::SkuIx;

/// Most substitutes of a sku.
pub const SUBSTITUTES_MAX: usize = 8;

/// What may stand for a sku, as it is put and as it is shown. Putting a known one says it anew; what was reserved before stays
/// as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubstituteSpec {
    /// The sku that is ordered.
    pub sku: SkuIx,
    /// What may be sent instead, unit for unit: at most [`SUBSTITUTES_MAX`] skus, the preferred ones first, each of them once and
    /// none a kit; empty where nothing may any more.
    pub substitutes: Vec<SkuIx>,
}
