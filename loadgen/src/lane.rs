//! One pipe under load: answers in, requests out, in turns of one task. It asks its workload what to send and its pace
//! when; it opens nothing and decides no load.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use earmark_protocol::client::ClientError;
use earmark_protocol::client::pipe::Pipe;
use earmark_protocol::frame::{FrameWriter, Kind};
use earmark_protocol::hello::PipeError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::{Clock, Ids, Moment};
use crate::meter::Meter;
use crate::pace::{Beat, Schedule};
use crate::requests::{Outgoing, Requests, Waiting};
use crate::workload::{Asked, Verdict, Workload};

/// After so many turns that moved something, other tasks of the thread go first.
const TURNS_MAX: usize = 16;
/// What is written in one turn ends at about this size: the first may be on its way while the rest is written.
const TURN_BYTES: usize = 256 << 10;

/// When a lane may send.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// As long as fewer than so many requests wait.
    Window { in_flight: usize, until: Moment },
    /// What is due. `first` is its first batch of the schedule, `stride` the way to its next one.
    Due { schedule: Arc<Schedule>, first: u64, stride: u64 },
}

/// What is the same for all lanes of a thread.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    pub(crate) clock: Clock,
    pub(crate) beat: Arc<Beat>,
    pub(crate) meter: Arc<Mutex<Meter>>,
    /// Requests that go into one frame.
    pub(crate) batch: u32,
}

/// A pipe and its load.
pub(crate) struct Lane<R, W, L: Workload> {
    pipe: Pipe<R, W>,
    pub(crate) workload: L,
    pace: Pace,
    floor: Floor,
    /// Its place on the floor.
    number: usize,
    requests: Requests<L::Ticket>,
    frames: FrameWriter,
    ids: Ids,
    /// Batches of the schedule that were sent.
    batches: u64,
    /// Requests of the batch under way that are still to be sent.
    left: u32,
    /// Most requests that the daemon lets wait on a pipe.
    in_flight_max: usize,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, L: Workload> Lane<R, W, L> {
    pub(crate) fn new(
        pipe: Pipe<R, W>,
        ids: Ids,
        workload: L,
        pace: Pace,
        floor: Floor,
        number: usize,
    ) -> Self {
        let limits = &pipe.hello.limits;
        Self {
            frames: FrameWriter::new(limits.frame_bytes_max),
            in_flight_max: limits.messages_in_flight_max as usize,
            requests: Requests::new(),
            batches: 0,
            left: 0,
            pipe,
            workload,
            pace,
            floor,
            number,
            ids,
        }
    }

    /// Until all that was to be sent is answered, or nobody waits any longer, or the pipe is gone.
    pub(crate) async fn run(mut self) -> (L, Result<(), ClientError>) {
        let ended = poll_fn(|cx| self.poll(cx)).await;
        self.give_up();
        (self.workload, ended)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        for _ in 0..TURNS_MAX {
            let read = match self.pipe.receiver.poll_more(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => false,
            };
            let now = self.floor.clock.now();
            if read {
                self.take_answers(now)?;
            }
            if self.floor.beat.is_over() {
                return Poll::Ready(Ok(()));
            }
            if self.frames.is_empty() {
                self.fill(now);
            }
            let wrote = !self.frames.is_empty() && {
                match self.pipe.sender.poll_send(cx, &mut self.frames) {
                    Poll::Ready(Ok(())) => true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => false,
                }
            };
            if self.requests.len() == 0 && self.has_sent_all(now) {
                return Poll::Ready(Ok(()));
            }
            if !read && !wrote {
                self.floor.beat.wait(self.number, cx.waker());
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_answers(&mut self, now: Moment) -> Result<(), ClientError> {
        let mut meter = self.floor.meter.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests of one batch started together and are mostly answered together: they are noted at once.
        let mut run: Option<(u8, Moment, u64)> = None;
        while let Some(frame) = self.pipe.receiver.next_frame()? {
            for message in frame.messages() {
                let message = message.map_err(ClientError::Wire)?;
                if message.kind == Kind::PipeError {
                    let word: PipeError = message.decode().map_err(ClientError::Wire)?;
                    return Err(ClientError::Pipe(word));
                }
                let correlation = message.correlation;
                let Some(Waiting { started, step, ticket }) = self.requests.take(correlation) else {
                    return Err(ClientError::Unasked { correlation });
                };
                match &mut run {
                    Some((of, at, count)) if (*of, *at) == (step, started) => *count += 1,
                    other => {
                        if let Some((step, started, count)) = other.replace((step, started, 1)) {
                            meter.answered(step, started, now, count);
                        }
                    }
                }
                match self.workload.answer(ticket, &message).map_err(ClientError::Wire)? {
                    Verdict::Yes => {}
                    Verdict::No(code) => meter.refused(step, started, now, code),
                }
            }
        }
        if let Some((step, started, count)) = run {
            meter.answered(step, started, now, count);
        }
        Ok(())
    }

    /// Writes what may be sent now.
    fn fill(&mut self, now: Moment) {
        let meter = Arc::clone(&self.floor.meter);
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        while self.requests.len() < self.in_flight_max && self.frames.len() < TURN_BYTES {
            let follows = self.write(now, now, &mut meter, |workload, out| workload.follow(out));
            if follows {
                continue;
            }
            if self.left == 0 && !self.take_batch(now) {
                break;
            }
            let started = self.started(now);
            self.left -= 1;
            self.write(now, started, &mut meter, |workload, out| Some(workload.begin(out)));
            if self.left == 0 {
                self.frames.end_frame();
            }
        }
    }

    /// Whether a batch may begin; begins it.
    fn take_batch(&mut self, now: Moment) -> bool {
        let batch = self.floor.batch;
        let may = match &self.pace {
            Pace::Window { in_flight, until } => {
                now < *until && self.requests.len() + batch as usize <= *in_flight
            }
            Pace::Due { .. } => self.turn() < self.floor.beat.due(),
        };
        if may {
            self.left = batch;
            self.batches += 1;
        }
        may
    }

    /// The next batch of the thread that is this lane's. Batches go to the lanes in turn.
    fn turn(&self) -> u64 {
        self.number as u64 + self.batches * self.floor.beat.lanes() as u64
    }

    /// When the batch under way was to begin.
    fn started(&self, now: Moment) -> Moment {
        match &self.pace {
            Pace::Window { .. } => now,
            Pace::Due { schedule, first, stride } => schedule.at(first + (self.batches - 1) * stride),
        }
    }

    /// Has the workload write a request, and waits for its answer. `false` where it has none.
    fn write(
        &mut self,
        now: Moment,
        started: Moment,
        meter: &mut Meter,
        ask: impl FnOnce(&mut L, &mut Outgoing<'_>) -> Option<Asked<L::Ticket>>,
    ) -> bool {
        let correlation = self.requests.free();
        let turn = match &self.pace {
            Pace::Window { .. } => self.batches,
            Pace::Due { first, stride, .. } => first + self.batches.saturating_sub(1) * stride,
        };
        let (frames, ids) = (&mut self.frames, &mut self.ids);
        let mut out = Outgoing { frames, correlation, ids, now, turn, written: false };
        let asked = ask(&mut self.workload, &mut out);
        let written = out.written;
        match asked {
            Some(Asked { step, ticket }) if written => {
                self.requests.wait(correlation, Waiting { started, step, ticket });
                meter.sent(step, started, 1);
                true
            }
            Some(Asked { step, .. }) => {
                // Longer than any frame may be: it can never be answered.
                self.requests.give_back(correlation);
                meter.sent(step, started, 1);
                meter.unanswered(step, started, now, 1);
                true
            }
            None => {
                self.requests.give_back(correlation);
                false
            }
        }
    }

    fn has_sent_all(&self, now: Moment) -> bool {
        self.frames.is_empty()
            && self.left == 0
            && match &self.pace {
                Pace::Window { until, .. } => now >= *until,
                Pace::Due { schedule, first, stride } => first + self.batches * stride >= schedule.batches(),
            }
    }

    /// What is not answered now never will be; what was due and could not be sent neither.
    fn give_up(&mut self) {
        let now = self.floor.clock.now();
        let mut meter = self.floor.meter.lock().unwrap_or_else(PoisonError::into_inner);
        for Waiting { started, step, .. } in self.requests.drain() {
            meter.unanswered(step, started, now, 1);
        }
        let Pace::Due { schedule, first, stride } = &self.pace else { return };
        let due = schedule.due_by(now);
        let mut unsent = |batch: u64, count: u64| {
            let started = schedule.at(batch);
            meter.sent(0, started, count);
            meter.unanswered(0, started, now, count);
        };
        if self.left > 0 {
            unsent(first + (self.batches - 1) * stride, u64::from(self.left));
        }
        for batch in (first + self.batches * stride..due).step_by(*stride as usize) {
            unsent(batch, u64::from(self.floor.batch));
        }
    }
}

#[cfg(test)]
mod tests;
