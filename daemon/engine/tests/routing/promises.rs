//! When shipments leave, as plans say it.

use earmark_engine::State;
use earmark_engine::routing::Planner;
use earmark_protocol::catalogue::{CalendarSpec, DateHours, DayHours, NodeSpec};
use earmark_protocol::command::{CommandBody, Delivery, Order};
use earmark_protocol::ids::{NodeIx, Tenant, TimestampMs};
use earmark_protocol::refusal::RefusalCode;
use jiff::civil::DateTime;

use super::world::{World, run};

fn at(text: &str) -> TimestampMs {
    let zoned = text.parse::<DateTime>().and_then(|at| at.in_tz("America/Chicago")).expect("a time there");
    TimestampMs(zoned.timestamp().as_millisecond() as u64)
}

/// One node that has all, which works by this calendar.
fn world(calendar: Option<&CalendarSpec>) -> (World, State) {
    let mut world = World::random(&mut fastrand::Rng::with_seed(7));
    let spec = world.nodes[0].clone();
    world.nodes = vec![NodeSpec { capabilities: earmark_protocol::catalogue::capabilities::ALL, ..spec }];
    world.stock = (0..4).map(|sku| ((sku, 0, 0), 100)).collect();
    let mut state = world.state();
    if let Some(calendar) = calendar {
        run(&mut state, CommandBody::PutCalendars(vec![calendar.clone()]));
        world.nodes[0].calendar.clone_from(&calendar.code);
        run(&mut state, CommandBody::PutNodes(world.nodes.clone()));
    }
    (world, state)
}

fn order(world: &World, delivery: Option<Delivery>) -> Order {
    let mut order = world.order(&mut fastrand::Rng::with_seed(3));
    let address = Delivery::Ship {
        position: earmark_protocol::geo::Position::from_degrees(40.0, -89.0).expect("on the globe"),
        postal: String::new(),
        home: false,
    };
    (order.nodes, order.shipments_max) = (Vec::new(), 0);
    order.channel = earmark_protocol::ids::Channel(0);
    order.delivery = delivery.unwrap_or(address);
    order
}

fn weekdays() -> CalendarSpec {
    let day = Some(DayHours { opens_min: 480, closes_min: 1_080, cut_off_min: 840 });
    CalendarSpec {
        code: "weekdays".to_owned(),
        week: [day, day, day, day, day, None, None],
        handling_min: 120,
        ..CalendarSpec::default()
    }
}

#[test]
fn a_shipment_leaves_when_the_calendar_of_its_node_says() {
    let (world, state) = world(Some(&weekdays()));
    let reader = state.reader();
    let mut planner = Planner::new();
    let pickup = Delivery::Pickup { node: NodeIx(0) };
    // 2026-11-27 is a Friday. One planner, forth and back in time.
    for (now, leaves, ready) in [
        ("2026-11-27T13:59", "2026-11-27T18:00", "2026-11-27T15:59"),
        ("2026-11-27T14:00", "2026-11-27T18:00", "2026-11-27T16:00"),
        ("2026-11-27T14:01", "2026-11-30T18:00", "2026-11-30T10:00"),
        ("2026-11-30T07:00", "2026-11-30T18:00", "2026-11-30T10:00"),
        ("2026-11-27T10:00", "2026-11-27T18:00", "2026-11-27T12:00"),
    ] {
        for (delivery, expected) in [(None, leaves), (Some(pickup.clone()), ready)] {
            planner.at(at(now));
            let order = order(&world, delivery);
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("a plan");
            let said: Vec<_> = proposal.plan.shipments.iter().map(|shipment| shipment.ship_at_ms).collect();
            assert_eq!(said, [at(expected)], "ordered at {now}");
            let repaired = planner.repair(&reader, reader.lanes(), Tenant(0), &order, &proposal);
            assert_eq!(repaired.map(|repaired| repaired.plan.shipments[0].ship_at_ms), Some(at(expected)));
        }
    }
}

#[test]
fn a_node_without_a_calendar_says_nothing_and_one_that_opens_no_more_serves_nobody() {
    let plan = |state: &State, world: &World, now: &str| {
        let reader = state.reader();
        let mut planner = Planner::new();
        planner.at(at(now)).plan(&reader, reader.lanes(), Tenant(0), &order(world, None), false, &[])
    };
    let (plain, state) = world(None);
    let proposal = plan(&state, &plain, "2026-11-27T10:00").expect("a plan");
    assert_eq!(proposal.plan.shipments[0].ship_at_ms, TimestampMs(0));
    let dates = vec![DateHours { date: 20_261_127, hours: weekdays().week[0] }];
    let once = CalendarSpec { week: [None; 7], dates, ..weekdays() };
    let (once, state) = world(Some(&once));
    let proposal = plan(&state, &once, "2026-11-27T10:00").expect("a plan");
    assert_eq!(proposal.plan.shipments[0].ship_at_ms, at("2026-11-27T18:00"));
    let refusal = plan(&state, &once, "2026-11-27T14:01").expect_err("it opens no more");
    assert_eq!(refusal.code, RefusalCode::NoNode);
}
