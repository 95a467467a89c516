//! What the same orders would have cost with nearest-node routing: every line from the nearest node that has it,
//! the rest from the next nearest. It has a copy of the stock of its own and prices with the same formula.

use std::collections::HashMap;
use std::rc::Rc;

use earmark_protocol::geo::Zone;
use earmark_protocol::ids::Money;

use super::scenario::Scenario;

/// Prices that a plan's cost is made of, besides the costs of the node.
#[derive(Clone, Copy, Debug)]
pub struct Tariff {
    /// Of a shipment.
    pub shipment_base: Money,
    /// Of a unit.
    pub per_unit: Money,
    /// Of a unit and a mile.
    pub per_unit_mile: Money,
}

/// Distances from every node to the destinations seen so far.
#[derive(Debug, Default)]
pub struct Distances {
    zones: HashMap<Zone, Rc<Vec<u32>>>,
}

impl Distances {
    /// Miles from each node to the centre of this order's zone.
    pub fn of(&mut self, scenario: &Scenario, order: u32) -> Rc<Vec<u32>> {
        let zone = scenario.orders[order as usize].position.zone();
        let miles = self.zones.entry(zone).or_insert_with(|| {
            let to = zone.centre();
            Rc::new(scenario.nodes.iter().map(|node| node.position.miles_to(to)).collect())
        });
        Rc::clone(miles)
    }
}

/// Units of one line from one cell.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    /// The line's place in its order.
    pub line: u32,
    /// The cell.
    pub cell: usize,
    /// Units.
    pub units: u32,
}

/// Each line of an order from the nearest node that has any of what is free, by cell, and the rest from the next.
#[must_use]
pub fn nearest_picks(scenario: &Scenario, free: &[i64], order: u32, miles: &[u32]) -> Vec<Pick> {
    let cells = &scenario.stock.cells;
    let mut picks: Vec<Pick> = Vec::new();
    let mut near = Vec::new();
    for (line, place) in scenario.orders[order as usize].lines.iter().zip(0..) {
        // Lines before this one may want the same sku.
        let run = cells.of(line.sku);
        let taken =
            |cell| picks.iter().filter(move |pick| pick.cell == cell).map(|pick| i64::from(pick.units));
        let twice = picks.iter().any(|pick| run.contains(&pick.cell));
        let left = |cell: usize| free[cell] - if twice { taken(cell).sum() } else { 0 };
        near.clear();
        near.extend(run.clone().map(|cell| (miles[cells.node(cell) as usize], cell, left(cell))));
        near.retain(|(.., left)| *left > 0);
        near.sort_unstable();
        let mut wanted = line.units;
        for &(_, cell, left) in &near {
            if wanted == 0 {
                break;
            }
            let units = wanted.min(u32::try_from(left).unwrap_or(u32::MAX));
            wanted -= units;
            picks.push(Pick { line: place, cell, units });
        }
    }
    picks
}

/// Nearest-node routing on its own copy of the stock.
#[derive(Debug)]
pub struct Nearest<'a> {
    scenario: &'a Scenario,
    tariff: Tariff,
    left: Vec<i64>,
    picks: HashMap<u32, Vec<Pick>>,
    /// What the orders it could serve cost.
    pub cost: Money,
    /// Orders it could serve, whole or in part.
    pub orders: u64,
    /// Units it found.
    pub units: u64,
}

impl<'a> Nearest<'a> {
    /// With the scenario's stock untouched.
    #[must_use]
    pub fn new(scenario: &'a Scenario, tariff: Tariff) -> Self {
        let left = scenario.stock.units.iter().map(|&units| i64::from(units)).collect();
        Self { scenario, tariff, left, picks: HashMap::new(), cost: Money(0), orders: 0, units: 0 }
    }

    /// Routes an order and takes its units.
    pub fn reserve(&mut self, order: u32, miles: &[u32]) {
        let cells = &self.scenario.stock.cells;
        let picks = nearest_picks(self.scenario, &self.left, order, miles);
        picks.iter().for_each(|pick| self.left[pick.cell] -= i64::from(pick.units));
        if picks.is_empty() {
            return;
        }
        self.orders += 1;
        self.units += picks.iter().map(|pick| u64::from(pick.units)).sum::<u64>();
        let lines = &self.scenario.orders[order as usize].lines;
        let rows =
            picks.iter().map(|pick| (cells.node(pick.cell), lines[pick.line as usize].sku, pick.units));
        self.cost.0 += price(self.scenario, self.tariff, miles, rows).0;
        self.picks.insert(order, picks);
    }

    /// Gives units of a line back, as far as it had them.
    pub fn give_back(&mut self, order: u32, line: u32, units: u32) {
        let mut wanted = units;
        for pick in self.picks.get_mut(&order).into_iter().flatten().filter(|pick| pick.line == line) {
            let back = wanted.min(pick.units);
            pick.units -= back;
            self.left[pick.cell] += i64::from(back);
            wanted -= back;
        }
    }
}

/// The cost of rows (node, sku, units): per node that ships, the tariff's base and the node's cost per order; per
/// distinct sku in a shipment the node's cost per line; per unit the tariff's and the node's, and the miles.
pub fn price(
    scenario: &Scenario,
    tariff: Tariff,
    miles: &[u32],
    rows: impl IntoIterator<Item = (u32, u32, u32)>,
) -> Money {
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_unstable();
    let (mut cost, mut before) = (0_i64, None);
    for (place, sku, units) in rows {
        let node = &scenario.nodes[place as usize];
        if before.is_none_or(|(at, _)| at != place) {
            cost += tariff.shipment_base.0 + node.cost_per_order.0;
        }
        if before != Some((place, sku)) {
            cost += node.cost_per_line.0;
        }
        before = Some((place, sku));
        let distance = tariff.per_unit_mile.0 * i64::from(miles[place as usize]);
        cost += i64::from(units) * (tariff.per_unit.0 + node.cost_per_unit.0 + distance);
    }
    Money(cost)
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::{NodeSpec, SkuSpec};
    use earmark_protocol::geo::Position;

    use super::*;
    use crate::demo::scenario::{DemoLine, DemoOrder};
    use crate::demo::stock::Stock;

    const TARIFF: Tariff =
        Tariff { shipment_base: Money(1_000_000), per_unit: Money(100_000), per_unit_mile: Money(1_000) };

    /// Two nodes, ten degrees of latitude apart; the order is beside the first.
    fn scenario() -> Scenario {
        let node = |lat| NodeSpec {
            position: Position::from_degrees(lat, -90.0).unwrap(),
            cost_per_order: Money(7),
            cost_per_line: Money(30),
            cost_per_unit: Money(200),
            ..NodeSpec::default()
        };
        let lines = vec![DemoLine { sku: 0, units: 5 }, DemoLine { sku: 1, units: 1 }];
        let position = Position::from_degrees(40.1, -90.1).unwrap();
        Scenario {
            source: String::new(),
            nodes: vec![node(40.0), node(30.0)],
            skus: vec![SkuSpec::default(), SkuSpec::default()],
            orders: vec![DemoOrder { position, lines, ..DemoOrder::default() }; 2],
            cancellations: Vec::new(),
            stock: Stock::of([vec![(0, 3), (1, 9)], vec![(0, 1)]]),
        }
    }

    #[test]
    fn lines_come_from_the_nearest_node_and_the_rest_from_the_next() {
        let scenario = scenario();
        let miles = Distances::default().of(&scenario, 0);
        let (near, far) = (i64::from(miles[0]), i64::from(miles[1]));
        assert!(near < 20 && far > 650);
        let mut nearest = Nearest::new(&scenario, TARIFF);
        nearest.reserve(0, &miles);
        let first = 1_000_007 + 2 * 30 + 4 * (100_200 + 1_000 * near);
        let second = 1_000_007 + 30 + 2 * (100_200 + 1_000 * far);
        assert_eq!((nearest.cost, nearest.orders, nearest.units), (Money(first + second), 1, 6));
        assert_eq!(nearest.left, [0, 7, 0]);
    }

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let scenario = scenario();
        let miles = Distances::default().of(&scenario, 0);
        let mut nearest = Nearest::new(&scenario, TARIFF);
        nearest.reserve(0, &miles);
        nearest.give_back(0, 0, 4);
        nearest.give_back(0, 1, 9);
        assert_eq!(nearest.left, [3, 8, 1]);
        nearest.reserve(1, &miles);
        assert_eq!((nearest.orders, nearest.units), (2, 12));
    }
}
