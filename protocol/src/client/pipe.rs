//! One pipe over any ordered transport: its Hello, then frames out and frames in. It numbers nothing and waits for
//! nobody: load generators use it as it is, the client's driver puts calls on top.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::error::ClientError;
use crate::frame::{Frame, FrameWriter, Kind, Message};
use crate::hello::{HELLO_FRAME_BYTES_MAX, Hello, HelloReply, PipeError};
use crate::receive::ReceiveBuffer;

/// A pipe over QUIC.
pub type QuicPipe = Pipe<quinn::RecvStream, quinn::SendStream>;

/// A pipe whose Hello was answered. Its halves may go to different tasks.
#[derive(Debug)]
pub struct Pipe<R, W> {
    /// What the daemon answered.
    pub hello: HelloReply,
    /// The way out.
    pub sender: PipeSender<W>,
    /// The way in.
    pub receiver: PipeReceiver<R>,
}

/// The way out of a pipe.
#[derive(Debug)]
pub struct PipeSender<W> {
    write: W,
    /// How much is sent of the frames that are being sent.
    sent: usize,
}

/// The way in of a pipe.
#[derive(Debug)]
pub struct PipeReceiver<R> {
    pub(super) read: R,
    pub(super) buffer: ReceiveBuffer,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pipe<R, W> {
    /// Says Hello over these two halves of a transport, a QUIC stream's or a unix socket's.
    pub async fn open(read: R, write: W, token: &str) -> Result<Self, ClientError> {
        let mut sender = PipeSender { write, sent: 0 };
        let mut receiver = PipeReceiver { read, buffer: ReceiveBuffer::new(HELLO_FRAME_BYTES_MAX) };
        let mut writer = FrameWriter::new(HELLO_FRAME_BYTES_MAX);
        writer.push(Kind::Hello, 1, &Hello::new(token))?;
        // A daemon that refuses may stop reading before all is sent; its word on the way in says more.
        let sent = sender.send(&mut writer).await;
        let hello = match receiver.receive().await {
            Ok(frame) => hello_reply(frame)?,
            Err(lost) => return Err(sent.err().unwrap_or(lost)),
        };
        receiver.buffer.set_limit(hello.limits.frame_bytes_max);
        Ok(Self { hello, sender, receiver })
    }
}

impl<W: AsyncWrite + Unpin> PipeSender<W> {
    /// Sends all frames of the writer and empties it.
    pub async fn send(&mut self, frames: &mut FrameWriter) -> Result<(), ClientError> {
        poll_fn(|cx| self.poll_send(cx, frames)).await
    }

    /// Sends on with the frames of this writer; once they are ready they are all sent and the writer is empty. Until
    /// then add nothing to it, and come back with the same one.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut FrameWriter,
    ) -> Poll<Result<(), ClientError>> {
        let bytes = frames.finish();
        while self.sent < bytes.len() {
            self.sent +=
                ready!(Pin::new(&mut self.write).poll_write(cx, &bytes[self.sent..])).map_err(lost)?;
        }
        self.sent = 0;
        frames.clear();
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will be sent; answers still come in.
    pub async fn finish(&mut self) -> Result<(), ClientError> {
        self.write.shutdown().await.map_err(lost)
    }
}

impl<R: AsyncRead + Unpin> PipeReceiver<R> {
    /// Waits for the next whole frame.
    pub async fn receive(&mut self) -> Result<Frame<'_>, ClientError> {
        while !self.buffer.has_frame().map_err(ClientError::Wire)? {
            poll_fn(|cx| self.poll_more(cx)).await?;
        }
        let frame = self.next_frame()?;
        Ok(frame.expect("the buffer has just said that it has a frame"))
    }

    /// The next frame of those that are here already.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ClientError> {
        self.buffer.next_frame().map_err(ClientError::Wire)
    }

    /// Reads what has arrived. Take all frames out first.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        let mut space = ReadBuf::new(self.buffer.space());
        ready!(Pin::new(&mut self.read).poll_read(cx, &mut space)).map_err(lost)?;
        let count = space.filled().len();
        if count == 0 {
            return Poll::Ready(Err(ClientError::Lost { cause: "the daemon ended the pipe".into() }));
        }
        self.buffer.filled(count);
        Poll::Ready(Ok(()))
    }
}

pub(super) fn lost(error: std::io::Error) -> ClientError {
    ClientError::Lost { cause: Arc::from(error.to_string()) }
}

fn hello_reply(frame: Frame<'_>) -> Result<HelloReply, ClientError> {
    let first = frame.messages().next().transpose().map_err(ClientError::Wire)?;
    let message = first.ok_or_else(|| ClientError::Lost { cause: "the daemon answered nothing".into() })?;
    match message.kind {
        Kind::HelloReply => message.decode().map_err(ClientError::Wire),
        Kind::PipeError => Err(pipe_error(&message)),
        _ => Err(ClientError::Wire(message.unexpected_kind())),
    }
}

/// The daemon's last word, or why it could not be read.
pub(super) fn pipe_error(message: &Message<'_>) -> ClientError {
    message.decode::<PipeError>().map_or_else(ClientError::Wire, ClientError::Pipe)
}
