//! Questions about what is: `atp`, `show`, `explain`, `stats`.

use std::collections::btree_map::Entry;
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::Client;
use earmark_protocol::ids::{CommandId, Segment};
use earmark_protocol::query::{Atp, Query, Scope};
use earmark_protocol::reply::{Plan, Reply, ReservationView};
use serde_json::{Map, Value, json};

use super::alternatives::alternatives;
use super::codes::{Names, Unnamed, handles, query};
use super::connect::{Connection, Session};
use super::digest;
use super::image::ImageCommand;
use super::outcome::{Answer, Failure, Outcome};
use super::policy;
use super::table::Table;
use super::words::{Policies, explanation, reservation_json, reservation_text};
use crate::data::field;

/// `earmark atp`.
#[derive(Clone, Debug, Args)]
pub(super) struct AtpArgs {
    /// Codes of skus
    #[arg(required = true, value_name = "SKU")]
    skus: Vec<String>,
    /// At this node, whatever its state; may be given often. Without it, at all active nodes
    #[arg(long = "node", value_name = "NODE", conflicts_with = "group")]
    nodes: Vec<String>,
    /// At the active nodes of this group
    #[arg(long)]
    group: Option<String>,
    /// In this segment alone; without it, in all together
    #[arg(long, value_parser = field::segment, value_name = "NUMBER")]
    segment: Option<Segment>,
    /// Say what supply adds by this day, like 2026-11-27
    #[arg(long, value_name = "DATE", value_parser = field::day)]
    by: Option<u32>,
    /// Show every node, not the sum alone
    #[arg(long)]
    per_node: bool,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark show` and `earmark explain`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReservationArgs {
    /// The reservation's id, as `reserve` printed it
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    #[command(flatten)]
    connection: Connection,
}

/// How long an image may take at least: some hundred GiB.
const IMAGE_TIME: Duration = Duration::from_secs(600);

/// `earmark stats`.
#[derive(Clone, Debug, Args)]
pub(super) struct StatsArgs {
    /// Add the sums and the digest over all cells, all at one moment
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark snapshot`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct SnapshotArgs {
    #[command(subcommand)]
    pub(super) look: Option<ImageCommand>,
    #[command(flatten)]
    connection: Connection,
}

/// What can be promised.
pub(super) async fn atp(args: &AtpArgs, session: &Session) -> Outcome {
    let attempted = "asking what can be promised";
    let client = session.connect(&args.connection).await?;
    let skus: Vec<_> = args.skus.iter().map(String::as_str).collect();
    let nodes: Vec<_> = args.nodes.iter().map(String::as_str).collect();
    let (skus, nodes) = handles(&client, &skus, &nodes).await?;
    let scope = match &args.group {
        Some(group) => Scope::Group(group.clone()),
        None if nodes.is_empty() => Scope::All,
        None => Scope::Nodes(nodes),
    };
    let (segment, per_node, by_day) = (args.segment, args.per_node, args.by);
    let question = Atp { skus, scope, segment, per_node, by_day };
    let Reply::Atp(reply) = query(&client, Query::Atp(question), attempted).await? else {
        return Err(Failure::unexpected(attempted));
    };
    let mut unnamed = Unnamed::default();
    reply.skus.iter().flat_map(|sku| &sku.cells).for_each(|cell| unnamed.node(cell.node));
    let names = Names::of(&client, unnamed).await?;

    let mut columns = vec!["sku", ">available", ">short"];
    columns.extend(args.by.map(|_| ">inbound"));
    columns.extend(args.per_node.then_some(["node", ">segment"]).into_iter().flatten());
    let (mut table, mut rows) = (Table::new(&columns), Vec::new());
    for (code, sku) in args.skus.iter().zip(&reply.skus) {
        let mut row = json!({ "sku": code, "available": sku.available, "short": sku.short });
        let mut fields = vec![code.clone(), sku.available.to_string(), sku.short.to_string()];
        if args.by.is_some() {
            row["inbound"] = json!(sku.inbound);
            fields.push(sku.inbound.to_string());
        }
        if args.per_node {
            row["cells"] = json!([]);
            fields.extend(["all".to_owned(), String::new()]);
        }
        table.row(fields);
        for cell in &sku.cells {
            let (available, short) = (cell.available.max(0), (-cell.available).max(0));
            let node = names.node(cell.node);
            let mut of_cell = json!({ "node": node, "segment": cell.segment, "available": cell.available });
            let mut fields = vec![String::new(), available.to_string(), short.to_string()];
            if args.by.is_some() {
                of_cell["inbound"] = json!(cell.inbound);
                fields.push(cell.inbound.to_string());
            }
            fields.extend([node, cell.segment.to_string()]);
            table.row(fields);
            if let Value::Array(cells) = &mut row["cells"] {
                cells.push(of_cell);
            }
        }
        rows.push(row);
    }
    Ok(Answer { text: table.text(""), json: json!({ "lsn": reply.lsn, "skus": rows }) })
}

/// A reservation as it is.
pub(super) async fn show(args: &ReservationArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let (view, names) = shown(&client, args.reservation, "showing the reservation").await?;
    Ok(Answer { text: reservation_text(&view, &names), json: reservation_json(&view, &names) })
}

/// Why it lies where it lies.
pub(super) async fn explain(args: &ReservationArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let (view, names) = shown(&client, args.reservation, "explaining the reservation").await?;
    let mut obeyed = policies(&client, &view.plans).await?;
    let mut text = explanation(&view, &names, &obeyed);
    let mut json = reservation_json(&view, &names);
    json["alternatives"] = Value::Null;
    // What was routed again has parts in several plans: only the first is of the order as a whole.
    if let (Some(order), [plan], false) = (&view.order, &view.plans[..], view.status.is_final())
        && let Some(others) = alternatives(&client, order, plan, !plan.unfilled.is_empty()).await?
    {
        let mut unnamed = Unnamed::default();
        others.unnamed(&mut unnamed);
        let names = Names::of(&client, unnamed).await?;
        text += "\nWhat else there would be now, planned anew beside it; what it holds itself is not free:\n";
        obeyed.extend(policies(&client, others.plans()).await?);
        text += &others.text(plan, &names, &obeyed);
        json["alternatives"] = others.json(&names);
    }
    json["explanation"] = json!(text);
    Ok(Answer { text, json })
}

/// The policies that plans obey, as far as the daemon keeps them.
pub(super) async fn policies(
    client: &Client,
    plans: impl IntoIterator<Item = &Plan>,
) -> Result<Policies, Failure> {
    let mut policies = Policies::new();
    for version in plans.into_iter().map(|plan| plan.policy).filter(|version| *version > 0) {
        if let Entry::Vacant(place) = policies.entry(version) {
            place.insert(policy::view(client, version, "asking for the policy it was routed by").await?);
        }
    }
    Ok(policies)
}

async fn shown(
    client: &Client,
    reservation: CommandId,
    attempted: &str,
) -> Result<(Box<ReservationView>, Names), Failure> {
    let Reply::Shown(view) = query(client, Query::Show(reservation), attempted).await? else {
        return Err(Failure::unexpected(attempted));
    };
    let mut unnamed = Unnamed::default();
    unnamed.reservation(&view);
    let names = Names::of(client, unnamed).await?;
    Ok((view, names))
}

/// Counters and levels.
pub(super) async fn stats(args: &StatsArgs, session: &Session) -> Outcome {
    let attempted = "asking for counters";
    let client = session.connect(&args.connection).await?;
    let Reply::Stats(stats) = query(&client, Query::Stats, attempted).await? else {
        return Err(Failure::unexpected(attempted));
    };
    let mut table = Table::new(&["name", ">value"]);
    let mut counters = Map::new();
    for (name, value) in stats {
        table.row([name.clone(), value.to_string()]);
        counters.insert(name, Value::from(value));
    }
    let mut json = json!({ "stats": counters });
    if args.digest {
        let attempted = "asking for the digest, which takes an admin's token";
        let Reply::Digest(digest) = query(&client, Query::Digest, attempted).await? else {
            return Err(Failure::unexpected(attempted));
        };
        let (digest, parts) = digest::told(&digest);
        json["digest"] = digest;
        parts.into_iter().for_each(|(name, value)| table.row([name, value]));
    }
    Ok(Answer { text: table.text(""), json })
}

/// An image, now.
pub(super) async fn snapshot(args: &SnapshotArgs, session: &Session) -> Outcome {
    let attempted = "having an image made";
    // It takes as long as the disk takes to read the last image and to write the next.
    let connection = args.connection.clone().patient(IMAGE_TIME);
    let client = session.connect(&connection).await?;
    let Reply::Snapshot(made) = query(&client, Query::Snapshot, attempted).await? else {
        return Err(Failure::unexpected(attempted));
    };
    let text = match made.bytes {
        0 => format!("there is an image of lsn {} already", made.lsn),
        bytes => format!("wrote an image of lsn {}: {bytes} bytes", made.lsn),
    };
    Ok(Answer { text: format!("{text}; {} kept", made.kept), json: json!({ "snapshot": made }) })
}
