//! `node pause`, `resume`, `retire` and `list`.

use clap::{Args, Subcommand};
use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{CommandBody, SetNodeState};
use serde_json::json;

use super::change::{Id, send};
use super::codes::{all_nodes, node};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Outcome};
use super::table::Table;
use super::words::money;
use crate::data::field::{bit_names, kind_name};

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

/// Runs one of them.
pub(super) async fn run(command: &NodeCommand, session: &Session) -> Outcome {
    match command {
        NodeCommand::Pause(args) => set_state(args, session, NodeState::Paused, "pausing").await,
        NodeCommand::Resume(args) => set_state(args, session, NodeState::Active, "resuming").await,
        NodeCommand::Retire(args) => set_state(args, session, NodeState::Retired, "retiring").await,
        NodeCommand::List(args) => list(args, session).await,
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

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Active => "active",
        NodeState::Paused => "paused",
        NodeState::Retired => "retired",
    }
}
