//! The promise: `earmark demo` sends orders through the real client, counts for itself, and says so in one object;
//! with files it does the same on those.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    command.args(["demo", "--json"]).args(arguments).output().expect("the binary can be run")
}

#[track_caller]
fn report(output: &Output) -> Value {
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{errors}");
    assert!(errors.is_empty(), "no progress bar and no log: {errors}");
    serde_json::from_str(&told).expect("one object")
}

/// What must hold after every run.
#[track_caller]
fn holds(report: &Value) {
    for (field, value) in
        [("oversold_cells", 0), ("oversold_units", 0), ("plans_mispriced", 0), ("surprises", 0)]
    {
        assert_eq!(report[field], value, "{field}: {report}");
    }
    assert_eq!(
        (&report["accounts_agree"], &report["digest_agrees"]),
        (&true.into(), &true.into()),
        "{report}"
    );
    let (fill, bound) = (number(report, "fill_rate"), number(report, "fill_rate_bound_with_returns"));
    assert!(fill <= bound + 1e-12, "more was filled than there was: {report}");
    assert!(fill >= number(report, "fill_rate_bound") - 0.01, "less was filled than there was: {report}");
}

#[track_caller]
fn number(report: &Value, field: &str) -> f64 {
    report[field].as_f64().unwrap_or_else(|| panic!("{field} is no number: {report}"))
}

/// Orders, nodes, places and cancellations as the real files lay them out, few and small.
fn write_files(directory: &Path) -> [String; 4] {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut nodes = String::from("id,type,lat,lon,state\n");
    for index in 0..40 {
        let kind = ["fc", "dc", "supercenter", "store"][(index % 8).min(3)];
        let (lat, lon) = (30.0 + rng.f64() * 15.0, -120.0 + rng.f64() * 45.0);
        let _ = writeln!(nodes, "N{index},{kind},{lat:.4},{lon:.4},XX");
    }
    let mut places = String::from("zip,lat,lon,state\n");
    for zip in 10_000..10_050 {
        let _ = writeln!(places, "{zip},{:.4},{:.4},XX", 30.0 + rng.f64() * 15.0, -120.0 + rng.f64() * 45.0);
    }
    let mut orders = String::from("order_id,ts,customer,country,us_zip,sku,qty,unit_price\n");
    let mut cancellations = String::from("cancel_id,ts,customer,sku,qty\n");
    for order in 0..400 {
        let (at, customer, zip) = (1_000 + order * 10, rng.u32(1..60), rng.u32(10_000..10_050));
        let mut skus: Vec<u32> = (0..120).collect();
        rng.shuffle(&mut skus);
        let lines = if order == 7 { 110 } else { rng.usize(1..12) };
        for sku in &skus[..lines] {
            let units = rng.u32(1..30);
            let _ = writeln!(orders, "{order},{at},{customer},UK,{zip},S{sku},{units},1.0");
            if rng.u32(0..10) == 0 {
                let _ =
                    writeln!(cancellations, "C{order},{},{customer},S{sku},-{}", at + 45, rng.u32(1..=units));
            }
        }
    }
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("it can be written to");
        path.to_string_lossy().into_owned()
    };
    [
        file("orders.csv", &orders),
        file("nodes.csv", &nodes),
        file("places.csv", &places),
        file("cancellations.csv", &cancellations),
    ]
}

#[test]
fn a_generated_demo_reserves_what_the_stock_allows_and_sells_nothing_twice() {
    let report = report(&demo(&["--count", "400", "--seed", "3"]));
    holds(&report);
    for field in [
        "orders",
        "lines",
        "reserved_orders",
        "refused_orders",
        "units_wanted",
        "units_reserved",
        "fill_rate",
        "fill_rate_bound",
        "oversold_cells",
        "split_rate",
        "forced_split_rate",
        "cost_per_order",
        "nearest_cost_per_order",
        "orders_per_s",
        "reserve_p50_us",
        "reserve_p99_us",
        "reserve_p999_us",
        "quote_p50_us",
    ] {
        assert!(number(&report, field) >= 0.0);
    }
    assert_eq!(
        (&report["orders"], &report["nodes"], &report["skus"]),
        (&400.into(), &60.into(), &3_000.into())
    );
    for ended in ["confirmed_orders", "released_orders", "holds_expired"] {
        assert!(number(&report, ended) > 0.0, "{ended}");
    }
    assert!(number(&report, "split_rate") >= number(&report, "forced_split_rate"));
    assert!(number(&report, "cost_per_order") < number(&report, "nearest_cost_per_order"));
}

#[test]
fn scarce_stock_is_sold_to_the_last_unit_and_no_further() {
    let report = report(&demo(&["--count", "300", "--slack", "0.4", "--carry", "0.2", "--in-flight", "64"]));
    holds(&report);
    assert!(number(&report, "fill_rate_bound") < 0.45);
}

#[test]
fn real_files_run_with_their_cancellations_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let [orders, nodes, places, cancellations] = write_files(directory.path());
    let files = ["--orders", &orders, "--nodes", &nodes, "--places", &places];
    let report = report(&demo(&[&files, ["--cancellations", &cancellations].as_slice()].concat()));
    holds(&report);
    assert_eq!(
        (&report["orders"], &report["lines_max"], &report["nodes"]),
        (&400.into(), &110.into(), &40.into())
    );
    assert!(number(&report, "cancellations_matched") > 100.0, "{report}");
    assert!(number(&report, "units_given_back") > 0.0);
    assert_eq!(report["holds_expired"], 0);
}

#[test]
fn plain_holds_take_exactly_the_lesser_of_stock_and_demand_of_every_cell() {
    let directory = tempfile::tempdir().unwrap();
    let [orders, nodes, places, _] = write_files(directory.path());
    let files = ["--orders", &orders, "--nodes", &nodes, "--places", &places];
    let report = report(&demo(
        &[&files, ["--slack", "0.5", "--plain-holds", "--in-flight", "200"].as_slice()].concat(),
    ));
    holds(&report);
    assert_eq!((&report["mode"], &report["cells_not_exact"]), (&"plain_holds".into(), &0.into()));
    assert_eq!(report["fill_rate"], report["fill_rate_bound"]);
}

#[test]
fn bad_files_are_refused_row_by_row() {
    let directory = tempfile::tempdir().unwrap();
    let [orders, nodes, places, _] = write_files(directory.path());
    std::fs::write(&places, "zip,lat,lon,state\n10000,95,0,XX\n").unwrap();
    let output = demo(&["--orders", &orders, "--nodes", &nodes, "--places", &places]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &told["bad_rows"][0];
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&"places.csv".into(), &2.into(), &"lat".into())
    );
}

/// `docs/demo.md` has a row for every field of the report, and for no other.
#[test]
fn the_document_describes_every_field_of_the_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/demo.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = page.split("## The report").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.flat_map(|row| row.split(" |").next().unwrap_or_default().split(", "));
    let mut written: Vec<_> = names.map(|name| name.trim_matches('`').to_owned()).collect();
    let report = serde_json::to_value(earmark::demo::report::Report::default()).unwrap();
    let mut known: Vec<_> = report.as_object().unwrap().keys().cloned().collect();
    written.sort_unstable();
    known.sort_unstable();
    assert_eq!(written, known);
}
