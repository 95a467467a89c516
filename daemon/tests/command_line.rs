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
fn a_check_says_which_rates_the_daemon_has_to_know() {
    let dir = tempfile::tempdir().unwrap();
    let services = "carrier,service,currency\nc,s,\nc,t,EUR\n";
    std::fs::write(dir.path().join("services.csv"), services).unwrap();
    let steps = "carrier,service,zone,miles_max,transit_days,up_to_g,price\nc,s,1,5000,1,1000,5\nc,t,1,5000,1,1000,4\n";
    std::fs::write(dir.path().join("tariffs.csv"), steps).unwrap();
    let told = earmark(&["check", &dir.path().to_string_lossy()]);
    let text = String::from_utf8(told.stdout.clone()).unwrap();
    assert_eq!(code(&told), 0, "{text}{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("services.csv:3: the daemon has to know a rate of currency \"EUR\""), "{text}");
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
    assert!(text.contains("bad.toml: 1 mistake, 0 warnings; correct them"), "{text}");
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
        vec!["serve", "--log.level", "info=loud"],
        vec!["serve", "--config", "/no/such/file"],
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
fn records_up_to_one_before_the_first_are_wrong_usage() {
    let output = earmark(&["log", "dump", "/no/such/directory", "--from", "5", "--to", "2"]);
    assert_eq!(code(&output), 2);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("records 5 to 2") && text.contains("--to"), "{text}");
}

#[test]
fn a_command_line_that_cannot_be_read_is_told_as_json_where_that_was_asked_for() {
    for arguments in [
        vec!["--json"],
        vec!["--json", "sell"],
        vec!["atp", "--json"],
        vec!["policy", "--json"],
        vec!["confirm", "not-an-id", "--json"],
        vec!["--json", "serve", "--no-such-setting", "1"],
        vec!["--json", "serve", "--config", "/no/such/file"],
    ] {
        let told = earmark(&arguments);
        assert_eq!(code(&told), 2, "{arguments:?}");
        let object = object(&told);
        assert_eq!(object["kind"], "usage", "{arguments:?}: {object}");
        assert!(!object["error"].as_str().unwrap().starts_with("error"), "{object}");
    }
    // What stands behind -- is no flag.
    assert!(earmark(&["sell", "--", "--json"]).stdout.is_empty());
    let help = earmark(&["atp", "--help", "--json"]);
    assert!(code(&help) == 0 && help.stdout.starts_with(b"Ask what can be promised"));
}

#[test]
fn a_reader_that_went_away_is_no_fault_and_an_answer_that_could_not_be_written_is() {
    for arguments in [vec!["completions", "bash"], vec!["serve", "--print-config"], vec!["atp", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
        let told = command.args(&arguments).stdout(writer).output().unwrap();
        assert_eq!((code(&told), told.stderr.as_slice()), (0, b"".as_slice()), "{arguments:?}");
    }
    for arguments in
        [vec!["completions", "bash"], vec!["check", &example_store().to_string_lossy(), "--json"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
        let told = command.args(&arguments).stdout(full).output().unwrap();
        let text = String::from_utf8(told.stderr.clone()).unwrap();
        assert_eq!(code(&told), 3, "{arguments:?}: {text}");
        assert!(
            text.contains("writing the answer") && text.contains("No space left"),
            "{arguments:?}: {text}"
        );
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
fn a_variable_that_is_nearly_one_of_a_setting_is_warned_of() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    command.env("EARMARK_SEVER_LISTEN", "127.0.0.1:0").env("EARMARK_PORT", "tcp://10.0.0.1:7447");
    // A file is no directory for data: the start ends there.
    let output = command.arg("serve").arg("--data-dir").arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), 3, "{said}");
    let warns = |name: &str| said.lines().any(|line| line.contains("WARN") && line.contains(name));
    assert!(warns("EARMARK_SEVER_LISTEN") && said.contains("EARMARK_SERVER_LISTEN"), "{said}");
    assert!(!warns("EARMARK_PORT"), "{said}");
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
