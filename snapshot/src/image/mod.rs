//! Images: all state at one lsn, as sections of memory that this crate cannot read. Written beside the log, checked by
//! blocks when loaded, two kept. Nothing here knows where sections come from or when an image is due.

mod error;
mod header;
mod inspect;
mod listing;
mod reader;
mod writer;

use crate::Position;

pub use error::ImageError;
pub use header::VERSION;
pub use inspect::{DamagedBlock, Inspection, inspect};
pub use listing::{ImageFile, images, keep, set_aside};
pub use reader::{ImageReader, Section};
pub use writer::{ImageWriter, Progress};

/// Sections are written, checked and loaded in blocks of this many bytes; the last block of a section may be shorter.
/// At the speed of a fast disk one takes well under a millisecond, and its checksum adds 4 bytes in a million.
pub const BLOCK_BYTES: usize = 1 << 20;

/// The moment an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last record whose effect is in the image; 0 for none.
    pub lsn: u64,
    /// The time stamped on that record, in milliseconds since 1970.
    pub time_ms: u64,
    /// Where in the log the records after it are, and of which log.
    pub position: Position,
}
