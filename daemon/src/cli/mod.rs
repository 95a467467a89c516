//! The command line. Codes go in and come out, never handles; every command can answer with one JSON object; exit
//! codes are 0 done, 1 refused, 2 wrong usage, 3 unreachable. No rule lives here: the daemon decides.

mod alternatives;
mod ask;
mod calendar;
mod cells;
mod change;
mod codes;
mod connect;
mod digest;
mod dump;
mod effects;
mod files;
mod image;
mod kit;
mod log;
mod node;
mod order;
mod outcome;
mod policy;
mod replan;
mod replay;
mod reviews;
mod serve;
mod step;
mod stock;
mod substitute;
mod supply;
mod table;
mod tariff;
mod text;
mod top;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use earmark_protocol::command::CommandBody;

use crate::demo::{self, DemoArgs, DemoError};
use connect::Session;
use outcome::{Answer, Failure, Outcome, tell};

/// Reserves stock and routes orders, in memory and in microseconds.
#[derive(Clone, Debug, Parser)]
#[command(name = "earmark", version, about, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    /// Answer with one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 unreachable.";

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run a daemon in this process, send it orders, and report
    Demo(DemoArgs),
    /// Run the daemon until it is told to stop
    Serve(serve::ServeArgs),
    /// Check a directory of data files, without a daemon
    Check(files::CheckArgs),
    /// Check a directory of data files and send it to the daemon
    Import(files::ImportArgs),
    /// Ask what can be promised
    Atp(ask::AtpArgs),
    /// Ask for a plan, holding nothing
    Quote(order::QuoteArgs),
    /// Route an order and hold it; or hold named cells, where each line is SKU@NODE[/SEGMENT][:QUANTITY]
    Reserve(order::ReserveArgs),
    /// Let a reservation that waits for review be confirmed; release it where it may not
    Approve(step::ApproveArgs),
    /// List the reservations that wait for review
    Reviews(reviews::ReviewsArgs),
    /// Confirm what is held
    Confirm(step::StepArgs),
    /// Give back what is held
    Release(step::StepArgs),
    /// Give what is held a new lifetime
    Extend(step::ExtendArgs),
    /// Raise or lower lines in place
    Amend(step::AmendArgs),
    /// Give back what is held, confirmed or being worked on
    Cancel(step::StepArgs),
    /// Hand confirmed goods to the node to work on
    Dispatch(step::StepArgs),
    /// Dispatched goods wait for the customer at the node
    Ready(step::StepArgs),
    /// Dispatched goods have left the building
    Ship(step::StepArgs),
    /// The customer took what was ready
    Collect(step::StepArgs),
    /// A node says it cannot: correct its stock and route the lines again
    Reject(step::RejectArgs),
    /// Look at confirmed orders again, and serve from other nodes what costs less there
    Replan(replan::ReplanArgs),
    /// Show a reservation as it is
    Show(ask::ReservationArgs),
    /// Say why a reservation lies where it lies
    Explain(ask::ReservationArgs),
    /// Count, correct, take back and move stock
    #[command(subcommand)]
    Stock(stock::StockCommand),
    /// Say what is on its way to cells, and receive it
    #[command(subcommand)]
    Supply(supply::SupplyCommand),
    /// Say what kits are put together of, and list them
    #[command(subcommand)]
    Kit(kit::KitCommand),
    /// Say what may stand for skus that cannot be had, and list it
    #[command(subcommand)]
    Substitute(substitute::SubstituteCommand),
    /// Pause, resume, retire and list nodes
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// List the calendars that nodes work by
    #[command(subcommand)]
    Calendar(calendar::CalendarCommand),
    /// Check, set and show the rules that routing obeys
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Show what carriers charge
    #[command(subcommand)]
    Tariff(tariff::TariffCommand),
    /// Route orders again under two policies, or beside what another system decided, on a copy of the stock
    Replay(replay::ReplayArgs),
    /// Show the daemon's counters and levels
    Stats(ask::StatsArgs),
    /// Watch the daemon's counters: how fast they grow, look by look
    Top(top::TopArgs),
    /// Have the daemon write an image of its state now, and wait until it is on disk; or look at images that are there
    Snapshot(ask::SnapshotArgs),
    /// Look at the log of a data directory, without a daemon or beside one
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let read = command().try_get_matches();
    let read = read.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match read {
        Ok(read) => read,
        // Help and version are no fault.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) if wants_json(std::env::args_os()) => return tell(Err(misused(&error)), true),
        Err(error) => error.exit(),
    };
    let outcome = match &cli.command {
        Command::Demo(args) => demonstrate(args, cli.json),
        Command::Serve(args) => serve::serve(args, matches.subcommand_matches("serve")),
        Command::Check(args) => files::check(args),
        Command::Completions { shell } => Ok(completions(*shell)),
        Command::Policy(policy::PolicyCommand::Check(args)) => policy::check(args),
        Command::Log(command) => log::run(command, cli.json),
        Command::Replay(args) => replay::replay(args),
        Command::Snapshot(ask::SnapshotArgs { look: Some(look), .. }) => look.run(),
        asking => block_on(asking, cli.json),
    };
    tell(outcome, cli.json)
}

/// The command line, with a flag for every setting under `serve`.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("serve", crate::config::flags)
}

/// Whether a command line that could not be read asks for JSON.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

fn misused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    Failure::usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end())
}

fn completions(shell: clap_complete::Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "earmark", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    Answer { json: serde_json::json!({ "completions": text }), text }
}

async fn ask_daemon(command: &Command, session: &Session, as_json: bool) -> Outcome {
    match command {
        Command::Import(args) => files::import(args, session, as_json).await,
        Command::Atp(args) => ask::atp(args, session).await,
        Command::Quote(args) => order::quote(args, session).await,
        Command::Reserve(args) => order::reserve(args, session).await,
        Command::Approve(args) => step::approve(args, session).await,
        Command::Reviews(args) => reviews::reviews(args, session).await,
        Command::Confirm(args) => step::step(args, session, "confirming", CommandBody::Confirm).await,
        Command::Release(args) => step::step(args, session, "releasing", CommandBody::Release).await,
        Command::Extend(args) => step::extend(args, session).await,
        Command::Amend(args) => step::amend(args, session).await,
        Command::Cancel(args) => step::step(args, session, "cancelling", CommandBody::Cancel).await,
        Command::Dispatch(args) => step::step(args, session, "dispatching", CommandBody::Dispatch).await,
        Command::Ready(args) => step::step(args, session, "making ready", CommandBody::Ready).await,
        Command::Ship(args) => step::step(args, session, "shipping", CommandBody::Ship).await,
        Command::Collect(args) => step::step(args, session, "handing over", CommandBody::Collect).await,
        Command::Reject(args) => step::reject(args, session).await,
        Command::Replan(args) => replan::replan(args, session).await,
        Command::Show(args) => ask::show(args, session).await,
        Command::Explain(args) => ask::explain(args, session).await,
        Command::Stock(command) => stock::run(command, session).await,
        Command::Supply(command) => supply::run(command, session).await,
        Command::Kit(command) => kit::run(command, session).await,
        Command::Substitute(command) => substitute::run(command, session).await,
        Command::Tariff(command) => tariff::run(command, session).await,
        Command::Node(command) => node::run(command, session).await,
        Command::Calendar(command) => calendar::run(command, session).await,
        Command::Stats(args) => ask::stats(args, session).await,
        Command::Top(args) => top::top(args, session, as_json).await,
        Command::Snapshot(args) => ask::snapshot(args, session).await,
        Command::Policy(policy::PolicyCommand::Set(args)) => policy::set(args, session).await,
        Command::Policy(policy::PolicyCommand::Show(args)) => policy::show(args, session).await,
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Check(_)
        | Command::Policy(policy::PolicyCommand::Check(_))
        | Command::Log(_)
        | Command::Replay(_)
        | Command::Completions { .. } => {
            unreachable!("these ask no daemon and were run before")
        }
    }
}

fn demonstrate(args: &DemoArgs, as_json: bool) -> Outcome {
    if let Some(dir) = &args.files {
        return demo::scenario(args).map_err(no_demo).and_then(|scenario| files::write_demo(&scenario, dir));
    }
    match demo::run(args, as_json) {
        Ok(report) => {
            let mut json = serde_json::to_value(&report).expect("a report is plain data");
            let text = format!("earmark demo\n{report}");
            if report.holds() {
                return Ok(Answer { text, json });
            }
            let broken = "the demo broke a promise: see oversold, accounts, surprises";
            json["error"] = broken.into();
            Err(Failure { exit: outcome::Exit::Refused, text: format!("{broken}\n{text}"), json })
        }
        Err(error) => Err(no_demo(error)),
    }
}

fn no_demo(error: DemoError) -> Failure {
    match error {
        DemoError::Files(bad) => Failure::bad_rows("reading the demo's files", &bad),
        DemoError::Load(error) => error.into(),
        DemoError::Client(error) => Failure::client("running the demo", &error),
        DemoError::Start(_) => Failure::unreachable(error.to_string()),
    }
}

/// Runs a question to the end on a small runtime of its own, and takes leave of the daemon.
fn block_on(command: &Command, as_json: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::unreachable(format!("starting a runtime: {error}; free some descriptors"))
    })?;
    runtime.block_on(async {
        let session = Session::default();
        let outcome = ask_daemon(command, &session, as_json).await;
        session.close().await;
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_of_the_design_is_there() {
        let command = command();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        for name in [
            "demo",
            "serve",
            "check",
            "import",
            "atp",
            "quote",
            "reserve",
            "approve",
            "reviews",
            "confirm",
            "release",
            "extend",
            "amend",
            "cancel",
            "dispatch",
            "ready",
            "ship",
            "collect",
            "reject",
            "replan",
            "show",
            "explain",
            "stock",
            "supply",
            "kit",
            "substitute",
            "node",
            "calendar",
            "policy",
            "tariff",
            "replay",
            "stats",
            "top",
            "snapshot",
            "log",
            "completions",
        ] {
            assert!(names.contains(&name), "{name} is missing");
        }
    }
}
