//! What was wrong with the bytes of a pipe. A bad byte closes its pipe and nothing else; it is never mixed with
//! a business no, which is a [`crate::refusal::Refusal`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct WireError {
    /// Where: bytes from the beginning of what was read. On a pipe that is the pipe's first byte in that direction.
    pub offset: u64,
    /// What was needed there; [`WireFault`] says of what.
    pub need: u64,
    /// What was there instead; [`WireFault`] says of what.
    pub have: u64,
    /// What is wrong, and so what the two numbers count.
    pub what: WireFault,
}

/// What can be wrong with bytes. The place in this list is the number on the wire: append, never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireFault {
    /// The value at `offset` takes `need` bytes, and `have` are left of its message or frame.
    Truncated,
    /// All was read at `offset`: `need` is 0, and `have` bytes stand there.
    Trailing,
    /// The frame at `offset` says it is `need` bytes long, over the limit of `have`.
    FrameTooLong,
    /// At `offset` stands the number `have`, which means nothing there; `need` is 0.
    BadValue,
    /// At `offset` stands the byte `have`, which is no UTF-8 there; `need` is 0.
    BadText,
    /// At `offset` stands `have`, and `need` was due: a reserved field that is not 0.
    Reserved,
    /// The message at `offset` is of kind `have`, which has no place there; `need` is 0.
    UnexpectedKind,
}

impl WireError {
    /// A value of `need` bytes where `have` are left.
    #[must_use]
    pub fn truncated(offset: usize, need: u64, have: usize) -> Self {
        Self { offset: offset as u64, need, have: have as u64, what: WireFault::Truncated }
    }

    /// `have` bytes too many.
    #[must_use]
    pub fn trailing(offset: usize, have: usize) -> Self {
        Self { offset: offset as u64, need: 0, have: have as u64, what: WireFault::Trailing }
    }

    /// A number that means nothing there.
    #[must_use]
    pub fn bad_value(offset: usize, have: u64) -> Self {
        Self { offset: offset as u64, need: 0, have, what: WireFault::BadValue }
    }

    /// A reserved field that is not 0.
    #[must_use]
    pub fn reserved(offset: usize, have: u64) -> Self {
        Self { offset: offset as u64, need: 0, have, what: WireFault::Reserved }
    }

    /// The same error, where what was read begins `base` bytes after what the offset shall count from.
    #[must_use]
    pub fn after(self, base: u64) -> Self {
        Self { offset: self.offset.saturating_add(base), ..self }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, need, have, what } = self;
        write!(f, "reading at byte {offset}: ")?;
        match what {
            WireFault::Truncated => write!(f, "{need} bytes are needed and {have} are there")?,
            WireFault::Trailing => write!(f, "{have} bytes stand after the end of the value")?,
            WireFault::FrameTooLong => write!(f, "the frame says {need} bytes, the limit is {have}")?,
            WireFault::BadValue => write!(f, "the number {have} means nothing there")?,
            WireFault::BadText => write!(f, "the byte {have:#04x} is no UTF-8 there")?,
            WireFault::Reserved => write!(f, "a reserved field is {have} and must be {need}")?,
            WireFault::UnexpectedKind => write!(f, "a message of kind {have:#04x} has no place there")?,
        }
        write!(f, "; compare the sender with docs/protocol.md")
    }
}
