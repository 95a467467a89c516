//! Orders that wish a time: what it costs that a node delivers later, or that it then may not serve.
//!
//! It leans the scope as rules do, so that plans, bounds and proofs count lateness in. Without a wish, or where the policy does
//! not mind, it does nothing.

use earmark_protocol::ids::{NodeIx, TimestampMs};

use super::scope::{Leaning, Scope};
use crate::policy::Policy;
use crate::promise::{TRANSIT_DAYS_MAX, days_late};

/// How many days late what goes up to so many miles is.
#[derive(Clone, Copy, Debug)]
struct Step {
    miles_max: u32,
    days: u64,
}

/// How late a shipment is that leaves next. Nodes are many, and differ by schedule and miles alone.
pub(crate) struct Table {
    /// By schedule.
    steps: Vec<Vec<Step>>,
    /// By schedule: up to so many miles it is in time; below 0 where it never is.
    in_time: Vec<i32>,
    /// No node is less late.
    least: u64,
}

/// What being late adds to the cost of a shipment.
pub(crate) enum LateCosts<'a> {
    /// By schedule and miles: there are thousands of nodes, and an order asks about dozens.
    ByTable { table: Table, schedules: &'a [u32], miles: &'a [u16], day: i64 },
    /// By node; nothing for nodes beyond the last.
    ByNode(Vec<i64>),
}

/// What lateness makes of the nodes for one order.
pub(super) struct Late<'a> {
    costs: LateCosts<'a>,
    /// The least that rules and lateness add together.
    extra_least: i64,
    /// Nodes that may serve, where those that are late may not.
    eligible: Option<Vec<u64>>,
    /// Nodes that may not serve because they are late, and could have otherwise.
    pub(super) refused: u32,
}

impl LateCosts<'_> {
    /// What it adds at a node.
    #[inline]
    pub(crate) fn at(&self, node: u32) -> i64 {
        let at = node as usize;
        match self {
            Self::ByTable { table, schedules, miles, day } => {
                cost(*day, table.days(schedules[at], miles[at]))
            }
            Self::ByNode(costs) => costs.get(at).copied().unwrap_or(0),
        }
    }
}

/// What so many days late cost.
#[inline]
fn cost(day: i64, days: u64) -> i64 {
    day.saturating_mul(i64::try_from(days).unwrap_or(i64::MAX))
}

impl<'a> Late<'a> {
    /// `None` where it changes nothing.
    pub(super) fn of(scope: &Scope<'a>, policy: &Policy, deliver_by: Option<TimestampMs>) -> Option<Self> {
        let wished = deliver_by.filter(|_| policy.refuses_late || policy.late_day_cost.0 > 0)?;
        let table = Table::of(scope, wished);
        if table.as_ref().is_some_and(Table::is_in_time) {
            return None;
        }
        let (schedules, day) = (scope.timetable.by_node(), policy.late_day_cost.0);
        Some(match table.zip(scope.lanes) {
            Some((table, lanes)) if policy.refuses_late => {
                let days = |node: u32| table.days(schedules[node as usize], lanes.miles[node as usize]);
                Self::refuse(scope, days)
            }
            Some((table, lanes)) => {
                // Hardly ever is no node in time that rules make no dearer: the first one found is the cheapest. One without hours is
                // never late, so those come first.
                let floor = scope.leaning.extra_least.saturating_add(cost(day, table.least));
                let (unhurried, nodes) = match scope.named {
                    [] => (scope.timetable.without_hours(), &lanes.order[..]),
                    _ => (&[][..], &[][..]),
                };
                let reached = |node: &u32| scope.carriage.is_none_or(|carriage| carriage.reaches(*node));
                let nodes = unhurried.iter().copied().filter(reached).chain(nodes.iter().copied());
                let nodes = nodes.chain(scope.named.iter().map(|node| node.0));
                Self::charge(
                    scope,
                    LateCosts::ByTable { table, schedules, miles: &lanes.miles, day },
                    nodes,
                    floor,
                )
            }
            None => {
                let days = |node: u32| days_late(scope.promised_at(NodeIx(node)), wished);
                if policy.refuses_late {
                    return Some(Self::refuse(scope, days));
                }
                let mut costs = vec![0; scope.sheet.sites.len()];
                nodes(scope).for_each(|node| costs[node as usize] = cost(day, days(node)));
                Self::charge(scope, LateCosts::ByNode(costs), nodes(scope), i64::MIN)
            }
        })
    }

    /// Has late nodes not serve.
    fn refuse(scope: &Scope<'_>, days: impl Fn(u32) -> u64) -> Self {
        let words = scope.sheet.sites.len().div_ceil(64);
        let mut eligible = scope.leaning.eligible.map_or_else(|| vec![u64::MAX; words], <[u64]>::to_vec);
        let mut refused = 0;
        for node in nodes(scope).filter(|node| days(*node) > 0) {
            refused += u32::from(scope.allows(node));
            if let Some(bits) = eligible.get_mut(node as usize / 64) {
                *bits &= !(1 << (node % 64));
            }
        }
        let (costs, extra_least) = (LateCosts::ByNode(Vec::new()), scope.leaning.extra_least);
        Self { costs, extra_least, eligible: Some(eligible), refused }
    }

    /// Has late nodes cost more; none of these adds less than `floor`.
    fn charge(scope: &Scope<'_>, costs: LateCosts<'a>, nodes: impl Iterator<Item = u32>, floor: i64) -> Self {
        let mut extra_least = i64::MAX;
        for node in nodes {
            extra_least = extra_least.min(scope.extra(node).saturating_add(costs.at(node)));
            if extra_least <= floor {
                break;
            }
        }
        let extra_least = if extra_least == i64::MAX { scope.leaning.extra_least } else { extra_least };
        Self { costs, extra_least, eligible: None, refused: 0 }
    }

    /// The scope with lateness in it.
    pub(super) fn lean<'b>(&'b self, scope: &Scope<'b>) -> Scope<'b> {
        let leaning = Leaning {
            eligible: self.eligible.as_deref().or(scope.leaning.eligible),
            late: Some(&self.costs),
            extra_least: self.extra_least,
            ..scope.leaning
        };
        Scope { leaning, ..*scope }
    }
}

/// The nodes that an order may use as far as it says so itself.
fn nodes(scope: &Scope<'_>) -> impl Iterator<Item = u32> {
    let all = if scope.named.is_empty() { scope.sheet.sites.len() as u32 } else { 0 };
    (0..all).chain(scope.named.iter().map(|node| node.0))
}

impl Table {
    /// `None` where days are limited, so that nodes of one schedule may leave on different days; and where nothing says how fast
    /// goods travel.
    fn of(scope: &Scope<'_>, wished: TimestampMs) -> Option<Self> {
        let transit = scope.transit.filter(|_| scope.days.is_none() && scope.lanes.is_some())?;
        let of_schedule = |schedule: usize| {
            let arrivals = scope.timetable.arrivals(schedule, transit.weekends).unwrap_or_default();
            let mut steps: Vec<Step> = Vec::new();
            for (on_the_way, arrives) in arrivals.iter().enumerate().skip(1) {
                let is_last = on_the_way == TRANSIT_DAYS_MAX;
                let miles_max =
                    if is_last { u32::MAX } else { on_the_way as u32 * u32::from(transit.miles_per_day) };
                let days = days_late(*arrives, wished);
                match steps.last_mut().filter(|step| step.days == days) {
                    Some(step) => step.miles_max = miles_max,
                    None => steps.push(Step { miles_max, days }),
                }
            }
            steps
        };
        let steps: Vec<_> = (0..scope.timetable.schedules()).map(of_schedule).collect();
        let in_time = |steps: &Vec<Step>| match steps.first() {
            Some(step) if step.days > 0 => -1,
            Some(step) => i32::try_from(step.miles_max).unwrap_or(i32::MAX),
            None => i32::MAX,
        };
        let in_time = steps.iter().map(in_time).collect();
        // A node without a schedule promises nothing, and so is never late.
        let least = steps.iter().map(|steps: &Vec<Step>| steps.first().map_or(0, |step| step.days)).min();
        let least = least.filter(|_| scope.timetable.without_hours().is_empty()).unwrap_or(0);
        Some(Self { steps, in_time, least })
    }

    /// Whether all that leaves anywhere is in time.
    fn is_in_time(&self) -> bool {
        self.in_time.iter().all(|miles| *miles == i32::MAX)
    }

    #[inline]
    fn days(&self, schedule: u32, miles: u16) -> u64 {
        // A node without a schedule promises nothing.
        let Some(in_time) = self.in_time.get(schedule as usize) else { return 0 };
        if i32::from(miles) <= *in_time {
            return 0;
        }
        let mut steps = self.steps[schedule as usize].iter();
        steps.find(|step| u32::from(miles) <= step.miles_max).map_or(0, |step| step.days)
    }
}
