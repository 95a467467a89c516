//! The command line. Exit codes are those of `earmark`: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::error::Trouble;
use crate::generate::{GenerateArgs, generate};
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
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
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
    match carry_out(&cli.command) {
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
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
