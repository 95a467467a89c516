//! How good Earmark's plans are: the same orders routed by simple rules, by Earmark, and, where there are few nodes,
//! by trying every set of nodes. Each has its own copy of the stock and uses it up order by order.
//!
//! `cargo run --release -p earmark-benches --bin routing_quality -- --orders FILE --nodes FILE --places FILE`; without
//! files the network and the baskets of `earmark demo` are drawn.

mod by_steps;
mod earmark_plans;
mod exact;
mod oracle;
mod report;
mod rules;
mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use earmark::data::trouble::{BAD_ROWS_MAX, BadRows};
use earmark::demo::real_files::{self, RealFiles};
use earmark::demo::scenario::{Scenario, demand};
use earmark::demo::stock::{Stock, StockRule};
use earmark::demo::{generated, nearest::Tariff};
use earmark_benches::full::Full;
use earmark_protocol::catalogue::NodeSpec;

/// Routes orders by simple rules and by Earmark, and compares what they cost
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Orders to route instead of generated ones: CSV with order_id, ts, customer, us_zip, sku, qty; may be gzipped
    #[arg(long, value_name = "FILE", requires = "nodes", requires = "places")]
    orders: Option<PathBuf>,
    /// Nodes of those orders: CSV with id, type, lat, lon
    #[arg(long, value_name = "FILE", requires = "orders")]
    nodes: Option<PathBuf>,
    /// Positions of their postal codes: CSV with zip, lat, lon
    #[arg(long, value_name = "FILE", requires = "orders")]
    places: Option<PathBuf>,
    /// Nodes of this group alone, such as fc
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Stock of each sku, as a multiple of the demand for it
    #[arg(long, default_value_t = 1.3)]
    slack: f64,
    /// Probability that a node carries a sku; without it stock is deep, as in `earmark demo`
    #[arg(long)]
    carry: Option<f64>,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Orders of at most this many lines
    #[arg(long, value_name = "N")]
    max_lines: Option<usize>,
    /// At most so many orders, the first by time
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// One unit of each line, as the literature has it
    #[arg(long)]
    one_unit: bool,
    /// What a plan costs
    #[arg(long, value_enum, default_value_t = Model::Literature)]
    model: Model,
    /// What parcels cost in the full model instead of by a formula: CSV with service, max_lb, zone, usd; zones go by distance
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Leave out Earmark with learned prices, and the bound in hindsight
    #[arg(long)]
    without_prices: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Cost models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    /// 8.759 per shipment + (0.423 + 0.000541 × miles) per unit, and what the nodes cost
    Literature,
    /// Carriers with steps by zone and weight, node costs and hours, lateness, and a policy of 50 rules
    Full,
}

/// Orders that are generated where no files are named.
const GENERATED_ORDERS: usize = 10_000;

fn main() -> ExitCode {
    let args = Args::parse();
    match modelled(&args) {
        Ok((scenario, full)) => {
            let report = run::all(&scenario, full.as_ref(), &args);
            println!("{}", if args.json { report.json() } else { report.to_string() });
            if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(bad) => {
            eprintln!("routing_quality: reading the files: some rows are bad, correct them\n{bad}");
            ExitCode::from(2)
        }
    }
}

/// The literature's tariff.
fn tariff() -> Tariff {
    let engine = earmark_engine::Tariff::default();
    Tariff {
        shipment_base: engine.shipment_base,
        per_unit: engine.per_unit,
        per_unit_mile: engine.per_unit_mile,
    }
}

/// The scenario, and what the full model says beside it, where that was asked for.
fn modelled(args: &Args) -> Result<(Scenario, Option<Full>), BadRows> {
    let mut scenario = scenario(args)?;
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let Scenario { nodes, skus, .. } = &mut scenario;
    let full = (args.model == Model::Full)
        .then(|| Full::equip((nodes, skus), args.prices.as_deref(), args.seed, &mut bad));
    if bad.is_empty() { Ok((scenario, full)) } else { Err(bad) }
}

/// The nodes and orders that were asked for, with stock for those orders.
fn scenario(args: &Args) -> Result<Scenario, BadRows> {
    let rule = rule(args);
    let mut scenario = match (&args.orders, &args.nodes, &args.places) {
        (Some(orders), Some(nodes), Some(places)) => {
            let files = RealFiles {
                orders: orders.clone(),
                nodes: nodes.clone(),
                places: places.clone(),
                cancellations: None,
            };
            let mut bad = BadRows::new(BAD_ROWS_MAX);
            let scenario = real_files::scenario(&files, rule, args.slack, args.seed, &mut bad);
            if !bad.is_empty() {
                return Err(bad);
            }
            scenario
        }
        _ => generated::scenario(args.count.unwrap_or(GENERATED_ORDERS), rule, args.slack, args.seed),
    };
    let of_group = |node: &NodeSpec| args.group.as_ref().is_none_or(|group| node.group == *group);
    scenario.nodes.retain(of_group);
    scenario.orders.retain(|order| args.max_lines.is_none_or(|most| order.lines.len() <= most));
    scenario.orders.truncate(args.count.unwrap_or(usize::MAX));
    if args.one_unit {
        scenario.orders.iter_mut().flat_map(|order| &mut order.lines).for_each(|line| line.units = 1);
    }
    Ok(stocked(scenario, args))
}

/// The scenario with stock drawn for its orders.
fn stocked(scenario: Scenario, args: &Args) -> Scenario {
    let wanted = demand(scenario.skus.len(), &scenario.orders);
    let mut rng = fastrand::Rng::with_seed(args.seed);
    let stock = Stock::draw(rule(args), args.slack, &scenario.nodes, &scenario.skus, &wanted, &mut rng);
    Scenario { stock, ..scenario }
}

/// Where stock lies.
fn rule(args: &Args) -> StockRule {
    args.carry.map_or(StockRule::Deep, StockRule::Carry)
}
