//! What was found, as one JSON object and as a table for people.

use std::collections::BTreeMap;
use std::fmt;

use earmark::demo::scenario::Scenario;
use serde::Serialize;

use super::{Args, Model};

/// One policy's figures. Rates are shares of the orders that it served, costs are in the currency's major unit.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Orders that it served, whole or in part, and units of them.
    pub(crate) orders: u64,
    pub(crate) units: u64,
    pub(crate) cost_per_order: f64,
    pub(crate) shipments_per_order: f64,
    /// Orders of more than one shipment; and those that no single node could have served as far as they were served.
    pub(crate) split_rate: f64,
    pub(crate) forced_split_rate: f64,
    /// Orders of which something comes from a node that may not serve it, by what it can do or by the policy.
    pub(crate) barred_rate: f64,
    pub(crate) plan_p50_us: f64,
    pub(crate) plan_p99_us: f64,
    /// Orders whose plan it proved to be the cheapest; simple rules prove nothing.
    pub(crate) optimal_share: f64,
    /// The same of orders of at most ten skus.
    pub(crate) optimal_share_small: f64,
}

/// What became of checking what plans say of themselves.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Claims {
    /// Claims to be the cheapest that were checked by an oracle.
    pub(crate) checked: u64,
    /// Bounds that were.
    pub(crate) bounds_checked: u64,
    /// Plans that claim more than is true.
    pub(crate) wrong: u64,
    /// Plans whose cost is not what the formula says.
    pub(crate) mispriced: u64,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    source: String,
    model: &'static str,
    nodes: usize,
    orders: usize,
    cells: usize,
    slack: f64,
    carry: Option<f64>,
    seed: u64,
    claims: Claims,
    /// What an order costs at least on average, to someone who knew all orders beforehand; `null` where that is not known.
    pub(crate) hindsight_cost_per_order: Option<f64>,
    /// How much of what they cost beyond that without prices is saved by learned ones.
    gap_share: Option<f64>,
    policies: BTreeMap<&'static str, Figures>,
}

impl Report {
    pub(crate) fn new(
        scenario: &Scenario,
        args: &Args,
        policies: Vec<(&'static str, Figures)>,
        claims: Claims,
        hindsight: Option<f64>,
    ) -> Self {
        let policies: BTreeMap<_, _> = policies.into_iter().collect();
        let cost = |name| policies.get(name).map(|figures: &Figures| figures.cost_per_order);
        let gap = cost("ours").zip(cost("ours_priced")).zip(hindsight);
        let gap_share = gap.map(|((ours, priced), least)| (ours - priced) / (ours - least).max(1e-9));
        Self {
            hindsight_cost_per_order: hindsight,
            gap_share,
            source: scenario.source.clone(),
            model: match args.model {
                Model::Literature => "literature",
                Model::Full => "full",
            },
            nodes: scenario.nodes.len(),
            orders: scenario.orders.len(),
            cells: scenario.stock.cells.len(),
            slack: args.slack,
            carry: args.carry,
            seed: args.seed,
            claims,
            policies,
        }
    }

    /// Whether every plan is what it says of itself, as far as that was checked.
    pub(crate) fn holds(&self) -> bool {
        self.claims.wrong == 0 && self.claims.mispriced == 0
    }

    /// One policy's figures.
    #[cfg(test)]
    pub(crate) fn policy(&self, name: &str) -> Option<&Figures> {
        self.policies.get(name)
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and names are JSON")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = self.carry.map_or_else(|| "deep".to_owned(), |carry| format!("carry {carry}"));
        writeln!(
            f,
            "{}: {} orders over {} nodes, {} cells, slack {}, {layout}, seed {}, model {}",
            self.source, self.orders, self.nodes, self.cells, self.slack, self.seed, self.model
        )?;
        writeln!(
            f,
            "{:<13}{:>12}{:>11}{:>9}{:>9}{:>9}{:>10}{:>11}{:>9}{:>13}",
            "policy",
            "cost/order",
            "shipments",
            "split",
            "forced",
            "barred",
            "p50 µs",
            "p99 µs",
            "proven",
            "≤ 10 skus"
        )?;
        for (name, figures) in &self.policies {
            writeln!(
                f,
                "{name:<13}{:>12.4}{:>11.3}{:>7.2} %{:>7.2} %{:>7.2} %{:>10.1}{:>11.1}{:>7.2} %{:>11.2} %",
                figures.cost_per_order,
                figures.shipments_per_order,
                figures.split_rate * 100.0,
                figures.forced_split_rate * 100.0,
                figures.barred_rate * 100.0,
                figures.plan_p50_us,
                figures.plan_p99_us,
                figures.optimal_share * 100.0,
                figures.optimal_share_small * 100.0,
            )?;
        }
        if let Some((least, share)) = self.hindsight_cost_per_order.zip(self.gap_share) {
            writeln!(
                f,
                "in hindsight at least {least:.4}; learned prices take {:.1} % of the gap to that",
                share * 100.0
            )?;
        }
        write!(
            f,
            "{} claims and {} bounds checked, {} wrong; {} plans mispriced",
            self.claims.checked, self.claims.bounds_checked, self.claims.wrong, self.claims.mispriced
        )
    }
}
