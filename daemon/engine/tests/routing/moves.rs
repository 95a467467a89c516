//! Confirmed orders looked at again: what is found saves what it says, and accounts agree.

use std::collections::BTreeMap;

use earmark_engine::image::Loading;
use earmark_engine::{
    CommandRef, Decision, Outcome, Record, Replanner, State, Submission, apply, decide, digest,
};
use earmark_protocol::catalogue::{CalendarSpec, DayHours, NodeSpec, NodeState, capabilities};
use earmark_protocol::command::{
    Command, CommandBody, Correction, Delivery, Move, MoveOrder, Order, OrderLine, Placed, Reject, Reserve,
    SetNodeState, SetPolicy, Step,
};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{
    Channel, CommandId, HoldClass, LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs,
};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Done, Reply, Saving, Upgrade};

use crate::carriers::Carriers;
use crate::upgrades::services;
use crate::world::{Lean, World};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const CHICAGO: (f64, f64) = (41.88, -87.63);
const DALLAS: (f64, f64) = (32.78, -96.80);

/// An hour's worth of orders is looked at again.
const POLICY: &str = "name = 'again'\nreplan_minutes = 60\nreplan_saves = '0.01'\n";

/// A state, and a copy that is told its records alone.
struct Shop {
    state: State,
    copy: State,
    ids: u64,
}

impl Shop {
    fn open(world: &World) -> Self {
        let mut state = world.state();
        let mut shop = Self { copy: copied(&mut state), state, ids: 0 };
        shop.submit(CommandBody::SetPolicy(SetPolicy { text: POLICY.to_owned() }));
        shop
    }

    fn submit_at(&mut self, now: TimestampMs, body: CommandBody) -> (CommandId, Reply) {
        self.ids += 1;
        let mut random = [9; 10];
        random[2..].copy_from_slice(&self.ids.to_be_bytes());
        let id = CommandId::new(now, random);
        let command = Command { id, give_up_ms: 0, body };
        let command = CommandRef::Full(&command);
        let submission = Submission { tenant: Tenant(0), content: 0, command, planned: None, last: true };
        let mut decision = Decision::default();
        decide(&self.state, now, &submission, &mut decision);
        apply(&mut self.state, &decision.record);
        let mut bytes = Vec::new();
        decision.record.encode(&mut bytes);
        let read = Record::decode(decision.record.lsn, decision.record.now, &bytes).expect("it was encoded");
        apply(&mut self.copy, &read);
        assert_eq!(digest(&self.state), digest(&self.copy), "a replay of the log is the state");
        match decision.outcome {
            Outcome::Reply(reply) => (id, reply),
            outcome => panic!("a command is answered: {outcome:?}"),
        }
    }

    fn submit(&mut self, body: CommandBody) -> Reply {
        self.submit_at(NOW, body).1
    }

    /// Reserves and confirms an order; nothing where it cannot be served.
    fn confirmed(&mut self, order: &Order) -> Option<CommandId> {
        let reserve =
            Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
        let (id, reply) = self.submit_at(NOW, CommandBody::Reserve(reserve));
        matches!(reply, Reply::Reserved(_)).then_some(())?;
        let reply = self.submit(CommandBody::Confirm(step(id)));
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        Some(id)
    }

    /// What one look over all reservations finds.
    fn look_at(&self, now: TimestampMs) -> (u64, Vec<Saving>) {
        let (mut replanner, mut from, mut found, mut looked_at) =
            (Replanner::default(), Some(0), Vec::new(), 0);
        while let Some(at) = from {
            let look = replanner.look(&self.state.reader(), now, None, at, 7);
            assert!(look.next.is_none_or(|next| next > at), "it gets on");
            looked_at += look.looked_at;
            found.extend(look.found.into_iter().map(|(_, saving)| saving));
            from = look.next;
        }
        (looked_at, found)
    }

    fn node_of(&self, id: CommandId) -> NodeIx {
        let view = self.state.reader().show(Tenant(0), &id).expect("it is there");
        view.rows.iter().find(|row| row.confirmed > 0).expect("something is confirmed").node
    }

    /// Units that are confirmed, by cell.
    fn confirmed_by_cell(&self, ids: &[CommandId]) -> BTreeMap<(SkuIx, NodeIx, u16), u64> {
        let mut sums = BTreeMap::new();
        for id in ids {
            for row in self.state.reader().show(Tenant(0), id).expect("it is there").rows {
                *sums.entry((row.sku, row.node, row.segment.0)).or_default() += u64::from(row.confirmed);
            }
        }
        sums.retain(|_, units| *units > 0);
        sums
    }
}

/// A state as it is in an image.
fn copied(state: &mut State) -> State {
    let rules = state.reader().rules().clone();
    let sections = state.image();
    let mut loading = Loading::begin(&sections[0].bytes).expect("scalars that were just written");
    for mut part in loading.parts() {
        for (number, to) in part.sections() {
            let from = sections.iter().find(|section| section.number == number).expect("it was written");
            to.copy_from_slice(&from.bytes);
        }
        part.index();
    }
    loading.finish(rules).expect("it is an image of this build")
}

fn step(reservation: CommandId) -> Step {
    Step { reservation, lines: Vec::new(), best_effort: false }
}

fn node(code: &str, (lat, lon): (f64, f64)) -> NodeSpec {
    NodeSpec {
        code: code.to_owned(),
        position: Position::from_degrees(lat, lon).expect("on the globe"),
        time_zone: "America/Chicago".to_owned(),
        capabilities: capabilities::SHIP,
        ..NodeSpec::default()
    }
}

fn order_to((lat, lon): (f64, f64)) -> Order {
    let position = Position::from_degrees(lat, lon).expect("on the globe");
    Order {
        channel: Channel(0),
        delivery: Delivery::Ship { position, postal: String::new(), home: false },
        nodes: Vec::new(),
        shipments_max: 0,
        sellers: Vec::new(),
        substitutable: Vec::new(),
        supply_by: None,
        lines: vec![OrderLine { line: LineId(1), sku: SkuIx(0), quantity: 3 }],
        value: None,
        deliver_by_ms: None,
    }
}

/// A node in Chicago with three units, and one in Dallas with none.
fn two_nodes() -> World {
    World {
        rules: earmark_engine::Rules::default(),
        nodes: vec![node("CHI", CHICAGO), node("DAL", DALLAS)],
        flags: vec![0],
        paused: Default::default(),
        stock: [((0, 0, 0), 3), ((0, 1, 0), 0)].into(),
        lean: Lean::default(),
        carriers: None,
    }
}

/// Two orders, each in the other's place: the first came when only Chicago had some, the second when only Dallas had.
fn crossed(shop: &mut Shop) -> [CommandId; 2] {
    let to_dallas = shop.confirmed(&order_to(DALLAS)).expect("Chicago has three");
    arrive(shop, 1, 3);
    let to_chicago = shop.confirmed(&order_to(CHICAGO)).expect("Dallas has three");
    assert_eq!([shop.node_of(to_dallas), shop.node_of(to_chicago)], [NodeIx(0), NodeIx(1)]);
    [to_dallas, to_chicago]
}

fn arrive(shop: &mut Shop, node: u32, units: i32) {
    let change = earmark_protocol::command::StockChange {
        sku: SkuIx(0),
        node: NodeIx(node),
        segment: Default::default(),
        delta: units,
    };
    let adjust = earmark_protocol::command::AdjustStock { changes: vec![change] };
    assert!(matches!(shop.submit(CommandBody::AdjustStock(adjust)), Reply::Done(_)));
}

fn refused_as(reply: &Reply) -> Option<RefusalCode> {
    match reply {
        Reply::Refused(refused) => Some(refused.refusal.code),
        _ => None,
    }
}

#[test]
fn two_orders_take_each_others_places_and_all_accounts_agree() {
    let mut shop = Shop::open(&two_nodes());
    let [first, second] = crossed(&mut shop);
    let before = shop.confirmed_by_cell(&[first, second]);
    let (looked_at, found) = shop.look_at(NOW);
    assert_eq!((looked_at, found.len()), (2, 1), "{found:?}");
    let Saving { command, saved } = found[0].clone();
    assert_eq!(command.orders.len(), 2);
    let Reply::Done(Done { moved, short, plans, status: None, .. }) = shop.submit(CommandBody::Move(command))
    else {
        panic!("what was found is taken");
    };
    let own: i64 = plans.iter().map(|plan| plan.saved.expect("a move says what it saves").0).sum();
    assert_eq!((moved, short, own), (6, 0, saved.0));
    // Three units over some 800 miles, twice, at 0.000541 a mile.
    assert!((2_400_000..2_800_000).contains(&own), "{own}");
    assert_eq!([shop.node_of(first), shop.node_of(second)], [NodeIx(1), NodeIx(0)]);
    assert_eq!(shop.confirmed_by_cell(&[first, second]), before);
    for cell in shop.state.reader().cells(Tenant(0), SkuIx(0)).expect("the sku is known") {
        assert_eq!((cell.on_hand, cell.held, cell.allocated), (3, 0, 3));
    }
    let view = shop.state.reader().show(Tenant(0), &first).expect("it is there");
    assert_eq!((view.plans.len(), view.plans[1].saved.is_some()), (2, true));
    assert_eq!(shop.look_at(NOW), (2, Vec::new()), "there is nothing more to save");
    for id in [first, second] {
        assert!(matches!(shop.submit(CommandBody::Cancel(step(id))), Reply::Done(Done { moved: 3, .. })));
    }
    for cell in shop.state.reader().cells(Tenant(0), SkuIx(0)).expect("the sku is known") {
        assert_eq!((cell.on_hand, cell.held, cell.allocated), (3, 0, 0));
    }
}

#[test]
fn an_order_moves_alone_to_where_stock_came_since() {
    let mut shop = Shop::open(&two_nodes());
    let id = shop.confirmed(&order_to(DALLAS)).expect("Chicago has three");
    assert_eq!(shop.look_at(NOW), (1, Vec::new()));
    arrive(&mut shop, 1, 3);
    let (_, found) = shop.look_at(NOW);
    assert_eq!(found.len(), 1);
    assert!(matches!(shop.submit(CommandBody::Move(found[0].command.clone())), Reply::Done(_)));
    assert_eq!(shop.node_of(id), NodeIx(1));
}

#[test]
fn an_order_never_goes_back_to_the_node_that_gave_it_up() {
    let mut shop = Shop::open(&two_nodes());
    arrive(&mut shop, 1, 3);
    let id = shop.confirmed(&order_to(DALLAS)).expect("Dallas has three");
    let reject = Reject {
        reservation: id,
        node: NodeIx(1),
        lines: Vec::new(),
        correction: Correction::None,
        reason: "closed".to_owned(),
        reroute: true,
    };
    assert!(matches!(shop.submit(CommandBody::Reject(reject)), Reply::Done(_)));
    assert_eq!(shop.node_of(id), NodeIx(0));
    assert_eq!(shop.look_at(NOW), (1, Vec::new()), "Dallas would cost less, and has said no");
}

#[test]
fn what_a_node_works_on_and_what_was_given_back_never_moves() {
    for (body, looked_at) in [(CommandBody::Dispatch as fn(Step) -> CommandBody, 1), (CommandBody::Cancel, 1)]
    {
        let mut shop = Shop::open(&two_nodes());
        let [first, _] = crossed(&mut shop);
        let (_, found) = shop.look_at(NOW);
        assert!(matches!(shop.submit(body(step(first))), Reply::Done(_)));
        let digest_before = shop.state.reader().show(Tenant(0), &first);
        let reply = shop.submit(CommandBody::Move(found[0].command.clone()));
        assert_eq!(refused_as(&reply), Some(RefusalCode::WrongStatus), "{reply:?}");
        assert_eq!(shop.state.reader().show(Tenant(0), &first), digest_before);
        let (looked, found) = shop.look_at(NOW);
        assert_eq!(looked, looked_at);
        assert!(
            found.iter().flat_map(|saving| &saving.command.orders).all(|order| order.reservation != first)
        );
    }
    // Held is not confirmed yet.
    let mut shop = Shop::open(&two_nodes());
    let order = order_to(DALLAS);
    let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (id, _) = shop.submit_at(NOW, CommandBody::Reserve(reserve));
    arrive(&mut shop, 1, 3);
    assert_eq!(shop.look_at(NOW), (0, Vec::new()));
    let reply = shop.submit(CommandBody::Move(to_node(id, NodeIx(1), 3)));
    assert_eq!(refused_as(&reply), Some(RefusalCode::WrongStatus));
}

fn to_node(reservation: CommandId, node: NodeIx, quantity: u32) -> Move {
    let to = vec![Placed { line: LineId(1), sku: SkuIx(0), node, quantity }];
    Move { orders: vec![MoveOrder { reservation, to }], saves: Money(0) }
}

#[test]
fn only_orders_within_the_time_of_their_policy_are_looked_at() {
    let mut shop = Shop::open(&two_nodes());
    crossed(&mut shop);
    assert_eq!(shop.look_at(NOW.plus_ms(3_600_000)).0, 2);
    assert_eq!(shop.look_at(NOW.plus_ms(3_600_001)), (0, Vec::new()));
    let text = "name = 'never again'\n".to_owned();
    shop.submit(CommandBody::SetPolicy(SetPolicy { text }));
    assert_eq!(shop.look_at(NOW), (0, Vec::new()));
}

#[test]
fn a_move_that_costs_more_splits_more_or_changes_lines_is_refused() {
    let mut shop = Shop::open(&two_nodes());
    let id = shop.confirmed(&order_to(DALLAS)).expect("Chicago has three");
    arrive(&mut shop, 1, 5);
    let refused = |shop: &mut Shop, wanted: Move| refused_as(&shop.submit(CommandBody::Move(wanted)));
    let dear = Move { saves: Money(5_000_000), ..to_node(id, NodeIx(1), 3) };
    assert_eq!(refused(&mut shop, dear), Some(RefusalCode::NotBetter));
    assert_eq!(refused(&mut shop, to_node(id, NodeIx(0), 3)), Some(RefusalCode::NotBetter));
    assert_eq!(refused(&mut shop, to_node(id, NodeIx(1), 2)), Some(RefusalCode::NotEnough));
    assert_eq!(refused(&mut shop, to_node(id, NodeIx(1), 4)), Some(RefusalCode::NotEnough));
    let mut halves = to_node(id, NodeIx(1), 2);
    let placed = Placed { node: NodeIx(0), quantity: 1, ..halves.orders[0].to[0] };
    halves.orders[0].to.push(placed);
    assert_eq!(refused(&mut shop, halves), Some(RefusalCode::TooManyShipments));
    let mut twice = to_node(id, NodeIx(1), 3);
    twice.orders.push(twice.orders[0].clone());
    assert_eq!(refused(&mut shop, twice), Some(RefusalCode::LineTwice));
    let state = NodeState::Paused;
    shop.submit(CommandBody::SetNodeState(SetNodeState { node: NodeIx(1), state }));
    assert_eq!(refused(&mut shop, to_node(id, NodeIx(1), 3)), Some(RefusalCode::NoNode));
}

#[test]
fn nothing_moves_to_where_it_would_leave_later_than_was_said() {
    let mut world = two_nodes();
    let (opens_min, closes_min, cut_off_min) = (480, 1_080, 720);
    let calendar = |code: &str, cut_off_min| CalendarSpec {
        code: code.to_owned(),
        week: [Some(DayHours { opens_min, closes_min, cut_off_min }); 7],
        ..CalendarSpec::default()
    };
    // Dallas stops at six in the morning for the day.
    let calendars = vec![calendar("chicago", cut_off_min), calendar("dallas", 481)];
    let mut nodes = std::mem::take(&mut world.nodes);
    nodes[0].calendar = "chicago".to_owned();
    nodes[1].calendar = "dallas".to_owned();
    world.nodes = vec![node("CHI", CHICAGO), node("DAL", DALLAS)];
    let mut shop = Shop::open(&world);
    shop.submit(CommandBody::PutCalendars(calendars));
    shop.submit(CommandBody::PutNodes(nodes));
    // 16:13 in Chicago: both leave the day after.
    let id = shop.confirmed(&order_to(DALLAS)).expect("Chicago has three");
    arrive(&mut shop, 1, 3);
    let (_, found) = shop.look_at(NOW);
    assert_eq!(found.len(), 1, "both leave on the same day");
    // 10:13 the next morning: Chicago still sends it that day, Dallas does not.
    let later = NOW.plus_ms(18 * 3_600_000);
    let body = CommandBody::SetPolicy(SetPolicy {
        text: "name = 'long'\nreplan_minutes = 6000\nreplan_saves = '0.01'\n".to_owned(),
    });
    shop.submit(body);
    assert_eq!(shop.look_at(later), (1, Vec::new()));
    let reply = shop.submit_at(later, CommandBody::Move(found[0].command.clone())).1;
    assert_eq!(refused_as(&reply), Some(RefusalCode::NotBetter));
    assert_eq!(shop.node_of(id), NodeIx(0));
}

#[test]
fn what_is_found_is_taken_and_saves_what_it_says() {
    let mut moves = (0, 0);
    for seed in 0..600 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::random(&mut random);
        let mut shop = Shop::open(&world);
        let ids: Vec<CommandId> = (0..8).filter_map(|_| shop.confirmed(&world.order(&mut random))).collect();
        for _ in 0..random.usize(0..4) {
            let given_back = random.choice(&ids).copied();
            given_back.map(|id| shop.submit(CommandBody::Cancel(step(id))));
        }
        let mut rounds = 0;
        loop {
            let units: u64 = shop.confirmed_by_cell(&ids).values().sum();
            let (_, found) = shop.look_at(NOW);
            let mut taken = false;
            for (place, Saving { command, saved }) in found.into_iter().enumerate() {
                let size = command.orders.len();
                match shop.submit(CommandBody::Move(command.clone())) {
                    Reply::Done(done) => {
                        let own =
                            done.plans.iter().map(|plan| plan.saved.expect("it is a move").0).sum::<i64>();
                        assert!(place > 0 || own == saved.0, "seed {seed}: {own} is not {saved:?}");
                        assert!(own >= 10_000, "seed {seed}: {own} is not worth it");
                        moves = (moves.0 + u32::from(size == 1), moves.1 + u32::from(size == 2));
                        taken = true;
                    }
                    Reply::Refused(refused) => {
                        assert!(place > 0, "seed {seed}: {command:?} is refused: {refused:?}");
                    }
                    reply => panic!("{reply:?}"),
                }
                assert_eq!(shop.confirmed_by_cell(&ids).values().sum::<u64>(), units, "seed {seed}");
            }
            for (cell, units) in shop.confirmed_by_cell(&ids) {
                let cells = shop.state.reader().cells(Tenant(0), cell.0).expect("the sku is known");
                let found = cells.iter().find(|view| (view.node, view.segment.0) == (cell.1, cell.2));
                assert_eq!(found.map(|view| u64::from(view.allocated)), Some(units), "seed {seed}");
            }
            rounds += 1;
            assert!(rounds < 30, "seed {seed}: it comes to an end");
            if !taken {
                break;
            }
        }
    }
    assert!(moves.0 > 10 && moves.1 > 10, "{moves:?} moves of one order and of two");
}

/// Two orders in each other's places, under a rule about services; what a look finds.
fn looked_at_under(rule: &str) -> (Shop, Vec<Saving>) {
    let put = services(&[
        ("ground", &[(u16::MAX, 5)]),
        ("express", &[(300, 10), (1_000, 30)]),
        ("bike", &[(300, 40)]),
    ]);
    let mut world = two_nodes();
    world.carriers = Some(Carriers { put, weights_g: vec![100], sizes_mm: vec![[0; 3]] });
    let mut shop = Shop::open(&world);
    let text = format!("{POLICY}[[rule]]\nname = 'gold'\n{rule}");
    assert!(matches!(shop.submit(CommandBody::SetPolicy(SetPolicy { text })), Reply::Done(_)));
    crossed(&mut shop);
    let (_, found) = shop.look_at(NOW);
    (shop, found)
}

#[test]
fn an_upgraded_order_moves_by_what_its_services_cost_and_goes_by_them_still() {
    let (mut shop, found) = looked_at_under("services = ['express']");
    assert_eq!(found.iter().map(|saving| saving.saved).collect::<Vec<_>>(), [Money(40_000_000)]);
    let Reply::Done(Done { plans, .. }) = shop.submit(CommandBody::Move(found[0].command.clone())) else {
        panic!("what was found is taken");
    };
    for plan in plans {
        assert_eq!(plan.upgrades, [Upgrade { rule: 0, gave_way: false }]);
        assert_eq!(plan.shipments[0].carriage.map(|carriage| carriage.service.0), Some(1));
    }
}

#[test]
fn an_order_that_a_rule_about_services_gave_way_for_stays_where_it_is() {
    let (_, found) = looked_at_under("services = ['bike']\notherwise = ['express']");
    assert_eq!(found, []);
}
