//! What a way of deciding comes to, over all orders.

use std::collections::BTreeMap;

use earmark_engine::promise::days_late;
use earmark_protocol::ids::{Money, NodeIx, TimestampMs};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::Plan;

/// What became of an order.
pub(super) type Routed = Result<Plan, Refusal>;

/// Sums over orders.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Orders that got anything.
    pub served: u64,
    /// Orders that got nothing, by reason.
    pub refused: BTreeMap<RefusalCode, u64>,
    /// Units that are in stock where they ship from.
    pub units: u64,
    /// Units that wait for supply.
    pub units_waiting: u64,
    /// Units of served orders that found none.
    pub units_unfilled: u64,
    /// What all shipments cost, without what policies add.
    pub cost: Money,
    /// What policies add to steer by.
    pub policy_cost: Money,
    /// Shipments.
    pub shipments: u64,
    /// Orders of more than one shipment.
    pub split: u64,
    /// Shipments that come later than their order wishes.
    pub late: u64,
    /// Days, or parts of one, that they are late together.
    pub late_days: u64,
    /// Plans that are proven cheapest.
    pub proven: u64,
    /// What each node ships.
    pub nodes: BTreeMap<NodeIx, NodeLoad>,
}

/// What a node ships, at once or when its supply has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeLoad {
    /// Shipments.
    pub shipments: u64,
    /// Lines in them.
    pub lines: u64,
    /// Units in them.
    pub units: u64,
}

impl Figures {
    /// Counts an order of so many units, and its wish.
    pub(super) fn add(&mut self, routed: &Routed, wanted: u64, deliver_by: Option<TimestampMs>) {
        let plan = match routed {
            Ok(plan) => plan,
            Err(refusal) => return *self.refused.entry(refusal.code).or_default() += 1,
        };
        self.served += 1;
        let mut missing = wanted;
        for shipment in &plan.shipments {
            let units: u64 = shipment.lines.iter().map(|line| u64::from(line.quantity)).sum();
            let load = self.nodes.entry(shipment.node).or_default();
            load.shipments += 1;
            load.lines += shipment.lines.len() as u64;
            load.units += units;
            *(if shipment.waits() { &mut self.units_waiting } else { &mut self.units }) += units;
            missing = missing.saturating_sub(units);
            let late = deliver_by.map_or(0, |wished| days_late(shipment.promise_at_ms, wished));
            self.late += u64::from(late > 0);
            self.late_days += late;
        }
        self.units_unfilled += missing;
        let (cost, added) = (cost_without_policy(plan), policy_cost(plan));
        // A sum that no number holds stays at the largest: figures are told, and nothing is decided by them.
        self.policy_cost = Money(self.policy_cost.0.saturating_add(added.0));
        self.cost = Money(self.cost.0.saturating_add(cost.0));
        self.shipments += plan.shipments.len() as u64;
        self.split += u64::from(plan.shipments.len() > 1);
        self.proven += u64::from(plan.is_optimal());
    }

    /// A number of them per served order.
    #[must_use]
    pub fn per_order(&self, sum: u64) -> f64 {
        if self.served == 0 { 0.0 } else { sum as f64 / self.served as f64 }
    }

    /// The mean cost of a served order.
    #[must_use]
    pub fn cost_per_order(&self) -> Money {
        Money(self.cost.0 / i64::try_from(self.served.max(1)).unwrap_or(i64::MAX))
    }
}

/// What the policy adds to a plan's cost.
fn policy_cost(plan: &Plan) -> Money {
    let costs = plan.shipments.iter().map(|shipment| shipment.policy_cost.0);
    Money(costs.fold(0, i64::saturating_add))
}

/// What a plan costs without that.
pub(super) fn cost_without_policy(plan: &Plan) -> Money {
    Money(plan.cost.0.saturating_sub(policy_cost(plan).0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use earmark_protocol::reply::Shipment;

    #[test]
    fn sums_that_no_number_holds_stay_at_the_largest() {
        let policy_cost = Money(i64::MAX / 2);
        let shipment = Shipment {
            node: NodeIx(0),
            miles: 0,
            cost: Money(0),
            policy_cost,
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            supply_day: 0,
            lines: Vec::new(),
        };
        let dear = Plan { cost: Money(i64::MAX), ..Plan::default() };
        let steered = Plan { shipments: vec![shipment; 3], ..Plan::default() };
        let mut figures = Figures::default();
        for _ in 0..2 {
            figures.add(&Ok(dear.clone()), 0, None);
        }
        assert_eq!(figures.cost, Money(i64::MAX));
        for _ in 0..2 {
            figures.add(&Ok(steered.clone()), 0, None);
        }
        assert_eq!(figures.policy_cost, Money(i64::MAX));
        assert_eq!(cost_without_policy(&steered), Money(-i64::MAX));
    }
}
