//! What a disk said no to.

use std::fmt;
use std::io;

/// What was attempted on a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Listing a directory.
    List,
    /// Opening a file.
    Open,
    /// Making a file of its full length.
    Create,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Making what was written durable.
    Sync,
    /// Giving a file another name.
    Rename,
    /// Taking a file away.
    Remove,
    /// Taking the lock of the data directory.
    Lock,
}

/// A file operation that failed: what was attempted, where, and what stood in the way.
#[derive(Debug)]
pub struct Fault {
    attempt: Attempt,
    path: String,
    offset: Option<u64>,
    source: io::Error,
}

impl Fault {
    /// A fault of an operation on this path.
    #[must_use]
    pub fn new(attempt: Attempt, path: impl Into<String>, source: io::Error) -> Self {
        Self { attempt, path: path.into(), offset: None, source }
    }

    /// The same, at a place in the file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// What was attempted.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Whether the disk, or what this user may use of it, is full: room can be made, nothing is broken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.attempt {
            Attempt::List => "listing",
            Attempt::Open => "opening",
            Attempt::Create => "making",
            Attempt::Read => "reading",
            Attempt::Write => "writing",
            Attempt::Sync => "syncing",
            Attempt::Rename => "renaming",
            Attempt::Remove => "removing",
            Attempt::Lock => "locking",
        };
        write!(f, "{doing} {}", self.path)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.source)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // What it says of itself is in the message already.
        self.source.source()
    }
}
