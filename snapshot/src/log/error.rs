//! What can stand in the way of opening, reading or writing a log.

use std::fmt;
use std::sync::Arc;

use super::segment::{LOG_VERSION, segment_name};
use crate::storage::Fault;

/// Why a log cannot be opened or read.
#[derive(Debug)]
pub enum LogError {
    /// A file operation failed.
    Fault(Fault),
    /// What was durable is not there as it was written.
    Damage(Damage),
    /// A segment of a version that this build does not read.
    Version {
        /// The directory.
        place: String,
        /// Number of the segment.
        segment: u64,
        /// Its version.
        version: u32,
    },
    /// A segment of another log.
    Foreign {
        /// The directory.
        place: String,
        /// Number of the segment.
        segment: u64,
        /// The log it says it is of.
        found: u64,
        /// The log that was asked for.
        expected: u64,
    },
    /// A segment that is needed is not there.
    Missing {
        /// The directory.
        place: String,
        /// Number of the segment.
        segment: u64,
    },
    /// A position that lies in no segment as it is.
    Position {
        /// The directory.
        place: String,
        /// Number of the segment.
        segment: u64,
        /// Bytes from its start.
        offset: u64,
    },
    /// The log's last segment is full, and so is the disk.
    Full {
        /// The directory.
        place: String,
    },
    /// Sizes that do not go together.
    Options(String),
}

/// A place where something durable is not there as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The directory.
    pub place: String,
    /// Number of the segment.
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
    /// Lsn of the first record that cannot be read; `None` where it is not known.
    pub lsn: Option<u64>,
    /// How it is known.
    pub sign: Sign,
}

/// How damage is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The segment's first bytes are not the header of such a segment.
    SegmentHeader,
    /// No frame of the log is in the segment.
    NoFrame,
    /// A frame further on was written when what is missing was durable.
    LaterFrame {
        /// Number of its segment.
        segment: u64,
        /// Bytes from the segment's start.
        offset: u64,
        /// Its first lsn.
        first_lsn: u64,
        /// What was durable when it was written.
        durable_lsn: u64,
    },
    /// The writer of the log said that all up to this lsn is durable.
    Mark(u64),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = segment_name(self.segment);
        write!(f, "reading the log in {}: segment {name} is damaged at byte {}", self.place, self.offset)?;
        if let Some(lsn) = self.lsn {
            write!(f, ", where record {lsn} must begin")?;
        }
        match self.sign {
            Sign::SegmentHeader => write!(f, " (its header is not one of such a segment)")?,
            Sign::NoFrame => write!(f, " (no frame can be read in it)")?,
            Sign::LaterFrame { segment, offset, first_lsn, durable_lsn } => {
                let name = segment_name(segment);
                write!(
                    f,
                    " (a later frame, at byte {offset} of {name}, from lsn {first_lsn}, was written when all up to \
                     {durable_lsn} was durable)"
                )?;
            }
            Sign::Mark(durable) => write!(f, " (all up to {durable} was durable)")?,
        }
        write!(f, "; inspect it with `earmark log check`, and put back the data directory from a copy")
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Damage(damage) => damage.fmt(f),
            Self::Version { place, segment, version } => {
                let name = segment_name(*segment);
                write!(
                    f,
                    "reading the log in {place}: segment {name} is of version {version}, and this build reads version \
                     {LOG_VERSION}; start the build that wrote it"
                )
            }
            Self::Foreign { place, segment, found, expected } => {
                let name = segment_name(*segment);
                write!(
                    f,
                    "reading log {expected:016x} in {place}: segment {name} is of log {found:016x}; take the files of \
                     other logs out of the data directory"
                )
            }
            Self::Missing { place, segment } => {
                let name = segment_name(*segment);
                write!(
                    f,
                    "reading the log in {place}: segment {name} is needed and not there; put it back, or the data \
                     directory from a copy"
                )
            }
            Self::Position { place, segment, offset } => {
                let name = segment_name(*segment);
                write!(
                    f,
                    "reading the log in {place}: byte {offset} of segment {name} is no place of a frame; the image that \
                     names it is not of this log, start from another"
                )
            }
            Self::Full { place } => {
                write!(
                    f,
                    "opening the log in {place}: its last segment is full and the disk has no room for another; make room"
                )
            }
            Self::Options(what) => write!(f, "opening the log: {what}"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fault(fault) => std::error::Error::source(fault),
            _ => None,
        }
    }
}

impl From<Fault> for LogError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A log that a fault has stopped for good: nothing more is written, and the gate stays where it is. What the disk
/// really has is known at the next start only.
#[derive(Clone, Debug)]
pub struct Failed(Arc<Fault>);

impl Failed {
    pub(super) fn of(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }

    /// What stood in the way.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log takes nothing more ({}); start again to recover what is durable", self.0)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // What it says of itself is in the message already.
        self.0.source()
    }
}
