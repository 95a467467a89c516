//! Kits: skus that are sold under a code of their own and stocked as other skus.

use serde::{Deserialize, Serialize};

use crate::ids::SkuIx;

/// Most components of a kit.
pub const COMPONENTS_MAX: usize = 32;

/// What a kit is put together of, as it is put and as it is shown. Putting a known one says what it is from now on; what was
/// reserved before stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitSpec {
    /// The kit, which is a sku of the catalogue that was never stocked itself.
    pub kit: SkuIx,
    /// Its components, at most [`COMPONENTS_MAX`], each of them once and none a kit; empty where it is no kit any more.
    pub components: Vec<Component>,
}

/// A part of a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Component {
    /// Sku.
    pub sku: SkuIx,
    /// Units of it in one kit, 1 to [`crate::ids::QUANTITY_MAX`].
    pub quantity: u32,
}
