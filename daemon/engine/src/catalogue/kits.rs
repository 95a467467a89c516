//! What kits are put together of: published together with the nodes, since a plan is made by both.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::ids::SkuIx;
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::reply::{AtpCell, AtpSku};

/// The kits of all tenants, by sku.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kits(BTreeMap<SkuIx, Arc<[Component]>>);

impl Kits {
    /// What a kit is put together of; `None` for a sku that is none.
    pub(crate) fn get(&self, kit: SkuIx) -> Option<&[Component]> {
        self.0.get(&kit).map(|components| &**components)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// From a handle on.
    pub(crate) fn from(&self, from: SkuIx) -> impl Iterator<Item = KitSpec> {
        self.0.range(from..).map(|(kit, components)| KitSpec { kit: *kit, components: components.to_vec() })
    }

    /// Says what a kit is from now on; without components it is none.
    pub(crate) fn put(&mut self, kit: SkuIx, components: &[Component]) {
        if components.is_empty() {
            self.0.remove(&kit);
        } else {
            self.0.insert(kit, components.into());
        }
    }
}

/// What can be promised of a kit, where these rows say it of its components in their order.
pub(crate) fn assembled(kit: SkuIx, components: &[Component], rows: &[AtpSku]) -> AtpSku {
    let least = |of: &dyn Fn(usize) -> u64| {
        let each = components.iter().enumerate();
        each.map(|(at, component)| of(at) / u64::from(component.quantity)).min().unwrap_or(0)
    };
    let available = least(&|at| rows[at].available);
    let inbound = least(&|at| rows[at].available + rows[at].inbound) - available;
    let mut cells = Vec::new();
    for AtpCell { node, segment, .. } in rows.iter().take(1).flat_map(|row| &row.cells) {
        // Rows list cells by node and segment, and leave out those that have nothing.
        let there = |at: usize| {
            let cells = &rows[at].cells;
            let found = cells.binary_search_by_key(&(*node, *segment), |cell| (cell.node, cell.segment));
            found.map_or((0, 0), |found| (cells[found].available.max(0).unsigned_abs(), cells[found].inbound))
        };
        let available = least(&|at| there(at).0);
        let inbound = least(&|at| there(at).0 + there(at).1) - available;
        if available > 0 || inbound > 0 {
            let available = available.cast_signed();
            cells.push(AtpCell { node: *node, segment: *segment, available, inbound });
        }
    }
    AtpSku { sku: kit, available, short: 0, inbound, cells }
}
