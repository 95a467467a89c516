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
struct Table {
    /// By schedule.
    steps: Vec<Vec<Step>>,
    /// By schedule: up to so many miles it is in time; below 0 where it never is.
    in_time: Vec<i32>,
}

/// What lateness makes of the nodes for one order.
pub(super) struct Late {
    extra: Vec<i64>,
    extra_least: i64,
    eligible: Vec<u64>,
    /// Nodes that may not serve because they are late, and could have otherwise.
    pub(super) refused: u32,
}

impl Late {
    /// `None` where it changes nothing.
    pub(super) fn of(scope: &Scope<'_>, policy: &Policy, deliver_by: Option<TimestampMs>) -> Option<Self> {
        let wished = deliver_by.filter(|_| policy.refuses_late || policy.late_day_cost.0 > 0)?;
        let table = Table::of(scope, wished);
        if table.as_ref().is_some_and(Table::is_in_time) {
            return None;
        }
        let nodes = scope.sheet.sites.len();
        let mut late = Self {
            extra: scope.leaning.extra.to_vec(),
            extra_least: 0,
            eligible: scope
                .leaning
                .eligible
                .map_or_else(|| vec![u64::MAX; nodes.div_ceil(64)], <[u64]>::to_vec),
            refused: 0,
        };
        late.extra.resize(nodes, 0);
        if scope.named.is_empty() {
            match table.zip(scope.lanes) {
                Some((table, lanes)) => {
                    let ways = scope.timetable.by_node().iter().zip(&lanes.miles);
                    for (node, (schedule, miles)) in (0..nodes as u32).zip(ways) {
                        late.ask(scope, policy, table.days(*schedule, *miles), node);
                    }
                }
                None => (0..nodes as u32).for_each(|node| late.ask_alone(scope, policy, wished, node)),
            }
        } else {
            scope.named.iter().for_each(|node| late.ask_alone(scope, policy, wished, node.0));
        }
        late.extra_least = late.extra.iter().copied().min().unwrap_or(0);
        Some(late)
    }

    fn ask_alone(&mut self, scope: &Scope<'_>, policy: &Policy, wished: TimestampMs, node: u32) {
        self.ask(scope, policy, days_late(scope.promised_at(NodeIx(node)), wished), node);
    }

    #[inline]
    fn ask(&mut self, scope: &Scope<'_>, policy: &Policy, days: u64, node: u32) {
        if days == 0 {
            return;
        }
        let at = node as usize;
        if policy.refuses_late {
            self.refused += u32::from(scope.allows(node));
            if let Some(bits) = self.eligible.get_mut(at / 64) {
                *bits &= !(1 << (at % 64));
            }
        } else {
            let days = i64::try_from(days).unwrap_or(i64::MAX);
            self.extra[at] = self.extra[at].saturating_add(policy.late_day_cost.0.saturating_mul(days));
        }
    }

    /// The scope with lateness in it.
    pub(super) fn lean<'a>(&'a self, scope: &Scope<'a>) -> Scope<'a> {
        let leaning = Leaning {
            eligible: Some(&self.eligible),
            extra: &self.extra,
            extra_least: self.extra_least,
            ..scope.leaning
        };
        Scope { leaning, ..*scope }
    }
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
        Some(Self { steps, in_time })
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
