//! `substitute put`, `remove` and `list`: what may stand for skus that cannot be had.

use clap::{Args, Subcommand};
use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, Refusal};
use earmark_protocol::reply::Reply;
use earmark_protocol::substitute::SubstituteSpec;
use serde_json::json;

use super::change::{Id, send};
use super::codes::{Names, Unnamed, all_pages, handles, sku_behind};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;

/// `earmark substitute`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum SubstituteCommand {
    /// Say what may be sent, unit for unit, where a sku cannot be had; the preferred ones first
    Put(PutArgs),
    /// Have nothing stand for a sku any more
    Remove(RemoveArgs),
    /// List all skus that others may stand for
    List(ListArgs),
}

/// `earmark substitute put`.
#[derive(Clone, Debug, Args)]
pub(super) struct PutArgs {
    /// The code of the sku that is ordered
    #[arg(value_name = "SKU")]
    sku: String,
    /// The codes of what may be sent instead, the preferred ones first
    #[arg(required = true, value_name = "SUBSTITUTE")]
    substitutes: Vec<String>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark substitute remove`.
#[derive(Clone, Debug, Args)]
pub(super) struct RemoveArgs {
    /// The code of the sku that is ordered
    #[arg(value_name = "SKU")]
    sku: String,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark substitute list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &SubstituteCommand, session: &Session) -> Outcome {
    match command {
        SubstituteCommand::Put(args) => {
            let client = session.connect(&args.connection).await?;
            put(&client, &args.sku, &args.substitutes, args.id).await
        }
        SubstituteCommand::Remove(args) => {
            let client = session.connect(&args.connection).await?;
            put(&client, &args.sku, &[], args.id).await
        }
        SubstituteCommand::List(args) => {
            let client = session.connect(&args.connection).await?;
            let specs = all(&client).await?;
            let mut unnamed = Unnamed::default();
            for spec in &specs {
                unnamed.sku(spec.sku);
                spec.substitutes.iter().for_each(|sku| unnamed.sku(*sku));
            }
            let names = Names::of(&client, unnamed).await?;
            Ok(listing(&specs, &names))
        }
    }
}

async fn put(client: &Client, sku: &str, substitutes: &[String], id: Id) -> Outcome {
    let codes: Vec<&str> = std::iter::once(sku).chain(substitutes.iter().map(String::as_str)).collect();
    let (skus, _) = handles(client, &codes, &[]).await?;
    let spec = SubstituteSpec { sku: skus[0], substitutes: skus[1..].to_vec() };
    let verb = if substitutes.is_empty() { "removing" } else { "putting" };
    let named = |refusal: &Refusal| (refusal.field != Field::Substitute).then(|| sku.to_owned());
    let attempted = format!("{verb} the substitutes of {sku}");
    send(client, id, CommandBody::PutSubstitutes(vec![spec]), &attempted, named).await
}

fn listing(specs: &[SubstituteSpec], names: &Names) -> Answer {
    let (mut table, mut rows) = (Table::new(&["sku", "substitutes, the preferred ones first"]), Vec::new());
    for spec in specs {
        let substitutes: Vec<String> = spec.substitutes.iter().map(|sku| names.sku(*sku)).collect();
        table.row([names.sku(spec.sku), substitutes.join(", ")]);
        rows.push(json!({ "sku": names.sku(spec.sku), "substitutes": substitutes }));
    }
    let text = if rows.is_empty() { "no sku has substitutes".to_owned() } else { table.text("") };
    Answer { text, json: json!({ "substitutes": rows }) }
}

async fn all(client: &Client) -> Result<Vec<SubstituteSpec>, Failure> {
    let behind =
        |last: Option<&SubstituteSpec>| Query::Substitutes { from: sku_behind(last.map(|last| last.sku)) };
    all_pages(client, "listing substitutes", behind, |reply| match reply {
        Reply::Substitutes(page) => Some(page),
        _ => None,
    })
    .await
}
