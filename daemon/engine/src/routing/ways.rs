//! Which way to let skus wait is the best: all ways are tried where they are few, and else each sku goes where that costs least beside
//! the others.
//!
//! Where a sku may wait, and until when, is said in `stops`.

use std::collections::BTreeMap;

use earmark_protocol::ids::{LineId, Money, NodeIx, Segment};
use earmark_protocol::reply::Carriage;

use super::Pick;
use super::awaiting::Waiting;
use super::planner::Planner;
use super::scope::Scope;
use super::stops::{Bounds, Leaves, Left, Stop};
use super::write::carriage;
use crate::tariff::fares::Goods;

/// Most ways to let skus wait that are all tried: a few milliseconds. Beyond, each sku goes where that costs least beside the
/// others, one after the other.
const WAYS_MAX: usize = 20_000;
/// Most times that all skus are looked at again then.
const ROUNDS_MAX: usize = 4;
/// And so many looks at a sku of a way.
const LOOKS_MAX: usize = 1_000_000;

/// For each sku that is left: where it waits, if it does.
pub(super) type Way = Vec<Option<usize>>;

/// The least is the best: units that nothing comes for, cost, and nodes by priority and code.
type Worth = (i64, i64, u64, Vec<u32>);

impl Planner {
    /// The best way to let these skus wait, with so many shipments, and whether no other one could be better.
    pub(super) fn best_way(
        &self,
        scope: &Scope<'_>,
        waiting: &Waiting<'_>,
        bounds: &Bounds<'_>,
        left: &[Left],
    ) -> (Way, bool) {
        let worth = |way: &Way| self.worth(scope, (waiting, bounds), left, way);
        let ways = left.iter().try_fold(1_usize, |ways, left| ways.checked_mul(left.at.len() + 1));
        match ways.filter(|ways| *ways <= WAYS_MAX) {
            Some(ways) => {
                // Where what is in stock says where the rest may wait, another plan of that could cost less with it.
                let is_free = bounds.bonds.is_empty()
                    && (waiting.in_stock.picks.is_empty()
                        || scope.split_lines && bounds.shipments == usize::MAX);
                (best_of_all(left, ways, worth), is_free && left.iter().all(|left| left.is_all))
            }
            None => {
                let may_wait_anywhere = bounds.bonds.is_empty() && bounds.shipments == usize::MAX;
                (best_one_by_one(left, may_wait_anywhere, worth), false)
            }
        }
    }

    /// What a way to wait is worth; `None` where it may not be.
    fn worth(
        &self,
        scope: &Scope<'_>,
        (waiting, bounds): (&Waiting<'_>, &Bounds<'_>),
        left: &[Left],
        way: &Way,
    ) -> Option<Worth> {
        let groups = groups(left, way);
        if groups.len() > bounds.shipments {
            return None;
        }
        if !bounds.bonds.is_empty() {
            let picks = groups.iter().flat_map(|((node, _), group)| {
                group.iter().map(|(left, stop)| Pick {
                    line: LineId(0),
                    sku: self.demand.wants[left.want].sku,
                    node: NodeIx(*node),
                    segment: Segment(0),
                    quantity: u32::try_from(stop.units).unwrap_or(u32::MAX),
                })
            });
            let picks: Vec<Pick> = waiting.in_stock.picks.iter().copied().chain(picks).collect();
            if bounds.bonds.broken_by(&self.demand, &picks).is_some() {
                return None;
            }
        }
        let filled: i64 = groups.values().flatten().map(|(_, stop)| stop.units).sum();
        let cost = groups.values().map(|group| self.cost(scope, group).0.0);
        let cost = cost.fold(0, i64::saturating_add);
        let priorities = groups.values().map(|group| u64::from(group[0].1.from.priority)).sum();
        let codes = groups.values().map(|group| group[0].1.from.code_rank).collect();
        Some((-filled, cost, priorities, codes))
    }

    /// What a shipment of what waits costs, and what of it is for being late and the carrier's.
    pub(super) fn cost(
        &self,
        scope: &Scope<'_>,
        group: &[(&Left, &Stop)],
    ) -> (Money, Leaves, Option<Carriage>) {
        let goods = group.iter().fold(Goods::default(), |goods, (left, stop)| {
            goods.and(self.demand.wants[left.want].goods(stop.units))
        });
        let units: i64 = group.iter().map(|(_, stop)| stop.units).sum();
        let (Money(cost), fare) = scope.shipment(&group[0].1.from, group.len(), units.unsigned_abs(), &goods);
        let leaves = group[0].1.leaves;
        (Money(cost.saturating_add(leaves.late_cost)), leaves, fare.map(carriage))
    }
}

/// What waits on a way, by node and day: each is a shipment.
pub(super) fn groups<'a>(left: &'a [Left], way: &Way) -> BTreeMap<(u32, u32), Vec<(&'a Left, &'a Stop)>> {
    let mut groups: BTreeMap<(u32, u32), Vec<(&Left, &Stop)>> = BTreeMap::new();
    for (left, at) in left.iter().zip(way) {
        if let Some(stop) = at.map(|at| &left.at[at]) {
            groups.entry((stop.from.node, stop.day)).or_default().push((left, stop));
        }
    }
    groups
}

/// The best of all ways there are.
fn best_of_all(left: &[Left], ways: usize, worth: impl Fn(&Way) -> Option<Worth>) -> Way {
    let way = |number: usize| {
        let mut number = number;
        let at = |left: &Left| {
            let choices = left.at.len() + 1;
            let choice = number % choices;
            number /= choices;
            choice.checked_sub(1)
        };
        left.iter().map(at).collect::<Way>()
    };
    let worths = (0..ways).filter_map(|number| Some((worth(&way(number))?, number)));
    worths.min().map_or_else(|| vec![None; left.len()], |(_, number)| way(number))
}

/// A good way: each sku where that is best beside all others, until nothing gets better or the work is done. What has no
/// place by then gets its first one, where none is forbidden.
fn best_one_by_one(left: &[Left], may_wait_anywhere: bool, worth: impl Fn(&Way) -> Option<Worth>) -> Way {
    let mut way: Way = vec![None; left.len()];
    // What a way is worth is asked of all its skus.
    let mut looks = LOOKS_MAX / left.len().max(1);
    for _ in 0..ROUNDS_MAX {
        let before = way.clone();
        for (at, of_sku) in left.iter().enumerate() {
            let Some(rest) = looks.checked_sub(of_sku.at.len() + 1) else {
                if may_wait_anywhere {
                    for (choice, left) in way.iter_mut().zip(left) {
                        *choice = choice.or((!left.at.is_empty()).then_some(0));
                    }
                }
                return way;
            };
            looks = rest;
            let choices = std::iter::once(None).chain((0..of_sku.at.len()).map(Some));
            let with = |choice: Option<usize>| {
                let mut with = way.clone();
                with[at] = choice;
                Some((worth(&with)?, choice))
            };
            way[at] = choices.filter_map(with).min().and_then(|(_, choice)| choice);
        }
        if way == before {
            break;
        }
    }
    way
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::routing::case::Candidate;

    const STOPS: u32 = 16;

    /// So many skus, each of which may wait at any of the same nodes.
    fn skus(skus: usize) -> Vec<Left> {
        let stop = |node| {
            let from = Candidate { node, ..Candidate::default() };
            Stop { from, units: 1, day: 1, ..Stop::default() }
        };
        let left = |want| Left { want, units: 1, at: (0..STOPS).map(stop).collect(), is_all: true };
        (0..skus).map(left).collect()
    }

    /// The way that is found, and how many were asked what they are worth: the later a node stands, the less it costs.
    fn found(left: &[Left], may_wait_anywhere: bool) -> (Way, usize) {
        let asked = Cell::new(0);
        let worth = |way: &Way| {
            asked.set(asked.get() + 1);
            let waits = || way.iter().flatten();
            let cost: i64 = waits().map(|at| i64::from(STOPS) - *at as i64).sum();
            Some((-(waits().count() as i64), cost, 0, Vec::new()))
        };
        (best_one_by_one(left, may_wait_anywhere, worth), asked.get())
    }

    #[test]
    fn the_work_of_letting_very_many_skus_wait_is_bounded_and_all_of_them_wait() {
        let left = skus(1_000);
        let (way, asked) = found(&left, true);
        assert!(asked * left.len() <= LOOKS_MAX, "{asked} ways");
        let best = way.iter().take_while(|at| **at == Some(15)).count();
        assert_eq!(best, LOOKS_MAX / 1_000 / 17, "as many as there is work for wait where that is best");
        assert!(way[best..].iter().all(|at| *at == Some(0)), "all others wait at their first node");
        let (way, _) = found(&left, false);
        assert!(way[best..].iter().all(Option::is_none), "unless a rule could forbid it");
    }

    #[test]
    fn many_skus_wait_where_that_is_best_as_far_as_the_work_reaches() {
        let left = skus(100);
        let (way, asked) = found(&left, true);
        assert!(way.iter().all(|at| *at == Some(15)));
        assert_eq!(asked, 2 * 100 * 17, "a second look changes nothing");
    }
}
