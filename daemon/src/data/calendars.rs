//! The file `calendars`: a row per day of a calendar, or per span of days of the week. What is said of the calendar as a
//! whole stands in its first row; later rows leave it empty or say the same.

use std::collections::HashMap;

use earmark_engine::promise::{CalendarFault, check_calendar, date_text};
use earmark_protocol::catalogue::{CalendarSpec, DateHours, DayHours};

use super::field;
use super::table::{Column, Located, Row, optional, required};
use super::trouble::BadRows;

/// Its columns.
pub const COLUMNS: &[Column] = &[
    required("calendar"),
    required("day"),
    optional("opens"),
    optional("closes"),
    optional("cut_off"),
    optional("handling"),
];

/// Names of the days of the week.
pub const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Which days a row speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    /// Of the week, from 0 for Monday.
    Week(std::ops::RangeInclusive<usize>),
    /// A date, like 20261225.
    Date(u32),
}

/// How long the work takes.
type Handling = (u16, u16);

/// One row.
#[derive(Clone, Debug)]
pub struct CalendarRow {
    calendar: String,
    days: Days,
    hours: Option<DayHours>,
    handling: Option<Handling>,
}

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<CalendarRow> {
    let calendar = row.required("calendar", field::code);
    let days = row.required("day", days);
    let opens = row.optional("opens", clock);
    let closes = row.optional("closes", clock);
    let cut_off = row.optional("cut_off", clock);
    let handling = row.optional("handling", handling);
    match (row.has("opens"), row.has("closes")) {
        (true, false) => {
            row.wrong("closes", "the day opens and does not close; give both, or none for a closed day")
        }
        (false, true) => {
            row.wrong("opens", "the day closes and does not open; give both, or none for a closed day")
        }
        (false, false) if row.has("cut_off") => {
            row.wrong("cut_off", "the day is closed and has a cut-off; leave it empty, or give the hours");
        }
        _ => {}
    }
    let hours = opens.zip(closes).map(|(opens_min, closes_min)| DayHours {
        opens_min,
        closes_min,
        cut_off_min: cut_off.unwrap_or(closes_min),
    });
    Some(CalendarRow { calendar: calendar?, days: days?, hours, handling })
}

/// A calendar in the making: its lines, by place as the check names it; the first is that of place 0.
struct Draft {
    spec: CalendarSpec,
    handling: Option<Handling>,
    lines: HashMap<u32, u64>,
}

/// Puts the rows of each calendar together, in the order in which they first appear, and checks them.
#[must_use]
pub fn group(file: &str, rows: Vec<Located<CalendarRow>>, bad: &mut BadRows) -> Vec<Located<CalendarSpec>> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for Located { line, value: CalendarRow { calendar, days, hours, handling } } in rows {
        let at = *places.entry(calendar).or_insert_with_key(|code| {
            let spec = CalendarSpec { code: code.clone(), ..CalendarSpec::default() };
            drafts.push(Draft { spec, handling, lines: HashMap::from([(0, line)]) });
            drafts.len() - 1
        });
        let draft = &mut drafts[at];
        if handling.is_some() && handling != draft.handling {
            let reason = "it differs from the calendar's first row; leave it empty or say the same";
            bad.push(file, line, "handling", reason);
        }
        let mut take = |place: u32, name: String| {
            let before = draft.lines.insert(place, line);
            if let Some(before) = before {
                bad.push(file, line, "day", format!("{name} stands in line {before} already"));
            }
            before.is_none()
        };
        match days {
            Days::Week(days) => {
                for day in days {
                    if take(day as u32 + 1, DAY_NAMES[day].to_owned()) {
                        draft.spec.week[day] = hours;
                    }
                }
            }
            Days::Date(date) => {
                if take(date, date_text(date)) {
                    draft.spec.dates.push(DateHours { date, hours });
                }
            }
        }
    }
    drafts.into_iter().filter_map(|draft| finish(file, draft, bad)).collect()
}

fn finish(file: &str, draft: Draft, bad: &mut BadRows) -> Option<Located<CalendarSpec>> {
    let Draft { mut spec, handling, lines } = draft;
    spec.dates.sort_unstable_by_key(|day| day.date);
    (spec.handling_days, spec.handling_min) = handling.unwrap_or_default();
    let Err((place, fault)) = check_calendar(&spec) else {
        return Some(Located { line: lines[&0], value: spec });
    };
    let column = match fault {
        CalendarFault::ClosesTooEarly(_) | CalendarFault::ClosesTooLate(_) => "closes",
        CalendarFault::CutOffOutside(_) => "cut_off",
        CalendarFault::HandlingTooLong => "handling",
        CalendarFault::NoSuchDate(_) | CalendarFault::DateNotAfter(_) | CalendarFault::TooManyDates => "day",
        CalendarFault::NeverOpen => "opens",
    };
    bad.push(file, lines[&place], column, format!("calendar {:?}: {fault}", spec.code));
    None
}

/// `mon`, `mon-fri` or `2026-12-25`.
fn days(text: &str) -> Result<Days, String> {
    let day = |name: &str| DAY_NAMES.iter().position(|known| *known == name);
    let digits: String = text.split('-').collect();
    let is_date = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    if let Some(number) = digits.parse().ok().filter(|_| is_date) {
        return Ok(Days::Date(number));
    }
    let span = match text.split_once('-') {
        Some((first, last)) => day(first).zip(day(last)),
        None => day(text).map(|day| (day, day)),
    };
    let span = span.filter(|(first, last)| first <= last);
    span.map(|(first, last)| Days::Week(first..=last)).ok_or_else(|| {
        let known = DAY_NAMES.join(", ");
        format!("{text:?} is no day; write one of {known}, a span like mon-fri, or a date like 2026-12-25")
    })
}

/// A time of the day, in minutes after midnight.
fn clock(text: &str) -> Result<u16, String> {
    let two = |part: &str| part.parse::<u16>().ok().filter(|_| part.len() == 2);
    let parts = text.split_once(':').and_then(|(hours, minutes)| two(hours).zip(two(minutes)));
    let minutes = parts.filter(|(hours, minutes)| *minutes < 60 && *hours <= 24);
    let minutes = minutes.map(|(hours, minutes)| hours * 60 + minutes).filter(|minutes| *minutes <= 24 * 60);
    minutes.ok_or_else(|| format!("{text:?} is no time of the day; write it like 08:30, 24:00 at the latest"))
}

/// A sum of open days, and of hours and minutes that are worked: `1d`, `4h`, `90m`, `1d 2h`.
fn handling(text: &str) -> Result<Handling, String> {
    let wrong = || format!("{text:?} is no handling time; write it like 4h, 90m, 1d or 1d 2h");
    let (mut days, mut minutes) = (0_u16, 0_u16);
    for word in text.split_whitespace() {
        let (number, unit) = word.split_at(word.len() - word.chars().next_back().map_or(0, char::len_utf8));
        let number: u16 = number.parse().map_err(|_| wrong())?;
        let sum = |sum: u16, each: u16| number.checked_mul(each).and_then(|more| sum.checked_add(more));
        match unit {
            "d" => days = sum(days, 1).ok_or_else(wrong)?,
            "h" => minutes = sum(minutes, 60).ok_or_else(wrong)?,
            "m" => minutes = sum(minutes, 1).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Ok((days, minutes))
}

/// A time of the day as it is written in files.
#[must_use]
pub fn clock_text(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A handling time as it is written in files; empty for none.
#[must_use]
pub fn handling_text(spec: &CalendarSpec) -> String {
    let (hours, minutes) = (spec.handling_min / 60, spec.handling_min % 60);
    let parts = [(spec.handling_days, 'd'), (hours, 'h'), (minutes, 'm')];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, unit)| format!("{number}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_times_and_handling_read_as_they_are_written() {
        assert_eq!(days("mon-fri"), Ok(Days::Week(0..=4)));
        assert_eq!(days("sun"), Ok(Days::Week(6..=6)));
        assert_eq!(days("2026-12-25"), Ok(Days::Date(20_261_225)));
        for text in ["", "friday", "fri-mon", "2026-1-25", "2026-12-2x", "mon-", "-"] {
            assert!(days(text).is_err(), "{text:?} was taken for a day");
        }
        assert_eq!((clock("08:30"), clock("24:00"), clock("00:00")), (Ok(510), Ok(1_440), Ok(0)));
        for text in ["", "8:30", "24:01", "25:00", "08:60", "0830", "08:30:00", "-1:00"] {
            assert!(clock(text).is_err(), "{text:?} was taken for a time");
        }
        assert_eq!((handling("1d 2h 30m"), handling("90m")), (Ok((1, 150)), Ok((0, 90))));
        for text in ["4", "h", "4 h", "4x", "4é", "-1h", "70000m", "2000h"] {
            assert!(handling(text).is_err(), "{text:?} was taken for a handling time");
        }
        let spec = CalendarSpec { handling_days: 1, handling_min: 150, ..CalendarSpec::default() };
        assert_eq!(handling_text(&spec), "1d 2h 30m");
    }
}
