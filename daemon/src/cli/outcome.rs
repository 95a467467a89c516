//! How a command of the command line ends: an answer, or a failure with its exit code. Both can be told to people
//! and as one JSON object.

use std::process::ExitCode;

use earmark_protocol::client::ClientError;
use earmark_protocol::hello::PipeError;
use earmark_protocol::refusal::Refusal;
use serde_json::{Value, json};

use crate::data::load::LoadError;
use crate::data::trouble::BadRows;

/// What the process says to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The daemon said no, or a check did.
    Refused = 1,
    /// The command line is wrong, or a file it names.
    Usage = 2,
    /// There is no daemon, or it does not answer.
    Unreachable = 3,
}

/// It was done.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// For people.
    pub(super) text: String,
    /// For programs: one object.
    pub(super) json: Value,
}

/// It was not done.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// For people: what was attempted, what stood in the way, what to do.
    pub(super) text: String,
    /// For programs: one object.
    pub(super) json: Value,
}

/// How a command ends.
pub(super) type Outcome = Result<Answer, Failure>;

impl Failure {
    /// The command line is wrong.
    #[must_use]
    pub(super) fn usage(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit: Exit::Usage, json: json!({ "error": text, "kind": "usage" }), text }
    }

    /// There is no daemon, or it does not answer.
    #[must_use]
    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit: Exit::Unreachable, json: json!({ "error": text, "kind": "unreachable" }), text }
    }

    /// Something other than a daemon's refusal says no.
    #[must_use]
    pub(super) fn refused(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit: Exit::Refused, json: json!({ "error": text, "kind": "refused" }), text }
    }

    /// The daemon refused. `named` is what the user called the offending thing, where that is known.
    #[must_use]
    pub(super) fn refusal(attempted: &str, refusal: &Refusal, named: Option<&str>) -> Self {
        let named_text = named.map(|named| format!(" ({named})")).unwrap_or_default();
        let json = json!({
            "refused": {
                "code": refusal.code.name(),
                "number": refusal.code.number(),
                "field": refusal.field.meaning(),
                "index": refusal.index,
                "named": named,
                "detail": refusal.detail,
                "meaning": refusal.code.meaning(),
            },
            "attempted": attempted,
        });
        Self { exit: Exit::Refused, text: format!("{attempted}{named_text}: refused, {refusal}"), json }
    }

    /// A call had no answer.
    #[must_use]
    pub(super) fn client(attempted: &str, error: &ClientError) -> Self {
        let text = format!("{attempted}: {error}");
        match error {
            ClientError::Pipe(PipeError::TokenUnknown) => Self::refused(text),
            ClientError::Configuration { .. } | ClientError::TooLong(_) => Self::usage(text),
            _ => Self::unreachable(text),
        }
    }

    /// An answer of another kind than was asked for.
    #[must_use]
    pub(super) fn unexpected(attempted: &str) -> Self {
        Self::unreachable(format!(
            "{attempted}: the daemon's answer is of another kind; use a client and a daemon of one version"
        ))
    }

    /// Data files have bad rows.
    #[must_use]
    pub(super) fn bad_rows(attempted: &str, bad: &BadRows) -> Self {
        let text = format!("{attempted}: {} bad rows, nothing was sent; correct them\n{bad}", bad.total());
        let json = json!({
            "error": format!("{attempted}: {} bad rows", bad.total()),
            "kind": "refused",
            "bad_rows_total": bad.total(),
            "bad_rows": bad.rows(),
        });
        Self { exit: Exit::Refused, text: text.trim_end().to_owned(), json }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match &error {
            LoadError::Client { what, cause } => Self::client(&format!("sending {what}"), cause),
            LoadError::UnknownCodes(bad) => Self::bad_rows("looking up codes in the daemon's catalogue", bad),
            LoadError::Refused { .. } => Self::refused(error.to_string()),
            LoadError::Unexpected { .. } => Self::unreachable(error.to_string()),
        }
    }
}

/// Prints an outcome and gives the process its exit code. JSON always goes to standard output.
#[must_use]
pub(super) fn tell(outcome: Outcome, as_json: bool) -> ExitCode {
    match outcome {
        Ok(answer) if as_json => {
            print(&answer.json.to_string());
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            print(answer.text.trim_end());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if as_json {
                print(&failure.json.to_string());
            } else {
                eprintln!("earmark: {}", failure.text);
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Prints a line; a reader that went away early, like `head`, is no fault.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}
