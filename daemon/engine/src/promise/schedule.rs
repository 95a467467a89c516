//! A calendar in a time zone, as moments: when days open and close, and by when an order must come to leave with them.

use earmark_protocol::catalogue::{CalendarSpec, DayHours};
use earmark_protocol::ids::TimestampMs;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use super::calendar::{date, date_at, day_of};
use super::transit::TRANSIT_DAYS_MAX;

/// How many days ahead departures are looked for: a year and a month, so that a yearly date is found.
const DAYS_AHEAD: usize = 400;
const MINUTE_MS: u64 = 60_000;

/// A calendar in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    calendar: CalendarSpec,
    zone: TimeZone,
}

/// A day's close, when what is ready leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The last moment at which an order may come to leave with it.
    pub order_by: TimestampMs,
    /// When it leaves.
    pub leaves: TimestampMs,
    /// The date, by the node's clock, in days since 1970.
    pub day: u32,
}

/// An open day as moments.
#[derive(Clone, Copy, Debug)]
struct OpenDay {
    day: u32,
    opens: u64,
    closes: u64,
    cut_off: u64,
}

impl Schedule {
    /// That of a calendar that was checked.
    #[must_use]
    pub fn new(calendar: CalendarSpec, zone: TimeZone) -> Self {
        Self { calendar, zone }
    }

    /// The next departures for an order that comes now, at most so many, the earliest first. Fewer, or none, where no more
    /// come within a year.
    #[must_use]
    pub fn departures(&self, now: TimestampMs, most: usize) -> Vec<Departure> {
        let mut days: Vec<OpenDay> = Vec::new();
        let mut found = Vec::with_capacity(most);
        for open in self.open_days(now) {
            if found.len() == most {
                break;
            }
            days.push(open);
            let Some(order_by) = self.order_by(&days).filter(|order_by| *order_by >= now.0) else { continue };
            let (order_by, leaves) = (TimestampMs(order_by), TimestampMs(open.closes));
            found.push(Departure { order_by, leaves, day: open.day });
        }
        found
    }

    /// When an order that comes now is ready to be handed over at the node, and the date that is then by the node's clock, in
    /// days since 1970; where so many open days are let pass before the work begins. `None` where that is not within a year.
    #[must_use]
    pub fn ready(&self, now: TimestampMs, passed: usize) -> Option<(TimestampMs, u32)> {
        let mut days = self.open_days(now).skip_while(|day| day.cut_off < now.0).skip(passed);
        let mut at = days.next()?;
        let mut begins = at.opens.max(now.0);
        for _ in 0..self.calendar.handling_days {
            at = days.next()?;
            begins = at.opens;
        }
        let mut needed = u64::from(self.calendar.handling_min) * MINUTE_MS;
        loop {
            let left = at.closes.saturating_sub(begins);
            if needed <= left {
                return Some((TimestampMs(begins + needed), at.day));
            }
            needed -= left;
            at = days.next()?;
            begins = at.opens;
        }
    }

    /// By when what leaves then arrives after 0 days, 1 day and so on: by the end of the day, by the node's clock, since
    /// where an address is says not what its clock shows. Without `weekends`, days are those from Monday to Friday.
    pub(crate) fn arrivals(&self, leaves: TimestampMs, weekends: bool) -> Vec<TimestampMs> {
        let mut day = date_at(leaves, &self.zone);
        let mut arrivals = vec![self.ends(day)];
        while arrivals.len() <= TRANSIT_DAYS_MAX {
            day = day.tomorrow().unwrap_or(day);
            if weekends || day == Date::MAX || !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
                arrivals.push(self.ends(day));
            }
        }
        arrivals
    }

    /// The last second of a day, in days since 1970.
    pub(super) fn end_of(&self, day: u32) -> TimestampMs {
        let since = Span::new().try_days(day).and_then(|days| Date::constant(1970, 1, 1).checked_add(days));
        self.ends(since.unwrap_or(Date::MAX))
    }

    fn ends(&self, day: Date) -> TimestampMs {
        TimestampMs(self.moment(day.at(23, 59, 59, 0)).unwrap_or(u64::MAX))
    }

    /// The last moment at which an order may come to leave at the close of the last of these days; `None` where that was
    /// before the first of them.
    fn order_by(&self, days: &[OpenDay]) -> Option<u64> {
        let mut needed = u64::from(self.calendar.handling_min) * MINUTE_MS;
        let mut at = days.len() - 1;
        while needed > days[at].closes - days[at].opens {
            needed -= days[at].closes - days[at].opens;
            at = at.checked_sub(1)?;
        }
        match usize::from(self.calendar.handling_days) {
            0 => Some(days[at].cut_off.min(days[at].closes - needed)),
            // After days of handling the minutes begin when a day opens.
            passed => Some(days[at.checked_sub(passed)?].cut_off),
        }
    }

    /// The open days from the one on that it is now.
    fn open_days(&self, now: TimestampMs) -> impl Iterator<Item = OpenDay> {
        let today = date_at(now, &self.zone);
        let dates = std::iter::successors(Some(today), |date| date.tomorrow().ok());
        dates.take(DAYS_AHEAD).filter_map(|date| self.open_day(date))
    }

    fn open_day(&self, day: Date) -> Option<OpenDay> {
        let of_week = self.calendar.week[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())];
        let dates = &self.calendar.dates;
        let listed = dates.binary_search_by_key(&Some(day), |listed| date(listed.date));
        let DayHours { opens_min, closes_min, cut_off_min } =
            listed.map_or(of_week, |listed| dates[listed].hours)?;
        let midnight = day.to_datetime(jiff::civil::Time::midnight());
        let [opens, closes, cut_off] = [opens_min, closes_min, cut_off_min]
            .map(|min| midnight.checked_add(i64::from(min).minutes()).ok().and_then(|at| self.moment(at)));
        let day = day_of(day);
        let (opens, closes) = (opens?, closes?);
        Some(OpenDay {
            day,
            opens,
            closes: closes.max(opens),
            cut_off: cut_off?.clamp(opens, closes.max(opens)),
        })
    }

    /// The moment of a time by the clock on the wall. One that is skipped is as much later as the clock goes forward; of one
    /// that comes twice, the first is meant.
    fn moment(&self, at: DateTime) -> Option<u64> {
        let moment = self.zone.to_ambiguous_timestamp(at).compatible().ok()?;
        Some(u64::try_from(moment.as_millisecond()).unwrap_or(0))
    }
}
