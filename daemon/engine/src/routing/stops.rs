//! Where what is not in stock may wait for supply, what that costs, and which way to wait is the best.
//!
//! It says where and when; what an order is let wait for, and whether that is better than without, is said in `awaiting`.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::ids::{LineId, Money, NodeIx, Segment, TimestampMs};
use earmark_protocol::reply::Carriage;

use super::Pick;
use super::awaiting::{Waiting, waits_for_stock};
use super::bonds::Bonds;
use super::case::Candidate;
use super::coming::Coming;
use super::planner::Planner;
use super::scope::Scope;
use super::write::carriage;
use crate::policy::Kept;
use crate::promise::{TRANSIT_DAYS_MAX, days_late};
use crate::supply::Due;
use crate::tariff::fares::Goods;

/// Most ways to let skus wait that are all tried: a few milliseconds. Beyond, each sku goes where that costs least beside the
/// others, one after the other.
const WAYS_MAX: usize = 20_000;
/// Most times that all skus are looked at again then.
const ROUNDS_MAX: usize = 4;
/// And so many looks at a sku of a way.
const LOOKS_MAX: usize = 1_000_000;
/// Most nodes where one sku may wait that are looked at: those that are cheapest for it alone.
const STOPS_MAX: usize = 16;

/// What is left of a sku.
pub(super) struct Left {
    pub(super) want: usize,
    pub(super) units: i64,
    /// Whether those are all.
    is_all: bool,
    /// Where it may wait, by the nodes' priority and code.
    pub(super) at: Vec<Stop>,
}

/// What of a sku may wait at a node.
pub(super) struct Stop {
    pub(super) from: Candidate,
    /// All that is left, or as much of it as comes.
    pub(super) units: i64,
    /// The day by which it has come, and all before it were served.
    day: u32,
    leaves: Leaves,
    pub(super) draws: Vec<(Segment, u32)>,
}

/// When a shipment leaves, and what that costs it for being late.
#[derive(Clone, Copy)]
pub(super) struct Leaves {
    pub(super) ship_at: TimestampMs,
    pub(super) promise_at: TimestampMs,
    pub(super) late_cost: i64,
}

/// For each sku that is left: where it waits, if it does.
pub(super) type Way = Vec<Option<usize>>;

/// The least is the best: units that nothing comes for, cost, and nodes by priority and code.
type Worth = (i64, i64, u64, Vec<u32>);

/// What bounds what waits.
pub(super) struct Bounds<'a> {
    pub(super) kept: Option<&'a Arc<Kept>>,
    pub(super) bonds: &'a Bonds,
    /// Shipments there may be beside those of the plan.
    pub(super) shipments: usize,
}

impl Scope<'_> {
    /// When what has come to a node on a day leaves it, or can be picked up, and by when it is delivered; 0 where nothing says
    /// it. What comes on a day is there as it ends. `None` where nothing leaves after that.
    fn leaves_after(&self, node: NodeIx, day: u32) -> Option<(TimestampMs, TimestampMs)> {
        let Some((schedule, there)) = self.timetable.there_on(node, day) else {
            return Some(Default::default());
        };
        let from = there.max(self.now);
        if self.lanes.is_none() {
            return schedule.ready(from, 0).map(|(ready, _)| (ready, ready));
        }
        let leaves = schedule.departures(from, 1).first()?.leaves;
        let way = self.days_on_the_way(node);
        let arrives =
            way.map(|(days, weekends)| schedule.arrivals(leaves, weekends)[days.min(TRANSIT_DAYS_MAX)]);
        Some((leaves, arrives.unwrap_or_default()))
    }
}

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

    /// What is left of each sku, and where it may wait.
    pub(super) fn left(&self, scope: &Scope<'_>, waiting: &Waiting<'_>, bounds: &Bounds<'_>) -> Vec<Left> {
        let Waiting { order, in_stock, .. } = *waiting;
        let mut units: BTreeMap<usize, i64> = BTreeMap::new();
        for unfilled in waits_for_stock(in_stock, &self.of_kits) {
            let line = order.lines.iter().find(|line| line.line == unfilled.line);
            let Some(want) = line.and_then(|line| self.demand.find(line.sku)) else { continue };
            *units.entry(want).or_default() += i64::from(unfilled.quantity);
        }
        let left = |(want, units)| {
            let (at, is_all) = self.stops(scope, (waiting, bounds), want, units);
            Left { want, units, is_all, at }
        };
        units.into_iter().map(left).collect()
    }

    /// Where so many units of a want may wait: all of them, or else as many as come to any one node. And whether that is everywhere.
    fn stops(
        &self,
        scope: &Scope<'_>,
        (waiting, bounds): (&Waiting<'_>, &Bounds<'_>),
        want: usize,
        units: i64,
    ) -> (Vec<Stop>, bool) {
        let (sku, flags) = (self.demand.wants[want].sku, self.demand.wants[want].flags);
        let taken: Vec<NodeIx> =
            waiting.in_stock.picks.iter().filter(|pick| pick.sku == sku).map(|pick| pick.node).collect();
        let may_wait = |node: NodeIx| {
            // Where a want may not be split, it waits where the rest of it ships.
            let is_split = !scope.split_lines && taken.iter().any(|other| *other != node);
            !is_split && self.gatherer.eligible(scope, node.0) && scope.suits(want, flags, node.0)
        };
        let mut coming = self.coming(scope, Due::until(self.now, waiting.by), (want, units), may_wait);
        let mut stops: Vec<Stop> = Vec::new();
        let mut most = 0;
        // When something leaves is asked of those alone to which most comes, and of others only where it never does.
        while stops.is_empty()
            && let Some(next) = coming.iter().map(|coming| coming.units).max()
        {
            most = next;
            let (these, others): (Vec<Coming>, _) =
                coming.into_iter().partition(|coming| coming.units == most);
            coming = others;
            for Coming { node, units, day, draws } in these {
                if let Some(leaves) = self.leaves(scope, (waiting, bounds), node, day) {
                    stops.push(Stop { from: scope.candidate(node.0), units, day, leaves, draws });
                }
            }
        }
        let is_all = stops.len() <= STOPS_MAX;
        if !is_all {
            let goods = self.demand.wants[want].goods(most);
            let alone = |stop: &Stop| {
                let (Money(cost), _) = scope.shipment(&stop.from, 1, most.unsigned_abs(), &goods);
                (cost.saturating_add(stop.leaves.late_cost), stop.from.priority, stop.from.code_rank)
            };
            stops.sort_by_cached_key(alone);
            stops.truncate(STOPS_MAX);
        }
        stops.sort_unstable_by_key(|stop| (stop.from.priority, stop.from.code_rank));
        (stops, is_all)
    }

    /// When what has come to a node on a day leaves it; `None` where it never does, or is late and may not be.
    fn leaves(
        &self,
        scope: &Scope<'_>,
        (waiting, bounds): (&Waiting<'_>, &Bounds<'_>),
        node: NodeIx,
        day: u32,
    ) -> Option<Leaves> {
        let (ship_at, promise_at) = scope.leaves_after(node, day)?;
        let late = waiting.wished.filter(|wished| promise_at > *wished);
        let (Some(wished), Some(kept)) = (late, bounds.kept) else {
            return Some(Leaves { ship_at, promise_at, late_cost: 0 });
        };
        let days = i64::try_from(days_late(promise_at, wished)).unwrap_or(i64::MAX);
        let late_cost = kept.policy.late_day_cost.0.saturating_mul(days);
        (!kept.policy.refuses_late).then_some(Leaves { ship_at, promise_at, late_cost })
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
