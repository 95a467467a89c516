//! A tenant's nodes with their schedules, and when from each of them leaves what is ordered now.
//!
//! A plan asks for every node it looks at, so all that takes time is done here, once for all plans until the next cut-off
//! anywhere: nodes that share calendar and time zone share a schedule.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_protocol::ids::{NodeIx, Tenant, TimestampMs};

use super::{Schedule, TRANSIT_DAYS_MAX, Transit, time_zone};
use crate::NodeTable;

/// Of a node without a calendar.
const ALWAYS: u32 = u32::MAX;
/// Where no departure is within sight, it is looked for again after this time.
const LOOK_AGAIN_MS: u64 = 24 * 3_600_000;

/// Which schedule each node works by.
#[derive(Debug)]
struct Assigned {
    tenant: Tenant,
    version: u64,
    /// By node; [`ALWAYS`] for none.
    of_node: Vec<u32>,
    schedules: Vec<Schedule>,
}

/// When what is ordered at a time leaves.
#[derive(Debug)]
pub(crate) struct Timetable {
    assigned: Arc<Assigned>,
    /// By schedule; `None` where it opens no more.
    leaves: Vec<Option<TimestampMs>>,
    /// By schedule and days on the way: by when what leaves then is delivered, on weekdays alone and on all days.
    arrives: [Vec<TimestampMs>; 2],
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
        let of_node = of_node.collect();
        Self::at(Arc::new(Assigned { tenant, version: table.version, of_node, schedules }), now)
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
            Some(departure.leaves)
        });
        let leaves: Vec<_> = next.collect();
        let some_are_shut = leaves.contains(&None);
        let arrives = [false, true].map(|weekends| {
            let each = assigned.schedules.iter().zip(&leaves);
            each.flat_map(|(schedule, leaves)| schedule.arrivals(leaves.unwrap_or(now), weekends)).collect()
        });
        Self { assigned, leaves, arrives, some_are_shut, from: now, until }
    }

    /// Whether it is of these nodes.
    pub(crate) fn is_of(&self, tenant: Tenant, table: &NodeTable) -> bool {
        self.assigned.tenant == tenant && self.assigned.version == table.version
    }

    /// Whether it is right at this time.
    pub(crate) fn is_right_at(&self, now: TimestampMs) -> bool {
        (self.from..=self.until).contains(&now)
    }

    fn schedule(&self, node: u32) -> Option<usize> {
        let schedule = self.assigned.of_node.get(node as usize).filter(|schedule| **schedule != ALWAYS)?;
        Some(*schedule as usize)
    }

    /// Whether the node is open on some day to come.
    #[inline]
    pub(crate) fn opens(&self, node: u32) -> bool {
        !self.some_are_shut || self.schedule(node).is_none_or(|schedule| self.leaves[schedule].is_some())
    }

    /// When what is ordered now leaves the node; `None` where the node has no calendar, or opens no more.
    pub(crate) fn leaves(&self, node: NodeIx) -> Option<TimestampMs> {
        self.leaves[self.schedule(node.0)?]
    }

    /// By when what is ordered now and goes so many miles is delivered; `None` as for [`Timetable::leaves`].
    pub(crate) fn arrives(&self, node: NodeIx, transit: Transit, miles: u32) -> Option<TimestampMs> {
        let schedule = self.schedule(node.0).filter(|schedule| self.leaves[*schedule].is_some())?;
        let days = transit.days(miles).min(TRANSIT_DAYS_MAX);
        Some(self.arrives[usize::from(transit.weekends)][schedule * (TRANSIT_DAYS_MAX + 1) + days])
    }

    /// When what is ordered at this time is ready to be picked up at the node; `None` as for [`Timetable::leaves`].
    pub(crate) fn ready(&self, node: NodeIx, now: TimestampMs) -> Option<TimestampMs> {
        self.assigned.schedules[self.schedule(node.0)?].ready(now)
    }
}
