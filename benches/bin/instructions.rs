//! The hot functions one by one, for `scripts/count-instructions.sh`: it has callgrind count what is executed inside
//! `measured::NAME` and nothing else.
//!
//! `earmark-instructions` lists the names with how many operations each run of it does; `earmark-instructions NAME`
//! sets up its world and runs it.

use std::hint::black_box;
use std::process::ExitCode;

use earmark::data::trouble::BadRows;
use earmark_benches::full::{Full, wishes};
use earmark_benches::steady::{BATCH, NODES, Steady};
use earmark_benches::{Random, START, TENANT, fifty_rules, holds, run};
use earmark_engine::routing::Planner;
use earmark_engine::{Capacity, Decision, Reader, Rules, State};
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{CommandBody, Delivery, Order, OrderLine, SetPolicy, SetStock, StockCount};
use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::geo::Position;
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Channel, LineId, Lsn, NodeIx, Segment, SkuIx};
use earmark_protocol::reply::Status;

/// Enough that no hold finds its memory warm by chance, few enough to be filled in a second under callgrind.
const CELLS: u32 = 100_000;
const RESERVATIONS: u32 = 1 << 16;
const BATCHES: usize = 200;
const READS: usize = 10_000;
const FRAMES: usize = 100;
const PLANS: usize = 200;
const ROUTED_NODES: u32 = 3_223;
const ROUTED_SKUS: u32 = 48;
/// Deciles of the units of a line in real orders of two lines; and of about 26 and 75.
const UNITS: [u32; 10] = [1, 1, 2, 4, 8, 12, 24, 48, 100, 200];
const UNITS_26: [u32; 10] = [1, 1, 2, 3, 4, 6, 8, 12, 12, 24];
const UNITS_75: [u32; 10] = [1, 1, 1, 2, 2, 3, 4, 6, 10, 12];
/// Orders of many lines, each of which takes as long as many of few; and skus that such orders are drawn from.
const LARGE_PLANS: usize = 40;
const LARGE_SKUS: u32 = 300;
/// Places that orders go to: lanes are computed at the first order to each, which is not measured.
const PLACES: usize = 10;

/// What callgrind counts. Never inlined, so that it finds the names.
mod measured {
    use earmark_protocol::hold_one::HoldOne;
    use earmark_protocol::receive::ReceiveBuffer;

    use super::*;

    #[inline(never)]
    pub(super) fn hold(steady: &mut Steady, batch: &[HoldOne]) {
        steady.commit(batch);
    }

    #[inline(never)]
    pub(super) fn expire(steady: &mut Steady) {
        steady.expire();
    }

    #[inline(never)]
    pub(super) fn atp(reader: &Reader, cells: &[(SkuIx, NodeIx)]) {
        for (sku, node) in cells {
            black_box(reader.available(*sku, *node, Segment(0)));
        }
    }

    /// As the server does on either side of the committer: take the holds out of a frame, and frame their replies.
    #[inline(never)]
    pub(super) fn frame(received: &mut ReceiveBuffer, replies: &mut FrameWriter) {
        let frame = received.next_frame().expect("our own frame").expect("a whole frame");
        for message in frame.messages() {
            let message = message.expect("our own message");
            let hold = HoldOne::read(message.body).expect("our own hold");
            black_box(hold.content_hash());
            let (lsn, status) = (Lsn(u64::from(message.correlation)), Status::Held);
            let reply = HoldOneReply::Held { lsn, deadline: START, status };
            let pushed = replies.push_body(Kind::HoldOneReply, message.correlation, &reply.to_bytes());
            pushed.expect("the limit has room for a fixed reply");
        }
        black_box(replies.finish());
    }

    #[inline(never)]
    pub(super) fn plan(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }

    #[inline(never)]
    pub(super) fn full2(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }

    #[inline(never)]
    pub(super) fn full5(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }

    #[inline(never)]
    pub(super) fn full26(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }

    #[inline(never)]
    pub(super) fn full75(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }

    #[inline(never)]
    pub(super) fn policy(planner: &mut Planner, reader: &Reader, order: &Order) {
        let plan = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(plan.expect("there is stock for it"));
    }
}

/// A name, how many operations one run of it measures, and the run.
type Case = (&'static str, usize, fn());

const CASES: [Case; 10] = [
    ("hold", BATCHES * BATCH, hold),
    ("expire", BATCHES * BATCH, expire),
    ("atp", READS, atp),
    ("frame", FRAMES * BATCH, frame),
    ("plan", PLANS, plan),
    ("policy", PLANS, policy),
    ("full2", PLANS, full2),
    ("full5", PLANS, full5),
    ("full26", LARGE_PLANS, full26),
    ("full75", LARGE_PLANS, full75),
];

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, operations, _)| println!("{name} {operations}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, _, case)) = CASES.iter().find(|(name, ..)| *name == wanted) else {
        eprintln!("there is no case {wanted}; run it without arguments for their names");
        return ExitCode::from(2);
    };
    case();
    ExitCode::SUCCESS
}

fn hold() {
    let mut steady = Steady::new(CELLS, RESERVATIONS);
    for _ in 0..BATCHES {
        let batch = steady.next_batch();
        steady.expire();
        measured::hold(&mut steady, &batch);
    }
}

fn expire() {
    let mut steady = Steady::new(CELLS, RESERVATIONS);
    for _ in 0..BATCHES {
        let batch = steady.next_batch();
        measured::expire(&mut steady);
        steady.commit(&batch);
    }
}

fn atp() {
    let Steady { state, mut random, .. } = Steady::new(CELLS, RESERVATIONS);
    let mut draw = |limit: u32| random.below(u64::from(limit)) as u32;
    let cells: Vec<_> = (0..READS).map(|_| (SkuIx(draw(CELLS / NODES)), NodeIx(draw(NODES)))).collect();
    measured::atp(&state.reader(), &cells);
}

fn frame() {
    let mut sent = FrameWriter::new(FRAME_BYTES_MAX);
    for (hold, correlation) in holds(&mut Random(4), START, BATCH, CELLS / NODES, NODES).iter().zip(1..) {
        sent.push_body(Kind::HoldOne, correlation, &hold.to_bytes())
            .expect("the limit has room for 64 holds");
    }
    let sent = sent.take();
    let mut received = earmark_protocol::receive::ReceiveBuffer::new(FRAME_BYTES_MAX);
    let mut replies = FrameWriter::new(FRAME_BYTES_MAX);
    for _ in 0..FRAMES {
        received.space()[..sent.len()].copy_from_slice(&sent);
        received.filled(sent.len());
        replies.clear();
        measured::frame(&mut received, &mut replies);
    }
}

/// Orders of two lines over as many nodes as a large retailer has, a sku at half of them.
fn plan() {
    let mut random = Random(7);
    let state = routed(None, ROUTED_SKUS, &mut random);
    plan_orders(&state, &orders(&TWO, false, &mut random), measured::plan);
}

/// The same orders under a policy of 50 rules that leave their plans as they are.
fn policy() {
    let mut random = Random(7);
    let mut state = routed(None, ROUTED_SKUS, &mut random);
    let policy = CommandBody::SetPolicy(SetPolicy { text: fifty_rules() });
    run(&mut state, &mut Decision::default(), &mut random, policy);
    plan_orders(&state, &orders(&TWO, false, &mut random), measured::policy);
}

/// Orders of two lines under the full model: carriers that price by steps, and a policy of 50 rules that move plans.
fn full2() {
    plan_full(&TWO, measured::full2);
}

/// The same with five lines.
fn full5() {
    plan_full(&Size { lines: 5, ..TWO }, measured::full5);
}

/// The same with so many lines that what is where cannot be tried out set by set.
fn full26() {
    plan_full(&Size { lines: 26, units: &UNITS_26, ..LARGE }, measured::full26);
}

/// The same with many lines.
fn full75() {
    plan_full(&LARGE, measured::full75);
}

/// How large orders are, how many of them, and of how many skus.
struct Size {
    lines: usize,
    units: &'static [u32; 10],
    plans: usize,
    skus: u32,
}

const TWO: Size = Size { lines: 2, units: &UNITS, plans: PLANS, skus: ROUTED_SKUS };
const LARGE: Size = Size { lines: 75, units: &UNITS_75, plans: LARGE_PLANS, skus: LARGE_SKUS };

fn plan_full(size: &Size, measured: Measured) {
    let mut random = Random(7);
    let (mut nodes, mut skus) = (nodes(&mut random), skus(size.skus));
    for node in nodes.iter_mut().step_by(10) {
        node.kind = NodeKind::Dc;
    }
    let full = Full::equip((&mut nodes, &mut skus), None, 1, &mut BadRows::new(1));
    let state = routed(Some((nodes, skus, full)), size.skus, &mut random);
    plan_orders(&state, &orders(size, true, &mut random), measured);
}

type Measured = fn(&mut Planner, &Reader, &Order);

/// Lanes are computed at the first order to each place, which is not measured.
fn plan_orders(state: &State, orders: &[Order], measured: Measured) {
    let (reader, mut planner) = (state.reader(), Planner::new());
    planner.at(START);
    for order in orders.iter().take(PLACES) {
        let lanes = planner.plan(&reader, reader.lanes(), TENANT, order, true, &[]);
        black_box(lanes.expect("there is stock for it"));
    }
    orders.iter().for_each(|order| measured(&mut planner, &reader, order));
}

/// Orders of so many lines; under the full model with homes and wishes.
fn orders(size: &Size, is_full: bool, random: &mut Random) -> Vec<Order> {
    let places: Vec<_> = (0..PLACES).map(|_| somewhere(random)).collect();
    (0..size.plans).map(|at| order(random, size, places[at % PLACES], is_full.then_some(at as u64))).collect()
}

fn order(random: &mut Random, size: &Size, position: Position, wishes_seed: Option<u64>) -> Order {
    let first = random.below(u64::from(size.skus)) as u32;
    let lines = (first..first + size.lines as u32).map(|sku| sku % size.skus).zip(0..);
    let mut line = |(sku, line)| {
        let quantity = size.units[random.below(size.units.len() as u64) as usize];
        OrderLine { line: LineId(line), sku: SkuIx(sku), quantity }
    };
    let lines = lines.map(&mut line).collect();
    let (home, deliver_by_ms) = wishes_seed.map_or((false, None), wishes);
    Order {
        channel: Channel(0),
        delivery: Delivery::Ship { position, postal: String::new(), home },
        nodes: Vec::new(),
        shipments_max: 0,
        value: None,
        deliver_by_ms,
        sellers: Vec::new(),
        substitutable: Vec::new(),
        supply_by: None,
        lines,
    }
}

fn somewhere(random: &mut Random) -> Position {
    Position {
        lat_udeg: 28_000_000 + random.below(19_000_000) as i32,
        lon_udeg: -122_000_000 + random.below(48_000_000) as i32,
    }
}

fn nodes(random: &mut Random) -> Vec<NodeSpec> {
    let node = |node| NodeSpec {
        code: format!("N{node:05}"),
        kind: NodeKind::Store,
        position: somewhere(random),
        time_zone: "America/Chicago".to_owned(),
        capabilities: capabilities::ALL,
        ..NodeSpec::default()
    };
    (0..ROUTED_NODES).map(node).collect()
}

fn skus(count: u32) -> Vec<SkuSpec> {
    (0..count).map(|sku| SkuSpec { code: format!("S{sku:07}"), ..SkuSpec::default() }).collect()
}

/// Nodes with stock; of the full model where it is given.
fn routed(full: Option<(Vec<NodeSpec>, Vec<SkuSpec>, Full)>, count: u32, random: &mut Random) -> State {
    let capacity = Capacity {
        skus: count + 1,
        nodes: ROUTED_NODES + 1,
        cells: 1 << 20,
        reservations: 1 << 10,
        lines: 1 << 10,
        commands: 1 << 10,
        facts_bytes: 1 << 20,
        sku_code_bytes: 1 << 16,
        movements: 1 << 10,
    };
    let mut state = State::new(&capacity, Rules::default()).expect("the benchmark's memory");
    let mut decision = Decision::default();
    let mut do_now = |random: &mut Random, body| run(&mut state, &mut decision, random, body);
    let (nodes, skus, full) = match full {
        Some((nodes, skus, full)) => (nodes, skus, Some(full)),
        None => (nodes(random), skus(count), None),
    };
    if let Some(full) = &full {
        do_now(random, CommandBody::PutCalendars(full.calendars.clone()));
    }
    do_now(random, CommandBody::PutNodes(nodes));
    do_now(random, CommandBody::PutSkus(skus));
    if let Some(full) = full {
        do_now(random, CommandBody::PutTariffs(full.tariffs));
        do_now(random, CommandBody::SetPolicy(SetPolicy { text: full.policy }));
    }
    for sku in 0..count {
        let carrying = (0..ROUTED_NODES).filter(|_| random.below(2) == 0).collect::<Vec<_>>();
        let count = |node: u32| StockCount {
            sku: SkuIx(sku),
            node: NodeIx(node),
            segment: Segment(0),
            on_hand: 12 + random.below(229) as u32,
            safety: None,
        };
        let counts = carrying.into_iter().map(count).collect();
        do_now(random, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }));
    }
    state
}
