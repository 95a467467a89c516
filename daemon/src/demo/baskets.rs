//! Baskets with the skew of real ones. The tables below follow a year of orders of a British gift retailer
//! (UCI Online Retail; Chen, D., 2015; CC BY 4.0): many lines, few hot skus, long tails.

use fastrand::Rng;

use super::network::Addresses;
use super::scenario::{DemoLine, DemoOrder};

/// Lines per order by quantile: median 15, 95 % up to 75, 99 % up to 218, the largest 1,106; 7.6 % have one.
const LINES: [(f64, f64); 11] = [
    (0.0, 1.0),
    (0.076, 1.0),
    (0.0761, 2.0),
    (0.25, 6.3),
    (0.5, 15.4),
    (0.75, 26.0),
    (0.9, 44.0),
    (0.95, 75.0),
    (0.99, 218.0),
    (0.995, 380.0),
    (1.0, 1_106.99),
];

/// How often a sku is ordered by its rank, as a share of all skus; only proportions matter. The hottest ends up
/// in some 11.5 % of orders.
const POPULARITY: [(f64, f64); 9] = [
    (0.0, 1_160.0),
    (0.01, 482.0),
    (0.05, 250.0),
    (0.1, 178.0),
    (0.25, 88.0),
    (0.5, 33.0),
    (0.75, 9.0),
    (0.9, 3.0),
    (1.0, 1.0),
];

/// Units per line and how many lines of ten thousand have them: median 4; dozens and packs stand out.
const UNITS: [(u32, u32); 19] = [
    (1, 2_100),
    (2, 1_450),
    (3, 800),
    (4, 1_050),
    (5, 200),
    (6, 1_000),
    (8, 450),
    (10, 500),
    (12, 1_040),
    (16, 200),
    (20, 200),
    (24, 500),
    (36, 150),
    (48, 150),
    (72, 60),
    (96, 70),
    (144, 50),
    (288, 20),
    (480, 10),
];

/// One line in this many is a wholesaler's: between a thousand units and the largest line of the real orders.
const WHOLESALE_ONE_IN: u32 = 50_000;
const WHOLESALE_UNITS: (f64, f64) = (1_000.0, 80_995.0);
/// Hot skus are bought in larger numbers: the top hundredth of skus carries 9 % of lines but 18 % of units.
const HOT_SHARE: usize = 100;
/// Orders with more lines than this are drawn by keys, not by drawing again where a sku came twice.
const REDRAW_LINES_MAX: usize = 200;

/// Draws orders.
pub struct Baskets {
    addresses: Addresses,
    /// Weights of skus, and their running sums.
    weights: Vec<f64>,
    reach: Vec<f64>,
    /// In which order each sku was drawn last.
    seen: Vec<u32>,
    drawn: u32,
}

impl Baskets {
    /// Over this many skus, the hottest first.
    #[must_use]
    pub fn new(skus: usize) -> Self {
        let weights: Vec<f64> =
            (0..skus).map(|rank| quantile(&POPULARITY, (rank as f64 + 0.5) / skus as f64)).collect();
        let mut sum = 0.0;
        let reach = weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { addresses: Addresses::new(), reach: reach.collect(), weights, seen: vec![0; skus], drawn: 0 }
    }

    /// One order, placed at this second.
    pub fn draw(&mut self, at_s: i64, rng: &mut Rng) -> DemoOrder {
        let count = (quantile(&LINES, rng.f64()) as usize).clamp(1, self.weights.len());
        let skus =
            if count > REDRAW_LINES_MAX { self.by_keys(count, rng) } else { self.by_redraw(count, rng) };
        let lines = skus.into_iter().map(|sku| DemoLine { sku, units: self.units(sku, rng) }).collect();
        let position = self.addresses.draw(rng);
        DemoOrder { at_s, position, lines, ..DemoOrder::default() }
    }

    fn by_redraw(&mut self, count: usize, rng: &mut Rng) -> Vec<u32> {
        self.drawn += 1;
        let all = self.reach.last().copied().unwrap_or_default();
        let mut skus = Vec::with_capacity(count);
        while skus.len() < count {
            let drawn = rng.f64() * all;
            let sku = self.reach.partition_point(|&reach| reach <= drawn).min(self.seen.len() - 1);
            if self.seen[sku] != self.drawn {
                self.seen[sku] = self.drawn;
                skus.push(sku as u32);
            }
        }
        skus
    }

    /// Weighted sampling without replacement by exponential keys (Efraimidis and Spirakis, 2006): the skus with the
    /// smallest keys win.
    fn by_keys(&self, count: usize, rng: &mut Rng) -> Vec<u32> {
        let key = |weight: &f64, rng: &mut Rng| -(1.0 - rng.f64()).ln() / weight;
        let mut keys: Vec<(f64, u32)> =
            self.weights.iter().zip(0..).map(|(weight, sku)| (key(weight, rng), sku)).collect();
        keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        keys.into_iter().take(count).map(|(_, sku)| sku).collect()
    }

    fn units(&self, sku: u32, rng: &mut Rng) -> u32 {
        if rng.u32(0..WHOLESALE_ONE_IN) == 0 {
            let (least, most) = WHOLESALE_UNITS;
            return (least * (most / least).powf(rng.f64())) as u32;
        }
        let usual = usual_units(rng);
        if (sku as usize) < self.weights.len() / HOT_SHARE { usual.max(usual_units(rng)) } else { usual }
    }
}

fn usual_units(rng: &mut Rng) -> u32 {
    let mut drawn = rng.u32(0..UNITS.iter().map(|(_, share)| share).sum());
    for (units, share) in UNITS {
        if drawn < share {
            return units;
        }
        drawn -= share;
    }
    UNITS[0].0
}

/// The value at a share of a table of (share, value), between two rows along an exponential.
fn quantile(table: &[(f64, f64)], share: f64) -> f64 {
    for pair in table.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        if share <= to {
            return low * (high / low).powf((share - from) / (to - from));
        }
    }
    table.last().map_or(0.0, |(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::network::SKUS;

    fn orders(count: usize, seed: u64) -> Vec<DemoOrder> {
        let (mut baskets, mut rng) = (Baskets::new(SKUS), Rng::with_seed(seed));
        (0..count).map(|index| baskets.draw(index as i64, &mut rng)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_orders_and_another_gives_others() {
        assert_eq!(orders(300, 7), orders(300, 7));
        assert_ne!(orders(300, 7), orders(300, 8));
    }

    #[test]
    fn baskets_have_the_skew_of_real_ones() {
        let orders = orders(20_000, 42);
        let mut lines: Vec<_> = orders.iter().map(|order| order.lines.len()).collect();
        lines.sort_unstable();
        let at = |share: f64| lines[(share * lines.len() as f64) as usize];
        let mean = lines.iter().sum::<usize>() as f64 / lines.len() as f64;
        assert!((25.0..27.5).contains(&mean), "mean {mean}");
        assert!((14..=16).contains(&at(0.5)), "median {}", at(0.5));
        assert!((72..=78).contains(&at(0.95)), "95 %: {}", at(0.95));
        assert!((205..=230).contains(&at(0.99)), "99 %: {}", at(0.99));
        assert!((900..=1_106).contains(&lines[lines.len() - 1]), "largest {}", lines[lines.len() - 1]);
        let single = lines.iter().filter(|&&count| count == 1).count() as f64 / lines.len() as f64;
        assert!((0.07..0.083).contains(&single), "single-line {single}");

        let (mut in_orders, mut of_units, mut units) = (vec![0_u64; SKUS], vec![0_u64; SKUS], Vec::new());
        for line in orders.iter().flat_map(|order| &order.lines) {
            in_orders[line.sku as usize] += 1;
            of_units[line.sku as usize] += u64::from(line.units);
            units.push(line.units);
        }
        units.sort_unstable();
        assert_eq!(units[units.len() / 2], 4, "median of units per line");
        let hottest = in_orders.iter().max().copied().unwrap() as f64 / orders.len() as f64;
        assert!((0.105..0.125).contains(&hottest), "hottest sku in {hottest} of orders");
        let top = |counts: &mut Vec<u64>| {
            counts.sort_unstable_by(|a, b| b.cmp(a));
            counts[..SKUS / 100].iter().sum::<u64>() as f64 / counts.iter().sum::<u64>() as f64
        };
        let (of_lines, of_units) = (top(&mut in_orders), top(&mut of_units));
        assert!((0.08..0.10).contains(&of_lines), "top 1 % of skus carry {of_lines} of lines");
        assert!((0.14..0.22).contains(&of_units), "top 1 % of skus carry {of_units} of units");
    }

    #[test]
    fn no_order_names_a_sku_twice() {
        for order in orders(3_000, 3) {
            let mut skus: Vec<_> = order.lines.iter().map(|line| line.sku).collect();
            skus.sort_unstable();
            let lines = skus.len();
            skus.dedup();
            assert_eq!(skus.len(), lines);
        }
    }
}
