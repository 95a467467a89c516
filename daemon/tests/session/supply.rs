//! Purchase orders at the command line: what waits for them, and what happens when they arrive.

use serde_json::Value;

use super::{Served, id};

#[test]
fn an_order_waits_for_supply_where_stock_is_too_little() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    // 131 are in stock at three nodes, and 24 come to one of them.
    let lines = ["MUG-BLUE:140", "--to", "41.85,-87.65"];
    let waiting = [&lines[..], &["--supply-by", "2030-03-04"]].concat();
    served.refused(&[&["quote"], &lines[..]].concat(), "OutOfStock");
    served.refused(&[&["quote"], &lines[..], &["--supply-by", "2030-03-03"]].concat(), "OutOfStock");
    let quoted = served.done(&[&["quote"], &waiting[..]].concat());
    let last = |of: &Value| of["plan"]["shipments"].as_array().and_then(|all| all.last().cloned()).unwrap();
    let waits = last(&quoted);
    assert_eq!((&waits["node"], &waits["supply_day"]), (&"ST-CHI".into(), &"2030-03-04".into()));
    assert_eq!(
        (&waits["lines"][0]["quantity"], &quoted["plan"]["unfilled"]),
        (&9.into(), &serde_json::json!([]))
    );
    let ship_at = waits["ship_at"].as_str().unwrap();
    assert!(ship_at > "2030-03-05" && ship_at < waits["promise_at"].as_str().unwrap_or("2031"), "{waits}");

    let reserved = served.done(&[&["reserve"], &waiting[..]].concat());
    assert_eq!(last(&reserved)["supply_day"], waits["supply_day"]);
    let id = id(&reserved);
    served.done(&["confirm", &id]);
    let backordered = |served: &Served| {
        let rows = served.done(&["show", &id])["rows"].clone();
        rows.as_array().unwrap().iter().map(|row| row["backordered"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(backordered(&served), 9);
    let told = served.earmark(&["explain", &id]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("it waits for supply of 2030-03-04; it leaves at"), "{told}");
    served.done(&["supply", "receive", "PO-1001", "MUG-BLUE@ST-CHI:24"]);
    assert_eq!(backordered(&served), 0);

    // The same from a file of orders.
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("orders.csv");
    let text = "order,sku,quantity,lat,lon,supply_by\nO-1,TEAPOT,1000,41.85,-87.65,2030-03-11\n";
    std::fs::write(&file, text).expect("it can be written");
    let from = ["quote", "--from", &file.to_string_lossy(), "--order", "O-1", "--best-effort"];
    assert_eq!(last(&served.done(&from))["supply_day"], "2030-03-11");
    // What the file says of an order stands, and nothing beside it is left out silently.
    let beside = served.earmark(&[&from[..], &["--supply-by", "2030-03-12"]].concat());
    assert_eq!(beside.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&beside.stderr).contains("--supply-by"));
}

#[test]
fn a_kit_waits_for_what_is_not_in_stock_of_its_components() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    // A tea set is a teapot and two mugs: 131 mugs are in stock, 24 come to ST-CHI, and 60 teapots to DC-DAL.
    let to = ["--to", "41.85,-87.65", "--supply-by", "2030-03-11"];
    let units = |of: &Value, sku: &str, waits: bool| {
        let shipments = of["plan"]["shipments"].as_array().unwrap();
        let shipments = shipments.iter().filter(|shipment| shipment["supply_day"].is_null() != waits);
        let lines = shipments.flat_map(|shipment| shipment["lines"].as_array().unwrap());
        let lines = lines.filter(|line| line["sku"] == sku);
        lines.map(|line| line["quantity"].as_u64().unwrap()).sum::<u64>()
    };
    let part = served.done(&[&["quote", "TEA-SET:90"], &to[..], &["--best-effort"]].concat());
    let all = |sku| units(&part, sku, false) + units(&part, sku, true);
    assert_eq!((all("MUG-BLUE"), all("TEAPOT"), units(&part, "MUG-BLUE", true)), (154, 77, 23));
    assert_eq!(part["plan"]["unfilled"][0]["quantity"], 13, "whole sets alone");
    served.refused(&[&["reserve", "TEA-SET:90"], &to[..]].concat(), "OutOfStock");

    let reserved = served.done(&[&["reserve", "TEA-SET:70"], &to[..]].concat());
    assert_eq!((units(&reserved, "MUG-BLUE", false), units(&reserved, "MUG-BLUE", true)), (131, 9));
    let pots = units(&reserved, "TEAPOT", true);
    assert!(pots > 0 && units(&reserved, "TEAPOT", false) == 70 - pots, "{reserved}");
    let id = id(&reserved);
    served.refused(&["confirm", &id, "--line", "0:1"], "KitInParts");
    served.done(&["confirm", &id]);
    let backordered = |served: &Served| {
        let rows = served.done(&["show", &id])["rows"].clone();
        rows.as_array().unwrap().iter().map(|row| row["backordered"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(backordered(&served), 9 + pots);
    let told = served.earmark(&["explain", &id]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("it waits for supply of 2030-03-04"));
    served.done(&["amend", &id, "0=69"]);
    assert_eq!(backordered(&served), 9 + pots - 3);
    served.done(&["supply", "receive", "PO-1001", "MUG-BLUE@ST-CHI:24"]);
    served.done(&["supply", "receive", "PO-1002", "TEAPOT@DC-DAL:60"]);
    assert_eq!(backordered(&served), 0);
    served.done(&["dispatch", &id]);
    served.done(&["ship", &id]);
}

#[test]
fn who_came_first_is_served_first_when_supply_arrives() {
    let served = Served::start();
    served.done(&["import", "examples/store"]);
    let cell = |units: u32| format!("MUG-BLUE@ST-CHI:{units}");
    let hold = |units: u32| served.done(&["reserve", &cell(units), "--supply-by", "2030-03-04"]);
    let first = hold(10);
    let shipments = &first["plan"]["shipments"];
    assert_eq!(
        (&shipments[0]["supply_day"], &shipments[1]["supply_day"]),
        (&Value::Null, &"2030-03-04".into())
    );
    assert_eq!(
        (&shipments[0]["lines"][0]["quantity"], &shipments[1]["lines"][0]["quantity"]),
        (&7.into(), &3.into())
    );
    let (first, second) = (id(&first), id(&hold(21)));
    served.refused(&["reserve", &cell(1), "--supply-by", "2030-03-04"], "OutOfStock");
    served.done(&["confirm", &first]);
    let row = |id: &str, row: usize| served.done(&["show", id])["rows"][row].clone();
    assert_eq!((&row(&first, 0)["confirmed"], &row(&first, 1)["backordered"]), (&7.into(), &3.into()));
    assert_eq!(row(&second, 0)["awaited"], 21);

    let put = served.done(&["supply", "put", "PO-1001", &cell(20), "--day", "2030-03-06"]);
    let late = put["late"].as_array().unwrap();
    assert_eq!((put["short"].as_u64(), late.len()), (Some(4), 2));
    assert_eq!((&late[0]["now"], &late[1]["now"]), (&"2030-03-06".into(), &Value::Null));
    let received = served.done(&["supply", "receive", "PO-1001", &cell(5)]);
    assert_eq!(received["moved"], 5);
    assert_eq!((&row(&first, 1)["confirmed"], &row(&first, 1)["backordered"]), (&3.into(), &0.into()));
    assert_eq!((&row(&second, 0)["held"], &row(&second, 0)["awaited"]), (&2.into(), &19.into()));
    assert_eq!(served.available("MUG-BLUE", "ST-CHI"), 0);
    served.done(&["dispatch", &first]);
    served.done(&["ship", &first]);
    served.done(&["release", &second]);
    assert_eq!(served.done(&["supply", "waiting"])["waiting"], serde_json::json!([]));
    assert_eq!(served.available("MUG-BLUE", "ST-CHI"), 2);
}
