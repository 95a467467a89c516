//! Judges a routed run from its ledger: were units sold twice, were plans priced right, which orders were split and
//! which had to be, and what nearest-node routing of the same orders would have cost.

use std::collections::BTreeMap;

use earmark_protocol::ids::Money;

use super::ledger::{Balance, Ledger, Movement};
use super::nearest::{Distances, Nearest, Tariff, price};
use super::scenario::Scenario;

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// What the ledger says in the end.
    pub balance: Balance,
    /// Orders that were reserved.
    pub reserved: u64,
    /// Those with more than one shipment.
    pub split: u64,
    /// Those that no single node could have served as far as they were served.
    pub forced: u64,
    /// What their plans cost.
    pub cost: Money,
    /// Plans whose cost is not what the formula says.
    pub mispriced: u64,
    /// What nearest-node routing would have cost.
    pub nearest_cost: Money,
    /// Orders it could serve.
    pub nearest_orders: u64,
    /// Units it found.
    pub nearest_units: u64,
}

/// Walks the ledger in its order. Nearest-node routing gets the same orders in the same order and the same units
/// back at the same moments, as far as it had them.
#[must_use]
pub fn judge(scenario: &Scenario, tariff: Tariff, ledger: &Ledger) -> Verdict {
    let cells = &scenario.stock.cells;
    let mut free = scenario.stock.units.iter().map(|&units| i64::from(units)).collect::<Vec<_>>();
    let mut distances = Distances::default();
    let mut nearest = Nearest::new(scenario, tariff);
    let (mut reserved, mut split, mut forced, mut cost, mut mispriced) = (0, 0, 0, 0, 0);
    let balance = ledger.walk(scenario.orders.len(), &scenario.stock, |movement| match movement {
        Movement::Held { order, rows, cost: planned, shipments } => {
            let miles = distances.of(scenario, order);
            let lines = &scenario.orders[order as usize].lines;
            reserved += 1;
            cost += planned.0;
            let priced = rows
                .iter()
                .map(|row| (cells.node(row.cell as usize), lines[row.line as usize].sku, row.units));
            mispriced += u64::from(price(scenario, tariff, &miles, priced) != planned);
            if shipments > 1 {
                split += 1;
                let wanted = rows.iter().map(|row| (lines[row.line as usize].sku, row.units));
                forced += u64::from(!one_node_could(scenario, &free, wanted));
            }
            rows.iter().for_each(|row| free[row.cell as usize] -= i64::from(row.units));
            nearest.reserve(order, &miles);
        }
        Movement::Freed { order, rows } => {
            for row in rows {
                free[row.cell as usize] += i64::from(row.units);
                nearest.give_back(order, row.line, row.units);
            }
        }
    });
    Verdict {
        balance,
        reserved,
        split,
        forced,
        cost: Money(cost),
        mispriced,
        nearest_cost: nearest.cost,
        nearest_orders: nearest.orders,
        nearest_units: nearest.units,
    }
}

/// Whether some node alone has these units of skus, of what is free by cell.
#[must_use]
pub fn one_node_could(scenario: &Scenario, free: &[i64], units: impl Iterator<Item = (u32, u32)>) -> bool {
    let cells = &scenario.stock.cells;
    let mut wanted: BTreeMap<u32, i64> = BTreeMap::new();
    for (sku, units) in units {
        *wanted.entry(sku).or_default() += i64::from(units);
    }
    let Some((&rarest, &units)) = wanted.iter().min_by_key(|(sku, _)| cells.of(**sku).len()) else {
        return true;
    };
    let has = |node, sku, units| cells.find(sku, node).is_some_and(|cell| free[cell] >= units);
    let mut candidates = cells.of(rarest).filter(|&cell| free[cell] >= units).map(|cell| cells.node(cell));
    candidates.any(|node| wanted.iter().all(|(&sku, &units)| has(node, sku, units)))
}

/// What the stock allows: the sum over skus of the lesser of demand and stock, over all demand. `freed` is what
/// came back, by cell: it can be had again; empty to leave that out.
#[must_use]
pub fn fill_rate_bound(scenario: &Scenario, freed: &[u64]) -> f64 {
    let demand = super::scenario::demand(scenario.skus.len(), &scenario.orders);
    let stock = &scenario.stock;
    let allowed = |(&wanted, sku): (&u64, u32)| {
        let back: u64 = freed.get(stock.cells.of(sku)).map_or(0, |freed| freed.iter().sum());
        wanted.min(stock.of_sku(sku) + back)
    };
    share(demand.iter().zip(0..).map(allowed).sum(), demand.iter().sum())
}

/// `part / whole`; 1 where the whole is nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::{NodeSpec, SkuSpec};
    use earmark_protocol::geo::Position;
    use earmark_protocol::ids::{Lsn, TimestampMs};

    use super::*;
    use crate::demo::ledger::{Event, Row};
    use crate::demo::scenario::{DemoLine, DemoOrder};
    use crate::demo::stock::Stock;

    const TARIFF: Tariff = Tariff { shipment_base: Money(100), per_unit: Money(10), per_unit_mile: Money(0) };

    /// Two skus at two nodes in one place; two orders of 2 units of each.
    fn scenario() -> Scenario {
        let position = Position::from_degrees(40.0, -90.0).unwrap();
        let node = NodeSpec { position, ..NodeSpec::default() };
        let lines = vec![DemoLine { sku: 0, units: 2 }, DemoLine { sku: 1, units: 2 }];
        Scenario {
            source: String::new(),
            nodes: vec![node.clone(), node],
            skus: vec![SkuSpec::default(); 2],
            orders: vec![DemoOrder { position, lines, ..DemoOrder::default() }; 2],
            cancellations: Vec::new(),
            stock: Stock::of([vec![(0, 2), (1, 3)], vec![(0, 2)]]),
        }
    }

    fn reserved(order: u32, rows: &[(u32, u32, u32)], cost: i64, shipments: u32) -> Event {
        let rows = rows.iter().map(|&(line, cell, units)| Row { line, cell, units }).collect();
        let (at, deadline) = (TimestampMs(1), TimestampMs(100));
        Event::Reserved { order, at, deadline, rows, cost: Money(cost), shipments }
    }

    #[test]
    fn a_split_is_forced_only_where_no_node_has_it_all() {
        let mut ledger = Ledger::default();
        // Node 0 had both skus, yet sku 0 came from node 1; then nothing but one unit there is left.
        ledger.note(Lsn(1), reserved(0, &[(0, 1, 2), (1, 2, 1)], 230, 2));
        ledger.note(Lsn(2), reserved(1, &[(0, 0, 2), (0, 1, 1), (1, 2, 1)], 240, 2));
        let verdict = judge(&scenario(), TARIFF, &ledger);
        assert_eq!((verdict.reserved, verdict.split, verdict.forced), (2, 2, 1));
        assert_eq!((verdict.cost, verdict.mispriced), (Money(470), 0));
        assert_eq!(verdict.nearest_orders, 2);
        assert_eq!(verdict.balance.oversold_units, 0);
    }

    #[test]
    fn a_plan_with_a_wrong_price_is_found() {
        let mut ledger = Ledger::default();
        ledger.note(Lsn(1), reserved(0, &[(0, 0, 2), (1, 2, 2)], 141, 1));
        assert_eq!(judge(&scenario(), TARIFF, &ledger).mispriced, 1);
    }

    #[test]
    fn the_bound_is_what_the_stock_allows() {
        let mut scenario = scenario();
        assert_eq!(fill_rate_bound(&scenario, &[]), 6.0 / 8.0);
        assert_eq!(fill_rate_bound(&scenario, &[0, 0, 1]), 7.0 / 8.0);
        scenario.stock = Stock::of([vec![(0, 9)], vec![(1, 9)]]);
        assert_eq!(fill_rate_bound(&scenario, &[]), 1.0);
    }
}
