//! Checks a claim that a plan is the cheapest where prices go by steps: every shipment of every node is priced by the engine,
//! and every way to put the order together from them is tried, node after node.

use super::earmark_plans::Earmark;
use super::rules::{Question, Take};

/// Most parts of an order: 2 for a sku that one node has, one more than its units for one to be split, multiplied.
const PARTS_MAX: usize = 300;

/// A sku of the order.
struct Want {
    sku: u32,
    units: i64,
    is_whole: bool,
    /// By node: what it may ship of it.
    there: Vec<i64>,
    /// How much of it the order can be served, in steps; and what one more of them adds to the number of a part.
    most: usize,
    stride: usize,
}

impl Want {
    /// Steps of it in a part.
    fn of(&self, part: usize) -> usize {
        part / self.stride % (self.most + 1)
    }

    /// Its units in a part.
    fn units_in(&self, part: usize) -> i64 {
        if self.is_whole { self.units * self.of(part) as i64 } else { self.of(part) as i64 }
    }
}

/// What the cheapest plan costs, with what is to be minded of the future, that serves as much of each sku as can be had; `None`
/// where the order is not one for this.
pub(crate) fn cheapest(question: &Question<'_>, earmark: &mut Earmark) -> Option<i64> {
    let order = &question.scenario.orders[question.order as usize];
    let count = question.scenario.nodes.len();
    let (mut wants, mut parts): (Vec<Want>, usize) = (Vec::new(), 1);
    for (sku, wanted) in question.wanted() {
        let mut there = vec![0; count];
        let takes = question.nodes_with(sku, 1).filter_map(|node| {
            let (cell, free) = question.at(sku, node)?;
            there[node as usize] = free;
            Some(Take { sku, cell, units: 1 })
        });
        let takes: Vec<_> = takes.collect();
        for node in earmark.price(question.scenario, order, &takes).barred {
            there[node.0 as usize] = 0;
        }
        let units = wanted.min(there.iter().sum());
        if units > 0 {
            let is_whole = there.iter().any(|there| *there >= units);
            let most = if is_whole { 1 } else { usize::try_from(units).ok()? };
            wants.push(Want { sku, units, is_whole, there, most, stride: parts });
            parts = parts.checked_mul(most + 1).filter(|parts| *parts <= PARTS_MAX)?;
        }
    }
    // By node: the parts of the order that it could ship, and what that costs.
    let mut shipments = vec![Vec::new(); count];
    for part in 1..parts {
        let has = |node: &usize| wants.iter().all(|want| want.there[*node] >= want.units_in(part));
        let nodes = (0..count).filter(has);
        let take = |node: usize| {
            let of = wants.iter().filter(|want| want.of(part) > 0);
            of.map(move |want| {
                let (cell, _) = question.at(want.sku, node as u32).expect("it has some");
                Take { sku: want.sku, cell, units: want.units_in(part) as u32 }
            })
        };
        let takes: Vec<_> = nodes.flat_map(take).collect();
        for shipment in earmark.price(question.scenario, order, &takes).proposal.plan.shipments {
            let node = shipment.node.0;
            let of_future = wants.iter().map(|want| want.units_in(part) * question.price(want.sku, node));
            shipments[node as usize].push((part, shipment.cost.0 + of_future.sum::<i64>()));
        }
    }
    let fits: Vec<Vec<bool>> = (0..parts)
        .map(|whole| {
            (0..parts).map(|part| wants.iter().all(|want| want.of(part) <= want.of(whole))).collect()
        })
        .collect();
    let mut least = vec![None; parts];
    least[0] = Some(0);
    for shipments in &shipments {
        for whole in (1..parts).rev() {
            for (part, cost) in shipments.iter().filter(|(part, _)| fits[whole][*part]) {
                let with: Option<i64> = least[whole - part].map(|rest| rest + cost);
                least[whole] = [least[whole], with].into_iter().flatten().min();
            }
        }
    }
    least[parts - 1]
}
