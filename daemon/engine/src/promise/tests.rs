//! Departures beside a clock that is watched minute by minute, and the days on which clocks are changed.

use earmark_protocol::catalogue::{CalendarSpec, DateHours, DayHours, NodeSpec};
use earmark_protocol::ids::{Tenant, TimestampMs};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::{Schedule, Timetable, check_calendar, time_zone};
use crate::NodeTable;

const MINUTE_MS: u64 = 60_000;

fn hours(opens_min: u16, closes_min: u16, cut_off_min: u16) -> Option<DayHours> {
    Some(DayHours { opens_min, closes_min, cut_off_min })
}

fn schedule(calendar: &CalendarSpec, zone: &str) -> Schedule {
    assert_eq!(check_calendar(calendar), Ok(()));
    Schedule::new(calendar.clone(), time_zone(zone).expect("it is built in"))
}

/// A moment by the clock of a zone.
fn at(zone: &str, text: &str) -> TimestampMs {
    let zoned = text.parse::<DateTime>().and_then(|at| at.in_tz(zone)).expect("a time of that zone");
    TimestampMs(zoned.timestamp().as_millisecond() as u64)
}

fn leaves(schedule: &Schedule, now: TimestampMs) -> Option<TimestampMs> {
    schedule.departures(now, 1).first().map(|departure| departure.leaves)
}

#[test]
fn an_order_leaves_on_the_day_whose_cut_off_it_meets_and_whose_hours_suffice() {
    let zone = "America/Chicago";
    let day = hours(8 * 60, 18 * 60, 14 * 60);
    let week = [day, day, day, day, day, None, None];
    let christmas = vec![DateHours { date: 20_261_225, hours: None }];
    let with = |handling_days, handling_min| {
        let spec = CalendarSpec {
            week,
            dates: christmas.clone(),
            handling_days,
            handling_min,
            ..Default::default()
        };
        schedule(&spec, zone)
    };
    // 2026-12-21 is a Monday, Christmas a Friday.
    for (handling, comes, goes) in [
        ((0, 0), "2026-12-21T13:59", "2026-12-21T18:00"),
        ((0, 0), "2026-12-21T14:00", "2026-12-21T18:00"),
        ((0, 0), "2026-12-21T14:01", "2026-12-22T18:00"),
        ((0, 0), "2026-12-21T02:00", "2026-12-21T18:00"),
        ((0, 0), "2026-12-24T14:01", "2026-12-28T18:00"),
        ((0, 0), "2026-12-26T09:00", "2026-12-28T18:00"),
        ((0, 240), "2026-12-21T14:00", "2026-12-21T18:00"),
        ((0, 300), "2026-12-21T13:00", "2026-12-21T18:00"),
        ((0, 300), "2026-12-21T13:01", "2026-12-22T18:00"),
        ((0, 600), "2026-12-21T03:00", "2026-12-21T18:00"),
        ((0, 601), "2026-12-21T03:00", "2026-12-22T18:00"),
        ((0, 1_200), "2026-12-24T08:00", "2026-12-28T18:00"),
        ((1, 0), "2026-12-21T14:00", "2026-12-22T18:00"),
        ((1, 0), "2026-12-21T14:01", "2026-12-23T18:00"),
        ((2, 0), "2026-12-23T10:00", "2026-12-28T18:00"),
        ((1, 601), "2026-12-21T10:00", "2026-12-23T18:00"),
    ] {
        let schedule = with(handling.0, handling.1);
        assert_eq!(leaves(&schedule, at(zone, comes)), Some(at(zone, goes)), "{handling:?} {comes}");
    }
    let departures = with(0, 0).departures(at(zone, "2026-12-24T10:00"), 3);
    let goes: Vec<_> = departures.iter().map(|departure| departure.leaves).collect();
    let expected = ["2026-12-24T18:00", "2026-12-28T18:00", "2026-12-29T18:00"];
    assert_eq!(goes, expected.map(|goes| at(zone, goes)));
    assert_eq!(departures[0].order_by, at(zone, "2026-12-24T14:00"));
    // 2026-12-24 is 20,811 days after 1970-01-01.
    assert_eq!(
        departures.iter().map(|departure| departure.day).collect::<Vec<_>>(),
        [20_811, 20_815, 20_816]
    );
}

#[test]
fn days_on_which_clocks_change_have_the_hours_that_pass() {
    let night = |handling_min| CalendarSpec {
        week: [hours(0, 6 * 60, 6 * 60); 7],
        handling_min,
        ..CalendarSpec::default()
    };
    let zone = "America/New_York";
    // From midnight to six are five hours where the clock skips one, and seven where it repeats one.
    for (date, hours) in [("2026-03-08", 5), ("2026-11-01", 7), ("2026-06-01", 6)] {
        let midnight = at(zone, &format!("{date}T00:00"));
        let six = Some(at(zone, &format!("{date}T06:00")));
        assert_eq!(leaves(&schedule(&night(hours * 60), zone), midnight), six, "{date}");
        assert_ne!(leaves(&schedule(&night(hours * 60 + 1), zone), midnight), six, "{date}");
        let ready = schedule(&night(hours * 60), zone).ready(midnight, 0).map(|(at, _)| at);
        assert_eq!(ready, six, "{date}");
    }
    // 02:30 does not come on 2026-03-08: it is 03:30 then. 01:30 comes twice on 2026-11-01: the first is meant.
    let early = CalendarSpec { week: [hours(150, 360, 150); 7], ..CalendarSpec::default() };
    let order_by = schedule(&early, zone).departures(at(zone, "2026-03-08T00:00"), 1)[0].order_by;
    assert_eq!(order_by, at(zone, "2026-03-08T03:30"));
    let twice = CalendarSpec { week: [hours(0, 360, 90); 7], ..CalendarSpec::default() };
    let order_by = schedule(&twice, zone).departures(at(zone, "2026-11-01T00:00"), 1)[0].order_by;
    assert_eq!(order_by.0, at(zone, "2026-11-01T00:00").0 + 90 * MINUTE_MS);
    // A day that closes in the skipped hour before it opens in it is open for no moment, and still a day.
    let skipped = CalendarSpec { week: [hours(130, 170, 170); 7], ..CalendarSpec::default() };
    let departure = schedule(&skipped, zone).departures(at(zone, "2026-03-08T00:00"), 1)[0];
    assert!(departure.order_by <= departure.leaves);
}

#[test]
fn a_calendar_that_opens_no_more_has_no_departures() {
    let once = CalendarSpec {
        week: [None; 7],
        dates: vec![DateHours { date: 20_261_225, hours: hours(480, 1_080, 840) }],
        ..CalendarSpec::default()
    };
    let schedule = schedule(&once, "UTC");
    assert_eq!(schedule.departures(at("UTC", "2026-12-25T14:00"), 9).len(), 1);
    assert_eq!(schedule.departures(at("UTC", "2026-12-25T14:01"), 9), []);
    assert_eq!(schedule.ready(at("UTC", "2026-12-25T14:01"), 0), None);
    assert_eq!(schedule.departures(TimestampMs(u64::MAX), 1), []);
}

/// What a person would do with a clock: look at it every minute, and cross days off.
struct Watcher<'a> {
    calendar: &'a CalendarSpec,
    zone: jiff::tz::TimeZone,
}

impl Watcher<'_> {
    fn look(&self, minute: u64) -> (Date, u16, Option<DayHours>) {
        let stamp = Timestamp::from_millisecond((minute * MINUTE_MS) as i64).expect("a time of this century");
        let local = self.zone.to_datetime(stamp);
        let number = local.year() as u32 * 10_000 + local.month() as u32 * 100 + local.day() as u32;
        let listed = self.calendar.dates.iter().find(|day| day.date == number);
        let of_week = self.calendar.week[local.weekday().to_monday_zero_offset() as usize];
        let clock = local.hour() as u16 * 60 + local.minute() as u16;
        (local.date(), clock, listed.map_or(of_week, |listed| listed.hours))
    }

    /// The minute at which the work is done, and the one at which it leaves.
    fn watch(&self, comes: u64) -> (u64, u64) {
        let mut minute = comes;
        let begins = |minute: u64| {
            let (_, clock, hours) = self.look(minute);
            hours.is_some_and(|hours| clock <= hours.cut_off_min)
        };
        while !begins(minute) {
            minute += 1;
        }
        let (mut day, ..) = self.look(minute);
        let mut passed = 0;
        while passed < self.calendar.handling_days {
            minute += 1;
            let (date, _, hours) = self.look(minute);
            if date != day && hours.is_some() {
                (day, passed) = (date, passed + 1);
            }
        }
        let is_open = |minute: u64| {
            let (_, clock, hours) = self.look(minute);
            hours.is_some_and(|hours| (hours.opens_min..=hours.closes_min).contains(&clock))
        };
        let works = |minute: u64| {
            let (_, clock, hours) = self.look(minute);
            hours.is_some_and(|hours| (hours.opens_min..hours.closes_min).contains(&clock))
        };
        while !is_open(minute) {
            minute += 1;
        }
        let mut left = self.calendar.handling_min;
        while left > 0 {
            left -= u16::from(works(minute));
            minute += 1;
        }
        let done = minute;
        let closes = |minute: u64| {
            let (_, clock, hours) = self.look(minute);
            hours.is_some_and(|hours| hours.closes_min == clock)
        };
        while !closes(minute) {
            minute += 1;
        }
        (done, minute)
    }
}

#[test]
fn departures_are_those_of_one_who_watches_the_clock() {
    let zones = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"];
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        // No edge lies in an hour that is skipped or repeated anywhere, and none at midnight.
        let mut day = || {
            let opens_min = random.u16(240..1_200);
            let closes_min = random.u16(opens_min + 1..1_440);
            let cut_off_min = random.u16(opens_min..=closes_min);
            (random.u8(..4) > 0).then_some(DayHours { opens_min, closes_min, cut_off_min })
        };
        let mut week: [Option<DayHours>; 7] = std::array::from_fn(|_| day());
        week[2] = hours(480, 1_080, 700);
        let dates = [20_260_307, 20_260_308, 20_261_031, 20_261_101, 20_261_102];
        let mut dates = dates.map(|date| DateHours { date, hours: day() }).to_vec();
        dates.retain(|_| random.bool());
        let (handling_days, handling_min) = (random.u16(..4), random.u16(..3) * random.u16(..900));
        let calendar = CalendarSpec { week, dates, handling_days, handling_min, ..CalendarSpec::default() };
        let zone = zones[random.usize(..zones.len())];
        let schedule = schedule(&calendar, zone);
        let watcher = Watcher { calendar: &calendar, zone: time_zone(zone).expect("it is built in") };
        let around = ["2026-03-05T00:00", "2026-10-29T00:00", "2026-06-01T00:00"][random.usize(..3)];
        let comes = at(zone, around).0 / MINUTE_MS + random.u64(..7 * 1_440);
        let (done, goes) = watcher.watch(comes);
        let now = TimestampMs(comes * MINUTE_MS);
        let ready = schedule.ready(now, 0).map(|(at, _)| at);
        assert_eq!(ready, Some(TimestampMs(done * MINUTE_MS)), "ready, seed {seed}");
        let departures = schedule.departures(now, 3);
        assert_eq!(departures[0].leaves, TimestampMs(goes * MINUTE_MS), "leaves, seed {seed}");
        // One who comes as late as it may still leaves with it, and one who comes later does not.
        let last = departures[0].order_by;
        assert_eq!(leaves(&schedule, last), Some(departures[0].leaves), "seed {seed}");
        assert_ne!(leaves(&schedule, TimestampMs(last.0 + 1)), Some(departures[0].leaves), "seed {seed}");
        let ascends = departures.windows(2).all(|pair| pair[0].order_by <= pair[1].order_by);
        assert!(ascends && departures.windows(2).all(|pair| pair[0].leaves < pair[1].leaves), "seed {seed}");
    }
}

#[test]
fn nodes_of_others_are_none_of_a_tenant_that_has_no_hours() {
    let always = hours(0, 1_440, 1_440);
    let calendar = CalendarSpec { code: "always".to_owned(), week: [always; 7], ..Default::default() };
    let mut table = NodeTable::default();
    table.put_calendar(Tenant(1), &calendar);
    for (tenant, code, calendar) in [(0, "A", ""), (1, "B", "always"), (1, "C", ""), (0, "D", "always")] {
        let (code, calendar) = (code.to_owned(), calendar.to_owned());
        table.put(Tenant(tenant), &NodeSpec { code, calendar, ..NodeSpec::default() });
    }
    let without_hours = |tenant, table: &NodeTable| {
        Timetable::new(Tenant(tenant), table, TimestampMs(0)).without_hours().to_vec()
    };
    assert_eq!(without_hours(1, &table), [2]);
    assert_eq!(without_hours(0, &table), [0, 3], "the calendar is of another tenant");
}
