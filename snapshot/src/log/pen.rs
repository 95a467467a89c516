//! The pen: who holds it writes the log. It knows the segment, the place of the next frame and the frame before, and
//! makes one write and one sync of as many waiting frames as fit into the segment. There is one pen, so one flush is
//! under way at a time.

use earmark_mutations::Mutation;

use super::buffer::Buffer;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, crc_in};
use super::position::Position;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::segments::Segments;
use crate::storage::Fault;

pub(super) struct Pen {
    segment: Segment,
    position: Position,
    /// Of the last batch written.
    time_ms: u64,
    /// Whether the last frame is an empty one: these are written alone, after everything before them was durable.
    covered: bool,
    /// What is being written. A flush may end within it, where a segment does.
    pub(super) buffer: Buffer,
}

/// What came of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// So many bytes of what waited.
    Bytes(u64),
    /// Nothing: the next segment is not ready.
    NoSegment,
}

impl Pen {
    /// A pen at this position of an open segment.
    pub(super) fn new(segment: Segment, position: Position, time_ms: u64) -> Self {
        Self { segment, position, time_ms, covered: false, buffer: Buffer::default() }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    pub(super) fn is_covered(&self) -> bool {
        self.covered
    }

    /// Bytes left in the segment.
    pub(super) fn rest(&self) -> u64 {
        self.segment.bytes - self.position.offset
    }

    /// Writes and syncs the next frames of the buffer, as many as the segment takes. After a fault neither the pen nor
    /// the file is of any more use.
    pub(super) fn write(&mut self, segments: &Segments, durable_lsn: u64) -> Result<Written, Fault> {
        let Some(draft) = self.buffer.next() else {
            return Ok(Written::Bytes(0));
        };
        if !self.reaches(draft.stride(), segments) {
            return Ok(Written::NoSegment);
        }
        let (offset, from) = (self.position.offset, self.buffer.written_bytes());
        while let Some(draft) = self.buffer.next()
            && draft.stride() <= self.rest()
        {
            let header = FrameHeader {
                kind: FrameKind::Records,
                epoch: self.position.epoch,
                first_lsn: draft.first_lsn,
                time_ms: draft.time_ms,
                durable_lsn,
                count: draft.count,
                bytes: draft.bytes as u32,
                previous: self.position.previous,
                body_crc: crc32c::crc32c(self.buffer.body(&draft)),
            };
            let encoded = header.encode(self.position.log_id);
            self.buffer.finish(&draft, &encoded);
            self.position = self.position.after(&header, crc_in(&encoded));
            self.time_ms = draft.time_ms;
        }
        let frames = self.buffer.frames(from, self.buffer.written_bytes());
        self.segment.file.write_at(frames, offset)?;
        if !earmark_mutations::is(Mutation::SkipSync) {
            self.segment.file.sync()?;
        }
        self.covered = false;
        Ok(Written::Bytes(frames.len() as u64))
    }

    /// Writes and syncs an empty frame. Everything before it is durable.
    pub(super) fn write_empty(&mut self, kind: FrameKind, segments: &Segments) -> Result<Written, Fault> {
        if !self.reaches(FRAME_HEADER_BYTES as u64, segments) {
            return Ok(Written::NoSegment);
        }
        let opening = u64::from(kind == FrameKind::Opening);
        let header = FrameHeader {
            kind,
            epoch: self.position.epoch + opening,
            first_lsn: self.position.next_lsn,
            time_ms: self.time_ms,
            durable_lsn: self.position.next_lsn - 1,
            count: 0,
            bytes: 0,
            previous: self.position.previous,
            body_crc: crc32c::crc32c(&[]),
        };
        let encoded = header.encode(self.position.log_id);
        self.segment.file.write_at(&encoded, self.position.offset)?;
        self.segment.file.sync()?;
        self.position = self.position.after(&header, crc_in(&encoded));
        self.covered = true;
        Ok(Written::Bytes(0))
    }

    /// Whether a frame of this many bytes can be written: here, or at the start of the next segment, which is taken then.
    fn reaches(&mut self, stride: u64, segments: &Segments) -> bool {
        if stride <= self.rest() {
            return true;
        }
        let Some(next) = segments.take(self.segment.number) else {
            return false;
        };
        self.position.segment = next.number;
        self.position.offset = SEGMENT_HEADER_BYTES;
        self.segment = next;
        true
    }
}
