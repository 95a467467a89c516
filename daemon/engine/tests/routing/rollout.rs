//! The promise: a policy that is for some orders, or from some moment on, is obeyed by those alone; all others obey the
//! version before it, and no order is held by a version that it does not obey when it is decided.

use std::collections::BTreeSet;

use earmark_engine::routing::{Planner, Proposal};
use earmark_engine::{CommandRef, Decision, Outcome, Planned, Record, State, Submission, apply, decide};
use earmark_protocol::command::{Command, CommandBody, Delivery, Order, Reserve, SetPolicy};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{CommandId, HoldClass, Money, Tenant, TimestampMs};
use earmark_protocol::reply::Reply;

use crate::world::{World, run};

/// The worlds' commands are decided then; the switch comes an hour later.
const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const SWITCH: TimestampMs = TimestampMs(1_700_003_600_000);

pub(super) fn set(state: &mut State, name: &str, settings: &str) {
    let text = format!("name = \"{name}\"\n{settings}\n");
    run(state, CommandBody::SetPolicy(SetPolicy { text }));
}

fn world() -> (World, Order, State) {
    let mut random = fastrand::Rng::with_seed(3);
    let world = World::wide(&mut random, 40, 3, 1.0, 50);
    let (order, state) = (world.wide_order(&mut random, 2, 3), world.state());
    (world, order, state)
}

fn plan(state: &State, at: TimestampMs, order: &Order) -> Proposal {
    let reader = state.reader();
    Planner::new().at(at).plan(&reader, reader.lanes(), Tenant(0), order, false, &[]).expect("there is stock")
}

fn version(state: &State, at: TimestampMs, order: &Order) -> u32 {
    plan(state, at, order).plan.policy
}

/// What the committer makes of a plan.
pub(super) fn submit(
    state: &State,
    (now, last, number): (TimestampMs, bool, u8),
    reserve: Reserve,
    planned: &Planned,
) -> (Outcome, Record) {
    let id = CommandId::new(now, [9, 9, 9, 9, 9, 9, 9, 9, 9, number]);
    let command = Command { id, give_up_ms: 0, body: CommandBody::Reserve(reserve) };
    let command = CommandRef::Full(&command);
    let submission = Submission { tenant: Tenant(0), content: 0, command, planned: Some(planned), last };
    let mut decision = Decision::default();
    decide(state, now, &submission, &mut decision);
    (decision.outcome, decision.record)
}

pub(super) fn version_of(outcome: &Outcome) -> Option<u32> {
    match outcome {
        Outcome::Reply(Reply::Reserved(reserved)) => reserved.plan.as_ref().map(|plan| plan.policy),
        _ => None,
    }
}

fn whole(order: &Order) -> Reserve {
    Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false }
}

/// Destinations side by side.
fn to(order: &Order, n: i32) -> Order {
    let position = Position { lat_udeg: 40_000_000 + n * 131, lon_udeg: -90_000_000 };
    Order { delivery: Delivery::Ship { position, postal: String::new(), home: false }, ..order.clone() }
}

#[test]
fn a_policy_begins_at_its_moment_and_no_plan_of_before_is_held_after() {
    let (_, order, mut state) = world();
    set(&mut state, "now", "");
    set(&mut state, "later", "active_from = \"2023-11-14T23:13:20Z\"");
    let before = TimestampMs(SWITCH.0 - 1);
    assert_eq!((version(&state, before, &order), version(&state, SWITCH, &order)), (1, 2));

    let planned: Planned = Ok(plan(&state, before, &order));
    let (held, record) = submit(&state, (before, false, 1), whole(&order), &planned);
    assert_eq!(version_of(&held), Some(1));
    apply(&mut state, &record);
    // A millisecond later the plan is of a version that the order does not obey any more.
    assert_eq!(submit(&state, (SWITCH, false, 2), whole(&order), &planned).0, Outcome::Conflict);
    assert_eq!(version_of(&submit(&state, (SWITCH, true, 3), whole(&order), &planned).0), Some(2));
}

#[test]
fn a_share_takes_so_many_destinations_and_takes_none_back_when_it_is_raised() {
    let (_, order, mut state) = world();
    set(&mut state, "all", "");
    let mut planner = Planner::new();
    let mut version = |state: &State, order: &Order| {
        let (reader, tenant) = (state.reader(), Tenant(0));
        let plan = planner.at(NOW).plan(&reader, reader.lanes(), tenant, order, false, &[]);
        plan.expect("there is stock").plan.policy
    };
    let mut takes = |state: &State| -> BTreeSet<i32> {
        let newest = state.reader().policy(Tenant(0), 0).expect("there is one").version;
        (0..1_000).filter(|n| version(state, &to(&order, *n)) == newest).collect()
    };
    set(&mut state, "some", "share = 20");
    let some = takes(&state);
    assert!((150..250).contains(&some.len()), "{}", some.len());
    set(&mut state, "more", "share = 60");
    let more = takes(&state);
    assert!((550..650).contains(&more.len()) && some.is_subset(&more), "{}", more.len());
    set(&mut state, "everybody", "");
    assert_eq!(takes(&state).len(), 1_000);
}

#[test]
fn an_address_stays_on_its_side_whatever_is_ordered() {
    let (_, order, mut state) = world();
    set(&mut state, "some", "share = 50");
    let other = Order { lines: order.lines[..1].to_vec(), value: Some(Money(9)), ..order.clone() };
    let sides: Vec<_> = (0..20).map(|n| version(&state, NOW, &to(&order, n))).collect();
    assert!((0..20).all(|n| version(&state, NOW, &to(&other, n)) == sides[n as usize]));
    assert!(sides.contains(&0) && sides.contains(&1), "{sides:?}");
}

#[test]
fn a_condition_chooses_orders_and_the_others_obey_the_version_before() {
    let (_, order, mut state) = world();
    let worth = |value: i64| Order { value: Some(Money(value * 1_000_000)), ..order.clone() };
    set(&mut state, "dear", "only_when = 'order.value > 50.00 && order.units > 0'");
    let versions = |state: &State| [10, 60, 600].map(|value| version(state, NOW, &worth(value)));
    assert_eq!(versions(&state), [0, 1, 1], "before it there was none");
    set(&mut state, "all", "shipments_max = 3");
    assert_eq!(versions(&state), [2, 2, 2]);
    set(&mut state, "dearest", "only_when = 'order.value > 500'");
    assert_eq!(versions(&state), [2, 2, 3]);
    assert_eq!(version(&state, NOW, &order), 2, "an order without a value");
}

#[test]
fn the_version_that_most_orders_obey_is_never_forgotten() {
    let (_, order, mut state) = world();
    set(&mut state, "base", "");
    for n in 0..40 {
        set(&mut state, &format!("trial {n}"), "only_when = 'order.value > 1000000'");
    }
    assert_eq!(version(&state, NOW, &order), 1);
    let reader = state.reader();
    assert!(reader.policy(Tenant(0), 1).is_some() && reader.policy(Tenant(0), 26).is_none());
    assert_eq!(reader.policy(Tenant(0), 27).map(|view| view.name), Some("trial 25".to_owned()));
}
