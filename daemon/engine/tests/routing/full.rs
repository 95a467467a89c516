//! The full model at once, against every assignment there is: carriers that price by steps, several parcels, splits, limits of
//! shipments, rules and weights of a policy, services allowed by rule, lateness, and days that others have taken.

use std::collections::BTreeMap;

use earmark_engine::routing::Planner;
use earmark_engine::{CommandRef, Decision, Outcome, Planned, State, Submission, apply, decide};
use earmark_protocol::catalogue::{DayLoad, NodeSpec};
use earmark_protocol::command::{Command, CommandBody, Delivery, Order, OrderLine, Reserve, SetPolicy};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, HoldClass, LineId, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Reply;

use crate::carriers::Carriers;
use crate::late::{DAY_MS, NOW, Transit, calendars, promise};
use crate::oracle::{cheapest, demand, judge};
use crate::policies::{Naive, drawn, with_value};
use crate::tariffs::address;
use crate::upgrades::Upgrades;
use crate::world::{World, run};

/// What is taken of a node's working days from now on, by a person with a slate.
#[derive(Clone, Debug, Default)]
struct Slate(Vec<DayLoad>);

impl Slate {
    /// The first day with room for so much.
    fn day(&mut self, limit: DayLoad, more: DayLoad) -> usize {
        let fits = |limit: u64, taken: u64, more: u64| limit == 0 || taken + more <= limit;
        let has_room = |taken: &DayLoad| {
            taken.orders == 0
                || fits(limit.orders.into(), taken.orders.into(), more.orders.into())
                    && fits(limit.lines.into(), taken.lines.into(), more.lines.into())
                    && fits(limit.units, taken.units, more.units)
        };
        self.0.push(DayLoad::default());
        self.0.iter().position(has_room).expect("a day was added")
    }

    fn take(&mut self, limit: DayLoad, more: DayLoad) {
        let day = self.day(limit, more);
        let taken = &mut self.0[day];
        taken.orders += more.orders;
        taken.lines += more.lines;
        taken.units += more.units;
    }
}

fn load(order: &Order) -> DayLoad {
    let units = order.lines.iter().map(|line| u64::from(line.quantity)).sum();
    DayLoad { orders: 1, lines: order.lines.len() as u32, units }
}

/// Decides and applies a command of now.
fn submit(state: &mut State, number: u8, body: CommandBody, planned: Option<&Planned>) -> Outcome {
    let command = Command { id: CommandId::new(NOW, [number; 10]), give_up_ms: 0, body };
    let (command, content) = (CommandRef::Full(&command), u64::from(number));
    let submission = Submission { tenant: Tenant(0), content, command, planned, last: false };
    let mut decision = Decision::default();
    decide(state, NOW, &submission, &mut decision);
    apply(state, &decision.record);
    decision.outcome
}

/// Holds a unit of something from this node, where it has any that it may ship; what that leaves is told to the world.
fn hold_one(state: &mut State, world: &mut World, slate: &mut Slate, node: usize, number: u8) {
    let position = Position::from_degrees(40.0, -89.0).expect("it is on the globe");
    let order = |sku: usize| Order {
        channel: Channel(0),
        delivery: Delivery::Ship { position, postal: "100".to_owned(), home: false },
        nodes: vec![NodeIx(node as u32)],
        shipments_max: 0,
        lines: vec![OrderLine { line: LineId(1), sku: SkuIx(sku as u32), quantity: 1 }],
        value: None,
        deliver_by_ms: None,
        sellers: Vec::new(),
        substitutable: Vec::new(),
        supply_by: None,
    };
    let Some(sku) = (0..world.flags.len()).find(|sku| world.available(&order(*sku), *sku, node) > 0) else {
        return;
    };
    let (order, reader) = (order(sku), state.reader());
    let planned = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
    let reserve =
        Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 60_000, best_effort: false };
    let outcome = submit(state, number, CommandBody::Reserve(reserve), Some(&planned));
    assert!(matches!(outcome, Outcome::Reply(Reply::Reserved(_))), "{outcome:?}");
    for pick in planned.expect("it was held").picks {
        let cell = (sku, node, pick.segment.0);
        *world.stock.get_mut(&cell).expect("a pick is of a cell") -= pick.quantity as i32;
    }
    slate.take(world.nodes[node].day_limit, load(&order));
}

/// Gives nodes calendars, and some of them limits.
fn keep_hours(random: &mut fastrand::Rng, nodes: &mut [NodeSpec]) {
    for node in nodes {
        node.calendar = ["", "early", "late", "monday"][random.usize(..4)].to_owned();
        if !node.calendar.is_empty() && random.bool() {
            node.day_limit =
                DayLoad { orders: random.u32(0..3), lines: random.u32(0..5), units: random.u64(0..9) };
        }
    }
}

#[test]
fn the_full_model_is_planned_for_least_and_proven_days_and_splits_included() {
    let mut random = fastrand::Rng::with_seed(41);
    let (mut planned, mut split, mut several, mut moved, mut refused) = (0, 0, 0, 0, 0);
    let (mut upgraded, mut gave_way) = (0, 0);
    for turn in 0..10_000 {
        let mut world = World::random(&mut random);
        drawn(&mut random, &mut world);
        let is_thin = random.bool();
        world.stock.values_mut().for_each(|available| *available -= if is_thin { 4 } else { 0 });
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, world.flags.len()));
        // Calendars must be there before nodes that keep them.
        let mut state = world.state();
        run(&mut state, CommandBody::PutCalendars(calendars().to_vec()));
        keep_hours(&mut random, &mut world.nodes);
        run(&mut state, CommandBody::PutNodes(world.nodes.clone()));
        let mut slates = vec![Slate::default(); world.nodes.len()];
        for number in 0..random.u8(..8) {
            let node = random.usize(..world.nodes.len());
            hold_one(&mut state, &mut world, &mut slates[node], node, number);
        }
        let naive = Naive::random(&mut random, 2).firm();
        let transit =
            Transit { miles_per_day: [400, 500, 2_000][random.usize(..3)], weekends: random.bool() };
        let (refuses, excludes, late_day) = (random.u8(..4) == 0, random.u8(..3) == 0, random.i64(1..4));
        let text = naive.text().replacen(
            "weights = { ",
            &format!(
                "late = \"{}\"\nfull_day = \"{}\"\ntransit_miles_per_day = {}\ntransit_weekends = {}\n\
                 weights = {{ late_day = \"{late_day}\", ",
                if refuses { "refuse" } else { "allow" },
                if excludes { "exclude" } else { "wait" },
                transit.miles_per_day,
                transit.weekends,
            ),
            1,
        );
        let upgrades = Upgrades::random(&mut random, &world);
        let text = text + &upgrades.text();
        let policy = CommandBody::SetPolicy(SetPolicy { text: text.clone() });
        let outcome = submit(&mut state, u8::MAX, policy, None);
        assert!(matches!(outcome, Outcome::Reply(Reply::Done(_))), "{outcome:?}");
        let drawn = world.order(&mut random);
        let mut order = with_value(&mut random, drawn);
        address(&mut random, &mut order);
        let wished = NOW.0 + random.u64(0..12 * DAY_MS);
        order.deliver_by_ms = random.bool().then_some(TimestampMs(wished));

        world.lean = naive.lean(&world, &order, &BTreeMap::new());
        let mut is_moved = false;
        for (node, slate) in slates.iter_mut().enumerate() {
            let limit = world.nodes[node].day_limit;
            let passed = if limit == DayLoad::default() { 0 } else { slate.day(limit, load(&order)) };
            is_moved |= passed > 0;
            let late_ms = match (promise(&world, &order, node, transit, passed), order.deliver_by_ms) {
                (Some(promise), Some(TimestampMs(wished))) => promise.saturating_sub(wished),
                _ => 0,
            };
            if !refuses {
                world.lean.extra[node] += late_day * 1_000_000 * late_ms.div_ceil(DAY_MS) as i64;
            }
            if refuses && late_ms > 0 || excludes && passed > 0 {
                world.lean.excluded.extend((0..world.flags.len()).map(|sku| (sku, node)));
            }
        }
        let reader = state.reader();
        let ours = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
        let expected = upgrades.settle(&mut world, &order, 2, naive.rules());
        let told = || format!("turn {turn}: {text} {slates:?} {world:#?} {order:#?}");
        let plan = cheapest(&world, &order, &demand(&order));
        match (ours, plan) {
            (Ok(proposal), Some(plan)) => {
                assert_eq!(proposal.plan.upgrades, expected, "{}", told());
                upgraded += u32::from(!expected.is_empty());
                gave_way += u32::from(expected.iter().any(|rule| rule.gave_way));
                let expected = plan;
                assert_eq!(judge(&world, &order, &proposal), demand(&order), "{}", told());
                let said = (proposal.plan.cost.0, proposal.plan.bound.0);
                assert_eq!(said, (expected.0, expected.0), "{proposal:#?} {}", told());
                let is_split = |(sku, units): (&usize, &u32)| {
                    (0..world.nodes.len()).all(|node| world.available(&order, *sku, node) < *units)
                };
                planned += 1;
                split += u32::from(demand(&order).iter().any(is_split));
                several += u32::from(proposal.plan.shipments.len() > 1);
                moved += u32::from(is_moved);
            }
            (Err(_), None) => refused += 1,
            (ours, expected) => panic!("{ours:?} but {expected:?}: {}", told()),
        }
    }
    let counts = (planned, split, several, moved, refused);
    assert!(upgraded > 200 && gave_way > 10, "{upgraded} {gave_way}");
    assert!(planned > 1_000 && split > 12 && several > 100 && moved > 300 && refused > 1_000, "{counts:?}");
}
