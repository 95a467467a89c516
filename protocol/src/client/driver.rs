//! Drives one pipe: answers in, calls out, in turns. One task does both ways, so a turn costs one wake-up whatever
//! it carries. It ends with its pipe and says why; whoever keeps the pipe opens the next.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::call::PipeCalls;
use super::calls::{Answer, Loss};
use super::clock;
use super::error::ClientError;
use super::pipe::{Pipe, pipe_error};
use crate::frame::{FrameWriter, Kind, Message};
use crate::hold_one::HoldOneReply;
use crate::wire_error::WireError;

/// After so many turns that moved something, other tasks of the thread go first.
const TURNS_MAX: usize = 16;

/// A pipe and the calls that go over it.
pub(super) struct Driver<'a, R, W> {
    pipe: Pipe<R, W>,
    calls: &'a PipeCalls,
    deadlines: &'a mut Deadlines,
    writer: FrameWriter,
    /// Whether any call was answered.
    answered: bool,
    // Reused from turn to turn.
    answers: Vec<(u32, Answer)>,
    wakers: Vec<Waker>,
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Driver<'a, R, W> {
    pub(super) fn new(pipe: Pipe<R, W>, calls: &'a PipeCalls, deadlines: &'a mut Deadlines) -> Self {
        let writer = FrameWriter::new(pipe.hello.limits.frame_bytes_max);
        let (answers, wakers) = (Vec::new(), Vec::new());
        Self { pipe, calls, deadlines, writer, answered: false, answers, wakers }
    }

    /// Until the pipe is gone. Says why, and whether it was of any use before.
    pub(super) async fn run(mut self) -> (Loss, bool) {
        let loss = poll_fn(|cx| self.poll(cx)).await;
        (loss, self.answered)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Loss> {
        for _ in 0..TURNS_MAX {
            let moved = match self.read(cx).and_then(|read| Ok(self.write(cx)? || read)) {
                Ok(moved) => moved,
                Err(loss) => return Poll::Ready(loss),
            };
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether something had arrived.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Loss> {
        match self.pipe.receiver.poll_more(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(error)) => return Err(Loss::of(error, 0)),
            Poll::Ready(Ok(())) => {}
        }
        // Answers in front of what ends the pipe still count.
        let read = self.read_frames();
        let known = self.hand_out();
        read.and(known).map(|()| true)
    }

    fn read_frames(&mut self) -> Result<(), Loss> {
        let garbage = |error: WireError| Loss::of(ClientError::Wire(error), 0);
        while let Some(frame) = self.pipe.receiver.buffer.next_frame().map_err(garbage)? {
            for message in frame.messages() {
                let message = message.map_err(garbage)?;
                match message.kind {
                    Kind::PipeError => return Err(Loss::of(pipe_error(&message), message.correlation)),
                    _ => self.answers.push((message.correlation, answer(&message).map_err(garbage)?)),
                }
            }
        }
        Ok(())
    }

    fn hand_out(&mut self) -> Result<(), Loss> {
        let mut calls = self.calls.lock();
        let mut all_known = Ok(());
        self.answered |= !self.answers.is_empty();
        for (correlation, answer) in self.answers.drain(..) {
            if !calls.answer(correlation, answer, &mut self.wakers) {
                all_known = Err(Loss::of(ClientError::Unasked { correlation }, 0));
            }
        }
        drop(calls);
        self.wakers.drain(..).for_each(Waker::wake);
        all_known
    }

    /// Whether something was sent, and all that was taken for this turn.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Loss> {
        if self.writer.is_empty() {
            let epoch = self.pipe.hello.log_epoch;
            let earliest = self.calls.lock().take_turn(epoch, &mut self.writer, &mut self.wakers, cx.waker());
            self.wakers.drain(..).for_each(Waker::wake);
            self.deadlines.poll(cx, self.calls, earliest);
        }
        if self.writer.is_empty() {
            return Ok(false);
        }
        match self.pipe.sender.poll_send(cx, &mut self.writer) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(error)) => Err(Loss::of(error, 0)),
        }
    }
}

fn answer(message: &Message<'_>) -> Result<Answer, WireError> {
    match message.kind {
        Kind::HoldOneReply => {
            let reply = HoldOneReply::read(message.body);
            reply.map(Answer::HoldOne).map_err(|error| error.after(message.offset))
        }
        Kind::Reply => message.decode().map(Answer::Reply),
        _ => Err(message.unexpected_kind()),
    }
}

/// The one timer of a pipe's calls.
pub(super) struct Deadlines {
    sleep: Pin<Box<Sleep>>,
    /// What the timer is set to, while it runs.
    set_to: Option<Instant>,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(clock::now())), set_to: None }
    }

    /// Fails calls whose deadline has passed and wakes the task at the next one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, calls: &PipeCalls, mut earliest: Option<Instant>) {
        while let Some(at) = earliest {
            if self.set_to != Some(at) {
                self.sleep.as_mut().reset(at);
                self.set_to = Some(at);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.set_to = None;
            earliest = calls.wake_after(|calls, wakers| calls.expire(clock::now(), wakers));
        }
    }

    /// Waits for something while no pipe is there; deadlines pass meanwhile.
    pub(super) async fn pass_during<T>(&mut self, calls: &PipeCalls, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        poll_fn(|cx| {
            if let Poll::Ready(value) = what.as_mut().poll(cx) {
                return Poll::Ready(value);
            }
            let earliest = calls.lock().wait_here(cx.waker());
            self.poll(cx, calls, earliest);
            Poll::Pending
        })
        .await
    }
}
