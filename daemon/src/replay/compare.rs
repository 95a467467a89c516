//! Two ways of deciding the same orders, side by side, and where they differ.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use earmark_engine::routing::Take;
use earmark_protocol::ids::{Money, NodeIx, SkuIx, TimestampMs};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Plan;

use super::figures::{Figures, Routed, cost_without_policy};
use super::ground::Ground;
use super::orders::Placed;

/// Two ways over all orders.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Orders.
    pub orders: u64,
    /// Each way's sums.
    pub figures: [Figures; 2],
    /// Orders that are not shipped the same way, by what that costs: first those of which one way serves more, then by how
    /// far costs are apart.
    pub differences: Vec<Difference>,
    /// How far another system's decisions agree; `None` where two policies are compared.
    pub agreement: Option<Agreement>,
}

/// An order that two ways decide differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its code.
    pub order: String,
    /// Units served, those that wait for supply with them.
    pub units: [u64; 2],
    /// What it costs without what policies add.
    pub cost: [Money; 2],
    /// How much more it costs the second way; `None` where the two do not serve as many units, or no carrier goes from where
    /// the second has it shipped, so that costs say nothing.
    pub dearer: Option<Money>,
    /// Who ships.
    pub nodes: [Vec<NodeIx>; 2],
    /// Why nothing was served.
    pub refused: [Option<RefusalCode>; 2],
    /// Nodes of another system's decision that may not serve what it took from them.
    pub barred: Vec<NodeIx>,
    /// Those that no carrier goes from.
    pub uncarried: Vec<NodeIx>,
}

/// How far another system's decisions agree with ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Orders it decided.
    pub decided: u64,
    /// Those of them that ship every unit from the same node.
    pub agree: u64,
    /// Those that differ and cost the same.
    pub as_cheap: u64,
    /// Those with a node that may not serve.
    pub barred: u64,
    /// Those for which the stock was not there when their turn came: they used none up.
    pub not_there: u64,
}

impl Agreement {
    /// The share of decided orders that agree.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.decided == 0 { 0.0 } else { self.agree as f64 / self.decided as f64 }
    }
}

/// Routes orders by each of two grounds, which were given their policies; the second is made when the first is done with,
/// so that there is one copy of the stock at a time.
///
/// # Errors
/// Where the second ground cannot be made.
pub fn under_two<E>(
    first: Ground,
    second: impl FnOnce() -> Result<Ground, E>,
    orders: &[Placed],
    at: TimestampMs,
    best_effort: bool,
) -> Result<Report, E> {
    let all = |mut ground: Ground| -> Vec<Routed> {
        orders.iter().map(|order| ground.route(order, order.at.unwrap_or(at), best_effort)).collect()
    };
    let wanted: Vec<u64> = orders.iter().map(|placed| first.wanted(&placed.order)).collect();
    let first = all(first);
    let second = all(second()?);
    let mut report = Report::default();
    for (((placed, wanted), first), second) in orders.iter().zip(wanted).zip(first).zip(second) {
        report.add(placed, wanted, [first, second], Unfit::default());
    }
    report.sort();
    Ok(report)
}

/// Plans each order beside what another system decided for it, on the stock that the decisions before it left.
#[must_use]
pub fn against_decisions(
    mut ground: Ground,
    orders: &[Placed],
    told: &[Vec<Take>],
    at: TimestampMs,
    best_effort: bool,
) -> Report {
    let mut report = Report::default();
    let mut agreement = Agreement::default();
    for (placed, takes) in orders.iter().zip(told).filter(|(_, takes)| !takes.is_empty()) {
        let at = placed.at.unwrap_or(at);
        let ours = ground.plan(placed, at, best_effort).map(|proposal| proposal.plan);
        let priced = ground.price(placed, at, takes);
        let (theirs, unfit) = match priced {
            Ok(priced) => {
                let plan = priced.proposal.plan.clone();
                agreement.not_there +=
                    u64::from(ground.hold(&placed.order, at, priced.proposal, true).is_err());
                // A rule that gives way lets a node in after all: what we would do ourselves is not told against them.
                let serves =
                    |node: &NodeIx| ours.iter().flat_map(|ours| &ours.shipments).any(|of| of.node == *node);
                let barred = priced.barred.into_iter().filter(|node| !serves(node)).collect();
                (Ok(plan), Unfit { barred, uncarried: priced.uncarried })
            }
            Err(refusal) => (Err(refusal), Unfit::default()),
        };
        agreement.decided += 1;
        agreement.barred += u64::from(!unfit.barred.is_empty());
        match report.add(placed, ground.wanted(&placed.order), [ours, theirs], unfit) {
            None => agreement.agree += 1,
            Some(difference) => agreement.as_cheap += u64::from(difference.dearer == Some(Money(0))),
        }
    }
    report.sort();
    Report { agreement: Some(agreement), ..report }
}

/// Nodes of a decision that may not serve what it took from them, and those that no carrier goes from.
#[derive(Default)]
struct Unfit {
    barred: Vec<NodeIx>,
    uncarried: Vec<NodeIx>,
}

impl Report {
    /// Counts an order of so many units, and keeps it where the two ways differ.
    fn add(
        &mut self,
        placed: &Placed,
        wanted: u64,
        routed: [Routed; 2],
        unfit: Unfit,
    ) -> Option<&Difference> {
        self.orders += 1;
        for (figures, routed) in self.figures.iter_mut().zip(&routed) {
            figures.add(routed, wanted, placed.order.deliver_by_ms);
        }
        let plans = routed.each_ref().map(|routed| routed.as_ref().ok());
        let [ours, theirs] = plans.map(|plan| plan.map(taken).unwrap_or_default());
        let refused = routed.each_ref().map(|routed| routed.as_ref().err().map(|refusal| refusal.code));
        if ours == theirs && refused[0] == refused[1] {
            return None;
        }
        let units = [&ours, &theirs].map(|taken| taken.values().sum::<u64>());
        let cost = plans.map(|plan| plan.map_or(Money(0), cost_without_policy));
        let nodes =
            |plan: Option<&Plan>| plan.iter().flat_map(|plan| &plan.shipments).map(|of| of.node).collect();
        self.differences.push(Difference {
            order: placed.code.clone(),
            units,
            cost,
            dearer: (units[0] == units[1] && unfit.uncarried.is_empty())
                .then_some(Money(cost[1].0.saturating_sub(cost[0].0))),
            nodes: plans.map(nodes),
            refused,
            barred: unfit.barred,
            uncarried: unfit.uncarried,
        });
        self.differences.last()
    }

    fn sort(&mut self) {
        self.differences.sort_by_key(|difference| match difference.dearer {
            None => (0, Reverse(difference.units[0].abs_diff(difference.units[1]))),
            Some(Money(dearer)) => (1, Reverse(dearer.unsigned_abs())),
        });
    }

    /// How much more the second way costs, over all orders that both serve alike.
    #[must_use]
    pub fn dearer(&self) -> Money {
        let dearer = self.differences.iter().filter_map(|difference| difference.dearer);
        Money(dearer.fold(0, |sum, Money(cost)| sum.saturating_add(cost)))
    }
}

/// Units by sku and node, and whether they wait for supply there: which of several lines of a sku they are for makes no difference.
fn taken(plan: &Plan) -> BTreeMap<(SkuIx, NodeIx, bool), u64> {
    let mut taken: BTreeMap<_, u64> = BTreeMap::new();
    for shipment in &plan.shipments {
        for line in &shipment.lines {
            *taken.entry((line.sku, shipment.node, shipment.waits())).or_default() +=
                u64::from(line.quantity);
        }
    }
    taken
}
