//! What planning an order costs inside the process: 2, 5, 26, 75 and 1,106 lines over 3,223 nodes; by the default tariff, and under the
//! full model with carriers that price by steps and a policy of 50 rules.
//!
//! Each node carries a sku with probability 0.5 or 0.25, in a seeded draw, 12 to 240 units deep. Nodes, orders and
//! destinations are the real ones of `../shared/data` where it is there, and drawn alike where it is not; the first
//! line of output says which. Beside criterion's means, the percentiles over single orders are printed, since orders
//! of one size differ widely.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use earmark::data::trouble::BadRows;
use earmark_benches::full::{Full, wishes};
use earmark_benches::{Random, START, TENANT, run};
use earmark_engine::routing::Planner;
use earmark_engine::{Capacity, Decision, Reader, Rules, State};
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{CommandBody, Delivery, Order, OrderLine, SetPolicy, SetStock, StockCount};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, NodeIx, Segment, SkuIx};

const NODES: usize = 3_223;
const SIZES: [usize; 5] = [2, 5, 26, 75, 1_106];
const ORDERS_PER_SIZE: usize = 400;

/// Deciles of the units of a line, in real orders of about each size.
const UNITS: [(usize, [u32; 10]); 5] = [
    (2, [1, 1, 2, 4, 8, 12, 24, 48, 100, 200]),
    (5, [1, 2, 3, 4, 6, 8, 12, 16, 24, 48]),
    (26, [1, 1, 2, 3, 4, 6, 8, 12, 12, 24]),
    (75, [1, 1, 1, 2, 2, 3, 4, 6, 10, 12]),
    (1_106, [1, 1, 1, 1, 1, 2, 2, 3, 4, 6]),
];

/// Distinct skus with their units, and where to.
type Ordered = (Vec<(u32, u32)>, Position);

/// Where things are and what is ordered.
struct Shape {
    nodes: Vec<(String, Position)>,
    skus: usize,
    orders: Vec<Ordered>,
}

impl Shape {
    fn new(random: &mut Random) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let real = Self::real(&data, random);
        println!("nodes and orders: {}", if real.is_some() { "real (../shared/data)" } else { "generated" });
        real.unwrap_or_else(|| Self::generated(random))
    }

    fn real(data: &Path, random: &mut Random) -> Option<Self> {
        let place = |row: &csv::StringRecord, lat: usize| {
            Position::from_degrees(row[lat].parse().ok()?, row[lat + 1].parse().ok()?)
        };
        let nodes = rows(&data.join("nodes_us.csv.gz"))?;
        let nodes = nodes.iter().filter_map(|row| Some((row[0].to_owned(), place(row, 2)?))).collect();
        let zips: HashMap<String, Position> = rows(&data.join("us_zips.csv.gz"))?
            .iter()
            .filter_map(|row| Some((row[0].to_owned(), place(row, 1)?)))
            .collect();
        let (mut skus, mut orders) = (HashMap::new(), Vec::<(String, HashMap<u32, u32>, Position)>::new());
        for row in rows(&data.join("orders.csv.gz"))? {
            let next = skus.len() as u32;
            let sku = *skus.entry(row[5].to_owned()).or_insert(next);
            let (units, to) = (row[6].parse::<u32>().ok()?, *zips.get(&row[4])?);
            match orders.last_mut() {
                Some((id, lines, _)) if *id == row[0] => *lines.entry(sku).or_default() += units,
                _ => orders.push((row[0].to_owned(), HashMap::from([(sku, units)]), to)),
            }
        }
        let sorted = |lines: HashMap<u32, u32>| {
            let mut lines: Vec<_> = lines.into_iter().collect();
            lines.sort_unstable();
            lines
        };
        let orders: Vec<_> = orders.into_iter().map(|(_, lines, to)| (sorted(lines), to)).collect();
        let mut shape = Self { nodes, skus: skus.len(), orders };
        // Hardly any real order is as large as the largest: those are drawn, to where real ones went.
        let places: Vec<_> = shape.orders.iter().step_by(150).map(|(_, to)| *to).collect();
        let (size, deciles) = UNITS[4];
        shape.draw(size, &deciles, &places, random);
        Some(shape)
    }

    fn generated(random: &mut Random) -> Self {
        // Clusters, as cities are.
        let somewhere = |random: &mut Random, around: Option<Position>| match around {
            Some(city) => Position {
                lat_udeg: city.lat_udeg + random.below(1_000_000) as i32 - 500_000,
                lon_udeg: city.lon_udeg + random.below(1_000_000) as i32 - 500_000,
            },
            None => Position {
                lat_udeg: 28_000_000 + random.below(19_000_000) as i32,
                lon_udeg: -122_000_000 + random.below(48_000_000) as i32,
            },
        };
        let cities: Vec<_> = (0..120).map(|_| somewhere(random, None)).collect();
        let city = |at: usize| if at.is_multiple_of(3) { None } else { Some(cities[at * at % cities.len()]) };
        let nodes = (0..NODES).map(|at| (format!("N{at:05}"), somewhere(random, city(at)))).collect();
        let places: Vec<_> = (0..ORDERS_PER_SIZE).map(|at| somewhere(random, city(at + 7))).collect();
        let mut shape = Self { nodes, skus: 3_000, orders: Vec::new() };
        UNITS.iter().for_each(|(size, deciles)| shape.draw(*size, deciles, &places, random));
        shape
    }

    /// Draws an order of this size to each place.
    fn draw(&mut self, size: usize, deciles: &[u32; 10], places: &[Position], random: &mut Random) {
        for place in places {
            let mut lines: HashMap<u32, u32> = HashMap::new();
            while lines.len() < size {
                let sku = random.below(self.skus as u64) as u32;
                lines.insert(sku, deciles[random.below(10) as usize]);
            }
            let mut lines: Vec<_> = lines.into_iter().collect();
            lines.sort_unstable();
            self.orders.push((lines, *place));
        }
    }

    /// Orders of about this size; under the full model with homes and wishes.
    fn orders(&self, size: usize, is_full: bool) -> Vec<Order> {
        let wish = |seed: usize| if is_full { wishes(seed as u64) } else { (false, None) };
        let of_size = self.orders.iter().filter(|(lines, _)| lines.len().abs_diff(size) * 20 <= size);
        let order = |(at, (lines, to)): (usize, &Ordered)| Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position: *to, postal: String::new(), home: wish(at).0 },
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: wish(at).1,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: lines
                .iter()
                .enumerate()
                .map(|(at, (sku, units))| OrderLine {
                    line: LineId(at as u32),
                    sku: SkuIx(*sku),
                    quantity: *units,
                })
                .collect(),
        };
        of_size.take(ORDERS_PER_SIZE).enumerate().map(order).collect()
    }
}

fn rows(path: &Path) -> Option<Vec<csv::StringRecord>> {
    let file = File::open(path).ok()?;
    csv::Reader::from_reader(flate2::read::GzDecoder::new(file)).records().collect::<Result<_, _>>().ok()
}

/// A state of these nodes, each with each sku by chance; under the full model, one in ten is a distribution centre.
fn stocked(shape: &Shape, carry_percent: u64, is_full: bool, random: &mut Random) -> State {
    let cells = (shape.skus * shape.nodes.len()) as u64 * carry_percent / 100;
    let capacity = Capacity {
        skus: shape.skus as u32 + 1,
        nodes: shape.nodes.len() as u32 + 1,
        cells: (cells + cells / 2 + (2 << 20)) as u32,
        reservations: 1 << 10,
        lines: 1 << 10,
        commands: 1 << 16,
        facts_bytes: 1 << 24,
        sku_code_bytes: 1 << 20,
        movements: 1 << 10,
    };
    let mut state = State::new(&capacity, Rules::default()).expect("the benchmark's memory");
    let mut decision = Decision::default();
    let spec = |(at, (code, position)): (usize, &(String, Position))| NodeSpec {
        code: code.clone(),
        kind: if is_full && at.is_multiple_of(10) { NodeKind::Dc } else { NodeKind::Store },
        position: *position,
        time_zone: "America/Chicago".to_owned(),
        capabilities: capabilities::ALL,
        ..NodeSpec::default()
    };
    let mut nodes: Vec<_> = shape.nodes.iter().enumerate().map(spec).collect();
    let skus = (0..shape.skus).map(|sku| SkuSpec { code: format!("S{sku:07}"), ..SkuSpec::default() });
    let mut skus: Vec<_> = skus.collect();
    let full = is_full.then(|| Full::equip((&mut nodes, &mut skus), None, 1, &mut BadRows::new(1)));
    if let Some(full) = &full {
        let calendars = CommandBody::PutCalendars(full.calendars.clone());
        run(&mut state, &mut decision, random, calendars);
    }
    run(&mut state, &mut decision, random, CommandBody::PutNodes(nodes));
    run(&mut state, &mut decision, random, CommandBody::PutSkus(skus));
    if let Some(full) = full {
        run(&mut state, &mut decision, random, CommandBody::PutTariffs(full.tariffs));
        run(&mut state, &mut decision, random, CommandBody::SetPolicy(SetPolicy { text: full.policy }));
    }
    for sku in 0..shape.skus as u32 {
        let mut counts = Vec::new();
        for node in 0..shape.nodes.len() as u32 {
            if random.below(100) < carry_percent {
                let on_hand = 12 + random.below(229) as u32;
                let (sku, node, segment) = (SkuIx(sku), NodeIx(node), Segment(0));
                counts.push(StockCount { sku, node, segment, on_hand, safety: None });
            }
        }
        run(
            &mut state,
            &mut decision,
            random,
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        );
    }
    state
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

/// One order, planned.
fn plan(planner: &mut Planner, reader: &Reader, order: &Order) -> Option<(bool, f64, usize)> {
    let proposal = planner.plan(reader, reader.lanes(), TENANT, order, true, &[]).ok()?;
    let plan = black_box(proposal).plan;
    let gap = 1.0 - plan.bound.0 as f64 / plan.cost.0 as f64;
    Some((plan.is_optimal(), gap, plan.shipments.len()))
}

fn planning(c: &mut Criterion) {
    let mut random = Random(1);
    let shape = Shape::new(&mut random);
    for (carry, is_full) in [(50, false), (25, false), (50, true)] {
        let model = if is_full { "full" } else { "plan" };
        let state = stocked(&shape, carry, is_full, &mut random);
        let reader = state.reader();
        let mut planner = Planner::new();
        planner.at(START);
        println!(
            "{model}, carry 0.{carry}: lines, orders, p50 µs, p90 µs, p99 µs, proven, mean gap, mean shipments"
        );
        for size in SIZES {
            let orders = shape.orders(size, is_full);
            // Lanes are computed on a zone's first order; steady state begins after.
            let answers: Vec<_> =
                orders.iter().filter_map(|order| plan(&mut planner, &reader, order)).collect();
            let rounds = 2_000_usize.div_ceil(orders.len()).min(5);
            let mut times: Vec<Duration> = Vec::new();
            for order in (0..rounds).flat_map(|_| &orders) {
                let begin = clock();
                plan(&mut planner, &reader, order);
                times.push(clock() - begin);
            }
            times.sort_unstable();
            let at = |percent: usize| {
                times[(times.len() * percent / 100).min(times.len() - 1)].as_nanos() as f64 / 1e3
            };
            let count = answers.len().max(1) as f64;
            println!(
                "{size:>6} {:>6} {:>9.1} {:>9.1} {:>9.1} {:>6.1} % {:>6.2} % {:>6.2}",
                orders.len(),
                at(50),
                at(90),
                at(99),
                100.0 * answers.iter().filter(|answer| answer.0).count() as f64 / count,
                100.0 * answers.iter().map(|answer| answer.1).sum::<f64>() / count,
                answers.iter().map(|answer| answer.2).sum::<usize>() as f64 / count,
            );
            let mut turn = orders.iter().cycle();
            c.bench_function(&format!("{model}/carry_0.{carry}/{size}_lines"), |bencher| {
                bencher.iter(|| turn.next().and_then(|order| plan(&mut planner, &reader, order)));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(500));
    targets = planning
}
criterion_main!(benches);
