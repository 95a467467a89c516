//! The oracle: what plans are legal, what they cost, and which is the cheapest. It knows positions, costs and stock, and
//! nothing of how routing works.

use std::collections::BTreeMap;

use earmark_engine::routing::Proposal;
use earmark_protocol::command::Order;
use earmark_protocol::ids::{LineId, Money};

use crate::world::World;

/// Per node: units of each sku.
pub(crate) type Assignment = Vec<BTreeMap<usize, u32>>;

/// All ways to serve this many units of a sku: whole from a node that has them, or else split over several.
pub(crate) fn ways(world: &World, order: &Order, sku: usize, units: u32) -> Vec<Vec<u32>> {
    let available: Vec<u32> = (0..world.nodes.len()).map(|node| world.available(order, sku, node)).collect();
    if available.iter().any(|there| *there >= units) {
        let whole =
            |node: usize| (0..available.len()).map(|other| if other == node { units } else { 0 }).collect();
        return (0..available.len()).filter(|node| available[*node] >= units).map(whole).collect();
    }
    if !world.rules.split_lines {
        return Vec::new();
    }
    let mut ways = vec![Vec::new()];
    for there in &available {
        ways = ways
            .into_iter()
            .flat_map(|way: Vec<u32>| (0..=*there).map(move |part| [way.as_slice(), &[part]].concat()))
            .collect();
    }
    ways.retain(|way| way.iter().sum::<u32>() == units);
    ways
}

/// Units by sku.
pub(crate) fn demand(order: &Order) -> BTreeMap<usize, u32> {
    let mut demand = BTreeMap::new();
    for line in &order.lines {
        *demand.entry(line.sku.0 as usize).or_insert(0) += line.quantity;
    }
    demand
}

/// The units of a sku that can be had at best.
pub(crate) fn reachable(world: &World, order: &Order, sku: usize, units: u32) -> u32 {
    let available = (0..world.nodes.len()).map(|node| world.available(order, sku, node));
    let most = available.clone().max().unwrap_or(0);
    if most >= units {
        units
    } else if world.rules.split_lines {
        available.sum::<u32>().min(units)
    } else {
        most
    }
}

/// Most shipments.
pub(crate) fn limit(world: &World, order: &Order) -> usize {
    let limit = if order.shipments_max > 0 { order.shipments_max } else { world.rules.shipments_max };
    let limit = if limit == 0 { usize::MAX } else { usize::from(limit) };
    limit.min(world.lean.limit.unwrap_or(usize::MAX))
}

/// The cheapest legal assignment of this demand by cost, then priorities, then codes; `None` where there is none.
pub(crate) fn cheapest(
    world: &World,
    order: &Order,
    demand: &BTreeMap<usize, u32>,
) -> Option<(i64, u64, Vec<String>)> {
    cheapest_where(world, order, demand, |_| true)
}

/// The same among the assignments of which this is true.
pub(crate) fn cheapest_where(
    world: &World,
    order: &Order,
    demand: &BTreeMap<usize, u32>,
    is_legal: impl Fn(&Assignment) -> bool,
) -> Option<(i64, u64, Vec<String>)> {
    let mut assignments: Vec<Assignment> = vec![vec![BTreeMap::new(); world.nodes.len()]];
    for (sku, units) in demand.iter().filter(|(_, units)| **units > 0) {
        let ways = ways(world, order, *sku, *units);
        let mut next = Vec::new();
        for assignment in &assignments {
            for way in &ways {
                let mut assignment = assignment.clone();
                for (node, part) in way.iter().enumerate().filter(|(_, part)| **part > 0) {
                    assignment[node].insert(*sku, *part);
                }
                next.push(assignment);
            }
        }
        assignments = next;
    }
    let judged = assignments.iter().filter(|assignment| is_legal(assignment)).filter_map(|assignment| {
        let used: Vec<usize> = (0..assignment.len()).filter(|node| !assignment[*node].is_empty()).collect();
        let cost = |node: &usize| {
            let parts = &assignment[*node];
            let priced = parts.iter().map(|(sku, units)| world.price(order, *node, *sku, *units));
            let priced: i64 = priced.sum();
            let parts: Vec<_> = parts.iter().map(|(sku, units)| (*sku, *units)).collect();
            world.shipment_cost(order, *node, &parts) + priced
        };
        let priorities = used.iter().map(|node| u64::from(world.nodes[*node].priority)).sum();
        let mut codes: Vec<_> = used.iter().map(|node| world.nodes[*node].code.clone()).collect();
        codes.sort();
        (used.len() <= limit(world, order)).then(|| (used.iter().map(cost).sum(), priorities, codes))
    });
    judged.min()
}

/// Judges a plan: is it legal, and is it priced right? Returns the units it serves of each sku.
pub(crate) fn judge(world: &World, order: &Order, proposal: &Proposal) -> BTreeMap<usize, u32> {
    let plan = &proposal.plan;
    let mut taken: BTreeMap<(usize, usize, u16), u32> = BTreeMap::new();
    let mut of_line: BTreeMap<LineId, u32> = BTreeMap::new();
    let mut served = BTreeMap::new();
    let mut at_node: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for pick in &proposal.picks {
        let (sku, node) = (pick.sku.0 as usize, pick.node.0 as usize);
        let line = order.lines.iter().find(|line| line.line == pick.line).expect("a pick is of a line");
        assert_eq!(line.sku, pick.sku);
        assert!(pick.quantity > 0);
        assert!(world.may_serve(order, sku, node), "{node} may not serve {sku}");
        assert!(world.rules.channels[usize::from(order.channel.0)].contains(&pick.segment));
        *taken.entry((sku, node, pick.segment.0)).or_default() += pick.quantity;
        *of_line.entry(pick.line).or_default() += pick.quantity;
        *served.entry(sku).or_default() += pick.quantity;
        *at_node.entry((sku, node)).or_default() += pick.quantity;
    }
    for (cell, units) in &taken {
        assert!(i64::from(world.stock[cell]) >= i64::from(*units), "{cell:?} has not {units}");
    }
    for ((sku, node), units) in &at_node {
        assert!(world.available(order, *sku, *node) >= *units, "{node} may not give {units} of {sku}");
    }
    for line in &order.lines {
        let unfilled = plan.unfilled.iter().filter(|unfilled| unfilled.line == line.line);
        let left: u32 = unfilled.map(|unfilled| unfilled.quantity).sum();
        assert_eq!(of_line.get(&line.line).copied().unwrap_or(0) + left, line.quantity, "{:?}", line.line);
    }
    for (sku, units) in &served {
        let places = at_node.keys().filter(|(of, _)| of == sku).count();
        let whole = (0..world.nodes.len()).any(|node| world.available(order, *sku, node) >= *units);
        assert!(places == 1 || world.rules.split_lines && !whole, "{sku} is split without need");
    }
    assert!(plan.shipments.len() <= limit(world, order));
    let mut total = 0;
    let mut shipped = Vec::new();
    for shipment in &plan.shipments {
        let node = shipment.node.0 as usize;
        let parts = at_node.iter().filter(|((_, at), _)| *at == node).map(|((sku, _), units)| (*sku, *units));
        let cost = world.shipment_cost(order, node, &parts.collect::<Vec<_>>());
        assert_eq!(shipment.cost, Money(cost));
        assert_eq!(i64::from(shipment.miles), world.miles(order, node));
        total += cost;
        for line in &shipment.lines {
            shipped.push((line.line, line.sku, shipment.node, line.segment, line.quantity));
        }
    }
    let picked: Vec<_> = proposal
        .picks
        .iter()
        .map(|pick| (pick.line, pick.sku, pick.node, pick.segment, pick.quantity))
        .collect();
    assert_eq!(picked, shipped);
    assert_eq!(plan.cost, Money(total));
    let prices = at_node.iter().map(|((sku, node), units)| world.price(order, *node, *sku, *units));
    assert!(plan.price == Money(0) || plan.price == Money(prices.sum()));
    assert!(plan.bound <= plan.weighed());
    served
}

/// The cheapest way to serve this demand where every sku is served whole by one node, however many nodes there are: skus
/// are shared out over shipments, each from the node where that shipment is the cheapest, what stock is worth counted in.
pub(crate) fn cheapest_whole(world: &World, order: &Order, demand: &BTreeMap<usize, u32>) -> Option<i64> {
    cheapest_parcels(world, order, demand).map(|(cost, _)| cost)
}

/// The same, and from which nodes: where one stands twice, two parcels of it may cost less than the one they would be.
pub(crate) fn cheapest_parcels(
    world: &World,
    order: &Order,
    demand: &BTreeMap<usize, u32>,
) -> Option<(i64, Vec<usize>)> {
    let wants: Vec<_> = demand.iter().collect();
    let sets = 1_usize << wants.len();
    let mut shipment = vec![(i64::MAX, usize::MAX); sets];
    for node in 0..world.nodes.len() {
        let able = |at: &usize| world.available(order, *wants[*at].0, node) >= *wants[*at].1;
        let able = (0..wants.len()).filter(able).fold(0, |set, at| set | 1 << at);
        let mut set: usize = able;
        while set > 0 {
            let parts =
                (0..wants.len()).filter(|at| set >> at & 1 == 1).map(|at| (*wants[at].0, *wants[at].1));
            let parts: Vec<_> = parts.collect();
            let priced = parts.iter().map(|(sku, units)| world.price(order, node, *sku, *units));
            let cost = world.shipment_cost(order, node, &parts) + priced.sum::<i64>();
            shipment[set] = shipment[set].min((cost, node));
            set = (set - 1) & able;
        }
    }
    let mut cheapest = vec![(i64::MAX, 0); sets];
    cheapest[0] = (0, 0);
    for set in 1..sets {
        let mut first = set;
        while first > 0 {
            if let Some(cost) = shipment[first].0.checked_add(cheapest[set & !first].0) {
                cheapest[set] = cheapest[set].min((cost, first));
            }
            first = (first - 1) & set;
        }
    }
    let (cost, _) = cheapest[sets - 1];
    let (mut left, mut nodes) = (sets - 1, Vec::new());
    while left > 0 && cost < i64::MAX {
        let (_, first) = cheapest[left];
        nodes.push(shipment[first].1);
        left &= !first;
    }
    (cost < i64::MAX).then_some((cost, nodes))
}

/// What the cheapest way costs to take this many units of one sku from several nodes, however many nodes there are: node
/// after node, what every smaller number of units costs.
pub(crate) fn cheapest_split(world: &World, order: &Order, sku: usize, units: u32) -> Option<i64> {
    let units = units as usize;
    let mut cheapest = vec![i64::MAX; units + 1];
    cheapest[0] = 0;
    for node in 0..world.nodes.len() {
        let there = (world.available(order, sku, node) as usize).min(units);
        let cost = |part: usize| world.shipment_cost(order, node, &[(sku, part as u32)]);
        let costs: Vec<_> = (1..=there).map(cost).collect();
        for sum in (1..=units).rev() {
            for part in 1..=there.min(sum) {
                if cheapest[sum - part] < i64::MAX {
                    cheapest[sum] = cheapest[sum].min(cheapest[sum - part] + costs[part - 1]);
                }
            }
        }
    }
    Some(cheapest[units]).filter(|cost| *cost < i64::MAX)
}
