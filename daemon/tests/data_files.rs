//! The promise: a directory of data files is read whole or not at all, and every bad row is told with its file,
//! line, column and reason.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use earmark::data::trouble::{BAD_ROWS_MAX, BadRows};
use earmark::data::write::write;
use earmark::data::{DataFile, DataSet, FILES, check_orders, decisions, read_dir, read_dir_for};
use earmark_protocol::catalogue::{NodeKind, capabilities, sku_flags};
use earmark_protocol::ids::{LineId, Money};

const NODES: &str =
    "code,kind,lat,lon,time_zone\nDC1,dc,40,-90,America/Chicago\nST1,store,41,-91,America/Chicago\n";
const SKUS: &str = "code,flags\nA,\nB,oversize\n";

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("it can be written to");
    }
    dir
}

fn read(files: &[(&str, &str)]) -> (DataSet, BadRows) {
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let data = read_dir(directory(files).path(), &mut bad);
    (data, bad)
}

/// One row per case: the files, and every complaint as `file:line column`, with a word of its reason.
#[test]
fn every_bad_row_is_told_with_file_line_column_and_reason() {
    type Case =
        (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);
    let cases: &[Case] = &[
        ("an empty file", &[("skus.csv", "")], &[("skus.csv:0 ", "is empty")]),
        (
            "an unknown column",
            &[("skus.csv", "code,colour\nA,red\n")],
            &[("skus.csv:1 colour", "no such column")],
        ),
        ("a column twice", &[("skus.csv", "code,code\nA,B\n")], &[("skus.csv:1 code", "twice")]),
        ("a column missing", &[("skus.csv", "flags\ncold\n")], &[("skus.csv:1 code", "required")]),
        (
            "several fields of several rows",
            &[("skus.csv", "code,weight_g,flags\n,1,\nA,heavy,wet\nB,5,cold\n")],
            &[
                ("skus.csv:2 code", "it is empty"),
                ("skus.csv:3 weight_g", "\"heavy\""),
                ("skus.csv:3 flags", "\"wet\""),
            ],
        ),
        ("too few fields", &[("skus.csv", "code,weight_g\nA\nB,2\n")], &[("skus.csv:2 ", "it has 1 fields")]),
        ("a code too long", &[("skus.jsonl", LONG_CODE)], &[("skus.jsonl:1 code", "65 bytes")]),
        ("a code twice", &[("skus.csv", "code\nA\nB\nA\n")], &[("skus.csv:4 code", "line 2 already")]),
        ("no JSON", &[("skus.jsonl", "{\"code\":\"A\"}\n{\"code\":\n")], &[("skus.jsonl:2 ", "no JSON")]),
        ("JSON but no object", &[("skus.jsonl", "[1]\n")], &[("skus.jsonl:1 ", "no JSON object")]),
        ("a nested value", &[("skus.jsonl", "{\"code\":[\"A\"]}\n")], &[("skus.jsonl:1 code", "neither")]),
        (
            "an unknown field",
            &[("skus.jsonl", "{\"code\":\"A\",\"x\":1}\n")],
            &[("skus.jsonl:1 x", "no such field")],
        ),
        (
            "nodes off the globe, of no kind, in no time zone, too dear",
            &[(
                "nodes.csv",
                "code,kind,lat,lon,time_zone,cost_per_unit\n\
                 N1,dc,91,0,America/Chicago,\nN2,barn,1,1,America/Chicago,\nN3,dc,1,1,Chicago,\n\
                 N4,dc,x,1,America/Chicago,-1\n",
            )],
            &[
                ("nodes.csv:2 lat", "off the globe"),
                ("nodes.csv:3 kind", "\"barn\""),
                ("nodes.csv:4 time_zone", "IANA"),
                ("nodes.csv:5 lat", "\"x\""),
                ("nodes.csv:5 cost_per_unit", "\"-1\""),
            ],
        ),
        (
            "calendars that cannot be",
            &[(
                "calendars.csv",
                "calendar,day,opens,closes,cut_off,handling\n\
                 A,mon-fri,18:00,08:00,12:00,4h\nB,mon,08:00,18:00,19:00,\nC,mon,,,,\nC,2026-12-25,,,,\n\
                 D,mon-wed,08:00,18:00,,\nD,wed,09:00,18:00,,\nD,2026-02-29,,,,\nE,mon,8:00,18:00,,\n\
                 F,monday,08:00,18:00,,\nG,mon,08:00,,,\nH,mon,,,12:00,\nI,mon,08:00,18:00,,4h\nI,tue,08:00,18:00,,5h\n\
                 J,mon,08:00,18:00,,99d\n",
            )],
            &[
                ("calendars.csv:9 opens", "\"8:00\" is no time of the day"),
                ("calendars.csv:10 day", "\"monday\" is no day"),
                ("calendars.csv:11 closes", "does not close"),
                ("calendars.csv:12 cut_off", "closed and has a cut-off"),
                ("calendars.csv:7 day", "wed stands in line 6 already"),
                ("calendars.csv:14 handling", "differs"),
                ("calendars.csv:2 closes", "\"A\": the hours are 18:00 to 08:00"),
                ("calendars.csv:3 cut_off", "\"B\": the cut-off is 19:00"),
                ("calendars.csv:4 opens", "\"C\": no day of the week and no date is open"),
                ("calendars.csv:8 day", "\"D\": there is no date 2026-02-29"),
                ("calendars.csv:15 handling", "\"J\": the handling takes too long"),
            ],
        ),
        (
            "a node that works by a calendar that nobody knows",
            &[
                ("calendars.csv", "calendar,day,opens,closes\nA,mon,08:00,18:00\n"),
                (
                    "nodes.csv",
                    "code,kind,lat,lon,time_zone,calendar\nN1,dc,1,1,UTC,A\nN2,dc,1,1,UTC,B\nN3,dc,1,1,UTC,\n",
                ),
            ],
            &[("nodes.csv:3 calendar", "\"B\"")],
        ),
        (
            "stock of what nobody knows, at places that cannot keep it, and twice",
            &[
                ("nodes.csv", NODES),
                ("skus.csv", SKUS),
                ("stock.csv", "sku,node,on_hand\nZ,DC1,1\nA,DC9,1\nB,DC1,1\nA,ST1,3\nA,ST1,4\nA,DC1,-5\n"),
            ],
            &[
                ("stock.csv:7 on_hand", "\"-5\""),
                ("stock.csv:3 node", "\"DC9\""),
                ("stock.csv:4 node", "oversize"),
                ("stock.csv:2 sku", "\"Z\""),
                ("stock.csv:6 sku", "line 5 already"),
            ],
        ),
        (
            "orders that contradict themselves, go nowhere, or cannot be handed over",
            &[
                ("nodes.csv", NODES),
                ("skus.csv", SKUS),
                (
                    "orders.csv",
                    "order,line,sku,quantity,lat,lon,pickup,to_store\nO1,0,A,1,40,-90,,\nO1,1,A,1,41,-90,,\n\
                     O2,0,A,1,,,,\nO3,0,A,1,40,,,\nO4,5,A,1,40,-90,,\nO4,5,A,0,,,,\nO4,5,Q,1,,,,\nO5,0,A,1,,,DC1,\n\
                     O6,0,A,1,,,,DC1\nO7,0,A,1,40,-90,,DC1\n",
                ),
            ],
            &[
                ("orders.csv:5 lon", "without a longitude"),
                ("orders.csv:7 quantity", "is 0"),
                ("orders.csv:3 lat", "differs"),
                ("orders.csv:4 lat", "no position"),
                ("orders.csv:8 line", "line 6 already"),
                ("orders.csv:11 to_store", "another place too"),
                ("orders.csv:8 sku", "\"Q\""),
                ("orders.csv:9 pickup", "hands nothing over"),
                ("orders.csv:10 to_store", "hands nothing over"),
            ],
        ),
        (
            "orders that the daemon refuses whatever is in stock, and nodes that are too dear for it",
            &[
                (
                    "nodes.csv",
                    "code,kind,lat,lon,time_zone,seller,cost_per_order,cost_per_line,cost_per_unit\n\
                     N1,dc,1,1,UTC,acme,1000000,1000000,1000000\nN2,dc,1,1,UTC,zest,1000000.000001,1000001,1e9\n\
                     N3,dc,1,1,UTC,acme,1000000000000,,\n",
                ),
                ("skus.csv", "code\nA\nB\nK\n"),
                ("kits.csv", "kit,sku,quantity\nK,A,1000000000\nK,B,1\n"),
                (
                    "orders.csv",
                    "order,sku,quantity,seller,substitutable,value,lat,lon\n\
                     O1,A,1,,,1000000000,1,1\nO2,A,1,,,1000000001,1,1\n\
                     O3,A,1073741823,,,,1,1\nO3,A,1,,,,,\nO4,A,1073741823,,,,1,1\nO4,A,2,,,,,\n\
                     O5,B,1,,,,1,1\nO5,K,2,,,,,\nO6,B,1,,,,1,1\nO6,K,1,,yes,,,\n\
                     O7,A,1,nobody,,,1,1\nO8,A,1,acme,,,1,1\nO8,A,1,zest,,,,\nO9,A,1,acme,yes,,1,1\nO9,A,1,acme,,,,\n",
                ),
            ],
            &[
                ("nodes.csv:3 cost_per_order", "above the limit, 1000000.00"),
                ("nodes.csv:3 cost_per_line", "above the limit"),
                ("nodes.csv:3 cost_per_unit", "\"1e9\""),
                ("nodes.csv:4 cost_per_order", "above the limit"),
                ("orders.csv:3 value", "above the limit, 1000000000.00"),
                ("orders.csv:7 quantity", "QuantityTooLarge"),
                ("orders.csv:9 quantity", "QuantityTooLarge"),
                ("orders.csv:11 substitutable", "SkuIsKit"),
                ("orders.csv:14 ", "SellersDiffer"),
            ],
        ),
        (
            "an order of a seller of no node",
            &[
                ("nodes.csv", NODES),
                ("skus.csv", SKUS),
                ("orders.csv", "order,sku,quantity,seller,lat,lon\nO,B,1,,1,1\nO,A,1,acme,,\n"),
            ],
            &[("orders.csv:3 seller", "UnknownSeller")],
        ),
        (
            "a quote that never closes, at the end and behind good rows",
            &[
                ("skus.csv", "code\n\"A"),
                ("nodes.csv", "code,kind,lat,lon,time_zone\n\"D\"\"C\",dc,1,1,UTC\nE,\"dc,1,1,UTC\n"),
            ],
            &[("nodes.csv:3 ", "never closes"), ("skus.csv:2 ", "never closes")],
        ),
        (
            "a quote in the header that never closes",
            &[("skus.csv", "\"code")],
            &[("skus.csv:1 ", "never closes")],
        ),
        (
            "quotes that close",
            &[("skus.csv", "\"code\",flags\n\"A\",\"cold\"\r\nB\"2\",\n\"C\"\"3\",\"\"\nD,\"cold\"")],
            &[],
        ),
        (
            "supplies without a day, of nothing known, twice for a cell",
            &[
                ("nodes.csv", NODES),
                ("skus.csv", SKUS),
                (
                    "supplies.csv",
                    "supply,sku,node,quantity,day\nP,A,DC1,4,soon\nP,Z,DC1,4,2026-11-27\nP,A,DC9,4,2026-11-27\n\
                     P,A,ST1,4,2026-11-27\nQ,A,ST1,4,2026-11-27\nP,A,ST1,5,2026-11-28\n,A,ST1,-1,2026-11-28\n",
                ),
            ],
            &[
                ("supplies.csv:2 day", "\"soon\""),
                ("supplies.csv:8 supply", "it is empty"),
                ("supplies.csv:8 quantity", "\"-1\""),
                ("supplies.csv:3 sku", "\"Z\""),
                ("supplies.csv:4 node", "\"DC9\""),
                ("supplies.csv:7 supply", "line 5 already"),
            ],
        ),
        (
            "kits of what nobody knows, of kits, with a component twice, and stocked",
            &[
                ("nodes.csv", NODES),
                ("skus.csv", "code\nA\nB\nK\nL\n"),
                ("kits.csv", "kit,sku,quantity\nK,A,2\nK,A,1\nK,Z,1\nL,K,1\nM,B,\nL,B,0\n"),
                ("stock.csv", "sku,node,on_hand\nK,DC1,1\n"),
            ],
            &[
                ("kits.csv:7 quantity", "is 0"),
                ("kits.csv:3 sku", "line 2 already"),
                ("kits.csv:4 sku", "\"Z\""),
                ("kits.csv:5 sku", "a kit itself"),
                ("kits.csv:6 kit", "\"M\""),
                ("stock.csv:2 sku", "its components"),
            ],
        ),
        (
            "substitutes of what nobody knows, of themselves, twice, and kits",
            &[
                ("skus.csv", "code\nA\nB\nK\n"),
                ("kits.csv", "kit,sku\nK,A\n"),
                ("substitutes.csv", "sku,substitute\nA,B\nA,B\nA,Z\nM,B\nB,B\nB,K\nA,\n"),
            ],
            &[
                ("substitutes.csv:8 substitute", "it is empty"),
                ("substitutes.csv:3 substitute", "line 2 already"),
                ("substitutes.csv:6 substitute", "the sku itself"),
                ("substitutes.csv:4 substitute", "\"Z\""),
                ("substitutes.csv:5 sku", "\"M\""),
                ("substitutes.csv:7 substitute", "is a kit"),
            ],
        ),
        (
            "one kind of data in two files",
            &[("skus.csv", "code\nA\n"), ("skus.jsonl", "{\"code\":\"A\"}\n")],
            &[("skus.jsonl:0 ", "skus.csv too")],
        ),
        (
            "a gzip file that is none",
            &[("skus.csv.gz", "code\nA\n")],
            &[("skus.csv.gz:1 ", "cannot be read")],
        ),
        (
            "a size without a side",
            &[("skus.csv", "code,length_mm,width_mm\nA,10,20\n")],
            &[("skus.csv:2 length_mm", "together")],
        ),
        (
            "steps with a hole and an overlap",
            &[
                ("services.csv", "carrier,service\nc,s\n"),
                (
                    "tariffs.csv",
                    "carrier,service,zone,miles_max,over_g,up_to_g,price\nc,s,1,90,0,500,1\nc,s,1,,600,900,2\nc,s,1,,800,999,3\n",
                ),
            ],
            &[("tariffs.csv:3 over_g", "a hole"), ("tariffs.csv:4 over_g", "an overlap")],
        ),
        (
            "a step twice and a zone that reaches nowhere",
            &[
                ("services.csv", "carrier,service\nc,s\n"),
                (
                    "tariffs.csv",
                    "carrier,service,zone,miles_max,up_to_g,price\nc,s,1,90,500,1\nc,s,1,,500,2\nc,s,2,90,1,1\n",
                ),
            ],
            &[("tariffs.csv:3 up_to_g", "overlaps"), ("tariffs.csv:4 zone", "farther")],
        ),
        (
            "a service twice, one without prices, and prices of none",
            &[
                ("services.csv", "carrier,service\nc,s\nc,s\nc,t\n"),
                ("tariffs.csv", "carrier,service,zone,miles_max,up_to_g,price\nc,s,1,90,500,1\n"),
            ],
            &[
                ("services.csv:3 service", "twice"),
                ("services.csv:3 service", "no prices"),
                ("services.csv:4 service", "no prices"),
            ],
        ),
        (
            "prices of a service that is not there",
            &[("tariffs.csv", "carrier,service,zone,up_to_g,price\nc,x,1,500,1\n")],
            &[("tariffs.csv:2 service", "no row")],
        ),
        (
            "a currency without a rate, a chart without rows, a zone without prices",
            &[
                ("rates.csv", "currency,rate\nEUR,1.1\n"),
                ("zones.csv", "chart,origin,destination,zone\npost,6,1,4\npost,6,2,5\n"),
                ("services.csv", "carrier,service,currency,chart\nc,s,GBP,\nc,t,EUR,rail\nc,u,,post\n"),
                (
                    "tariffs.csv",
                    "carrier,service,zone,miles_max,up_to_g,price\nc,s,1,90,500,1\nc,t,1,,500,1\nc,u,4,,500,1\n",
                ),
            ],
            &[
                ("services.csv:2 currency", "no rate"),
                ("services.csv:3 chart", "no rows"),
                ("services.csv:4 service", "zone 5"),
            ],
        ),
        (
            "a pair twice, a rate of nothing, a percentage that is none",
            &[
                ("rates.csv", "currency,rate\nEUR,1.1\n"),
                ("zones.csv", "chart,origin,destination,zone\npost,6,1,4\npost,6,1,5\n"),
                ("services.csv", "carrier,service,fuel_percent,offered\nc,s,1.234,maybe\n"),
            ],
            &[
                ("services.csv:2 fuel_percent", "two decimals"),
                ("services.csv:2 offered", "yes nor no"),
                ("zones.csv:3 destination", "line 2 already"),
            ],
        ),
    ];
    for (name, files, expected) in cases {
        let (_, bad) = read(files);
        let found: Vec<_> = bad
            .rows()
            .iter()
            .map(|row| (format!("{}:{} {}", row.file, row.line, row.column), &row.reason))
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for ((place, reason), (expected_place, word)) in found.iter().zip(*expected) {
            assert_eq!(place, expected_place, "{name}: {found:#?}");
            assert!(reason.contains(word), "{name}: {reason:?} does not say {word:?}");
        }
    }
}

#[test]
fn a_file_with_a_bad_row_is_corrected_before_others_are_held_against_it() {
    let stock = ("stock.csv", "sku,node,on_hand\nA,DC1,1\nA,DC1,-1\n");
    for skus in ["", "code,weight_g\nA,heavy\n", "code,colour\nA,red\n", "code\n\"A\nB\nC\nD\n"] {
        let (_, bad) = read(&[("nodes.csv", NODES), ("skus.csv", skus), stock]);
        let files: Vec<_> = bad.rows().iter().map(|row| row.file.as_str()).collect();
        assert_eq!(files, ["skus.csv", "stock.csv"], "{skus:?}: {bad}");
    }
}

#[test]
fn what_is_no_table_is_told_in_few_bytes_and_read_in_few() {
    let long = "A".repeat(3 << 20);
    for (name, text, place) in [
        ("skus.csv", format!("code\nA\n{long}"), "skus.csv:3 "),
        ("skus.jsonl", format!("{{\"code\":\"A\"}}\n{{\"code\":\"{long}\"}}\n"), "skus.jsonl:2 "),
        ("skus.csv", format!("code\nA\n{}\n", &long[..2_000]), "skus.csv:3 code"),
    ] {
        let (_, bad) = read(&[(name, &text)]);
        let rows: Vec<_> =
            bad.rows().iter().map(|row| format!("{}:{} {}", row.file, row.line, row.column)).collect();
        assert_eq!(rows, [place]);
        assert!(bad.to_string().len() < 200, "{bad}");
    }
    let (_, bad) = read(&[("skus.csv", "code,\u{1b}[31m\n")]);
    assert!(!bad.to_string().contains('\u{1b}'), "{bad}");
}

#[test]
fn an_order_of_more_lines_than_the_daemon_takes_is_told() {
    let orders = |lines: usize| {
        let rows: String = (1..lines).map(|_| "O,A,1,,\n").collect();
        format!("order,sku,quantity,lat,lon\nO,A,1,1,1\n{rows}")
    };
    let told = |lines| read(&[("orders.csv", orders(lines).as_str())]).1;
    assert!(told(10_000).is_empty());
    let bad = told(10_001);
    let [row] = bad.rows() else { panic!("{bad}") };
    assert!(row.line == 2 && row.reason.contains("ListTooLong"), "{row}");
}

#[test]
fn how_long_an_order_may_be_is_for_the_daemon_to_say() {
    let rows: String = (0..10_001).map(|_| "O,A,1,1,1\n").collect();
    let dir = directory(&[("orders.csv", &format!("order,sku,quantity,lat,lon\n{rows}"))]);
    let mut bad = BadRows::new(10);
    let data = read_dir_for(dir.path(), u32::MAX, &mut bad);
    assert!(bad.is_empty(), "{bad}");
    for (lines_max, told) in [(10_001, 0), (10_000, 1), (1, 1)] {
        let mut bad = BadRows::new(10);
        check_orders(&data, lines_max, &mut bad);
        assert_eq!(bad.total(), told, "{lines_max}: {bad}");
    }
}

const LONG_CODE: &str = "{\"code\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}\n";

#[test]
fn bad_rows_past_the_limit_are_counted() {
    let rows: String = (0..500).map(|_| "bad,-1\n").collect();
    let dir = directory(&[("skus.csv", &format!("code,weight_g\n{rows}"))]);
    let mut bad = BadRows::new(10);
    let _data = read_dir(dir.path(), &mut bad);
    assert_eq!((bad.rows().len(), bad.total()), (10, 500));
    assert!(bad.to_string().ends_with("… and 490 more\n"));
}

#[test]
fn a_directory_without_data_is_told_so() {
    let (data, bad) = read(&[("invoices.csv", "x\n")]);
    assert_eq!(bad.total(), 1);
    assert_eq!(data.ignored, ["invoices.csv"]);
}

#[test]
fn csv_json_and_gzip_say_the_same() {
    let csv = "code,weight_g,flags,group\nA,12,cold hazmat,\"x, y\"\n";
    let json =
        "{\"code\":\"A\",\"weight_g\":12,\"flags\":\"cold hazmat\",\"group\":\"x, y\",}\n".replace(",}", "}");
    let (from_csv, bad) = read(&[("skus.csv", csv)]);
    assert!(bad.is_empty(), "{bad}");
    let (from_json, bad) = read(&[("skus.jsonl", &json)]);
    assert!(bad.is_empty(), "{bad}");
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("skus.csv.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let from_gzip = read_dir(dir.path(), &mut bad);
    assert!(bad.is_empty(), "{bad}");
    for data in [from_csv, from_json, from_gzip] {
        let sku = &data.skus.unwrap().rows[0].value;
        assert_eq!((sku.weight_g, sku.flags), (12, sku_flags::COLD | sku_flags::HAZMAT));
        assert_eq!((sku.code.as_str(), sku.group.as_str()), ("A", "x, y"));
    }
}

#[test]
fn empty_fields_take_their_defaults() {
    let (data, bad) = read(&[
        ("nodes.csv", &NODES.replace("DC1,dc", "S1,supplier")),
        ("orders.csv", "order,sku,quantity,lat,lon\nO1,A,2,40,-90\nO1,B,1,,\n"),
    ]);
    assert!(bad.is_empty(), "{bad}");
    let nodes = data.nodes.unwrap().rows;
    assert_eq!((nodes[0].value.kind, nodes[0].value.capabilities), (NodeKind::Supplier, 0));
    assert_eq!(nodes[1].value.capabilities, capabilities::SHIP | capabilities::PICKUP);
    assert_eq!(nodes[1].value.cost_per_order, Money(0));
    let lines: Vec<_> = data.orders.unwrap().rows[0].value.lines.iter().map(|line| line.line).collect();
    assert_eq!(lines, [LineId(0), LineId(1)]);
}

#[test]
fn the_example_store_is_without_fault() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/store");
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let data = read_dir(&dir, &mut bad);
    assert!(bad.is_empty(), "{bad}");
    assert!(data.nodes.is_some() && data.skus.is_some() && data.stock.is_some() && data.orders.is_some());
    assert_eq!(data.supplies.unwrap().rows.len(), 2);
}

#[test]
fn the_example_tariffs_are_without_fault() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tariffs");
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let put = read_dir(&dir, &mut bad).tariffs.unwrap();
    assert!(bad.is_empty(), "{bad}");
    let [ground, express] = &put.services[..] else { panic!("{put:?}") };
    assert_eq!((ground.zones.len(), express.zones.len()), (5, 2));
    assert_eq!((express.fuel_bp, express.residential), (1_250, Money(3_500_000)));
    assert_eq!((put.charts.len(), put.rates[0].rate), (3, Money(730_000)));
    let step = ground.zones[1].steps[1];
    assert_eq!((ground.zones[1].transit_days, step.up_to_g, step.price), (4, 5_000, Money(13_600_000)));
}

#[test]
fn what_is_written_reads_back_the_same() {
    let (data, bad) = read(&[
        (
            "nodes.csv",
            "code,kind,lat,lon,time_zone,group,priority,capabilities,cost_per_order,cost_per_unit,postal\n\
             \"D,1\",dc,40.123456,-90.5,America/Chicago,\"a \"\"b\"\"\",7,ship cold,0.5,0.000541,606\n\
             ST1,store,-41,91,Europe/Berlin,,0,none,0,0,\nST2,store,-41,92,Europe/Berlin,,0,pickup,0,0,\n",
        ),
        (
            "skus.csv",
            "code,weight_g,flags,group,length_mm,width_mm,height_mm\nA,350,cold,g,30,20,10\nB,0,none,,,,\n",
        ),
        ("stock.csv", "sku,node,segment,on_hand,safety\nA,\"D,1\",3,7,\nB,ST1,0,0,2\n"),
        (
            "orders.csv",
            "order,line,sku,quantity,lat,lon,postal,pickup,channel,shipments_max,value,at,to_store\n\
             O,4,A,2,40.5,-90.25,606,,1,2,64.50,2026-11-27T08:30:00.250Z,\nO,2,B,1,,,,,,,,,\nP,0,A,1,,,,,,,,,ST2\n",
        ),
    ]);
    assert!(bad.is_empty(), "{bad}");
    fn values<T: Clone>(file: &Option<DataFile<T>>) -> Vec<T> {
        file.iter().flat_map(|file| &file.rows).map(|row| row.value.clone()).collect()
    }
    let (dir, mut bad) = (tempfile::tempdir().unwrap(), BadRows::new(BAD_ROWS_MAX));
    let (nodes, skus) = (values(&data.nodes), values(&data.skus));
    write(&dir.path().join("new"), &nodes, &skus, &values(&data.stock), &values(&data.orders)).unwrap();
    let again = read_dir(&dir.path().join("new"), &mut bad);
    assert!(bad.is_empty(), "{bad}");
    assert_eq!(values(&again.nodes), values(&data.nodes));
    assert_eq!(values(&again.skus), values(&data.skus));
    assert_eq!(values(&again.stock), values(&data.stock));
    assert_eq!(values(&again.orders), values(&data.orders));
    assert_eq!(values(&again.orders)[0].at.map(|at| at.0), Some(1_795_768_200_250));
}

/// `docs/data-files.md` has a table per file: exactly its columns, in order, and which are required.
#[test]
fn the_document_describes_every_column() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/data-files.md")).unwrap();
    for (file, columns) in FILES.into_iter().chain([("decisions", decisions::COLUMNS)]) {
        let section = page.split(&format!("## `{file}`")).nth(1).unwrap().split("\n## ").next().unwrap();
        let written: Vec<_> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|line| {
                let mut cells = line.split('|').map(str::trim);
                (cells.next().unwrap().trim_end_matches('`'), cells.next().unwrap() == "yes")
            })
            .collect();
        let known: Vec<_> = columns.iter().map(|column| (column.name, column.required)).collect();
        assert_eq!(written, known, "the table of `{file}`");
    }
}
