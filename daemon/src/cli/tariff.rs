//! `tariff show`: what carriers charge. Tariffs are put by `import`.

use clap::{Args, Subcommand};
use earmark_protocol::client::Client;
use earmark_protocol::ids::ServiceIx;
use earmark_protocol::query::Query;
use earmark_protocol::reply::Reply;
use earmark_protocol::tariff::{ServiceSpec, ServiceView, TariffsView};
use serde_json::{Value, json};

use super::codes::query;
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::words::money;

/// `earmark tariff`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum TariffCommand {
    /// Show services with their prices, charts of zones, and rates of currencies
    Show(ShowArgs),
}

/// `earmark tariff show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// Show the price steps of this service, CARRIER/SERVICE
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs a subcommand.
pub(super) async fn run(command: &TariffCommand, session: &Session) -> Outcome {
    let TariffCommand::Show(args) = command;
    let client = session.connect(&args.connection).await?;
    let tariffs = tariffs(&client, "showing tariffs").await?;
    match &args.service {
        Some(name) => match tariffs.services.iter().find(|view| service_name(&view.spec) == *name) {
            Some(view) => {
                Ok(Answer { text: steps_text(view), json: json!({ "service": service_json(view) }) })
            }
            None => {
                let known: Vec<_> = tariffs.services.iter().map(|view| service_name(&view.spec)).collect();
                let known = known.join(", ");
                Err(Failure::refused(format!("showing service {name}: there is none; there are: {known}")))
            }
        },
        None => Ok(Answer { text: text(&tariffs), json: json(&tariffs) }),
    }
}

/// All of a tenant's tariffs.
pub(super) async fn tariffs(client: &Client, attempted: &str) -> Result<TariffsView, Failure> {
    let mut all = TariffsView::default();
    loop {
        let from = ServiceIx(all.services.len() as u8);
        let Reply::Tariffs(mut page) = query(client, Query::Tariffs { from }, attempted).await? else {
            return Err(Failure::unexpected(attempted));
        };
        // A change between two pages: begin again, so that what is shown was in force at one time.
        if from.0 > 0 && page.version != all.version {
            all = TariffsView::default();
            continue;
        }
        if page.services.is_empty() {
            all.services.append(&mut page.services);
            return Ok(TariffsView { services: all.services, ..*page });
        }
        all.version = page.version;
        all.services.append(&mut page.services);
    }
}

/// A service's name at the command line.
pub(super) fn service_name(spec: &ServiceSpec) -> String {
    format!("{}/{}", spec.carrier, spec.code)
}

fn text(tariffs: &TariffsView) -> String {
    if tariffs.version == 0 {
        return "there are no services: shipments are priced by the daemon's own tariff".to_owned();
    }
    let columns =
        ["service", "offered", "currency", "zones by", ">zones", ">steps", ">heaviest g", ">fuel %"];
    let mut table = Table::new(&columns);
    for ServiceView { spec, .. } in &tariffs.services {
        let steps = || spec.zones.iter().flat_map(|zone| &zone.steps);
        table.row([
            service_name(spec),
            if spec.offered { "yes" } else { "no" }.to_owned(),
            or(&spec.currency, "-"),
            or(&spec.chart, "distance"),
            spec.zones.len().to_string(),
            steps().count().to_string(),
            steps().map(|step| step.up_to_g).max().unwrap_or(0).to_string(),
            percent(spec.fuel_bp),
        ]);
    }
    let mut text = format!("tariffs, version {}\n{}", tariffs.version, table.text("  "));
    for chart in &tariffs.charts {
        text += &format!("chart {}: {} origins, {} pairs\n", chart.chart, chart.origins, chart.pairs);
    }
    for rate in &tariffs.rates {
        text += &format!("1 {} is {}\n", rate.currency, money(rate.rate));
    }
    text
}

fn steps_text(view: &ServiceView) -> String {
    let spec = &view.spec;
    let mut table = Table::new(&["zone", ">miles", ">days", ">up to g", ">price"]);
    for zone in &spec.zones {
        for (place, step) in zone.steps.iter().enumerate() {
            let first = |text: String| if place == 0 { text } else { String::new() };
            let miles = if zone.miles_max == 0 { "-".to_owned() } else { zone.miles_max.to_string() };
            table.row([
                first(zone.zone.to_string()),
                first(miles),
                first(zone.transit_days.to_string()),
                step.up_to_g.to_string(),
                money(step.price),
            ]);
        }
    }
    let currency = or(&spec.currency, "the accounting currency");
    let (home, large, hazardous) = (money(spec.residential), money(spec.oversize), money(spec.hazmat));
    format!(
        "{}, in {currency}: fuel {} %, home address {home}, oversize {large}, hazmat {hazardous}\n{}",
        service_name(spec),
        percent(spec.fuel_bp),
        table.text("  ")
    )
}

fn json(tariffs: &TariffsView) -> Value {
    let rates =
        tariffs.rates.iter().map(|rate| json!({ "currency": rate.currency, "rate": money(rate.rate) }));
    json!({
        "version": tariffs.version,
        "rates": rates.collect::<Vec<_>>(),
        "charts": tariffs.charts,
        "services": tariffs.services.iter().map(service_json).collect::<Vec<_>>(),
    })
}

fn service_json(view: &ServiceView) -> Value {
    let spec = &view.spec;
    let zones = spec.zones.iter().map(|zone| {
        let steps =
            zone.steps.iter().map(|step| json!({ "up_to_g": step.up_to_g, "price": money(step.price) }));
        json!({
            "zone": zone.zone,
            "miles_max": zone.miles_max,
            "transit_days": zone.transit_days,
            "steps": steps.collect::<Vec<_>>(),
        })
    });
    json!({
        "carrier": spec.carrier,
        "service": spec.code,
        "offered": spec.offered,
        "currency": spec.currency,
        "chart": spec.chart,
        "volume_divisor": spec.volume_divisor,
        "fuel_percent": percent(spec.fuel_bp),
        "residential": money(spec.residential),
        "oversize": money(spec.oversize),
        "hazmat": money(spec.hazmat),
        "zones": zones.collect::<Vec<_>>(),
    })
}

fn percent(bp: u16) -> String {
    format!("{}.{:02}", bp / 100, bp % 100)
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}
