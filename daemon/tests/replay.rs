//! The promise: `replay` routes orders as the daemon would, each way on a copy of the stock of its own, tells what differs
//! by what it costs, and changes nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn earmark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    for variable in ["EARMARK_ADDRESS", "EARMARK_TOKEN", "EARMARK_DATA_DIR"] {
        command.env_remove(variable);
    }
    command.args(arguments).output().expect("the binary can be run")
}

fn told(arguments: &[&str]) -> Value {
    let output = earmark(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("it can be written");
    path.to_string_lossy().into_owned()
}

/// Two nodes, the near one with stock for one order alone; two orders of the same.
fn shop(dir: &Path) -> String {
    write(
        dir,
        "nodes.csv",
        "code,kind,lat,lon,time_zone\nNEAR,store,41.9,-87.6,America/Chicago\nFAR,dc,34.0,-118.2,America/Chicago\n",
    );
    write(dir, "skus.csv", "code\nMUG\n");
    write(dir, "stock.csv", "sku,node,on_hand\nMUG,NEAR,5\nMUG,FAR,50\n");
    write(
        dir,
        "orders.csv",
        "order,sku,quantity,lat,lon,value,at\nA,MUG,3,41.8,-87.7,90,2026-11-27T12:00:00Z\n\
         B,MUG,3,41.8,-87.7,10,2026-11-28T12:00:00Z\n",
    );
    dir.to_string_lossy().into_owned()
}

fn nodes(report: &Value) -> Vec<(String, Value, Value)> {
    let differences = report["differences"].as_array().expect("a list").iter();
    let of = |difference: &Value| {
        let order = difference["order"].as_str().expect("a code").to_owned();
        (order, difference["nodes"][0].clone(), difference["nodes"][1].clone())
    };
    differences.map(of).collect()
}

#[test]
fn two_policies_are_compared_on_stock_that_each_uses_up_for_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    // Weekends protect the store: B is placed on a Saturday.
    let weekend = "name = \"weekend\"\n[[rule]]\nname = \"stores\"\nwhen = 'time.weekday >= 6'\nexclude = 'node.kind == \"store\"'\n";
    let weekend = write(dir.path(), "weekend.toml", weekend);
    let dc = "name = \"dc\"\n[[rule]]\nname = \"dc\"\nrequire = 'node.kind == \"dc\"'\n";
    let dc = write(dir.path(), "dc.toml", dc);

    // Without a policy A takes the near stock and B finds too little of it: both ways alike.
    let report = told(&["replay", "--data", &data, "--policy", &weekend, "--json"]);
    assert_eq!((&report["orders"], &report["differing"]), (&json!(2), &json!(0)));
    assert_eq!(report["ways"][0]["name"], "no policy");

    let report = told(&["replay", "--data", &data, "--policy", &weekend, "--policy", &dc, "--json"]);
    assert_eq!(nodes(&report), [("A".to_owned(), json!(["NEAR"]), json!(["FAR"]))]);
    let [near, far] = [0, 1].map(|way: usize| &report["ways"][way]);
    assert_eq!(
        (&near["served"], &near["nodes"][1]["units"], &near["shipments"]),
        (&json!(2), &json!(3), &json!(2))
    );
    assert_eq!((&far["nodes"].as_array().map(Vec::len), &far["nodes"][0]["units"]), (&Some(1), &json!(6)));
    // 1,743 miles, and 3 units of 0.000541 a mile: what the difference says is what the sums say.
    let amount = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok()).expect("an amount");
    let dearer = amount(&report["dearer"]);
    assert!((amount(&far["cost"]) - amount(&near["cost"]) - dearer).abs() < 1e-9 && dearer > 2.5, "{report}");
    assert_eq!(report["differences"][0]["dearer"], report["dearer"]);
}

#[test]
fn orders_are_routed_in_the_order_in_which_they_were_placed() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    let orders = write(
        dir.path(),
        "late_first.csv",
        "order,sku,quantity,lat,lon,at\nB,MUG,1,41.8,-87.7,2026-11-28T12:00:00Z\nA,MUG,1,41.8,-87.7,2026-11-27T12:00:00Z\n",
    );
    // In force from the hour after A.
    let far = "name = \"far\"\nactive_from = \"2026-11-27T13:00:00Z\"\n[[rule]]\nname = \"far\"\nexclude = 'node.code == \"NEAR\"'\n";
    let far = write(dir.path(), "far.toml", far);
    let report = told(&["replay", "--data", &data, "--orders", &orders, "--policy", &far, "--json"]);
    assert_eq!(nodes(&report), [("B".to_owned(), json!(["NEAR"]), json!(["FAR"]))], "{report}");
}

#[test]
fn an_order_that_only_one_way_serves_is_told_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    let far = "name = \"near\"\n[[rule]]\nname = \"near\"\nrequire = 'node.code == \"NEAR\"'\n";
    let near = write(dir.path(), "near.toml", far);
    let report = told(&["replay", "--data", &data, "--policy", &near, "--json"]);
    assert_eq!(nodes(&report), [("B".to_owned(), json!(["FAR"]), json!([]))]);
    let difference = &report["differences"][0];
    assert_eq!((&difference["units"], &difference["dearer"]), (&json!([3, 0]), &Value::Null));
    assert_eq!(difference["refused"], json!([null, "OutOfStock"]));
    assert_eq!(report["ways"][1]["refused"], json!({ "OutOfStock": 1 }));
    // With what there is, B gets the two units left.
    let report = told(&["replay", "--data", &data, "--policy", &near, "--best-effort", "--json"]);
    assert_eq!(report["differences"][0]["units"], json!([3, 2]));
    assert_eq!(report["ways"][1]["units_unfilled"], 1);
}

#[test]
fn decisions_of_another_system_are_priced_and_use_up_the_stock() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    let decided =
        |name: &str, rows: &str| write(dir.path(), name, &format!("order,line,node,quantity\n{rows}"));
    // A from afar: so B finds the near stock untouched, and the daemon would take it.
    let decisions = decided("far.csv", "A,0,FAR,3\nB,0,NEAR,3\n");
    let report = told(&["replay", "--data", &data, "--decisions", &decisions, "--json"]);
    let agreement = &report["agreement"];
    assert_eq!(
        (&agreement["decided"], &agreement["agree"], &agreement["share"]),
        (&json!(2), &json!(1), &json!(0.5))
    );
    assert_eq!(nodes(&report), [("A".to_owned(), json!(["NEAR"]), json!(["FAR"]))]);
    assert!(report["dearer"].as_str().is_some_and(|dearer| dearer.starts_with("2.")), "{report}");
    assert_eq!(report["ways"][1]["proven_rate"], Value::Null);

    // Seven units from where five are: the second decision cannot be had.
    let decisions = decided("near.csv", "A,0,NEAR,3\nB,0,NEAR,3\n");
    let report = told(&["replay", "--data", &data, "--decisions", &decisions, "--json"]);
    assert_eq!((&report["agreement"]["agree"], &report["agreement"]["not_there"]), (&json!(1), &json!(1)));

    // Under a policy, what breaks it is told; orders that were not decided are left out.
    let dc = write(
        dir.path(),
        "dc.toml",
        "name = \"dc\"\n[[rule]]\nname = \"dc\"\nrequire = 'node.kind == \"dc\"'\n",
    );
    let decisions = decided("one.csv", "A,0,NEAR,3\n");
    let report = told(&["replay", "--data", &data, "--decisions", &decisions, "--policy", &dc, "--json"]);
    assert_eq!((&report["orders"], &report["agreement"]["barred"]), (&json!(1), &json!(1)));
    assert_eq!(report["differences"][0]["barred"], json!(["NEAR"]));

    let bad = decided("bad.csv", "A,7,NEAR,3\nA,0,MOON,1\nA,0,NEAR,9\nZ,0,NEAR,1\n");
    let output = earmark(&["replay", "--data", &data, "--decisions", &bad]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    for row in [
        "bad.csv:2, column line",
        "bad.csv:3, column node",
        "bad.csv:4, column quantity",
        "bad.csv:5, column order",
    ] {
        assert!(text.contains(row), "{row} in {text}");
    }
}

#[test]
fn a_policy_with_a_mistake_is_told_before_anything_is_routed() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    let good = write(dir.path(), "good.toml", "name = \"good\"\n");
    let bad = write(dir.path(), "bad.toml", "name = \"bad\"\nsplit_when = 'order.vlaue > 3'\n");
    for policies in [["--policy", &bad, "--policy", &good], ["--policy", &good, "--policy", &bad]] {
        let output = earmark(&[&["replay", "--data", &data][..], &policies].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("bad.toml:2:"), "{output:?}");
    }
}

#[test]
fn a_demo_written_as_data_files_is_replayed_like_any_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let files: PathBuf = dir.path().join("files");
    let data = files.to_string_lossy().into_owned();
    let written = told(&["demo", "--count", "40", "--files", &data, "--json"]);
    assert_eq!(told(&["check", &data, "--json"])["orders"], written["written"]["orders"]);
    let same = write(dir.path(), "same.toml", "name = \"same\"\n");
    let report = told(&["replay", "--data", &data, "--policy", &same, "--json"]);
    assert_eq!((&report["orders"], &report["differing"]), (&json!(40), &json!(0)));
    assert_eq!(report["ways"][0]["served"], 40);
}

#[test]
fn kits_are_routed_and_compared_as_their_components() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    write(dir.path(), "skus.csv", "code\nMUG\nPOT\nSET\n");
    write(dir.path(), "stock.csv", "sku,node,on_hand\nMUG,NEAR,5\nMUG,FAR,50\nPOT,NEAR,50\nPOT,FAR,50\n");
    write(dir.path(), "kits.csv", "kit,sku,quantity\nSET,POT,1\nSET,MUG,2\n");
    write(
        dir.path(),
        "orders.csv",
        "order,sku,quantity,lat,lon,at\nA,SET,2,41.8,-87.7,2026-11-27T12:00:00Z\nB,SET,2,41.8,-87.7,2026-11-27T13:00:00Z\n",
    );
    let near = "name = \"near\"\n[[rule]]\nname = \"near\"\nrequire = 'node.code == \"NEAR\"'\n";
    let near = write(dir.path(), "near.toml", near);
    // Near there is one mug left for B, and a kit takes two.
    let report = told(&["replay", "--data", &data, "--policy", &near, "--json"]);
    assert_eq!(nodes(&report), [("B".to_owned(), json!(["FAR"]), json!([]))]);
    assert_eq!(report["differences"][0]["units"], json!([6, 0]));
    assert_eq!(report["ways"][1]["refused"], json!({ "OutOfStock": 1 }));

    // A decision names the kit's line, and takes all of its components.
    let decided =
        |name: &str, rows: &str| write(dir.path(), name, &format!("order,line,node,quantity\n{rows}"));
    let decisions = decided("near.csv", "A,0,NEAR,2\nB,0,NEAR,2\n");
    let report = told(&["replay", "--data", &data, "--decisions", &decisions, "--json"]);
    let agreement = &report["agreement"];
    assert_eq!((&agreement["agree"], &agreement["not_there"]), (&json!(1), &json!(1)));
    assert_eq!(nodes(&report), [("B".to_owned(), json!(["FAR"]), json!(["NEAR"]))]);
}

#[test]
fn orders_wait_for_supply_and_what_waits_is_told_apart_from_what_ships() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    write(dir.path(), "supplies.csv", "supply,sku,node,quantity,day\nPO-1,MUG,NEAR,20,2026-11-30\n");
    let orders = "order,sku,quantity,lat,lon,at\nA,MUG,60,41.8,-87.7,2026-11-27T12:00:00Z\n";
    let orders = write(dir.path(), "large.csv", orders);
    let patient = "name = \"patient\"\nunfillable = \"backorder\"\nbackorder_days = 5\n";
    let patient = write(dir.path(), "patient.toml", patient);
    let report = told(&["replay", "--data", &data, "--orders", &orders, "--policy", &patient, "--json"]);
    let [usual, waits] = [0, 1].map(|way: usize| &report["ways"][way]);
    assert_eq!((&usual["served"], &usual["refused"]["OutOfStock"]), (&json!(0), &json!(1)));
    let units = ["units", "units_waiting", "units_unfilled"].map(|name| waits[name].clone());
    assert_eq!(units, [json!(55), json!(5), json!(0)]);
}

#[test]
fn orders_are_refused_as_the_daemon_would_refuse_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = shop(dir.path());
    write(dir.path(), "skus.csv", "code\nMUG\nSET\n");
    write(dir.path(), "kits.csv", "kit,sku,quantity\nSET,MUG,2\n");
    let same = write(dir.path(), "same.toml", "name = \"same\"\n");
    for (name, rows) in [
        ("UnknownSeller", "A,MUG,1,nobody,,41.8,-87.7\n"),
        ("QuantityTooLarge", "A,MUG,1073741824,,,41.8,-87.7\nA,MUG,1073741824,,,,\n"),
        ("SkuIsKit", "A,SET,1,,yes,41.8,-87.7\n"),
    ] {
        let orders = write(
            dir.path(),
            "refused.csv",
            &format!("order,sku,quantity,seller,substitutable,lat,lon\n{rows}"),
        );
        let report = told(&["replay", "--data", &data, "--orders", &orders, "--policy", &same, "--json"]);
        for way in 0..2 {
            assert_eq!(report["ways"][way]["refused"], json!({ name: 1 }), "{report}");
        }
    }
}
