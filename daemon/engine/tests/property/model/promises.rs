//! When shipments leave, by calendars whose work always fits between cut-off and close.

use earmark_protocol::catalogue::{CalendarSpec, DayHours};
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
        for shipment in &plan.shipments {
            let moment = |now| self.ships_at(wish.tenant, shipment.node, wish.is_pickup(), now);
            let (first, last) = (moment(earliest), moment(self.now));
            let said = shipment.ship_at_ms;
            let fits = said == first || said == last || wish.is_pickup() && (first..=last).contains(&said);
            // No policy here says how fast goods travel.
            let promised = if wish.is_pickup() { said } else { TimestampMs(0) };
            if !fits || shipment.promise_at_ms != promised {
                return Err(format!("{shipment:?} should leave at {first} or {last}"));
            }
        }
        Ok(())
    }

    fn ships_at(&self, tenant: Tenant, node: NodeIx, is_pickup: bool, now: TimestampMs) -> TimestampMs {
        let spec = &self.catalogue.nodes[node.0 as usize].spec;
        let Some(calendar) = self.catalogue.calendars.get(&(tenant, spec.calendar.clone())) else {
            return TimestampMs(0);
        };
        let local = |min: u16, day: Date| {
            let at = day.to_datetime(jiff::civil::Time::midnight()) + i64::from(min).minutes();
            let zoned = at.in_tz(&spec.time_zone).expect("a known zone");
            TimestampMs(zoned.timestamp().as_millisecond() as u64)
        };
        let stamp = Timestamp::from_millisecond(now.0 as i64).expect("a time of this century");
        let mut day = stamp.in_tz(&spec.time_zone).expect("a known zone").date();
        loop {
            if let Some(hours) = hours_of(calendar, day)
                && now <= local(hours.cut_off_min, day)
            {
                let begins = now.max(local(hours.opens_min, day));
                let ready = begins.plus_ms(u64::from(calendar.handling_min) * 60_000);
                return if is_pickup { ready } else { local(hours.closes_min, day) };
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
