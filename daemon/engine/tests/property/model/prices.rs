//! What plans cost, and the least they can cost: by trying every set of nodes.

use std::collections::BTreeSet;

use earmark_protocol::command::Delivery;
use earmark_protocol::ids::{NodeIx, SkuIx};
use earmark_protocol::reply::Shipment;

use super::{Model, Wish};

impl Model {
    pub(super) fn price(&self, wish: &Wish<'_>, shipment: &Shipment) -> i64 {
        self.parcel_cost(wish, shipment.node, &Self::parts(shipment))
    }

    /// What it costs to send these units from a node.
    pub(super) fn parcel_cost(&self, wish: &Wish<'_>, node: NodeIx, parts: &[(SkuIx, i64)]) -> i64 {
        let carriage = self.carriage(wish, node, parts);
        self.opening_cost(wish, node)
            + parts.len() as i64 * self.catalogue.nodes[node.0 as usize].spec.cost_per_line.0
            + parts.iter().map(|part| part.1).sum::<i64>() * self.unit_cost(wish, node)
            + carriage.map_or(0, |carriage| carriage.freight.0 + carriage.surcharges.0)
    }

    fn opening_cost(&self, wish: &Wish<'_>, node: NodeIx) -> i64 {
        let own = wish.is_pickup() || self.is_carried(wish);
        let tariff = if own { 0 } else { self.rules.shipment_base.0 };
        tariff + self.catalogue.nodes[node.0 as usize].spec.cost_per_order.0
    }

    fn unit_cost(&self, wish: &Wish<'_>, node: NodeIx) -> i64 {
        let miles = i64::from(self.miles(wish, node));
        let own = wish.is_pickup() || self.is_carried(wish);
        let tariff = if own { 0 } else { self.rules.per_unit.0 + self.rules.per_unit_mile.0 * miles };
        tariff + self.catalogue.nodes[node.0 as usize].spec.cost_per_unit.0
    }

    pub(super) fn miles(&self, wish: &Wish<'_>, node: NodeIx) -> u32 {
        match &wish.order.delivery {
            Delivery::Pickup { .. } => 0,
            Delivery::Ship { position, .. } => {
                self.catalogue.nodes[node.0 as usize].spec.position.miles_to(position.zone().centre())
            }
            Delivery::ToStore { node: to } => {
                let to = self.catalogue.nodes[to.0 as usize].spec.position;
                self.catalogue.nodes[node.0 as usize].spec.position.miles_to(to.zone().centre())
            }
        }
    }

    /// The least that these quantities can cost, what a carrier takes aside; `None` where they cannot be had within the allowed
    /// shipments.
    pub(super) fn least_cost(&self, wish: &Wish<'_>, demands: &[(SkuIx, i64)]) -> Option<i64> {
        let demands: Vec<(SkuIx, i64)> = demands.iter().copied().filter(|(_, demand)| *demand > 0).collect();
        let nodes: BTreeSet<NodeIx> =
            demands.iter().flat_map(|(sku, _)| self.nodes_for(wish, *sku)).collect();
        let nodes: Vec<NodeIx> = nodes.into_iter().collect();
        assert!(nodes.len() <= 12, "every set of {} nodes is too many to try", nodes.len());
        let sets = subsets(&nodes).into_iter().filter(|set| set.len() <= self.shipments_max(wish));
        sets.filter_map(|set| {
            let opening: i64 = set.iter().map(|&node| self.opening_cost(wish, node)).sum();
            let skus: Option<i64> =
                demands.iter().map(|&(sku, demand)| self.least_cost_of(wish, sku, demand, &set)).sum();
            skus.map(|skus| opening + skus)
        })
        .min()
    }

    /// The least one sku can cost from these open nodes.
    fn least_cost_of(&self, wish: &Wish<'_>, sku: SkuIx, demand: i64, open: &[NodeIx]) -> Option<i64> {
        let allowed = self.nodes_for(wish, sku);
        let mut open: Vec<NodeIx> = open.iter().copied().filter(|node| allowed.contains(node)).collect();
        let line = |node: NodeIx| self.catalogue.nodes[node.0 as usize].spec.cost_per_line.0;
        if !self.rules.split_lines || self.has_single_node(wish, sku, demand) {
            let whole = open.iter().filter(|&&node| self.depth(wish, sku, node) >= demand);
            return whole.map(|&node| line(node) + demand * self.unit_cost(wish, node)).min();
        }
        open.sort_by_key(|&node| self.unit_cost(wish, node));
        subsets(&open)
            .into_iter()
            .filter_map(|set| {
                let (mut left, mut cost) = (demand, 0);
                for &node in &set {
                    let units = left.min(self.depth(wish, sku, node));
                    cost += line(node) + units * self.unit_cost(wish, node);
                    left -= units;
                }
                (left == 0).then_some(cost)
            })
            .min()
    }
}

/// Every set of these nodes, each in the order they are given in.
fn subsets(nodes: &[NodeIx]) -> Vec<Vec<NodeIx>> {
    let mut sets = vec![Vec::new()];
    for &node in nodes {
        for place in 0..sets.len() {
            let mut with: Vec<NodeIx> = sets[place].clone();
            with.push(node);
            sets.push(with);
        }
    }
    sets
}
