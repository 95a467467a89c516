//! Trying every set of nodes: the cheapest plan there is, for networks of few nodes.
//!
//! What one node has whole comes whole from the cheapest node of the set; what no node has whole is filled up from the
//! cheapest on. Right where nodes charge nothing per line.

use earmark::demo::nearest::Tariff;

use super::rules::{Question, Take, fill, take};

/// Most nodes whose sets are tried.
pub(crate) const NODES_MAX: usize = 12;

/// What a unit from a node costs, and what a shipment does.
fn rates(question: &Question<'_>, tariff: Tariff, node: u32) -> (i64, i64) {
    let spec = &question.scenario.nodes[node as usize];
    let miles = i64::from(question.miles[node as usize]);
    let unit = tariff.per_unit.0 + spec.cost_per_unit.0 + tariff.per_unit_mile.0 * miles;
    (unit, tariff.shipment_base.0 + spec.cost_per_order.0)
}

/// The cheapest way to serve as much of the order as there is.
pub(crate) fn route(question: &Question<'_>, tariff: Tariff) -> Vec<Take> {
    let count = question.scenario.nodes.len();
    assert!(count <= NODES_MAX && question.scenario.nodes.iter().all(|node| node.cost_per_line.0 == 0));
    let rates: Vec<_> = (0..count as u32).map(|node| rates(question, tariff, node)).collect();
    let unit = |sku: u32, node: u32| rates[node as usize].0 + question.price(sku, node);
    let by_cost = |sku: u32| {
        let mut nodes: Vec<u32> = (0..count as u32).collect();
        nodes.sort_unstable_by_key(|node| (unit(sku, *node), rates[*node as usize].0, *node));
        nodes
    };
    // By sku: units, whether one node has them, what each node has, and the nodes by cost.
    let wants: Vec<_> = question
        .wanted()
        .into_iter()
        .map(|(sku, units)| {
            let free: Vec<i64> =
                (0..count as u32).map(|node| question.at(sku, node).map_or(0, |at| at.1)).collect();
            let units = units.min(free.iter().sum());
            (sku, units, free.iter().any(|free| *free >= units), free, by_cost(sku))
        })
        .filter(|want| want.1 > 0)
        .collect();
    let cost = |set: u32| {
        let open = |node: &&u32| set >> **node & 1 == 1;
        let mut used = 0_u32;
        let mut cost = 0;
        for (sku, units, whole, free, by_cost) in &wants {
            let mut left = *units;
            for node in by_cost.iter().filter(open) {
                let now =
                    if *whole && free[*node as usize] < *units { 0 } else { left.min(free[*node as usize]) };
                cost += now * unit(*sku, *node);
                used |= u32::from(now > 0) << node;
                left -= now;
            }
            if left > 0 {
                return None;
            }
        }
        let shipments: i64 = (0..count).filter(|node| used >> node & 1 == 1).map(|node| rates[node].1).sum();
        (used == set).then_some(cost + shipments)
    };
    // Ties as Earmark breaks them: by priority, then by the codes in order.
    let tie = |set: u32| {
        let nodes = (0..count).filter(|node| set >> node & 1 == 1).map(|node| &question.scenario.nodes[node]);
        let mut codes: Vec<_> = nodes.clone().map(|node| node.code.as_str()).collect();
        codes.sort_unstable();
        (nodes.map(|node| u64::from(node.priority)).sum::<u64>(), codes)
    };
    let sets = (1..1_u32 << count).filter_map(|set| Some((cost(set)?, set)));
    let best = sets.min_by(|a, b| a.0.cmp(&b.0).then_with(|| tie(a.1).cmp(&tie(b.1))));
    let Some((_, set)) = best else { return Vec::new() };
    let mut takes = Vec::new();
    for (sku, units, whole, free, by_cost) in &wants {
        let open: Vec<u32> = by_cost.iter().copied().filter(|node| set >> node & 1 == 1).collect();
        match open.iter().find(|node| *whole && free[**node as usize] >= *units) {
            Some(node) => takes.extend(take(question, *sku, *node, *units)),
            None => fill(question, *sku, *units, &open, &mut takes),
        }
    }
    takes
}
