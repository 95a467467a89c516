//! `replay`: orders of a file routed again under two policies, or beside what another system decided; on a copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use earmark_engine::{NodeTable, Rules};
use earmark_protocol::ids::{NodeIx, ServiceIx, Tenant, TimestampMs};
use earmark_protocol::tariff::ServiceView;
use earmark_snapshot::storage::Storage;
use serde_json::{Value, json};

use super::log::look;
use super::outcome::{Answer, Failure, Outcome};
use super::policy;
use super::table::Table;
use super::text::moment;
use super::words::{cents, money, plural};
use crate::clock::Clock;
use crate::config::Config;
use crate::data::trouble::{BAD_ROWS_MAX, BadRows};
use crate::data::{DataFile, DataSet, decisions, orders::OrderData, read_dir, read_orders};
use crate::replay::{self, Difference, Figures, Ground, Placed, ReplayError, Report};

/// `earmark replay`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReplayArgs {
    /// Orders to route, in the order in which they were placed (see docs/data-files.md); without it, those of --data
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    orders: Option<PathBuf>,
    /// Route them on the nodes, skus and stock of these data files
    #[arg(long, value_name = "DIR", required_unless_present = "data_dir")]
    data: Option<PathBuf>,
    /// Route them on a copy of what this daemon's data directory holds; it is only read, and the daemon may be running
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    data_dir: Option<PathBuf>,
    /// A policy to route under; two are compared, one is compared with what is in force there
    #[arg(long = "policy", value_name = "FILE", required_unless_present = "decisions")]
    policies: Vec<PathBuf>,
    /// What another system decided: CSV or JSON lines with order, line, node, quantity
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Take what there is, line by line, where all cannot be had
    #[arg(long)]
    best_effort: bool,
    /// When orders are placed of which the file does not say it; without it, the last moment of the data directory, or now
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    at: Option<TimestampMs>,
    /// The settings of the daemon, for its tariff, channels and limits
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose orders they are, in a data directory
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "data_dir")]
    tenant: u16,
    /// Most differing orders, and nodes, to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
}

/// What orders are routed on, to be made more than once.
struct Source {
    data: Option<DataSet>,
    storage: Option<Arc<dyn Storage>>,
    rules: Rules,
    tenant: Tenant,
    /// Orders and their lines.
    room: (usize, usize),
}

impl Source {
    fn ground(&self) -> Result<Ground, Failure> {
        let made = match (&self.storage, &self.data) {
            (Some(storage), _) => Ground::of_copy(storage, &self.rules, self.tenant, self.room),
            (None, Some(data)) => Ground::of_files(data, self.rules.clone(), self.room),
            (None, None) => Err(ReplayError::NoFile("nodes")),
        };
        made.map_err(|error| match error {
            ReplayError::NoFile(_) => Failure::usage(format!("replaying: {error}")),
            ReplayError::Refused { .. } => Failure::refused(format!("replaying: {error}")),
            _ => Failure::unreachable(format!("replaying: {error}")),
        })
    }

    /// A ground under the policy of a file, or what is in force there, and what that is called.
    fn under(&self, policy: Option<&Path>) -> Result<(Ground, String), Failure> {
        let mut ground = self.ground()?;
        if let Some(file) = policy {
            let (text, name) = policy::checked(file, "replaying under", &services(&ground))?;
            ground.obey(text).map_err(|refusal| Failure::refusal("replaying", &refusal, Some(&name)))?;
            return Ok((ground, name));
        }
        let name = match ground.policy() {
            Some(view) => format!("{} (version {}, in force)", view.name, view.version),
            None => "no policy".to_owned(),
        };
        Ok((ground, name))
    }
}

/// Replays.
pub(super) fn replay(args: &ReplayArgs) -> Outcome {
    if args.policies.len() > 2 || args.decisions.is_some() && args.policies.len() > 1 {
        return Err(Failure::usage(
            "replaying: two ways are compared; give --policy once or twice, or --decisions and at most one --policy",
        ));
    }
    let (source, orders) = read(args)?;
    let (first, second) = match &args.policies[..] {
        [first, second, ..] => (Some(first), Some(second)),
        [only] if args.decisions.is_none() => (None, Some(only)),
        [only] => (Some(only), None),
        [] => (None, None),
    };
    let (ground, name) = source.under(first.map(PathBuf::as_path))?;
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let at = args.at.unwrap_or_else(|| match ground.now() {
        TimestampMs(0) => Clock::start().now(),
        now => now,
    });
    let mut orders = replay::place(ground.reader(), ground.tenant(), orders, &mut bad);
    // What an order obeys depends on when it was placed, and time does not run backwards.
    orders.sort_by_key(|order| order.at.unwrap_or(at));
    let told = args.decisions.as_ref().map(|file| {
        let decisions = decisions::read(file, &mut bad);
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        replay::tell(ground.reader(), ground.tenant(), &orders, decisions, &name, &mut bad)
    });
    if !bad.is_empty() {
        return Err(Failure::bad_rows("reading what is to be replayed", &bad));
    }
    let nodes = ground.reader().nodes();
    let (report, names) = match told {
        Some(told) => {
            let report = replay::against_decisions(ground, &orders, &told, at, args.best_effort);
            (report, [name, "decisions".to_owned()])
        }
        None => both(&source, (ground, name), second, &orders, at, args.best_effort)?,
    };
    Ok(answer(&report, &names, &nodes, args.show))
}

/// The services that there are.
fn services(ground: &Ground) -> Vec<ServiceView> {
    ground.reader().tariffs(ground.tenant(), ServiceIx(0), |_| true).services
}

fn both(
    source: &Source,
    (first, name): (Ground, String),
    second: Option<&PathBuf>,
    orders: &[Placed],
    at: TimestampMs,
    best_effort: bool,
) -> Result<(Report, [String; 2]), Failure> {
    // A mistake in the second policy is told before the first has routed all orders.
    if let Some(file) = second {
        policy::checked(file, "replaying under", &services(&first))?;
    }
    let mut other = String::new();
    let make = || {
        let (ground, name) = source.under(second.map(PathBuf::as_path))?;
        other = name;
        Ok::<_, Failure>(ground)
    };
    let report = replay::under_two(first, make, orders, at, best_effort)?;
    Ok((report, [name, other]))
}

fn read(args: &ReplayArgs) -> Result<(Source, DataFile<OrderData>), Failure> {
    let config = Config::load(args.config.as_deref(), std::env::vars_os(), &[])
        .map_err(|error| Failure::usage(error.to_string()))?;
    let storage = args.data_dir.as_deref().map(look).transpose()?;
    let mut bad = BadRows::new(BAD_ROWS_MAX);
    let mut data = match &args.data {
        Some(dir) if !dir.is_dir() => {
            return Err(Failure::usage(format!(
                "replaying on {}: it is no directory; name one",
                dir.display()
            )));
        }
        dir => dir.as_ref().map(|dir| read_dir(dir, &mut bad)),
    };
    let orders = match &args.orders {
        Some(file) => Some(read_orders(file, &mut bad)),
        None => data.as_mut().and_then(|data| data.orders.take()),
    };
    if !bad.is_empty() {
        return Err(Failure::bad_rows("reading what is to be replayed", &bad));
    }
    let orders =
        orders.ok_or_else(|| Failure::usage("replaying: there are no orders; name a file with --orders"))?;
    let lines = orders.rows.iter().map(|order| order.value.lines.len()).sum();
    let room = (orders.rows.len(), lines);
    let source =
        Source { data, storage, rules: crate::serve::rules(&config), tenant: Tenant(args.tenant), room };
    Ok((source, orders))
}

fn answer(report: &Report, names: &[String; 2], nodes: &NodeTable, show: usize) -> Answer {
    let code = |node: &NodeIx| {
        nodes.nodes.get(node.0 as usize).map_or("?", |node| node.spec.code.as_str()).to_owned()
    };
    let orders = plural(usize::try_from(report.orders).unwrap_or(usize::MAX), "order");
    let mut text = format!("{orders}, each way on a copy of the stock of its own\n");
    if let Some(agreement) = &report.agreement {
        text = format!(
            "{orders} decided elsewhere; {} of them ({:.2} %) ship every unit from the same node, {} more cost the same\n",
            agreement.agree,
            agreement.share() * 100.0,
            agreement.as_cheap
        );
        if agreement.barred > 0 {
            text += &format!("{} use a node that may not serve what is taken from it\n", agreement.barred);
        }
        if agreement.not_there > 0 {
            text += &format!("{} take stock that is not there; they used none up\n", agreement.not_there);
        }
    }
    text += &figures_table(report, names).text("  ");
    text += &loads_table(report, names, &code, show).text("  ");
    if report.differences.is_empty() {
        text += "no order differs\n";
    } else {
        let (differing, dearer) = (plural(report.differences.len(), "order"), cents(report.dearer()));
        text += &format!(
            "{differing} decided differently; where as much is served, the second way costs {dearer} more\n"
        );
        text += &differences_table(&report.differences, &code, show).text("  ");
    }
    let mut ways = [0, 1].map(|way: usize| way_json(&names[way], &report.figures[way], &code));
    if report.agreement.is_some() {
        ways[1]["proven_rate"] = Value::Null;
    }
    let json = json!({
        "orders": report.orders,
        "ways": ways,
        "agreement": report.agreement.as_ref().map(|agreement| json!({
            "decided": agreement.decided,
            "agree": agreement.agree,
            "share": agreement.share(),
            "as_cheap": agreement.as_cheap,
            "barred": agreement.barred,
            "not_there": agreement.not_there,
        })),
        "differing": report.differences.len(),
        "dearer": money(report.dearer()),
        "differences": report.differences.iter().take(show).map(|of| difference_json(of, &code)).collect::<Vec<_>>(),
    });
    Answer { text, json }
}

type Code<'a> = dyn Fn(&NodeIx) -> String + 'a;

fn figures_table(report: &Report, names: &[String; 2]) -> Table {
    let mut table = Table::new(&["", &format!(">{}", names[0]), &format!(">{}", names[1])]);
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> String| {
        table.row([what.to_owned(), of(&report.figures[0]), of(&report.figures[1])]);
    };
    row("orders served", &|of| of.served.to_string());
    row("orders refused", &|of| of.refused.values().sum::<u64>().to_string());
    row("units shipped", &|of| of.units.to_string());
    row("units waiting for supply", &|of| of.units_waiting.to_string());
    row("units without a place", &|of| of.units_unfilled.to_string());
    row("cost", &|of| cents(of.cost));
    row("cost per order", &|of| cents(of.cost_per_order()));
    row("added by the policy", &|of| cents(of.policy_cost));
    row("shipments per order", &|of| format!("{:.3}", of.per_order(of.shipments)));
    row("orders split", &|of| format!("{:.2} %", of.per_order(of.split) * 100.0));
    row("shipments too late", &|of| of.late.to_string());
    row("days late", &|of| of.late_days.to_string());
    row("nodes that ship", &|of| of.nodes.len().to_string());
    // Nobody proves another system's decisions.
    let proven = |of: &Figures| format!("{:.2} %", of.per_order(of.proven) * 100.0);
    let second = if report.agreement.is_some() { String::new() } else { proven(&report.figures[1]) };
    table.row(["proven cheapest".to_owned(), proven(&report.figures[0]), second]);
    table
}

/// What nodes ship, those first whose load changes most.
fn loads_table(report: &Report, names: &[String; 2], code: &Code<'_>, show: usize) -> Table {
    let columns = ["node".to_owned(), format!(">units, {}", names[0]), format!(">units, {}", names[1])];
    let mut table = Table::new(&columns.each_ref().map(String::as_str));
    let [first, second] = &report.figures;
    let units = |figures: &Figures, node| figures.nodes.get(node).map_or(0, |load| load.units);
    let mut loads: Vec<_> = first.nodes.keys().chain(second.nodes.keys()).collect();
    loads.sort_unstable();
    loads.dedup();
    loads.sort_by_key(|node| std::cmp::Reverse(units(first, node).abs_diff(units(second, node))));
    for node in loads.into_iter().take(show) {
        table.row([code(node), units(first, node).to_string(), units(second, node).to_string()]);
    }
    table
}

fn differences_table(differences: &[Difference], code: &Code<'_>, show: usize) -> Table {
    let mut table = Table::new(&["order", ">cost", ">then", ">more", "from", "then"]);
    for difference in differences.iter().take(show) {
        let from = |way: usize| match difference.refused[way] {
            Some(reason) => format!("refused, {}", reason.name()),
            None => difference.nodes[way].iter().map(code).collect::<Vec<_>>().join(" + "),
        };
        let [first, second] = difference.units;
        let more = match difference.dearer {
            Some(dearer) => cents(dearer),
            None if first == second => "no carrier goes".to_owned(),
            None => format!("{first} or {second} units"),
        };
        table.row([
            difference.order.clone(),
            cents(difference.cost[0]),
            cents(difference.cost[1]),
            more,
            from(0),
            from(1),
        ]);
    }
    table
}

fn way_json(name: &str, figures: &Figures, code: &Code<'_>) -> Value {
    let loads = figures.nodes.iter().map(|(node, load)| {
        json!({ "node": code(node), "shipments": load.shipments, "lines": load.lines, "units": load.units })
    });
    let refused = figures.refused.iter().map(|(reason, orders)| (reason.name().to_owned(), json!(orders)));
    json!({
        "name": name,
        "served": figures.served,
        "refused": refused.collect::<serde_json::Map<_, _>>(),
        "units": figures.units,
        "units_waiting": figures.units_waiting,
        "units_unfilled": figures.units_unfilled,
        "cost": money(figures.cost),
        "cost_per_order": money(figures.cost_per_order()),
        "policy_cost": money(figures.policy_cost),
        "shipments": figures.shipments,
        "shipments_per_order": figures.per_order(figures.shipments),
        "split_rate": figures.per_order(figures.split),
        "late_shipments": figures.late,
        "late_days": figures.late_days,
        "proven_rate": figures.per_order(figures.proven),
        "nodes": loads.collect::<Vec<_>>(),
    })
}

fn difference_json(difference: &Difference, code: &Code<'_>) -> Value {
    let nodes = |way: usize| difference.nodes[way].iter().map(code).collect::<Vec<_>>();
    json!({
        "order": difference.order,
        "units": difference.units,
        "cost": difference.cost.map(money),
        "dearer": difference.dearer.map(money),
        "nodes": [nodes(0), nodes(1)],
        "refused": difference.refused.map(|reason| reason.map(|reason| reason.name())),
        "barred": difference.barred.iter().map(code).collect::<Vec<_>>(),
        "uncarried": difference.uncarried.iter().map(code).collect::<Vec<_>>(),
    })
}
