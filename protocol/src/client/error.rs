//! What can stand between a call and its answer. A business no is none of these: it is in the answer.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::frame::MessageTooLong;
use crate::hello::PipeError;
use crate::ids::CommandId;
use crate::wire_error::WireError;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be used.
    #[error("setting up the client: {what} ({cause}); correct the configuration")]
    Configuration {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        cause: Arc<str>,
    },
    /// No connection came about.
    #[error(
        "connecting to {address}: {cause}; see that the daemon runs there and that its certificate is trusted"
    )]
    Unreachable {
        /// Where to.
        address: SocketAddr,
        /// What stood in the way.
        cause: Arc<str>,
    },
    /// The daemon closed the pipe, and says why; the call was what it closed it for, or may have been.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The pipe broke. Calls of a [`super::Client`] never see this: they are sent again.
    #[error("using a pipe: {cause}; open another")]
    Lost {
        /// What the transport says.
        cause: Arc<str>,
    },
    /// What the daemon sent could not be read.
    #[error("{0} (sent by the daemon); a command's outcome is not known, send it again with the same id")]
    Wire(WireError),
    /// The daemon answered what was not asked.
    #[error(
        "the daemon answered message {correlation:#x}, which did not ask for that; send commands again by id"
    )]
    Unasked {
        /// The correlation of its answer.
        correlation: u32,
    },
    /// No answer within the deadline.
    #[error("{}", no_answer(*deadline_ms, *sent, id.as_ref(), trouble.as_deref()))]
    Deadline {
        /// The deadline, in milliseconds from the call.
        deadline_ms: u64,
        /// The command, which may be sent again with this id; `None` for a question.
        id: Option<CommandId>,
        /// Whether it was sent, so that the command may have been decided.
        sent: bool,
        /// The last trouble with the connection, if it is not there.
        trouble: Option<Arc<str>>,
    },
    /// The daemon's log is another one than when the call was made.
    #[error("the daemon's log changed from epoch {was} to {is}; resolve the codes again, handles are void")]
    EpochChanged {
        /// The epoch the call was made in.
        was: u64,
        /// The daemon's epoch.
        is: u64,
    },
    /// The message fits no frame.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
    /// More calls wait than a pipe can number.
    #[error("queueing a call: {waiting} already wait on its pipe; wait for answers first")]
    TooManyCalls {
        /// How many.
        waiting: usize,
    },
    /// The client was closed.
    #[error("the client was closed; connect again")]
    Closed,
}

/// What kind of end a call came to, where a program says so by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The daemon said no.
    Refused,
    /// What was asked cannot be asked that way: the program was used wrongly.
    Misused,
    /// There is no daemon, or it gave no answer that can be used.
    Unreachable,
}

impl ClientError {
    /// What kind of end it is: one meaning for all programs.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self::Pipe(PipeError::TokenUnknown) => Ending::Refused,
            Self::Configuration { .. } | Self::TooLong(_) => Ending::Misused,
            _ => Ending::Unreachable,
        }
    }
}

fn no_answer(deadline_ms: u64, sent: bool, id: Option<&CommandId>, trouble: Option<&str>) -> String {
    let mut text = format!("waiting for an answer: none within {deadline_ms} ms");
    if let Some(trouble) = trouble {
        text += &format!(" ({trouble})");
    }
    match (id, sent) {
        (Some(id), true) => text += &format!("; the outcome is not known, send the command again as {id}"),
        (_, false) => text += "; it was not sent, try again later or with a longer deadline",
        (None, true) => text += "; try again later or with a longer deadline",
    }
    text
}
