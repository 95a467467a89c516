//! The one cost formula. Whoever prices a shipment does it here; what a unit of money is, `Money` says.
//!
//! A shipment costs `fixed + line × skus + unit × units`: to an address, `fixed` is the tariff's base plus the node's
//! cost per order and `unit` the tariff's per-unit amounts plus the node's cost per unit; picked up, only the node's
//! own costs remain. The form is that of Jasin and Sinha (2015), "An LP-based correlated rounding scheme for
//! multi-item ecommerce order fulfillment", as used by Ma (2023), with the node's own costs added.

use earmark_protocol::catalogue::NodeSpec;
use earmark_protocol::ids::Money;

use crate::rules::Tariff;

/// What a shipment from one node to one destination costs, in micros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Once per shipment.
    pub fixed: i64,
    /// Per distinct sku.
    pub line: i64,
    /// Per unit.
    pub unit: i64,
}

impl Rates {
    /// To an address this many miles away.
    #[must_use]
    pub fn ship(tariff: &Tariff, node: &NodeSpec, miles: u32) -> Self {
        Self {
            fixed: tariff.shipment_base.0.saturating_add(node.cost_per_order.0),
            line: node.cost_per_line.0,
            unit: unit_to_address(tariff, node.cost_per_unit.0, miles),
        }
    }

    /// Handed over at the node.
    #[must_use]
    pub fn pickup(node: &NodeSpec) -> Self {
        Self { fixed: node.cost_per_order.0, line: node.cost_per_line.0, unit: node.cost_per_unit.0 }
    }

    /// The cost of a shipment of this many units of this many distinct skus.
    #[must_use]
    pub fn shipment(&self, skus: usize, units: u64) -> Money {
        let lines = self.line.saturating_mul(i64::try_from(skus).unwrap_or(i64::MAX));
        let units = self.unit.saturating_mul(i64::try_from(units).unwrap_or(i64::MAX));
        Money(self.fixed.saturating_add(lines).saturating_add(units))
    }
}

/// What a unit costs from a node of this cost per unit, to an address this many miles away.
pub(crate) fn unit_to_address(tariff: &Tariff, node_unit: i64, miles: u32) -> i64 {
    let distance = tariff.per_unit_mile.0.saturating_mul(i64::from(miles));
    tariff.per_unit.0.saturating_add(node_unit).saturating_add(distance)
}
