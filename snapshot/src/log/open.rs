//! Opening a log: everything there is made durable, read from a position to its end, and written on from there. A torn
//! tail is cut and told; damage, a gap, another version or another log's segment is refused, and nothing is changed.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use earmark_mutations::Mutation;

use super::Log;
use super::desk::Desk;
use super::error::LogError;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, crc_in};
use super::options::LogOptions;
use super::pen::{Pen, Written};
use super::position::Position;
use super::reader::{Frame, LogReader};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name, segment_number};
use super::segments::{self, Segments};
use super::tail::{Torn, judge};
use crate::gate::Acknowledger;
use crate::storage::{Fault, Storage};

/// What was found at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The log's id.
    pub log_id: u64,
    /// The epoch that begins with this start.
    pub epoch: u64,
    /// Lsn of the last record there is; 0 where there is none.
    pub last_lsn: u64,
    /// Frames read, from the position that was given.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// What was cut.
    pub torn: Option<Torn>,
    /// Whether the log was closed in good order.
    pub was_stopped: bool,
    /// Whether there was no log, and one was made.
    pub is_new: bool,
    /// Behind the opening frame of this epoch.
    pub position: Position,
}

/// A log on its way to being written again: read all frames, then [`Recovery::resume`].
pub struct Recovery {
    storage: Arc<dyn Storage>,
    options: LogOptions,
    reader: LogReader,
    /// All segments there are.
    numbers: BTreeSet<u64>,
    is_new: bool,
    frames: u64,
    records: u64,
    time_ms: u64,
    last_kind: Option<FrameKind>,
    unproven: Unproven,
}

/// The last flush there is. Nothing written later says that its sync succeeded. It lies in one segment.
#[derive(Clone, Copy, Debug)]
struct Unproven {
    segment: u64,
    offset: u64,
    /// What was durable when it was written.
    durable_lsn: u64,
}

impl Recovery {
    /// Opens the log that is in this directory, or makes one where there is none. `from` is the position of the image
    /// that was loaded; without one the log is read from its start. `new_log_id` is a random number, used where a log is
    /// made. The caller has the lock of the directory.
    ///
    /// Everything is synced before it is read: what a process that was killed left in the page cache is not durable yet.
    ///
    /// # Errors
    /// A fault; sizes that do not go; a segment that is missing, damaged, of another version or log.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: LogOptions,
        from: Option<Position>,
        new_log_id: u64,
    ) -> Result<Self, LogError> {
        options.check()?;
        let names = storage.list()?;
        segments::remove_spares(&*storage, &names)?;
        let mut numbers: BTreeSet<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        let is_new = numbers.is_empty() && from.is_none();
        if is_new {
            let header = SegmentHeader { log_id: new_log_id, number: 1, bytes: options.segment_bytes };
            segments::make(&*storage, &header, None)?;
            numbers.insert(1);
        }
        let log_id = needed(&*storage, &numbers, from.as_ref(), &mut |segment| segment.file.sync())?;
        storage.sync_names()?;
        let position = from.unwrap_or_else(|| Position::start(log_id));
        let reader = LogReader::new(Arc::clone(&storage), position)?;
        // The image of a clean stop is of the moment after it: then the frame that says so is not read.
        let last_kind = is_behind_stop(&*storage, &position)?.then_some(FrameKind::Stop);
        let Position { segment, offset, next_lsn, .. } = position;
        Ok(Self {
            storage,
            options,
            reader,
            numbers,
            is_new,
            frames: 0,
            records: 0,
            time_ms: 0,
            last_kind,
            unproven: Unproven { segment, offset, durable_lsn: next_lsn - 1 },
        })
    }

    /// The log's id.
    #[must_use]
    pub fn log_id(&self) -> u64 {
        self.reader.position().log_id
    }

    /// Where the next frame is read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.reader.position()
    }

    /// Number of the last segment there is. Those made ahead of the writer hold nothing.
    #[must_use]
    pub fn last_segment(&self) -> u64 {
        self.numbers.last().copied().unwrap_or(0)
    }

    /// The next frame to replay; `None` at the end of the log. Empty frames come too.
    ///
    /// # Errors
    /// What stands in the way of reading.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LogError> {
        let frame = self.reader.next_frame()?;
        if let Some(Frame { segment, offset, header, .. }) = &frame {
            // A flush ends where a segment does, and the next one raises the durable mark.
            if *segment != self.unproven.segment || header.durable_lsn > self.unproven.durable_lsn {
                let durable_lsn = header.durable_lsn;
                self.unproven = Unproven { segment: *segment, offset: *offset, durable_lsn };
            }
            self.frames += 1;
            self.records += u64::from(header.count);
            self.time_ms = header.time_ms;
            self.last_kind = Some(header.kind);
        }
        Ok(frame)
    }

    /// Writes on where the log ends; frames not yet read are passed over. The opening frame of the new epoch is durable
    /// when this returns, and with it all that was read. The acknowledger reaches the last lsn.
    ///
    /// # Errors
    /// Damage, where something beyond the end shows that it is not the end; [`LogError::Full`]; a fault.
    pub fn resume(mut self, acknowledger: Acknowledger) -> Result<(Log, Recovered), LogError> {
        while self.next_frame()?.is_some() {}
        let end = self.reader.position();
        let torn = judge(&*self.storage, &end)?;
        let segments = self.segments(&end)?;
        let segment = Segment::open_of(&*self.storage, end.segment, end.log_id)?;
        self.write_again(&segment, &end)?;
        let mut pen = Pen::new(segment, end, self.time_ms);
        while pen.write_empty(FrameKind::Opening, &segments)? == Written::NoSegment {
            if !segments.prepare()? {
                return Err(LogError::Full { place: self.storage.place() });
            }
        }
        let position = pen.position();
        let recovered = Recovered {
            log_id: position.log_id,
            epoch: position.epoch,
            last_lsn: position.next_lsn - 1,
            frames: self.frames,
            records: self.records,
            torn,
            was_stopped: self.last_kind == Some(FrameKind::Stop),
            is_new: self.is_new,
            position,
        };
        let desk = Desk::new(self.options, segments, acknowledger, pen);
        Ok((Log::on_disk(recovered.epoch, recovered.last_lsn, desk), recovered))
    }

    /// Writes what the last flush wrote once more. Where that flush failed, and the
    /// process was ended for it, the system may have kept its pages as if they were clean: they can be read, and syncing
    /// them does nothing.
    fn write_again(&self, segment: &Segment, end: &Position) -> Result<(), LogError> {
        let Unproven { segment: number, offset, .. } = self.unproven;
        let is_last = number == end.segment && offset < end.offset;
        if is_last && !earmark_mutations::is(Mutation::SkipRewrite) {
            let mut frames = vec![0; (end.offset - offset) as usize];
            segment.file.read_at(&mut frames, offset)?;
            segment.file.write_at(&frames, offset)?;
            segment.file.sync()?;
        }
        Ok(())
    }

    /// The segments around a pen at this position. Those ahead of it hold nothing that counts. Where one is not as long as
    /// segments are now, it and those behind it are removed, the last first: a frame that goes into any must go into each.
    fn segments(&self, end: &Position) -> Result<Segments, LogError> {
        let storage = &*self.storage;
        let mut ready = VecDeque::new();
        let mut unfit = Vec::new();
        for number in self.numbers.range(end.segment + 1..) {
            let segment = Segment::open_of(storage, *number, end.log_id)?;
            if unfit.is_empty() && segment.bytes == self.options.segment_bytes {
                ready.push_back(segment);
            } else {
                unfit.push(*number);
            }
        }
        for number in unfit.iter().rev() {
            storage.remove(&segment_name(*number))?;
            storage.sync_names()?;
        }
        let kept = self.numbers.range(..end.segment).copied().collect();
        let next = end.segment + 1 + ready.len() as u64;
        let sizes = (self.options.segment_bytes, self.options.ahead);
        Ok(Segments::new(Arc::clone(&self.storage), end.log_id, sizes, kept, ready, next))
    }
}

/// Whether the frame before a position is that of a clean stop: as short as a header, with the checksum that the position
/// names.
fn is_behind_stop(storage: &dyn Storage, position: &Position) -> Result<bool, LogError> {
    let Some(start) = position.offset.checked_sub(FRAME_HEADER_BYTES as u64) else { return Ok(false) };
    if start < SEGMENT_HEADER_BYTES {
        return Ok(false);
    }
    let segment = Segment::open_of(storage, position.segment, position.log_id)?;
    let mut bytes = [0; FRAME_HEADER_BYTES];
    segment.file.read_at(&mut bytes, start)?;
    let header = FrameHeader::decode(&bytes, position.log_id);
    let is_stop = header.is_some_and(|header| header.kind == FrameKind::Stop);
    Ok(is_stop && crc_in(&bytes) == position.previous)
}

/// Calls `visit` with each segment that a start from this position needs, found right and of one log, whose id is returned.
///
/// # Errors
/// One that is missing, damaged, of another version or log; a fault.
pub(super) fn needed(
    storage: &dyn Storage,
    numbers: &BTreeSet<u64>,
    from: Option<&Position>,
    visit: &mut dyn FnMut(&Segment) -> Result<(), Fault>,
) -> Result<u64, LogError> {
    let first = from.map_or(1, |position| position.segment);
    let last = numbers.last().copied().unwrap_or(0).max(first);
    if let Some(segment) = (first..=last).find(|number| !numbers.contains(number)) {
        return Err(LogError::Missing { place: storage.place(), segment });
    }
    let log_id = match from {
        Some(position) => position.log_id,
        None => Segment::open(storage, first)?.log_id,
    };
    for number in first..=last {
        visit(&Segment::open_of(storage, number, log_id)?)?;
    }
    Ok(log_id)
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").field("reader", &self.reader).finish_non_exhaustive()
    }
}
