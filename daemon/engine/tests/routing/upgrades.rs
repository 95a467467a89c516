//! Rules that say by which services orders go, against an oracle that knows no lanes; and what never happens for them.

use std::collections::BTreeSet;

use earmark_engine::routing::{Planner, Proposal, Take};
use earmark_engine::{CommandRef, Decision, Outcome, State, Submission, decide};
use earmark_protocol::catalogue::capabilities;
use earmark_protocol::command::{Command, CommandBody, Delivery, Order, OrderLine, SetPolicy, SetStock};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{
    CommandId, LineId, Money, NodeIx, Segment, ServiceIx, SkuIx, Tenant, TimestampMs,
};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::{Reply, Shipment, Upgrade};
use earmark_protocol::supply::SupplySpec;
use earmark_protocol::tariff::{PriceStep, PutTariffs, ServiceSpec, ZoneSpec};

use crate::carriers::Carriers;
use crate::oracle::{cheapest, demand, judge};
use crate::policies::{drawn, of_order, with_value};
use crate::tariffs::address;
use crate::world::{World, count, run};

/// A Tuesday.
const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

#[derive(Clone, Debug)]
struct Rule {
    when: Option<usize>,
    services: BTreeSet<usize>,
    otherwise: BTreeSet<usize>,
}

/// Rules about services, told twice: as text, and as what they mean for a world and an order.
#[derive(Clone, Debug)]
pub(crate) struct Upgrades(Vec<Rule>);

fn some(random: &mut fastrand::Rng, services: usize) -> BTreeSet<usize> {
    let others: Vec<_> = (0..services).filter(|_| random.bool()).collect();
    others.into_iter().chain([random.usize(..services)]).collect()
}

impl Upgrades {
    pub(crate) fn random(random: &mut fastrand::Rng, world: &World) -> Self {
        let services = world.carriers.as_ref().map_or(0, |carriers| carriers.put.services.len());
        let rules = [0, 0, 1, 2][random.usize(..4)];
        let rule = |_| Rule {
            when: random.bool().then(|| random.usize(..6)),
            services: some(random, services),
            otherwise: if random.u8(..3) == 0 { some(random, services) } else { BTreeSet::new() },
        };
        Self((0..rules).map(rule).collect())
    }

    pub(crate) fn text(&self) -> String {
        let list = |services: &BTreeSet<usize>| {
            let name =
                |at: &usize| if at.is_multiple_of(2) { format!("\"s{at}\"") } else { format!("\"c/s{at}\"") };
            services.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        let rule = |(at, rule): (usize, &Rule)| {
            let mut text = format!("[[rule]]\nname = \"by {at}\"\nservices = [{}]\n", list(&rule.services));
            if let Some(when) = rule.when {
                let world = World::random(&mut fastrand::Rng::with_seed(1));
                let order = world.order(&mut fastrand::Rng::with_seed(1));
                text += &format!("when = \"{}\"\n", of_order(when, &world, &order, 2).0);
            }
            if !rule.otherwise.is_empty() {
                text += &format!("otherwise = [{}]\n", list(&rule.otherwise));
            }
            text
        };
        self.0.iter().enumerate().map(rule).collect()
    }

    /// Tells the world by which services the order goes, with as few rules giving way as have all of it go somehow; and what the
    /// plan says of it. `before` is how many rules stand before them.
    pub(crate) fn settle(
        &self,
        world: &mut World,
        order: &Order,
        weekday: u32,
        before: usize,
    ) -> Vec<Upgrade> {
        world.lean.services = None;
        if matches!(order.delivery, Delivery::Pickup { .. }) {
            return Vec::new();
        }
        let is_in_force = |rule: &Rule| rule.when.is_none_or(|when| of_order(when, world, order, weekday).1);
        let in_force: Vec<_> = self.0.iter().enumerate().filter(|(_, rule)| is_in_force(rule)).collect();
        let falling: Vec<_> =
            in_force.iter().filter(|(_, rule)| !rule.otherwise.is_empty()).map(|(at, _)| *at).collect();
        let mut told = Vec::new();
        for gave_way in 0..=falling.len() {
            let open = &falling[falling.len() - gave_way..];
            let mut services: Option<BTreeSet<usize>> = None;
            told.clear();
            for (at, rule) in &in_force {
                let gave_way = open.contains(at);
                let mut allowed = rule.services.clone();
                allowed.extend(rule.otherwise.iter().filter(|_| gave_way));
                services = Some(services.map_or(allowed.clone(), |others| &others & &allowed));
                told.push(Upgrade { rule: (before + at) as u16, gave_way });
            }
            world.lean.services = services;
            if cheapest(world, order, &demand(order)).is_some() {
                break;
            }
        }
        told
    }
}

fn plan(state: &State, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

fn obey(state: &mut State, rules: &str) {
    run(state, CommandBody::SetPolicy(SetPolicy { text: format!("name = 'u'\n{rules}") }));
}

/// A world with carriers, and an order to an address.
fn carried(random: &mut fastrand::Rng) -> (World, Order) {
    let mut world = World::random(random);
    drawn(random, &mut world);
    world.carriers = Some(Carriers::random(random, &mut world.nodes, world.flags.len()));
    let drawn = world.order(random);
    let mut order = with_value(random, drawn);
    address(random, &mut order);
    (world, order)
}

#[test]
fn orders_go_by_the_services_that_rules_allow_for_least() {
    let mut random = fastrand::Rng::with_seed(51);
    let (mut planned, mut upgraded, mut gave_way, mut refused) = (0, 0, 0, 0);
    for turn in 0..3_000 {
        let (mut world, first) = carried(&mut random);
        let upgrades = Upgrades::random(&mut random, &world);
        let mut state = world.state();
        obey(&mut state, &upgrades.text());
        let (reader, mut planner) = (state.reader(), Planner::new());
        let mut others = || {
            let drawn = world.order(&mut random);
            let mut order = with_value(&mut random, drawn);
            address(&mut random, &mut order);
            order
        };
        // One planner goes to and fro between services.
        for order in [first, others(), others()] {
            world.lean.services = None;
            let free = cheapest(&world, &order, &demand(&order));
            let told = upgrades.settle(&mut world, &order, 2, 0);
            let ours = planner.at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
            match (ours, cheapest(&world, &order, &demand(&order))) {
                (Ok(proposal), Some(expected)) => {
                    let plan = &proposal.plan;
                    let texts = || format!("turn {turn}: {} {world:#?} {order:#?}", upgrades.text());
                    assert_eq!((plan.cost.0, plan.bound.0), (expected.0, expected.0), "{}", texts());
                    assert_eq!(judge(&world, &order, &proposal), demand(&order), "turn {turn}");
                    assert_eq!(plan.upgrades, told, "turn {turn}");
                    let gives_way = told.iter().any(|rule| rule.gave_way);
                    match planner.at(NOW).repair(&reader, reader.lanes(), Tenant(0), &order, &proposal) {
                        Some(same) => {
                            let kept = (same.plan.cost, &same.plan.upgrades);
                            assert_eq!((plan.cost, &plan.upgrades), kept, "turn {turn}");
                            assert_eq!(judge(&world, &order, &same), demand(&order), "turn {turn}");
                            assert!(!gives_way, "turn {turn}: a plan that a rule gave way for is made again");
                        }
                        None => assert!(gives_way, "turn {turn}: what still holds is left as it is"),
                    }
                    planned += 1;
                    gave_way += usize::from(gives_way);
                    upgraded += usize::from(free.is_some_and(|free| free.0 < expected.0));
                }
                (Err(_), None) => refused += 1,
                (ours, expected) => panic!("turn {turn}: {ours:?} but {expected:?}: {world:#?} {order:#?}"),
            }
        }
    }
    let counts = (planned, upgraded, gave_way, refused);
    assert!(planned > 1_000 && upgraded > 100 && gave_way > 20 && refused > 500, "{counts:?}");
}

/// Services at one price, each up to so many miles.
pub(crate) fn services(services: &[(&str, &[(u16, i64)])]) -> PutTariffs {
    let service = |(code, zones): &(&str, &[(u16, i64)])| ServiceSpec {
        carrier: "c".to_owned(),
        code: (*code).to_owned(),
        offered: true,
        zones: (1..)
            .zip(*zones)
            .map(|(zone, (miles_max, units))| ZoneSpec {
                zone,
                miles_max: *miles_max,
                transit_days: zone,
                steps: vec![PriceStep { up_to_g: 100_000, price: Money(units * 1_000_000) }],
            })
            .collect(),
        ..ServiceSpec::default()
    };
    PutTariffs { services: services.iter().map(service).collect(), ..PutTariffs::default() }
}

/// Two nodes, a few miles and far away from where the order goes, of which the far one alone has sku 1; `ground` goes everywhere, `express`
/// for short ways.
fn near_and_far() -> (State, Order) {
    let mut random = fastrand::Rng::with_seed(52);
    let mut world = World::wide(&mut random, 2, 2, 0.0, 1);
    for (node, (lat, lon)) in world.nodes.iter_mut().zip([(41.9, -87.6), (34.1, -118.2)]) {
        node.position = Position::from_degrees(lat, lon).expect("it is on the globe");
        (node.cost_per_order, node.cost_per_line, node.cost_per_unit) = (Money(0), Money(0), Money(0));
        node.capabilities |= capabilities::SHIP | capabilities::PICKUP;
    }
    world.flags = vec![0, 0];
    world.stock = [((0, 0, 0), 9), ((0, 1, 0), 9), ((1, 1, 0), 9)].into();
    let put = services(&[("ground", &[(u16::MAX, 5)]), ("express", &[(500, 20)])]);
    world.carriers = Some(Carriers { put, weights_g: vec![100; 2], sizes_mm: vec![[0; 3]; 2] });
    let mut order = world.wide_order(&mut random, 1, 1);
    order.lines = vec![OrderLine { line: LineId(1), sku: SkuIx(0), quantity: 2 }];
    order.value = Some(Money(300_000_000));
    order.delivery = Delivery::Ship {
        position: Position::from_degrees(41.8, -87.7).expect("it is on the globe"),
        postal: String::new(),
        home: false,
    };
    (world.state(), order)
}

const GOLD: &str = "[[rule]]\nname = 'gold'\nwhen = 'order.value >= 200'\nservices = ['express']\n";

fn shipped(proposal: &Proposal) -> Vec<(NodeIx, ServiceIx, Money)> {
    let by = |shipment: &Shipment| shipment.carriage.expect("carriers price it").service;
    proposal.plan.shipments.iter().map(|shipment| (shipment.node, by(shipment), shipment.cost)).collect()
}

#[test]
fn dear_orders_go_by_the_better_service_and_pay_for_it_and_others_do_not() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, GOLD);
    let proposal = plan(&state, &order, false).expect("it is near");
    assert_eq!(shipped(&proposal), [(NodeIx(0), ServiceIx(1), Money(20_000_000))]);
    assert_eq!(proposal.plan.upgrades, [Upgrade { rule: 0, gave_way: false }]);
    assert!(proposal.plan.is_optimal());
    order.value = Some(Money(199_999_999));
    let proposal = plan(&state, &order, false).expect("it is near");
    assert_eq!(shipped(&proposal), [(NodeIx(0), ServiceIx(0), Money(5_000_000))]);
    assert_eq!(proposal.plan.upgrades, []);
}

#[test]
fn what_no_allowed_service_brings_is_refused_and_never_sent_by_another() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, GOLD);
    order.lines[0].sku = SkuIx(1);
    assert_eq!(plan(&state, &order, false).expect_err("it is far away").code, RefusalCode::OutOfStock);
    order.nodes = vec![NodeIx(1)];
    assert_eq!(plan(&state, &order, false).expect_err("it is far away").code, RefusalCode::NoService);
    assert_eq!(plan(&state, &order, true).expect_err("it is far away").code, RefusalCode::NoService);
    // Where nothing is offered any more, the configured tariff prices; but not what has to go by a service.
    let mut put = services(&[("ground", &[(u16::MAX, 5)]), ("express", &[(500, 20)])]);
    put.services.iter_mut().for_each(|spec| spec.offered = false);
    run(&mut state, CommandBody::PutTariffs(put));
    assert_eq!(plan(&state, &order, false).expect_err("nothing goes").code, RefusalCode::NoService);
    order.value = None;
    assert!(plan(&state, &order, false).expect("the tariff prices it").plan.shipments[0].carriage.is_none());
    order.value = Some(Money(300_000_000));
    order.nodes.clear();
    order.delivery = Delivery::Pickup { node: NodeIx(1) };
    let picked_up = plan(&state, &order, false).expect("nothing has to go anywhere");
    assert_eq!(picked_up.plan.upgrades, []);
}

#[test]
fn a_rule_gives_way_where_more_is_served_for_it_and_nowhere_else() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, &format!("{GOLD}otherwise = ['c/ground']\n"));
    let is_firm = [Upgrade { rule: 0, gave_way: false }];
    let gave_way = [Upgrade { rule: 0, gave_way: true }];
    assert_eq!(plan(&state, &order, false).expect("it is near").plan.upgrades, is_firm);
    // There are 18 of it in all, and 9 are near.
    order.lines[0].quantity = 9;
    assert_eq!(plan(&state, &order, false).expect("it is near").plan.upgrades, is_firm);
    order.lines[0].quantity = 10;
    let split = plan(&state, &order, false).expect("there is enough");
    assert_eq!((split.plan.upgrades.as_slice(), split.plan.shipments.len()), (&gave_way[..], 2));
    // What is to be had nowhere is no reason to send the rest by less.
    let nowhere = OrderLine { line: LineId(2), sku: SkuIx(1), quantity: 1 };
    run(
        &mut state,
        CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: vec![count((1, 1, 0), 0)] }),
    );
    order.lines[0].quantity = 2;
    order.lines.push(nowhere);
    let part = plan(&state, &order, true).expect("some of it is near");
    assert_eq!(shipped(&part), [(NodeIx(0), ServiceIx(1), Money(20_000_000))]);
    assert_eq!((part.plan.upgrades.as_slice(), part.plan.unfilled.len()), (&is_firm[..], 1));
}

#[test]
fn what_waits_for_supply_goes_by_the_services_that_rules_allow_too() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, GOLD);
    order.lines[0].sku = SkuIx(1);
    order.supply_by = Some(19_680);
    let supply = |node| SupplySpec {
        code: "PO-1".to_owned(),
        sku: SkuIx(1),
        node: NodeIx(node),
        segment: Segment(0),
        quantity: 5,
        day: 19_679,
    };
    run(&mut state, CommandBody::PutSupplies(vec![supply(1)]));
    assert!(plan(&state, &order, false).is_err(), "it comes far away alone");
    run(&mut state, CommandBody::PutSupplies(vec![supply(0)]));
    let proposal = plan(&state, &order, false).expect("it comes near, too");
    assert_eq!(shipped(&proposal), [(NodeIx(0), ServiceIx(1), Money(20_000_000))]);
    assert_eq!(proposal.plan.shipments[0].supply_day, 19_679);
    assert_eq!(proposal.plan.upgrades, [Upgrade { rule: 0, gave_way: false }]);
}

#[test]
fn a_rule_gives_way_for_what_waits_where_nothing_comes_for_it_otherwise() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, &format!("{GOLD}otherwise = ['c/ground']\n"));
    (order.lines[0].sku, order.supply_by) = (SkuIx(1), Some(19_680));
    let none = SetStock { source: 0, as_of: None, counts: vec![count((1, 1, 0), 0)] };
    run(&mut state, CommandBody::SetStock(none));
    let refusal = plan(&state, &order, false).expect_err("nothing comes");
    assert_eq!(refusal.code, RefusalCode::OutOfStock, "a service goes there, and nothing is there");
    let (code, segment) = ("PO-1".to_owned(), Segment(0));
    let supply = SupplySpec { code, sku: SkuIx(1), node: NodeIx(1), segment, quantity: 5, day: 19_679 };
    run(&mut state, CommandBody::PutSupplies(vec![supply]));
    let proposal = plan(&state, &order, false).expect("it comes far away");
    assert_eq!(shipped(&proposal), [(NodeIx(1), ServiceIx(0), Money(5_000_000))]);
    assert_eq!(proposal.plan.upgrades, [Upgrade { rule: 0, gave_way: true }]);
}

#[test]
fn a_rule_that_gives_way_for_what_waits_gives_way_for_what_is_in_stock_too() {
    let (mut state, mut order) = near_and_far();
    obey(&mut state, &format!("{GOLD}otherwise = ['c/ground']\n"));
    let none = SetStock { source: 0, as_of: None, counts: vec![count((1, 1, 0), 0)] };
    run(&mut state, CommandBody::SetStock(none));
    let (code, segment) = ("PO-1".to_owned(), Segment(0));
    let supply = SupplySpec { code, sku: SkuIx(1), node: NodeIx(1), segment, quantity: 5, day: 19_679 };
    run(&mut state, CommandBody::PutSupplies(vec![supply]));
    order.lines.push(OrderLine { line: LineId(2), sku: SkuIx(1), quantity: 1 });
    order.supply_by = Some(19_680);
    for best_effort in [false, true] {
        let proposal = plan(&state, &order, best_effort).expect("it comes far away");
        let cheap = Money(5_000_000);
        let both = [(NodeIx(0), ServiceIx(0), cheap), (NodeIx(1), ServiceIx(0), cheap)];
        assert_eq!(shipped(&proposal), both, "the order need not go by express any more");
        assert_eq!(proposal.plan.upgrades, [Upgrade { rule: 0, gave_way: true }]);
        assert_eq!(proposal.plan.cost, Money(10_000_000));
    }
}

#[test]
fn a_decision_from_where_no_allowed_service_goes_is_priced_by_one_that_does() {
    let (mut state, order) = near_and_far();
    obey(&mut state, GOLD);
    let price = |state: &State| {
        let reader = state.reader();
        let takes = [0, 1].map(|node| Take { line: LineId(1), node: NodeIx(node), quantity: 1 });
        Planner::new()
            .at(NOW)
            .price(&reader, reader.lanes(), Tenant(0), &order, &takes)
            .expect("it is a decision")
    };
    let priced = price(&state);
    let (near, far) = (Money(20_000_000), Money(5_000_000));
    assert_eq!(shipped(&priced.proposal), [(NodeIx(0), ServiceIx(1), near), (NodeIx(1), ServiceIx(0), far)]);
    assert_eq!((priced.barred, priced.uncarried), (vec![NodeIx(1)], vec![]));
    assert_eq!(priced.proposal.plan.cost, Money(25_000_000));
    // Where none goes at all, that is told.
    run(&mut state, CommandBody::PutTariffs(services(&[("ground", &[(500, 5)]), ("express", &[(500, 20)])])));
    let priced = price(&state);
    assert_eq!((priced.uncarried, priced.proposal.plan.cost), (vec![NodeIx(1)], near));
}

#[test]
fn a_service_that_no_carrier_has_is_refused_with_its_place() {
    let (state, _) = near_and_far();
    for (services, place) in [
        ("['expres']", Some((5, 13))),
        ("['express', 'd/express']", Some((5, 24))),
        ("['express']\notherwise = ['c/']", Some((6, 14))),
        ("['c/express', 'ground']", None),
    ] {
        let rule = "[[rule]]\nname = 'gold'\nwhen = 'order.value >= 200'\nservices = ";
        let text = format!("name = 'u'\n{rule}{services}\n");
        let body = CommandBody::SetPolicy(SetPolicy { text });
        let command = Command { id: CommandId::new(NOW, [7; 10]), give_up_ms: 0, body };
        let command = CommandRef::Full(&command);
        let submission = Submission { tenant: Tenant(0), content: 0, command, planned: None, last: true };
        let mut decision = Decision::default();
        decide(&state, NOW, &submission, &mut decision);
        match (decision.outcome, place) {
            (Outcome::Reply(Reply::Refused(refused)), Some((line, column))) => {
                let Refusal { code, index, detail, .. } = refused.refusal;
                assert_eq!(
                    (code, index, detail),
                    (RefusalCode::UnknownService, Some(line), column),
                    "{services}"
                );
            }
            (Outcome::Reply(Reply::Done(_)), None) => {}
            (outcome, _) => panic!("{services}: {outcome:?}"),
        }
    }
}
