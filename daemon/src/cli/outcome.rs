//! How a command of the command line ends: an answer, or a failure with its exit code. Both can be told to people
//! and as one JSON object.

use std::io::{self, Write as _};
use std::process::ExitCode;

use earmark_protocol::client::{ClientError, Ending};
use earmark_protocol::ids::CommandId;
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::Status;
use serde_json::{Value, json};

use super::words;
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
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
        let status = match refusal.code {
            RefusalCode::WrongStatus => u8::try_from(refusal.detail).ok().and_then(Status::from_number),
            _ => None,
        };
        let status_text = status.map(|is| format!(" It is {}.", words::status(is))).unwrap_or_default();
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
        let text = format!("{attempted}{named_text}: refused, {refusal}{status_text}");
        Self { exit: Exit::Refused, text, json }
    }

    /// A call had no answer.
    #[must_use]
    pub(super) fn client(attempted: &str, error: &ClientError) -> Self {
        let text = format!("{attempted}: {error}");
        match error.ending() {
            Ending::Refused => Self::refused(text),
            Ending::Misused => Self::usage(text),
            Ending::Unreachable => Self::unreachable(text),
        }
    }

    /// The same, of the command of this id: where it may have been done, its id is what it can be asked for by.
    #[must_use]
    pub(super) fn of_command(mut self, id: CommandId) -> Self {
        self.json["id"] = json!(id);
        if self.exit == Exit::Unreachable {
            self.text +=
                &format!("; whether it was done is not known: give it again with --id {id}, it acts once");
        }
        self
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
    let (exit, printed) = match outcome {
        Ok(answer) if as_json => (ExitCode::SUCCESS, print(&answer.json.to_string())),
        Ok(answer) => (ExitCode::SUCCESS, print(answer.text.trim_end())),
        Err(failure) if as_json => (failure.exit.into(), print(&failure.json.to_string())),
        Err(failure) => {
            complain(&failure.text);
            (failure.exit.into(), Ok(()))
        }
    };
    match printed {
        // A reader that went away early, like `head`, is no fault.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!(
                "writing the answer to standard output: {error}; what was asked for has happened, its answer is lost"
            ));
            Exit::Unreachable.into()
        }
        _ => exit,
    }
}

fn print(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Nobody may be listening.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "earmark: {text}");
}

#[cfg(test)]
mod tests {
    use earmark_protocol::refusal::Field;

    use super::*;

    #[test]
    fn a_wrong_status_is_told_by_its_name() {
        let refusal = Refusal::of(RefusalCode::WrongStatus, Field::Reservation);
        for (number, name) in [(0, "It is held."), (8, "It is cancelled.")] {
            let told = Failure::refusal("shipping", &refusal.detail(number), None);
            assert!(told.text.ends_with(name), "{}", told.text);
        }
    }

    #[test]
    fn a_command_without_an_answer_names_the_id_to_ask_again_by() {
        let id: CommandId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let lost = Failure::unreachable("reserving 1 line: no answer").of_command(id);
        assert!(lost.text.ends_with(&format!("give it again with --id {id}, it acts once")), "{}", lost.text);
        assert_eq!(lost.json["id"], json!(id));
        // A refusal is an answer.
        let refused = Failure::refused("no").of_command(id);
        assert_eq!((refused.text.as_str(), &refused.json["id"]), ("no", &json!(id)));
    }
}
