//! `earmark demo`: a daemon in this process, orders over loopback QUIC through the real client, and a report that
//! counts for itself. Without files it generates a network and baskets; with files it runs on those.

pub mod accounts;
pub mod baskets;
pub mod drive;
pub mod files;
pub mod generated;
pub mod ground;
pub mod judge;
pub mod ledger;
pub mod metros;
pub mod nearest;
pub mod network;
pub mod plain;
pub mod real_files;
pub mod report;
pub mod scenario;
pub mod stock;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::{Client, ClientConfig, ClientError, Trust};
use earmark_protocol::ids::Money;
use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::Clock;
use crate::config::Config;
use crate::data::load::LoadError;
use crate::data::trouble::{BAD_ROWS_MAX, BadRows};
use crate::serve::Daemon;
use drive::{Fates, Pace, Surprises};
use ground::Ground;
use nearest::Tariff;
use real_files::RealFiles;
use report::Report;
use scenario::Scenario;
use stock::StockRule;

/// What to run.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Orders to run instead of generated ones: CSV with order_id, ts, customer, us_zip, sku, qty; may be gzipped
    #[arg(long, value_name = "FILE", requires = "nodes", requires = "places")]
    pub orders: Option<PathBuf>,
    /// Nodes of those orders: CSV with id, type, lat, lon
    #[arg(long, value_name = "FILE", requires = "orders")]
    pub nodes: Option<PathBuf>,
    /// Positions of their postal codes: CSV with zip, lat, lon
    #[arg(long, value_name = "FILE", requires = "orders")]
    pub places: Option<PathBuf>,
    /// Cancellations, sent by their time between the orders: CSV with cancel_id, ts, customer, sku, qty
    #[arg(long, value_name = "FILE", requires = "orders")]
    pub cancellations: Option<PathBuf>,
    /// Stock of each sku, as a multiple of the demand for it
    #[arg(long, default_value_t = 1.3, value_parser = slack)]
    pub slack: f64,
    /// Probability that a node carries a sku, its units spread over those nodes at random. Without it stock is
    /// deep: each sku in all fulfilment centres, in 30 % of other warehouses, and in some stores with at least 12
    #[arg(long, value_parser = probability)]
    pub carry: Option<f64>,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Orders to generate
    #[arg(long, default_value_t = 50_000, conflicts_with = "orders", value_name = "N")]
    pub count: usize,
    /// Requests under way at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=8_000), value_name = "N")]
    pub in_flight: u16,
    /// Write nodes, skus, stock and orders as data files into this directory instead of running anything (see
    /// docs/data-files.md)
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// Send every line as a plain hold of one cell instead, and check that each cell promises exactly what it has
    #[arg(long, conflicts_with = "cancellations")]
    pub plain_holds: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The files have bad rows.
    #[error("reading the demo's files: some rows are bad, correct them\n{0}")]
    Files(BadRows),
    /// The daemon did not start.
    #[error("starting a daemon in this process: {0:#}")]
    Start(anyhow::Error),
    /// Catalogue or stock was not taken.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The daemon could not be asked any more.
    #[error("running the demo: {0}")]
    Client(#[from] ClientError),
}

/// How long one call of the demo may take: far more than any should.
const DEADLINE: Duration = Duration::from_secs(120);
/// One order in this many is quoted before it is reserved.
const QUOTE_ONE_IN: usize = 25;
/// How generated orders go on; the other 15 % stay held.
const GENERATED_FATES: Fates = Fates { confirm: 70, release: 10, expire: 5 };
/// How real orders go on: what comes back is what the cancellations say.
const REAL_FATES: Fates = Fates { confirm: 80, release: 0, expire: 0 };

/// Runs the demo. With `quiet` there is no progress bar.
pub fn run(args: &DemoArgs, quiet: bool) -> Result<Report, DemoError> {
    let scenario = Arc::new(scenario(args)?);
    let config = config();
    let tariff = Tariff {
        shipment_base: micros(config.tariff.shipment_base_micros),
        per_unit: micros(config.tariff.per_unit_micros),
        per_unit_mile: micros(config.tariff.per_unit_mile_micros),
    };
    let daemon = Daemon::start(config).map_err(DemoError::Start)?;
    let trust = Trust::Certificate(daemon.certificate_der().to_vec());
    let client = ClientConfig {
        deadline: DEADLINE,
        ..ClientConfig::new(daemon.address(), trust, daemon.admin_token().unwrap_or_default())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| DemoError::Start(error.into()))?;
    let report = runtime.block_on(async {
        let client = Client::connect(client).await?;
        let ground = Ground::lay(client, Arc::clone(&scenario), Arc::new(Clock::start())).await?;
        let report = if args.plain_holds {
            plain(args, &ground, quiet).await
        } else {
            routed(args, &ground, tariff, quiet).await
        };
        ground.client.close().await;
        report
    });
    daemon.stop();
    report
}

/// What a demo of these arguments runs on.
///
/// # Errors
/// Where its files have bad rows.
pub fn scenario(args: &DemoArgs) -> Result<Scenario, DemoError> {
    let rule = args.carry.map_or(StockRule::Deep, StockRule::Carry);
    let (Some(orders), Some(nodes), Some(places)) = (&args.orders, &args.nodes, &args.places) else {
        return Ok(generated::scenario(args.count, rule, args.slack, args.seed));
    };
    let files = RealFiles {
        orders: orders.clone(),
        nodes: nodes.clone(),
        places: places.clone(),
        cancellations: args.cancellations.clone(),
    };
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let scenario = real_files::scenario(&files, rule, args.slack, args.seed, &mut bad);
    if bad.is_empty() { Ok(scenario) } else { Err(DemoError::Files(bad)) }
}

/// A daemon for the demo alone: on a free port, its secrets in memory, and as many shipments as an order needs,
/// since the demo counts what the stock allows.
fn config() -> Config {
    let mut config = Config::default();
    config.durability.mode = crate::config::DurabilityMode::Memory;
    config.server.listen.set_port(0);
    config.rules.shipments_max = u16::MAX;
    // The demo bounds its load itself and waits for every answer; nothing need be shed.
    let patience_ms = u32::try_from(DEADLINE.as_millis()).unwrap_or(u32::MAX);
    let overload = &mut config.overload;
    for limit in
        [&mut overload.quote_ms, &mut overload.reserve_ms, &mut overload.other_ms, &mut overload.finish_ms]
    {
        *limit = patience_ms;
    }
    config
}

async fn routed(args: &DemoArgs, ground: &Ground, tariff: Tariff, quiet: bool) -> Result<Report, DemoError> {
    let scenario = &ground.scenario;
    let pace = Pace {
        in_flight: args.in_flight.into(),
        quote_one_in: QUOTE_ONE_IN,
        fates: if args.orders.is_some() { REAL_FATES } else { GENERATED_FATES },
        seed: args.seed,
    };
    let bar = bar(scenario.orders.len(), "orders", quiet);
    let mut driven = drive::drive(ground, pace, &bar).await?;
    bar.finish_and_clear();
    let due = std::mem::take(&mut driven.expiring);
    for order in accounts::expired(ground, &due, driven.last_deadline, &mut driven.surprises).await? {
        driven.ledger.note_expired(order);
    }
    let verdict = judge::judge(scenario, tariff, &driven.ledger);
    let compared = accounts::compare(ground, &verdict.balance).await?;

    let mut report = started(args, scenario, "routed");
    report.orders = scenario.orders.len() as u64;
    report.reserved_orders = driven.reserved_orders;
    report.refused_orders = driven.refused_orders;
    report.confirmed_orders = driven.confirmed;
    report.released_orders = driven.released;
    report.cancellations = scenario.cancellations.len() as u64;
    report.cancellations_matched = driven.cancelled;
    report.units_reserved = driven.units_reserved;
    report.fill_rate = judge::share(driven.units_reserved, report.units_wanted);
    report.fill_rate_bound = judge::fill_rate_bound(scenario, &[]);
    report.fill_rate_bound_with_returns = judge::fill_rate_bound(scenario, &verdict.balance.freed);
    report.split_rate = judge::share(verdict.split, verdict.reserved.max(1));
    report.forced_split_rate = judge::share(verdict.forced, verdict.reserved.max(1));
    report.cost_per_order = Some(mean(verdict.cost, verdict.reserved));
    report.nearest_cost_per_order = Some(mean(verdict.nearest_cost, verdict.nearest_orders));
    report.nearest_units_reserved = Some(verdict.nearest_units);
    report.plans_mispriced = verdict.mispriced;
    report.requests_repeated = driven.tries;
    report.reserves(&driven.reserve_us);
    report.quotes(&driven.quote_us);
    finish(&mut report, driven.took_us, &verdict.balance, &compared, driven.surprises);
    Ok(report)
}

async fn plain(args: &DemoArgs, ground: &Ground, quiet: bool) -> Result<Report, DemoError> {
    let scenario = &ground.scenario;
    let holds = plain::holds(scenario, args.seed);
    let bar = bar(holds.len(), "holds", quiet);
    let driven = plain::drive(ground, &holds, args.in_flight.into(), &bar).await?;
    bar.finish_and_clear();
    let balance = driven.ledger.walk(holds.len(), &scenario.stock, |_| {});
    let compared = accounts::compare(ground, &balance).await?;

    let mut report = started(args, scenario, "plain_holds");
    report.orders = holds.len() as u64;
    report.lines = report.orders;
    report.lines_max = 1;
    report.units_wanted = holds.iter().map(|hold| u64::from(hold.units)).sum();
    report.reserved_orders = driven.held;
    report.refused_orders = driven.refused;
    report.units_reserved = driven.units;
    report.fill_rate = judge::share(driven.units, report.units_wanted);
    report.fill_rate_bound = judge::share(plain::allowed(scenario, &holds), report.units_wanted);
    report.fill_rate_bound_with_returns = report.fill_rate_bound;
    report.cells_not_exact = Some(plain::cells_off(scenario, &holds, &balance.held));
    report.reserves(&driven.hold_us);
    finish(&mut report, driven.took_us, &balance, &compared, driven.surprises);
    Ok(report)
}

/// What is known before the first order.
fn started(args: &DemoArgs, scenario: &Scenario, mode: &'static str) -> Report {
    let lines = || scenario.orders.iter().flat_map(|order| &order.lines);
    Report {
        source: scenario.source.clone(),
        mode,
        seed: args.seed,
        slack: args.slack,
        carry: args.carry,
        in_flight: args.in_flight.into(),
        nodes: scenario.nodes.len(),
        skus: scenario.skus.len(),
        cells: scenario.stock.cells.len(),
        units_stocked: scenario.stock.units.iter().map(|&units| u64::from(units)).sum(),
        lines: lines().count() as u64,
        lines_max: scenario.orders.iter().map(|order| order.lines.len()).max().unwrap_or_default(),
        units_wanted: lines().map(|line| u64::from(line.units)).sum(),
        ..Report::default()
    }
}

fn finish(
    report: &mut Report,
    took_us: u64,
    balance: &ledger::Balance,
    compared: &accounts::Accounts,
    mut surprises: Surprises,
) {
    let took_s = took_us.max(1) as f64 / 1e6;
    report.took_s = took_s;
    report.orders_per_s = report.orders as f64 / took_s;
    report.lines_per_s = report.lines as f64 / took_s;
    report.holds_expired = balance.expired;
    report.units_given_back = balance.given_back;
    report.oversold_units = balance.oversold_units;
    report.oversold_cells = balance.oversold_cells;
    report.cells_compared = compared.cells;
    report.cells_atp_differs = compared.atp_differs;
    report.digest_agrees = compared.ledger_digest == compared.daemon_digest;
    report.accounts_agree = compared.agree();
    for told in &compared.surprises.told {
        surprises.note(told.clone());
    }
    report.surprises = surprises.count;
    report.surprises_told = surprises.told;
}

fn bar(len: usize, what: &str, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    // Indicatif draws on standard error, and not at all where that is no terminal.
    let style = ProgressStyle::with_template(&format!(
        "{{bar:30}} {{human_pos}}/{{human_len}} {what}, {{per_sec}}, {{eta}} left"
    ));
    ProgressBar::new(len as u64).with_style(style.expect("the template is one"))
}

fn mean(cost: Money, orders: u64) -> f64 {
    cost.0 as f64 / 1e6 / orders.max(1) as f64
}

fn micros(amount: u64) -> Money {
    Money(i64::try_from(amount).unwrap_or(i64::MAX))
}

fn slack(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number; write it like 1.3"))?;
    if (0.0..=100.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is out of bounds; give 0 to 100"))
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number; write it like 0.25"))?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is no probability; give 0 to 1"))
    }
}
