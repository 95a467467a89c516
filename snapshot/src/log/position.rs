//! A place between two frames: where the next one goes, and what it must say to be the next one.

use super::bytes::{put, u32_at, u64_at};
use super::frame::{FrameHeader, FrameKind};
use super::segment::SEGMENT_HEADER_BYTES;

/// Where the next frame goes. An image keeps the position it was made at, so that replay starts there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The log it is a position of.
    pub log_id: u64,
    /// Number of the segment.
    pub segment: u64,
    /// Bytes from the segment's start, a multiple of 64.
    pub offset: u64,
    /// Lsn of the next record.
    pub next_lsn: u64,
    /// Epoch of the frame before.
    pub epoch: u64,
    /// Header checksum of the frame before, 0 at the start of the log.
    pub previous: u32,
}

impl Position {
    /// Length of an encoded position.
    pub const BYTES: usize = 48;

    /// Before the first frame of a log. The first epoch follows from the log's id, so that lives of different logs are
    /// not taken for each other.
    #[must_use]
    pub fn start(log_id: u64) -> Self {
        Self {
            log_id,
            segment: 1,
            offset: SEGMENT_HEADER_BYTES,
            next_lsn: 1,
            epoch: log_id >> 1,
            previous: 0,
        }
    }

    /// All fields in order, little endian, and four zeros.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let numbers = [self.log_id, self.segment, self.offset, self.next_lsn, self.epoch];
        for (place, number) in numbers.iter().enumerate() {
            put(&mut out, place * 8, &number.to_le_bytes());
        }
        put(&mut out, 40, &self.previous.to_le_bytes());
        out
    }

    /// What [`Position::encode`] made. The bytes carry no checksum of their own.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            log_id: u64_at(bytes, 0),
            segment: u64_at(bytes, 8),
            offset: u64_at(bytes, 16),
            next_lsn: u64_at(bytes, 24),
            epoch: u64_at(bytes, 32),
            previous: u32_at(bytes, 40),
        }
    }

    /// Whether a frame is the next one of the log: it names the frame before it, its records go on where that ended, and
    /// a new epoch begins with an opening frame only.
    pub(super) fn is_followed_by(&self, header: &FrameHeader) -> bool {
        let epoch = match header.kind {
            FrameKind::Opening => self.epoch.checked_add(1),
            FrameKind::Records | FrameKind::Seal | FrameKind::Stop => Some(self.epoch),
        };
        header.previous == self.previous && header.first_lsn == self.next_lsn && Some(header.epoch) == epoch
    }

    /// The position after a frame that stands here, whose header has this checksum.
    pub(super) fn after(&self, header: &FrameHeader, crc: u32) -> Self {
        Self {
            offset: self.offset + header.stride(),
            next_lsn: header.next_lsn(),
            epoch: header.epoch,
            previous: crc,
            ..*self
        }
    }
}
