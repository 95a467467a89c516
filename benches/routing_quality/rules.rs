//! The simple rules that shops route by: nearest node per line, nearest node that has all, most lines first.
//!
//! They see the free stock and nothing of Earmark.

use std::collections::BTreeMap;

use earmark::demo::nearest::nearest_picks;
use earmark::demo::scenario::Scenario;
use earmark_engine::routing::Prices;
use earmark_protocol::ids::{NodeIx, SkuIx};

/// Units of a sku from one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Take {
    pub(crate) sku: u32,
    pub(crate) cell: usize,
    pub(crate) units: u32,
}

/// What an order can be routed by: the scenario, what is free by cell, the order's place, miles by node.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) free: &'a [i64],
    pub(crate) order: u32,
    pub(crate) miles: &'a [u32],
    /// What a unit costs beside what is paid for it, where that is to be minded.
    pub(crate) prices: &'a Prices,
}

impl Question<'_> {
    /// Units by sku.
    pub(crate) fn wanted(&self) -> BTreeMap<u32, i64> {
        let mut wanted = BTreeMap::new();
        for line in &self.scenario.orders[self.order as usize].lines {
            *wanted.entry(line.sku).or_default() += i64::from(line.units);
        }
        wanted
    }

    /// What a node has free of a sku, and the cell.
    pub(crate) fn at(&self, sku: u32, node: u32) -> Option<(usize, i64)> {
        let cell = self.scenario.stock.cells.find(sku, node)?;
        (self.free[cell] > 0).then_some((cell, self.free[cell]))
    }

    /// The price of a unit of a sku at a node.
    pub(crate) fn price(&self, sku: u32, node: u32) -> i64 {
        self.prices.at(SkuIx(sku), NodeIx(node)).0
    }

    /// The nodes that have this many of a sku.
    pub(crate) fn nodes_with(&self, sku: u32, units: i64) -> impl Iterator<Item = u32> {
        let cells = &self.scenario.stock.cells;
        cells.of(sku).filter(move |cell| self.free[*cell] >= units).map(|cell| cells.node(cell))
    }
}

/// Each line from the nearest node that has any, the rest from the next.
pub(crate) fn nearest(question: &Question<'_>) -> Vec<Take> {
    let lines = &question.scenario.orders[question.order as usize].lines;
    let picks = nearest_picks(question.scenario, question.free, question.order, question.miles);
    let take = |pick: &earmark::demo::nearest::Pick| Take {
        sku: lines[pick.line as usize].sku,
        cell: pick.cell,
        units: pick.units,
    };
    picks.iter().map(take).collect()
}

/// The nearest node that has all of the order; where there is none, [`nearest`].
pub(crate) fn nearest_full(question: &Question<'_>) -> Vec<Take> {
    let wanted = question.wanted();
    let Some((&rarest, &units)) =
        wanted.iter().min_by_key(|(sku, _)| question.scenario.stock.cells.of(**sku).len())
    else {
        return Vec::new();
    };
    let has = |node: u32, sku: u32, units: i64| question.at(sku, node).is_some_and(|(_, free)| free >= units);
    let full = question
        .nodes_with(rarest, units)
        .filter(|node| wanted.iter().all(|(sku, units)| has(*node, *sku, *units)))
        .min_by_key(|node| (question.miles[*node as usize], *node));
    match full {
        Some(node) => wanted.iter().filter_map(|(sku, units)| take(question, *sku, node, *units)).collect(),
        None => nearest(question),
    }
}

/// Again and again the node that has the most of the remaining skus whole, of equals the nearest; what no node has
/// whole comes from the nearest that have any.
pub(crate) fn most_lines(question: &Question<'_>) -> Vec<Take> {
    let mut rest = question.wanted();
    let mut takes = Vec::new();
    loop {
        let mut count: BTreeMap<u32, usize> = BTreeMap::new();
        for (sku, units) in &rest {
            question.nodes_with(*sku, *units).for_each(|node| *count.entry(node).or_default() += 1);
        }
        let best = count
            .into_iter()
            .max_by_key(|(node, skus)| (*skus, std::cmp::Reverse((question.miles[*node as usize], *node))));
        let Some((node, _)) = best else { break };
        rest.retain(|sku, units| {
            let whole = question.at(*sku, node).is_some_and(|(_, free)| free >= *units);
            takes.extend(take(question, *sku, node, *units).filter(|_| whole));
            !whole
        });
    }
    for (sku, units) in rest {
        let mut near: Vec<_> = question.nodes_with(sku, 1).collect();
        near.sort_unstable_by_key(|node| (question.miles[*node as usize], *node));
        fill(question, sku, units, &near, &mut takes);
    }
    takes
}

/// Takes units of a sku from these nodes, one after the other.
pub(crate) fn fill(question: &Question<'_>, sku: u32, units: i64, nodes: &[u32], takes: &mut Vec<Take>) {
    let mut left = units;
    for node in nodes {
        if left == 0 {
            return;
        }
        let Some((_, free)) = question.at(sku, *node) else { continue };
        let now = left.min(free);
        takes.extend(take(question, sku, *node, now));
        left -= now;
    }
}

/// Units of a sku from a node that has them.
pub(crate) fn take(question: &Question<'_>, sku: u32, node: u32, units: i64) -> Option<Take> {
    let (cell, _) = question.at(sku, node)?;
    Some(Take { sku, cell, units: u32::try_from(units).ok()? })
}
