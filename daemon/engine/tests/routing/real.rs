//! Real orders over real nodes, where `../shared/data` is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use earmark_engine::Rules;
use earmark_engine::routing::Planner;
use earmark_protocol::catalogue::{NodeSpec, capabilities};
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, SkuIx, Tenant};

use crate::oracle::{demand, judge, reachable};
use crate::world::{Lean, World};

fn rows(path: &Path) -> Option<Vec<csv::StringRecord>> {
    let file = File::open(path).ok()?;
    csv::Reader::from_reader(flate2::read::GzDecoder::new(file)).records().collect::<Result<_, _>>().ok()
}

fn position(row: &csv::StringRecord, lat: usize) -> Position {
    let degrees = |at: usize| row[at].parse().expect("a coordinate");
    Position::from_degrees(degrees(lat), degrees(lat + 1)).expect("it is on the globe")
}

#[test]
fn real_orders_get_legal_plans_that_take_all_there_is() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let files = ["nodes_us.csv.gz", "us_zips.csv.gz", "orders.csv.gz"].map(|name| rows(&data.join(name)));
    let [Some(nodes), Some(zips), Some(lines)] = files else {
        eprintln!("skipped: {} has no real orders; the other tests run on generated ones", data.display());
        return;
    };
    let node = |row: &csv::StringRecord| NodeSpec {
        code: row[0].to_owned(),
        position: position(row, 2),
        time_zone: "America/Chicago".to_owned(),
        capabilities: capabilities::SHIP,
        ..NodeSpec::default()
    };
    let zips: HashMap<String, Position> =
        zips.iter().map(|row| (row[0].to_owned(), position(row, 1))).collect();
    let (mut skus, mut orders) = (HashMap::new(), Vec::<(String, Order)>::new());
    for row in lines.iter().take(9_000) {
        let next = skus.len() as u32;
        let sku = SkuIx(*skus.entry(row[5].to_owned()).or_insert(next));
        if orders.last().is_none_or(|(id, _)| *id != row[0]) {
            let delivery = Delivery::Ship { position: zips[&row[4]], postal: row[4].to_owned(), home: false };
            let empty = Order {
                channel: Channel(0),
                delivery,
                nodes: Vec::new(),
                shipments_max: 0,
                value: None,
                deliver_by_ms: None,
                sellers: Vec::new(),
                substitutable: Vec::new(),
                supply_by: None,
                lines: Vec::new(),
            };
            orders.push((row[0].to_owned(), empty));
        }
        let lines = &mut orders.last_mut().expect("one was pushed").1.lines;
        let quantity = row[6].parse().expect("units");
        lines.push(OrderLine { line: LineId(lines.len() as u32), sku, quantity });
    }
    // Two worlds: a few deep nodes, and many thin ones.
    for (step, depth) in [(80, 120), (11, 6)] {
        let mut random = fastrand::Rng::with_seed(depth as u64);
        let nodes: Vec<_> = nodes.iter().step_by(step).map(node).collect();
        let mut stock = BTreeMap::new();
        for sku in 0..skus.len() {
            for node in (0..nodes.len()).filter(|_| random.bool()).collect::<Vec<_>>() {
                stock.insert((sku, node, 0), random.i32(1..=depth));
            }
        }
        let flags = vec![0; skus.len()];
        let (rules, paused, lean) = (Rules::default(), BTreeSet::new(), Lean::default());
        let world = World { rules, nodes, flags, paused, stock, lean, carriers: None };
        let state = world.state();
        let reader = state.reader();
        let mut planner = Planner::new();
        for (id, order) in &orders {
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), order, true, &[]).expect("there is stock");
            let served = judge(&world, order, &proposal);
            for (sku, wanted) in demand(order) {
                let expected = reachable(&world, order, sku, wanted);
                assert_eq!(served.get(&sku).copied().unwrap_or(0), expected, "order {id}, sku {sku}");
            }
        }
    }
    assert!(orders.len() > 300);
}
