//! The full model: carriers that price by steps of zone and weight, skus that weigh and measure something, nodes that cost
//! something and keep hours, and a policy of 50 rules. What no file has is drawn by a seed.

use std::path::Path;

use earmark::data::field;
use earmark::data::table::{self, Column, Row, required};
use earmark::data::trouble::BadRows;
use earmark_protocol::catalogue::{CalendarSpec, DayHours, NodeKind, NodeSpec, SkuSpec, sku_flags};
use earmark_protocol::ids::{Money, TimestampMs};
use earmark_protocol::tariff::{PriceStep, PutTariffs, ServiceSpec, ZoneSpec};

use crate::{Random, START};

/// Columns of a file of prices.
const PRICES: &[Column] = &[required("service"), required("max_lb"), required("zone"), required("usd")];

/// Miles up to which zones 1 to 8 reach.
const ZONE_MILES: [u16; 8] = [50, 150, 300, 600, 1_000, 1_400, 1_800, u16::MAX];

/// Where no file has prices: services with a price per parcel, per zone, per pound, and per pound and zone, in cents; and the
/// pounds at which their steps end.
const SERVICES: [(&str, [i64; 4]); 2] = [("ground", [690, 15, 40, 12]), ("air", [840, 20, 35, 16])];
const POUNDS: [i64; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 50, 70];

/// Cubic millimetres that count as one gram: 139 cubic inches per pound.
const VOLUME_DIVISOR: u32 = 5_022;
/// Grams in a thousand pounds.
const KILOPOUND_G: i64 = 453_592;

const DAY_MS: u64 = 86_400_000;

/// What the engine is told beside nodes, skus and stock.
pub struct Full {
    /// The hours of the nodes.
    pub calendars: Vec<CalendarSpec>,
    /// What carriers charge.
    pub tariffs: PutTariffs,
    /// The policy's text.
    pub policy: String,
}

impl Full {
    /// Gives skus and nodes what the model asks of them. Prices are those of the file; else a formula's.
    pub fn equip(
        (nodes, skus): (&mut [NodeSpec], &mut [SkuSpec]),
        prices: Option<&Path>,
        seed: u64,
        bad: &mut BadRows,
    ) -> Self {
        let mut random = Random(seed);
        for sku in skus {
            // Most weigh some hundred grams; a cubic decimetre of them some hundred as well.
            sku.weight_g = 40 + (random.below(14) * random.below(14) * (1 + random.below(14))) as u32;
            let edge_mm = f64::from(sku.weight_g * (2 + random.below(8) as u32) * 1_000).cbrt();
            sku.size_mm = [edge_mm as u16 + 1; 3];
            let drawn = random.below(100);
            sku.flags = match drawn {
                0 | 1 => sku_flags::HAZMAT,
                2..=4 => sku_flags::OVERSIZE,
                _ => 0,
            };
        }
        for node in nodes {
            let is_store = node.kind == NodeKind::Store;
            let [order, line, unit] = if is_store { [120, 15, 5] } else { [60, 8, 2] };
            let cents = |cents: i64| Money(cents * 10_000);
            (node.cost_per_order, node.cost_per_line, node.cost_per_unit) =
                (cents(order), cents(line), cents(unit));
            node.calendar = if is_store { "store" } else { "dc" }.to_owned();
        }
        let services = prices.map_or_else(by_formula, |path| read(path, bad));
        let tariffs = PutTariffs { services, ..PutTariffs::default() };
        Self { calendars: calendars(), tariffs, policy: policy() }
    }
}

/// Whether an order goes to a home, and by when it is wished: every other one, and one in three.
#[must_use]
pub fn wishes(seed: u64) -> (bool, Option<TimestampMs>) {
    let mut random = Random(seed);
    let is_home = random.below(2) == 0;
    let days = 3 + random.below(4);
    (is_home, (random.below(3) == 0).then_some(TimestampMs(START.0 + days * DAY_MS)))
}

/// Distribution centres work on weekdays, stores every day but shorter.
fn calendars() -> Vec<CalendarSpec> {
    let hours = |opens: u16, closes: u16, cut_off: u16| {
        Some(DayHours { opens_min: opens * 60, closes_min: closes * 60, cut_off_min: cut_off * 60 })
    };
    let calendar = |code: &str, weekday, weekend| {
        let week = [weekday, weekday, weekday, weekday, weekday, weekend, weekend];
        CalendarSpec {
            code: code.to_owned(),
            week,
            handling_days: 0,
            handling_min: 60,
            ..CalendarSpec::default()
        }
    };
    vec![calendar("dc", hours(6, 22, 15), None), calendar("store", hours(9, 19, 12), hours(10, 17, 12))]
}

/// Fifty rules that keep some stores from large orders, from dangerous and from large goods, and make some dearer.
fn policy() -> String {
    let rule = |n: usize| {
        let digit = n / 5;
        let stores = format!("node.kind == \"store\" && node.code.endsWith(\"{digit}\")");
        let (when, body) = match n % 5 {
            0 => (format!("order.units > {}", 200 + 50 * digit), format!("exclude = '{stores}'")),
            1 => ("line.hazmat".to_owned(), format!("exclude = '{stores}'")),
            2 => ("line.oversize && line.quantity > 9".to_owned(), format!("exclude = '{stores}'")),
            3 => {
                (format!("order.lines > {}", 1 + digit), format!("avoid = '{stores}'\ncost = \"0.{digit}5\""))
            }
            _ => {
                let far = 300 + 150 * digit;
                (
                    format!("order.value < {}", 20 * (1 + digit)),
                    format!("avoid = 'node.miles > {far}'\ncost = \"0.40\""),
                )
            }
        };
        format!("[[rule]]\nname = \"rule {n}\"\nwhen = '{when}'\n{body}\n")
    };
    "name = \"full model\"\ntime_zone = \"America/New_York\"\ntransit_miles_per_day = 600\n\
     [weights]\nlate_day = \"1.50\"\n"
        .to_owned()
        + &(0..50).map(rule).collect::<String>()
}

/// A service of no prices yet.
fn service(code: &str) -> ServiceSpec {
    let zone = |(zone, miles_max): (u8, u16)| ZoneSpec { zone, miles_max, ..ZoneSpec::default() };
    ServiceSpec {
        carrier: "post".to_owned(),
        code: code.to_owned(),
        volume_divisor: VOLUME_DIVISOR,
        fuel_bp: 950,
        residential: Money(1_200_000),
        oversize: Money(4_000_000),
        hazmat: Money(6_000_000),
        offered: true,
        zones: (1..).zip(ZONE_MILES).map(zone).collect(),
        ..ServiceSpec::default()
    }
}

/// Grams of thousandths of a pound.
fn grams(thousandths: i64) -> u32 {
    (thousandths * KILOPOUND_G / 1_000_000) as u32
}

fn by_formula() -> Vec<ServiceSpec> {
    let of = |(code, [parcel, zone, pound, both]): (&str, [i64; 4])| {
        let mut service = service(code);
        for (number, spec) in (1..).zip(&mut service.zones) {
            let cents = |pounds: i64| parcel + zone * number + pounds * (pound + both * number);
            let step = |pounds: i64| PriceStep {
                up_to_g: grams(pounds * 1_000),
                price: Money(cents(pounds) * 10_000),
            };
            spec.steps = POUNDS.map(step).into();
        }
        service
    };
    SERVICES.map(of).into()
}

fn read(path: &Path, bad: &mut BadRows) -> Vec<ServiceSpec> {
    let mut services: Vec<ServiceSpec> = Vec::new();
    let mut rows: Vec<_> = table::read(path, PRICES, bad, price).into_iter().map(|row| row.value).collect();
    rows.sort_by_key(|(_, _, step)| step.up_to_g);
    for (code, zone, step) in rows {
        let place = services.iter().position(|service| service.code == code).unwrap_or_else(|| {
            services.push(service(&code));
            services.len() - 1
        });
        // Further zones are those of territories beyond the sea.
        if let Some(spec) = services[place].zones.iter_mut().find(|spec| spec.zone == zone) {
            spec.steps.push(step);
        }
    }
    services
}

/// One row: the service, the zone and the step.
fn price(row: &mut Row<'_>) -> Option<(String, u8, PriceStep)> {
    let service = row.required("service", field::code);
    // Pounds are decimals as amounts are: millionths.
    let pounds: Option<Money> = row.required("max_lb", field::money);
    let zone = row.required("zone", field::number);
    let price = row.required("usd", field::money);
    Some((service?, zone?, PriceStep { up_to_g: grams(pounds?.0 / 1_000), price: price? }))
}
