//! The promise: exit codes are 0 done, 1 refused, 2 wrong usage, 3 unreachable, and with `--json` every ending is one
//! object on standard output. This file holds what needs no daemon.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn earmark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    for variable in ["EARMARK_ADDRESS", "EARMARK_TOKEN", "EARMARK_DATA_DIR"] {
        command.env_remove(variable);
    }
    command.args(arguments).output().expect("the binary can be run")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn object(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "one line of one object: {text:?}");
    serde_json::from_str(text).expect("JSON")
}

fn example_store() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/store")
}

#[test]
fn a_good_directory_is_done_and_a_bad_one_is_refused_with_its_rows() {
    let good = earmark(&["check", &example_store().to_string_lossy(), "--json"]);
    assert_eq!(code(&good), 0);
    assert_eq!(object(&good)["nodes"], 7);

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("skus.csv"), "code,weight_g\nA,heavy\nB,1\nB,2\n").unwrap();
    let path = dir.path().to_string_lossy();
    let bad = earmark(&["check", &path]);
    assert_eq!(code(&bad), 1);
    let told = String::from_utf8(bad.stderr).unwrap();
    assert!(told.contains("skus.csv:2, column weight_g: \"heavy\""), "{told}");
    assert!(told.contains("skus.csv:4, column code: \"B\" stands in line 3 already"), "{told}");
    let bad = earmark(&["--json", "check", &path, "--bad-rows-max", "1"]);
    assert_eq!(code(&bad), 1);
    let told = object(&bad);
    assert_eq!(
        (told["bad_rows_total"].as_u64(), told["bad_rows"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    assert_eq!(told["bad_rows"][0]["line"], 2);
}

#[test]
fn a_good_policy_is_done_and_a_bad_one_is_refused_with_its_places() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let good = write("good.toml", "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = 'node.cold'\n");
    let told = earmark(&["policy", "check", &good, "--json"]);
    assert_eq!((code(&told), &object(&told)["rules"]), (0, &Value::from(1)));

    let bad = write("bad.toml", "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = 'node.kind == \"shop\"'\n");
    let told = earmark(&["policy", "check", &bad]);
    assert_eq!(code(&told), 1);
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("bad.toml:4:25: node.kind is never \"shop\""), "{text}");
    let told = earmark(&["policy", "check", &bad, "--json"]);
    let finding = &object(&told)["findings"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&Value::from(4), &Value::from(25)));

    let idle = write("idle.toml", "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = 'time.hour > 23'\n");
    let told = earmark(&["policy", "check", &idle]);
    assert_eq!(code(&told), 1);
    assert!(
        String::from_utf8(told.stderr).unwrap().contains("idle.toml:4:11: warning: \"b\" can never match")
    );
}

#[test]
fn a_wrong_command_line_is_wrong_usage() {
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().to_string_lossy();
    for arguments in [
        vec!["sell"],
        vec!["check"],
        vec!["check", "/no/such/directory"],
        vec!["policy", "check", "/no/such/file"],
        vec!["reserve", "MUG:0", "--to", "41.8,-87.6"],
        vec!["reserve", "MUG"],
        vec!["reserve", "MUG@CHI", "TEAPOT", "--data-dir", &nowhere],
        vec!["reserve", "MUG@CHI", "--to", "41.8,-87.6"],
        vec!["reserve", "--to", "41.8,-87.6"],
        vec!["reserve", "MUG", "--to", "120,0"],
        vec!["reserve", "MUG", "--to", "41.8,-87.6", "--lifetime", "soon"],
        vec!["confirm", "not-an-id"],
        vec!["stock", "set", "MUG:3"],
        vec!["stock", "set", "MUG@CHI:many", "--data-dir", &nowhere],
        vec!["demo", "--carry", "2"],
        vec!["demo", "--orders", "orders.csv"],
        vec!["serve", "--no-such-setting", "1"],
        vec!["serve", "--server.listen", "here"],
        // No certificate lies there.
        vec!["atp", "MUG", "--data-dir", &nowhere],
        // Neither log nor image.
        vec!["log", "check", &nowhere],
        vec!["log", "dump", &nowhere],
        vec!["log", "dump", "/no/such/directory"],
        vec!["snapshot", "inspect", &nowhere],
        vec!["snapshot", "inspect", "/no/such/image"],
        vec!["snapshot", "--data-dir", &nowhere, "inspect", &nowhere],
    ] {
        let output = earmark(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
        assert!(output.stdout.is_empty(), "{arguments:?} prints its fault to standard output");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = earmark::config::Config::default();
    config.durability.mode = earmark::config::DurabilityMode::Memory;
    config.durability.directory = Some(dir.path().to_owned());
    earmark::security::Security::open(&config).unwrap();
    // A port that was free a moment ago, and nobody serves.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (address, data) = (format!("127.0.0.1:{port}"), dir.path().to_string_lossy());
    let connection = ["--address", &address, "--data-dir", &data, "--deadline-ms", "300"];
    let told = earmark(&[&["stats"], connection.as_slice()].concat());
    assert_eq!(code(&told), 3);
    assert!(String::from_utf8(told.stderr).unwrap().contains(&address));
    let told = earmark(&[&["--json", "node", "list"], connection.as_slice()].concat());
    assert_eq!(code(&told), 3);
    assert_eq!(object(&told)["kind"], "unreachable");
}

#[test]
fn completions_and_settings_can_be_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let output = earmark(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(String::from_utf8(output.stdout).unwrap().contains("reserve"));
    }
    let output = earmark(&["serve", "--print-config"]);
    assert_eq!(code(&output), 0);
    assert!(String::from_utf8(output.stdout).unwrap().contains("[durability]"));
}
