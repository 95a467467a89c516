//! `reviews`: the reservations that wait for somebody to look at them.

use clap::Args;
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, ReviewView};
use serde_json::json;

use super::codes::query;
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::{class_text, moment_text};
use super::words::{deadline_json, money};

/// `earmark reviews`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReviewsArgs {
    #[command(flatten)]
    connection: Connection,
}

/// Lists what waits for review, what expires first at the top.
pub(super) async fn reviews(args: &ReviewsArgs, session: &Session) -> Outcome {
    let attempted = "asking what waits for review";
    let client = session.connect(&args.connection).await?;
    let (mut from, mut waiting) = (Some(0), Vec::<ReviewView>::new());
    while let Some(at) = from {
        let Reply::Reviews(page) = query(&client, Query::Reviews { from: at }, attempted).await? else {
            return Err(Failure::unexpected(attempted));
        };
        waiting.extend(page.waiting);
        from = page.next;
    }
    waiting.sort_by_key(|view| (view.deadline, view.reservation));
    let mut table = Table::new(&["reservation", "class", "held until", ">units", ">worth", ">policy"]);
    for view in &waiting {
        table.row([
            view.reservation.to_string(),
            class_text(view.class),
            moment_text(view.deadline),
            view.units.to_string(),
            view.value.map(money).unwrap_or_default(),
            view.policy.to_string(),
        ]);
    }
    let rows = waiting.iter().map(|view| {
        json!({
            "id": view.reservation,
            "class": class_text(view.class),
            "deadline": deadline_json(view.deadline),
            "units": view.units,
            "value": view.value.map(money),
            "policy": view.policy,
        })
    });
    let json = json!({ "reviews": rows.collect::<Vec<_>>() });
    Ok(Answer { text: table.text(""), json })
}
