//! `log dump`: the log's records in words, printed as they are read. It reads only; a daemon may be running.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use earmark_engine::{Effect, Record};
use earmark_protocol::ids::{CommandId, Lsn, TimestampMs};
use earmark_snapshot::log::{Frame, LogError, segment_name, survey};
use serde_json::{Value, json};

use super::effects::{effect_json, effect_text};
use super::log::{look, nothing_there};
use super::outcome::{Answer, Failure, Outcome};
use super::text::moment_text;

/// `earmark log dump`.
#[derive(Clone, Debug, Args)]
pub(super) struct DumpArgs {
    /// A daemon's data directory, or a copy of one. It is not changed
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// From this record on
    #[arg(long, value_name = "LSN", default_value_t = 1)]
    from: u64,
    /// Up to this record
    #[arg(long, value_name = "LSN", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// Only records that begin this reservation, or answer this command
    #[arg(long, value_name = "ID")]
    id: Option<CommandId>,
}

/// Prints the records, and answers with their number.
pub(super) fn dump(args: &DumpArgs, as_json: bool) -> Outcome {
    if args.from > args.to {
        let (from, to) = (args.from, args.to);
        return Err(Failure::usage(format!(
            "dumping records {from} to {to}: there are none; let --to be {from} or more"
        )));
    }
    let storage = look(&args.directory)?;
    let mut printer = Printer {
        args,
        as_json,
        out: BufWriter::new(io::stdout().lock()),
        printed: 0,
        next_lsn: None,
        troubles: Vec::new(),
    };
    let read = survey(&storage, &mut |frame| printer.frame(frame));
    // A reader that went away early, like `head`, is no fault.
    let _ = printer.out.flush();
    let Printer { printed, mut troubles, .. } = printer;
    match read {
        Ok(Some(survey)) => troubles.extend(survey.gaps.iter().map(|gap| gap.reason.to_string())),
        Ok(None) => return Err(nothing_there(&args.directory)),
        Err(LogError::Fault(fault)) => return Err(Failure::unreachable(fault.to_string())),
        Err(error) => return Err(Failure::refused(error.to_string())),
    }
    if troubles.is_empty() {
        return Ok(Answer { text: format!("{printed} records"), json: json!({ "records": printed }) });
    }
    let mut failure = Failure::refused(troubles.join("\n"));
    failure.json["records"] = json!(printed);
    Err(failure)
}

struct Printer<'a, W: Write> {
    args: &'a DumpArgs,
    as_json: bool,
    out: W,
    printed: u64,
    next_lsn: Option<u64>,
    /// What could not be read.
    troubles: Vec<String>,
}

impl<W: Write> Printer<'_, W> {
    fn frame(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        let expected = self.next_lsn.replace(header.next_lsn()).unwrap_or(header.first_lsn);
        if expected < header.first_lsn {
            let (from, to) = (expected, header.first_lsn - 1);
            self.line(&format!("{from} to {to} cannot be read"), json!({ "unreadable": [from, to] }));
        }
        for (lsn, bytes) in frame.records() {
            if (self.args.from..=self.args.to).contains(&lsn) {
                self.record(frame, lsn, bytes);
            }
        }
    }

    fn record(&mut self, frame: &Frame<'_>, lsn: u64, bytes: &[u8]) {
        let (file, time) = (segment_name(frame.segment), moment_text(TimestampMs(frame.header.time_ms)));
        let record = match Record::decode(Lsn(lsn), TimestampMs(frame.header.time_ms), bytes) {
            Ok(record) => record,
            Err(error) => {
                let trouble = format!(
                    "record {lsn}, in the frame at byte {} of {file}, is none of this build: {error}",
                    frame.offset
                );
                return self.troubles.push(trouble);
            }
        };
        if self.args.id.is_some_and(|wanted| !record.effects.iter().any(|effect| id(effect) == Some(wanted)))
        {
            return;
        }
        self.printed += 1;
        let text = record.effects.iter().map(|effect| format!("\n  {}", effect_text(effect)));
        let text = format!("{lsn} {time} {file}+{}{}", frame.offset, text.collect::<String>());
        let effects: Vec<Value> = record.effects.iter().map(effect_json).collect();
        let json = json!({
            "lsn": lsn,
            "time": time,
            "epoch": format!("{:016x}", frame.header.epoch),
            "file": file,
            "offset": frame.offset,
            "bytes": bytes.len(),
            "effects": effects,
        });
        self.line(&text, json);
    }

    fn line(&mut self, text: &str, json: Value) {
        let _ = if self.as_json { writeln!(self.out, "{json}") } else { writeln!(self.out, "{text}") };
    }
}

/// The reservation that an effect begins, or the command that it answers.
fn id(effect: &Effect) -> Option<CommandId> {
    match effect {
        Effect::Open { id, .. } | Effect::Hold { id, .. } | Effect::Outcome { id, .. } => Some(*id),
        _ => None,
    }
}
