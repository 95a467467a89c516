//! The worked examples of `docs/policy.md`, run as they stand there.

use earmark_engine::State;
use earmark_engine::routing::Planner;
use earmark_engine::{Capacity, Rules};
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities, sku_flags};
use earmark_protocol::command::{CommandBody, Delivery, Order, OrderLine, SellerLines, SetPolicy, SetStock};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::reply::{Plan, Shipment};
use earmark_protocol::substitute::SubstituteSpec;
use earmark_protocol::supply::SupplySpec;
use earmark_protocol::tariff::{PriceStep, PutTariffs, ServiceSpec, ZoneSpec};

use crate::world::{count, run};

/// A Tuesday, noon in Chicago.
const NOON: &str = "2026-11-24T18:00:00Z";

type Table = Vec<Vec<String>>;

/// The rows of a table of the page, without its head; and the head.
fn table(page: &str, name: &str) -> (Vec<String>, Table) {
    let text = page.split(&format!("```csv {name}\n")).nth(1).expect("the page has this table");
    let text = text.split("```").next().expect("a block ends");
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    (rows.next().expect("a table has a head"), rows.collect())
}

/// A date in days since 1970.
fn day(date: jiff::civil::Date) -> u32 {
    let since = date.since(jiff::civil::date(1970, 1, 1)).expect("a span of days");
    since.get_days() as u32
}

struct Store {
    nodes: Vec<String>,
    skus: Vec<String>,
    state: State,
}

impl Store {
    fn open(page: &str) -> Self {
        let capacity = Capacity {
            skus: 64,
            nodes: 64,
            cells: 1024,
            reservations: 64,
            lines: 64,
            commands: 64,
            facts_bytes: 1 << 16,
            sku_code_bytes: 1 << 12,
            movements: 64,
        };
        let rules = Rules { channels: vec![vec![Segment(0)]; 2], ..Rules::default() };
        let mut state = State::new(&capacity, rules).expect("there is memory");
        let (_, nodes) = table(page, "nodes");
        let bits = |words: &str| {
            let bit = |word: &str| match word {
                "ship" => capabilities::SHIP,
                "pickup" => capabilities::PICKUP,
                "hazmat" => sku_flags::HAZMAT,
                other => panic!("{other} is no capability"),
            };
            words.split_whitespace().map(bit).fold(0, |bits, bit| bits | bit)
        };
        let node = |row: &Vec<String>| NodeSpec {
            code: row[0].clone(),
            kind: match row[1].as_str() {
                "dc" => NodeKind::Dc,
                "store" => NodeKind::Store,
                "vendor" => NodeKind::Vendor,
                other => panic!("{other} is no kind"),
            },
            group: row[2].clone(),
            position: Position::from_degrees(
                row[3].parse().expect("degrees"),
                row[4].parse().expect("degrees"),
            )
            .expect("it is on the globe"),
            capabilities: bits(&row[5]),
            seller: row[6].clone(),
            time_zone: "America/Chicago".to_owned(),
            ..NodeSpec::default()
        };
        run(&mut state, CommandBody::PutNodes(nodes.iter().map(node).collect()));
        let (head, stock) = table(page, "stock");
        let sku = |row: &Vec<String>| SkuSpec {
            size_mm: [0; 3],
            code: row[0].clone(),
            group: row[1].clone(),
            weight_g: row[2].parse().expect("grams"),
            flags: bits(&row[3]),
        };
        run(&mut state, CommandBody::PutSkus(stock.iter().map(sku).collect()));
        let codes: Vec<_> = nodes.iter().map(|row| row[0].clone()).collect();
        assert_eq!(head[4..], codes, "the columns of stock are the nodes");
        let counts = stock.iter().enumerate().flat_map(|(sku, row)| {
            let cell =
                move |(node, units): (usize, &String)| count((sku, node, 0), units.parse().expect("units"));
            row[4..].iter().enumerate().map(cell).collect::<Vec<_>>()
        });
        run(&mut state, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: counts.collect() }));
        let mut skus: Vec<String> = stock.into_iter().map(|row| row[0].clone()).collect();
        let (_, kits) = table(page, "kits");
        for row in &kits {
            if !skus.contains(&row[0]) {
                let kit = SkuSpec { code: row[0].clone(), ..SkuSpec::default() };
                run(&mut state, CommandBody::PutSkus(vec![kit]));
                skus.push(row[0].clone());
            }
        }
        let sku = |code: &String| SkuIx(skus.iter().position(|known| known == code).expect("a sku") as u32);
        let component =
            |row: &Vec<String>| Component { sku: sku(&row[1]), quantity: row[2].parse().expect("units") };
        let specs = kits.chunk_by(|a, b| a[0] == b[0]);
        let specs = specs
            .map(|rows| KitSpec { kit: sku(&rows[0][0]), components: rows.iter().map(component).collect() });
        run(&mut state, CommandBody::PutKits(specs.collect()));
        let (_, substitutes) = table(page, "substitutes");
        let specs = substitutes.chunk_by(|a, b| a[0] == b[0]).map(|rows| SubstituteSpec {
            sku: sku(&rows[0][0]),
            substitutes: rows.iter().map(|row| sku(&row[1])).collect(),
        });
        run(&mut state, CommandBody::PutSubstitutes(specs.collect()));
        let (_, supplies) = table(page, "supplies");
        let node = |code: &String| codes.iter().position(|known| known == code).expect("a node") as u32;
        let supply = |row: &Vec<String>| SupplySpec {
            code: "PO-1".to_owned(),
            sku: sku(&row[0]),
            node: NodeIx(node(&row[1])),
            segment: Segment(0),
            quantity: row[2].parse().expect("units"),
            day: day(row[3].parse().expect("a date")),
        };
        run(&mut state, CommandBody::PutSupplies(supplies.iter().map(supply).collect()));
        Self { nodes: codes, skus, state }
    }

    /// Offers the services of the page.
    fn offer(&mut self, page: &str) {
        let (_, rows) = table(page, "services");
        let zone = |(at, row): (usize, &Vec<String>)| ZoneSpec {
            zone: at as u8 + 1,
            miles_max: row[2].parse().expect("miles"),
            transit_days: 1,
            steps: vec![PriceStep { up_to_g: 50_000, price: row[3].parse().expect("an amount") }],
        };
        let service = |rows: &[Vec<String>]| ServiceSpec {
            carrier: rows[0][0].clone(),
            code: rows[0][1].clone(),
            offered: true,
            zones: rows.iter().enumerate().map(zone).collect(),
            ..ServiceSpec::default()
        };
        let services = rows.chunk_by(|a, b| a[1] == b[1]).map(service).collect();
        run(&mut self.state, CommandBody::PutTariffs(PutTariffs { services, ..PutTariffs::default() }));
    }

    /// What a plan says of supply: the day of what a shipment waits for.
    fn on(shipment: &Shipment) -> String {
        let days = i64::from(shipment.supply_day);
        let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
        if shipment.waits() { format!(" on {}", date.expect("a day")) } else { String::new() }
    }

    /// What a plan says of services: the one of a shipment.
    fn by(&self, shipment: &Shipment) -> String {
        let Some(carriage) = shipment.carriage else { return String::new() };
        let services = self.state.reader().tariffs(Tenant(0), carriage.service, |_| true).services;
        format!(" by {}", services[0].spec.code)
    }

    /// The rules about services that gave way.
    fn gave_way(&self, plan: &Plan) -> String {
        let policy = self.state.reader().policy(Tenant(0), plan.policy).expect("it is kept");
        let gave_way = plan.upgrades.iter().filter(|upgrade| upgrade.gave_way);
        gave_way.map(|upgrade| format!(", {} gave way", policy.rules[usize::from(upgrade.rule)])).collect()
    }

    /// What becomes of an order like `1 MUG, 2 PEN worth 30.00 through 1 at 2026-11-28T18:00:00Z`, perhaps with
    /// ` or like it` behind a line that may have a substitute, ` of LUMEN` behind a line that a seller sells, and `, or what there is` or ` to store ST-NYC` behind the lines.
    fn ship(&self, order: &str) -> String {
        let (order, at) = order.split_once(" at ").unwrap_or((order, NOON));
        let (order, channel) = order.split_once(" through ").unwrap_or((order, "0"));
        let (order, store) = match order.split_once(" to store ") {
            Some((order, node)) => {
                (order, self.nodes.iter().position(|known| known == node).map(|at| NodeIx(at as u32)))
            }
            None => (order, None),
        };
        let (lines, value) = match order.split_once(" worth ") {
            Some((lines, value)) => (lines, Some(value.parse().expect("an amount"))),
            None => (order, None),
        };
        let (lines, takes_part) = match lines.split_once(", or what there is") {
            Some((lines, _)) => (lines, true),
            None => (lines, false),
        };
        let (mut sellers, mut substitutable) = (Vec::new(), Vec::new());
        let line = |(at, line): (usize, &str)| {
            let (line, is_fixed) = match line.split_once(" or like it") {
                Some((line, _)) => (line, false),
                None => (line, true),
            };
            substitutable.extend((!is_fixed).then_some(LineId(at as u32)));
            let (line, seller) = line.split_once(" of ").unwrap_or((line, ""));
            if !seller.is_empty() {
                sellers.push(SellerLines { seller: seller.to_owned(), lines: vec![LineId(at as u32)] });
            }
            let (units, sku) = line.trim().split_once(' ').expect("units and a sku");
            let sku = self.skus.iter().position(|known| known == sku).expect("the sku is on the page");
            let (line, sku) = (LineId(at as u32), SkuIx(sku as u32));
            OrderLine { line, sku, quantity: units.parse().expect("units") }
        };
        let address = Delivery::Ship {
            position: Position::from_degrees(41.88, -87.63).expect("it is on the globe"),
            postal: String::new(),
            home: false,
        };
        let order = Order {
            channel: Channel(channel.parse().expect("a channel")),
            delivery: store.map_or(address, |node| Delivery::ToStore { node }),
            nodes: Vec::new(),
            shipments_max: 0,
            lines: lines.split(',').enumerate().map(line).collect(),
            value,
            deliver_by_ms: None,
            sellers,
            substitutable,
            supply_by: None,
        };
        let now: jiff::Timestamp = at.parse().expect("a time");
        let now = TimestampMs(u64::try_from(now.as_millisecond()).expect("after 1970"));
        let reader = self.state.reader();
        match Planner::new().at(now).plan(&reader, reader.lanes(), Tenant(0), &order, takes_part, &[]) {
            Ok(proposal) => {
                assert!(proposal.plan.is_optimal(), "so small an order is proven");
                let from = proposal.plan.shipments.iter();
                let mut from: Vec<_> = from
                    .map(|shipment| {
                        self.nodes[shipment.node.0 as usize].clone()
                            + &self.by(shipment)
                            + &Self::on(shipment)
                    })
                    .collect();
                from.sort_unstable();
                let missing: u32 = proposal.plan.unfilled.iter().map(|unfilled| unfilled.quantity).sum();
                let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
                let review = if proposal.plan.review { ", after review" } else { "" };
                let code = |sku: SkuIx| self.skus[sku.0 as usize].as_str();
                let substituted = proposal.plan.substituted.iter();
                let substituted =
                    substituted.map(|line| format!(", {} for {}", code(line.sent), code(line.ordered)));
                let gave_way = self.gave_way(&proposal.plan);
                from.join(" + ") + &missing + review + &substituted.collect::<String>() + &gave_way
            }
            Err(refusal) => format!("refused {}", refusal.code.name()),
        }
    }
}

#[test]
fn every_example_of_the_page_ships_as_the_page_says() {
    let page = include_str!("../../../../docs/policy.md");
    let mut store = Store::open(page);
    let (mut examples, mut orders, mut wrong) = (0, 0, Vec::new());
    for block in page.split("```toml policy\n").skip(1) {
        let mut parts = block.split("```");
        let policy = parts.next().expect("a block has a text");
        let Some(example) =
            parts.next().expect("a page goes on").trim().is_empty().then(|| parts.next()).flatten()
        else {
            continue;
        };
        // The examples that name services come last: the others are priced by the configured tariff.
        if policy.contains("\nservices = ") {
            store.offer(page);
        }
        run(&mut store.state, CommandBody::SetPolicy(SetPolicy { text: policy.to_owned() }));
        for line in example.strip_prefix("orders\n").expect("orders follow a policy").lines() {
            let (order, expected) = line.split_once(" => ").expect("an order and what becomes of it");
            let ships = store.ship(order);
            if ships != expected {
                wrong.push(format!(
                    "{}: {order} => {ships}, not {expected}",
                    policy.lines().next().unwrap_or_default()
                ));
            }
            orders += 1;
        }
        examples += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples >= 13 && orders >= 45, "{examples} {orders}");
}
