//! The promise: the load generator and the daemon understand each other in every workload, and an account that the load
//! generator kept of its answers is found true, also after the daemon was killed.

use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};

use serde_json::Value;

/// The binary `earmark serve` on a directory of its own.
struct Served {
    daemon: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Served {
    fn start(mode: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("there is a free port");
        let daemon = serve(&directory, address, mode);
        let served = Self { daemon, directory, address };
        served.stats();
        served
    }

    /// kill -9, and a start on the same directory.
    fn restart(&mut self, mode: &str) {
        self.daemon.kill().expect("it runs");
        self.daemon.wait().expect("it ends");
        self.daemon = serve(&self.directory, self.address, mode);
    }

    /// Its counters, once it answers; each try waits for a connection itself.
    fn stats(&self) -> Value {
        for _ in 0..1_000 {
            let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
            command.args(["--json", "stats", "--address", &self.address.to_string()]).arg("--data-dir");
            let output = command.arg(self.data()).output().expect("the binary can be run");
            // Before the daemon has written its certificate there is nothing to connect with.
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).expect("it answers with one object");
            }
            std::thread::yield_now();
        }
        panic!("the daemon at {} does not answer", self.address);
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn loadgen(&self, arguments: &[&str]) -> ExitCode {
        earmark_loadgen::command_line(self.arguments(arguments))
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["earmark-loadgen".into()];
        all.extend(arguments.iter().map(OsString::from));
        all.extend([
            "--address".into(),
            self.address.to_string().into(),
            "--data-dir".into(),
            self.data().into(),
        ]);
        all
    }

    /// Runs a load that must end well, and gives its result.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Value {
        let out = self.directory.path().join("result.json");
        // Recorded orders come one by one, from the first.
        let short: &[_] = if arguments[0] == "replay" { &[] } else { &["--batch", "4", "--warmup", "0.1"] };
        let small = ["--pipes", "2", "--seconds", "0.3", "--quiet", "--out"];
        let arguments =
            [&["run"], arguments, short, &small, &[out.to_str().expect("a path of ours")]].concat();
        assert_eq!(self.loadgen(&arguments), ExitCode::SUCCESS, "{arguments:?}");
        let json = std::fs::read(out).expect("the result was kept");
        serde_json::from_slice(&json).expect("it is JSON")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn serve(directory: &tempfile::TempDir, address: SocketAddr, mode: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    command.args(["serve", "--server.listen", &address.to_string(), "--log.level", "error"]);
    command.args(["--durability.mode", mode, "--durability.segment_bytes", "16777216"]);
    command.args(["--server.unix_socket", "daemon.sock", "--data-dir", "data"]);
    command.current_dir(directory.path()).spawn().expect("the binary can be run")
}

#[test]
fn every_workload_is_answered_in_full() {
    let served = Served::start("memory");
    let stock = ["generate", "--skus", "200", "--nodes", "10", "--nodes-per-sku", "4", "--units", "10000000"];
    assert_eq!(served.loadgen(&stock), ExitCode::SUCCESS);
    let socket = served.directory.path().join("daemon.sock");
    let unix = ["hold", "--in-flight", "64", "--unix", socket.to_str().expect("a path of ours")];
    let orders = served.directory.path().join("orders.csv");
    let rows = "order_id,ts,sku,qty\nA,0,cup,2\nA,0,pen,1\nB,100,pen,3\nC,200,cup,1\n";
    std::fs::write(&orders, rows).expect("the directory is ours");
    let replay = ["replay", "--orders", orders.to_str().expect("a path of ours"), "--speed", "1000"];
    for load in [
        &["hold", "--in-flight", "64"][..],
        &unix,
        &["hold", "--rate", "500,1000"],
        &["cart", "--in-flight", "8"],
        &["quote", "--in-flight", "8"],
        &["atp", "--in-flight", "16", "--checks-per-order", "5"],
        &["peak-day", "--rate", "100", "--lines-max", "3"],
        &replay,
    ] {
        let result = served.run(load);
        let count = |name: &str| result[name].as_u64().unwrap_or_else(|| panic!("{name} of {load:?}"));
        assert!(count("sent") > 0, "{load:?} sent nothing");
        assert_eq!(count("answered"), count("sent"), "{load:?}");
        assert_eq!((count("refused"), count("errors")), (0, 0), "{load:?}: {}", result["refusals"]);
    }
    assert_eq!(served.run(&replay)["steps"]["reserve"]["answered"], 3);
}

#[test]
fn a_flash_sale_sells_what_there_is_and_no_unit_more() {
    let served = Served::start("memory");
    assert_eq!(served.loadgen(&["generate", "--skus", "1", "--nodes", "1"]), ExitCode::SUCCESS);
    for how in [&["flash-sale", "--units", "50"][..], &["flash-sale", "--units", "50", "--routed"]] {
        let sale = &served.run(&[how, &["--in-flight", "64"]].concat())["sale"];
        assert_eq!((&sale["sold"], &sale["promised"]), (&Value::from(50), &Value::from(50)), "{how:?}");
    }
}

#[test]
fn an_account_is_found_true_after_a_kill() {
    let mut served = Served::start("sync");
    assert_eq!(served.loadgen(&["generate", "--skus", "1", "--nodes", "1"]), ExitCode::SUCCESS);
    let verify = ["verify", "--pipes", "2", "--batch", "4", "--in-flight", "32", "--warmup", "0", "--quiet"];
    let times = ["--seconds", "1", "--rounds", "2", "--expect-restarts-within-ms", "20000"];
    let arguments = served.arguments(&[&verify[..], &times].concat());
    let before = lsn(&served);
    let verifying = std::thread::spawn(move || earmark_loadgen::command_line(arguments));
    for _ in 0..1_000 {
        // More than the stock that is prepared: the load is on.
        if lsn(&served) > before + 200 {
            break;
        }
    }
    served.restart("sync");
    assert_eq!(verifying.join().expect("it does not panic"), ExitCode::SUCCESS);
}

#[test]
fn an_account_is_kept_where_nothing_else_has_stock() {
    let served = Served::start("memory");
    let verify = ["verify", "--pipes", "1", "--seconds", "0.2", "--warmup", "0", "--rounds", "1", "--quiet"];
    assert_eq!(served.loadgen(&verify), ExitCode::from(1), "it has no node");
    let data = served.directory.path().join("nodes");
    std::fs::create_dir(&data).expect("it is new");
    let node = "code,kind,lat,lon,time_zone\nDC,dc,41.9,-87.6,America/Chicago\n";
    std::fs::write(data.join("nodes.csv"), node).expect("it can be written");
    let mut import = Command::new(env!("CARGO_BIN_EXE_earmark"));
    import.arg("import").arg(&data).args(["--address", &served.address.to_string(), "--data-dir"]);
    assert!(import.arg(served.data()).status().expect("the binary can be run").success());
    assert_eq!(served.loadgen(&verify), ExitCode::SUCCESS);
}

#[test]
fn a_load_that_loses_its_daemon_keeps_what_it_measured() {
    let mut served = Served::start("memory");
    assert_eq!(served.loadgen(&["generate", "--skus", "1", "--nodes", "1"]), ExitCode::SUCCESS);
    let out = served.directory.path().join("lost.json");
    let load =
        ["run", "hold", "--pipes", "2", "--rate", "500", "--batch", "1", "--seconds", "3", "--warmup", "0"];
    let arguments =
        served.arguments(&[&load[..], &["--quiet", "--out", out.to_str().expect("ours")]].concat());
    let before = lsn(&served);
    let running = std::thread::spawn(move || earmark_loadgen::command_line(arguments));
    for _ in 0..1_000 {
        if lsn(&served) > before + 100 {
            break;
        }
    }
    served.daemon.kill().expect("it runs");
    assert_eq!(running.join().expect("it does not panic"), ExitCode::from(1));
    let result: Value =
        serde_json::from_slice(&std::fs::read(out).expect("it was kept")).expect("it is JSON");
    assert!(result["answered"].as_u64() > Some(0) && result["errors"].as_u64() > Some(0), "{result}");
    assert!(!result["pipes_lost"].as_array().expect("a list").is_empty(), "{result}");
}

#[test]
fn a_load_that_cannot_begin_leaves_no_result_and_no_connection() {
    let served = Served::start("memory");
    let out = served.directory.path().join("none.json");
    let load = ["run", "hold", "--quiet", "--out", out.to_str().expect("a path of ours")];
    // Nothing has stock.
    assert_eq!(served.loadgen(&load), ExitCode::from(1));
    assert!(!out.exists());
    assert_eq!(served.stats()["stats"]["connections"], 1, "the one that asks");
}

#[test]
fn a_token_that_the_daemon_does_not_know_is_a_refusal_as_it_is_of_the_command_line() {
    let served = Served::start("memory");
    let file = served.directory.path().join("other.token");
    std::fs::write(&file, "nobody's").expect("the directory is ours");
    let token = ["--token-file", file.to_str().expect("a path of ours")];
    let stats = served.arguments(&[&["stats"][..], &token].concat());
    let asked = Command::new(env!("CARGO_BIN_EXE_earmark")).args(&stats[1..]).output();
    assert_eq!(asked.expect("the binary can be run").status.code(), Some(1));
    assert_eq!(served.loadgen(&[&["run", "--quiet"][..], &token].concat()), ExitCode::from(1));
}

fn lsn(served: &Served) -> u64 {
    served.stats()["stats"]["lsn"].as_u64().expect("the daemon counts")
}
