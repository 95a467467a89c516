//! Checks a claim that a plan is the cheapest there is, over all nodes: every way to share an order's skus out over
//! shipments, each shipment from the node where it is cheapest, for orders of few skus that one node each has whole; and every
//! way to take one sku from several nodes, where none has all of it.

use earmark::demo::nearest::{Tariff, price};

use super::rules::Question;

/// Most skus of an order that is checked: the ways to share them out grow as 3 to that power.
pub(crate) const SKUS_MAX: usize = 10;

/// Most units of a sku that is split: what each smaller number costs is tried.
const SPLIT_UNITS_MAX: i64 = 1_000;

/// What the cheapest plan costs; `None` where the order is not one for this.
pub(crate) fn cheapest(question: &Question<'_>, tariff: Tariff) -> Option<i64> {
    let wanted: Vec<_> = question.wanted().into_iter().collect();
    if wanted.len() > SKUS_MAX {
        return None;
    }
    let mut able = vec![0_usize; question.scenario.nodes.len()];
    for (at, (sku, units)) in wanted.iter().enumerate() {
        let mut any = false;
        for node in question.nodes_with(*sku, *units) {
            able[node as usize] |= 1 << at;
            any = true;
        }
        if !any {
            return (wanted.len() == 1).then(|| cheapest_split(question, tariff, *sku, *units)).flatten();
        }
    }
    let sets = 1_usize << wanted.len();
    let mut shipment = vec![i64::MAX; sets];
    let in_set = |set: usize| (0..wanted.len()).filter(move |at| set >> at & 1 == 1);
    for (node, able) in able.iter().enumerate().filter(|(_, able)| **able != 0) {
        // A shipment costs so much to begin with, and so much for each of its skus.
        let rows = |set: usize| {
            in_set(set).map(|at| (node as u32, wanted[at].0, u32::try_from(wanted[at].1).unwrap_or(u32::MAX)))
        };
        let first = able.trailing_zeros() as usize;
        let cost = |set: usize| price(question.scenario, tariff, question.miles, rows(set)).0;
        let zero = price(question.scenario, tariff, question.miles, [(node as u32, wanted[first].0, 0)]).0
            - question.scenario.nodes[node].cost_per_line.0;
        let of_future = |at: usize| wanted[at].1 * question.price(wanted[at].0, node as u32);
        let each: Vec<i64> = (0..wanted.len()).map(|at| cost(1 << at) - zero + of_future(at)).collect();
        let mut set = *able;
        while set > 0 {
            let sum = zero + in_set(set).map(|at| each[at]).sum::<i64>();
            shipment[set] = shipment[set].min(sum);
            set = (set - 1) & able;
        }
    }
    let mut cheapest = vec![i64::MAX; sets];
    cheapest[0] = 0;
    for set in 1..sets {
        let mut first = set;
        while first > 0 {
            if let Some(cost) = shipment[first].checked_add(cheapest[set & !first]) {
                cheapest[set] = cheapest[set].min(cost);
            }
            first = (first - 1) & set;
        }
    }
    Some(cheapest[sets - 1])
}

/// What it costs to take as many units of a sku as there are, up to this many, from several nodes: node after node, what every
/// smaller number costs.
fn cheapest_split(question: &Question<'_>, tariff: Tariff, sku: u32, units: i64) -> Option<i64> {
    let there = |node: u32| question.at(sku, node).map_or(0, |(_, free)| free);
    let units = units.min(question.nodes_with(sku, 1).map(there).sum());
    if units == 0 || units > SPLIT_UNITS_MAX {
        return None;
    }
    let mut cheapest = vec![i64::MAX; units as usize + 1];
    cheapest[0] = 0;
    for node in question.nodes_with(sku, 1) {
        let cost = |units: u32| price(question.scenario, tariff, question.miles, [(node, sku, units)]).0;
        let (zero, one) = (cost(0), cost(1) - cost(0) + question.price(sku, node));
        for sum in (1..cheapest.len()).rev() {
            for part in 1..=sum.min(there(node) as usize) {
                if cheapest[sum - part] < i64::MAX {
                    cheapest[sum] = cheapest[sum].min(cheapest[sum - part] + zero + one * part as i64);
                }
            }
        }
    }
    cheapest.last().copied().filter(|cost| *cost < i64::MAX)
}
