//! What other threads than the committer's hold of a log: the log thread flushes, the maintenance thread makes segments.
//! Both are passive: they do one thing when called, and start nothing.

use std::fmt;
use std::sync::Arc;

use super::desk::{Desk, Step};
use super::error::Failed;
use super::frame::FrameKind;

/// The log thread's hand: `while flusher.wait() { flusher.step()?; }`. In [`super::Mode::Interval`] the thread lets the
/// interval pass between the two, and then calls [`Flusher::step`] until nothing waits.
#[derive(Clone)]
pub struct Flusher {
    desk: Arc<Desk>,
}

impl Flusher {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Blocks until there is something to flush. `false` when the log is closed or has failed.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.desk.wait()
    }

    /// One write and one sync, of all that waits and fits into the segment.
    ///
    /// # Errors
    /// The fault that ended the log, now or before.
    pub fn step(&self) -> Result<Step, Failed> {
        self.desk.step()
    }

    /// The end of a committer's turn, without the committer: see [`super::Log::flush`].
    ///
    /// # Errors
    /// The fault that ended the log, now or before.
    pub fn end_turn(&self) -> Result<(), Failed> {
        self.desk.end_turn()
    }

    /// Where nothing waits and the last frame carries records: an empty frame behind it, so that damage to it can be told
    /// from a write that was cut off. For a log that has been idle for a while. Whether one was written.
    ///
    /// # Errors
    /// The fault that ended the log, now or before.
    pub fn seal_idle(&self) -> Result<bool, Failed> {
        Ok(matches!(self.desk.seal(FrameKind::Seal)?, Step::Flushed(_)))
    }

    /// All records up to this lsn are on disk, whatever the mode. Who follows the log reads up to here.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.desk.durable()
    }

    /// Ends every [`Flusher::wait`], now and to come. What waits is not flushed.
    pub fn close(&self) {
        self.desk.close();
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flusher").field("durable", &self.durable()).finish_non_exhaustive()
    }
}

/// The maintenance thread's hand: segments ahead of the writer, and what happens to those behind it.
#[derive(Clone)]
pub struct Preparer {
    desk: Arc<Desk>,
}

impl Preparer {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Whether [`Preparer::prepare`] has something to do.
    #[must_use]
    pub fn wants(&self) -> bool {
        self.desk.segments.wants()
    }

    /// Makes segments of released ones or new ones, until enough are ready, and removes what is left over. Whether enough
    /// are ready: with a full disk they are not; call again when there may be room.
    ///
    /// # Errors
    /// The fault that ended the log, now or before. A full disk is none.
    pub fn prepare(&self) -> Result<bool, Failed> {
        self.desk.prepare()
    }

    /// Segments with lower numbers are needed no more: by an image, by a reader, by retention. They go at the next
    /// [`Preparer::prepare`]. The one that is written and those ahead stay in any case.
    pub fn release_before(&self, segment: u64) {
        self.desk.segments.release_before(segment);
    }

    /// Numbers of the segments behind the one that is written, lowest first.
    #[must_use]
    pub fn kept(&self) -> Vec<u64> {
        self.desk.segments.kept()
    }
}

impl fmt::Debug for Preparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preparer").field("kept", &self.kept()).finish_non_exhaustive()
    }
}
