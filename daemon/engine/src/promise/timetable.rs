//! A tenant's nodes with their schedules, and when from each of them leaves what is ordered now.
//!
//! A plan asks for every node it looks at, so all that takes time is done here, once for all plans until the next cut-off
//! anywhere: nodes that share calendar and time zone share a schedule.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::ids::{NodeIx, Tenant, TimestampMs};

use super::{Departure, Schedule, TRANSIT_DAYS_MAX, time_zone};
use crate::NodeTable;

/// Of a node without a calendar.
const ALWAYS: u32 = u32::MAX;
/// How many departures are looked at for one whose day has room: three weeks of working days.
pub(crate) const DEPARTURES_MAX: usize = 15;
/// Where no departure is within sight, it is looked for again after this time.
const LOOK_AGAIN_MS: u64 = 24 * 3_600_000;

/// Which schedule each node works by.
#[derive(Debug)]
struct Assigned {
    tenant: Tenant,
    version: u64,
    /// By node; [`ALWAYS`] for none.
    of_node: Vec<u32>,
    /// The tenant's nodes that have none.
    without_hours: Vec<u32>,
    schedules: Vec<Schedule>,
    /// By node: the most that one of its days takes. Empty where no node has a limit.
    limits: Vec<DayLoad>,
}

/// A departure, and by days on the way, on weekdays alone and on all days: by when what leaves then is delivered.
#[derive(Debug)]
struct Leaving {
    departure: Departure,
    arrives: [Vec<TimestampMs>; 2],
}

impl Leaving {
    fn of(schedule: &Schedule, departure: Departure) -> Self {
        Self {
            departure,
            arrives: [false, true].map(|weekends| schedule.arrivals(departure.leaves, weekends)),
        }
    }
}

/// When what is ordered at a time leaves.
#[derive(Debug)]
pub(crate) struct Timetable {
    assigned: Arc<Assigned>,
    /// By schedule; `None` where it opens no more.
    next: Vec<Option<Leaving>>,
    /// By schedule: the departures after that, looked up where a day is full.
    later: Vec<OnceLock<Vec<Leaving>>>,
    /// Whether there is such a schedule.
    some_are_shut: bool,
    /// The first and the last moment for which this is right.
    from: TimestampMs,
    until: TimestampMs,
}

impl Timetable {
    /// That of a tenant's nodes at a time.
    pub(crate) fn new(tenant: Tenant, table: &NodeTable, now: TimestampMs) -> Self {
        let (mut schedules, mut known) = (Vec::new(), HashMap::new());
        let mut assign = |code: &str, zone: &str| {
            let calendar = table.calendar(tenant, code)?;
            let schedule =
                || Schedule::new(calendar.clone(), time_zone(zone).unwrap_or(jiff::tz::TimeZone::UTC));
            Some(*known.entry((code.to_owned(), zone.to_owned())).or_insert_with(|| {
                schedules.push(schedule());
                schedules.len() as u32 - 1
            }))
        };
        let of_node = table.nodes.iter().map(|node| match node.spec.calendar.as_str() {
            "" => ALWAYS,
            _ if node.tenant != tenant => ALWAYS,
            code => assign(code, &node.spec.time_zone).unwrap_or(ALWAYS),
        });
        let of_node: Vec<_> = of_node.collect();
        let of_tenant = (0..).zip(&table.nodes).zip(&of_node).filter(|((_, node), _)| node.tenant == tenant);
        let without_hours = of_tenant.filter(|(_, schedule)| **schedule == ALWAYS).map(|((at, _), _)| at);
        let without_hours = without_hours.collect();
        let limits = table.nodes.iter().map(|node| node.spec.day_limit);
        let any = limits.clone().any(|limit| limit != DayLoad::default());
        let limits = if any { limits.collect() } else { Vec::new() };
        Self::at(
            Arc::new(Assigned { tenant, version: table.version, of_node, without_hours, schedules, limits }),
            now,
        )
    }

    /// The same nodes at another time.
    pub(crate) fn later(&self, now: TimestampMs) -> Self {
        Self::at(Arc::clone(&self.assigned), now)
    }

    fn at(assigned: Arc<Assigned>, now: TimestampMs) -> Self {
        let mut until = now.plus_ms(LOOK_AGAIN_MS);
        let next = assigned.schedules.iter().map(|schedule| {
            let departure = *schedule.departures(now, 1).first()?;
            until = until.min(departure.order_by);
            Some(Leaving::of(schedule, departure))
        });
        let next: Vec<_> = next.collect();
        let some_are_shut = next.iter().any(Option::is_none);
        let later = next.iter().map(|_| OnceLock::new()).collect();
        Self { assigned, next, later, some_are_shut, from: now, until }
    }

    /// Whether it is of these nodes.
    pub(crate) fn is_of(&self, tenant: Tenant, table: &NodeTable) -> bool {
        self.assigned.tenant == tenant && self.assigned.version == table.version
    }

    /// Whether it is right at this time.
    pub(crate) fn is_right_at(&self, now: TimestampMs) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// By node: its schedule, by place; beyond all where it has none.
    pub(crate) fn by_node(&self) -> &[u32] {
        &self.assigned.of_node
    }

    /// The tenant's nodes that have no schedule.
    pub(crate) fn without_hours(&self) -> &[u32] {
        &self.assigned.without_hours
    }

    fn schedule(&self, node: u32) -> Option<usize> {
        let schedule = self.assigned.of_node.get(node as usize).filter(|schedule| **schedule != ALWAYS)?;
        Some(*schedule as usize)
    }

    /// Whether the node is open on some day to come.
    #[inline]
    pub(crate) fn opens(&self, node: u32) -> bool {
        !self.some_are_shut || self.schedule(node).is_none_or(|schedule| self.next[schedule].is_some())
    }

    /// What a day of the node takes at most; `None` where it has no limit.
    #[inline]
    pub(crate) fn limit(&self, node: NodeIx) -> Option<DayLoad> {
        self.assigned.limits.get(node.0 as usize).copied().filter(|limit| *limit != DayLoad::default())
    }

    /// Whether any node has a limit.
    pub(crate) fn has_limits(&self) -> bool {
        !self.assigned.limits.is_empty()
    }

    fn leaving(&self, node: NodeIx, passed: usize) -> Option<&Leaving> {
        let at = self.schedule(node.0)?;
        let next = self.next[at].as_ref()?;
        let Some(passed) = passed.checked_sub(1) else { return Some(next) };
        let later = self.later[at].get_or_init(|| {
            let schedule = &self.assigned.schedules[at];
            let all = schedule.departures(self.from, DEPARTURES_MAX).into_iter();
            all.skip(1).map(|departure| Leaving::of(schedule, departure)).collect()
        });
        later.get(passed)
    }

    /// When what is ordered now leaves the node where so many departures are let pass; `None` where the node has no calendar, or
    /// has no such departure.
    pub(crate) fn leaves(&self, node: NodeIx, passed: usize) -> Option<Departure> {
        self.leaving(node, passed).map(|leaving| leaving.departure)
    }

    /// By when that is delivered which is so many days on its way; `None` as for [`Timetable::leaves`].
    pub(crate) fn arrives(
        &self,
        node: NodeIx,
        passed: usize,
        days: usize,
        weekends: bool,
    ) -> Option<TimestampMs> {
        let leaving = self.leaving(node, passed)?;
        Some(leaving.arrives[usize::from(weekends)][days.min(TRANSIT_DAYS_MAX)])
    }

    /// The schedule of a node, and when what comes there on a day, by the node's clock, is there: as the day ends. `None` where
    /// the node has no calendar.
    pub(crate) fn there_on(&self, node: NodeIx, day: u32) -> Option<(&Schedule, TimestampMs)> {
        let schedule = &self.assigned.schedules[self.schedule(node.0)?];
        Some((schedule, schedule.end_of(day)))
    }

    /// How many schedules nodes share.
    pub(crate) fn schedules(&self) -> usize {
        self.next.len()
    }

    /// By when the next departure of a schedule is delivered, by days on the way; `None` where it opens no more.
    pub(crate) fn arrivals(&self, schedule: usize, weekends: bool) -> Option<&[TimestampMs]> {
        self.next[schedule].as_ref().map(|leaving| &*leaving.arrives[usize::from(weekends)])
    }

    /// When what is ordered at this time is ready to be picked up at the node, and on which day; `None` as for
    /// [`Timetable::leaves`].
    pub(crate) fn ready(&self, node: NodeIx, now: TimestampMs, passed: usize) -> Option<(TimestampMs, u32)> {
        self.assigned.schedules[self.schedule(node.0)?].ready(now, passed)
    }
}
