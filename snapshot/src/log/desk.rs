//! Between the committer, which seals batches, and the disk: what waits, who writes it, and how far it is durable.
//!
//! Group commit without a timer: the next flush takes all that waits when the last one ends. Who flushes takes the
//! [`Pen`]; where the pen is not there, somebody is writing, and will find what waits when he is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;
use super::error::Failed;
use super::frame::FrameKind;
use super::lock;
use super::options::{LogOptions, Mode};
use super::pen::{Pen, Written};
use super::position::Position;
use super::segments::{Room, Segments};
use crate::gate::Acknowledger;
use crate::storage::Fault;

/// What became of one attempt to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many bytes of records' frames were written and synced; 0 for an empty frame. There may be more.
    Flushed(u64),
    /// Nothing waits, or another thread is writing.
    Nothing,
    /// Something waits, for a segment that is not ready: [`super::Preparer::prepare`] makes one.
    Postponed,
}

/// What the committer, the log thread and the preparer share.
pub(super) struct Desk {
    pub(super) options: LogOptions,
    pub(super) segments: Segments,
    acknowledger: Acknowledger,
    state: Mutex<State>,
    /// Called when there is something to flush, the pen is back, or the log has ended.
    changed: Condvar,
    durable: AtomicU64,
    /// Sealed bytes that are not durable.
    waiting: AtomicU64,
    /// Left in the pen's segment.
    rest: AtomicU64,
}

struct State {
    /// Sealed batches; `None` while the committer adds to them.
    sealed: Option<Buffer>,
    /// An empty one, when it is not in use.
    spare: Option<Buffer>,
    /// `None` while somebody writes, and for ever after a fault.
    pen: Option<Pen>,
    /// The last flush found no segment for its next frame.
    postponed: bool,
    /// Somebody waits for the pen itself.
    pen_wanted: bool,
    /// Threads that wait for `changed`.
    sleepers: usize,
    closed: bool,
    failed: Option<Failed>,
}

impl State {
    fn flushable(&self) -> u64 {
        let Some(pen) = &self.pen else {
            return 0;
        };
        pen.buffer.waiting() + self.sealed.as_ref().map_or(0, Buffer::waiting)
    }
}

impl Desk {
    /// A desk for a log whose pen stands behind an opening frame.
    pub(super) fn new(options: LogOptions, segments: Segments, acknowledger: Acknowledger, pen: Pen) -> Self {
        let durable = pen.position().next_lsn - 1;
        acknowledger.reached(durable);
        Self {
            options,
            segments,
            acknowledger,
            durable: AtomicU64::new(durable),
            waiting: AtomicU64::new(0),
            rest: AtomicU64::new(pen.rest()),
            state: Mutex::new(State {
                sealed: None,
                spare: None,
                pen: Some(pen),
                postponed: false,
                pen_wanted: false,
                sleepers: 0,
                closed: false,
                failed: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// All up to this lsn is durable, whatever the mode.
    pub(super) fn durable(&self) -> u64 {
        // Pairs with the Release store in `put_back`: who reads this mark finds the frames on disk.
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn position(&self) -> Option<Position> {
        lock(&self.state).pen.as_ref().map(Pen::position)
    }

    pub(super) fn failed(&self) -> Option<Failed> {
        lock(&self.state).failed.clone()
    }

    /// The buffer to add a batch to: behind those that wait, where there are some.
    pub(super) fn take_buffer(&self) -> Buffer {
        let mut state = lock(&self.state);
        state.sealed.take().or_else(|| state.spare.take()).unwrap_or_default()
    }

    /// Gives it back with one batch more, sealed up to `last`, whose frames are `bytes` long.
    pub(super) fn give_buffer(&self, mut buffer: Buffer, last: u64, bytes: u64) {
        let mut state = lock(&self.state);
        if state.failed.is_some() {
            // Nobody will write it, so it must not grow, and nothing in it counts as kept.
            buffer.clear();
            state.sealed = Some(buffer);
            return;
        }
        state.sealed = Some(buffer);
        // A level that `is_backed_up` and `room` read; the lock orders the buffer itself.
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        drop(state);
        if self.options.mode == Mode::Interval {
            self.acknowledger.reached(last);
        }
    }

    pub(super) fn is_backed_up(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > self.options.waiting_bytes_max
    }

    /// Whether nobody writes and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.pen.is_some() && state.flushable() == 0
    }

    pub(super) fn room(&self) -> Room {
        if !self.segments.is_short() {
            return Room::Plenty;
        }
        let left = self.segments.left() + self.rest.load(Ordering::Relaxed);
        let free = left.saturating_sub(self.waiting.load(Ordering::Relaxed));
        if free < self.options.batch_room() {
            Room::None
        } else if free < self.options.segment_bytes * 3 / 2 {
            Room::Low
        } else {
            Room::Plenty
        }
    }

    /// The committer's turn has ended: flushes a little, leaves much to the thread that waits for it.
    pub(super) fn end_turn(&self) -> Result<(), Failed> {
        let state = lock(&self.state);
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        let waiting = state.flushable();
        if waiting == 0 || self.is_put_off(&state) {
            return Ok(());
        }
        if self.options.mode == Mode::Sync && waiting <= self.options.inline_bytes {
            drop(state);
            return self.step().map(|_| ());
        }
        self.call(&state);
        Ok(())
    }

    /// One flush, of all that waits and fits into the segment.
    pub(super) fn step(&self) -> Result<Step, Failed> {
        let mut state = lock(&self.state);
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        if state.flushable() == 0 {
            return Ok(Step::Nothing);
        }
        let Some(mut pen) = state.pen.take() else {
            return Ok(Step::Nothing);
        };
        if pen.buffer.next().is_none()
            && let Some(sealed) = state.sealed.take()
        {
            let mut done = std::mem::replace(&mut pen.buffer, sealed);
            done.clear();
            state.spare = Some(done);
        }
        drop(state);
        let durable = self.durable();
        let written = pen.write(&self.segments, durable);
        self.put_back(pen, written)
    }

    /// Writes an empty frame, where nothing waits and nobody writes.
    pub(super) fn seal(&self, kind: FrameKind) -> Result<Step, Failed> {
        let mut state = lock(&self.state);
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        if state.flushable() > 0 {
            return Ok(Step::Nothing);
        }
        let is_needed = |pen: &mut Pen| kind == FrameKind::Stop || !pen.is_covered();
        let Some(mut pen) = state.pen.take_if(is_needed) else {
            return Ok(Step::Nothing);
        };
        drop(state);
        let written = pen.write_empty(kind, &self.segments);
        self.put_back(pen, written)
    }

    /// A flush has ended: moves the marks, gives the pen back, calls the log thread where more waits.
    fn put_back(&self, pen: Pen, written: Result<Written, Fault>) -> Result<Step, Failed> {
        let written = match written {
            Ok(written) => written,
            Err(fault) => return Err(self.fail(fault)),
        };
        let step = match written {
            Written::Bytes(bytes) => Step::Flushed(bytes),
            Written::NoSegment => Step::Postponed,
        };
        if let Written::Bytes(bytes) = written {
            let durable = pen.position().next_lsn - 1;
            // Pairs with the Acquire load in `durable`.
            self.durable.store(durable, Ordering::Release);
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.rest.store(pen.rest(), Ordering::Relaxed);
            if self.options.mode == Mode::Sync {
                // While the pen is out nobody else can get here, so the gate is told in order.
                self.acknowledger.reached(durable);
            }
        }
        let mut state = lock(&self.state);
        state.pen = Some(pen);
        state.postponed = step == Step::Postponed;
        if state.pen_wanted || (state.flushable() > 0 && !self.is_put_off(&state)) {
            self.call(&state);
        }
        Ok(step)
    }

    /// Ends the log for good.
    pub(super) fn fail(&self, fault: Fault) -> Failed {
        let failed = Failed::of(fault);
        let mut state = lock(&self.state);
        let failed = state.failed.get_or_insert(failed).clone();
        // Backed up for ever: nothing more is taken.
        self.waiting.store(u64::MAX / 2, Ordering::Relaxed);
        self.call(&state);
        failed
    }

    /// Makes segments, and lets go on what waited for one. Whether enough are ready.
    pub(super) fn prepare(&self) -> Result<bool, Failed> {
        if let Some(failed) = self.failed() {
            return Err(failed);
        }
        let is_ready = self.segments.prepare().map_err(|fault| self.fail(fault))?;
        self.call(&lock(&self.state));
        Ok(is_ready)
    }

    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.call(&state);
    }

    /// Wakes those who wait. Without any it costs nothing: waking is a system call even if nobody sleeps.
    fn call(&self, state: &State) {
        if state.sleepers > 0 {
            self.changed.notify_all();
        }
    }

    /// Blocks until there is something to flush. `false` when the log is closed or has failed.
    pub(super) fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.closed || state.failed.is_some() {
                return false;
            }
            if state.flushable() > 0 && !self.is_put_off(&state) {
                return true;
            }
            state = self.sleep(state);
        }
    }

    /// Flushes everything, making segments where they are needed, then writes the frame of a clean stop and closes the
    /// log. [`Step::Postponed`] where the disk is full: then the log is not closed.
    pub(super) fn stop(&self) -> Result<Step, Failed> {
        loop {
            self.await_pen();
            let step = match self.step()? {
                Step::Nothing => match self.seal(FrameKind::Stop)? {
                    Step::Flushed(bytes) => {
                        self.close();
                        return Ok(Step::Flushed(bytes));
                    }
                    // Another thread was quicker to take the pen, or has to wait for a segment.
                    step => step,
                },
                step => step,
            };
            if step == Step::Postponed && !self.prepare()? {
                return Ok(Step::Postponed);
            }
        }
    }

    /// Whether the next frame waits for a segment that is still not there.
    fn is_put_off(&self, state: &State) -> bool {
        state.postponed && !self.segments.is_ready()
    }

    /// Blocks while another thread writes.
    fn await_pen(&self) {
        let mut state = lock(&self.state);
        while state.pen.is_none() && state.failed.is_none() {
            state.pen_wanted = true;
            state = self.sleep(state);
        }
        state.pen_wanted = false;
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.sleepers += 1;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.sleepers -= 1;
        state
    }
}
