//! Earmark's plans against every set of nodes, on generated baskets and on real ones.

use std::path::Path;

use clap::Parser;
use earmark::demo::scenario::Scenario;

use super::report::Figures;
use super::{Args, modelled, run, scenario};

fn args(more: &[&str]) -> Args {
    Args::parse_from([&["routing_quality", "--carry", "0.5", "--without-prices"], more].concat())
}

/// Ten nodes that ship, and charge nothing per line.
fn over_ten_nodes(args: &Args) -> Scenario {
    let mut scenario = scenario(args).expect("nothing is read");
    scenario.nodes.retain(|node| node.capabilities & earmark_protocol::catalogue::capabilities::SHIP != 0);
    scenario.nodes.truncate(10);
    scenario.nodes.iter_mut().for_each(|node| node.cost_per_line.0 = 0);
    super::stocked(scenario, args)
}

/// What trying every set costs per order, and what Earmark does; its claims must be true.
fn exact_and_ours(scenario: &Scenario, args: &Args) -> (Figures, Figures) {
    let report = run::all(scenario, None, args);
    assert!(report.holds(), "{report}");
    let of = |name| report.policy(name).cloned().expect("few nodes, so every set was tried");
    (of("exact"), of("ours"))
}

fn assert_within(exact: &Figures, ours: &Figures, percent: f64) {
    assert_eq!((exact.orders, exact.units), (ours.orders, ours.units));
    let off = (ours.cost_per_order / exact.cost_per_order - 1.0).abs() * 100.0;
    assert!(off <= percent, "{off} % off: {} {}", exact.cost_per_order, ours.cost_per_order);
}

#[test]
fn small_generated_orders_cost_what_trying_every_set_of_nodes_costs() {
    for seed in ["1", "2", "3"] {
        let args = args(&["--max-lines", "10", "--count", "600", "--seed", seed]);
        let scenario = over_ten_nodes(&args);
        let (exact, ours) = exact_and_ours(&scenario, &args);
        assert_within(&exact, &ours, 0.01);
        assert!(ours.optimal_share_small >= 0.97, "seed {seed}: {}", ours.optimal_share_small);
    }
}

#[test]
fn real_orders_over_the_ten_fulfilment_centres_cost_what_trying_every_set_costs() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let file = |name: &str| data.join(name).to_string_lossy().into_owned();
    let (orders, nodes, places) = (file("orders.csv.gz"), file("nodes_us.csv.gz"), file("us_zips.csv.gz"));
    if !Path::new(&orders).exists() {
        eprintln!("skipped: {} has no real orders; another test runs on generated ones", data.display());
        return;
    }
    let files =
        ["--orders", &orders, "--nodes", &nodes, "--places", &places, "--group", "fc", "--count", "800"];
    for (more, percent) in [(&["--max-lines", "10"][..], 0.01), (&[], 0.5)] {
        let args = args(&[&files, more].concat());
        let scenario = scenario(&args).expect("the files are good");
        let (exact, ours) = exact_and_ours(&scenario, &args);
        assert_within(&exact, &ours, percent);
    }
}

#[test]
fn with_learned_prices_plans_are_exact_and_nobody_beats_hindsight() {
    let few = ["--max-lines", "5", "--count", "120", "--one-unit", "--slack", "1.1"];
    let args = Args { without_prices: false, ..args(&few) };
    let report = run::all(&over_ten_nodes(&args), None, &args);
    assert!(report.holds(), "{report}");
    let of = |name| report.policy(name).expect("it was routed").clone();
    let (ours, priced) = (of("ours"), of("ours_priced"));
    assert_eq!((ours.orders, ours.units), (priced.orders, priced.units));
    assert!(priced.optimal_share >= 0.97, "{report}");
    let least = report.hindsight_cost_per_order.expect("these orders are small");
    assert!(least <= ours.cost_per_order && least <= priced.cost_per_order, "{report}");
}

#[test]
fn under_the_full_model_claims_are_true_by_trying_every_shipment_of_every_node() {
    for (seed, slack) in [("1", "1.1"), ("2", "3")] {
        let drawn = args(&[
            "--model",
            "full",
            "--max-lines",
            "4",
            "--count",
            "300",
            "--seed",
            seed,
            "--slack",
            slack,
        ]);
        let args = Args { without_prices: false, ..drawn };
        let (scenario, full) = modelled(&args).expect("nothing is read");
        let report = run::all(&scenario, full.as_ref(), &args);
        assert!(report.holds() && report.hindsight_cost_per_order.is_none(), "{report}");
        let [ours, priced] = ["ours", "ours_priced"].map(|name| report.policy(name).expect("it was routed"));
        for ours in [ours, priced] {
            assert!(ours.optimal_share >= 0.8 && ours.barred_rate == 0.0, "{report}");
        }
        for rule in ["nearest", "nearest_full", "most_lines"] {
            let rule = report.policy(rule).expect("it was routed");
            assert!(ours.cost_per_order < rule.cost_per_order, "{report}");
        }
    }
}
