//! The log: records in their one order, on disk. It knows bytes and lsns, never what a record means; it starts no
//! thread and reads no clock.
//!
//! The committer has a [`Log`]: it encodes records, seals batches, ends its turn. The log thread has a [`Flusher`], the
//! maintenance thread a [`Preparer`]. At a start [`Recovery`] finds where the log goes on, and a [`LogReader`] reads it,
//! then and later. What each byte on disk is stands in [`frame`] and [`segment`]; what is a torn tail and what is
//! damage, in [`tail`]. For a person who wants to know what is there, [`survey()`] reads it all and changes nothing.

mod buffer;
mod bytes;
mod desk;
mod error;
mod frame;
mod hands;
mod inspect;
mod open;
mod options;
mod pen;
mod position;
mod reader;
mod segment;
mod segments;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use buffer::Batch;
pub use desk::Step;
pub use error::{Damage, Failed, LogError, Sign};
pub use frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, Records};
pub use hands::{Flusher, Preparer};
pub use inspect::{Found, Gap, SegmentFile, Survey, Visit, find, segments, survey};
pub use open::{Recovered, Recovery};
pub use options::{LogOptions, Mode};
pub use position::Position;
pub use reader::{Frame, LogReader};
pub use segment::{LOG_VERSION, SEGMENT_HEADER_BYTES, segment_name, segment_number};
pub use segments::Room;
pub use tail::Torn;

use buffer::Buffer;
use desk::Desk;

use crate::gate::Acknowledger;

/// The log as the committer sees it. One writer appends whole batches; the [`crate::Gate`] says how far they are durable.
pub struct Log {
    epoch: u64,
    kept: Kept,
    /// With the batch in hand. On disk it is at the desk between batches, so that what is sealed can be flushed.
    buffer: Option<Buffer>,
    /// A frame gets no more records at this many bytes.
    frame_bytes: usize,
    record_bytes_max: u64,
    last: u64,
    bytes: u64,
    batches: u64,
}

/// Where sealed batches go.
enum Kept {
    Nowhere(Acknowledger),
    OnDisk(Arc<Desk>),
}

impl Log {
    /// A log that keeps nothing: every batch is acknowledged as soon as it is sealed, and gone with the process.
    /// `epoch` names this life of the log; one that starts anew takes a new one.
    #[must_use]
    pub fn in_memory(epoch: u64, acknowledger: Acknowledger) -> Self {
        let kept = Kept::Nowhere(acknowledger);
        Self {
            epoch,
            kept,
            buffer: None,
            frame_bytes: usize::MAX,
            record_bytes_max: u64::from(u32::MAX),
            last: 0,
            bytes: 0,
            batches: 0,
        }
    }

    fn on_disk(epoch: u64, last: u64, desk: Desk) -> Self {
        Self {
            epoch,
            buffer: None,
            frame_bytes: desk.options.frame_bytes,
            record_bytes_max: desk.options.record_bytes_max(),
            kept: Kept::OnDisk(Arc::new(desk)),
            last,
            bytes: 0,
            batches: 0,
        }
    }

    /// Which life of the log this is. Handles and lsns of another epoch mean nothing here.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Lsn of the last record that was sealed, in this life or one before.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Takes the next record of the batch in hand: `encode` appends its bytes to what it is given.
    ///
    /// # Panics
    /// Where the record is longer than [`LogOptions::record_bytes_max`].
    pub fn record(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let buffer = self.buffer.get_or_insert_with(|| match &self.kept {
            Kept::Nowhere(_) => Buffer::default(),
            Kept::OnDisk(desk) => desk.take_buffer(),
        });
        let length = buffer.record(self.frame_bytes, encode);
        let most = self.record_bytes_max;
        assert!(length <= most, "a record of {length} bytes does not go into a segment, which takes {most}");
    }

    /// The batch in hand is whole: take it.
    ///
    /// # Panics
    /// Where it does not follow the batch before it, or has other records than it says: the order of records is the
    /// order of the log.
    pub fn seal(&mut self, batch: Batch) {
        assert_eq!(batch.first, self.last + 1, "a batch must follow the last record of the one before");
        assert!(batch.last >= batch.first, "a batch from {} to {} is empty", batch.first, batch.last);
        let mut buffer = self.buffer.take().unwrap_or_default();
        let (records, frames) = buffer.seal(batch);
        self.last = batch.last;
        self.bytes += records;
        self.batches += 1;
        match &self.kept {
            Kept::Nowhere(acknowledger) => {
                buffer.clear();
                self.buffer = Some(buffer);
                acknowledger.reached(batch.last);
            }
            Kept::OnDisk(desk) => desk.give_buffer(buffer, batch.last, frames),
        }
    }

    /// The committer's turn has ended. Where nobody is writing and little waits, it is written and synced by the caller;
    /// where much waits, the thread that holds the [`Flusher`] is called. In [`Mode::Interval`] it always is.
    ///
    /// # Errors
    /// The fault that ended the log, now or before.
    pub fn flush(&mut self) -> Result<(), Failed> {
        self.desk().map_or(Ok(()), Desk::end_turn)
    }

    /// Flushes all that waits, marks a clean stop and closes the log. Nothing may be recorded afterwards.
    /// [`Step::Postponed`] where the disk is too full for what waits; then the log is as it was.
    ///
    /// # Errors
    /// The fault that ended the log, now or before.
    pub fn seal_stop(&mut self) -> Result<Step, Failed> {
        self.desk().map_or(Ok(Step::Nothing), Desk::stop)
    }

    /// Behind the last frame that was written; `None` in memory, while somebody writes, and after a fault.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.desk().and_then(Desk::position)
    }

    /// Whether more waits to be flushed than [`LogOptions::waiting_bytes_max`], or the log has failed: take no more
    /// commands then.
    #[must_use]
    pub fn is_backed_up(&self) -> bool {
        self.desk().is_some_and(Desk::is_backed_up)
    }

    /// Whether the disk has nothing to do for whoever waits for it: in [`Mode::Sync`], where nobody writes and nothing that
    /// is sealed waits. A batch that is long already had better end then.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.desk().is_some_and(|desk| desk.options.mode == Mode::Sync && desk.is_idle())
    }

    /// Whether there is room for another batch.
    #[must_use]
    pub fn room(&self) -> Room {
        self.desk().map_or(Room::Plenty, Desk::room)
    }

    /// The fault that ended the log, if one did.
    #[must_use]
    pub fn failed(&self) -> Option<Failed> {
        self.desk().and_then(Desk::failed)
    }

    /// A hand for the log thread; `None` in memory, where nothing is flushed.
    #[must_use]
    pub fn flusher(&self) -> Option<Flusher> {
        self.shared().map(Flusher::new)
    }

    /// A hand for the maintenance thread; `None` in memory, where there are no segments.
    #[must_use]
    pub fn preparer(&self) -> Option<Preparer> {
        self.shared().map(Preparer::new)
    }

    /// Bytes of all records sealed in this life.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Batches sealed in this life.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches
    }

    fn desk(&self) -> Option<&Desk> {
        match &self.kept {
            Kept::Nowhere(_) => None,
            Kept::OnDisk(desk) => Some(desk),
        }
    }

    fn shared(&self) -> Option<Arc<Desk>> {
        match &self.kept {
            Kept::Nowhere(_) => None,
            Kept::OnDisk(desk) => Some(Arc::clone(desk)),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("epoch", &self.epoch).field("last", &self.last).finish_non_exhaustive()
    }
}

/// A thread that panicked under a lock has ended the process; in tests, where it has not, what it left is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
