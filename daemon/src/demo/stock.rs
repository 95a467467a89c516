//! The stock of a demo. No public data set has any, so it is drawn, seeded: how many units of each sku there are
//! follows from the demand, where they lie from one of two rules.

use std::ops::Range;
use std::sync::Arc;

use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use fastrand::Rng;

use super::network::FC_GROUP;

/// Where the units of a sku lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StockRule {
    /// Deep in few places: every fulfilment centre, 30 % of the other warehouses and vendors, and as many stores as
    /// a quarter of the units can give [`STORE_DEPTH`] each.
    Deep,
    /// The rule of the literature: each node carries the sku with this probability, and its units are spread over
    /// those nodes at random.
    Carry(f64),
}

/// The least units of a sku in a store that carries it, under [`StockRule::Deep`]: three lines in four want fewer.
pub const STORE_DEPTH: u64 = 12;
/// Share of a sku's units that stores have, where one of them can be given [`STORE_DEPTH`].
const STORES_PERCENT: u64 = 25;
/// Share of stores that carry a sku at most.
const STORES_CARRY_MAX: f64 = 0.25;
/// Share of warehouses and vendors beside the fulfilment centres that carry a sku.
const WAREHOUSES_CARRY: f64 = 0.3;
/// How many times the units of such a warehouse a fulfilment centre gets.
const FC_WEIGHT: usize = 4;
/// Units are dealt one by one up to this many, in packs beyond: the draw stays short where a sku has millions.
const DEALS_MAX: u64 = 1 << 14;

/// Which (sku, node) have stock: a run of cells per sku, sorted by node.
#[derive(Debug, Default)]
pub struct Cells {
    starts: Vec<u32>,
    nodes: Vec<u32>,
}

impl Cells {
    /// How many skus.
    #[must_use]
    pub fn skus(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The cells of a sku.
    #[must_use]
    pub fn of(&self, sku: u32) -> Range<usize> {
        self.starts[sku as usize] as usize..self.starts[sku as usize + 1] as usize
    }

    /// The node of a cell, by its place in the scenario.
    #[must_use]
    pub fn node(&self, cell: usize) -> u32 {
        self.nodes[cell]
    }

    /// The cell of a sku at a node.
    #[must_use]
    pub fn find(&self, sku: u32, node: u32) -> Option<usize> {
        let run = self.of(sku);
        self.nodes[run.clone()].binary_search(&node).ok().map(|place| run.start + place)
    }
}

/// Units of each cell.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// The cells.
    pub cells: Arc<Cells>,
    /// Their units, each at least 1.
    pub units: Vec<u32>,
}

impl Stock {
    /// Stock of these (node, units) per sku, sorted by node.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = Vec<(u32, u32)>>) -> Self {
        let (mut starts, mut nodes, mut units) = (vec![0], Vec::new(), Vec::new());
        for run in runs {
            for (node, count) in run {
                nodes.push(node);
                units.push(count);
            }
            starts.push(u32::try_from(nodes.len()).expect("a demo has fewer than 2^32 cells"));
        }
        Self { cells: Arc::new(Cells { starts, nodes }), units }
    }

    /// Draws the stock: of each sku `slack` times its demand, laid out by the rule.
    #[must_use]
    pub fn draw(
        rule: StockRule,
        slack: f64,
        nodes: &[NodeSpec],
        skus: &[SkuSpec],
        demand: &[u64],
        rng: &mut Rng,
    ) -> Self {
        let mut dealt = vec![0_u64; nodes.len()];
        Self::of(skus.iter().zip(demand).map(|(sku, &wanted)| {
            let units = (wanted as f64 * slack).round() as u64;
            let can = |node: &NodeSpec| {
                node.capabilities & capabilities::SHIP != 0 && sku.flags & !node.capabilities == 0
            };
            let capable: Vec<usize> = (0..nodes.len()).filter(|&place| can(&nodes[place])).collect();
            match rule {
                StockRule::Deep => deep(units, nodes, &capable, &mut dealt, rng),
                StockRule::Carry(carry) => {
                    let carrying: Vec<_> = capable.iter().copied().filter(|_| rng.f64() < carry).collect();
                    deal(units, &or_any(carrying, &capable, rng), &mut dealt, rng);
                }
            }
            let run = dealt.iter_mut().zip(0..).filter(|(units, _)| **units > 0);
            run.map(|(units, node)| (node, clamped(std::mem::take(units)))).collect()
        }))
    }

    /// All units of a sku.
    #[must_use]
    pub fn of_sku(&self, sku: u32) -> u64 {
        self.units[self.cells.of(sku)].iter().map(|&units| u64::from(units)).sum()
    }
}

fn deep(units: u64, nodes: &[NodeSpec], capable: &[usize], dealt: &mut [u64], rng: &mut Rng) {
    let (mut stores, others): (Vec<usize>, Vec<usize>) =
        capable.iter().partition(|&&place| nodes[place].kind == NodeKind::Store);
    let for_stores = units * STORES_PERCENT / 100;
    let most = (stores.len() as f64 * STORES_CARRY_MAX).ceil() as u64;
    rng.shuffle(&mut stores);
    stores.truncate((for_stores / STORE_DEPTH).min(most) as usize);
    let mut left = units;
    if !stores.is_empty() {
        for &store in &stores {
            dealt[store] = STORE_DEPTH;
        }
        deal(for_stores - STORE_DEPTH * stores.len() as u64, &stores, dealt, rng);
        left -= for_stores;
    }
    let mut carrying = Vec::new();
    for &place in &others {
        if nodes[place].group == FC_GROUP {
            carrying.extend([place; FC_WEIGHT]);
        } else if rng.f64() < WAREHOUSES_CARRY {
            carrying.push(place);
        }
    }
    deal(left, &or_any(carrying, capable, rng), dealt, rng);
}

/// Every sku is carried somewhere: where the draw left it out everywhere, one place is drawn.
fn or_any(carrying: Vec<usize>, capable: &[usize], rng: &mut Rng) -> Vec<usize> {
    if carrying.is_empty() { rng.choice(capable).copied().into_iter().collect() } else { carrying }
}

/// Spreads units over these places at random, each as likely as it stands in the list.
fn deal(units: u64, places: &[usize], dealt: &mut [u64], rng: &mut Rng) {
    let pack = units.div_ceil(DEALS_MAX).max(1);
    let mut left = units;
    while left > 0 {
        let Some(&place) = rng.choice(places) else { return };
        let now = pack.min(left);
        dealt[place] += now;
        left -= now;
    }
}

fn clamped(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX).min(earmark_protocol::ids::QUANTITY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::network;

    fn draw(rule: StockRule, slack: f64) -> (Vec<NodeSpec>, Vec<u64>, Stock) {
        let mut rng = Rng::with_seed(5);
        let (nodes, skus) = (network::nodes(), network::skus(&mut rng));
        let demand: Vec<u64> = (0..skus.len() as u64).map(|rank| 1 + rank * 7 % 9_000).collect();
        let stock = Stock::draw(rule, slack, &nodes, &skus, &demand, &mut rng);
        for (place, sku) in skus.iter().enumerate() {
            for cell in stock.cells.of(place as u32) {
                let node = &nodes[stock.cells.node(cell) as usize];
                assert!(node.capabilities & capabilities::SHIP != 0 && sku.flags & !node.capabilities == 0);
            }
        }
        (nodes, demand, stock)
    }

    #[test]
    fn there_is_slack_times_the_demand_of_every_sku() {
        for rule in [StockRule::Deep, StockRule::Carry(0.25), StockRule::Carry(0.0)] {
            let (_, demand, stock) = draw(rule, 1.3);
            for (sku, &wanted) in demand.iter().enumerate() {
                assert_eq!(
                    stock.of_sku(sku as u32),
                    (wanted as f64 * 1.3).round() as u64,
                    "{rule:?}, sku {sku}"
                );
            }
        }
    }

    #[test]
    fn deep_stock_lies_in_all_fulfilment_centres_and_never_thin_in_a_store() {
        let (nodes, demand, stock) = draw(StockRule::Deep, 1.3);
        let mut in_stores = 0;
        for (sku, &wanted) in demand.iter().enumerate().filter(|(_, wanted)| **wanted > 2_000) {
            let cells = stock.cells.of(sku as u32);
            let (mut centres, mut warehouses) = (0, 0);
            for cell in cells {
                let node = &nodes[stock.cells.node(cell) as usize];
                match node.kind {
                    NodeKind::Store => {
                        in_stores += 1;
                        assert!(u64::from(stock.units[cell]) >= STORE_DEPTH, "sku {sku} in {}", node.code);
                    }
                    _ if node.group == FC_GROUP => centres += 1,
                    _ => warehouses += 1,
                }
            }
            assert_eq!(centres, 6, "sku {sku} of {wanted}");
            assert!(warehouses <= 20);
        }
        assert!(in_stores > 1_000);
    }

    #[test]
    fn carried_stock_lies_in_about_the_share_of_nodes_that_was_asked_for() {
        let (_, demand, stock) = draw(StockRule::Carry(0.5), 1.3);
        let deep: Vec<_> = (0..demand.len()).filter(|&sku| demand[sku] > 3_000).collect();
        let cells: usize = deep.iter().map(|&sku| stock.cells.of(sku as u32).len()).sum();
        let share = cells as f64 / (deep.len() * 58) as f64;
        assert!((0.47..0.53).contains(&share), "{share}");
    }

    #[test]
    fn a_cell_is_found_by_sku_and_node() {
        let stock = Stock::of([vec![(1, 5), (4, 6)], vec![], vec![(0, 7)]]);
        assert_eq!(stock.cells.find(0, 4), Some(1));
        assert_eq!(stock.cells.find(1, 0), None);
        assert_eq!(stock.cells.find(2, 0), Some(2));
        assert_eq!((stock.cells.skus(), stock.cells.len()), (3, 3));
    }
}
