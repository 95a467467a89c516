//! `check` and `import`: a directory of data files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use earmark_protocol::refusal::{Field, RefusalCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::words::plural;
use crate::data::load::{LoadError, load};
use crate::data::trouble::{BAD_ROWS_MAX, BadRows};
use crate::data::write::write;
use crate::data::{DataSet, check_orders, file_names, read_dir, read_dir_for};
use crate::demo::scenario::Scenario;

/// A directory.
#[derive(Clone, Debug, Args)]
pub(super) struct Directory {
    /// A directory with any of calendars, nodes, skus, kits, substitutes, rates, zones, services, tariffs, stock, supplies, orders as .csv or .jsonl, perhaps .gz (see docs/data-files.md)
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Most bad rows to report
    #[arg(long, default_value_t = BAD_ROWS_MAX, value_name = "N")]
    bad_rows_max: usize,
}

/// `earmark check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    directory: Directory,
}

/// `earmark import`.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    connection: Connection,
}

/// Checks a directory without a daemon.
pub(super) fn check(args: &CheckArgs) -> Outcome {
    let Directory { directory, bad_rows_max } = &args.directory;
    let data = read_all(directory, *bad_rows_max, "checking")?;
    let (mut text, mut json) = (String::new(), json!({ "ok": true }));
    let tariffs = &data.tariff_files;
    let files = [
        ("calendars", "calendars", data.calendars.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("nodes", "nodes", data.nodes.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("skus", "skus", data.skus.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("kits", "kits", data.kits.as_ref().map(|file| (&file.name, file.rows.len()))),
        (
            "substitutes",
            "skus with substitutes",
            data.substitutes.as_ref().map(|file| (&file.name, file.rows.len())),
        ),
        ("rates", "rates", tariffs.rates.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("zones", "pairs", tariffs.zones.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("services", "services", tariffs.services.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("tariffs", "price steps", tariffs.steps.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("stock", "cells", data.stock.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("supplies", "supplies", data.supplies.as_ref().map(|file| (&file.name, file.rows.len()))),
        ("orders", "orders", data.orders.as_ref().map(|file| (&file.name, file.rows.len()))),
    ];
    for (key, what, file) in files {
        if let Some((name, rows)) = file {
            let _ = writeln!(text, "{name}: {rows} {what}, all good");
            json[key] = json!(rows);
        }
    }
    let needs = tariffs.needs();
    needs.iter().for_each(|need| text += &format!("{need}\n"));
    text += &notes(&data);
    json["ignored"] = json!(data.ignored);
    json["needs"] = json!(needs);
    Ok(Answer { text, json })
}

/// Checks a directory and sends it to a daemon.
pub(super) async fn import(args: &ImportArgs, session: &Session, quiet: bool) -> Outcome {
    let (Directory { directory, bad_rows_max }, verb) = (&args.directory, "importing");
    // How long an order may be is for the daemon to say.
    let data = read_by(directory, *bad_rows_max, verb, |dir, bad| read_dir_for(dir, u32::MAX, bad))?;
    let client = session.connect(&args.connection).await?;
    let mut bad = BadRows::new(*bad_rows_max);
    check_orders(&data, client.hello().limits.lines_max, &mut bad);
    none_bad(directory, verb, &bad)?;
    let rows = data.calendars.as_ref().map_or(0, |file| file.rows.len())
        + data.nodes.as_ref().map_or(0, |file| file.rows.len())
        + data.skus.as_ref().map_or(0, |file| file.rows.len())
        + data.kits.as_ref().map_or(0, |file| file.rows.len())
        + data.substitutes.as_ref().map_or(0, |file| file.rows.len())
        + data.stock.as_ref().map_or(0, |file| file.rows.len())
        + data.supplies.as_ref().map_or(0, |file| file.rows.len());
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(rows as u64) };
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left");
    bar.set_style(style.expect("the template is one"));
    let loaded = load(&client, &data, |rows| bar.inc(rows)).await;
    bar.finish_and_clear();
    let loaded = loaded.map_err(|error| refused(error, &data))?;
    let mut text = format!(
        "imported {}, {}, {}, {} with {} units\n",
        plural(loaded.nodes, "node"),
        plural(loaded.skus, "sku"),
        plural(loaded.services, "service"),
        plural(loaded.cells, "cell"),
        loaded.units
    );
    if loaded.rates + loaded.zones > 0 {
        let (rates, zones) = (plural(loaded.rates, "rate"), plural(loaded.zones, "pair"));
        let _ = writeln!(text, "imported {rates} of currencies, {zones} of zones");
    }
    if loaded.calendars > 0 {
        let _ = writeln!(text, "imported {}", plural(loaded.calendars, "calendar"));
    }
    if loaded.kits > 0 {
        let _ = writeln!(text, "imported {}", plural(loaded.kits, "kit"));
    }
    if loaded.substitutes > 0 {
        let _ = writeln!(text, "imported substitutes of {}", plural(loaded.substitutes, "sku"));
    }
    if loaded.supplies > 0 {
        let what = if loaded.supplies == 1 { "supply" } else { "supplies" };
        let _ = writeln!(text, "imported {} {what}", loaded.supplies);
    }
    if let Some(orders) = &data.orders {
        let _ = writeln!(
            text,
            "{}: {} orders checked, none sent; reserve one with `earmark reserve --from FILE --order CODE`",
            orders.name,
            orders.rows.len()
        );
    }
    text += &notes(&data);
    Ok(Answer { text, json: json!({ "imported": loaded, "ignored": data.ignored }) })
}

/// Why not all was taken; of a currency without a rate, where it stands.
fn refused(error: LoadError, data: &DataSet) -> Failure {
    let lacks_rate = matches!(&error, LoadError::Refused { refusal, .. }
        if refusal.code == RefusalCode::TariffInvalid && refusal.field == Field::Currency);
    let mut failure = Failure::from(error);
    for need in data.tariff_files.needs().iter().filter(|_| lacks_rate) {
        failure.text += &format!("\n{need}");
    }
    failure
}

/// Writes the scenario of a demo as data files.
pub(super) fn write_demo(scenario: &Scenario, dir: &Path) -> Outcome {
    write(dir, &scenario.nodes, &scenario.skus, &scenario.counts(), &scenario.order_data()).map_err(
        |error| {
            Failure::usage(format!(
                "writing data files to {}: {error}; name a directory with room",
                dir.display()
            ))
        },
    )?;
    let (orders, cells) = (scenario.orders.len(), scenario.stock.cells.len());
    let (nodes, skus) = (scenario.nodes.len(), scenario.skus.len());
    let text = format!(
        "wrote {nodes} nodes, {skus} skus, {cells} cells and {orders} orders to {}; see them with `earmark check`, route \
         them with `earmark replay`",
        dir.display()
    );
    let written = json!({ "nodes": nodes, "skus": skus, "cells": cells, "orders": orders });
    Ok(Answer { text, json: json!({ "written": written }) })
}

/// All files of a directory, where they have no bad row.
pub(super) fn read_all(path: &Path, bad_rows_max: usize, verb: &str) -> Result<DataSet, Failure> {
    read_by(path, bad_rows_max, verb, read_dir)
}

fn read_by(
    path: &Path,
    bad_rows_max: usize,
    verb: &str,
    read: impl FnOnce(&Path, &mut BadRows) -> DataSet,
) -> Result<DataSet, Failure> {
    if !path.is_dir() {
        return Err(Failure::usage(format!("{verb} {}: it is no directory; name one", path.display())));
    }
    let mut bad = BadRows::new(bad_rows_max);
    let data = read(path, &mut bad);
    none_bad(path, verb, &bad).map(|()| data)
}

fn none_bad(path: &Path, verb: &str, bad: &BadRows) -> Result<(), Failure> {
    if bad.is_empty() { Ok(()) } else { Err(Failure::bad_rows(&format!("{verb} {}", path.display()), bad)) }
}

fn notes(data: &DataSet) -> String {
    let mut text = String::new();
    for name in &data.ignored {
        let _ = writeln!(text, "{name}: ignored, it is none of {}", file_names());
    }
    text
}
