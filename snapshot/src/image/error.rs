//! Why an image cannot be used.

use crate::storage::Fault;

/// Why an image cannot be used. A damaged one has an older one beside it; one of a newer version is whole, and only a
/// newer build can read it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] Fault),

    /// Written by a build newer than this one.
    #[error(
        "reading {name}: it has image version {version}, this build knows versions up to {known}; start a build that \
         knows version {version}"
    )]
    NewerVersion {
        /// The image's file.
        name: String,
        /// The version it says it has.
        version: u32,
        /// The newest version that this build can read.
        known: u32,
    },

    /// Bytes that are not what was written.
    #[error(
        "reading {name}: damaged at byte {offset}: {what}; use the image before it, or a copy of this one"
    )]
    Damaged {
        /// The image's file.
        name: String,
        /// Where the damage was found, in bytes from the beginning of the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
}

impl ImageError {
    /// Whether the bytes are not what was written, so that an older image may do.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
