//! How a pipe begins and how it ends: the Hello of both sides, the limits it states, and the last word of a daemon
//! that closes a pipe.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Lsn, Tenant, TimestampMs};
use crate::wire_error::WireError;

/// The application protocol of TLS (ALPN).
pub const ALPN: &[u8] = b"earmark/1";

/// The first field of a Hello: the bytes `EARM`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"EARM");

/// The protocol version of this build.
pub const VERSION: u16 = 1;

/// The largest `length` of a frame before Hello is answered, in bytes.
pub const HELLO_FRAME_BYTES_MAX: u32 = 1_024;

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 256;

/// The first message on every pipe.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: u32,
    /// The oldest version the client speaks.
    pub version_min: u16,
    /// The newest version the client speaks.
    pub version_max: u16,
    /// Who the client is, at most [`TOKEN_BYTES_MAX`] bytes; tenant and role follow from it.
    pub token: String,
}

impl Hello {
    /// The Hello of this build.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self { magic: MAGIC, version_min: VERSION, version_max: VERSION, token: token.to_owned() }
    }

    /// The version both sides speak, or what to tell the client.
    pub fn version(&self) -> Result<u16, PipeError> {
        if self.magic != MAGIC {
            return Err(PipeError::MagicUnknown { magic: self.magic });
        }
        if !(self.version_min..=self.version_max).contains(&VERSION) {
            return Err(PipeError::VersionUnknown { version_min: VERSION, version_max: VERSION });
        }
        Ok(VERSION)
    }
}

/// Tokens never reach logs.
impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { magic, version_min, version_max, token: _ } = self;
        write!(f, "Hello {{ magic: {magic:#x}, versions: {version_min}..={version_max}, token: … }}")
    }
}

/// The daemon's answer to a Hello it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The version both sides speak from here on.
    pub version: u16,
    /// Whose stock and orders the token is for.
    pub tenant: Tenant,
    /// What the token may do.
    pub role: Role,
    /// Names the log. Handles are void and nothing of before is known once it changes.
    pub log_epoch: u64,
    /// The last place decided in it.
    pub lsn: Lsn,
    /// The daemon's time: clients make their ids on it.
    pub time: TimestampMs,
    /// How long outcomes are remembered, so how long after its id's time a command may be sent again.
    pub retry_window_ms: u64,
    /// What the daemon takes.
    pub limits: Limits,
}

/// What a token may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Ask.
    Read,
    /// Hold, reserve, confirm, release, extend and amend, as a shop does.
    Checkout,
    /// All that happens to orders and stock.
    Oms,
    /// The catalogue and the daemon itself.
    Admin,
}

/// What the daemon takes. Beyond the first three the pipe is closed with a [`PipeError`] that names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest `length` of a frame, both ways, in bytes.
    pub frame_bytes_max: u32,
    /// Most messages of one pipe that are not answered yet.
    pub messages_in_flight_max: u32,
    /// Most pipes of one connection.
    pub pipes_max: u32,
    /// Most elements of a list in a command; more are refused `ListTooLong`.
    pub lines_max: u32,
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// [`Limits::messages_in_flight_max`].
    MessagesInFlight,
    /// [`Limits::pipes_max`].
    Pipes,
    /// [`TOKEN_BYTES_MAX`].
    TokenBytes,
}

/// The daemon's last word on a pipe. Its other pipes live on. The place in this list is the number on the wire:
/// append, never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PipeError {
    /// Bytes that could not be read. A frame over the limit is one of these.
    #[error("the daemon closed the pipe: {0}")]
    Wire(WireError),
    /// A limit was passed.
    #[error("the daemon closed the pipe: {limit:?} reached {have}, its limit is {most}; send less at a time")]
    LimitPassed {
        /// Which.
        limit: LimitName,
        /// The limit.
        most: u64,
        /// What it would have come to.
        have: u64,
    },
    /// The first message was no Hello, or a later one was.
    #[error("the daemon closed the pipe: Hello must be the first message, and the first alone")]
    HelloOutOfPlace,
    /// The Hello is not Earmark's.
    #[error("the daemon closed the pipe: the Hello's magic is {magic:#010x}; this is no Earmark client")]
    MagicUnknown {
        /// What stood there.
        magic: u32,
    },
    /// No version in common.
    #[error(
        "the daemon closed the pipe: it speaks versions {version_min} to {version_max}; use a client of those"
    )]
    VersionUnknown {
        /// The oldest version the daemon speaks.
        version_min: u16,
        /// The newest version the daemon speaks.
        version_max: u16,
    },
    /// No such token.
    #[error("the daemon closed the pipe: it does not know the token; ask its operator for a valid one")]
    TokenUnknown,
    /// The daemon shuts down.
    #[error("the daemon closed the pipe: it is shutting down; connect to its successor")]
    Draining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_meets_on_a_version_or_says_which_there_are() {
        let hello = Hello::new("t");
        assert_eq!(hello.version(), Ok(VERSION));
        assert_eq!(Hello { version_max: 9, ..hello.clone() }.version(), Ok(VERSION));
        let newer = Hello { version_min: 2, version_max: 9, ..hello.clone() };
        assert_eq!(newer.version(), Err(PipeError::VersionUnknown { version_min: 1, version_max: 1 }));
        assert_eq!(Hello { magic: 7, ..hello }.version(), Err(PipeError::MagicUnknown { magic: 7 }));
    }

    #[test]
    fn the_token_is_not_in_what_is_printed() {
        assert!(!format!("{:?}", Hello::new("s3cret")).contains("s3cret"));
    }
}
