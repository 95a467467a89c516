//! The calls of one pipe, from being queued to being answered, over as many connections as that takes. It does no
//! I/O and reads no clock: the driver tells it what happened, callers and driver wait on the wakers it keeps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::error::ClientError;
use crate::frame::{FrameWriter, Kind};
use crate::hello::{HelloReply, PipeError};
use crate::hold_one::{HoldOne, HoldOneReply};
use crate::ids::CommandId;
use crate::reply::Reply;

/// Low bits of a correlation: the slot. The high bits count how often the slot was used, so that a late or doubled
/// answer meets nobody.
const SLOT_BITS: u32 = 20;
/// Most calls that wait on one pipe.
const SLOTS_MAX: usize = 1 << SLOT_BITS;
/// Frames of one turn end at about this size: the first may be on its way while the rest is written.
const BATCH_BYTES: usize = 256 << 10;

/// What a call says. Kept until it is answered, since it may have to be said again.
#[derive(Debug)]
pub(super) enum Body {
    HoldOne([u8; HoldOne::BYTES]),
    Command(Vec<u8>),
    Query(Vec<u8>),
}

/// What a call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    HoldOne(HoldOneReply),
    Reply(Reply),
}

/// A call to be made.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Body,
    /// The command's; `None` for a question.
    pub(super) id: Option<CommandId>,
    pub(super) made: Instant,
    pub(super) deadline: Instant,
    /// The log's epoch that its handles are of.
    pub(super) epoch: u64,
}

#[derive(Debug)]
enum Stage {
    Free,
    /// Waits for its turn.
    Queued,
    /// Waits for its answer.
    Sent,
    /// Its deadline has passed, its answer has not come, and the caller does not know yet.
    Late,
    /// Its answer has not come, and nobody waits for it.
    Abandoned,
    Answered(Result<Answer, ClientError>),
}

#[derive(Debug)]
struct Slot {
    stage: Stage,
    uses: u32,
    /// Its place among all calls of the pipe, so that it keeps it when calls are sent again.
    place: u64,
    /// Whether it was sent, over this connection or one before.
    sent: bool,
    request: Option<Request>,
    caller: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Correlations of calls to be sent, in order; some may not be `Queued` any more.
    queue: VecDeque<u32>,
    placed: u64,
    in_flight: u32,
    in_flight_max: u32,
    /// No deadline lies before this.
    earliest: Option<Instant>,
    driver: Option<Waker>,
    trouble: Option<Arc<str>>,
    closed: bool,
}

impl Calls {
    /// No calls, at most so many unanswered ones at a time.
    pub(super) fn new(in_flight_max: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            placed: 0,
            in_flight: 0,
            in_flight_max,
            earliest: None,
            driver: None,
            trouble: None,
            closed: false,
        }
    }

    // ---- the caller's side ----

    /// Queues a call. Wake the driver that comes with its correlation, once the lock is gone.
    pub(super) fn submit(&mut self, request: Request) -> Result<(u32, Option<Waker>), ClientError> {
        if self.closed {
            return Err(ClientError::Closed);
        }
        self.earliest = Some(self.earliest.map_or(request.deadline, |at| at.min(request.deadline)));
        let index = self.free_slot()?;
        let slot = &mut self.slots[index as usize];
        slot.uses = (slot.uses + 1) & (u32::MAX >> SLOT_BITS);
        // Correlation 0 is nobody's: the daemon uses it for errors of no one message.
        if index == 0 && slot.uses == 0 {
            slot.uses = 1;
        }
        self.placed += 1;
        (slot.place, slot.sent) = (self.placed, false);
        (slot.stage, slot.request) = (Stage::Queued, Some(request));
        let correlation = slot.uses << SLOT_BITS | index;
        if self.queue.len() > 2 * self.slots.len() {
            self.forget_stale();
        }
        self.queue.push_back(correlation);
        Ok((correlation, self.driver.take()))
    }

    /// Takes the answer of a call, or leaves the caller's waker.
    pub(super) fn poll_answer(
        &mut self,
        correlation: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, ClientError>> {
        let slot = self.slot(correlation).expect("a slot stays with its call until the call is over");
        match std::mem::replace(&mut slot.stage, Stage::Abandoned) {
            Stage::Answered(answer) => {
                self.release(correlation);
                Poll::Ready(answer)
            }
            Stage::Late => Poll::Ready(Err(self.no_answer(correlation))),
            waiting => {
                slot.stage = waiting;
                if !slot.caller.as_ref().is_some_and(|caller| caller.will_wake(cx.waker())) {
                    slot.caller = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The caller does not wait any more.
    pub(super) fn abandon(&mut self, correlation: u32) {
        let Some(slot) = self.slot(correlation) else { return };
        slot.caller = None;
        match slot.stage {
            // Its answer will come and needs the slot until then.
            Stage::Sent | Stage::Late => slot.stage = Stage::Abandoned,
            Stage::Queued | Stage::Answered(_) => self.release(correlation),
            Stage::Free | Stage::Abandoned => {}
        }
    }

    // ---- the driver's side ----

    /// A pipe is there. The daemon's limit is obeyed, and the client's own.
    pub(super) fn connected(&mut self, hello: &HelloReply, in_flight_max: u32) {
        self.trouble = None;
        self.in_flight_max = in_flight_max.min(hello.limits.messages_in_flight_max).max(1);
    }

    /// Writes queued calls into frames, as many as may be in flight and go well together; nothing is left to write
    /// only where the writer stays empty. Then waits, see [`Calls::wait_here`].
    pub(super) fn take_turn(
        &mut self,
        epoch: u64,
        writer: &mut FrameWriter,
        wakers: &mut Vec<Waker>,
        driver: &Waker,
    ) -> Option<Instant> {
        while self.in_flight < self.in_flight_max && writer.len() < BATCH_BYTES {
            let Some(correlation) = self.queue.pop_front() else { break };
            let Some(slot) = self.slot(correlation) else { continue };
            let Stage::Queued = slot.stage else { continue };
            let Some(request) = &slot.request else { continue };
            let written = if request.epoch != epoch {
                Err(ClientError::EpochChanged { was: request.epoch, is: epoch })
            } else {
                let pushed = match &request.body {
                    Body::HoldOne(body) => writer.push_body(Kind::HoldOne, correlation, body),
                    Body::Command(body) => writer.push_body(Kind::Command, correlation, body),
                    Body::Query(body) => writer.push_body(Kind::Query, correlation, body),
                };
                pushed.map_err(ClientError::TooLong)
            };
            match written {
                Ok(()) => {
                    (slot.stage, slot.sent) = (Stage::Sent, true);
                    self.in_flight += 1;
                }
                Err(error) => slot.settle(Err(error), wakers),
            }
        }
        self.wait_here(driver)
    }

    /// Leaves the driver's waker for the next call, and says when a deadline may pass.
    pub(super) fn wait_here(&mut self, driver: &Waker) -> Option<Instant> {
        if !self.driver.as_ref().is_some_and(|waker| waker.will_wake(driver)) {
            self.driver = Some(driver.clone());
        }
        self.earliest
    }

    /// An answer came. `false` where nobody asked for it, or asked for another kind.
    pub(super) fn answer(&mut self, correlation: u32, answer: Answer, wakers: &mut Vec<Waker>) -> bool {
        let Some(slot) = self.slot(correlation) else { return false };
        let Some(request) = &slot.request else { return false };
        let hold_one = matches!(request.body, Body::HoldOne(_));
        if hold_one != matches!(answer, Answer::HoldOne(_)) {
            return false;
        }
        match slot.stage {
            Stage::Sent | Stage::Late => slot.settle(Ok(answer), wakers),
            Stage::Abandoned => self.release(correlation),
            Stage::Free | Stage::Queued | Stage::Answered(_) => return false,
        }
        self.in_flight -= 1;
        true
    }

    /// The pipe is gone. Unanswered calls are queued again, in front and in their old order, unless it is for them
    /// that it went.
    pub(super) fn lost(&mut self, why: &Loss, wakers: &mut Vec<Waker>) {
        if let Loss::Trouble(trouble) = why {
            self.trouble = Some(Arc::clone(trouble));
        }
        let culprit = why.culprit().filter(|correlation| {
            self.slot(*correlation).is_some_and(|slot| matches!(slot.stage, Stage::Sent | Stage::Late))
        });
        let mut again = Vec::new();
        for index in 0..self.slots.len() as u32 {
            let correlation = self.slots[index as usize].uses << SLOT_BITS | index;
            let slot = &mut self.slots[index as usize];
            match slot.stage {
                Stage::Sent | Stage::Late => {
                    let blamed = culprit.is_none_or(|culprit| culprit == correlation);
                    match why.blame() {
                        Some(error) if blamed => slot.settle(Err(error), wakers),
                        _ if matches!(slot.stage, Stage::Late) => {
                            let error = self.no_answer(correlation);
                            self.slots[index as usize].settle(Err(error), wakers);
                        }
                        _ => {
                            slot.stage = Stage::Queued;
                            again.push((slot.place, correlation));
                        }
                    }
                }
                Stage::Abandoned => self.release(correlation),
                Stage::Free | Stage::Queued | Stage::Answered(_) => {}
            }
        }
        again.sort_unstable();
        for (_, correlation) in again.into_iter().rev() {
            self.queue.push_front(correlation);
        }
        self.in_flight = 0;
    }

    /// No pipe came for too long: calls that wait for one have no answer.
    pub(super) fn give_up(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        for index in 0..self.slots.len() as u32 {
            let slot = &mut self.slots[index as usize];
            if let (Stage::Queued, Some(request)) = (&slot.stage, &mut slot.request) {
                request.deadline = now;
            }
        }
        self.expire(now, wakers);
    }

    /// No pipe can be had: every call fails with this.
    pub(super) fn fail_all(&mut self, error: &ClientError, wakers: &mut Vec<Waker>) {
        for slot in &mut self.slots {
            if matches!(slot.stage, Stage::Queued | Stage::Sent | Stage::Late) {
                slot.settle(Err(error.clone()), wakers);
            }
        }
        self.queue.clear();
        self.in_flight = 0;
    }

    /// The client is closed: every call fails, later ones too.
    pub(super) fn close(&mut self, wakers: &mut Vec<Waker>) {
        self.closed = true;
        self.fail_all(&ClientError::Closed, wakers);
    }

    /// Why no connection is there, for the errors of calls whose deadline passes meanwhile.
    pub(super) fn in_trouble(&mut self, trouble: Arc<str>) {
        self.trouble = Some(trouble);
    }

    /// Fails calls whose deadline has passed, and says when the next may.
    pub(super) fn expire(&mut self, now: Instant, wakers: &mut Vec<Waker>) -> Option<Instant> {
        let mut earliest = None;
        for index in 0..self.slots.len() as u32 {
            let slot = &mut self.slots[index as usize];
            let (Stage::Queued | Stage::Sent, Some(request)) = (&slot.stage, &slot.request) else { continue };
            if request.deadline > now {
                earliest = Some(earliest.map_or(request.deadline, |at: Instant| at.min(request.deadline)));
            } else if let Stage::Sent = slot.stage {
                slot.stage = Stage::Late;
                wakers.extend(slot.caller.take());
            } else {
                let error = self.no_answer(self.slots[index as usize].uses << SLOT_BITS | index);
                self.slots[index as usize].settle(Err(error), wakers);
            }
        }
        self.earliest = earliest;
        earliest
    }

    // ---- slots ----

    fn slot(&mut self, correlation: u32) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((correlation as usize) & (SLOTS_MAX - 1))?;
        (slot.uses == correlation >> SLOT_BITS).then_some(slot)
    }

    /// While no pipe is there, calls come and go and leave their places in the queue behind.
    fn forget_stale(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|at| self.slot(*at).is_some_and(|slot| matches!(slot.stage, Stage::Queued)));
        self.queue = queue;
    }

    fn free_slot(&mut self) -> Result<u32, ClientError> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        if self.slots.len() == SLOTS_MAX {
            return Err(ClientError::TooManyCalls { waiting: SLOTS_MAX });
        }
        self.slots.push(Slot {
            stage: Stage::Free,
            uses: 0,
            place: 0,
            sent: false,
            request: None,
            caller: None,
        });
        Ok(self.slots.len() as u32 - 1)
    }

    fn release(&mut self, correlation: u32) {
        if let Some(slot) = self.slot(correlation) {
            (slot.stage, slot.request, slot.caller) = (Stage::Free, None, None);
            self.free.push(correlation & (SLOTS_MAX as u32 - 1));
        }
    }

    fn no_answer(&mut self, correlation: u32) -> ClientError {
        let trouble = self.trouble.clone();
        let slot = self.slot(correlation);
        let sent = slot.as_ref().is_some_and(|slot| slot.sent);
        let request = slot.and_then(|slot| slot.request.as_ref());
        let (deadline, id) = request.map_or_else(Default::default, |request| {
            (request.deadline.duration_since(request.made), request.id)
        });
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        ClientError::Deadline { deadline_ms, id, sent, trouble }
    }
}

impl Slot {
    fn settle(&mut self, answer: Result<Answer, ClientError>, wakers: &mut Vec<Waker>) {
        self.stage = Stage::Answered(answer);
        // Calls of one task stand side by side in an answer frame: one wake-up serves them all.
        if let Some(caller) = self.caller.take()
            && !wakers.last().is_some_and(|last| last.will_wake(&caller))
        {
            wakers.push(caller);
        }
    }
}

/// Why a pipe is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// For nothing that a call did: all are sent again.
    Trouble(Arc<str>),
    /// For what a call said, or all of them if that call is not among them.
    Blame { correlation: u32, error: ClientError },
}

impl Loss {
    /// What an error of a pipe means for its calls.
    pub(super) fn of(error: ClientError, correlation: u32) -> Self {
        match error {
            ClientError::Pipe(PipeError::Draining) | ClientError::Lost { .. } => {
                Self::Trouble(Arc::from(error.to_string()))
            }
            error => Self::Blame { correlation, error },
        }
    }

    fn culprit(&self) -> Option<u32> {
        match self {
            Self::Trouble(_) => None,
            Self::Blame { correlation, .. } => Some(*correlation),
        }
    }

    fn blame(&self) -> Option<ClientError> {
        match self {
            Self::Trouble(_) => None,
            Self::Blame { error, .. } => Some(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
