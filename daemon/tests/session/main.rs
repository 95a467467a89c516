//! The promise: the command line and a running daemon get an order from a directory of files to the customer's door,
//! and the README's session works as it is typed.

mod supply;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use serde_json::Value;

/// The binary `earmark serve`, and how to ask it.
struct Served {
    daemon: Child,
    directory: tempfile::TempDir,
    address: String,
}

impl Served {
    fn start() -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_earmark")), &[])
    }

    /// Starts it with no more than 64 file descriptors, and these flags.
    fn start_with_few_descriptors(flags: &[&str]) -> Self {
        Self::start_as(limited("-n 64"), flags)
    }

    fn start_as(mut command: Command, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("there is a free port").to_string();
        command.args(["serve", "--server.listen", &address, "--log.level", "error"]).args(flags);
        let daemon = command.current_dir(directory.path()).spawn().expect("the binary can be run");
        let served = Self { daemon, directory, address };
        served.wait();
        served
    }

    /// Waits until the daemon answers; each try waits for a connection itself.
    fn wait(&self) {
        for _ in 0..1_000 {
            // Before the daemon has written its certificate there is nothing to connect with.
            if self.earmark(&["stats"]).status.success() {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the daemon at {} does not answer", self.address);
    }

    fn environment(&self, command: &mut Command) {
        command.env("EARMARK_ADDRESS", &self.address);
        command.env("EARMARK_DATA_DIR", self.directory.path().join("earmark-data"));
        command.env_remove("EARMARK_TOKEN");
    }

    fn earmark(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
        self.environment(&mut command);
        command.args(arguments).current_dir(repository()).output().expect("the binary can be run")
    }

    /// Runs a command with `--json` that must end with this code, and gives its object.
    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.earmark(&[&["--json"], arguments].concat());
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        self.ends(0, arguments)
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: &str) -> Value {
        let object = self.ends(1, arguments);
        assert_eq!(object["refused"]["code"], code, "{arguments:?}: {object}");
        object
    }

    #[track_caller]
    fn available(&self, sku: &str, node: &str) -> i64 {
        let object = self.done(&["atp", sku, "--node", node]);
        object["skus"][0]["available"].as_i64().expect("a number")
    }
}

/// The binary, under a limit as `ulimit` takes it.
fn limited(limit: &str) -> Command {
    let mut shell = Command::new("sh");
    let run = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    shell.args(["-c", &run, env!("CARGO_BIN_EXE_earmark")]);
    shell
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

#[test]
fn what_is_on_its_way_is_asked_for_by_date_and_received() {
    let served = Served::start();
    let imported = served.done(&["import", "examples/store"]);
    assert_eq!(imported["imported"]["supplies"], 2);
    let inbound = |day: &str| {
        let answer = served.done(&["atp", "MUG-BLUE", "--node", "ST-CHI", "--by", day, "--per-node"]);
        let sku = &answer["skus"][0];
        assert_eq!(sku["cells"][0]["inbound"], sku["inbound"]);
        (sku["available"].as_i64().unwrap(), sku["inbound"].as_i64().unwrap())
    };
    assert_eq!((inbound("2030-03-03"), inbound("2030-03-04")), ((7, 0), (7, 24)));
    served.done(&["supply", "put", "PO-1001", "MUG-BLUE@ST-CHI:20", "--day", "2030-03-06"]);
    assert_eq!((inbound("2030-03-04"), inbound("2030-03-06")), ((7, 0), (7, 20)));
    let received = served.done(&["supply", "receive", "PO-1001", "MUG-BLUE@ST-CHI:12"]);
    assert_eq!(received["moved"], 12);
    assert_eq!(inbound("2030-03-06"), (19, 8));
    served.refused(&["supply", "receive", "PO-9", "MUG-BLUE@ST-CHI:1"], "UnknownSupply");
    let list =
        |arguments: &[&str]| served.done(&[&["supply", "list"], arguments].concat())["supplies"].clone();
    let left = list(&["MUG-BLUE"]);
    assert_eq!((&left[0]["supply"], &left[0]["units"]), (&"PO-1001".into(), &8.into()));
    assert_eq!(list(&[]).as_array().map(Vec::len), Some(2));
    served.done(&["supply", "receive", "PO-1001", "MUG-BLUE@ST-CHI:1", "--close"]);
    assert_eq!((inbound("2030-03-06"), list(&["MUG-BLUE"])), ((20, 0), serde_json::json!([])));
}

#[test]
fn a_kit_is_promised_held_and_shipped_as_its_components() {
    let served = Served::start();
    let imported = served.done(&["import", "examples/store"]);
    assert_eq!(imported["imported"]["kits"], 1);
    let kits = served.done(&["kit", "list"])["kits"].clone();
    assert_eq!((&kits[0]["kit"], &kits[0]["components"][1]["units"]), (&"TEA-SET".into(), &2.into()));
    let available = |sku: &str| served.done(&["atp", sku])["skus"][0]["available"].as_i64().unwrap();
    let before = ["TEA-SET", "TEAPOT", "MUG-BLUE"].map(available);
    assert_eq!(before[0], before[1].min(before[2] / 2));
    let reserved = served.done(&["reserve", "TEA-SET:2", "CANDLE:1", "--to", "41.85,-87.65"]);
    assert_eq!(["TEAPOT", "MUG-BLUE"].map(available), [before[1] - 2, before[2] - 4]);
    let id = id(&reserved);
    let shown = served.done(&["show", &id]);
    assert_eq!(shown["order"]["lines"][0]["sku"], "TEA-SET");
    assert_eq!(shown["rows"].as_array().map(Vec::len), Some(3));
    served.done(&["amend", &id, "0=1"]);
    assert_eq!(["TEAPOT", "MUG-BLUE"].map(available), [before[1] - 1, before[2] - 2]);
    served.done(&["amend", &id, "0=2"]);
    assert_eq!(["TEAPOT", "MUG-BLUE"].map(available), [before[1] - 2, before[2] - 4]);
    served.done(&["confirm", &id]);
    served.refused(&["dispatch", &id, "--line", "0:1"], "KitInParts");
    served.done(&["dispatch", &id, "--line", "0"]);
    served.done(&["ship", &id, "--line", "0"]);
    served.refused(&["reserve", "TEA-SET@DC-RNO:1"], "SkuIsKit");
    served.refused(&["stock", "set", "TEA-SET@DC-RNO:5"], "SkuIsKit");
    served.refused(&["kit", "put", "TEAPOT", "MUG-RED"], "SkuStocked");
    served.done(&["kit", "put", "TEA-SET", "TEAPOT", "MUG-RED:4"]);
    served.done(&["kit", "remove", "TEA-SET"]);
    assert_eq!(served.done(&["kit", "list"])["kits"], serde_json::json!([]));
    served.refused(&["reserve", "TEA-SET", "--to", "41.85,-87.65"], "OutOfStock");
}

#[test]
fn a_substitute_is_sent_where_order_and_policy_allow_it() {
    let served = Served::start();
    let imported = served.done(&["import", "examples/store"]);
    assert_eq!(imported["imported"]["substitutes"], 2);
    let listed = served.done(&["substitute", "list"])["substitutes"].clone();
    assert_eq!((&listed[0]["sku"], &listed[0]["substitutes"][0]), (&"MUG-BLUE".into(), &"MUG-RED".into()));
    served.done(&["stock", "set", "MUG-BLUE@DC-DAL:0"]);
    let order = ["MUG-BLUE:20", "CANDLE:1", "--to", "41.85,-87.65"];
    let allowing = [&order[..], &["--substitutable", "0"]].concat();
    served.refused(&[&["reserve"], &allowing[..]].concat(), "OutOfStock");

    let directory = tempfile::tempdir().expect("a directory");
    let policy = directory.path().join("instead.toml");
    std::fs::write(&policy, "name = \"instead\"\nunfillable = \"substitute\"\n").expect("it can be written");
    served.done(&["policy", "set", &policy.to_string_lossy()]);
    let shown = served.done(&["policy", "show"]);
    assert!(shown["policy"]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{shown}");
    served.refused(&[&["reserve"], &order[..]].concat(), "OutOfStock");
    served.refused(&["quote", "MUG-BLUE", "--to", "41.85,-87.65", "--substitutable", "7"], "UnknownLine");
    let instead = serde_json::json!([{ "line": 0, "ordered": "MUG-BLUE", "sent": "MUG-RED" }]);
    let quoted = served.done(&[&["quote"], &allowing[..]].concat());
    assert_eq!(quoted["plan"]["substituted"], instead);
    let reserved = served.done(&[&["reserve"], &allowing[..]].concat());
    assert_eq!(reserved["plan"]["substituted"], instead);
    let id = id(&reserved);
    let red = |served: &Served| served.done(&["atp", "MUG-RED"])["skus"][0]["available"].as_i64().unwrap();
    let left = red(&served);
    served.done(&["amend", &id, "0=15"]);
    assert_eq!(red(&served), left + 5);
    served.done(&["confirm", &id]);
    let shown = served.done(&["show", &id]);
    assert_eq!(
        (&shown["order"]["lines"][0]["sku"], &shown["plans"][0]["substituted"]),
        (&"MUG-BLUE".into(), &instead)
    );
    assert!(shown["rows"].as_array().unwrap().iter().all(|row| row["line"] != 0 || row["sku"] == "MUG-RED"));
    served.done(&["cancel", &id, "--line", "0"]);
    assert_eq!(red(&served), left + 20);
    served.done(&["substitute", "put", "MUG-BLUE", "CANDLE", "MUG-RED"]);
    served.refused(&["substitute", "put", "MUG-BLUE", "TEA-SET"], "SkuIsKit");
    let quoted = served.done(&["quote", "MUG-BLUE:20", "--to", "41.85,-87.65", "--substitutable", "0"]);
    assert_eq!(quoted["plan"]["substituted"][0]["sent"], "CANDLE");
    served.done(&["substitute", "remove", "MUG-BLUE"]);
    served.refused(&[&["quote"], &allowing[..]].concat(), "OutOfStock");
}

#[test]
fn a_line_of_a_seller_is_served_by_its_nodes_alone() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let quote = ["quote", "LAMP-DESK:1", "MUG-BLUE:2", "--to", "40.7,-73.99", "--seller", "0=LUMEN"];
    let plan = served.done(&quote);
    let shipments = plan["plan"]["shipments"].as_array().unwrap();
    let of = |sku: &str| {
        let has =
            |shipment: &&Value| shipment["lines"].as_array().unwrap().iter().any(|line| line["sku"] == sku);
        shipments.iter().find(has).unwrap()
    };
    assert_eq!((&of("LAMP-DESK")["node"], &of("LAMP-DESK")["seller"]), (&"V-LAMPS".into(), &"LUMEN".into()));
    assert_eq!(of("MUG-BLUE")["seller"], "");
    served.refused(&["quote", "MUG-BLUE", "--to", "40.7,-73.99", "--seller", "0=NOBODY"], "UnknownSeller");
    served.refused(&["quote", "MUG-BLUE", "--to", "40.7,-73.99", "--seller", "0=LUMEN"], "OutOfStock");
}

#[test]
fn an_order_goes_from_files_to_the_door() {
    let served = Served::start();
    let imported = served.done(&["import", "examples/store"]);
    assert_eq!((&imported["imported"]["nodes"], &imported["imported"]["cells"]), (&7.into(), &17.into()));
    assert_eq!(served.available("MUG-BLUE", "ST-CHI"), 7, "8 on hand, 1 never promised");

    let quoted = served.done(&["quote", "MUG-BLUE:2", "NOTEBOOK:3", "--to", "41.85,-87.65"]);
    assert_eq!(quoted["plan"]["shipments"].as_array().map(Vec::len), Some(1));
    let explained = served.done(&["quote", "MUG-BLUE:2", "NOTEBOOK:3", "--to", "41.85,-87.65", "--explain"]);
    let others = &explained["alternatives"];
    let node = &quoted["plan"]["shipments"][0]["node"];
    assert_eq!((&explained["plan"], &others["one_shipment"]), (&quoted["plan"], &Value::Null));
    assert_eq!((&others["without"][0]["node"], others["without"].as_array().map(Vec::len)), (node, Some(1)));
    // Leaving out the node that ships can only be dearer, and so is each near node alone, or it lacks something.
    let cost = |plan: &Value| plan["cost"].as_str().and_then(|cost| cost.parse::<f64>().ok()).unwrap();
    let least = cost(&quoted["plan"]);
    let without = &others["without"][0]["plan"];
    assert!(
        cost(without) >= least
            && without["shipments"].as_array().unwrap().iter().all(|of| of["node"] != *node)
    );
    let near = others["near"].as_array().unwrap();
    assert_eq!(near.len(), 3);
    for near in near {
        let (plan, away) = (&near["plan"], near["miles"].as_u64());
        let lacks = near["refused"].is_string() || plan["unfilled"] != Value::Array(Vec::new());
        assert!(near["node"] != *node && away.is_some() && (lacks || cost(plan) >= least), "{near}");
    }
    let reserved = served.done(&["reserve", "MUG-BLUE:2", "NOTEBOOK:3", "--to", "41.85,-87.65"]);
    assert_eq!((&reserved["status"], &reserved["plan"]), (&"held".into(), &quoted["plan"]));
    let node = quoted["plan"]["shipments"][0]["node"].as_str().unwrap().to_owned();
    let order = id(&reserved);

    let amended = served.done(&["amend", &order, "0=1"]);
    assert_eq!(amended["moved"], 1);
    served.done(&["extend", &order, "--lifetime", "30m"]);
    assert_eq!(served.done(&["release", &order, "--line", "1:1"])["moved"], 1);
    assert_eq!(served.done(&["confirm", &order])["status"], "confirmed");
    served.refused(&["release", &order], "WrongStatus");
    served.done(&["dispatch", &order]);
    served.done(&["ship", &order, "--line", &format!("0@{node}:1")]);
    let shown = served.done(&["show", &order]);
    assert_eq!((&shown["rows"][0]["shipped"], &shown["rows"][0]["sku"]), (&1.into(), &"MUG-BLUE".into()));
    assert_eq!(shown["rows"][0]["node"].as_str(), Some(node.as_str()));
    let explained = served.done(&["explain", &order]);
    let words = explained["explanation"].as_str().unwrap();
    assert!(words.contains("proven cheapest") && words.contains("planned anew"), "{explained}");
    assert!(words.contains(&format!("Without {node}: ")) && words.contains("ships nothing: "), "{words}");
    assert_eq!(explained["alternatives"]["without"][0]["node"].as_str(), Some(node.as_str()));
    assert_eq!(served.done(&["ship", &order])["status"], "shipped");
}

#[test]
fn orders_are_picked_up_rejected_and_cancelled() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let picked = id(&served.done(&["reserve", "PEN-SET", "--pickup", "ST-CHI"]));
    for step in ["confirm", "dispatch", "ready"] {
        served.done(&[step, &picked]);
    }
    assert_eq!(served.done(&["collect", &picked])["status"], "collected");

    let sent = id(&served.done(&["reserve", "MUG-BLUE", "--to-store", "ST-CHI", "--only", "DC-DAL"]));
    let shown = served.done(&["show", &sent]);
    assert_eq!(shown["order"]["delivery"]["to_store"], "ST-CHI");
    assert_eq!(shown["rows"][0]["node"], "DC-DAL");
    for step in ["confirm", "dispatch", "ship"] {
        served.done(&[step, &sent]);
    }

    let order = id(&served.done(&[
        "reserve",
        "MUG-BLUE:2",
        "--to",
        "41.85,-87.65",
        "--only",
        "ST-CHI",
        "--only",
        "DC-DAL",
    ]));
    served.done(&["confirm", &order]);
    let shown = served.done(&["show", &order]);
    let node = shown["rows"][0]["node"].as_str().unwrap().to_owned();
    let rejected = served.done(&[
        "reject",
        &order,
        "--node",
        &node,
        "--correction",
        "missing",
        "--reason",
        "not on the shelf",
    ]);
    let other = rejected["plan"]["shipments"][0]["node"].as_str().unwrap();
    assert_ne!(other, node);
    assert_eq!(served.done(&["cancel", &order])["status"], "cancelled");
}

#[test]
fn a_confirmed_order_is_looked_at_again_and_moves_to_where_it_costs_less() {
    let served = Served::start();
    // Without calendars, so that it makes no difference at what hour this runs.
    let files = served.directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let nodes = "CHI,dc,41.88,-87.63,America/Chicago,ship\nDAL,dc,32.78,-96.80,America/Chicago,ship\n";
    let write = |file: &str, head: &str, rows: &str| {
        std::fs::write(files.join(file), format!("{head}\n{rows}")).unwrap();
    };
    write("nodes.csv", "code,kind,lat,lon,time_zone,capabilities", nodes);
    write("skus.csv", "code", "MUG\n");
    write("stock.csv", "sku,node,on_hand", "MUG,CHI,5\nMUG,DAL,5\n");
    served.done(&["import", files.to_str().unwrap()]);
    served.done(&["node", "pause", "CHI"]);
    let order = id(&served.done(&["reserve", "MUG:2", "--to", "41.85,-87.65"]));
    served.done(&["confirm", &order]);
    served.done(&["node", "resume", "CHI"]);
    let idle = served.done(&["replan"]);
    assert_eq!(
        (&idle["looked_at"], &idle["saved"]),
        (&0.into(), &"0.00".into()),
        "no policy has it looked at"
    );
    let policy = served.directory.path().join("policy.toml");
    let set = |text: &str| {
        std::fs::write(&policy, text).unwrap();
        served.done(&["policy", "set", policy.to_str().unwrap()])
    };
    // The daemon itself leaves alone what saves so little.
    set("name = 'dear'\nreplan_minutes = 60\nreplan_saves = '1000'\n");
    let found = served.done(&["replan", "--dry-run"]);
    assert_eq!((&found["looked_at"], &found["orders"]), (&1.into(), &0.into()));
    set("name = 'again'\nreplan_minutes = 60\nreplan_saves = '0.01'\n");
    served.done(&["replan"]);
    // Whoever was first, the daemon or this command, moved it.
    let rows = served.done(&["show", &order])["rows"].clone();
    assert_eq!((&rows[0]["confirmed"], &rows[1]["confirmed"]), (&0.into(), &2.into()));
    assert_eq!(rows[1]["node"], "CHI");
    let explained = served.done(&["explain", &order]);
    let words = explained["explanation"].as_str().unwrap();
    assert!(words.contains("Moved (1)") && words.contains(" less than before"), "{words}");
    assert!(explained["plans"][1]["saved"].is_string(), "{explained}");
    assert_eq!(served.done(&["replan", "--dry-run"])["moves"], serde_json::json!([]));
}

#[test]
fn a_command_that_is_sent_again_with_its_id_acts_once() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let first = served.done(&["reserve", "TEAPOT@DC-RNO:4", "LAMP-DESK@ST-NYC:1"]);
    assert_eq!((served.available("TEAPOT", "DC-RNO"), served.available("LAMP-DESK", "ST-NYC")), (36, 1));
    let again = served.done(&["reserve", "TEAPOT@DC-RNO:4", "LAMP-DESK@ST-NYC:1", "--id", &id(&first)]);
    assert_eq!(first, again);
    assert_eq!(served.available("TEAPOT", "DC-RNO"), 36);
    served.refused(&["reserve", "TEAPOT@DC-RNO:5", "--id", &id(&first)], "IdReused");
}

#[test]
fn stock_is_counted_corrected_moved_and_taken_back() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let counted = served.done(&["stock", "set", "CANDLE@ST-NYC:11", "--safety", "2"]);
    assert_eq!(counted["moved"], 0, "a count moves no unit");
    assert_eq!(served.available("CANDLE", "ST-NYC"), 9);
    served.done(&["stock", "adjust", "CANDLE@ST-NYC:-4"]);
    assert_eq!(served.available("CANDLE", "ST-NYC"), 5);
    served.done(&["stock", "transfer", "CANDLE@ST-NYC:3", "--to", "DC-RNO"]);
    assert_eq!((served.available("CANDLE", "ST-NYC"), served.available("CANDLE", "DC-RNO")), (2, 93));
    served.done(&["stock", "restock", "CANDLE@ST-NYC:2"]);
    served.done(&["stock", "restock", "CANDLE@ST-NYC:6", "--unsellable"]);
    assert_eq!(served.available("CANDLE", "ST-NYC"), 4);
    let refused = served.refused(&["stock", "transfer", "CANDLE@ST-NYC:5", "--to", "DC-RNO"], "OutOfStock");
    assert_eq!(refused["refused"]["detail"], 4);
    served.refused(&["atp", "CANDLES"], "UnknownSku");
    served.refused(&["stock", "set", "CANDLE@MARS:1"], "UnknownNode");
}

#[test]
fn a_paused_node_takes_nothing_new_until_it_resumes_and_a_retired_one_never() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    served.done(&["node", "pause", "V-LAMPS"]);
    let told = served.earmark(&["quote", "LAMP-DESK", "--to", "35.2,-80.8", "--explain"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains("V-LAMPS, ") && told.contains(" miles away, ships nothing: it is paused."),
        "{told}"
    );
    let at_vendor = ["reserve", "LAMP-DESK:1", "--to", "35.2,-80.8", "--only", "V-LAMPS"];
    assert_eq!(served.ends(1, &at_vendor)["refused"]["index"], 0);
    served.done(&["node", "resume", "V-LAMPS"]);
    served.done(&at_vendor);
    served.done(&["node", "retire", "V-LAMPS"]);
    served.refused(&["node", "resume", "V-LAMPS"], "NodeRetired");
    let listed = served.done(&["node", "list"]);
    let state = |code: &str| {
        let nodes = listed["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["code"] == code).unwrap()["state"].clone()
    };
    assert_eq!((state("V-LAMPS"), state("ST-CHI")), ("retired".into(), "active".into()));
}

#[test]
fn a_daemon_of_small_frames_gets_as_much_in_one_command_as_it_takes() {
    let flags = ["--server.frame_bytes_max", "4096"];
    let served = Served::start_as(Command::new(env!("CARGO_BIN_EXE_earmark")), &flags);
    let data = served.directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let rows = |row: fn(u32) -> String| (0..300).map(row).collect::<String>();
    let write = |name: &str, text: String| std::fs::write(data.join(name), text).unwrap();
    write("nodes.csv", "code,kind,lat,lon,time_zone\nDC,dc,41.9,-87.6,America/Chicago\n".to_owned());
    write("skus.csv", "code\n".to_owned() + &rows(|at| format!("A-SKU-OF-A-LONG-NAME-{at}\n")));
    write(
        "stock.csv",
        "sku,node,on_hand\n".to_owned() + &rows(|at| format!("A-SKU-OF-A-LONG-NAME-{at},DC,7\n")),
    );
    let imported = served.done(&["import", data.to_str().unwrap()]);
    assert_eq!((&imported["imported"]["skus"], &imported["imported"]["units"]), (&300.into(), &2_100.into()));
    assert_eq!(served.available("A-SKU-OF-A-LONG-NAME-299", "DC"), 7);
}

#[test]
fn stock_of_codes_that_nobody_knows_is_not_imported_at_all() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stock.csv"), "sku,node,on_hand\nCANDLE,DC-RNO,1\nWICK,DC-RNO,5\n")
        .unwrap();
    let path = dir.path().to_string_lossy();
    let bad = served.ends(1, &["import", &path]);
    assert_eq!((&bad["bad_rows"][0]["line"], &bad["bad_rows"][0]["column"]), (&3.into(), &"sku".into()));
    assert_eq!(served.available("CANDLE", "DC-RNO"), 90, "the good row was not taken either");
    std::fs::write(dir.path().join("stock.csv"), "sku,node,on_hand\nCANDLE,DC-RNO,1\n").unwrap();
    served.done(&["import", &path]);
    assert_eq!(served.available("CANDLE", "DC-RNO"), 1);
}

#[test]
fn a_wrong_token_is_refused() {
    let served = Served::start();
    let token = served.directory.path().join("wrong.token");
    std::fs::write(&token, "guessed").unwrap();
    let refused = served.ends(1, &["stats", "--token-file", &token.to_string_lossy()]);
    assert!(refused["error"].as_str().unwrap().contains("token"), "{refused}");
}

#[test]
fn commands_take_leave_of_the_daemon() {
    let served = Served::start();
    served.done(&["node", "list"]);
    served.refused(&["atp", "NOTHING"], "UnknownSku");
    let connections = || served.done(&["stats"])["stats"]["connections"].clone();
    // The daemon may hear the last farewell a moment after it answers the next question.
    assert!((0..100).any(|_| connections() == 1), "{} connections are open", connections());
}

#[test]
fn a_daemon_that_is_told_to_stop_ends_with_0() {
    let mut served = Served::start();
    let told = Command::new("kill").args(["-TERM", &served.daemon.id().to_string()]).status();
    assert!(told.unwrap().success());
    assert_eq!(served.daemon.wait().unwrap().code(), Some(0));
    let unreachable = served.ends(3, &["stats", "--deadline-ms", "300"]);
    assert_eq!(unreachable["kind"], "unreachable");
}

#[test]
fn the_readmes_session_works_as_typed() {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let blocks: Vec<_> = page.split("<!-- session -->\n```sh\n").skip(1).collect();
    assert_eq!(blocks.len(), 4);
    let script: String = blocks.iter().map(|block| block.split("```").next().unwrap()).collect();
    let served = Served::start();
    let binaries = Path::new(env!("CARGO_BIN_EXE_earmark")).parent().unwrap().to_string_lossy().into_owned();
    let mut shell = Command::new("sh");
    served.environment(&mut shell);
    shell.env("PATH", format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default()));
    let output = shell.args(["-eu", "-c", &script]).current_dir(repository()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "orders.csv: 4 orders, all good",
        "imported 7 nodes, 9 skus, 0 services, 17 cells",
        "now confirmed",
        "The plan it was reserved with:",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
}

#[test]
fn connections_never_take_the_file_descriptors_that_the_log_and_the_images_need() {
    let served = Served::start_with_few_descriptors(&["--server.unix_socket", "earmark.sock"]);
    let socket = served.directory.path().join("earmark.sock");
    let connect = || std::os::unix::net::UnixStream::connect(&socket).expect("there is a socket");
    // More than the process may have, and all of them stay.
    let crowd: Vec<_> = (0..100).map(|_| connect()).collect();
    // They are taken in their order, so the crowd was met when this one is turned away.
    let end = std::io::Read::read(&mut connect(), &mut [0]);
    assert!(matches!(end, Ok(0) | Err(_)), "one too many was let in");
    served.done(&["import", "examples/store"]);
    served.done(&["snapshot"]);
    drop(crowd);
}

#[test]
fn a_start_without_room_for_the_capacity_ends_with_3_and_the_next_one_takes_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_string_lossy();
    let flags = ["serve", "--server.listen", "127.0.0.1:0", "--durability.directory", &data];
    let told = limited("-v 2000000").args(flags).output().unwrap();
    let text = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(3), "{text}");
    assert!(text.contains("lower the largest setting under [capacity]"), "{text}");
    let few =
        ["--capacity.facts_bytes", "1048576", "--capacity.cells", "1000", "--capacity.commands", "1000"];
    let rest = ["--capacity.reservations", "1000", "--capacity.lines", "1000", "--capacity.skus", "1000"];
    let mut command = limited("-v 2000000");
    let daemon = command.args(flags).args(few).args(rest).stderr(std::process::Stdio::piped());
    let mut daemon = daemon.spawn().unwrap();
    let told = std::io::BufReader::new(daemon.stderr.take().unwrap());
    let serves = std::io::BufRead::lines(told).map_while(Result::ok).any(|line| line.contains("serving"));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(serves, "less capacity starts in the same directory");
}

#[test]
fn a_daemon_that_meets_a_limit_of_file_sizes_says_why_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_string_lossy();
    // In blocks of 512 bytes: less than a segment of the log.
    let told = limited("-f 200")
        .args(["serve", "--server.listen", "127.0.0.1:0", "--durability.directory", &data])
        .output()
        .unwrap();
    let text = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(3), "{text}");
    assert!(text.contains("File too large"), "{text}");
}
