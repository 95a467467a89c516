//! The command line. Exit codes are those of `earmark`: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde_json::json;

use crate::error::Trouble;
use crate::generate::{GenerateArgs, generate};
use crate::obeyed;
use crate::report::{ReportArgs, report};
use crate::run::{RunArgs, run};
use crate::sweep::{SweepArgs, sweep};
use crate::verify::{VerifyArgs, verify};

/// Puts load on a running Earmark and measures what becomes of it.
#[derive(Clone, Debug, Parser)]
#[command(name = "earmark-loadgen", version, about, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    /// Answer with one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable.";

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Send the daemon a catalogue and stock to put load on
    Generate(GenerateArgs),
    /// Put load on the daemon, and report
    Run(Box<RunArgs>),
    /// Keep account of every answer, and compare it with what the daemon has
    Verify(Box<VerifyArgs>),
    /// Find the highest rate that keeps a p99, and the latencies on the way there
    Sweep(Box<SweepArgs>),
    /// Show a result that was kept, or compare two
    Report(ReportArgs),
}

/// What a command has to say.
struct Answer {
    text: String,
    json: serde_json::Value,
    done: bool,
}

/// Runs a command line, that of a process or another, and says how it ends.
#[must_use]
pub fn command_line(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let read = Cli::command().try_get_matches_from(&arguments);
    let read = read.and_then(|given| Ok((Cli::from_arg_matches(&given)?, given)));
    let (cli, given) = match read {
        Ok(read) => read,
        Err(error) if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            return print(&json!({ "error": text }).to_string(), ExitCode::from(2));
        }
        Err(error) => {
            // Nothing is left to do for a terminal that is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match check(&given).and_then(|()| carry_out(&cli.command)) {
        Ok(answer) => {
            let exit = if answer.done { ExitCode::SUCCESS } else { ExitCode::from(1) };
            let text = if cli.json { answer.json.to_string() } else { answer.text };
            print(text.trim_end(), exit)
        }
        Err(trouble) if cli.json => {
            print(&json!({ "error": trouble.to_string() }).to_string(), trouble.exit_code())
        }
        Err(trouble) => {
            complain(&trouble.to_string());
            trouble.exit_code()
        }
    }
}

/// Prints an answer, and says how the process ends: as it would, or failed where the answer is lost. A reader that went
/// away early, like `head`, is no fault.
fn print(text: &str, exit: ExitCode) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("writing the answer to standard output: {error}; keep it with --out FILE"));
            ExitCode::from(3)
        }
        _ => exit,
    }
}

/// Nobody may be listening.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// Refuses options that would be left out without a word.
fn check(given: &ArgMatches) -> Result<(), Trouble> {
    match given.subcommand() {
        Some(("run", given)) => obeyed::by_run(given),
        Some(("sweep", given)) => obeyed::by_sweep(given),
        _ => Ok(()),
    }
}

/// On a small runtime for what is asked before and after; the load has threads of its own.
fn carry_out(command: &Command) -> Result<Answer, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Machine(format!("starting a runtime: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Generate(args) => {
                let json = generate(args).await?;
                let text = format!(
                    "generated {} skus at {} nodes: {} cells\n",
                    json["skus"], json["nodes"], json["cells"]
                );
                Ok(Answer { text, json, done: true })
            }
            Command::Run(args) => {
                let outcome = run(args).await?;
                let json = serde_json::to_value(&outcome).expect("a result is plain data");
                Ok(Answer { text: outcome.to_string(), json, done: outcome.is_sound() })
            }
            Command::Verify(args) => {
                let (text, json, done) = verify(args).await?;
                Ok(Answer { text, json, done })
            }
            Command::Sweep(args) => {
                let (text, json) = sweep(args).await?;
                let done = !json["best_rate_per_s"].is_null();
                Ok(Answer { text, json, done })
            }
            Command::Report(args) => {
                let (text, json) = report(args)?;
                Ok(Answer { text, json, done: true })
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn checked(line: &str) -> Result<(), String> {
        let words = std::iter::once("earmark-loadgen").chain(line.split_whitespace());
        let given = Cli::command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        check(&given).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn options_that_a_load_would_not_obey_are_refused_with_what_to_do() {
        for (line, option, instead) in [
            ("run hold --orders o.csv", "--orders with `hold`", "cart, quote, atp, peak-day, replay"),
            ("run --lines-max 3", "--lines-max with `hold`", "cart"),
            ("run quote --lifetime-ms 9", "--lifetime-ms with `quote`", "hold"),
            ("run cart --units 5", "--units with `cart`", "flash-sale"),
            ("run flash-sale --seed 2", "--seed with `flash-sale`", "hold"),
            ("run replay --orders o.csv --rate 5", "--rate with `replay`", "leave it out"),
            ("run --rate 5 --in-flight 256", "--in-flight beside --rate", "give one of them"),
            ("run --tick-us 50", "--tick-us in a closed loop", "give --rate"),
            ("sweep --rate 1000", "--rate in a sweep", "--from"),
            ("sweep --in-flight 1000", "--in-flight in a sweep", "`run`"),
            ("sweep hold --orders o.csv", "--orders with `hold`", "cart"),
            ("sweep replay --orders o.csv", "sweeping `replay`", "sweep cart"),
        ] {
            let told = checked(line).expect_err(line);
            assert!(told.contains(option) && told.contains(instead), "{line}: {told}");
        }
        for line in [
            "run --in-flight 4096 --batch 64 --lifetime-ms 1000 --skus 5 --seed 7",
            "run --rate 1000,2000 --tick-us 50",
            "run cart --orders o.csv --lines-max 2 --confirm 50 --release 10 --in-flight 256",
            "run atp --checks-per-order 3",
            "run flash-sale --units 5 --routed",
            "run peak-day --rate 5",
            "run replay --orders o.csv --speed 9 --tick-us 50",
            "sweep cart --from 100 --tick-us 50",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn datagrams_smaller_than_quic_asks_of_every_path_are_refused() {
        for (bytes, taken) in [("10", false), ("1199", false), ("1200", true), ("65536", false)] {
            assert_eq!(checked(&format!("run --mtu-max {bytes}")).is_ok(), taken, "{bytes}");
        }
    }
}
