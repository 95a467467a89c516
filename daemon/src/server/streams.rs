//! A pipe's two halves as they read and write: over QUIC or over a unix socket, the same frames.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use earmark_protocol::hello::{HELLO_FRAME_BYTES_MAX, PipeError};
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::wire_error::{WireError, WireFault};
use quinn::{RecvStream, SendStream};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::core::Core;
use super::pipe::{LastWord, Outgoing, Pipe, Readable, frame_of};
use super::session::Session;

/// Where a pipe's bytes come from.
pub(super) enum Source {
    Quic(RecvStream),
    Unix(OwnedReadHalf),
}

/// Where a pipe's bytes go.
pub(super) enum Sink {
    Quic(SendStream),
    Unix(OwnedWriteHalf),
}

/// Why reading ended.
enum Ended {
    /// The peer has said all it has to say, or something it must not, or the daemon stops.
    With(Option<LastWord>),
    /// The peer is gone.
    Gone,
}

impl Ended {
    fn with(error: PipeError) -> Self {
        Self::With(Some(error.into()))
    }
}

/// What a read brought.
enum Got {
    Bytes(usize),
    Nothing(Ended),
}

/// Serves a pipe until it ends, in both directions; `greeted` is set once its Hello is accepted.
pub(super) async fn serve(
    core: Arc<Core>,
    source: Source,
    sink: Sink,
    peer: String,
    greeted: Arc<AtomicBool>,
) {
    let shared = Arc::clone(core.shared());
    if shared.is_draining() {
        return refuse(sink, PipeError::Draining).await;
    }
    let pipe = Arc::new(Pipe::new(core));
    let Some(_registered) = shared.register(&pipe) else {
        return refuse(sink, shared.too_many_pipes()).await;
    };
    let writer = tokio::spawn(write_out(Arc::clone(&pipe), sink));
    let mut session = Session::new(Arc::clone(&pipe), peer.clone());
    match read_in(&pipe, &mut session, source, shared.hello_time, &greeted).await {
        Ended::With(word) => {
            if let Some(LastWord { error, .. }) = &word
                && *error != PipeError::Draining
            {
                shared.count_pipe_error();
                tracing::debug!(%peer, "{error}");
            }
            pipe.end(word);
        }
        Ended::Gone => pipe.gone(),
    }
    if writer.await.is_err() {
        tracing::error!(%peer, "the writer of a pipe was cut off");
    }
}

/// Tells a peer why it gets no pipe.
pub(super) async fn refuse(mut sink: Sink, word: PipeError) {
    let written = sink.write(&mut [frame_of(&word.into()).into()]).await;
    if written.is_ok() {
        sink.finish().await;
    }
}

async fn read_in(
    pipe: &Pipe,
    session: &mut Session,
    mut source: Source,
    hello_time: Duration,
    connection_greeted: &AtomicBool,
) -> Ended {
    let mut buffer = ReceiveBuffer::new(HELLO_FRAME_BYTES_MAX);
    let mut hello_due = std::pin::pin!(tokio::time::sleep(hello_time));
    loop {
        let greeted = session.is_greeted();
        let got = poll_fn(|cx| {
            if !greeted && hello_due.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Got::Nothing(Ended::with(PipeError::HelloOutOfPlace)));
            }
            poll_next(pipe, &mut source, buffer.space(), cx)
        });
        match got.await {
            Got::Bytes(count) => buffer.filled(count),
            // The peer has ended in the midst of a frame.
            Got::Nothing(Ended::With(None)) if buffer.pending() > 0 => return Ended::with(cut_off(&buffer)),
            Got::Nothing(ended) => return ended,
        }
        session.begin_read();
        let taken = take(pipe, session, &mut buffer).await;
        session.flush();
        if !greeted && session.is_greeted() {
            connection_greeted.store(true, Ordering::Relaxed);
        }
        if let Err(word) = taken {
            return Ended::With(Some(word));
        }
    }
}

/// What is said of a frame of which the peer sent a part alone.
fn cut_off(buffer: &ReceiveBuffer) -> PipeError {
    let have = buffer.pending() as u64;
    PipeError::Wire(WireError { offset: buffer.position(), need: have + 1, have, what: WireFault::Truncated })
}

/// Takes all whole frames out of the buffer.
async fn take(pipe: &Pipe, session: &mut Session, buffer: &mut ReceiveBuffer) -> Result<(), LastWord> {
    let frame_bytes_max = pipe.core().shared().limits.frame_bytes_max;
    while let Some(frame) = buffer.next_frame().map_err(PipeError::Wire)? {
        session.begin_frame(frame.count());
        for message in frame.messages() {
            let message = message.map_err(PipeError::Wire)?;
            let correlation = message.correlation;
            session.message(&message).map_err(|error| LastWord { correlation, error })?;
            if session.has_said_much() {
                session.flush();
                poll_fn(|cx| until_not_full(pipe, cx)).await;
                session.go_on();
            }
            if session.is_long() {
                session.flush();
                tokio::task::yield_now().await;
                session.go_on();
            }
        }
        if session.is_greeted() {
            buffer.set_limit(frame_bytes_max);
        }
    }
    Ok(())
}

fn poll_next(pipe: &Pipe, source: &mut Source, space: &mut [u8], cx: &mut Context<'_>) -> Poll<Got> {
    let readable = pipe.readable(cx);
    match readable {
        Readable::Gone => return Poll::Ready(Got::Nothing(Ended::Gone)),
        Readable::Full => return Poll::Pending,
        Readable::Yes | Readable::Draining => {}
    }
    match source.poll_read(cx, space) {
        Poll::Ready(Ok(0)) => Poll::Ready(Got::Nothing(Ended::With(None))),
        Poll::Ready(Ok(count)) => Poll::Ready(Got::Bytes(count)),
        Poll::Ready(Err(error)) => {
            tracing::debug!("a pipe's peer is gone: {error}");
            Poll::Ready(Got::Nothing(Ended::Gone))
        }
        Poll::Pending if readable == Readable::Draining => {
            Poll::Ready(Got::Nothing(Ended::with(PipeError::Draining)))
        }
        Poll::Pending => Poll::Pending,
    }
}

/// Waits while the peer has as many replies to take as may wait for it. One that is gone is seen at the next read.
fn until_not_full(pipe: &Pipe, cx: &Context<'_>) -> Poll<()> {
    match pipe.readable(cx) {
        Readable::Full => Poll::Pending,
        Readable::Yes | Readable::Draining | Readable::Gone => Poll::Ready(()),
    }
}

async fn write_out(pipe: Arc<Pipe>, mut sink: Sink) {
    loop {
        match poll_fn(|cx| pipe.outgoing(cx)).await {
            Outgoing::Frames(mut frames) => {
                let bytes = frames.iter().map(Bytes::len).sum();
                if let Err(error) = sink.write(&mut frames).await {
                    tracing::debug!("a pipe's peer does not listen any more: {error}");
                    pipe.gone();
                    return;
                }
                pipe.written(bytes);
            }
            Outgoing::End => return sink.finish().await,
            Outgoing::Gone => return,
        }
    }
}

impl Source {
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Quic(stream) => stream.poll_read(cx, space).map_err(io::Error::from),
            Self::Unix(half) => {
                let mut space = ReadBuf::new(space);
                ready!(Pin::new(half).poll_read(cx, &mut space))?;
                Poll::Ready(Ok(space.filled().len()))
            }
        }
    }
}

impl Sink {
    async fn write(&mut self, frames: &mut [Bytes]) -> io::Result<()> {
        match self {
            Self::Quic(stream) => stream.write_all_chunks(frames).await.map_err(io::Error::from),
            Self::Unix(half) => {
                for frame in frames {
                    half.write_all(frame).await?;
                }
                Ok(())
            }
        }
    }

    /// Ends the stream, and waits until the peer has all of it or is gone.
    async fn finish(mut self) {
        match &mut self {
            Self::Quic(stream) => {
                if stream.finish().is_ok() {
                    // Lost or stopped: either way there is nobody who waits for the rest.
                    let _ = stream.stopped().await;
                }
            }
            // An error says that the peer has closed already.
            Self::Unix(half) => drop(half.shutdown().await),
        }
    }
}
