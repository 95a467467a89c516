//! What can stand in the way of recovering a state or keeping it.

use earmark_engine::ReserveError;
use earmark_engine::image::LoadError;
use earmark_engine::resume::TooSmall;
use earmark_protocol::wire_error::WireError;
use earmark_snapshot::image::ImageError;
use earmark_snapshot::log::{Failed, LogError};
use earmark_snapshot::storage::Fault;

/// Why a data directory gives no state, or takes none.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log has ended by a fault.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// An image's sections are no state of this build.
    #[error("loading {image}: {error}; it was written by another version, start that one")]
    State {
        /// The image's file.
        image: String,
        /// What is wrong.
        error: LoadError,
    },
    /// A record whose checksum is right is no record of this build, or does not follow on the state.
    #[error("replaying record {lsn} of the log: {what}; it was written by another version, start that one")]
    Record {
        /// The record.
        lsn: u64,
        /// What is wrong.
        what: String,
    },
    /// The system has no room for the configured capacity.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// Nobody wants any more what was being loaded.
    #[error("loading an image: it was given up")]
    GivenUp,
    /// The configured capacity has no room for what is there.
    #[error("starting on what the data directory holds: {0}")]
    TooSmall(#[from] TooSmall),
}

impl StoreError {
    /// A record that cannot be read.
    pub(super) fn record(lsn: u64, error: &WireError) -> Self {
        Self::Record { lsn, what: error.to_string() }
    }

    /// This image gives no state.
    pub(super) fn state(image: &str, error: LoadError) -> Self {
        match error {
            // Nothing is wrong with the image.
            LoadError::Reserve(error) => Self::Reserve(error),
            error => Self::State { image: image.to_owned(), error },
        }
    }

    /// Whether the disk is full: room can be made, nothing is broken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Fault(fault) | Self::Image(ImageError::Disk(fault)) => fault.is_full(),
            Self::Log(LogError::Full { .. }) => true,
            Self::Log(LogError::Fault(fault)) => fault.is_full(),
            _ => false,
        }
    }

    /// Whether it tells of bytes that are not as they were written.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Log(error) => matches!(error, LogError::Damage(_) | LogError::Missing { .. }),
            Self::Image(error) => error.is_damage(),
            _ => false,
        }
    }
}
