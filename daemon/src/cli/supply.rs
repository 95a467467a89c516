//! `supply put`, `receive`, `list` and `waiting`: what is on its way to cells, and who waits for it.

use clap::{Args, Subcommand};
use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::query::Query;
use earmark_protocol::reply::Reply;
use earmark_protocol::supply::{Receive, SupplySpec, WaitView};
use serde_json::json;

use super::cells::{Cell, cells, named, numbers};
use super::change::{Id, send};
use super::codes::{Names, Unnamed, all_pages, handles};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::CellText;
use crate::data::field::{self, day_text};

/// `earmark supply`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum SupplyCommand {
    /// Say what a purchase order or transfer still brings to cells, and when; 0 units where nothing comes any more
    Put(PutArgs),
    /// Take in what arrived: it is on hand, and no longer to come
    Receive(ReceiveArgs),
    /// List what is on its way
    List(ListArgs),
    /// List who waits for it, in the order in which they are served, each with the day that was said and the day it is now
    Waiting(WaitingArgs),
}

/// `earmark supply put`.
#[derive(Clone, Debug, Args)]
pub(super) struct PutArgs {
    /// Code of the purchase order or transfer
    #[arg(value_name = "SUPPLY")]
    supply: String,
    /// What is still to come: SKU@NODE:UNITS or SKU@NODE/SEGMENT:UNITS
    #[arg(required = true, value_name = "CELL:UNITS")]
    cells: Vec<CellText>,
    /// The day on which it is expected, by the node's clock, like 2026-11-27
    #[arg(long, value_name = "DATE", value_parser = field::day)]
    day: u32,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark supply receive`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReceiveArgs {
    /// Code of the purchase order or transfer
    #[arg(value_name = "SUPPLY")]
    supply: String,
    /// What arrived: SKU@NODE:UNITS or SKU@NODE/SEGMENT:UNITS
    #[arg(required = true, value_name = "CELL:UNITS")]
    cells: Vec<CellText>,
    /// Nothing more of it comes to these cells, whatever was expected
    #[arg(long)]
    close: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark supply list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    /// A sku's code; without it, all skus
    #[arg(value_name = "SKU")]
    sku: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark supply waiting`.
#[derive(Clone, Debug, Args)]
pub(super) struct WaitingArgs {
    /// A sku's code; without it, all skus
    #[arg(value_name = "SKU")]
    sku: Option<String>,
    /// Those alone whose supply comes later than was said, or not at all
    #[arg(long)]
    late: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &SupplyCommand, session: &Session) -> Outcome {
    match command {
        SupplyCommand::Put(args) => put(args, session).await,
        SupplyCommand::Receive(args) => receive(args, session).await,
        SupplyCommand::List(args) => list(args, session).await,
        SupplyCommand::Waiting(args) => waiting(args, session).await,
    }
}

async fn put(args: &PutArgs, session: &Session) -> Outcome {
    let units = numbers(&args.cells, field::count)?;
    let client = session.connect(&args.connection).await?;
    let cells = cells(&client, &args.cells).await?;
    let specs = cells.into_iter().zip(units).map(|(Cell { sku, node, segment }, quantity)| SupplySpec {
        code: args.supply.clone(),
        sku,
        node,
        segment,
        quantity,
        day: args.day,
    });
    let body = CommandBody::PutSupplies(specs.collect());
    let attempted = format!("putting supply {} for {}", args.supply, day_text(args.day));
    let answer = send(&client, args.id, body, &attempted, |refusal| named(refusal, &args.cells)).await?;
    with_late(answer, &client, &args.cells).await
}

/// The answer, with those who are served later than was said, or not at all, for these cells.
async fn with_late(mut answer: Answer, client: &Client, texts: &[CellText]) -> Outcome {
    let cells = cells(client, texts).await?;
    let mut late = all_waiting(client, true).await?;
    late.retain(|WaitView { key, .. }| {
        cells.contains(&Cell { sku: key.sku, node: key.node, segment: key.segment })
    });
    let hit = named_waiting(client, &late).await?;
    if !late.is_empty() {
        answer.text += "Served later than was said, or not at all:\n";
        answer.text += &hit.text;
    }
    answer.json["late"] = hit.json["waiting"].clone();
    Ok(answer)
}

async fn receive(args: &ReceiveArgs, session: &Session) -> Outcome {
    let units = numbers(&args.cells, field::quantity)?;
    let client = session.connect(&args.connection).await?;
    let cells = cells(&client, &args.cells).await?.into_iter().zip(units);
    let cells = cells.map(|(cell, units)| cell.units(units)).collect();
    let body = CommandBody::Receive(Receive { code: args.supply.clone(), cells, closes: args.close });
    let attempted = format!("receiving supply {}", args.supply);
    let answer = send(&client, args.id, body, &attempted, |refusal| named(refusal, &args.cells)).await?;
    with_late(answer, &client, &args.cells).await
}

async fn list(args: &ListArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let mut supplies = all_supplies(&client).await?;
    if let Some(code) = &args.sku {
        let (skus, _) = handles(&client, &[code.as_str()], &[]).await?;
        supplies.retain(|spec| skus.contains(&spec.sku));
    }
    let mut unnamed = Unnamed::default();
    supplies.iter().for_each(|spec| unnamed.cell(spec.sku, spec.node));
    let names = Names::of(&client, unnamed).await?;
    Ok(listing(&supplies, &names))
}

async fn waiting(args: &WaitingArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let mut all = all_waiting(&client, args.late).await?;
    if let Some(code) = &args.sku {
        let (skus, _) = handles(&client, &[code.as_str()], &[]).await?;
        all.retain(|wait| skus.contains(&wait.key.sku));
    }
    named_waiting(&client, &all).await
}

async fn named_waiting(client: &Client, all: &[WaitView]) -> Outcome {
    let mut unnamed = Unnamed::default();
    all.iter().for_each(|wait| unnamed.cell(wait.key.sku, wait.key.node));
    let names = Names::of(client, unnamed).await?;
    Ok(queue(all, &names))
}

fn queue(all: &[WaitView], names: &Names) -> Answer {
    let columns =
        ["sku", "node", ">segment", "reservation", ">line", ">awaited", ">backordered", "said", "now"];
    let (mut table, mut rows) = (Table::new(&columns), Vec::new());
    for WaitView { key, reservation, line, awaited, backordered, said_day, day, overdue_since } in all {
        let (sku, node, said) = (names.sku(key.sku), names.node(key.node), day_text(*said_day));
        let (now, overdue_since) = (day.map(day_text), overdue_since.map(day_text));
        rows.push(json!({
            "sku": sku,
            "node": node,
            "segment": key.segment,
            "reservation": reservation,
            "line": line,
            "awaited": awaited,
            "backordered": backordered,
            "said": said,
            "now": now,
            "overdue_since": overdue_since,
        }));
        let numbers = [line.to_string(), awaited.to_string(), backordered.to_string()];
        let mut fields = vec![sku, node, key.segment.to_string(), reservation.to_string()];
        fields.extend(numbers);
        fields.extend([said, now_text(now, overdue_since)]);
        table.row(fields);
    }
    let text = if rows.is_empty() { "nobody waits for supply\n".to_owned() } else { table.text("") };
    Answer { text, json: json!({ "waiting": rows }) }
}

/// When somebody who waits is served now.
fn now_text(now: Option<String>, overdue_since: Option<String>) -> String {
    let overdue = || overdue_since.map(|day| format!("overdue since {day}"));
    now.or_else(overdue).unwrap_or_else(|| "never".to_owned())
}

async fn all_waiting(client: &Client, late: bool) -> Result<Vec<WaitView>, Failure> {
    let behind = |last: Option<&WaitView>| Query::Waiting { after: last.map(|last| last.key), late };
    all_pages(client, "listing who waits for supply", behind, |reply| match reply {
        Reply::Waiting(page) => Some(page),
        _ => None,
    })
    .await
}

fn listing(supplies: &[SupplySpec], names: &Names) -> Answer {
    let mut table = Table::new(&["supply", "sku", "node", ">segment", ">units", "day"]);
    let mut rows = Vec::new();
    for spec in supplies {
        let (sku, node, day) = (names.sku(spec.sku), names.node(spec.node), day_text(spec.day));
        rows.push(json!({
            "supply": spec.code,
            "sku": sku,
            "node": node,
            "segment": spec.segment,
            "units": spec.quantity,
            "day": day,
        }));
        let (segment, units) = (spec.segment.to_string(), spec.quantity.to_string());
        table.row([spec.code.clone(), sku, node, segment, units, day]);
    }
    let text = if rows.is_empty() { "nothing is on its way".to_owned() } else { table.text("") };
    Answer { text, json: json!({ "supplies": rows }) }
}

async fn all_supplies(client: &Client) -> Result<Vec<SupplySpec>, Failure> {
    let behind = |last: Option<&SupplySpec>| Query::Supplies { after: last.map(SupplySpec::key) };
    all_pages(client, "listing supplies", behind, |reply| match reply {
        Reply::Supplies(page) => Some(page),
        _ => None,
    })
    .await
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::{CommandId, LineId, NodeIx, Segment, SkuIx};
    use earmark_protocol::supply::WaitKey;

    use super::*;

    #[test]
    fn who_waits_is_told_a_day_or_since_when_it_is_overdue_or_that_nothing_comes() {
        let wait = |day, overdue_since| WaitView {
            key: WaitKey { sku: SkuIx(7), node: NodeIx(2), segment: Segment(1), turn: 3 },
            reservation: CommandId::default(),
            line: LineId(1),
            awaited: 2,
            backordered: 0,
            said_day: 20_784,
            day,
            overdue_since,
        };
        let waits = [wait(Some(20_785), None), wait(None, Some(20_784)), wait(None, None)];
        let answer = queue(&waits, &Names::default());
        let lines: Vec<_> = answer.text.lines().rev().take(3).collect();
        let ends = ["never", "overdue since 2026-11-27", "2026-11-28"];
        assert!(lines.iter().zip(ends).all(|(line, end)| line.trim_end().ends_with(end)), "{}", answer.text);
        let rows = answer.json["waiting"].as_array().expect("a row each").iter();
        let now: Vec<_> = rows.map(|row| [row["now"].clone(), row["overdue_since"].clone()]).collect();
        let (day, since) = (json!("2026-11-28"), json!("2026-11-27"));
        assert_eq!(now, [[day, json!(null)], [json!(null), since], [json!(null), json!(null)]]);
    }

    #[test]
    fn supplies_are_listed_with_their_days_and_their_absence_is_said() {
        let (sku, node, segment) = (SkuIx(7), NodeIx(2), Segment(1));
        let spec = SupplySpec { code: "PO-7".to_owned(), sku, node, segment, quantity: 40, day: 20_784 };
        let answer = listing(&[spec], &Names::default());
        let last = answer.text.lines().last().unwrap_or_default();
        let words: Vec<_> = last.split_whitespace().collect();
        assert_eq!(words, ["PO-7", "sku", "#7", "node", "#2", "1", "40", "2026-11-27"]);
        assert_eq!(answer.json["supplies"][0]["units"], 40);
        assert_eq!(listing(&[], &Names::default()).text, "nothing is on its way");
    }
}
