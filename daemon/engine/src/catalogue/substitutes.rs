//! What may stand for skus that cannot be had: published together with the nodes, since a plan is made by both.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::ids::SkuIx;
use earmark_protocol::substitute::SubstituteSpec;

/// The substitutes of all tenants' skus, by sku.
#[derive(Clone, Debug, Default)]
pub(crate) struct Substitutes(BTreeMap<SkuIx, Arc<[SkuIx]>>);

impl Substitutes {
    /// What may stand for a sku, the preferred ones first.
    pub(crate) fn of(&self, sku: SkuIx) -> &[SkuIx] {
        self.0.get(&sku).map_or(&[], |substitutes| substitutes)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// From a handle on.
    pub(crate) fn from(&self, from: SkuIx) -> impl Iterator<Item = SubstituteSpec> {
        let spec = |(sku, substitutes): (&SkuIx, &Arc<[SkuIx]>)| SubstituteSpec {
            sku: *sku,
            substitutes: substitutes.to_vec(),
        };
        self.0.range(from..).map(spec)
    }

    /// Says what may stand for a sku from now on.
    pub(crate) fn put(&mut self, sku: SkuIx, substitutes: &[SkuIx]) {
        if substitutes.is_empty() {
            self.0.remove(&sku);
        } else {
            self.0.insert(sku, substitutes.into());
        }
    }
}
