//! Plans against an oracle that tries every assignment. The oracle knows positions, costs and stock, and nothing of
//! how routing works.

#![allow(clippy::unwrap_used, reason = "a test panics where its world cannot be made")]

use std::collections::BTreeMap;

use std::sync::atomic::{AtomicU64, Ordering};

use earmark_engine::routing::{Planner, Proposal};
use earmark_engine::{
    Capacity, CommandRef, Decision, Outcome, Rules, State, Submission, Tariff, apply, decide,
};
use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities, sku_flags};
use earmark_protocol::command::{Command, CommandBody, Delivery, Order, OrderLine, SetStock, StockCount};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, LineId, Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Reply;

/// A small world, told twice: to the engine and to the oracle.
#[derive(Clone, Debug)]
struct World {
    rules: Rules,
    nodes: Vec<NodeSpec>,
    /// By sku.
    flags: Vec<u16>,
    stock: BTreeMap<(usize, usize, u16), i32>,
}

impl World {
    fn random(random: &mut fastrand::Rng) -> Self {
        let costs = random.u8(0..4);
        let nodes = (0..random.usize(1..6)).map(|at| {
            // Few places, so that distances tie.
            let places = [(41.88, -87.63), (41.88, -87.63), (39.0, -90.0), (32.77, -96.79), (34.05, -118.24)];
            let (lat, lon) = places[random.usize(..places.len())];
            let mut spec = NodeSpec {
                code: format!("N{}", random.u32(..1000) * 10 + at as u32),
                position: Position::from_degrees(lat, lon).unwrap(),
                time_zone: "America/Chicago".to_owned(),
                priority: random.u16(..3),
                capabilities: capabilities::SHIP | capabilities::PICKUP,
                ..NodeSpec::default()
            };
            if random.u8(..6) == 0 {
                spec.capabilities &= !capabilities::SHIP;
            }
            if random.bool() {
                spec.capabilities |= sku_flags::HAZMAT;
            }
            if costs > 0 {
                spec.cost_per_order = Money(random.i64(0..3) * 2_000_000);
                spec.cost_per_unit = Money(random.i64(0..3) * 100_000);
            }
            if costs > 1 {
                spec.cost_per_line = Money(random.i64(0..3) * 700_000);
            }
            spec
        });
        let nodes: Vec<_> = nodes.collect();
        let flags: Vec<_> = (0..4).map(|_| u16::from(random.u8(..5) == 0)).collect();
        let mut stock = BTreeMap::new();
        let segments = if random.bool() { 1 } else { 3 };
        for sku in 0..flags.len() {
            for node in 0..nodes.len() {
                for segment in 0..segments {
                    if random.u8(..3) > 0 {
                        stock.insert((sku, node, segment), random.i32(-2..7));
                    }
                }
            }
        }
        let mut tariff = Tariff::default();
        if random.u8(..4) == 0 {
            tariff.per_unit_mile = Money(20_000);
        }
        let rules = Rules {
            tariff,
            split_lines: random.u8(..4) > 0,
            channels: vec![vec![Segment(0)], vec![Segment(2), Segment(0)]],
            ..Rules::default()
        };
        Self { rules, nodes, flags, stock }
    }

    fn order(&self, random: &mut fastrand::Rng) -> Order {
        let lines = (0..random.u32(1..5)).map(|line| OrderLine {
            line: LineId(line * 3 + 1),
            sku: SkuIx(random.u32(..self.flags.len() as u32)),
            quantity: random.u32(1..5),
        });
        let lines = lines.collect();
        let delivery = if random.u8(..6) == 0 {
            Delivery::Pickup { node: NodeIx(random.u32(..self.nodes.len() as u32)) }
        } else {
            Delivery::Ship { position: Position::from_degrees(40.0, -89.0).unwrap(), postal: String::new() }
        };
        let nodes = match &delivery {
            Delivery::Ship { .. } if random.u8(..4) == 0 => {
                let all = (0..self.nodes.len() as u32).filter(|_| random.bool());
                all.map(NodeIx).collect()
            }
            _ => Vec::new(),
        };
        let shipments_max = if random.u8(..3) == 0 { random.u16(1..3) } else { 0 };
        Order { channel: Channel(random.u16(..2)), delivery, nodes, shipments_max, lines }
    }

    /// The engine's side of it: nodes and skus put in this order, each cell counted.
    fn state(&self) -> State {
        let capacity = Capacity {
            skus: 4096,
            nodes: 4096,
            cells: 1 << 20,
            reservations: 1024,
            lines: 1024,
            commands: 1024,
            facts_bytes: 1 << 16,
            sku_code_bytes: 1 << 20,
            movements: 1024,
        };
        let mut state = State::new(&capacity, self.rules.clone()).unwrap();
        let sku = |(at, flags): (usize, &u16)| SkuSpec {
            code: format!("S{at}"),
            flags: *flags,
            ..SkuSpec::default()
        };
        let skus: Vec<_> = self.flags.iter().enumerate().map(sku).collect();
        let count = |((sku, node, segment), available): (&(usize, usize, u16), &i32)| StockCount {
            sku: SkuIx(*sku as u32),
            node: NodeIx(*node as u32),
            segment: Segment(*segment),
            on_hand: available.max(&0).unsigned_abs(),
            safety: Some(available.min(&0).unsigned_abs()),
        };
        let counts: Vec<_> = self.stock.iter().map(count).collect();
        run(&mut state, CommandBody::PutNodes(self.nodes.clone()));
        run(&mut state, CommandBody::PutSkus(skus));
        for counts in counts.chunks(self.rules.lines_max as usize) {
            run(
                &mut state,
                CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: counts.to_vec() }),
            );
        }
        state
    }

    fn miles(&self, order: &Order, node: usize) -> i64 {
        match &order.delivery {
            Delivery::Ship { position, .. } => {
                i64::from(self.nodes[node].position.miles_to(position.zone().centre()))
            }
            Delivery::Pickup { .. } => 0,
        }
    }

    fn may_serve(&self, order: &Order, sku: usize, node: usize) -> bool {
        let spec = &self.nodes[node];
        let way = match &order.delivery {
            Delivery::Ship { .. } => spec.capabilities & capabilities::SHIP != 0,
            Delivery::Pickup { node: at } => {
                at.0 as usize == node && spec.capabilities & capabilities::PICKUP != 0
            }
        };
        let named = order.nodes.is_empty() || order.nodes.contains(&NodeIx(node as u32));
        way && named && spec.capabilities & self.flags[sku] == self.flags[sku]
    }

    fn available(&self, order: &Order, sku: usize, node: usize) -> u32 {
        if !self.may_serve(order, sku, node) {
            return 0;
        }
        let segments = &self.rules.channels[usize::from(order.channel.0)];
        let of = |segment: &Segment| self.stock.get(&(sku, node, segment.0)).copied().unwrap_or(0);
        segments.iter().map(|segment| of(segment).max(0).unsigned_abs()).sum()
    }

    /// What units of these (sku, units) pairs cost as one shipment.
    fn shipment_cost(&self, order: &Order, node: usize, skus: usize, units: u32) -> i64 {
        let spec = &self.nodes[node];
        let (mut fixed, mut unit) = (spec.cost_per_order.0, spec.cost_per_unit.0);
        if matches!(order.delivery, Delivery::Ship { .. }) {
            fixed += self.rules.tariff.shipment_base.0;
            unit +=
                self.rules.tariff.per_unit.0 + self.rules.tariff.per_unit_mile.0 * self.miles(order, node);
        }
        fixed + spec.cost_per_line.0 * skus as i64 + unit * i64::from(units)
    }
}

/// Decides and applies a command that must take place.
fn run(state: &mut State, body: CommandBody) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = TimestampMs(1_700_000_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let [a, b, c, d, e, f, g, h] = number;
    let command = Command { id: CommandId::new(now, [0, 0, a, b, c, d, e, f, g, h]), give_up_ms: 0, body };
    let command_ref = CommandRef::Full(&command);
    let submission =
        Submission { tenant: Tenant(0), content: 0, command: command_ref, planned: None, last: false };
    let mut decision = Decision::default();
    decide(state, now, &submission, &mut decision);
    assert!(matches!(decision.outcome, Outcome::Reply(Reply::Done(_))), "{:?}", decision.outcome);
    apply(state, &decision.record);
}

/// Per node: units of each sku.
type Assignment = Vec<BTreeMap<usize, u32>>;

/// All ways to serve this many units of a sku: whole from a node that has them, or else split over several.
fn ways(world: &World, order: &Order, sku: usize, units: u32) -> Vec<Vec<u32>> {
    let available: Vec<u32> = (0..world.nodes.len()).map(|node| world.available(order, sku, node)).collect();
    if available.iter().any(|there| *there >= units) {
        let whole =
            |node: usize| (0..available.len()).map(|other| if other == node { units } else { 0 }).collect();
        return (0..available.len()).filter(|node| available[*node] >= units).map(whole).collect();
    }
    if !world.rules.split_lines {
        return Vec::new();
    }
    let mut ways = vec![Vec::new()];
    for there in &available {
        ways = ways
            .into_iter()
            .flat_map(|way: Vec<u32>| (0..=*there).map(move |part| [way.as_slice(), &[part]].concat()))
            .collect();
    }
    ways.retain(|way| way.iter().sum::<u32>() == units);
    ways
}

fn demand(order: &Order) -> BTreeMap<usize, u32> {
    let mut demand = BTreeMap::new();
    for line in &order.lines {
        *demand.entry(line.sku.0 as usize).or_insert(0) += line.quantity;
    }
    demand
}

/// The units of a sku that can be had at best.
fn reachable(world: &World, order: &Order, sku: usize, units: u32) -> u32 {
    let available = (0..world.nodes.len()).map(|node| world.available(order, sku, node));
    let most = available.clone().max().unwrap_or(0);
    if most >= units {
        units
    } else if world.rules.split_lines {
        available.sum::<u32>().min(units)
    } else {
        most
    }
}

fn limit(world: &World, order: &Order) -> usize {
    let limit = if order.shipments_max > 0 { order.shipments_max } else { world.rules.shipments_max };
    if limit == 0 { usize::MAX } else { usize::from(limit) }
}

/// The cheapest legal assignment of this demand by cost, then priorities, then codes; `None` where there is none.
fn cheapest(world: &World, order: &Order, demand: &BTreeMap<usize, u32>) -> Option<(i64, u64, Vec<String>)> {
    let mut assignments: Vec<Assignment> = vec![vec![BTreeMap::new(); world.nodes.len()]];
    for (sku, units) in demand.iter().filter(|(_, units)| **units > 0) {
        let ways = ways(world, order, *sku, *units);
        let mut next = Vec::new();
        for assignment in &assignments {
            for way in &ways {
                let mut assignment = assignment.clone();
                for (node, part) in way.iter().enumerate().filter(|(_, part)| **part > 0) {
                    assignment[node].insert(*sku, *part);
                }
                next.push(assignment);
            }
        }
        assignments = next;
    }
    let judged = assignments.iter().filter_map(|assignment| {
        let used: Vec<usize> = (0..assignment.len()).filter(|node| !assignment[*node].is_empty()).collect();
        let cost = |node: &usize| {
            let parts = &assignment[*node];
            world.shipment_cost(order, *node, parts.len(), parts.values().sum())
        };
        let priorities = used.iter().map(|node| u64::from(world.nodes[*node].priority)).sum();
        let mut codes: Vec<_> = used.iter().map(|node| world.nodes[*node].code.clone()).collect();
        codes.sort();
        (used.len() <= limit(world, order)).then(|| (used.iter().map(cost).sum(), priorities, codes))
    });
    judged.min()
}

/// Judges a plan: is it legal, and is it priced right? Returns the units it serves of each sku.
fn judge(world: &World, order: &Order, proposal: &Proposal) -> BTreeMap<usize, u32> {
    let plan = &proposal.plan;
    let mut taken: BTreeMap<(usize, usize, u16), u32> = BTreeMap::new();
    let mut of_line: BTreeMap<LineId, u32> = BTreeMap::new();
    let mut served = BTreeMap::new();
    let mut at_node: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for pick in &proposal.picks {
        let (sku, node) = (pick.sku.0 as usize, pick.node.0 as usize);
        let line = order.lines.iter().find(|line| line.line == pick.line).expect("a pick is of a line");
        assert_eq!(line.sku, pick.sku);
        assert!(pick.quantity > 0);
        assert!(world.may_serve(order, sku, node), "{node} may not serve {sku}");
        assert!(world.rules.channels[usize::from(order.channel.0)].contains(&pick.segment));
        *taken.entry((sku, node, pick.segment.0)).or_default() += pick.quantity;
        *of_line.entry(pick.line).or_default() += pick.quantity;
        *served.entry(sku).or_default() += pick.quantity;
        *at_node.entry((sku, node)).or_default() += pick.quantity;
    }
    for (cell, units) in &taken {
        assert!(i64::from(world.stock[cell]) >= i64::from(*units), "{cell:?} has not {units}");
    }
    for line in &order.lines {
        let unfilled = plan.unfilled.iter().filter(|unfilled| unfilled.line == line.line);
        let left: u32 = unfilled.map(|unfilled| unfilled.quantity).sum();
        assert_eq!(of_line.get(&line.line).copied().unwrap_or(0) + left, line.quantity, "{:?}", line.line);
    }
    for (sku, units) in &served {
        let places = at_node.keys().filter(|(of, _)| of == sku).count();
        let whole = (0..world.nodes.len()).any(|node| world.available(order, *sku, node) >= *units);
        assert!(places == 1 || world.rules.split_lines && !whole, "{sku} is split without need");
    }
    assert!(plan.shipments.len() <= limit(world, order));
    let mut total = 0;
    let mut shipped = Vec::new();
    for shipment in &plan.shipments {
        let node = shipment.node.0 as usize;
        let parts: Vec<_> = at_node.iter().filter(|((_, at), _)| *at == node).collect();
        let cost = world.shipment_cost(order, node, parts.len(), parts.iter().map(|part| *part.1).sum());
        assert_eq!(shipment.cost, Money(cost));
        assert_eq!(i64::from(shipment.miles), world.miles(order, node));
        total += cost;
        for line in &shipment.lines {
            shipped.push((line.line, line.sku, shipment.node, line.segment, line.quantity));
        }
    }
    let picked: Vec<_> = proposal
        .picks
        .iter()
        .map(|pick| (pick.line, pick.sku, pick.node, pick.segment, pick.quantity))
        .collect();
    assert_eq!(picked, shipped);
    assert_eq!(plan.cost, Money(total));
    assert!(plan.bound <= plan.cost);
    served
}

fn plan(world: &World, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = world.state().reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

fn key(world: &World, proposal: &Proposal) -> (i64, u64, Vec<String>) {
    let nodes = || proposal.plan.shipments.iter().map(|shipment| &world.nodes[shipment.node.0 as usize]);
    let mut codes: Vec<_> = nodes().map(|node| node.code.clone()).collect();
    codes.sort();
    (proposal.plan.cost.0, nodes().map(|node| u64::from(node.priority)).sum(), codes)
}

#[test]
fn a_whole_order_gets_the_cheapest_legal_plan_and_its_proof() {
    let mut random = fastrand::Rng::with_seed(11);
    let (mut planned, mut split, mut refused, mut many) = (0, 0, 0, 0);
    for turn in 0..6_000 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let demand = demand(&order);
        match (plan(&world, &order, false), cheapest(&world, &order, &demand)) {
            (Ok(proposal), Some(expected)) => {
                assert_eq!(judge(&world, &order, &proposal), demand, "turn {turn}");
                assert_eq!(
                    key(&world, &proposal),
                    expected,
                    "turn {turn}: {world:#?} {order:#?} {proposal:#?}"
                );
                assert_eq!(proposal.plan.bound, proposal.plan.cost, "turn {turn} is not proven");
                planned += 1;
                many += usize::from(proposal.plan.shipments.len() > 1);
                split += usize::from(proposal.picks.len() > order.lines.len());
            }
            (Err(refusal), None) => {
                refused += 1;
                explain(&world, &order, &demand, refusal);
            }
            (ours, expected) => panic!("turn {turn}: {ours:?} but {expected:?}: {world:#?} {order:#?}"),
        }
    }
    assert!(
        planned > 1_000 && split > 100 && refused > 1_000 && many > 200,
        "{planned} {split} {refused} {many}"
    );
}

/// Judges a refusal.
fn explain(world: &World, order: &Order, demand: &BTreeMap<usize, u32>, refusal: Refusal) {
    let line_sku = || order.lines[refusal.index.expect("a line is named") as usize].sku.0 as usize;
    let able = |sku: usize| (0..world.nodes.len()).any(|node| world.may_serve(order, sku, node));
    match refusal.code {
        RefusalCode::OutOfStock => {
            let sku = line_sku();
            let at_best = reachable(world, order, sku, demand[&sku]);
            assert!(at_best < demand[&sku]);
            assert_eq!(refusal.detail, i64::from(at_best));
            assert_eq!(refusal.field, Field::Line);
        }
        RefusalCode::NoNode => assert!(!able(line_sku())),
        RefusalCode::NodeIncapable if refusal.field == Field::Line => assert!(!able(line_sku())),
        RefusalCode::NodeIncapable => assert!((0..4).all(|sku| !able(sku))),
        RefusalCode::TooManyShipments => assert_eq!(refusal.detail, limit(world, order) as i64),
        other => panic!("{other:?} is no reason here"),
    }
}

#[test]
fn best_effort_takes_all_that_can_be_had_for_least() {
    let mut random = fastrand::Rng::with_seed(12);
    let (mut partly, mut limited) = (0, 0);
    for turn in 0..6_000 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let wanted = demand(&order);
        let reachable: BTreeMap<_, _> =
            wanted.iter().map(|(sku, units)| (*sku, reachable(&world, &order, *sku, *units))).collect();
        let proposal = match plan(&world, &order, true) {
            Ok(proposal) => proposal,
            Err(refusal) => {
                assert!(
                    reachable.values().all(|units| *units == 0),
                    "turn {turn}: {refusal} {world:#?} {order:#?}"
                );
                continue;
            }
        };
        let mut served = judge(&world, &order, &proposal);
        for sku in wanted.keys() {
            served.entry(*sku).or_insert(0);
        }
        let Some(expected) = cheapest(&world, &order, &reachable) else {
            assert!(limit(&world, &order) < usize::MAX, "turn {turn}");
            let carried = |node| {
                wanted.iter().map(|(sku, units)| world.available(&order, *sku, node).min(*units)).sum()
            };
            let by_one: u32 = (0..world.nodes.len()).map(carried).max().unwrap_or(0);
            assert!(served.values().sum::<u32>() >= by_one, "turn {turn}");
            assert!(
                proposal.plan.unfilled.iter().any(|x| x.reason == RefusalCode::TooManyShipments),
                "turn {turn}"
            );
            limited += 1;
            continue;
        };
        assert_eq!(served, reachable, "turn {turn}");
        assert_eq!(key(&world, &proposal), expected, "turn {turn}: {world:#?} {order:#?} {proposal:#?}");
        assert_eq!(proposal.plan.bound, proposal.plan.cost, "turn {turn} is not proven");
        partly += usize::from(served != wanted);
    }
    assert!(partly > 500 && limited > 100, "{partly} {limited}");
}
