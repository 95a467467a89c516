//! `node pause`, `resume`, `retire`, `list` and `days`.

use clap::{Args, Subcommand};
use earmark_protocol::catalogue::{DayLoad, NodeState};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, SetNodeState};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{NodeDay, NodeView, Reply};
use serde_json::json;

use super::change::{Id, send};
use super::codes::{all_nodes, all_pages, node, node_behind};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::words::money;
use crate::data::field::{bit_names, day_text, kind_name};

/// `earmark node`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Take no new holds at a node; what it holds goes on
    Pause(StateArgs),
    /// Take new holds again
    Resume(StateArgs),
    /// Take no new holds, ever again
    Retire(StateArgs),
    /// List all nodes
    List(ListArgs),
    /// List the days of nodes with a limit by day, and what routed orders take of them
    Days(DaysArgs),
}

/// Which node.
#[derive(Clone, Debug, Args)]
pub(super) struct StateArgs {
    /// The node's code
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark node list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

/// `earmark node days`.
#[derive(Clone, Debug, Args)]
pub(super) struct DaysArgs {
    /// A node's code; without it, all nodes
    #[arg(value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &NodeCommand, session: &Session) -> Outcome {
    match command {
        NodeCommand::Pause(args) => set_state(args, session, NodeState::Paused, "pausing").await,
        NodeCommand::Resume(args) => set_state(args, session, NodeState::Active, "resuming").await,
        NodeCommand::Retire(args) => set_state(args, session, NodeState::Retired, "retiring").await,
        NodeCommand::List(args) => list(args, session).await,
        NodeCommand::Days(args) => days(args, session).await,
    }
}

async fn set_state(args: &StateArgs, session: &Session, state: NodeState, verb: &str) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let node = node(&client, &args.node).await?;
    let body = CommandBody::SetNodeState(SetNodeState { node, state });
    send(&client, args.id, body, &format!("{verb} {}", args.node), |_| None).await
}

async fn list(args: &ListArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let columns =
        ["node", "kind", "state", "group", "calendar", ">lat", ">lon", "can", ">order", ">line", ">unit"];
    let (mut table, mut rows) = (Table::new(&columns), Vec::new());
    for view in all_nodes(&client).await? {
        let (spec, state) = (&view.spec, state_name(view.state));
        let (lat, lon) = (f64::from(spec.position.lat_udeg) / 1e6, f64::from(spec.position.lon_udeg) / 1e6);
        let costs = [spec.cost_per_order, spec.cost_per_line, spec.cost_per_unit].map(money);
        let can = bit_names(spec.capabilities);
        rows.push(json!({
            "code": spec.code,
            "kind": kind_name(spec.kind),
            "state": state,
            "group": spec.group,
            "lat": lat,
            "lon": lon,
            "time_zone": spec.time_zone,
            "postal": spec.postal,
            "priority": spec.priority,
            "capabilities": can,
            "cost_per_order": costs[0],
            "cost_per_line": costs[1],
            "cost_per_unit": costs[2],
            "calendar": spec.calendar,
            "day_limit": spec.day_limit,
            "seller": spec.seller,
        }));
        let mut fields = vec![spec.code.clone(), kind_name(spec.kind).to_owned(), state.to_owned()];
        fields.extend([
            spec.group.clone(),
            spec.calendar.clone(),
            format!("{lat:.4}"),
            format!("{lon:.4}"),
            can,
        ]);
        fields.extend(costs);
        table.row(fields);
    }
    Ok(Answer { text: table.text(""), json: json!({ "nodes": rows }) })
}

async fn days(args: &DaysArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    if let Some(code) = &args.node {
        node(&client, code).await?;
    }
    let mut nodes = all_nodes(&client).await?;
    nodes.retain(|view| args.node.as_ref().is_none_or(|code| *code == view.spec.code));
    Ok(days_of(&nodes, &all_days(&client).await?))
}

async fn all_days(client: &Client) -> Result<Vec<NodeDay>, Failure> {
    let behind = |last: Option<&NodeDay>| Query::NodeDays { from: node_behind(last.map(|last| last.node)) };
    all_pages(client, "listing days of nodes", behind, |reply| match reply {
        Reply::NodeDays(page) => Some(page),
        _ => None,
    })
    .await
}

/// Days of these nodes: what is taken of each, of how much.
fn days_of(nodes: &[NodeView], days: &[NodeDay]) -> Answer {
    let mut table = Table::new(&["node", "day", ">orders", ">lines", ">units"]);
    let mut rows = Vec::new();
    let load_json =
        |load: &DayLoad| json!({ "orders": load.orders, "lines": load.lines, "units": load.units });
    for NodeView { node, spec, .. } in nodes {
        let limit = spec.day_limit;
        let own: Vec<_> = days.iter().filter(|of| of.node == *node).collect();
        if own.is_empty() && limit == DayLoad::default() {
            continue;
        }
        let of = |taken: u64, limit: u64| match limit {
            0 => taken.to_string(),
            limit => format!("{taken} of {limit}"),
        };
        let mut row = |day: String, taken: DayLoad| {
            table.row(vec![
                spec.code.clone(),
                day,
                of(taken.orders.into(), limit.orders.into()),
                of(taken.lines.into(), limit.lines.into()),
                of(taken.units, limit.units),
            ]);
        };
        if own.is_empty() {
            row("any".to_owned(), DayLoad::default());
        }
        own.iter().for_each(|of| row(day_text(of.day), of.taken));
        let days: Vec<_> =
            own.iter().map(|of| json!({ "day": day_text(of.day), "taken": load_json(&of.taken) })).collect();
        rows.push(json!({ "node": spec.code, "limit": load_json(&limit), "days": days }));
    }
    let text = if rows.is_empty() {
        "no node has a limit by day, and nothing is counted".to_owned()
    } else {
        table.text("")
    };
    Answer { text, json: json!({ "nodes": rows }) }
}

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Active => "active",
        NodeState::Paused => "paused",
        NodeState::Retired => "retired",
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::NodeSpec;
    use earmark_protocol::ids::NodeIx;

    use super::*;

    #[test]
    fn days_say_what_is_taken_of_how_much_and_their_absence_is_said() {
        let load = |orders, lines, units| DayLoad { orders, lines, units };
        let view = |node, code: &str, day_limit| NodeView {
            node: NodeIx(node),
            state: NodeState::Active,
            spec: NodeSpec { code: code.to_owned(), day_limit, ..NodeSpec::default() },
        };
        let nodes =
            [view(0, "A", DayLoad::default()), view(1, "B", load(9, 0, 50)), view(2, "C", load(0, 7, 0))];
        let days = [NodeDay { node: NodeIx(1), day: 20_784, taken: load(3, 4, 12) }];
        let answer = days_of(&nodes, &days);
        let lines: Vec<_> =
            answer.text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1..], ["B 2026-11-27 3 of 9 4 12 of 50", "C any 0 0 of 7 0"]);
        assert_eq!(answer.json["nodes"][0]["days"][0]["taken"]["units"], 12);
        assert!(days_of(&nodes[..1], &[]).text.starts_with("no node has a limit"));
    }
}
