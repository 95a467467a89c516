//! When shipments leave, by calendars whose work always fits between cut-off and close.

use earmark_protocol::catalogue::{CalendarSpec, DayHours, DayLoad};
use earmark_protocol::ids::{NodeIx, Tenant, TimestampMs};
use earmark_protocol::reply::Plan;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::{Model, Wish};

/// A plan is made at most this long before it is decided.
const PLANNED_BEFORE_MS: u64 = 60_000;

impl Model {
    /// Shipments leave when the node's calendar says for one of the moments around the decision.
    pub(super) fn judge_promises(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let earliest = TimestampMs(self.now.0.saturating_sub(PLANNED_BEFORE_MS));
        let models: Vec<&Self> =
            std::iter::once(self).chain(self.stale.as_ref().map(|stale| &*stale.then)).collect();
        for shipment in &plan.shipments {
            let (said, day) = (shipment.ship_at_ms, shipment.ship_day);
            let fits = models.iter().any(|model| {
                let (first, last) =
                    (model.ships(wish, shipment.node, earliest), model.ships(wish, shipment.node, self.now));
                let between = |(at, of): (TimestampMs, u32)| {
                    (at, of) == (said, day) || wish.is_pickup() && of == day && at <= said
                };
                first.is_some_and(between) || last == Some((said, day))
            });
            // No policy here says how fast goods travel.
            let promised = if wish.is_pickup() { said } else { TimestampMs(0) };
            if !fits || shipment.promise_at_ms != promised {
                let last = self.ships(wish, shipment.node, self.now);
                return Err(format!("{shipment:?} should leave at {last:?}, or as it was a moment before"));
            }
        }
        self.judge_days(plan)
    }

    /// When a shipment leaves, and the day that it takes room of; `None` where no day has room.
    pub(super) fn ships(
        &self,
        wish: &Wish<'_>,
        node: NodeIx,
        now: TimestampMs,
    ) -> Option<(TimestampMs, u32)> {
        if self.catalogue.nodes[node.0 as usize].spec.day_limit != DayLoad::default() {
            return self.ships_with_room(wish, node, now);
        }
        let at = self.ships_at(wish.tenant, node, wish.is_pickup(), now, 0);
        Some((at.map_or(TimestampMs(0), |(at, _)| at), 0))
    }

    /// When a shipment leaves where so many open days are let pass, and on which day; `None` without a calendar.
    pub(super) fn ships_at(
        &self,
        tenant: Tenant,
        node: NodeIx,
        is_pickup: bool,
        now: TimestampMs,
        passed: usize,
    ) -> Option<(TimestampMs, u32)> {
        let spec = &self.catalogue.nodes[node.0 as usize].spec;
        let calendar = self.catalogue.calendars.get(&(tenant, spec.calendar.clone()))?;
        let local = |min: u16, day: Date| {
            let at = day.to_datetime(jiff::civil::Time::midnight()) + i64::from(min).minutes();
            let zoned = at.in_tz(&spec.time_zone).expect("a known zone");
            TimestampMs(zoned.timestamp().as_millisecond() as u64)
        };
        let stamp = Timestamp::from_millisecond(now.0 as i64).expect("a time of this century");
        let mut day = stamp.in_tz(&spec.time_zone).expect("a known zone").date();
        let mut left = passed;
        loop {
            if let Some(hours) = hours_of(calendar, day)
                && now <= local(hours.cut_off_min, day)
            {
                if left > 0 {
                    left -= 1;
                    day = day.tomorrow().expect("some day is open");
                    continue;
                }
                let begins = now.max(local(hours.opens_min, day));
                let ready = begins.plus_ms(u64::from(calendar.handling_min) * 60_000);
                let of_day = (day - jiff::civil::date(1970, 1, 1)).get_days().unsigned_abs();
                return Some((if is_pickup { ready } else { local(hours.closes_min, day) }, of_day));
            }
            day = day.tomorrow().expect("some day is open");
        }
    }
}

fn hours_of(calendar: &CalendarSpec, day: Date) -> Option<DayHours> {
    let number = day.year() as u32 * 10_000 + day.month() as u32 * 100 + day.day() as u32;
    let listed = calendar.dates.iter().find(|listed| listed.date == number);
    listed.map_or(calendar.week[day.weekday().to_monday_zero_offset() as usize], |listed| listed.hours)
}
