//! `log check`: what is in the log of a data directory, in words. It reads only and needs no daemon; one may be running.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use earmark_protocol::ids::TimestampMs;
use earmark_snapshot::storage::{DataDir, Storage};
use serde_json::json;

use super::dump::{DumpArgs, dump};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::moment_text;
use crate::store::check::{Check, Span, Start, check};

/// `earmark log`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Say what is in the log, where it ends, whether it is damaged, and what the next start makes of it
    Check(CheckArgs),
    /// Print the log's records, one after the other; with --json one object a line, the last one with their number
    Dump(DumpArgs),
}

/// `earmark log check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// A daemon's data directory, or a copy of one. It is not changed
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Runs it. Records are printed as they are read; what is answered comes last.
pub(super) fn run(command: &LogCommand, as_json: bool) -> Outcome {
    match command {
        LogCommand::Check(args) => tell_check(args),
        LogCommand::Dump(args) => dump(args, as_json),
    }
}

/// A directory to look into.
pub(super) fn look(directory: &Path) -> Result<Arc<dyn Storage>, Failure> {
    let name = directory.display();
    if !directory.is_dir() {
        return Err(Failure::usage(format!("looking into {name}: it is no directory; name a daemon's")));
    }
    let looking = DataDir::look(directory);
    Ok(Arc::new(looking.map_err(|fault| Failure::unreachable(fault.to_string()))?))
}

/// There is a directory, and no log in it.
pub(super) fn nothing_there(directory: &Path) -> Failure {
    let name = directory.display();
    Failure::usage(format!("looking into {name}: there is no log; name a daemon's data directory"))
}

fn tell_check(args: &CheckArgs) -> Outcome {
    let storage = look(&args.directory)?;
    let check = check(&storage).map_err(|error| Failure::unreachable(error.to_string()))?;
    if check.segments.is_empty() && check.images.is_empty() {
        return Err(nothing_there(&args.directory));
    }
    let (mut text, advice) = (check_text(&check), advice(&check));
    let mut json = serde_json::to_value(&check).expect("a check is plain data");
    (json["sound"], json["advice"]) = (json!(check.is_sound()), json!(advice));
    text += &advice;
    if check.is_sound() {
        return Ok(Answer { text, json });
    }
    let damaged = format!("the log in {} is damaged", args.directory.display());
    json["error"] = json!(damaged);
    let mut failure = Failure::refused(format!("{damaged}\n{text}"));
    failure.json = json;
    Err(failure)
}

fn time(time_ms: u64) -> String {
    if time_ms == 0 { String::new() } else { moment_text(TimestampMs(time_ms)) }
}

fn lsn(lsn: u64) -> String {
    if lsn == 0 { String::new() } else { lsn.to_string() }
}

fn check_text(check: &Check) -> String {
    let mut text = match &check.log_id {
        Some(id) => format!("log {id}\n"),
        None => "no log that can be read\n".to_owned(),
    };
    let span = ["records", "from_lsn", "to_lsn"].map(|name| format!(">{name}"));
    let columns = |first: &[&str]| {
        let first = first.iter().map(|name| (*name).to_owned());
        let all = first.chain(span.clone()).chain(["from".to_owned(), "to".to_owned()]);
        all.collect::<Vec<_>>()
    };
    let table = |first: &[&str]| {
        let columns = columns(first);
        Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fields = |span: &Span| {
        [
            span.records.to_string(),
            lsn(span.first_lsn),
            lsn(span.last_lsn),
            time(span.first_time_ms),
            time(span.last_time_ms),
        ]
    };
    let mut segments = table(&["segment", ">bytes", ">used", "state"]);
    for segment in &check.segments {
        let state = match (&segment.damage, segment.is_ahead) {
            (Some(_), _) => "damaged",
            (None, true) => "ahead",
            (None, false) => "written",
        };
        let first = [
            segment.file.clone(),
            segment.bytes.to_string(),
            segment.used_bytes.to_string(),
            state.to_owned(),
        ];
        segments.row(first.into_iter().chain(fields(&segment.span)));
    }
    text += &segments.text("  ");
    text += "lives, each begun by a start\n";
    let mut lives = table(&["epoch", "segment", ">byte", "ended"]);
    for (place, life) in check.lives.iter().enumerate() {
        let ended = match (life.is_stopped, place + 1 == check.lives.len()) {
            (true, _) => "stopped",
            (false, true) => "running, or killed",
            (false, false) => "killed",
        };
        let first = [life.epoch.clone(), life.file.clone(), life.offset.to_string(), ended.to_owned()];
        lives.row(first.into_iter().chain(fields(&life.span)));
    }
    text += &lives.text("  ");
    for image in &check.images {
        let state = match (&image.damage, &image.refused) {
            (Some(damage), _) => damage.clone(),
            (None, Some(refused)) => format!("no start from it: {refused}"),
            (None, None) => "its header is right, and the log behind it".to_owned(),
        };
        let _ = writeln!(text, "{}: lsn {}; {state}", image.file, image.lsn);
    }
    for gap in &check.gaps {
        let _ = writeln!(text, "{}", gap.reason);
        let _ = match &gap.resumed {
            Some((file, offset, lsn)) => {
                writeln!(text, "  it can be read again from lsn {lsn}, at byte {offset} of {file}")
            }
            None => writeln!(text, "  nothing can be read behind it"),
        };
    }
    for damage in check.segments.iter().filter_map(|segment| segment.damage.as_ref()) {
        let _ = writeln!(text, "{damage}");
    }
    if let Some(end) = &check.end {
        let behind = match end.last_frame {
            Some("stop") => "the daemon was stopped in good order",
            Some("seal") => "all of it is proven durable",
            Some("opening") => "a start, and nothing since",
            _ => {
                "nothing behind the last write proves it: damage to it would look like a write that was cut off"
            }
        };
        let _ = writeln!(text, "ends at byte {} of {}, lsn {}; {behind}", end.offset, end.file, end.last_lsn);
    }
    text
}

/// What a person should do.
fn advice(check: &Check) -> String {
    let mut text = String::new();
    if let Some(torn) = check.end.as_ref().and_then(|end| end.torn) {
        let _ = writeln!(
            text,
            "A write was cut off: records {} to {} are not whole. The next start cuts them off and says so; with \
             durability.mode \"sync\" nobody had an answer to them. Nothing is to be done.",
            torn.lsn, torn.last_lsn
        );
    }
    match &check.start {
        Start::Empty => text += "The next start begins anew.\n",
        Start::Recovers { image, records, last_lsn } => {
            let from = image.as_ref().map_or("the start of the log".to_owned(), |image| image.clone());
            let _ = writeln!(
                text,
                "The next start recovers from {from}, replays {records} records, and has lsn {last_lsn}."
            );
            if !check.is_sound() {
                text += "What is damaged is not needed for that. Copy the directory away before anything else, start, and have \
                         images made (`earmark snapshot`, twice) so that nothing damaged is relied on; then look at the disk.\n";
            }
            if image.is_some() {
                text += "Whether the image's blocks are whole, `earmark snapshot inspect` says.\n";
            }
        }
        Start::Refuses { error } => {
            let _ = writeln!(text, "The next start is refused: {error}.");
            let other = check.images.iter().find(|image| image.damage.is_none() && image.refused.is_none());
            text += &match other {
                Some(image) => format!(
                    "Copy the directory away first. {} and the log behind it are sound: with the newer images moved out of \
                     the directory, a start recovers from there.\n",
                    image.file
                ),
                None => "Change nothing in the directory: copy it away first. Put back the damaged file, or the whole \
                         directory, from a copy or a mirror; `earmark log dump` prints what can still be read.\n"
                    .to_owned(),
            };
        }
    }
    text
}
