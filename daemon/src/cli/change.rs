//! Sends one changing command and words its answer. All commands that change something end here.

use clap::Args;
use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::CommandId;
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::{Done, Plan, Reply, Reserved};
use serde_json::{Value, json};

use super::codes::{Names, Unnamed};
use super::outcome::{Answer, Failure, Outcome};
use super::text::moment_text;
use super::words::{cells_json, cells_text, deadline_json, plan_json, plan_text, status};

/// The id of a changing command.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Id {
    /// The command's id (UUIDv7): give it again to retry a command, which then acts once
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<CommandId>,
}

/// Sends a command. `attempted` says what it tries, `named` what the user called the element of this index.
pub(super) async fn send(
    client: &Client,
    id: Id,
    body: CommandBody,
    attempted: &str,
    named: impl Fn(&Refusal) -> Option<String>,
) -> Outcome {
    let id = id.id.unwrap_or_else(|| client.new_id());
    let moves_units = !matches!(
        body,
        CommandBody::SetNodeState(_)
            | CommandBody::SetPolicy(_)
            | CommandBody::SetStock(_)
            | CommandBody::PutSupplies(_)
            | CommandBody::PutKits(_)
            | CommandBody::PutSubstitutes(_)
    );
    let is_routed = !matches!(body, CommandBody::Hold(_));
    let outcome = match client.command_as(id, body).await {
        Ok(Reply::Reserved(reserved)) => reserved_answer(client, id, (attempted, is_routed), &reserved).await,
        Ok(Reply::Done(mut done)) => {
            // What else it counts, nodes that changed or cells that were counted, is nobody's units.
            done.moved *= u64::from(moves_units);
            done_answer(client, id, attempted, &done).await
        }
        Ok(Reply::Refused(refused)) => {
            let mut failure =
                Failure::refusal(attempted, &refused.refusal, named(&refused.refusal).as_deref());
            failure.json["lsn"] = json!(refused.lsn);
            Err(failure)
        }
        Ok(_) => Err(Failure::unexpected(attempted)),
        Err(error) => Err(Failure::client(attempted, &error)),
    };
    outcome.map_err(|failure| failure.of_command(id))
}

async fn reserved_answer(
    client: &Client,
    id: CommandId,
    (attempted, is_routed): (&str, bool),
    reserved: &Reserved,
) -> Outcome {
    let (plan_json, plan_text) = worded(client, reserved.plan.as_ref(), is_routed).await?;
    let mut text = format!("{attempted}: {}, id {id}", status(reserved.status));
    if reserved.deadline.0 > 0 {
        text += &format!(", until {}", moment_text(reserved.deadline));
    }
    let json = json!({
        "id": id,
        "lsn": reserved.lsn,
        "status": status(reserved.status),
        "deadline": deadline_json(reserved.deadline),
        "plan": plan_json,
    });
    Ok(Answer { text: format!("{text}\n{plan_text}"), json })
}

async fn done_answer(client: &Client, id: CommandId, attempted: &str, done: &Done) -> Outcome {
    let (plan_json, plan_text) = worded(client, done.plans.first(), true).await?;
    let mut text = format!("{attempted}: done");
    if let Some(now) = done.status {
        text += &format!(", now {}", status(now));
    }
    if done.moved > 0 {
        text += &format!(", {} {} moved", done.moved, if done.moved == 1 { "unit" } else { "units" });
    }
    if done.deadline.0 > 0 {
        text += &format!(", held until {}", moment_text(done.deadline));
    }
    if done.short > 0 {
        text += &format!("; {} units short of what is promised", done.short);
    }
    let json = json!({
        "id": id,
        "lsn": done.lsn,
        "status": done.status.map(status),
        "deadline": deadline_json(done.deadline),
        "moved": done.moved,
        "short": done.short,
        "plan": plan_json,
    });
    Ok(Answer { text: format!("{text}\n{plan_text}"), json })
}

async fn worded(client: &Client, plan: Option<&Plan>, is_routed: bool) -> Result<(Value, String), Failure> {
    let Some(plan) = plan else { return Ok((Value::Null, String::new())) };
    let mut unnamed = Unnamed::default();
    unnamed.plan(plan);
    let names = Names::of(client, unnamed).await?;
    Ok(match is_routed {
        true => (plan_json(plan, &names), plan_text(plan, &names)),
        false => (cells_json(plan, &names), cells_text(plan, &names)),
    })
}
