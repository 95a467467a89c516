//! What happens to a reservation: `approve`, `confirm`, `release`, `cancel`, `dispatch`, `ready`, `ship`, `collect`, `extend`,
//! `amend`, `reject`.

use clap::{Args, ValueEnum};
use earmark_protocol::client::Client;
use earmark_protocol::command::{Amend, AmendLine, CommandBody, Correction, Extend, Reject, Step, StepLine};
use earmark_protocol::ids::CommandId;
use earmark_protocol::refusal::Refusal;

use super::change::{Id, send};
use super::codes::{handles, node};
use super::connect::{Connection, Session};
use super::outcome::{Failure, Outcome};
use super::text::{NewQuantity, PartText, duration_ms};

/// A step of a reservation.
#[derive(Clone, Debug, Args)]
pub(super) struct StepArgs {
    /// The reservation's id, as `reserve` printed it
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    /// These lines alone, perhaps at one node, perhaps a part: LINE[@NODE][:QUANTITY]; without any, all that can
    #[arg(long = "line", value_name = "PART")]
    lines: Vec<PartText>,
    /// Move what can be moved where the full quantity cannot
    #[arg(long)]
    best_effort: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark approve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ApproveArgs {
    /// The reservation's id
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark extend`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExtendArgs {
    /// The reservation's id
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    /// The new lifetime from now on, like 90s, 15m or 2h; without it, as long as the class says
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    lifetime: Option<u32>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark amend`.
#[derive(Clone, Debug, Args)]
pub(super) struct AmendArgs {
    /// The reservation's id
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    /// New quantities: LINE=QUANTITY, of a kit's line in kits; what is dispatched or later is not counted and not touched
    #[arg(required = true, value_name = "LINE=QUANTITY")]
    lines: Vec<NewQuantity>,
    /// Take what there is where all cannot be had
    #[arg(long)]
    best_effort: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// What the rejecting node's stock really is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum CorrectionArg {
    /// It is right: the node is busy or closed
    #[default]
    None,
    /// The rejected units are not there
    Missing,
    /// The rejected units are damaged
    Unsellable,
    /// Nothing sellable is there
    Empty,
}

/// `earmark reject`.
#[derive(Clone, Debug, Args)]
pub(super) struct RejectArgs {
    /// The reservation's id
    #[arg(value_name = "RESERVATION")]
    reservation: CommandId,
    /// The node that cannot
    #[arg(long, value_name = "NODE")]
    node: String,
    /// These lines alone: LINE[:QUANTITY]; without any, all it has and has not shipped
    #[arg(long = "line", value_name = "PART")]
    lines: Vec<PartText>,
    /// What the node's stock really is
    #[arg(long, value_enum, default_value_t)]
    correction: CorrectionArg,
    /// Why, in the node's words
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Give the lines up instead of routing them to other nodes
    #[arg(long)]
    drop: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// Takes one step; `body` is the command's, `verb` what the user calls it.
pub(super) async fn step(
    args: &StepArgs,
    session: &Session,
    verb: &str,
    body: impl Fn(Step) -> CommandBody,
) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let lines = parts(&client, &args.lines).await?;
    let step = Step { reservation: args.reservation, lines, best_effort: args.best_effort };
    let attempted = format!("{verb} {}", args.reservation);
    send(&client, args.id, body(step), &attempted, |refusal| named(refusal, &args.lines)).await
}

/// What waits for review may be confirmed.
pub(super) async fn approve(args: &ApproveArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let attempted = format!("approving {}", args.reservation);
    send(&client, args.id, CommandBody::Approve(args.reservation), &attempted, |_| None).await
}

/// Gives what is held a new lifetime.
pub(super) async fn extend(args: &ExtendArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let extend = Extend { reservation: args.reservation, lifetime_ms: args.lifetime.unwrap_or_default() };
    let attempted = format!("extending {}", args.reservation);
    send(&client, args.id, CommandBody::Extend(extend), &attempted, |_| None).await
}

/// Raises or lowers lines.
pub(super) async fn amend(args: &AmendArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    let lines = args.lines.iter().map(|new| AmendLine { line: new.line, quantity: new.quantity }).collect();
    let amend = Amend { reservation: args.reservation, lines, best_effort: args.best_effort };
    let attempted = format!("amending {}", args.reservation);
    let named =
        |refusal: &Refusal| args.lines.get(refusal.index? as usize).map(|new| format!("line {}", new.line));
    send(&client, args.id, CommandBody::Amend(amend), &attempted, named).await
}

/// A node says it cannot.
pub(super) async fn reject(args: &RejectArgs, session: &Session) -> Outcome {
    if args.lines.iter().any(|part| part.node.as_ref().is_some_and(|node| *node != args.node)) {
        return Err(Failure::usage("rejecting: a line names another node than --node; leave @NODE away"));
    }
    let client = session.connect(&args.connection).await?;
    let lines = parts(&client, &args.lines).await?;
    let reject = Reject {
        reservation: args.reservation,
        node: node(&client, &args.node).await?,
        lines,
        correction: match args.correction {
            CorrectionArg::None => Correction::None,
            CorrectionArg::Missing => Correction::Missing,
            CorrectionArg::Unsellable => Correction::Unsellable,
            CorrectionArg::Empty => Correction::Empty,
        },
        reason: args.reason.clone(),
        reroute: !args.drop,
    };
    let attempted = format!("rejecting {} at {}", args.reservation, args.node);
    send(&client, args.id, CommandBody::Reject(reject), &attempted, |refusal| named(refusal, &args.lines))
        .await
}

async fn parts(client: &Client, parts: &[PartText]) -> Result<Vec<StepLine>, Failure> {
    let codes: Vec<_> = parts.iter().filter_map(|part| part.node.as_deref()).collect();
    let (_, nodes) = handles(client, &[], &codes).await?;
    let mut nodes = nodes.into_iter();
    let line = |part: &PartText| {
        let node = part.node.as_ref().and_then(|_| nodes.next());
        StepLine { line: part.line, node, quantity: part.quantity }
    };
    Ok(parts.iter().map(line).collect())
}

/// What the user called the part that a refusal speaks of.
fn named(refusal: &Refusal, parts: &[PartText]) -> Option<String> {
    parts.get(refusal.index? as usize).map(|part| format!("line {}", part.line))
}
