//! How a log is laid out and driven: sizes in bytes, and when an answer may leave.

use super::error::LogError;
use super::frame::{FRAME_HEADER_BYTES, padded};
use super::segment::SEGMENT_HEADER_BYTES;

/// When the gate moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After the flush: what was answered is durable.
    Sync,
    /// When a batch is sealed; it is flushed later, in the rhythm of the thread that holds the [`super::Flusher`].
    /// What was sealed since the last flush is at risk.
    Interval,
}

/// Sizes and limits of a log on disk. `Default` is what the daemon runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Length of a segment file. A multiple of 4,096, from 16 KiB to 1 GiB. Segments that are already there keep theirs.
    pub segment_bytes: u64,
    /// Segments kept ready beyond the one that is written, at least 1.
    pub ahead: usize,
    /// A batch is parted into several frames of about this many payload bytes. At most half of what a segment holds.
    pub frame_bytes: usize,
    /// At most this many waiting bytes are flushed by the one who calls [`super::Log::flush`]; more is left to the thread
    /// that holds the [`super::Flusher`].
    pub inline_bytes: u64,
    /// What one batch may need in the log at most. With less than that left, [`super::Room::None`].
    pub batch_bytes_max: u64,
    /// With more bytes waiting than this the log [is backed up](super::Log::is_backed_up).
    pub waiting_bytes_max: u64,
    /// When the gate moves.
    pub mode: Mode,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            ahead: 2,
            // Large against a frame's header, small against a segment.
            frame_bytes: 1 << 20,
            // Measured on two cores: up to some 48 holds of 64 bytes, flushing them oneself is faster than a wake-up.
            inline_bytes: 4 << 10,
            batch_bytes_max: 8 << 20,
            waiting_bytes_max: 32 << 20,
            mode: Mode::Sync,
        }
    }
}

impl LogOptions {
    /// The longest record such a log takes, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> u64 {
        // A frame takes one more record while its payload is below `frame_bytes`; the record's length takes 4.
        self.segment_bytes - SEGMENT_HEADER_BYTES - (FRAME_HEADER_BYTES + self.frame_bytes + 4) as u64
    }

    /// What a batch of `batch_bytes_max` needs: each segment it goes on in may leave a hole in the one before, just too
    /// small for a frame.
    pub(super) fn batch_room(&self) -> u64 {
        self.batch_bytes_max + (self.ahead as u64) * padded(self.frame_bytes)
    }

    /// # Errors
    /// Which size does not go, and between what it may be.
    pub(super) fn check(&self) -> Result<(), LogError> {
        let no = |what: String| Err(LogError::Options(what));
        let bytes = self.segment_bytes;
        if !bytes.is_multiple_of(4096) || !(16 << 10..=1 << 30).contains(&bytes) {
            return no(format!(
                "segment_bytes is {bytes}: take a multiple of 4,096 from 16,384 to 1,073,741,824"
            ));
        }
        let half = (bytes - SEGMENT_HEADER_BYTES) / 2;
        if self.frame_bytes == 0 || self.frame_bytes as u64 > half {
            return no(format!("frame_bytes is {}: take 1 to {half}, half of a segment", self.frame_bytes));
        }
        if self.ahead == 0 {
            return no(
                "ahead is 0: at least one segment must be ready beyond the one that is written".to_owned()
            );
        }
        Ok(())
    }
}
