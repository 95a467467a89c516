//! Looking at a log, for a person: what a start would find ([`find()`]), and all that can still be read, past damage too
//! ([`survey()`]). It changes nothing, and a daemon may be writing meanwhile.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::error::{Damage, LogError, Sign};
use super::frame::{FrameHeader, FrameKind};
use super::open::needed;
use super::position::Position;
use super::reader::{Frame, LogReader};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, segment_number};
use super::tail::{Torn, headers, judge};
use crate::storage::{Fault, Storage};

/// Called with each frame, in order.
pub type Visit<'a> = &'a mut dyn FnMut(&Frame<'_>);

/// A segment's file, by its name and its header.
#[derive(Debug)]
pub struct SegmentFile {
    /// Its number.
    pub number: u64,
    /// Its length in bytes, and the log it is of; or what is wrong with its header.
    pub header: Result<(u64, u64), LogError>,
}

/// What a start would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Behind the last frame.
    pub end: Position,
    /// What the start would cut.
    pub torn: Option<Torn>,
    /// What the last frame is for; `None` where there is none.
    pub last_kind: Option<FrameKind>,
    /// Frames it would read.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
}

/// All that can be read of a log.
#[derive(Debug)]
pub struct Survey {
    /// Its first frame.
    pub begin: Position,
    /// Behind its last frame.
    pub end: Position,
    /// What lies beyond that, of a flush that never ended.
    pub torn: Option<Torn>,
    /// What the last frame is for; `None` where there is none.
    pub last_kind: Option<FrameKind>,
    /// Where it cannot be read, in order.
    pub gaps: Vec<Gap>,
}

/// A place where the log cannot be read on.
#[derive(Debug)]
pub struct Gap {
    /// Behind the last frame before it.
    pub after: Position,
    /// Why.
    pub reason: LogError,
    /// The next frame that can be read; `None` where there is none.
    pub resumed: Option<Position>,
}

/// All segments there are, lowest first.
///
/// # Errors
/// Where the directory cannot be listed.
pub fn segments(storage: &dyn Storage) -> Result<Vec<SegmentFile>, Fault> {
    let header = |number| Segment::open(storage, number).map(|segment| (segment.bytes, segment.log_id));
    let numbers = numbers(storage)?.into_iter();
    Ok(numbers.map(|number| SegmentFile { number, header: header(number) }).collect())
}

/// Reads what a start would read: from the position of an image, or from the start of the log.
///
/// # Errors
/// That for which the start would be refused.
pub fn find(storage: &Arc<dyn Storage>, from: Option<Position>, visit: Visit<'_>) -> Result<Found, LogError> {
    let log_id = needed(&**storage, &numbers(&**storage)?, from.as_ref(), &mut |_| Ok(()))?;
    let mut last_kind = None;
    let (mut frames, mut records) = (0, 0);
    let mut reader = LogReader::new(Arc::clone(storage), from.unwrap_or_else(|| Position::start(log_id)))?;
    let torn = read_on(storage, &mut reader, &mut |frame| {
        last_kind = Some(frame.header.kind);
        frames += 1;
        records += u64::from(frame.header.count);
        visit(frame);
    })?;
    Ok(Found { end: reader.position(), torn, last_kind, frames, records })
}

/// Reads all frames from the oldest that is kept, and goes on behind each place that cannot be read. `None` where there is
/// no log.
///
/// # Errors
/// A fault; a log of which not one frame can be read.
pub fn survey(storage: &Arc<dyn Storage>, visit: Visit<'_>) -> Result<Option<Survey>, LogError> {
    let Some(begin) = oldest(&**storage)? else { return Ok(None) };
    let mut survey = Survey { begin, end: begin, torn: None, last_kind: None, gaps: Vec::new() };
    let mut next = Some(begin);
    while let Some(from) = next.take() {
        let mut reader = LogReader::new(Arc::clone(storage), from)?;
        let read = read_on(storage, &mut reader, &mut |frame| {
            survey.last_kind = Some(frame.header.kind);
            visit(frame);
        });
        survey.end = reader.position();
        match read {
            Ok(torn) => survey.torn = torn,
            Err(LogError::Fault(fault)) => return Err(fault.into()),
            Err(reason) => {
                next = resumption(&**storage, &survey.end)?;
                survey.gaps.push(Gap { after: survey.end, reason, resumed: next });
            }
        }
    }
    Ok(Some(survey))
}

/// Reads to where no next frame follows, and judges what lies beyond.
fn read_on(
    storage: &Arc<dyn Storage>,
    reader: &mut LogReader,
    visit: Visit<'_>,
) -> Result<Option<Torn>, LogError> {
    loop {
        while let Some(frame) = reader.next_frame()? {
            visit(&frame);
        }
        let judged = judge(&**storage, &reader.position());
        // Where a daemon is writing, what was missing may be there by now, and the judgement is worth nothing.
        match reader.next_frame()? {
            Some(frame) => visit(&frame),
            None => return judged,
        }
    }
}

/// The start of the log; where that is not kept any more, the first frame of the oldest segment.
fn oldest(storage: &dyn Storage) -> Result<Option<Position>, LogError> {
    let Some(number) = numbers(storage)?.first().copied() else { return Ok(None) };
    let segment = Segment::open(storage, number)?;
    if number == 1 {
        return Ok(Some(Position::start(segment.log_id)));
    }
    match first_frame(&segment, SEGMENT_HEADER_BYTES, &|_| true)? {
        Some(position) => Ok(Some(position)),
        None => Err(LogError::Damage(Damage {
            place: storage.place(),
            segment: number,
            offset: SEGMENT_HEADER_BYTES,
            lsn: None,
            sign: Sign::NoFrame,
        })),
    }
}

/// The first frame beyond a place that cannot be read which the writer may have written after what stood there.
fn resumption(storage: &dyn Storage, end: &Position) -> Result<Option<Position>, LogError> {
    let is_later = |header: &FrameHeader| header.first_lsn >= end.next_lsn && header.epoch >= end.epoch;
    for number in numbers(storage)?.range(end.segment..) {
        let is_first = *number == end.segment;
        let offset = if is_first { end.offset + 1 } else { SEGMENT_HEADER_BYTES };
        let segment = match Segment::open_of(storage, *number, end.log_id) {
            Ok(segment) => segment,
            Err(LogError::Fault(fault)) => return Err(fault.into()),
            Err(_) => continue,
        };
        let offset = offset.next_multiple_of(super::FRAME_HEADER_BYTES as u64);
        if let Some(position) = first_frame(&segment, offset, &is_later)? {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// The position of the first frame, from `offset` on, whose header is one that is wanted.
fn first_frame(
    segment: &Segment,
    offset: u64,
    is_wanted: &dyn Fn(&FrameHeader) -> bool,
) -> Result<Option<Position>, LogError> {
    let mut first = None;
    headers(segment, offset, &mut |offset, header| {
        if !is_wanted(header) {
            return Ok(ControlFlow::Continue(()));
        }
        first = Some(Position {
            log_id: segment.log_id,
            segment: segment.number,
            offset,
            next_lsn: header.first_lsn,
            epoch: header.epoch.saturating_sub(u64::from(header.kind == FrameKind::Opening)),
            previous: header.previous,
        });
        // A log with very many damaged places is read through once, not once for each of them.
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

fn numbers(storage: &dyn Storage) -> Result<BTreeSet<u64>, Fault> {
    Ok(storage.list()?.iter().filter_map(|name| segment_number(name)).collect())
}
