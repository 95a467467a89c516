//! `replan`: confirmed orders looked at again, and moved where that saves something.

use clap::Args;
use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::Money;
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, Saving};
use serde_json::json;

use super::codes::query;
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::words::{cents, money, plural};

/// `earmark replan`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReplanArgs {
    /// Say what would be saved, and move nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Looks at all orders that their policies have looked at again, and moves what costs less elsewhere.
pub(super) async fn replan(args: &ReplanArgs, session: &Session) -> Outcome {
    let attempted = "looking at confirmed orders again";
    let client = session.connect(&args.connection).await?;
    let (mut from, mut looked_at, mut moved, mut saved_in_all) = (0, 0, 0, 0_i64);
    let (mut table, mut rows) = (Table::new(&["orders", ">saves", "outcome"]), Vec::new());
    loop {
        let Reply::Replanned(page) = query(&client, Query::Replan { from }, attempted).await? else {
            return Err(Failure::unexpected(attempted));
        };
        looked_at += page.looked_at;
        for Saving { command, saved } in page.moves {
            let orders: Vec<_> = command.orders.iter().map(|order| order.reservation.to_string()).collect();
            let (outcome, saved) = if args.dry_run {
                ("could be moved", saved)
            } else {
                match client.command(CommandBody::Move(command)).await {
                    Ok(Reply::Done(done)) => {
                        let saved = done.plans.iter().filter_map(|plan| plan.saved).map(|saved| saved.0);
                        ("moved", Money(saved.sum()))
                    }
                    // It changed since it was looked at: the next look sees it as it is then.
                    Ok(Reply::Refused(refused)) => (refused.refusal.code.name(), Money(0)),
                    Ok(_) => return Err(Failure::unexpected(attempted)),
                    Err(error) => return Err(Failure::client(attempted, &error)),
                }
            };
            if saved.0 != 0 {
                (moved, saved_in_all) = (moved + orders.len(), saved_in_all + saved.0);
            }
            table.row([orders.join(" "), cents(saved), outcome.to_owned()]);
            rows.push(json!({ "orders": orders, "saved": money(saved), "outcome": outcome }));
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let verb = if args.dry_run { "could be moved" } else { "moved" };
    let sum = format!(
        "looked at {}: {moved} {verb}, which saves {}",
        plural(looked_at as usize, "order"),
        cents(Money(saved_in_all))
    );
    let json = json!({
        "dry_run": args.dry_run,
        "looked_at": looked_at,
        "orders": moved,
        "saved": money(Money(saved_in_all)),
        "moves": rows,
    });
    Ok(Answer { text: format!("{sum}\n{}", table.text("  ")), json })
}
