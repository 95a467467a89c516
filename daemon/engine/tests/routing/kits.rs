//! Kits: a plan of their lines is that of their components' lines, and best effort has whole kits.

use earmark_engine::State;
use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::command::{CommandBody, Order, OrderLine, Reserve, SetStock};
use earmark_protocol::ids::{HoldClass, LineId, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Unfilled;

use super::rollout::{set, submit, version_of};
use super::world::{World, count, run};

/// The skus of two kits, behind the four of a world.
const KITS: [SkuIx; 2] = [SkuIx(4), SkuIx(5)];

fn with_kits(world: &World, kits: &[&[(u32, u32)]]) -> State {
    let mut state = world.state();
    let codes = ["KIT-0", "KIT-1"].map(|code| SkuSpec { code: code.to_owned(), ..SkuSpec::default() });
    run(&mut state, CommandBody::PutSkus(codes.to_vec()));
    let component = |(sku, quantity): &(u32, u32)| Component { sku: SkuIx(*sku), quantity: *quantity };
    let specs = KITS.iter().zip(kits).map(|(kit, components)| KitSpec {
        kit: *kit,
        components: components.iter().map(component).collect(),
    });
    run(&mut state, CommandBody::PutKits(specs.collect()));
    state
}

fn plan(
    world: &World,
    kits: &[&[(u32, u32)]],
    order: &Order,
    best_effort: bool,
) -> Result<Proposal, Refusal> {
    let reader = with_kits(world, kits).reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

fn line(line: u32, sku: SkuIx, quantity: u32) -> OrderLine {
    OrderLine { line: LineId(line), sku, quantity }
}

#[test]
fn a_kit_is_planned_as_its_components_are() {
    let mut planned = 0;
    for seed in 0..2_500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let kit: Vec<_> = (0..4).map(|sku| (sku, random.u32(0..3))).filter(|(_, units)| *units > 0).collect();
        if kit.is_empty() {
            continue;
        }
        let quantity = random.u32(1..3);
        let mut of_kit = order.clone();
        of_kit.lines.push(line(90, KITS[0], quantity));
        let mut of_components = order.clone();
        let parts = kit.iter().map(|(sku, units)| line(90 + sku, SkuIx(*sku), units * quantity));
        of_components.lines.extend(parts);
        let whole = plan(&world, &[&kit], &of_kit, false);
        let apart = plan(&world, &[&kit], &of_components, false);
        match (whole, apart) {
            (Ok(whole), Ok(apart)) => {
                planned += 1;
                let told = |proposal: &Proposal| {
                    let picks = proposal.picks.iter();
                    let picks: Vec<_> =
                        picks.map(|pick| (pick.sku, pick.node, pick.segment, pick.quantity)).collect();
                    (picks, proposal.plan.cost, proposal.plan.bound)
                };
                assert_eq!(told(&whole), told(&apart), "seed {seed}");
                let of_line = whole.picks.iter().filter(|pick| pick.line == LineId(90));
                let units: u32 = of_line.map(|pick| pick.quantity).sum();
                assert_eq!(units, kit.iter().map(|(_, units)| units * quantity).sum(), "seed {seed}");
            }
            (Err(whole), Err(apart)) => assert_eq!(whole.code, apart.code, "seed {seed}"),
            (whole, apart) => panic!("seed {seed}: {whole:?}, {apart:?}"),
        }
    }
    assert!(planned > 200, "{planned} of the orders could be served");
}

/// Nodes 0 and 1; of skus 0 to 3 the first has this many.
fn shop(stock: [i32; 4]) -> World {
    let mut world = World::random(&mut fastrand::Rng::with_seed(7));
    let mut node = world.nodes[0].clone();
    node.capabilities = earmark_protocol::catalogue::capabilities::ALL;
    world.nodes = vec![node.clone()];
    node.code += "X";
    world.nodes.push(node);
    world.flags = vec![0; 4];
    world.stock = (0..4).zip(stock).map(|(sku, units)| ((sku, sku % 2, 0), units)).collect();
    world.rules.channels.truncate(1);
    world
}

fn order(lines: &[OrderLine]) -> Order {
    let mut random = fastrand::Rng::with_seed(1);
    let world = shop([1; 4]);
    let order = std::iter::repeat_with(|| world.order(&mut random));
    let mut shipped = order.filter(|order| {
        matches!(order.delivery, earmark_protocol::command::Delivery::Ship { .. })
            && order.nodes.is_empty()
            && order.shipments_max == 0
            && order.channel.0 == 0
    });
    Order { lines: lines.to_vec(), ..shipped.next().expect("one is shipped") }
}

#[test]
fn best_effort_has_whole_kits_and_leaves_nothing_of_one_that_is_short() {
    let kits: [&[(u32, u32)]; 2] = [&[(0, 2), (1, 1)], &[(0, 1), (2, 1)]];
    let out =
        |line: u32, quantity| Unfilled { line: LineId(line), quantity, reason: RefusalCode::OutOfStock };
    let units = |proposal: &Proposal, line: u32, sku: u32| -> u32 {
        let picks = proposal.picks.iter().filter(|pick| (pick.line, pick.sku) == (LineId(line), SkuIx(sku)));
        picks.map(|pick| pick.quantity).sum()
    };
    // Five of sku 0 make two kits of the first; one of it is left for the second.
    let asked = order(&[line(1, KITS[0], 3), line(2, KITS[1], 2), line(3, SkuIx(3), 4)]);
    let got = plan(&shop([5, 9, 9, 3]), &kits, &asked, true).expect("some of it can be had");
    assert_eq!([units(&got, 1, 0), units(&got, 1, 1)], [4, 2]);
    assert_eq!([units(&got, 2, 0), units(&got, 2, 2)], [1, 1]);
    assert_eq!(got.plan.unfilled, [out(1, 1), out(2, 1), out(3, 1)]);
    // Without sku 1 the first kit cannot be had, and its share of sku 0 goes to the second.
    let got = plan(&shop([1, 0, 9, 9]), &kits, &asked, true).expect("some of it can be had");
    assert_eq!([units(&got, 1, 0), units(&got, 2, 0), units(&got, 2, 2)], [0, 1, 1]);
    assert_eq!(got.plan.unfilled, [out(1, 3), out(2, 1)]);
    // A kit's components may come from two nodes.
    let nodes: Vec<NodeIx> = got.plan.shipments.iter().map(|shipment| shipment.node).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    // Nothing whole, nothing at all.
    let refused = plan(&shop([1, 0, 0, 9]), &kits, &order(&asked.lines[..2]), true);
    assert_eq!(refused, Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0)));
    // All or nothing: the kit's line is named, and how many kits there are of what is short.
    let asked = order(&[line(1, SkuIx(3), 1), line(2, KITS[0], 3)]);
    let refused = plan(&shop([5, 9, 9, 9]), &kits, &asked, false);
    assert_eq!(refused, Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(1).detail(2)));
}

#[test]
fn kits_that_no_allowed_shipment_has_whole_are_refused_with_the_limit() {
    let world = shop([5, 5, 5, 5]);
    let order = order(&[line(0, KITS[0], 2)]);
    let limited = Order { shipments_max: 1, ..order.clone() };
    let state = with_kits(&world, &[&[(0, 1), (1, 1)]]);
    let refused = |state: &State, order: &Order, best_effort: bool| {
        let reader = state.reader();
        let planned = Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[]);
        planned.map(|proposal| proposal.plan).expect_err("no node has a whole kit")
    };
    let expected = Refusal::of(RefusalCode::TooManyShipments, Field::Shipments).detail(1);
    for best_effort in [false, true] {
        assert_eq!(refused(&state, &limited, best_effort), expected);
    }
    // As a policy has it, too.
    let mut state = state;
    set(&mut state, "one", "split_when = 'order.units > 50'");
    for best_effort in [false, true] {
        assert_eq!(refused(&state, &order, best_effort), expected);
    }
}

#[test]
fn an_order_is_as_large_as_its_kits_taken_apart() {
    let reader = with_kits(&shop([9; 4]), &[&[(0, 2), (1, 1)]]).reader();
    let asked = order(&[line(1, KITS[0], 3), line(2, SkuIx(3), 4)]);
    assert_eq!(reader.extent(Tenant(0), &asked), (3, 13));
    // A kit of another tenant is nothing that is known.
    assert_eq!(reader.extent(Tenant(1), &asked), (2, 7));
}

#[test]
fn a_plan_without_all_kits_is_mended_by_the_version_that_the_whole_order_obeys() {
    // Two of sku 0 at the first node and two of sku 1 at the second make two kits of three.
    let mut world = shop([2, 2, 0, 0]);
    world.stock.insert((0, 1, 0), 0);
    let mut state = with_kits(&world, &[&[(0, 1), (1, 1)]]);
    let barred = format!(
        "[[rule]]\nname = \"no\"\nwhen = 'line.sku == \"S0\"'\nexclude = 'node.code == \"{}\"'",
        world.nodes[1].code
    );
    set(&mut state, "all", &barred);
    set(&mut state, "large", "only_when = 'order.units > 5'");
    let order = order(&[line(1, KITS[0], 3)]);
    let now = TimestampMs(1_700_000_000_000);
    let reader = state.reader();
    let planned = Planner::new().at(now).plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]);
    let plan = &planned.as_ref().expect("two kits can be had").plan;
    assert_eq!((plan.policy, plan.shipments.len(), plan.unfilled.len()), (2, 2, 1));

    // Meanwhile the units of sku 0 went to the other node. What is left of the order is not large.
    let counts = vec![count((0, 0, 0), 0), count((0, 1, 0), 5)];
    run(&mut state, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }));
    let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: true };
    let (outcome, _) = submit(&state, (now, false, 1), reserve, &planned);
    assert_eq!(version_of(&outcome), Some(2), "{outcome:?}");
}
