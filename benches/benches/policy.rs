//! What a policy of 50 rules costs a plan: orders of two lines over 3,223 nodes, without a policy, under 50 rules, and
//! under those and one that asks how far away nodes are. The rules hit no node, so the plans are the same and the
//! difference is what rules cost. Beside it, what checking such a policy costs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use earmark_benches::{Random, START, TENANT, fifty_rules, run};
use earmark_engine::policy::Policy;
use earmark_engine::routing::Planner;
use earmark_engine::{Capacity, Decision, Rules, State};
use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{CommandBody, Delivery, Order, OrderLine, SetPolicy, SetStock, StockCount};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, NodeIx, Segment, SkuIx};

const NODES: u32 = 3_223;
const SKUS: u32 = 48;
const PLACES: usize = 32;

fn somewhere(random: &mut Random) -> Position {
    Position {
        lat_udeg: 28_000_000 + random.below(19_000_000) as i32,
        lon_udeg: -122_000_000 + random.below(48_000_000) as i32,
    }
}

/// Nodes all over a country, each with each sku at even odds.
fn stocked(random: &mut Random) -> State {
    let capacity = Capacity {
        skus: SKUS + 1,
        nodes: NODES + 1,
        cells: 1 << 20,
        reservations: 1 << 10,
        lines: 1 << 10,
        commands: 1 << 10,
        facts_bytes: 1 << 20,
        sku_code_bytes: 1 << 12,
        movements: 1 << 10,
    };
    let mut state = State::new(&capacity, Rules::default()).expect("the benchmark's memory");
    let nodes: Vec<_> = (0..NODES)
        .map(|node| NodeSpec {
            code: format!("N{node:05}"),
            position: somewhere(random),
            time_zone: "America/Chicago".to_owned(),
            capabilities: capabilities::ALL,
            ..NodeSpec::default()
        })
        .collect();
    let skus = (0..SKUS).map(|sku| SkuSpec { code: format!("S{sku:07}"), ..SkuSpec::default() }).collect();
    let mut decision = Decision::default();
    run(&mut state, &mut decision, random, CommandBody::PutNodes(nodes));
    run(&mut state, &mut decision, random, CommandBody::PutSkus(skus));
    for sku in (0..SKUS).map(SkuIx) {
        let carrying: Vec<_> = (0..NODES).filter(|_| random.below(2) == 0).collect();
        let count = |node| StockCount {
            sku,
            node: NodeIx(node),
            segment: Segment(0),
            on_hand: 12 + random.below(229) as u32,
            safety: None,
        };
        let counts = carrying.into_iter().map(count).collect();
        run(
            &mut state,
            &mut decision,
            random,
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        );
    }
    state
}

fn orders(random: &mut Random) -> Vec<Order> {
    let places: Vec<_> = (0..PLACES).map(|_| somewhere(random)).collect();
    let order = |position: &Position| {
        let first = random.below(u64::from(SKUS)) as u32;
        let line = |(sku, line)| OrderLine { line: LineId(line), sku: SkuIx(sku), quantity: 1 + line };
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position: *position, postal: String::new(), home: false },
            nodes: Vec::new(),
            shipments_max: 0,
            lines: [first, (first + 1) % SKUS].into_iter().zip(0..).map(line).collect(),
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
        }
    };
    places.iter().map(order).collect()
}

fn planning(c: &mut Criterion) {
    let mut random = Random(1);
    let mut state = stocked(&mut random);
    let orders = orders(&mut random);
    let far = "[[rule]]\nname = \"far\"\nexclude = 'node.miles > order.units * 9999'\n";
    let policies = [
        ("no_policy", None),
        ("50_rules", Some(fifty_rules())),
        ("51_rules_with_miles", Some(fifty_rules() + far)),
    ];
    for (name, policy) in policies {
        if let Some(text) = policy {
            let set = CommandBody::SetPolicy(SetPolicy { text });
            run(&mut state, &mut Decision::default(), &mut random, set);
        }
        let (reader, mut planner) = (state.reader(), Planner::new());
        let mut turn = orders.iter().cycle();
        c.bench_function(&format!("plan_2_lines/{name}"), |bencher| {
            bencher.iter(|| {
                let order = turn.next().expect("a cycle has no end");
                black_box(planner.at(START).plan(&reader, reader.lanes(), TENANT, order, false, &[]))
            });
        });
    }
    let text = fifty_rules();
    c.bench_function("parse_50_rules", |bencher| bencher.iter(|| Policy::parse(black_box(&text))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = planning
}
criterion_main!(benches);
