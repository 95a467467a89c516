//! Orders to ask for: drawn with the skew of real baskets, or those of a file. The tables follow a year of orders of a
//! British gift retailer (UCI Online Retail; Chen, D., 2015; CC BY 4.0): many lines, few hot skus, long tails.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, QUANTITY_MAX, SkuIx};
use fastrand::Rng;
use serde::Deserialize;

use crate::error::Trouble;

/// Lines per order by quantile: median 15, 95 % up to 75, 99 % up to 218, the largest 1,106; 7.6 % have one.
const LINES: [(f64, f64); 10] = [
    (0.0, 1.0),
    (0.076, 1.0),
    (0.25, 6.3),
    (0.5, 15.4),
    (0.75, 26.0),
    (0.9, 44.0),
    (0.95, 75.0),
    (0.99, 218.0),
    (0.995, 380.0),
    (1.0, 1_106.9),
];
/// The share of lines that go to the hottest share of skus: the top hundredth has 9 %, the hottest of four thousand is
/// in 11.5 % of orders of 26 lines.
const POPULARITY: [(f64, f64); 6] =
    [(0.0, 0.0), (0.004, 0.000_25), (0.09, 0.01), (0.45, 0.1), (0.9, 0.45), (1.0, 1.0)];
/// Units per line by quantile: median 4, dozens stand out.
const UNITS: [(f64, f64); 8] = [
    (0.0, 1.0),
    (0.21, 1.9),
    (0.5, 4.9),
    (0.75, 12.0),
    (0.9, 24.9),
    (0.99, 144.0),
    (0.9999, 480.0),
    (1.0, 4_800.0),
];
/// Addresses: the contiguous United States, more or less.
const LATITUDES: (f64, f64) = (30.0, 48.0);
const LONGITUDES: (f64, f64) = (-122.0, -72.0);

/// Drawn orders go to so many addresses, again and again, as those of a shop do: about as many as there are counties.
const ADDRESSES: u64 = 3_000;

/// An order of a file, in places of the daemon's skus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// When it was placed, in seconds since 1970.
    pub(crate) at_s: i64,
    lines: Vec<(u32, u32)>,
    /// The number of its address: one per postal code.
    address: u64,
}

/// Where orders come from.
#[derive(Clone, Debug)]
pub(crate) struct Baskets {
    skus: Arc<[SkuIx]>,
    /// Those of a file; empty where they are drawn.
    recorded: Arc<[Recorded]>,
    lines_max: usize,
}

impl Baskets {
    /// Orders over these skus, the hottest first.
    pub(crate) fn new(skus: Arc<[SkuIx]>, recorded: Arc<[Recorded]>, lines_max: usize) -> Self {
        Self { skus, recorded, lines_max }
    }

    /// An order; of a file, the one at this place, and from the beginning again after the last.
    pub(crate) fn order(&self, place: u64, rng: &mut Rng) -> Order {
        let (lines, position) = match self.recorded.len() {
            0 => (self.draw(rng), address(rng.u64(..ADDRESSES))),
            orders => {
                let recorded = &self.recorded[(place % orders as u64) as usize];
                (recorded.lines.clone(), address(recorded.address))
            }
        };
        let lines = lines.into_iter().zip(0..).take(self.lines_max).map(|((sku, quantity), line)| {
            OrderLine { line: LineId(line), sku: self.skus[sku as usize % self.skus.len()], quantity }
        });
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position, postal: String::new(), home: false },
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: lines.collect(),
        }
    }

    /// One sku, as often as it is ordered.
    pub(crate) fn sku(&self, rng: &mut Rng) -> SkuIx {
        self.skus[self.rank(rng) as usize]
    }

    fn rank(&self, rng: &mut Rng) -> u32 {
        let share = between(&POPULARITY, rng.f64());
        ((share * self.skus.len() as f64) as usize).min(self.skus.len() - 1) as u32
    }

    fn draw(&self, rng: &mut Rng) -> Vec<(u32, u32)> {
        let count = (between(&LINES, rng.f64()) as usize).clamp(1, self.skus.len().min(self.lines_max));
        let mut lines: Vec<(u32, u32)> = Vec::with_capacity(count);
        // A sku that comes twice is one line: large orders over few skus end up somewhat shorter.
        let mut drawn: Vec<u32> = (0..count).map(|_| self.rank(rng)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        lines.extend(drawn.into_iter().map(|sku| (sku, between(&UNITS, rng.f64()) as u32)));
        lines
    }
}

/// The value of a table at a quantile, in a straight line between its rows.
fn between(table: &[(f64, f64)], quantile: f64) -> f64 {
    let after = table.partition_point(|row| row.0 <= quantile).clamp(1, table.len() - 1);
    let ((low, from), (high, to)) = (table[after - 1], table[after]);
    from + (to - from) * (quantile - low) / (high - low)
}

/// The address of this number.
fn address(number: u64) -> Position {
    let mut rng = Rng::with_seed(number);
    let mut within = |(low, high): (f64, f64)| low + (high - low) * rng.f64();
    Position::from_degrees(within(LATITUDES), within(LONGITUDES)).expect("the bounds are on the globe")
}

/// A line of a file of orders; columns beyond these are ignored.
#[derive(Debug, Deserialize)]
struct Row {
    order_id: String,
    ts: i64,
    us_zip: Option<String>,
    sku: String,
    qty: u32,
}

/// Reads a file of orders (CSV, gzip allowed) with the columns order_id, ts (in seconds), sku, qty and, where known,
/// us_zip. Its skus become places by how often they are ordered, the hottest first.
pub(crate) fn read(file: &Path) -> Result<Arc<[Recorded]>, Trouble> {
    let attempted = || format!("reading the orders {}", file.display());
    let open = File::open(file).map_err(|error| Trouble::usage(attempted(), error))?;
    let gzipped = file.extension().is_some_and(|extension| extension == "gz");
    let bytes: Box<dyn Read> =
        if gzipped { Box::new(flate2::read::GzDecoder::new(open)) } else { Box::new(open) };
    let orders = parse(bytes).map_err(|error| {
        let remedy = "give CSV with the columns order_id, ts, sku, qty";
        Trouble::usage(attempted(), format!("{error}; {remedy}"))
    })?;
    if orders.is_empty() {
        return Err(Trouble::usage(attempted(), "it has no orders"));
    }
    Ok(orders.into())
}

fn parse(bytes: impl Read) -> Result<Vec<Recorded>, csv::Error> {
    let mut codes: HashMap<String, (u32, u32)> = HashMap::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut orders: Vec<Recorded> = Vec::new();
    for row in csv::Reader::from_reader(bytes).deserialize() {
        let Row { order_id, ts, us_zip, sku, qty } = row?;
        if qty == 0 || qty > QUANTITY_MAX {
            continue;
        }
        let known = codes.len() as u32;
        let code = codes.entry(sku).or_insert((known, 0));
        code.1 += 1;
        let place = *places.entry(order_id).or_insert_with(|| {
            let address = us_zip.and_then(|zip| zip.parse().ok()).unwrap_or_default();
            orders.push(Recorded { at_s: ts, lines: Vec::new(), address });
            orders.len() - 1
        });
        orders[place].lines.push((code.0, qty));
    }
    let mut hottest: Vec<(u32, u32)> = codes.into_values().collect();
    hottest.sort_unstable_by_key(|&(code, lines)| (std::cmp::Reverse(lines), code));
    let mut rank = vec![0; hottest.len()];
    hottest.iter().zip(0..).for_each(|(&(code, _), place)| rank[code as usize] = place);
    orders.iter_mut().flat_map(|order| &mut order.lines).for_each(|line| line.0 = rank[line.0 as usize]);
    orders.sort_by_key(|order| order.at_s);
    Ok(orders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baskets(skus: u32) -> Baskets {
        Baskets::new((0..skus).map(SkuIx).collect(), Arc::new([]), usize::MAX)
    }

    #[test]
    fn drawn_baskets_have_the_skew_they_claim() {
        let (baskets, mut rng) = (baskets(4_000), Rng::with_seed(7));
        let orders: Vec<_> = (0..20_000).map(|place| baskets.order(place, &mut rng)).collect();
        let mut lines: Vec<_> = orders.iter().map(|order| order.lines.len()).collect();
        lines.sort_unstable();
        assert!((13..=17).contains(&lines[10_000]), "median {}", lines[10_000]);
        assert!((60..=90).contains(&lines[19_000]), "p95 {}", lines[19_000]);
        let mean = lines.iter().sum::<usize>() as f64 / 20_000.0;
        assert!((22.0..30.0).contains(&mean), "mean {mean}");
        let hot = orders.iter().filter(|order| order.lines.iter().any(|line| line.sku == SkuIx(0))).count();
        assert!((1_200..3_000).contains(&hot), "the hottest sku is in {hot} of 20,000");
        let is_legal = |line: &OrderLine| (1..=QUANTITY_MAX).contains(&line.quantity);
        assert!(orders.iter().all(|order| order.lines.iter().all(is_legal)));
    }

    #[test]
    fn a_seed_draws_the_same_orders_again() {
        let draw = || {
            let (baskets, mut rng) = (baskets(100), Rng::with_seed(3));
            (0..50).map(|place| baskets.order(place, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn orders_of_a_file_keep_their_lines_and_their_hottest_sku_comes_first() {
        let file = "order_id,ts,us_zip,sku,qty,unit_price\nA,20,02134,cup,2,1.5\nB,10,,pen,1,2\nA,20,02134,pen,3,2\n";
        let orders = parse(file.as_bytes()).unwrap();
        assert_eq!(orders.iter().map(|order| order.at_s).collect::<Vec<_>>(), [10, 20]);
        assert_eq!((&orders[0].lines, &orders[1].lines), (&vec![(0, 1)], &vec![(1, 2), (0, 3)]));
        let baskets = Baskets::new([SkuIx(5), SkuIx(6)].into(), orders.into(), usize::MAX);
        let mut rng = Rng::with_seed(1);
        let (first, again) = (baskets.order(1, &mut rng), baskets.order(3, &mut rng));
        assert_eq!(first, again);
        assert_eq!((first.lines[0].sku, first.lines[0].quantity), (SkuIx(6), 2));
    }
}
