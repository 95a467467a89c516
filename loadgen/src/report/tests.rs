//! Reports of made-up results.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::*;
use crate::outcome::{Figures, Point, Setup, curve};
use crate::process::Machine;

fn result(slow: u64) -> Outcome {
    let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    for us in 1..=10_000 {
        latency.record(us * slow * 1_000).unwrap();
    }
    let points = (1..=5).map(|second| Point {
        at_s: f64::from(second),
        rate_per_s: 2_000.0,
        refused_per_s: 0.0,
        p50_us: 5_000.0,
        p99_us: 9_900.0,
        max_us: 10_000.0,
    });
    Outcome {
        setup: Setup {
            version: "0".to_owned(),
            workload: "hold <one>".to_owned(),
            transport: "quic".to_owned(),
            rates_per_s: vec![2_000.0],
            in_flight: None,
            connections: 1,
            pipes: 1,
            batch: 1,
            threads: 1,
            warm_up_s: 0.0,
            seconds: 5.0,
            lifetime_ms: 1,
            skus: 1,
            cells: 1,
            seed: 1,
            machine: Machine::default(),
            client_cores: None,
            server_cores: None,
            server_command: None,
        },
        rate_per_s: 2_000.0,
        all: Figures { answered: 10_000, p99_us: 9_900.0 * slow as f64, ..Figures::default() },
        pipes_lost: Vec::new(),
        client_cpu_s: 1.0,
        client_rss_bytes: 1,
        server_cpu_s: None,
        server_rss_bytes: None,
        steps: BTreeMap::new(),
        latency: curve(&latency),
        series: points.collect(),
        sale: None,
        daemon: BTreeMap::new(),
    }
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let (one, two) = (result(1), result(2));
    let html = page(&Page::of(&[("A", &one), ("B", &two)]));
    for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "the page names {outside}");
    }
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(html.contains("hold &lt;one&gt;") && !html.contains("hold <one>"));
}

#[test]
fn a_result_is_read_back_as_it_was_kept() {
    let json = serde_json::to_string(&result(1)).unwrap();
    let (read, kept) = (serde_json::from_str::<Outcome>(&json).unwrap(), result(1));
    // Reading JSON may change the last digit of a fraction.
    assert_eq!((&read.setup, &read.all, &read.series), (&kept.setup, &kept.all, &kept.series));
    assert_eq!(read.latency.len(), kept.latency.len());
}

#[test]
fn percentiles_rise_to_all_requests_and_their_slowest() {
    let outcome = result(1);
    let text = hgrm(&outcome);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<f64>>())
        .filter(|row| row.len() >= 3)
        .collect();
    assert!(rows.is_sorted_by(|one, next| one[0] <= next[0] && one[1] <= next[1] && one[2] <= next[2]));
    let last = rows.last().unwrap();
    assert!(last[1] == 1.0 && last[2] == 10_000.0 && (last[0] - 10.0).abs() < 0.02, "{last:?}");
}

#[test]
fn a_comparison_says_by_how_much_the_other_differs() {
    let (text, json) = compare(&result(1), &result(2));
    assert_eq!(json["p99_us"]["ratio"], 2.0);
    assert!(text.contains("p99_us"));
}

#[test]
fn files_that_cannot_be_written_are_told_before_a_result_is_there_for_them() {
    let kept = std::env::temp_dir().join(format!("earmark-loadgen-{}.json", std::process::id()));
    std::fs::write(&kept, "an older result").unwrap();
    can_be_written([&kept]).unwrap();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "an older result");
    std::fs::remove_file(&kept).unwrap();
    let nowhere = std::path::PathBuf::from("/no/such/directory/a.json");
    assert!(can_be_written([&kept, &nowhere]).unwrap_err().to_string().contains("/no/such/directory/a.json"));
    assert!(!kept.exists(), "no empty file is left behind");
}
