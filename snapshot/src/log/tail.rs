//! What lies beyond the last frame: nothing, the rest of a write that was cut off, or proof that something durable is
//! gone.
//!
//! The place where the next frame should be holds none. Behind it, up to the end of the last segment, lie zeros, frames
//! of a segment's life before it was recycled, frames of a tail that was cut at an earlier start, and, it may be, frames
//! that the writer wrote behind what is missing. Their headers tell which (a header is right by its checksum; whether its
//! payload is, does not matter here). With `next` the lsn that is missing, and `epoch` that of the last frame:
//!
//! - Old frames have a `first_lsn` below `next`. Frames of a tail that was cut have an older epoch, and a `durable_lsn`
//!   below the place of that cut, so below `next`.
//! - A frame with `durable_lsn` of `next` or above was written when the missing record was durable: damage.
//! - A frame of this epoch or a later one that begins with `next`, and does not name our last frame as the one before it,
//!   follows an empty frame (a seal, an opening), and these are synced alone before anything is written behind them: an
//!   empty frame that was durable is missing, and whether the frame behind it was answered cannot be known. Damage.
//! - Any other frame of this epoch was written together with what is missing, in one flush that never ended: a torn tail.
//!
//! What this cannot see is damage that leaves nothing behind the frame it took: damage to the last flush, when nothing was
//! written after it (a seal closes that window), and one write of something else that lands on the log by mistake and
//! covers everything from inside some frame to the end.

use std::ops::ControlFlow;

use earmark_mutations::Mutation;

use super::error::{Damage, LogError, Sign};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader};
use super::position::Position;
use super::segment::{SEGMENT_HEADER_BYTES, Segment, segment_number};
use crate::storage::Storage;

/// Read at a time, in bytes: at first, since who looks for the next frame finds it near, and at most.
const STRETCHES: (u64, u64) = (16 << 10, 1 << 20);

/// The rest of a flush that never ended, cut off. With [`super::Mode::Sync`] nobody had an answer to what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Number of the segment where the log was cut.
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
    /// Lsn of the first record that is lost.
    pub lsn: u64,
    /// Lsn of the last lost record that is known of.
    pub last_lsn: u64,
    /// How many lost frames are known of; there may have been more, of which nothing is left.
    pub frames: u64,
    /// Their length.
    pub bytes: u64,
}

/// Called with the place and header of what looks like a frame, until it breaks.
pub(super) type VisitHeader<'a> = &'a mut dyn FnMut(u64, &FrameHeader) -> Result<ControlFlow<()>, LogError>;

/// Judges what lies beyond a position where no frame follows. `None` where there is nothing newer.
pub(super) fn judge(storage: &dyn Storage, position: &Position) -> Result<Option<Torn>, LogError> {
    let mut torn: Option<Torn> = None;
    beyond(storage, position, &mut |segment, offset, header| {
        let Position { next_lsn, .. } = *position;
        if proves_damage(position, header) && !earmark_mutations::is(Mutation::TakeDamageForATornTail) {
            let FrameHeader { first_lsn, durable_lsn, .. } = *header;
            return Err(LogError::Damage(Damage {
                place: storage.place(),
                segment: position.segment,
                offset: position.offset,
                lsn: Some(next_lsn),
                sign: Sign::LaterFrame { segment, offset, first_lsn, durable_lsn },
            }));
        }
        if header.first_lsn >= next_lsn && header.epoch >= position.epoch {
            let torn = torn.get_or_insert(Torn {
                segment: position.segment,
                offset: position.offset,
                lsn: next_lsn,
                last_lsn: next_lsn,
                frames: 0,
                bytes: 0,
            });
            torn.frames += 1;
            torn.bytes += header.stride();
            torn.last_lsn = torn.last_lsn.max(header.next_lsn() - 1);
        }
        Ok(())
    })?;
    Ok(torn)
}

/// Whether a frame beyond this position proves that what should be at it was durable.
pub(super) fn proves_damage(position: &Position, header: &FrameHeader) -> bool {
    let follows_an_empty_one = header.first_lsn == position.next_lsn
        && header.epoch >= position.epoch
        && header.previous != position.previous;
    header.durable_lsn >= position.next_lsn || follows_an_empty_one
}

/// Calls `visit` with the place and header of all that looks like a frame of this log, from this position to the end of
/// the last segment.
pub(super) fn beyond(
    storage: &dyn Storage,
    position: &Position,
    visit: &mut dyn FnMut(u64, u64, &FrameHeader) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let numbers = storage.list()?.into_iter().filter_map(|name| segment_number(&name));
    for number in numbers.filter(|number| *number >= position.segment) {
        let segment = Segment::open_of(storage, number, position.log_id)?;
        let is_first = number == position.segment;
        let offset = if is_first { position.offset } else { SEGMENT_HEADER_BYTES };
        headers(&segment, offset, &mut |offset, header| {
            visit(number, offset, header)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(())
}

/// Calls `visit` with the place and header of all that looks like a frame of this segment's log, from `offset` on.
pub(super) fn headers(segment: &Segment, mut offset: u64, visit: VisitHeader<'_>) -> Result<(), LogError> {
    let mut stretch = Vec::new();
    let (mut most, largest) = STRETCHES;
    while offset < segment.bytes {
        let length = most.min(segment.bytes - offset);
        stretch.resize(length as usize, 0);
        segment.file.read_at(&mut stretch, offset)?;
        for (place, block) in stretch.chunks_exact(FRAME_HEADER_BYTES).enumerate() {
            if let Some(header) = FrameHeader::decode(block, segment.log_id)
                && visit(offset + (place * FRAME_HEADER_BYTES) as u64, &header)?.is_break()
            {
                return Ok(());
            }
        }
        offset += length;
        most = (most * 2).min(largest);
    }
    Ok(())
}
