//! Where what is not in stock may wait for supply, and when it leaves then.
//!
//! What an order is let wait for, and whether that is better than without, is said in `awaiting`; what comes to nodes in `coming`; and
//! which of the ways to wait is the best in `ways`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use earmark_protocol::ids::{Money, NodeIx, Segment, SkuIx, TimestampMs};

use super::awaiting::{Waiting, waits_for_stock};
use super::bonds::Bonds;
use super::case::Candidate;
use super::coming::Coming;
use super::planner::Planner;
use super::scope::Scope;
use crate::policy::Kept;
use crate::promise::{TRANSIT_DAYS_MAX, days_late};
use crate::supply::Due;

/// Most nodes where one sku may wait that are looked at: those that are cheapest for it alone.
const STOPS_MAX: usize = 16;

/// What is left of a sku.
#[derive(Default)]
pub(super) struct Left {
    pub(super) want: usize,
    pub(super) units: i64,
    /// Where it may wait, by the nodes' priority and code.
    pub(super) at: Vec<Stop>,
    /// Whether those are all.
    pub(super) is_all: bool,
}

/// What of a sku may wait at a node.
#[derive(Default)]
pub(super) struct Stop {
    pub(super) from: Candidate,
    /// All that is left, or as much of it as comes.
    pub(super) units: i64,
    /// The day by which it has come, and all before it were served.
    pub(super) day: u32,
    pub(super) leaves: Leaves,
    pub(super) draws: Vec<(Segment, u32)>,
}

/// When a shipment leaves, and what that costs it for being late.
#[derive(Clone, Copy, Default)]
pub(super) struct Leaves {
    pub(super) ship_at: TimestampMs,
    pub(super) promise_at: TimestampMs,
    pub(super) late_cost: i64,
}

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
    /// What is left of each sku, and where it may wait.
    pub(super) fn left(&self, scope: &Scope<'_>, waiting: &Waiting<'_>, bounds: &Bounds<'_>) -> Vec<Left> {
        let Waiting { order, in_stock, .. } = *waiting;
        let mut units: BTreeMap<usize, i64> = BTreeMap::new();
        for ((_, sku), left) in waits_for_stock(order, in_stock) {
            if let Some(want) = self.demand.find(sku) {
                *units.entry(want).or_default() += i64::from(left);
            }
        }
        let mut ships: HashMap<SkuIx, HashSet<NodeIx>> = HashMap::new();
        for pick in &in_stock.picks {
            ships.entry(pick.sku).or_default().insert(pick.node);
        }
        let left = |(want, units): (usize, i64)| {
            let ships = ships.get(&self.demand.wants[want].sku);
            let at = self.stops(scope, (waiting, bounds), (want, units), ships);
            let (at, is_all) = self.cheapest(scope, want, at);
            Left { want, units, at, is_all }
        };
        units.into_iter().map(left).collect()
    }

    /// Where so many units of a want, of which these nodes ship the rest, may wait: all of them, or else as many as come to any one
    /// node.
    fn stops(
        &self,
        scope: &Scope<'_>,
        (waiting, bounds): (&Waiting<'_>, &Bounds<'_>),
        want: (usize, i64),
        ships: Option<&HashSet<NodeIx>>,
    ) -> Vec<Stop> {
        let mut coming = self.coming_where_it_may_wait(scope, waiting.by, want, ships);
        // When something leaves is asked of those alone to which most comes, and of others only where it never does.
        while !coming.is_empty() {
            let (most, fewer) = to_which_most_comes(coming);
            let leaves = |coming| self.stop(scope, (waiting, bounds), coming);
            let stops: Vec<Stop> = most.into_iter().filter_map(leaves).collect();
            if !stops.is_empty() {
                return stops;
            }
            coming = fewer;
        }
        Vec::new()
    }

    /// What comes of a want to the nodes that may serve it.
    fn coming_where_it_may_wait(
        &self,
        scope: &Scope<'_>,
        by: u32,
        (want, units): (usize, i64),
        ships: Option<&HashSet<NodeIx>>,
    ) -> Vec<Coming> {
        let flags = self.demand.wants[want].flags;
        // Where a want may not be split, it waits where the rest of it ships.
        let ships = ships.filter(|_| !scope.split_lines);
        let is_with_the_rest =
            |node: NodeIx| ships.is_none_or(|ships| ships.len() == 1 && ships.contains(&node));
        self.coming(scope, Due::until(self.now, by), (want, units), |node| {
            is_with_the_rest(node)
                && self.gatherer.eligible(scope, node.0)
                && scope.suits(want, flags, node.0)
        })
    }

    /// What has come to a node as one that it leaves; `None` where it never does, or is late and may not be.
    fn stop(
        &self,
        scope: &Scope<'_>,
        (waiting, bounds): (&Waiting<'_>, &Bounds<'_>),
        coming: Coming,
    ) -> Option<Stop> {
        let Coming { node, units, day, draws } = coming;
        let leaves = self.leaves(scope, (waiting, bounds), node, day)?;
        Some(Stop { from: scope.candidate(node.0), units, day, leaves, draws })
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

    /// Those of these stops, all of which have as much of a want, that are looked at, and whether those are all.
    fn cheapest(&self, scope: &Scope<'_>, want: usize, mut stops: Vec<Stop>) -> (Vec<Stop>, bool) {
        let is_all = stops.len() <= STOPS_MAX;
        if !is_all {
            let alone = |stop: &Stop| {
                let goods = self.demand.wants[want].goods(stop.units);
                let (Money(cost), _) = scope.shipment(&stop.from, 1, stop.units.unsigned_abs(), &goods);
                (cost.saturating_add(stop.leaves.late_cost), stop.from.priority, stop.from.code_rank)
            };
            stops.sort_by_cached_key(alone);
            stops.truncate(STOPS_MAX);
        }
        stops.sort_unstable_by_key(|stop| (stop.from.priority, stop.from.code_rank));
        (stops, is_all)
    }
}

/// The nodes to which most comes, and all others.
fn to_which_most_comes(coming: Vec<Coming>) -> (Vec<Coming>, Vec<Coming>) {
    let most = coming.iter().map(|coming| coming.units).max();
    coming.into_iter().partition(|coming| Some(coming.units) == most)
}
