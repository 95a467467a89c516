//! The scenario of a demo without files: a generated network and generated baskets, all from one seed.

use fastrand::Rng;

use super::baskets::Baskets;
use super::network;
use super::scenario::{Scenario, demand};
use super::stock::{Stock, StockRule};

/// Orders come at this many seconds from each other; only their order matters.
const SECONDS_APART: i64 = 60;

/// Draws the scenario.
#[must_use]
pub fn scenario(orders: usize, rule: StockRule, slack: f64, seed: u64) -> Scenario {
    let mut rng = Rng::with_seed(seed);
    let (nodes, skus) = (network::nodes(), network::skus(&mut rng));
    let mut baskets = Baskets::new(skus.len());
    let orders: Vec<_> =
        (0..orders as i64).map(|index| baskets.draw(index * SECONDS_APART, &mut rng)).collect();
    let stock = Stock::draw(rule, slack, &nodes, &skus, &demand(skus.len(), &orders), &mut rng);
    let source = "generated network and baskets".to_owned();
    Scenario { source, nodes, skus, orders, cancellations: Vec::new(), stock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_scenario() {
        let draw = |seed| {
            let Scenario { nodes, skus, orders, stock, .. } = scenario(200, StockRule::Deep, 1.3, seed);
            (nodes, skus, orders, stock.units)
        };
        assert_eq!(draw(9), draw(9));
        let (other, drawn) = (draw(10), draw(9));
        assert!(other.1 != drawn.1 && other.2 != drawn.2 && other.3 != drawn.3);
    }
}
