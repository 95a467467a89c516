//! Reads a log frame by frame from a position. It takes a frame only as the next one of the log, checked to its last
//! byte; what lies where no next frame is, is for [`super::tail`] to judge.

use std::fmt;
use std::sync::Arc;

use super::error::{Damage, LogError, Sign};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Records, crc_in};
use super::position::Position;
use super::segment::{SEGMENT_HEADER_BYTES, Segment, segment_name};
use crate::storage::{Fault, Storage};

/// Read at a time, in bytes: a disk gives its full rate with this much, and a follower wastes little.
const READ_AHEAD: u64 = 1 << 20;

/// One frame of the log.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Number of its segment.
    pub segment: u64,
    /// Bytes from the segment's start.
    pub offset: u64,
    /// What it says of itself.
    pub header: FrameHeader,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Its records, each with its lsn. Their time is the frame's.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::of(&self.header, self.body)
    }
}

/// Reads a log from a position on.
pub struct LogReader {
    storage: Arc<dyn Storage>,
    position: Position,
    segment: Segment,
    window: Window,
}

impl LogReader {
    /// A reader that stands at this position.
    ///
    /// # Errors
    /// [`LogError::Missing`], where the position's segment is not there; [`LogError::Position`]; what stands in the way
    /// of opening the segment.
    pub fn new(storage: Arc<dyn Storage>, position: Position) -> Result<Self, LogError> {
        if !storage.list()?.contains(&segment_name(position.segment)) {
            return Err(LogError::Missing { place: storage.place(), segment: position.segment });
        }
        let segment = Segment::open_of(&*storage, position.segment, position.log_id)?;
        let Position { offset, segment: number, .. } = position;
        let is_inside = (SEGMENT_HEADER_BYTES..=segment.bytes).contains(&offset);
        if !is_inside || !offset.is_multiple_of(FRAME_HEADER_BYTES as u64) || position.next_lsn == 0 {
            return Err(LogError::Position { place: storage.place(), segment: number, offset });
        }
        Ok(Self { storage, position, segment, window: Window::default() })
    }

    /// Where the next frame goes.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next frame; `None` at the end. For a log that nobody writes.
    ///
    /// # Errors
    /// What stands in the way of reading.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LogError> {
        let Some((header, crc)) = self.find()? else {
            return Ok(None);
        };
        let Position { segment, offset, .. } = self.position;
        self.position = self.position.after(&header, crc);
        let body = self.window.held(offset + FRAME_HEADER_BYTES as u64, header.bytes as usize);
        Ok(Some(Frame { segment, offset, header, body }))
    }

    /// The next frame of a log that is being written, up to what [`super::Flusher::durable`] said; `None` where all of
    /// that has been read.
    ///
    /// # Errors
    /// Damage, where something is not there that is durable; what stands in the way of reading.
    pub fn next_durable(&mut self, durable: u64) -> Result<Option<Frame<'_>>, LogError> {
        let Position { segment, offset, next_lsn, .. } = self.position;
        if next_lsn > durable {
            return Ok(None);
        }
        let damage = Damage {
            place: self.storage.place(),
            segment,
            offset,
            lsn: Some(next_lsn),
            sign: Sign::Mark(durable),
        };
        match self.next_frame()? {
            Some(frame) => Ok(Some(frame)),
            None => Err(LogError::Damage(damage)),
        }
    }

    /// Finds the next frame where it must be: here, or at the start of the next segment. It is in the window then.
    fn find(&mut self) -> Result<Option<(FrameHeader, u32)>, LogError> {
        // What was read ahead may be older than what is on disk by now, so a no counts only when read afresh.
        for _ in 0..2 {
            if let Some(found) = self.window.look(&self.segment, &self.position)? {
                return Ok(Some(found));
            }
            self.window.clear();
        }
        let number = self.position.segment + 1;
        if !self.storage.list()?.contains(&segment_name(number)) {
            return Ok(None);
        }
        let next = Segment::open_of(&*self.storage, number, self.position.log_id)?;
        let start = Position { segment: number, offset: SEGMENT_HEADER_BYTES, ..self.position };
        let found = self.window.look(&next, &start)?;
        if found.is_some() {
            (self.segment, self.position) = (next, start);
        } else {
            self.window.clear();
        }
        Ok(found)
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A part of a segment in memory.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The frame at this position, if it is the next one, whole and right.
    fn look(&mut self, segment: &Segment, position: &Position) -> Result<Option<(FrameHeader, u32)>, Fault> {
        let Some(start) = self.get(segment, position.offset, FRAME_HEADER_BYTES)? else {
            return Ok(None);
        };
        let header = FrameHeader::decode(start, position.log_id);
        let Some(header) = header.filter(|header| position.is_followed_by(header)) else {
            return Ok(None);
        };
        let length = FRAME_HEADER_BYTES + header.bytes as usize;
        let Some(whole) = self.get(segment, position.offset, length)? else {
            return Ok(None);
        };
        let (start, body) = whole.split_at(FRAME_HEADER_BYTES);
        Ok(header.fits(body).then(|| (header, crc_in(start))))
    }

    /// Bytes of the segment, read where they are not held; `None` where they go past its end.
    fn get(&mut self, segment: &Segment, offset: u64, length: usize) -> Result<Option<&[u8]>, Fault> {
        let rest = segment.bytes.saturating_sub(offset);
        if length as u64 > rest {
            return Ok(None);
        }
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + length as u64 > end {
            let ahead = READ_AHEAD.max(length as u64).min(rest);
            self.start = offset;
            self.bytes.resize(ahead as usize, 0);
            if let Err(fault) = segment.file.read_at(&mut self.bytes, offset) {
                self.clear();
                return Err(fault);
            }
        }
        Ok(Some(self.held(offset, length)))
    }

    /// Bytes that [`Window::get`] has read.
    fn held(&self, offset: u64, length: usize) -> &[u8] {
        let at = (offset - self.start) as usize;
        &self.bytes[at..at + length]
    }
}
