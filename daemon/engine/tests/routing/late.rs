//! Lateness as a cost and as a bar, beside the oracle.

use earmark_engine::routing::Planner;
use earmark_protocol::catalogue::{CalendarSpec, DayHours};
use earmark_protocol::command::{CommandBody, Delivery, Order, SetPolicy};
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::reply::Eliminated;
use jiff::civil::Weekday;
use jiff::{Timestamp, ToSpan};

use super::oracle::{cheapest, demand, judge};
use super::world::{Lean, World, run};

const ZONE: &str = "America/Chicago";
/// 2026-11-24 18:00 UTC, a Tuesday noon in Chicago, in the week of Thanksgiving.
pub(crate) const NOW: TimestampMs = TimestampMs(1_795_543_200_000);
pub(crate) const DAY_MS: u64 = 86_400_000;

fn calendar(code: &str, opens: [bool; 7], closes_min: u16, cut_off_min: u16) -> CalendarSpec {
    let hours = DayHours { opens_min: 480, closes_min, cut_off_min };
    CalendarSpec {
        code: code.to_owned(),
        week: opens.map(|opens| opens.then_some(hours)),
        ..Default::default()
    }
}

pub(crate) fn calendars() -> [CalendarSpec; 3] {
    let weekdays = [true, true, true, true, true, false, false];
    [
        calendar("early", weekdays, 1_080, 600),
        calendar("late", weekdays, 1_320, 1_200),
        calendar("monday", [true, false, false, false, false, false, false], 1_080, 1_080),
    ]
}

/// How goods travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transit {
    pub(crate) miles_per_day: u32,
    pub(crate) weekends: bool,
}

/// By when an order that comes now is there, by a person with a wall calendar, who lets so many working days pass first.
pub(crate) fn promise(
    world: &World,
    order: &Order,
    node: usize,
    Transit { miles_per_day, weekends }: Transit,
    mut passed: usize,
) -> Option<u64> {
    let calendars = calendars();
    let calendar = calendars.iter().find(|calendar| calendar.code == world.nodes[node].calendar)?;
    let now = Timestamp::from_millisecond(NOW.0 as i64).expect("a time").in_tz(ZONE).expect("a zone");
    let clock = now.hour() as u16 * 60 + now.minute() as u16;
    let mut day = now.date();
    loop {
        let hours = calendar.week[day.weekday().to_monday_zero_offset() as usize];
        if hours.is_some_and(|hours| day > now.date() || clock <= hours.cut_off_min) {
            if passed == 0 {
                break;
            }
            passed -= 1;
        }
        day = day.tomorrow().expect("a day");
    }
    let closes = calendar.week[day.weekday().to_monday_zero_offset() as usize].expect("open").closes_min;
    if matches!(order.delivery, Delivery::Pickup { .. }) {
        // The work takes no time, so it is ready at once, or when the day opens.
        let opens = day.at(8, 0, 0, 0).in_tz(ZONE).expect("a zone").timestamp().as_millisecond() as u64;
        return Some(NOW.0.max(opens));
    }
    assert!(closes > 0);
    let miles = world.miles(order, node) as u32;
    let mut left = miles.div_ceil(miles_per_day).max(1);
    while left > 0 {
        day += 1.day();
        let counts = weekends || !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        left -= u32::from(counts);
    }
    Some(day.at(23, 59, 59, 0).in_tz(ZONE).expect("a zone").timestamp().as_millisecond() as u64)
}

#[test]
fn plans_are_the_cheapest_with_lateness_counted_in() {
    let mut random = fastrand::Rng::with_seed(31);
    let (mut planned, mut refused, mut changed, mut barred) = (0, 0, 0, 0);
    for turn in 0..3_000 {
        let mut world = World::random(&mut random);
        world.stock.values_mut().for_each(|available| *available += 3);
        for node in &mut world.nodes {
            node.calendar = ["", "early", "late", "monday"][random.usize(..4)].to_owned();
        }
        let plain = world.clone();
        world.nodes.iter_mut().for_each(|node| node.calendar.clear());
        let mut state = world.state();
        run(&mut state, CommandBody::PutCalendars(calendars().to_vec()));
        run(&mut state, CommandBody::PutNodes(plain.nodes.clone()));
        let (mut world, refuses) = (plain, random.bool());
        let (miles_per_day, weekends) = ([400, 500, 2_000][random.usize(..3)], random.bool());
        let cost = random.i64(1..6) * 500_000;
        let late = if refuses { "refuse" } else { "allow" };
        let text = format!(
            "name = \"a\"\nlate = \"{late}\"\ntransit_miles_per_day = {miles_per_day}\n\
             transit_weekends = {weekends}\nweights = {{ late_day = \"{}.{:06}\" }}\n",
            cost / 1_000_000,
            cost % 1_000_000
        );
        run(&mut state, CommandBody::SetPolicy(SetPolicy { text: text.clone() }));
        let mut order = world.order(&mut random);
        let wished = NOW.0 + random.u64(0..12 * DAY_MS);
        order.deliver_by_ms = (turn % 8 > 0).then_some(TimestampMs(wished));
        let promises: Vec<_> = (0..world.nodes.len())
            .map(|node| promise(&world, &order, node, Transit { miles_per_day, weekends }, 0))
            .collect();
        let days_late = |node: usize| match (promises[node], order.deliver_by_ms) {
            (Some(promise), Some(TimestampMs(wished))) => promise.saturating_sub(wished).div_ceil(DAY_MS),
            _ => 0,
        };
        let free = cheapest(&world, &order, &demand(&order));
        let mut lean = Lean::default();
        for node in 0..world.nodes.len() {
            let days = days_late(node);
            lean.extra.push(if refuses { 0 } else { cost * days as i64 });
            if refuses && days > 0 {
                lean.excluded.extend((0..world.flags.len()).map(|sku| (sku, node)));
            }
        }
        world.lean = lean;
        let reader = state.reader();
        let ours = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
        match (ours, cheapest(&world, &order, &demand(&order))) {
            (Ok(proposal), Some(expected)) => {
                assert_eq!(judge(&world, &order, &proposal), demand(&order), "turn {turn}");
                let said = (proposal.plan.cost.0, proposal.plan.bound.0);
                assert_eq!(said, (expected.0, expected.0), "turn {turn}: {text} {world:#?} {order:#?}");
                for shipment in &proposal.plan.shipments {
                    let node = shipment.node.0 as usize;
                    assert_eq!(shipment.promise_at_ms.0, promises[node].unwrap_or(0), "turn {turn}");
                    assert_eq!(shipment.policy_cost.0, world.lean.extra[node], "turn {turn}");
                }
                let told = proposal.plan.eliminated.iter().any(|told| told.rule == Eliminated::LATE);
                barred += u32::from(told);
                assert!(!told || refuses, "turn {turn}");
                changed += u32::from(free.is_some_and(|free| free.2 != expected.2));
                planned += 1;
            }
            (Err(_), None) => refused += 1,
            (ours, expected) => {
                panic!("turn {turn}: {ours:?} but {expected:?}: {text} {world:#?} {order:#?}")
            }
        }
    }
    assert!(
        planned > 1_000 && refused > 100 && changed > 50 && barred > 100,
        "{planned} {refused} {changed} {barred}"
    );
}
