//! Judges plans: whether one is legal, priced right and, where it claims so, the cheapest. It never makes one: where it
//! must know whether a plan exists, or the least it can cost, it tries every set of nodes.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::{NodeState, capabilities};
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{LineId, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, Shipment};

use super::catalogue::text_is_bad;
use super::stock::{CellKey, too_large_at};
use super::{Model, Noes, plan_of};

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
    /// Skus in the order of their first line, with their summed demand.
    fn demands(&self) -> Vec<(SkuIx, i64)> {
        let mut demands = Vec::<(SkuIx, i64)>::new();
        for line in &self.lines {
            match demands.iter_mut().find(|(sku, _)| *sku == line.sku) {
                Some((_, sum)) => *sum += i64::from(line.quantity),
                None => demands.push((line.sku, i64::from(line.quantity))),
            }
        }
        demands
    }

    fn first_line_of(&self, sku: SkuIx) -> usize {
        self.lines.iter().position(|line| line.sku == sku).expect("demand comes from a line")
    }
}

impl Model {
    /// Judges what an order says, before any plan is thought of.
    pub(super) fn judge_order(&self, noes: &mut Noes, tenant: Tenant, order: &Order) {
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
            Delivery::Ship { position, postal } => {
                if !position.is_valid() {
                    noes.no(RefusalCode::PositionInvalid, Field::Delivery);
                }
                if text_is_bad(postal, true, POSTAL_MAX) {
                    noes.push(
                        Refusal::of(RefusalCode::TextTooLong, Field::Delivery).detail(POSTAL_MAX as i64),
                    );
                }
            }
            Delivery::Pickup { node } => match self.catalogue.node(tenant, *node) {
                None => noes.no(RefusalCode::UnknownNode, Field::Delivery),
                Some(node) => {
                    if node.state != NodeState::Active {
                        noes.no(RefusalCode::NodeNotActive, Field::Delivery);
                    }
                    if node.spec.capabilities & capabilities::PICKUP == 0 {
                        noes.no(RefusalCode::NodeIncapable, Field::Delivery);
                    }
                }
            },
        }
        let mut ids = BTreeSet::new();
        let mut sums = BTreeMap::<SkuIx, u64>::new();
        for (index, line) in order.lines.iter().enumerate() {
            if self.catalogue.sku(tenant, line.sku).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            }
            self.judge_sellable(noes, tenant, line.sku, index);
            if line.quantity == 0 {
                noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
            }
            let sum = sums.entry(line.sku).or_default();
            *sum += u64::from(line.quantity);
            if *sum > u64::from(QUANTITY_MAX) {
                noes.push(too_large_at(index));
            }
            if !ids.insert(line.line) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
        }
    }

    /// The plan that was given, where it may be given; or why none can be.
    ///
    /// # Errors
    /// What is wrong with the plan, or that there is one where none was given.
    pub(super) fn plan_or_refusal(
        &self,
        wish: &Wish<'_>,
        seen: &Reply,
    ) -> Result<Result<Plan, Refusal>, String> {
        match (plan_of(seen), self.refusal_of(wish)) {
            (_, Some(refusal)) => Ok(Err(refusal)),
            (Some(plan), None) => self.judge_plan(wish, plan).map(|()| Ok(plan.clone())),
            (None, None) => Err(format!("there is a plan for {wish:?}, and none was given")),
        }
    }

    /// Why nothing can be planned; `None` where a plan exists.
    fn refusal_of(&self, wish: &Wish<'_>) -> Option<Refusal> {
        let mut noes = Noes::default();
        for (index, line) in wish.lines.iter().enumerate() {
            if self.nodes_for(wish, line.sku).is_empty() {
                noes.at(RefusalCode::NoNode, Field::Line, index);
            }
        }
        let (mut wanted, mut there) = (0, 0);
        for (sku, demand) in wish.demands() {
            let available: i64 =
                self.nodes_for(wish, sku).iter().map(|&node| self.depth(wish, sku, node)).sum();
            (wanted, there) = (wanted + demand, there + available.min(demand));
            if available < demand {
                let index = wish.first_line_of(sku);
                noes.push(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(index).detail(available));
            }
        }
        if wish.best_effort {
            return if there > 0 { None } else { noes.first() };
        }
        if noes.first().is_none() && self.least_cost(wish).is_none() {
            let limit = self.shipments_max(wish);
            noes.push(Refusal::of(RefusalCode::TooManyShipments, Field::Shipments).detail(limit as i64));
        }
        noes.first()
    }

    /// Whether a plan obeys order and stock, and says the right price.
    pub(crate) fn judge_plan(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let check = |fair: bool, what: &dyn Fn() -> String| if fair { Ok(()) } else { Err(what()) };
        check(plan.shipments.len() <= self.shipments_max(wish), &|| "too many shipments".into())?;
        check(plan.shipments.is_sorted_by(|a, b| a.node < b.node), &|| "shipments are not by node".into())?;
        check(plan.unfilled.is_empty() || wish.best_effort, &|| "a line is left out".into())?;
        let mut filled = BTreeMap::<LineId, i64>::new();
        let mut taken = BTreeMap::<CellKey, i64>::new();
        let mut nodes_of = BTreeMap::<SkuIx, BTreeSet<NodeIx>>::new();
        for shipment in &plan.shipments {
            check(!shipment.lines.is_empty(), &|| format!("node {} ships nothing", shipment.node))?;
            for part in &shipment.lines {
                let what = || format!("{part:?} of node {}", shipment.node);
                let line = wish.lines.iter().find(|line| line.line == part.line);
                check(line.is_some_and(|line| line.sku == part.sku), &|| {
                    format!("{}: no such line", what())
                })?;
                check(part.quantity > 0, &|| format!("{}: nothing", what()))?;
                check(self.nodes_for(wish, part.sku).contains(&shipment.node), &|| {
                    format!("{}: the node may not serve it", what())
                })?;
                *filled.entry(part.line).or_default() += i64::from(part.quantity);
                *taken.entry((part.sku, shipment.node, part.segment)).or_default() +=
                    i64::from(part.quantity);
                nodes_of.entry(part.sku).or_default().insert(shipment.node);
            }
        }
        self.judge_draws(wish, &taken)?;
        for line in &wish.lines {
            let left: i64 = plan
                .unfilled
                .iter()
                .filter(|part| part.line == line.line)
                .map(|part| i64::from(part.quantity))
                .sum();
            let got = filled.get(&line.line).copied().unwrap_or(0);
            check(got + left == i64::from(line.quantity), &|| {
                format!("line {}: wanted {}, got {got}, left {left}", line.line, line.quantity)
            })?;
        }
        for part in &plan.unfilled {
            let known = wish.lines.iter().any(|line| line.line == part.line);
            check(known && part.quantity > 0, &|| format!("{part:?} was not wanted"))?;
        }
        self.judge_spread(wish, &nodes_of)?;
        self.judge_fill(wish, &taken)?;
        self.judge_price(wish, plan)
    }

    /// No cell gives more than it has, and a node's segments are drawn in the channel's order.
    fn judge_draws(&self, wish: &Wish<'_>, taken: &BTreeMap<CellKey, i64>) -> Result<(), String> {
        let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
        for (&(sku, node, segment), &units) in taken {
            let there = self.stock.available(&(sku, node, segment)).max(0);
            if units > there {
                return Err(format!("sku {sku} at node {node}/{segment}: {units} planned, {there} there"));
            }
            let Some(place) = segments.iter().position(|drawn| *drawn == segment.0) else {
                return Err(format!("the channel does not draw from segment {segment}"));
            };
            for &earlier in &segments[..place] {
                let key = (sku, node, Segment(earlier));
                if taken.get(&key).copied().unwrap_or(0) < self.stock.available(&key) {
                    return Err(format!("segment {segment} is drawn before {earlier} is empty"));
                }
            }
        }
        Ok(())
    }

    /// A sku comes from several nodes only where no single allowed node has all that is wanted of it.
    fn judge_spread(
        &self,
        wish: &Wish<'_>,
        nodes_of: &BTreeMap<SkuIx, BTreeSet<NodeIx>>,
    ) -> Result<(), String> {
        for (sku, demand) in wish.demands() {
            let spread = nodes_of.get(&sku).is_some_and(|nodes| nodes.len() > 1);
            if spread && self.has_single_node(wish, sku, demand) {
                return Err(format!("sku {sku} is split, though one node has all {demand}"));
            }
        }
        Ok(())
    }

    /// Best effort takes all there is, unless the number of shipments stands in the way.
    fn judge_fill(&self, wish: &Wish<'_>, taken: &BTreeMap<CellKey, i64>) -> Result<(), String> {
        let demands = wish.demands();
        let nodes: BTreeSet<NodeIx> =
            demands.iter().flat_map(|(sku, _)| self.nodes_for(wish, *sku)).collect();
        if nodes.len() > self.shipments_max(wish) || !self.rules.split_lines {
            return Ok(());
        }
        for (sku, demand) in demands {
            let there: i64 = self.nodes_for(wish, sku).iter().map(|&node| self.depth(wish, sku, node)).sum();
            let got: i64 = taken.iter().filter(|((of, _, _), _)| *of == sku).map(|(_, units)| units).sum();
            if got != demand.min(there) {
                return Err(format!("sku {sku}: {got} of {demand} planned, {there} there"));
            }
        }
        Ok(())
    }

    fn judge_price(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let mut sum = 0;
        for shipment in &plan.shipments {
            let (miles, cost) = (self.miles(wish, shipment.node), self.price(wish, shipment));
            if (shipment.miles, shipment.cost.0) != (miles, cost) {
                return Err(format!("{shipment:?} should cost {cost} over {miles} miles"));
            }
            sum += cost;
        }
        if plan.cost.0 != sum || plan.bound > plan.cost {
            return Err(format!("the plan should cost {sum}, bound below: {plan:?}"));
        }
        if !plan.unfilled.is_empty() {
            return Ok(());
        }
        match self.least_cost(wish) {
            Some(least) if plan.bound.0 <= least => Ok(()),
            least => Err(format!("a bound of {} is claimed, the least is {least:?}", plan.bound)),
        }
    }

    fn price(&self, wish: &Wish<'_>, shipment: &Shipment) -> i64 {
        let skus: BTreeSet<SkuIx> = shipment.lines.iter().map(|part| part.sku).collect();
        let units: i64 = shipment.lines.iter().map(|part| i64::from(part.quantity)).sum();
        self.opening_cost(wish, shipment.node)
            + skus.len() as i64 * self.catalogue.nodes[shipment.node.0 as usize].spec.cost_per_line.0
            + units * self.unit_cost(wish, shipment.node)
    }

    fn opening_cost(&self, wish: &Wish<'_>, node: NodeIx) -> i64 {
        let tariff = if is_pickup(wish) { 0 } else { self.rules.shipment_base.0 };
        tariff + self.catalogue.nodes[node.0 as usize].spec.cost_per_order.0
    }

    fn unit_cost(&self, wish: &Wish<'_>, node: NodeIx) -> i64 {
        let miles = i64::from(self.miles(wish, node));
        let tariff =
            if is_pickup(wish) { 0 } else { self.rules.per_unit.0 + self.rules.per_unit_mile.0 * miles };
        tariff + self.catalogue.nodes[node.0 as usize].spec.cost_per_unit.0
    }

    fn miles(&self, wish: &Wish<'_>, node: NodeIx) -> u32 {
        match &wish.order.delivery {
            Delivery::Pickup { .. } => 0,
            Delivery::Ship { position, .. } => {
                self.catalogue.nodes[node.0 as usize].spec.position.miles_to(position.zone().centre())
            }
        }
    }

    /// The nodes that may serve this sku, by handle, whatever they have of it.
    fn nodes_for(&self, wish: &Wish<'_>, sku: SkuIx) -> Vec<NodeIx> {
        let Some(sku) = self.catalogue.sku(wish.tenant, sku) else { return Vec::new() };
        let way = if is_pickup(wish) { capabilities::PICKUP } else { capabilities::SHIP };
        let needs = way | sku.spec.flags;
        (0..self.catalogue.nodes.len() as u32)
            .map(NodeIx)
            .filter(|&ix| {
                let node = &self.catalogue.nodes[ix.0 as usize];
                let is_place = match wish.order.delivery {
                    Delivery::Pickup { node } => node == ix,
                    Delivery::Ship { .. } => true,
                };
                node.tenant == wish.tenant
                    && node.state == NodeState::Active
                    && node.spec.capabilities & needs == needs
                    && (wish.order.nodes.is_empty() || wish.order.nodes.contains(&ix))
                    && is_place
                    && wish.without != Some(ix)
            })
            .collect()
    }

    /// What a node has of a sku for the order's channel.
    fn depth(&self, wish: &Wish<'_>, sku: SkuIx, node: NodeIx) -> i64 {
        let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
        segments.iter().map(|&segment| self.stock.available(&(sku, node, Segment(segment))).max(0)).sum()
    }

    fn has_single_node(&self, wish: &Wish<'_>, sku: SkuIx, demand: i64) -> bool {
        self.nodes_for(wish, sku).iter().any(|&node| self.depth(wish, sku, node) >= demand)
    }

    fn shipments_max(&self, wish: &Wish<'_>) -> usize {
        let own = wish.order.shipments_max;
        let limit = if own > 0 { own } else { self.rules.shipments_max };
        if limit > 0 { usize::from(limit) } else { usize::MAX }
    }

    /// The least that all of the wish can cost, by trying every set of nodes; `None` where it cannot be had.
    pub(crate) fn least_cost(&self, wish: &Wish<'_>) -> Option<i64> {
        let demands = wish.demands();
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
        if self.has_single_node(wish, sku, demand) {
            let whole = open.iter().filter(|&&node| self.depth(wish, sku, node) >= demand);
            return whole.map(|&node| line(node) + demand * self.unit_cost(wish, node)).min();
        }
        if !self.rules.split_lines {
            let lines: Vec<i64> = wish
                .lines
                .iter()
                .filter(|line| line.sku == sku)
                .map(|line| i64::from(line.quantity))
                .collect();
            let depths: Vec<i64> = open.iter().map(|&node| self.depth(wish, sku, node)).collect();
            return self.least_cost_of_lines(wish, &lines, &open, &depths, &mut vec![0; open.len()]);
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

    /// The least the lines of one sku can cost where each must come whole from one node.
    fn least_cost_of_lines(
        &self,
        wish: &Wish<'_>,
        lines: &[i64],
        open: &[NodeIx],
        depths: &[i64],
        taken: &mut Vec<i64>,
    ) -> Option<i64> {
        let Some((&quantity, rest)) = lines.split_first() else { return Some(0) };
        let mut least = None::<i64>;
        for place in 0..open.len() {
            if depths[place] - taken[place] < quantity {
                continue;
            }
            let first = taken[place] == 0;
            taken[place] += quantity;
            let further = self.least_cost_of_lines(wish, rest, open, depths, taken);
            taken[place] -= quantity;
            let line = self.catalogue.nodes[open[place].0 as usize].spec.cost_per_line.0;
            let cost = further.map(|further| {
                further + quantity * self.unit_cost(wish, open[place]) + if first { line } else { 0 }
            });
            least = least.into_iter().chain(cost).min();
        }
        least
    }
}

fn is_pickup(wish: &Wish<'_>) -> bool {
    matches!(wish.order.delivery, Delivery::Pickup { .. })
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
