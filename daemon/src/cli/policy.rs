//! `policy check`, `set` and `show`: the rules that routing obeys.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use earmark_engine::policy::{Finding, Policy, Severity};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, SetPolicy};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{PolicyView, Reply};
use earmark_protocol::tariff::{ServiceSpec, ServiceView};
use serde_json::{Value, json};

use super::change::{Id, send};
use super::codes::query;
use super::connect::{Connection, Session};
use super::files;
use super::outcome::{Answer, Exit, Failure, Outcome};
use super::tariff::tariffs;
use super::text::moment_text;
use super::words::plural;
use crate::data::trouble::BAD_ROWS_MAX;

/// `earmark policy`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file, without a daemon: mistakes, and rules that cannot do what was meant
    Check(CheckArgs),
    /// Have routing obey a policy from the next order on; one with a mistake is refused and changes nothing
    Set(SetArgs),
    /// Show the policy that was set last, or an earlier version of it
    Show(ShowArgs),
}

/// `earmark policy check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// A policy in TOML (see docs/policy.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Look up the services that rules name in this directory of data files too (see docs/data-files.md)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// `earmark policy set`.
#[derive(Clone, Debug, Args)]
pub(super) struct SetArgs {
    /// A policy in TOML (see docs/policy.md)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark policy show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// This version; without it, the one that was set last
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    version: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Checks a file. A warning fails it too: what surely was not meant should not go live unseen.
pub(super) fn check(args: &CheckArgs) -> Outcome {
    let file = args.file.display();
    let text = read(&args.file, "checking")?;
    let (policy, mut warnings) =
        Policy::check(&text).map_err(|mistakes| bad(&args.file, "checking", &mistakes))?;
    if let Some(directory) = &args.data {
        let data = files::read_all(directory, BAD_ROWS_MAX, "checking")?;
        let specs: Vec<_> = data.tariffs.iter().flat_map(|put| &put.services).collect();
        warnings.extend(known_services(&args.file, "checking", &text, &policy, &specs)?);
    }
    if !warnings.is_empty() {
        return Err(bad(&args.file, "checking", &warnings));
    }
    let (name, rules) = (&policy.name, policy.rules());
    let mut text = format!("{file}: policy {name:?} with {}, all good", plural(rules, "rule"));
    let is_looked_up = args.data.is_some() || !policy.names_services();
    if !is_looked_up {
        text += "; whether there are the services that it names was not looked up: give --data DIR for that";
    }
    Ok(Answer {
        text,
        json: json!({ "ok": true, "name": name, "rules": rules, "services_looked_up": is_looked_up }),
    })
}

/// Sets a policy. The file is checked here first, since the daemon says where its first mistake is and not which.
pub(super) async fn set(args: &SetArgs, session: &Session) -> Outcome {
    let text = read(&args.file, "setting")?;
    let (policy, mut warnings) =
        Policy::check(&text).map_err(|mistakes| bad(&args.file, "setting", &mistakes))?;
    let attempted = format!("setting policy {:?}", policy.name);
    let client = session.connect(&args.connection).await?;
    if policy.names_services() {
        let there = tariffs(&client, &attempted).await?.services;
        let specs: Vec<_> = there.iter().map(|view| &view.spec).collect();
        warnings.extend(known_services(&args.file, "setting", &text, &policy, &specs)?);
    }
    let done =
        send(&client, args.id, CommandBody::SetPolicy(SetPolicy { text }), &attempted, |_| None).await?;
    let set = view(&client, 0, &attempted).await?;
    let version = set.as_ref().map_or(0, |view| view.version);
    let mut text = if policy.is_for_all() {
        format!("{attempted}: done; version {version} is in force")
    } else {
        format!(
            "{attempted}: done; version {version} is in force for what its active_from, only_when and share say, and the \
             version before it for all else"
        )
    };
    for warning in &warnings {
        let _ = write!(text, "\n{}:{warning}", args.file.display());
    }
    let mut json =
        json!({ "version": version, "name": policy.name, "rules": policy.rules(), "warnings": warnings });
    json["id"] = done.json["id"].clone();
    json["lsn"] = done.json["lsn"].clone();
    Ok(Answer { text, json })
}

/// Shows a policy.
pub(super) async fn show(args: &ShowArgs, session: &Session) -> Outcome {
    let client = session.connect(&args.connection).await?;
    match view(&client, args.version, "showing the policy").await? {
        Some(view) => {
            let (version, name, since) = (view.version, &view.name, moment_text(view.since));
            let head = format!("# version {version} of the policy, {name:?}, set at {since}");
            let mut json = json!({ "policy": view });
            json["policy"]["since"] = json!(since);
            Ok(Answer { text: format!("{head}\n{}", view.text), json })
        }
        None if args.version == 0 => {
            let text = "there is no policy: every node may serve, at its own cost".to_owned();
            Ok(Answer { text, json: json!({ "policy": Value::Null }) })
        }
        None => Err(Failure::refused(format!(
            "showing version {}: there is none, or it is kept no more; the last 16 are",
            args.version
        ))),
    }
}

/// A version of the policy as the daemon keeps it.
pub(super) async fn view(
    client: &Client,
    version: u32,
    attempted: &str,
) -> Result<Option<PolicyView>, Failure> {
    match query(client, Query::Policy { version }, attempted).await? {
        Reply::Policy(view) => Ok(view),
        _ => Err(Failure::unexpected(attempted)),
    }
}

/// The text of a policy without mistakes where these are the services, and its name.
pub(super) fn checked(
    file: &Path,
    verb: &str,
    services: &[ServiceView],
) -> Result<(String, String), Failure> {
    let text = read(file, verb)?;
    let policy = Policy::parse(&text).map_err(|mistakes| bad(file, verb, &mistakes))?;
    let specs: Vec<_> = services.iter().map(|view| &view.spec).collect();
    known_services(file, verb, &text, &policy, &specs)?;
    Ok((text, policy.name))
}

/// What is to be said of the services that rules name, where all of them are there.
fn known_services(
    file: &Path,
    verb: &str,
    text: &str,
    policy: &Policy,
    specs: &[&ServiceSpec],
) -> Result<Vec<Finding>, Failure> {
    let found = policy.check_services(text, specs);
    let is_bad = found.iter().any(|finding| finding.severity == Severity::Mistake);
    if is_bad { Err(bad(file, verb, &found)) } else { Ok(found) }
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
        "{verb} {}: {}, {}; correct them",
        file.display(),
        plural(mistakes, "mistake"),
        plural(findings.len() - mistakes, "warning")
    );
    let mut text = attempted.clone();
    for finding in findings {
        let _ = write!(text, "\n{}:{finding}", file.display());
    }
    let json = json!({ "ok": false, "error": attempted, "kind": "refused", "findings": findings });
    Failure { exit: Exit::Refused, text, json }
}
