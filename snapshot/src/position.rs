//! A place in the log between two frames. It knows nothing of the files behind it.

/// Where the next frame of the log goes. Kept in each image, so that replay starts there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Bytes from the beginning of that segment.
    pub offset: u64,
    /// Lsn of the first record that is written there.
    pub next_lsn: u64,
    /// Checksum (CRC32C) of the frame before, which the next frame repeats.
    pub previous: u32,
}
