//! Orders: what they say, which nodes may serve them, and why none can.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::{DayLoad, NodeState, capabilities};
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{LineId, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::catalogue::{Node, text_is_bad};
use super::stock::too_large_at;
use super::{Model, Noes};

/// The longest postal code, in bytes.
const POSTAL_MAX: usize = 16;

/// What is to be planned.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) tenant: Tenant,
    /// Channel, delivery, nodes and most shipments; its lines are not looked at.
    pub(crate) order: &'a Order,
    pub(crate) lines: Vec<Wished>,
    pub(crate) without: Option<NodeIx>,
    pub(crate) best_effort: bool,
}

/// A line to be planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wished {
    pub(crate) line: LineId,
    pub(crate) sku: SkuIx,
    pub(crate) quantity: u32,
}

impl Wish<'_> {
    pub(super) fn is_pickup(&self) -> bool {
        matches!(self.order.delivery, Delivery::Pickup { .. })
    }

    /// Whether the order says which nodes may serve it.
    fn names_nodes(&self) -> bool {
        self.is_pickup() || !self.order.nodes.is_empty()
    }

    /// Skus in the order of their first line, with their summed demand.
    pub(super) fn demands(&self) -> Vec<(SkuIx, i64)> {
        let mut demands = Vec::<(SkuIx, i64)>::new();
        for line in &self.lines {
            match demands.iter_mut().find(|(sku, _)| *sku == line.sku) {
                Some((_, sum)) => *sum += i64::from(line.quantity),
                None => demands.push((line.sku, i64::from(line.quantity))),
            }
        }
        demands
    }

    pub(super) fn first_line_of(&self, sku: SkuIx) -> usize {
        self.lines.iter().position(|line| line.sku == sku).expect("demand comes from a line")
    }
}

impl Model {
    /// Judges what an order says, before any plan is thought of.
    pub(super) fn judge_order(&self, noes: &mut Noes, tenant: Tenant, order: &Order) {
        const VALUE_MAX: i64 = 1_000_000_000_000_000;
        if order.value.is_some_and(|value| !(0..=VALUE_MAX).contains(&value.0)) {
            noes.push(Refusal::of(RefusalCode::QuantityTooLarge, Field::Value).detail(VALUE_MAX));
        }
        noes.list(Field::Line, order.lines.len(), false, self.rules.lines_max);
        noes.list(Field::Nodes, order.nodes.len(), true, self.rules.lines_max);
        if usize::from(order.channel.0) >= self.rules.channels.len() {
            noes.no(RefusalCode::UnknownChannel, Field::Channel);
        }
        for (index, &node) in order.nodes.iter().enumerate() {
            if self.catalogue.node(tenant, node).is_none() {
                noes.at(RefusalCode::UnknownNode, Field::Nodes, index);
            }
        }
        match &order.delivery {
            Delivery::Ship { position, postal, .. } => {
                if !position.is_valid() {
                    noes.no(RefusalCode::PositionInvalid, Field::Delivery);
                }
                if text_is_bad(postal, true, POSTAL_MAX) {
                    noes.push(
                        Refusal::of(RefusalCode::TextTooLong, Field::Delivery).detail(POSTAL_MAX as i64),
                    );
                }
            }
            Delivery::Pickup { node } | Delivery::ToStore { node } => {
                if self.catalogue.node(tenant, *node).is_none() {
                    noes.no(RefusalCode::UnknownNode, Field::Delivery);
                }
            }
        }
        let (mut ids, mut parts) = (BTreeSet::new(), 0);
        let mut sums = BTreeMap::<SkuIx, u64>::new();
        for (index, line) in order.lines.iter().enumerate() {
            if self.catalogue.sku(tenant, line.sku).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            }
            if line.quantity == 0 {
                noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
            }
            let itself = vec![Component { sku: line.sku, quantity: 1 }];
            let own = self.catalogue.sku(tenant, line.sku);
            let components = own.and_then(|_| self.catalogue.kits.get(&line.sku)).unwrap_or(&itself);
            parts += components.len();
            for component in components {
                let sum = sums.entry(component.sku).or_default();
                *sum += u64::from(line.quantity) * u64::from(component.quantity);
                if *sum > u64::from(QUANTITY_MAX) {
                    noes.push(too_large_at(index));
                }
            }
            if !ids.insert(line.line) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
        }
        if order.lines.len() <= self.rules.lines_max {
            noes.list(Field::Component, parts, true, self.rules.lines_max);
        }
        self.judge_substitutable(noes, order);
        self.judge_sellers(noes, tenant, order);
    }

    /// Whose lines are whose: known sellers, lines of the order, each of one, and all of a sku of the same.
    fn judge_sellers(&self, noes: &mut Noes, tenant: Tenant, order: &Order) {
        noes.list(Field::Seller, order.sellers.len(), true, self.rules.lines_max);
        let mut bound = BTreeSet::new();
        for (index, own) in order.sellers.iter().enumerate() {
            let is_own = |node: &Node| node.tenant == tenant && node.spec.seller == own.seller;
            if own.seller.is_empty() || !self.catalogue.nodes.iter().any(is_own) {
                noes.at(RefusalCode::UnknownSeller, Field::Seller, index);
            }
            for line in &own.lines {
                if order.lines.iter().all(|known| known.line != *line) {
                    noes.at(RefusalCode::UnknownLine, Field::Seller, index);
                } else if !bound.insert(*line) {
                    noes.at(RefusalCode::LineTwice, Field::Seller, index);
                }
            }
        }
        let mut of_sku = BTreeMap::new();
        for (index, line) in order.lines.iter().enumerate() {
            let mut sellers = order.sellers.iter().rev().filter(|own| own.lines.contains(&line.line));
            let seller = sellers.next().map(|own| own.seller.clone());
            let skus = match self.catalogue.kits.get(&line.sku) {
                Some(components) => components.iter().map(|component| component.sku).collect(),
                None => vec![line.sku],
            };
            for sku in skus {
                if *of_sku.entry(sku).or_insert(seller.clone()) != seller && !order.sellers.is_empty() {
                    noes.at(RefusalCode::SellersDiffer, Field::Line, index);
                }
            }
        }
    }

    /// Whether a node may serve a sku for whose lines it is.
    fn is_sold_by(&self, wish: &Wish<'_>, sku: SkuIx, node: &Node) -> bool {
        let lines = || wish.lines.iter().filter(|line| line.sku == sku);
        let mut sellers =
            wish.order.sellers.iter().filter(|own| lines().any(|line| own.lines.contains(&line.line)));
        sellers.all(|own| own.seller == node.spec.seller)
    }

    /// Why nothing can be planned now; `None` where a plan exists.
    pub(super) fn refusal_of(&self, wish: &Wish<'_>) -> Option<Refusal> {
        self.refusal_of_lines(wish).map(|refusal| self.of_order(wish, refusal))
    }

    fn refusal_of_lines(&self, wish: &Wish<'_>) -> Option<Refusal> {
        let mut noes = Noes::default();
        self.judge_named_nodes(&mut noes, wish);
        if wish.best_effort && noes.first().is_some() {
            return noes.first();
        }
        let mut served = 0;
        for (sku, demand) in wish.demands() {
            let index = wish.first_line_of(sku);
            let there = self.served(wish, sku, demand);
            served += there;
            if self.is_retired(wish, sku) {
                noes.at(RefusalCode::SkuRetired, Field::Sku, index);
            } else if there < demand {
                let refusal = Refusal::of(self.reason(wish, sku), Field::Line).at(index);
                noes.push(refusal.detail(there));
            }
        }
        if wish.best_effort && served > 0 {
            return None;
        }
        if noes.first().is_none() && self.least_cost(wish, &wish.demands()).is_none() {
            let limit = self.shipments_max(wish);
            noes.push(Refusal::of(RefusalCode::TooManyShipments, Field::Shipments).detail(limit as i64));
        }
        noes.first()
    }

    /// Judges the nodes that an order names, all together.
    pub(super) fn judge_named_nodes(&self, noes: &mut Noes, wish: &Wish<'_>) {
        let node = |ix: NodeIx| &self.catalogue.nodes[ix.0 as usize];
        let nodes = &wish.order.nodes;
        if let Delivery::Pickup { node: at } | Delivery::ToStore { node: at } = wish.order.delivery {
            if node(at).state != NodeState::Active {
                noes.no(RefusalCode::NodeNotActive, Field::Delivery);
            }
            if node(at).spec.capabilities & capabilities::PICKUP == 0 {
                noes.no(RefusalCode::NodeIncapable, Field::Delivery);
            }
        }
        if let Delivery::Pickup { node: at } = wish.order.delivery {
            if !nodes.is_empty() && !nodes.contains(&at) {
                noes.no(RefusalCode::NoNode, Field::Delivery);
            }
        } else if !nodes.is_empty() {
            let active = || nodes.iter().map(|ix| node(*ix)).filter(|node| node.state == NodeState::Active);
            if active().next().is_none() {
                noes.at(RefusalCode::NodeNotActive, Field::Nodes, 0);
            } else if active().all(|node| node.spec.capabilities & capabilities::SHIP == 0) {
                noes.at(RefusalCode::NodeIncapable, Field::Nodes, 0);
            }
        }
    }

    pub(super) fn is_retired(&self, wish: &Wish<'_>, sku: SkuIx) -> bool {
        self.catalogue.sku(wish.tenant, sku).is_some_and(|sku| sku.retired)
    }

    /// How many units of a sku can be served, were there no limit of shipments.
    pub(super) fn served(&self, wish: &Wish<'_>, sku: SkuIx, demand: i64) -> i64 {
        if self.is_retired(wish, sku) {
            return 0;
        }
        let depths: Vec<i64> =
            self.nodes_for(wish, sku).into_iter().map(|node| self.depth(wish, sku, node)).collect();
        let most =
            if self.rules.split_lines { depths.iter().sum() } else { depths.into_iter().max().unwrap_or(0) };
        demand.min(most)
    }

    /// Why not all of a sku can be served.
    pub(super) fn reason(&self, wish: &Wish<'_>, sku: SkuIx) -> RefusalCode {
        if self.is_retired(wish, sku) {
            RefusalCode::SkuRetired
        } else if !self.nodes_for(wish, sku).is_empty() {
            RefusalCode::OutOfStock
        } else if self.nodes_by_any_way(wish, sku).next().is_some() {
            RefusalCode::NoService
        } else if wish.names_nodes()
            && self.nodes().any(|(ix, node)| self.may_serve(wish, ix, node) && self.is_reached(wish, ix))
        {
            RefusalCode::NodeIncapable
        } else {
            RefusalCode::NoNode
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        (0..).map(NodeIx).zip(&self.catalogue.nodes)
    }

    /// Whether a node may serve the order, whatever is in it.
    fn may_serve(&self, wish: &Wish<'_>, ix: NodeIx, node: &Node) -> bool {
        let way = if wish.is_pickup() { capabilities::PICKUP } else { capabilities::SHIP };
        let is_place = match wish.order.delivery {
            Delivery::Pickup { node } => node == ix,
            Delivery::Ship { .. } => true,
            // Nobody sends anything to a place that takes nothing, or hands nothing over.
            Delivery::ToStore { node: to } => {
                let to = &self.catalogue.nodes[to.0 as usize];
                to.state == NodeState::Active && to.spec.capabilities & capabilities::PICKUP != 0
            }
        };
        let is_named = wish.order.nodes.is_empty() || wish.order.nodes.contains(&ix);
        let has_day = || {
            node.spec.day_limit == DayLoad::default() || self.ships_with_room(wish, ix, self.now).is_some()
        };
        node.tenant == wish.tenant
            && node.state == NodeState::Active
            && node.spec.capabilities & way != 0
            && is_place
            && is_named
            && wish.without != Some(ix)
            && has_day()
    }

    /// The nodes that may serve this sku, by handle, whatever they have of it.
    pub(super) fn nodes_for(&self, wish: &Wish<'_>, sku: SkuIx) -> Vec<NodeIx> {
        self.nodes_by_any_way(wish, sku).filter(|ix| self.is_reached(wish, *ix)).collect()
    }

    /// The same, whether a carrier goes from there or not.
    fn nodes_by_any_way(&self, wish: &Wish<'_>, sku: SkuIx) -> impl Iterator<Item = NodeIx> {
        let flags = self.catalogue.skus[sku.0 as usize].spec.flags;
        self.nodes()
            .filter(move |(ix, node)| {
                let is_capable = node.spec.capabilities & flags == flags;
                self.may_serve(wish, *ix, node) && is_capable && self.is_sold_by(wish, sku, node)
            })
            .map(|(ix, _)| ix)
    }

    /// What a node has of a sku for the order's channel.
    pub(super) fn depth(&self, wish: &Wish<'_>, sku: SkuIx, node: NodeIx) -> i64 {
        let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
        segments.iter().map(|&segment| self.stock.available(&(sku, node, Segment(segment))).max(0)).sum()
    }

    pub(super) fn has_single_node(&self, wish: &Wish<'_>, sku: SkuIx, demand: i64) -> bool {
        self.nodes_for(wish, sku).iter().any(|&node| self.depth(wish, sku, node) >= demand)
    }

    pub(super) fn shipments_max(&self, wish: &Wish<'_>) -> usize {
        let own = wish.order.shipments_max;
        let limit = if own > 0 { own } else { self.rules.shipments_max };
        if limit > 0 { usize::from(limit) } else { usize::MAX }
    }
}
