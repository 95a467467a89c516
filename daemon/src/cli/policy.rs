//! `policy check`: the rules that routing obeys, before a daemon is asked to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use earmark_engine::policy::{Finding, Policy, Severity};
use serde_json::json;

use super::outcome::{Answer, Exit, Failure, Outcome};

/// `earmark policy`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file, without a daemon: mistakes, and rules that cannot do what was meant
    Check(CheckArgs),
}

/// `earmark policy check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// A policy in TOML (see docs/policy.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Checks a file. A warning fails it too: what surely was not meant should not go live unseen.
pub(super) fn check(args: &CheckArgs) -> Outcome {
    let file = args.file.display();
    let text = read(&args.file, "checking")?;
    let (policy, warnings) =
        Policy::check(&text).map_err(|mistakes| bad(&args.file, "checking", &mistakes))?;
    if !warnings.is_empty() {
        return Err(bad(&args.file, "checking", &warnings));
    }
    let text = format!("{file}: policy {:?} with {} rules, all good", policy.name, policy.rules());
    Ok(Answer { text, json: json!({ "ok": true, "name": policy.name, "rules": policy.rules() }) })
}

fn read(file: &Path, verb: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("{verb} {}: it cannot be read: {error}; name a text file", file.display()))
    })
}

/// A file with findings, each with its place.
fn bad(file: &Path, verb: &str, findings: &[Finding]) -> Failure {
    let mistakes = findings.iter().filter(|finding| finding.severity == Severity::Mistake).count();
    let attempted = format!(
        "{verb} {}: {mistakes} mistakes, {} warnings; correct them",
        file.display(),
        findings.len() - mistakes
    );
    let mut text = attempted.clone();
    for finding in findings {
        let _ = write!(text, "\n{}:{finding}", file.display());
    }
    let json = json!({ "ok": false, "error": attempted, "kind": "refused", "findings": findings });
    Failure { exit: Exit::Refused, text, json }
}
