//! Nodes whose days take so much and no more.

use earmark_engine::routing::Planner;
use earmark_engine::{CommandRef, Decision, Outcome, Planned, State, Submission, apply, decide, expire};
use earmark_protocol::catalogue::{CalendarSpec, DayHours, DayLoad, capabilities};
use earmark_protocol::command::{Command, CommandBody, Delivery, Order, Reserve, SetPolicy, Step};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, HoldClass, LineId, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{NodeDay, Plan, Reply};
use jiff::civil::DateTime;

use super::world::{World, run};

fn at(text: &str) -> TimestampMs {
    let zoned = text.parse::<DateTime>().and_then(|at| at.in_tz("America/Chicago")).expect("a time there");
    TimestampMs(zoned.timestamp().as_millisecond() as u64)
}

/// Two nodes in one place that have all; the first is cheaper, works on weekdays until six, and has a limit.
struct Shop {
    state: State,
    planner: Planner,
    decision: Decision,
    now: TimestampMs,
    ids: u8,
}

impl Shop {
    fn new(limit: DayLoad, policy: &str) -> Self {
        let mut world = World::random(&mut fastrand::Rng::with_seed(7));
        let spec = world.nodes[0].clone();
        let mut dear = spec.clone();
        (dear.code, dear.cost_per_order.0) = ("DEAR".to_owned(), spec.cost_per_order.0 + 2_000_000);
        world.nodes = vec![spec, dear];
        world.nodes.iter_mut().for_each(|node| node.capabilities = capabilities::ALL);
        world.stock = (0..4).flat_map(|sku| [((sku, 0, 0), 1_000), ((sku, 1, 0), 1_000)]).collect();
        let mut state = world.state();
        let day = Some(DayHours { opens_min: 480, closes_min: 1_080, cut_off_min: 840 });
        let week = [day, day, day, day, day, None, None];
        let calendar = CalendarSpec { code: "weekdays".to_owned(), week, ..CalendarSpec::default() };
        run(&mut state, CommandBody::PutCalendars(vec![calendar]));
        for node in &mut world.nodes {
            node.calendar = "weekdays".to_owned();
            node.time_zone = "America/Chicago".to_owned();
        }
        world.nodes[0].day_limit = limit;
        run(&mut state, CommandBody::PutNodes(world.nodes));
        if !policy.is_empty() {
            let text = format!("name = \"days\"\n{policy}");
            run(&mut state, CommandBody::SetPolicy(SetPolicy { text }));
        }
        // 2026-11-26 is a Thursday.
        let now = at("2026-11-26T10:00");
        Self { state, planner: Planner::new(), decision: Decision::default(), now, ids: 0 }
    }

    fn order(quantity: u32) -> Order {
        let position = Position::from_degrees(40.0, -89.0).expect("on the globe");
        let line = earmark_protocol::command::OrderLine { line: LineId(1), sku: SkuIx(0), quantity };
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position, postal: String::new(), home: false },
            nodes: Vec::new(),
            shipments_max: 0,
            lines: vec![line],
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
        }
    }

    fn plan(&mut self, order: &Order) -> Planned {
        let reader = self.state.reader();
        self.planner.at(self.now).plan(&reader, reader.lanes(), Tenant(0), order, false, &[])
    }

    fn submit(&mut self, body: CommandBody, planned: Option<&Planned>) -> (CommandId, Outcome) {
        self.ids += 1;
        let id = CommandId::new(self.now, [self.ids; 10]);
        let command = Command { id, give_up_ms: 0, body };
        let (command, content, tenant) = (CommandRef::Full(&command), u64::from(self.ids), Tenant(0));
        let submission = Submission { tenant, content, command, planned, last: false };
        decide(&self.state, self.now, &submission, &mut self.decision);
        if self.decision.outcome != Outcome::Conflict {
            apply(&mut self.state, &self.decision.record);
        }
        (id, self.decision.outcome.clone())
    }

    fn reserve(&mut self, order: Order) -> (CommandId, Plan) {
        let planned = self.plan(&order);
        let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 60_000, best_effort: false };
        match self.submit(CommandBody::Reserve(reserve), Some(&planned)) {
            (id, Outcome::Reply(Reply::Reserved(reserved))) => (id, reserved.plan.expect("it is routed")),
            (_, outcome) => panic!("{outcome:?}"),
        }
    }

    /// Who ships so many units, and when.
    fn ships(&mut self, quantity: u32) -> (u32, TimestampMs) {
        let (_, plan) = self.reserve(Self::order(quantity));
        let [shipment] = &plan.shipments[..] else { panic!("{plan:?}") };
        (shipment.node.0, shipment.ship_at_ms)
    }

    fn days(&self) -> Vec<(u32, u32, u64)> {
        let days = self.state.reader().node_days(Tenant(0), NodeIx(0), usize::MAX);
        days.iter().map(|NodeDay { day, taken, .. }| (*day, taken.orders, taken.units)).collect()
    }
}

fn orders(orders: u32) -> DayLoad {
    DayLoad { orders, ..DayLoad::default() }
}

const THURSDAY: u32 = 20_783;

#[test]
fn a_full_day_moves_shipments_to_the_next_working_day() {
    let mut shop = Shop::new(orders(2), "");
    let (first, second) = (at("2026-11-26T18:00"), at("2026-11-27T18:00"));
    let monday = at("2026-11-30T18:00");
    let all: Vec<_> = (0..5).map(|_| shop.ships(3)).collect();
    assert_eq!(all, [(0, first), (0, first), (0, second), (0, second), (0, monday)]);
    assert_eq!(shop.days(), [(THURSDAY, 2, 6), (THURSDAY + 1, 2, 6), (THURSDAY + 4, 1, 3)]);
}

#[test]
fn what_is_released_or_expires_is_given_back_to_its_day() {
    let mut shop = Shop::new(DayLoad { units: 10, ..DayLoad::default() }, "");
    let (held, _) = shop.reserve(Shop::order(7));
    let (confirmed, _) = shop.reserve(Shop::order(3));
    assert_eq!(shop.ships(1).1, at("2026-11-27T18:00"));
    let step = |reservation, quantity| Step {
        reservation,
        best_effort: false,
        lines: vec![earmark_protocol::command::StepLine { line: LineId(1), node: None, quantity }],
    };
    shop.submit(CommandBody::Confirm(step(confirmed, 3)), None);
    shop.submit(CommandBody::Release(step(held, 4)), None);
    assert_eq!(shop.days(), [(THURSDAY, 2, 6), (THURSDAY + 1, 1, 1)]);
    let amend = |reservation, quantity| {
        let lines = vec![earmark_protocol::command::AmendLine { line: LineId(1), quantity }];
        CommandBody::Amend(earmark_protocol::command::Amend { reservation, lines, best_effort: false })
    };
    let (_, outcome) = shop.submit(amend(confirmed, 8), None);
    let Outcome::Reply(Reply::Refused(refused)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refused.refusal.code, refused.refusal.detail), (RefusalCode::DayFull, 4));
    shop.submit(amend(confirmed, 7), None);
    assert_eq!(shop.days()[0], (THURSDAY, 2, 10));
    shop.now = shop.now.plus_ms(120_000);
    while expire(&mut shop.state, shop.now, 10, &mut shop.decision) {
        apply(&mut shop.state, &shop.decision.record);
    }
    assert_eq!(shop.days(), [(THURSDAY, 1, 7)], "what is confirmed stays");
}

#[test]
fn a_policy_says_whether_a_node_waits_or_is_left_out_and_what_waiting_costs() {
    let mut shop = Shop::new(orders(1), "full_day = \"exclude\"\n");
    let first = at("2026-11-26T18:00");
    assert_eq!([shop.ships(1), shop.ships(1)], [(0, first), (1, first)]);
    let only = Order { nodes: vec![NodeIx(0)], ..Shop::order(1) };
    assert_eq!(shop.plan(&only).map_err(|refusal| refusal.code), Err(RefusalCode::NoNode));

    let weights = "transit_miles_per_day = 400\nweights = { late_day = \"1.50\" }\n";
    let mut shop = Shop::new(orders(1), weights);
    let promise = shop.plan(&Shop::order(1)).expect("a plan").plan.shipments[0].promise_at_ms;
    let wish =
        |days: u64| Order { deliver_by_ms: Some(promise.plus_ms(days * 86_400_000)), ..Shop::order(1) };
    let mut by = |order: Order| {
        let (_, plan) = shop.reserve(order);
        (plan.shipments[0].node.0, plan.shipments[0].policy_cost.0, plan.is_optimal())
    };
    // A day late is cheaper than the dear node; so are two days no more.
    assert_eq!(by(wish(0)), (0, 0, true));
    let second = by(wish(0));
    assert!(second == (0, 1_500_000, true) || second == (1, 0, true), "{second:?}");
    assert_eq!(by(wish(0)).0, 1);
    assert_eq!(by(wish(9)).0, 0);
}

#[test]
fn a_plan_whose_day_was_taken_by_others_is_mended_to_the_next_one() {
    let mut shop = Shop::new(orders(1), "");
    let order = Shop::order(2);
    let stale = shop.plan(&order);
    assert_eq!(shop.ships(1).1, at("2026-11-26T18:00"));
    let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 60_000, best_effort: false };
    let (_, outcome) = shop.submit(CommandBody::Reserve(reserve), Some(&stale));
    let Outcome::Reply(Reply::Reserved(reserved)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reserved.plan.expect("it is routed").shipments[0].ship_at_ms, at("2026-11-27T18:00"));
    assert_eq!(shop.days(), [(THURSDAY, 1, 1), (THURSDAY + 1, 1, 2)]);
}

#[test]
fn an_order_larger_than_the_limit_gets_a_day_of_its_own() {
    let mut shop = Shop::new(DayLoad { units: 10, ..DayLoad::default() }, "");
    let (first, second) = (at("2026-11-26T18:00"), at("2026-11-27T18:00"));
    assert_eq!([shop.ships(1), shop.ships(40), shop.ships(9)], [(0, first), (0, second), (0, first)]);
    assert_eq!(shop.days(), [(THURSDAY, 2, 10), (THURSDAY + 1, 1, 40)]);
}
