//! The receive buffer of a pipe: bytes come in as they arrive, frames go out where they lie. It does no I/O.

use crate::frame::{FRAME_BYTES_MAX, Frame};
use crate::wire_error::WireError;

/// What a pipe's buffer is made for: some hundreds of fixed messages. A longer frame makes it grow.
const COMFORTABLE_BYTES: usize = 64 << 10;
/// Below this much room at the end, what is left of the last read moves to the front first.
const READ_BYTES_MIN: usize = 16 << 10;

/// Bytes received and not yet read. Never holds more than one frame of the limit and one read.
///
/// ```
/// use earmark_protocol::{frame::{FrameWriter, Kind}, query::Query, receive::ReceiveBuffer};
/// let mut writer = FrameWriter::new(1 << 20);
/// writer.push(Kind::Query, 9, &Query::Stats)?;
/// let mut buffer = ReceiveBuffer::new(1 << 20);
/// for byte in writer.finish() {
///     assert!(buffer.next_frame()?.is_none());
///     buffer.space()[0] = *byte;
///     buffer.filled(1);
/// }
/// let frame = buffer.next_frame()?.expect("it is all there");
/// let message = frame.messages().next().expect("it holds one")?;
/// assert_eq!((message.correlation, message.decode::<Query>()?), (9, Query::Stats));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes of the pipe were read before `start`.
    position: u64,
    limit: u32,
}

impl ReceiveBuffer {
    /// A buffer that takes frames whose `length` is at most `limit`, and never over [`FRAME_BYTES_MAX`].
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, position: 0, limit: limit.min(FRAME_BYTES_MAX) }
    }

    /// Another limit for the frames that are read from now on.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(FRAME_BYTES_MAX);
    }

    /// Room for the next read, never empty. Take all whole frames out first.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() != COMFORTABLE_BYTES {
                self.bytes = vec![0; COMFORTABLE_BYTES];
            }
        }
        if self.bytes.len() - self.end < READ_BYTES_MIN {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // A frame longer than the buffer: grow with what has arrived, not with what its length claims.
        if self.bytes.len() - self.end < READ_BYTES_MIN {
            let most = 2 * READ_BYTES_MIN + self.limit as usize;
            let grown = (self.bytes.len() * 2).min(most);
            assert!(grown > self.end, "whole frames must be taken out before more is read");
            self.bytes.resize(grown, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that a read filled this many bytes of [`ReceiveBuffer::space`].
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "a read filled more than the space it was given");
        self.end += count;
    }

    /// The next whole frame, or `None` until more is read. After an error the pipe cannot be read on.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let parsed = Frame::parse(&self.bytes[self.start..self.end], self.limit, self.position)?;
        Ok(parsed.map(|(frame, whole)| {
            self.start += whole;
            self.position += whole as u64;
            frame
        }))
    }

    /// Whether [`ReceiveBuffer::next_frame`] would give one.
    pub fn has_frame(&self) -> Result<bool, WireError> {
        let parsed = Frame::parse(&self.bytes[self.start..self.end], self.limit, self.position)?;
        Ok(parsed.is_some())
    }

    /// Where reading stands, counted from the beginning of the pipe.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of a frame that is not all there.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.end - self.start
    }
}
