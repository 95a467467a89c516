//! `kit put`, `remove` and `list`: what kits are put together of.

use clap::{Args, Subcommand};
use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::Field;
use earmark_protocol::reply::Reply;
use serde_json::json;

use super::change::{Id, send};
use super::codes::{Names, Unnamed, all_pages, handles, sku_behind};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::LineText;

/// `earmark kit`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum KitCommand {
    /// Say what a kit is put together of: a sku that was never stocked itself, and whose components are
    Put(PutArgs),
    /// Have a sku be no kit any more
    Remove(RemoveArgs),
    /// List all kits
    List(ListArgs),
}

/// `earmark kit put`.
#[derive(Clone, Debug, Args)]
pub(super) struct PutArgs {
    /// The kit's code
    #[arg(value_name = "KIT")]
    kit: String,
    /// Its components, and how many of each are in one kit: SKU or SKU:UNITS
    #[arg(required = true, value_name = "SKU:UNITS")]
    components: Vec<LineText>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark kit remove`.
#[derive(Clone, Debug, Args)]
pub(super) struct RemoveArgs {
    /// The kit's code
    #[arg(value_name = "KIT")]
    kit: String,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark kit list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &KitCommand, session: &Session) -> Outcome {
    match command {
        KitCommand::Put(args) => {
            if args.components.iter().any(|part| part.at.is_some()) {
                let text = "reading the components: a kit has them wherever they lie; leave @NODE away";
                return Err(Failure::usage(text.to_owned()));
            }
            let client = session.connect(&args.connection).await?;
            put(&client, &args.kit, &args.components, args.id).await
        }
        KitCommand::Remove(args) => {
            let client = session.connect(&args.connection).await?;
            put(&client, &args.kit, &[], args.id).await
        }
        KitCommand::List(args) => {
            let client = session.connect(&args.connection).await?;
            let kits = all_kits(&client).await?;
            let mut unnamed = Unnamed::default();
            for spec in &kits {
                unnamed.sku(spec.kit);
                spec.components.iter().for_each(|component| unnamed.sku(component.sku));
            }
            let names = Names::of(&client, unnamed).await?;
            Ok(listing(&kits, &names))
        }
    }
}

async fn put(client: &Client, kit: &str, components: &[LineText], id: Id) -> Outcome {
    let codes: Vec<&str> =
        std::iter::once(kit).chain(components.iter().map(|part| part.sku.as_str())).collect();
    let (skus, _) = handles(client, &codes, &[]).await?;
    let parts = skus.iter().skip(1).zip(components);
    let spec = KitSpec {
        kit: skus[0],
        components: parts.map(|(sku, part)| Component { sku: *sku, quantity: part.quantity }).collect(),
    };
    let attempted =
        if components.is_empty() { format!("removing kit {kit}") } else { format!("putting kit {kit}") };
    let named = |refusal: &earmark_protocol::refusal::Refusal| {
        (refusal.field != Field::Component).then(|| kit.to_owned())
    };
    send(client, id, CommandBody::PutKits(vec![spec]), &attempted, named).await
}

fn listing(kits: &[KitSpec], names: &Names) -> Answer {
    let (mut table, mut rows) = (Table::new(&["kit", "component", ">units"]), Vec::new());
    for spec in kits {
        let kit = names.sku(spec.kit);
        let mut components = Vec::new();
        for (at, component) in spec.components.iter().enumerate() {
            let (sku, units) = (names.sku(component.sku), component.quantity);
            let first = if at == 0 { kit.clone() } else { String::new() };
            table.row([first, sku.clone(), units.to_string()]);
            components.push(json!({ "sku": sku, "units": units }));
        }
        rows.push(json!({ "kit": kit, "components": components }));
    }
    let text = if rows.is_empty() { "there is no kit".to_owned() } else { table.text("") };
    Answer { text, json: json!({ "kits": rows }) }
}

async fn all_kits(client: &Client) -> Result<Vec<KitSpec>, Failure> {
    let behind = |last: Option<&KitSpec>| Query::Kits { from: sku_behind(last.map(|last| last.kit)) };
    all_pages(client, "listing kits", behind, |reply| match reply {
        Reply::Kits(page) => Some(page),
        _ => None,
    })
    .await
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::SkuIx;

    use super::*;

    #[test]
    fn kits_are_listed_with_their_components_and_their_absence_is_said() {
        let part = |sku, quantity| Component { sku: SkuIx(sku), quantity };
        let spec = KitSpec { kit: SkuIx(7), components: vec![part(1, 2), part(3, 1)] };
        let answer = listing(&[spec], &Names::default());
        let lines: Vec<Vec<&str>> =
            answer.text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["sku", "#7", "sku", "#1", "2"], vec!["sku", "#3", "1"]]);
        assert_eq!(answer.json["kits"][0]["components"][1]["units"], 1);
        assert_eq!(listing(&[], &Names::default()).text, "there is no kit");
    }
}
