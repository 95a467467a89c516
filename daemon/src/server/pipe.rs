//! One pipe's way out: the replies that may leave, what has been read and not been answered, and how the pipe
//! ends. The reader of a pipe puts in, its writer takes out, and neither waits for the other's peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use earmark_protocol::frame::{FrameWriter, Kind};
use earmark_protocol::hello::PipeError;
use parking_lot::Mutex;

use super::core::Core;
use crate::commit::{Desk, Work};

/// A pipe, as those see it who answer it.
pub(crate) struct Pipe {
    core: Arc<Core>,
    /// Messages that were read and whose replies are not in the writer's hands. A peer that counts what it sent
    /// and was not answered never counts less.
    in_flight: AtomicU32,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    frames: Vec<Bytes>,
    /// Messages answered in `frames`.
    answered: u32,
    /// Bytes in `frames` and in the writer's hands.
    bytes: usize,
    end: End,
    drain: bool,
    /// The reader waits for the peer to read.
    full: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default)]
enum End {
    #[default]
    Open,
    /// Once all that was read is answered: this word, and no more.
    After(Option<LastWord>),
    /// The peer is gone, or does not listen any more.
    Gone,
}

/// Why the daemon ends a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastWord {
    /// Of the message at fault; 0 where it is none's.
    pub(crate) correlation: u32,
    pub(crate) error: PipeError,
}

impl From<PipeError> for LastWord {
    fn from(error: PipeError) -> Self {
        Self { correlation: 0, error }
    }
}

/// What the writer is to do next.
pub(crate) enum Outgoing {
    /// Write these.
    Frames(Vec<Bytes>),
    /// All is written: end the stream.
    End,
    /// There is nobody to write to.
    Gone,
}

/// Why the reader is not to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    /// It may.
    Yes,
    /// It may, and where nothing is there it is to end the pipe: the daemon stops.
    Draining,
    /// Not before the peer has read some replies.
    Full,
    /// Never again.
    Gone,
}

impl Pipe {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, in_flight: AtomicU32::new(0), outbox: Mutex::default() }
    }

    /// Bytes of replies that may wait for the peer: fewer, the more pipes there are.
    fn bytes_max(&self) -> usize {
        self.core.shared().outbound_share()
    }

    /// The core that serves it.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Counts messages that were read, before anyone can answer them.
    pub(crate) fn read(&self, messages: u32) {
        self.in_flight.fetch_add(messages, Ordering::Relaxed);
    }

    /// Messages that wait for their replies.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Hands over frames that answer so many messages, to leave at once.
    pub(crate) fn post(&self, frames: &mut FrameWriter, answered: u32) {
        if frames.is_empty() {
            return;
        }
        let bytes = frames.take();
        let writer = {
            let mut outbox = self.outbox.lock();
            if matches!(outbox.end, End::Gone) {
                return;
            }
            outbox.bytes += bytes.len();
            outbox.answered += answered;
            outbox.frames.push(bytes.into());
            outbox.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// End the pipe once all that was read is answered, with this last word.
    pub(crate) fn end(&self, word: Option<LastWord>) {
        let mut outbox = self.outbox.lock();
        if matches!(outbox.end, End::Open) {
            outbox.end = End::After(word);
        }
        wake(&mut outbox);
    }

    /// There is nobody at the other end any more.
    pub(crate) fn gone(&self) {
        let mut outbox = self.outbox.lock();
        outbox.end = End::Gone;
        outbox.frames.clear();
        wake(&mut outbox);
    }

    /// The daemon stops: have the reader end the pipe when it has read what is there.
    pub(crate) fn drain(&self) {
        let mut outbox = self.outbox.lock();
        outbox.drain = true;
        wake(&mut outbox);
    }

    /// Whether the reader may read; where it must wait, it is woken when that changes.
    pub(crate) fn readable(&self, cx: &Context<'_>) -> Readable {
        let mut outbox = self.outbox.lock();
        keep(&mut outbox.reader, cx);
        outbox.full = outbox.bytes >= self.bytes_max();
        match outbox.end {
            End::Gone => Readable::Gone,
            _ if outbox.full => Readable::Full,
            _ if outbox.drain => Readable::Draining,
            _ => Readable::Yes,
        }
    }

    /// Bytes of replies that wait for the peer.
    pub(crate) fn outbound_bytes(&self) -> usize {
        self.outbox.lock().bytes
    }

    /// Whether so much waits for the peer that nothing more is to be answered.
    pub(crate) fn is_full(&self) -> bool {
        self.outbound_bytes() >= self.bytes_max()
    }

    /// What the writer is to do.
    pub(crate) fn outgoing(&self, cx: &Context<'_>) -> Poll<Outgoing> {
        let mut outbox = self.outbox.lock();
        if matches!(outbox.end, End::Gone) {
            return Poll::Ready(Outgoing::Gone);
        }
        if !outbox.frames.is_empty() {
            // From here on the peer may see them, and may send as many more.
            self.in_flight.fetch_sub(std::mem::take(&mut outbox.answered), Ordering::Relaxed);
            return Poll::Ready(Outgoing::Frames(std::mem::take(&mut outbox.frames)));
        }
        if let End::After(word) = &mut outbox.end
            && self.in_flight.load(Ordering::Relaxed) == 0
        {
            let Some(word) = word.take() else { return Poll::Ready(Outgoing::End) };
            let frame: Bytes = frame_of(&word).into();
            outbox.bytes += frame.len();
            return Poll::Ready(Outgoing::Frames(vec![frame]));
        }
        keep(&mut outbox.writer, cx);
        Poll::Pending
    }

    /// So many bytes are out of the writer's hands.
    pub(crate) fn written(&self, bytes: usize) {
        let mut outbox = self.outbox.lock();
        outbox.bytes -= bytes;
        if outbox.full
            && outbox.bytes < self.bytes_max()
            && let Some(reader) = outbox.reader.take()
        {
            reader.wake();
        }
    }
}

impl Desk for Pipe {
    fn decided(self: Arc<Self>, work: Work) {
        let core = Arc::clone(&self.core);
        core.decided(self, work);
    }
}

/// The frame of a pipe's last message.
pub(super) fn frame_of(word: &LastWord) -> Vec<u8> {
    let mut frame = FrameWriter::new(earmark_protocol::hello::HELLO_FRAME_BYTES_MAX);
    frame
        .push(Kind::PipeError, word.correlation, &word.error)
        .expect("a pipe error is shorter than any frame limit");
    frame.take()
}

fn keep(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

fn wake(outbox: &mut Outbox) {
    for waker in [outbox.reader.take(), outbox.writer.take()].into_iter().flatten() {
        waker.wake();
    }
}
