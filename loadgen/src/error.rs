//! Why a command of the load generator did not do what it was told, and the exit code that says so.

use std::process::ExitCode;

use earmark_protocol::client::{ClientError, Ending};
use earmark_protocol::refusal::Refusal;

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The command line is wrong, or a file it names.
    #[error("{0}")]
    Usage(String),
    /// No daemon, or none that answers.
    #[error("{attempted}: {cause}")]
    Daemon {
        attempted: &'static str,
        #[source]
        cause: ClientError,
    },
    /// The daemon said no to what a load needs.
    #[error("{attempted}: the daemon refused: {refusal}")]
    Refused { attempted: &'static str, refusal: Refusal },
    /// The daemon answered what was not asked.
    #[error("{attempted}: the daemon answered something else; are both of one version?")]
    Unexpected { attempted: &'static str },
    /// The daemon has nothing to put a load on.
    #[error("{0}")]
    Empty(String),
    /// A promise was broken, or the load came to nothing.
    #[error("{0}")]
    Failed(String),
    /// The machine gave out.
    #[error("{0}")]
    Machine(String),
}

impl Trouble {
    pub(crate) fn usage(attempted: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Usage(format!("{attempted}: {cause}"))
    }

    pub(crate) fn daemon(attempted: &'static str) -> impl Fn(ClientError) -> Self {
        move |cause| Self::Daemon { attempted, cause }
    }

    /// 1 refused or failed, 2 wrong usage, 3 unreachable: the exit codes of `earmark`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let ending = match self {
            Self::Refused { .. } | Self::Empty(_) | Self::Failed(_) => Ending::Refused,
            Self::Usage(_) => Ending::Misused,
            Self::Unexpected { .. } | Self::Machine(_) => Ending::Unreachable,
            Self::Daemon { cause, .. } => cause.ending(),
        };
        ExitCode::from(match ending {
            Ending::Refused => 1,
            Ending::Misused => 2,
            Ending::Unreachable => 3,
        })
    }
}
