//! What a calendar must be, whoever gives it: a data file, a client, or the log.

use std::fmt;
use std::sync::LazyLock;

use earmark_protocol::catalogue::{
    CALENDAR_DATES_MAX, CalendarSpec, DayHours, HANDLING_DAYS_MAX, HANDLING_MIN_MAX,
};
use earmark_protocol::ids::TimestampMs;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Minutes of a day that is 24 hours long.
const DAY_MIN: u16 = 1_440;

/// Why a calendar cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarFault {
    /// A day closes before it opens, or as it does.
    ClosesTooEarly(DayHours),
    /// A day closes after midnight.
    ClosesTooLate(DayHours),
    /// The cut-off is outside of the hours.
    CutOffOutside(DayHours),
    /// There is no such date.
    NoSuchDate(u32),
    /// The dates do not ascend.
    DateNotAfter(u32),
    /// There are more dates than this.
    TooManyDates,
    /// No day is open.
    NeverOpen,
    /// The handling takes too long.
    HandlingTooLong,
}

impl fmt::Display for CalendarFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |min: u16| format!("{:02}:{:02}", min / 60, min % 60);
        let span = |hours: &DayHours| format!("{} to {}", clock(hours.opens_min), clock(hours.closes_min));
        match self {
            Self::ClosesTooEarly(hours) => {
                write!(f, "the hours are {}; a day closes after it opens", span(hours))
            }
            Self::ClosesTooLate(hours) => {
                write!(f, "the hours are {}; a day closes at 24:00 at the latest", span(hours))
            }
            Self::CutOffOutside(hours) => {
                let cut_off = clock(hours.cut_off_min);
                write!(f, "the cut-off is {cut_off}; it must lie within the hours, {}", span(hours))
            }
            Self::NoSuchDate(number) => {
                write!(f, "there is no date {}; write it like 2026-12-25", date_text(*number))
            }
            Self::DateNotAfter(number) => {
                write!(f, "the date {} stands twice, or before an earlier one", date_text(*number))
            }
            Self::TooManyDates => write!(f, "there are more than {CALENDAR_DATES_MAX} dates"),
            Self::NeverOpen => write!(f, "no day of the week and no date is open"),
            Self::HandlingTooLong => write!(
                f,
                "the handling takes too long; it takes {HANDLING_DAYS_MAX} days and {HANDLING_MIN_MAX} minutes at most"
            ),
        }
    }
}

/// A date's number, like 20261225, as people write it, whether there is that date or not.
#[must_use]
pub fn date_text(number: u32) -> String {
    format!("{:04}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100)
}

/// The time zones that are built in, those that were asked for at hand.
static TIME_ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The time zone of an IANA name, out of the database that is built in, so that all machines agree.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    TIME_ZONES.get(name).ok()
}

/// The date that clocks in a zone show.
pub(super) fn date_at(now: TimestampMs, zone: &TimeZone) -> Date {
    let millis = i64::try_from(now.0).unwrap_or(i64::MAX);
    let now = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    zone.to_datetime(now).date()
}

/// A date in days since 1970.
pub(super) fn day_of(date: Date) -> u32 {
    (date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24).max(0) as u32
}

/// The date that clocks in a zone show, in days since 1970.
pub(crate) fn day_at(now: TimestampMs, zone: &TimeZone) -> u32 {
    day_of(date_at(now, zone))
}

/// A date of its number, like 20261225.
pub(super) fn date(number: u32) -> Option<Date> {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year, month, day).ok().filter(|date| (1970..=9000).contains(&date.year()))
}

/// Checks a calendar. The fault that stands first comes with its place: 1 to 7 for a day of the week, Monday first, a date's
/// number, or 0 for the whole.
///
/// # Errors
/// Where the calendar cannot be.
pub fn check_calendar(spec: &CalendarSpec) -> Result<(), (u32, CalendarFault)> {
    for (place, hours) in (1..).zip(&spec.week) {
        hours.as_ref().map_or(Ok(()), check_hours).map_err(|fault| (place, fault))?;
    }
    let mut before = 0;
    for day in &spec.dates {
        let number = day.date;
        if date(number).is_none() {
            return Err((number, CalendarFault::NoSuchDate(number)));
        }
        if number <= before {
            return Err((number, CalendarFault::DateNotAfter(number)));
        }
        before = number;
        day.hours.as_ref().map_or(Ok(()), check_hours).map_err(|fault| (number, fault))?;
    }
    let dates_open = spec.dates.iter().any(|day| day.hours.is_some());
    let fault = if spec.dates.len() > CALENDAR_DATES_MAX {
        CalendarFault::TooManyDates
    } else if spec.week.iter().all(Option::is_none) && !dates_open {
        CalendarFault::NeverOpen
    } else if spec.handling_days > HANDLING_DAYS_MAX || spec.handling_min > HANDLING_MIN_MAX {
        CalendarFault::HandlingTooLong
    } else {
        return Ok(());
    };
    Err((0, fault))
}

fn check_hours(hours: &DayHours) -> Result<(), CalendarFault> {
    if hours.closes_min <= hours.opens_min {
        return Err(CalendarFault::ClosesTooEarly(*hours));
    }
    if hours.closes_min > DAY_MIN {
        return Err(CalendarFault::ClosesTooLate(*hours));
    }
    if !(hours.opens_min..=hours.closes_min).contains(&hours.cut_off_min) {
        return Err(CalendarFault::CutOffOutside(*hours));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::DateHours;

    use super::*;

    fn hours(opens: u16, closes: u16, cut_off: u16) -> Option<DayHours> {
        Some(DayHours { opens_min: opens * 60, closes_min: closes * 60, cut_off_min: cut_off * 60 })
    }

    #[test]
    fn a_calendar_that_cannot_be_is_refused_at_its_place() {
        let sound = CalendarSpec { week: [hours(8, 18, 14); 7], ..CalendarSpec::default() };
        assert_eq!(check_calendar(&sound), Ok(()));
        let of_week = |day: usize, hours| {
            let mut spec = sound.clone();
            spec.week[day] = hours;
            spec
        };
        let of_dates = |dates: &[(u32, Option<DayHours>)]| CalendarSpec {
            dates: dates.iter().map(|(date, hours)| DateHours { date: *date, hours: *hours }).collect(),
            ..sound.clone()
        };
        let handling =
            |handling_days, handling_min| CalendarSpec { handling_days, handling_min, ..sound.clone() };
        let many: Vec<_> = (0..401).map(|at| (20_260_101 + at / 28 * 100 + at % 28, None)).collect();
        let text = |spec: &CalendarSpec| {
            check_calendar(spec)
                .map_err(|(place, fault)| format!("{place}: {fault}"))
                .err()
                .unwrap_or_default()
        };
        for (spec, reason) in [
            (of_week(0, hours(18, 8, 14)), "1: the hours are 18:00 to 08:00; a day closes after it opens"),
            (of_week(6, hours(8, 8, 8)), "7: the hours are 08:00 to 08:00; a day closes after it opens"),
            (
                of_week(2, hours(8, 25, 9)),
                "3: the hours are 08:00 to 25:00; a day closes at 24:00 at the latest",
            ),
            (
                of_week(2, hours(8, 18, 19)),
                "3: the cut-off is 19:00; it must lie within the hours, 08:00 to 18:00",
            ),
            (
                of_week(2, hours(8, 18, 7)),
                "3: the cut-off is 07:00; it must lie within the hours, 08:00 to 18:00",
            ),
            (
                of_dates(&[(20_260_229, None)]),
                "20260229: there is no date 2026-02-29; write it like 2026-12-25",
            ),
            (of_dates(&[(12, None)]), "12: there is no date 0000-00-12; write it like 2026-12-25"),
            (
                of_dates(&[(20_261_225, None), (20_261_225, None)]),
                "20261225: the date 2026-12-25 stands twice, or before an earlier one",
            ),
            (
                of_dates(&[(20_261_225, hours(9, 8, 8))]),
                "20261225: the hours are 09:00 to 08:00; a day closes after it opens",
            ),
            (handling(61, 0), "0: the handling takes too long; it takes 60 days and 14400 minutes at most"),
            (
                handling(0, 14_401),
                "0: the handling takes too long; it takes 60 days and 14400 minutes at most",
            ),
            (
                CalendarSpec {
                    week: [None; 7],
                    dates: of_dates(&[(20_261_225, None)]).dates,
                    ..sound.clone()
                },
                "0: no day of the week and no date is open",
            ),
        ] {
            assert_eq!(text(&spec), reason);
        }
        assert!(
            text(&of_dates(&many)).ends_with("it like 2026-12-25")
                || text(&of_dates(&many)).contains("more than 400")
        );
        let once = CalendarSpec {
            week: [None; 7],
            dates: of_dates(&[(20_261_225, hours(0, 24, 24))]).dates,
            ..sound
        };
        assert_eq!(check_calendar(&once), Ok(()), "open on one date alone");
    }

    #[test]
    fn time_zones_are_those_that_are_built_in() {
        assert!(time_zone("America/Chicago").is_some());
        assert!(time_zone("America/Gotham").is_none());
    }
}
