//! Frames and messages as they lie on a pipe, read in place and written in place. It knows lengths, kinds and
//! correlations, and nothing of what a body means. `docs/protocol.md` draws the bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::wire_error::{WireError, WireFault};

/// The largest `length` of a frame that this build reads or writes, in bytes. A daemon may state less in its Hello.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

/// Bytes of the field `length` in front of a frame.
const LENGTH_BYTES: usize = 4;
/// Bytes of `length`, `count` and `reserved` together.
const FRAME_HEADER_BYTES: usize = 8;
/// Bytes in front of a message's body.
const MESSAGE_HEADER_BYTES: usize = 12;

/// What a message is. The first four go to the daemon, the others come from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::hello::Hello`]: the first message on every pipe.
    Hello = 1,
    /// [`crate::hold_one::HoldOne`], of fixed layout.
    HoldOne = 2,
    /// [`crate::command::Command`].
    Command = 3,
    /// [`crate::query::Query`].
    Query = 4,
    /// [`crate::hello::HelloReply`].
    HelloReply = 0x81,
    /// [`crate::hold_one::HoldOneReply`], of fixed layout.
    HoldOneReply = 0x82,
    /// [`crate::reply::Reply`].
    Reply = 0x83,
    /// [`crate::hello::PipeError`]: the last message on a pipe that the daemon closes.
    PipeError = 0x84,
}

impl Kind {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[
        Self::Hello,
        Self::HoldOne,
        Self::Command,
        Self::Query,
        Self::HelloReply,
        Self::HoldOneReply,
        Self::Reply,
        Self::PipeError,
    ];

    /// The one of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u8 == number)
    }
}

/// A whole frame, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    messages: &'a [u8],
    count: u16,
    /// Where the first message stands, counted from the beginning of the pipe.
    offset: u64,
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes` and its whole length, or `None` while it is not all there.
    /// `position` is where `bytes` begin, counted from the beginning of the pipe.
    pub fn parse(bytes: &'a [u8], limit: u32, position: u64) -> Result<Option<(Self, usize)>, WireError> {
        let Some(length) = bytes.first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        if length > limit {
            let (need, have) = (u64::from(length), u64::from(limit));
            return Err(WireError { offset: position, need, have, what: WireFault::FrameTooLong });
        }
        let whole = LENGTH_BYTES + length as usize;
        if whole < FRAME_HEADER_BYTES {
            return Err(WireError::truncated(LENGTH_BYTES, 4, length as usize).after(position));
        }
        let Some(frame) = bytes.get(..whole) else { return Ok(None) };
        let [count, reserved] = [4, 6].map(|at| u16::from_le_bytes([frame[at], frame[at + 1]]));
        if reserved != 0 {
            return Err(WireError::reserved(6, u64::from(reserved)).after(position));
        }
        let messages = &frame[FRAME_HEADER_BYTES..];
        Ok(Some((Self { messages, count, offset: position + FRAME_HEADER_BYTES as u64 }, whole)))
    }

    /// How many messages it says it holds.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Its messages in order. An error is the last item.
    #[must_use]
    pub fn messages(&self) -> Messages<'a> {
        Messages { rest: self.messages, left: self.count, offset: self.offset, ended: false }
    }
}

/// The messages of a frame, see [`Frame::messages`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    left: u16,
    offset: u64,
    ended: bool,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.left == 0 {
            self.ended = true;
            let left_over = self.rest.len();
            return (left_over > 0).then(|| Err(WireError::trailing(0, left_over).after(self.offset)));
        }
        let message = Message::parse(self.rest, self.offset);
        match &message {
            Ok(message) => {
                let whole = MESSAGE_HEADER_BYTES + message.body.len();
                self.rest = &self.rest[whole..];
                self.offset += whole as u64;
                self.left -= 1;
            }
            Err(_) => self.ended = true,
        }
        Some(message)
    }
}

/// A message, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// The client's number for it; a reply carries its request's.
    pub correlation: u32,
    /// What it says.
    pub body: &'a [u8],
    /// Where the body stands, counted from the beginning of the pipe.
    pub offset: u64,
}

impl<'a> Message<'a> {
    #[inline]
    fn parse(bytes: &'a [u8], offset: u64) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<MESSAGE_HEADER_BYTES>() else {
            return Err(WireError::truncated(0, MESSAGE_HEADER_BYTES as u64, bytes.len()).after(offset));
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind, flags, r0, r1] = *header;
        if flags != 0 {
            return Err(WireError::reserved(9, u64::from(flags)).after(offset));
        }
        let reserved = u16::from_le_bytes([r0, r1]);
        if reserved != 0 {
            return Err(WireError::reserved(10, u64::from(reserved)).after(offset));
        }
        let Some(kind) = Kind::from_number(kind) else {
            return Err(unexpected_kind(offset, kind));
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let Some(body) = rest.get(..length as usize) else {
            let error = WireError::truncated(MESSAGE_HEADER_BYTES, u64::from(length), rest.len());
            return Err(error.after(offset));
        };
        let correlation = u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(Self { kind, correlation, body, offset: offset + MESSAGE_HEADER_BYTES as u64 })
    }

    /// Its body, read by [`codec`]. Offsets of the error count from the beginning of the pipe.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        codec::decode(self.body).map_err(|error| error.after(self.offset))
    }

    /// The error of a message whose kind has no place where it came.
    #[must_use]
    pub fn unexpected_kind(&self) -> WireError {
        unexpected_kind(self.offset - MESSAGE_HEADER_BYTES as u64, self.kind as u8)
    }
}

fn unexpected_kind(message_offset: u64, kind: u8) -> WireError {
    WireError { offset: message_offset, need: 0, have: u64::from(kind), what: WireFault::UnexpectedKind }
}

/// A message that no frame can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("writing a message: its frame would be {need} bytes long, the limit is {have}; split the list in it")]
pub struct MessageTooLong {
    /// The `length` of a frame with this message alone.
    pub need: u64,
    /// The limit.
    pub have: u64,
}

/// Writes frames one behind the other into one buffer, as many messages into each as fit.
#[derive(Clone, Debug)]
pub struct FrameWriter {
    bytes: Vec<u8>,
    /// Where the open frame begins; the end of `bytes` while none is open.
    frame_at: usize,
    /// Messages in the open frame.
    count: u16,
    limit: u32,
}

impl FrameWriter {
    /// A writer of frames whose `length` is at most `limit`, and never over [`FRAME_BYTES_MAX`].
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { bytes: Vec::new(), frame_at: 0, count: 0, limit: limit.min(FRAME_BYTES_MAX) }
    }

    /// The most a frame's `length` may be.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Another limit for the frames that are begun from now on.
    pub fn set_limit(&mut self, limit: u32) {
        self.end_frame();
        self.limit = limit.min(FRAME_BYTES_MAX);
    }

    /// Makes room for so many bytes more, where their number is known ahead.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Bytes that a message with a body of this length takes in a frame.
    #[must_use]
    pub fn message_bytes(body: usize) -> usize {
        MESSAGE_HEADER_BYTES + body
    }

    /// Appends a message whose body is a value of [`codec`].
    pub fn push<T: Serialize + ?Sized>(
        &mut self,
        kind: Kind,
        correlation: u32,
        value: &T,
    ) -> Result<(), MessageTooLong> {
        self.push_with(kind, correlation, |body| codec::encode(value, body))
    }

    /// Appends a message with this body.
    pub fn push_body(&mut self, kind: Kind, correlation: u32, body: &[u8]) -> Result<(), MessageTooLong> {
        self.push_with(kind, correlation, |bytes| bytes.extend_from_slice(body))
    }

    /// Appends a message whose body `write` appends to the buffer.
    pub fn push_with(
        &mut self,
        kind: Kind,
        correlation: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), MessageTooLong> {
        self.begin_frame();
        let message_at = self.bytes.len();
        let [c0, c1, c2, c3] = correlation.to_le_bytes();
        self.bytes.extend_from_slice(&[0, 0, 0, 0, c0, c1, c2, c3, kind as u8, 0, 0, 0]);
        write(&mut self.bytes);
        let message_bytes = self.bytes.len() - message_at;
        let alone = FRAME_HEADER_BYTES - LENGTH_BYTES + message_bytes;
        if alone > self.limit as usize {
            self.bytes.truncate(message_at);
            self.count -= 1;
            if self.count == 0 {
                self.bytes.truncate(self.frame_at);
            }
            return Err(MessageTooLong { need: alone as u64, have: u64::from(self.limit) });
        }
        self.patch(message_at, (message_bytes - MESSAGE_HEADER_BYTES) as u32);
        if self.bytes.len() - self.frame_at - LENGTH_BYTES > self.limit as usize {
            self.move_to_next_frame(message_at);
        }
        Ok(())
    }

    /// Ends the open frame; the next message begins another.
    pub fn end_frame(&mut self) {
        if self.count > 0 {
            self.patch(self.frame_at, (self.bytes.len() - self.frame_at - LENGTH_BYTES) as u32);
            self.bytes[self.frame_at + 4..self.frame_at + 6].copy_from_slice(&self.count.to_le_bytes());
        }
        self.frame_at = self.bytes.len();
        self.count = 0;
    }

    /// Ends the open frame and gives all frames.
    pub fn finish(&mut self) -> &[u8] {
        self.end_frame();
        &self.bytes
    }

    /// Ends the open frame and hands the buffer over; the writer begins a new one.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.end_frame();
        self.frame_at = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Forgets all frames and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frame_at = 0;
        self.count = 0;
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn begin_frame(&mut self) {
        if self.count == u16::MAX {
            self.end_frame();
        }
        if self.count == 0 {
            self.bytes.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        }
        self.count += 1;
    }

    /// The last message made the frame too long: close the frame in front of it and begin another with it.
    fn move_to_next_frame(&mut self, message_at: usize) {
        let message_end = self.bytes.len();
        self.bytes.resize(message_end + FRAME_HEADER_BYTES, 0);
        self.bytes.copy_within(message_at..message_end, message_at + FRAME_HEADER_BYTES);
        self.bytes[message_at..message_at + FRAME_HEADER_BYTES].fill(0);
        let frame_bytes = (message_at - self.frame_at - LENGTH_BYTES) as u32;
        self.patch(self.frame_at, frame_bytes);
        let count = self.count - 1;
        self.bytes[self.frame_at + 4..self.frame_at + 6].copy_from_slice(&count.to_le_bytes());
        self.frame_at = message_at;
        self.count = 1;
    }

    fn patch(&mut self, at: usize, length: u32) {
        self.bytes[at..at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(writer: &mut FrameWriter) -> Vec<Vec<(u32, Vec<u8>)>> {
        let bytes = writer.finish();
        let (mut at, mut all) = (0, Vec::new());
        while let Some((frame, whole)) = Frame::parse(&bytes[at..], FRAME_BYTES_MAX, at as u64).unwrap() {
            all.push(
                frame.messages().map(|m| m.map(|m| (m.correlation, m.body.to_vec())).unwrap()).collect(),
            );
            at += whole;
        }
        assert_eq!(at, bytes.len());
        all
    }

    fn two_messages() -> Vec<u8> {
        let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
        writer.push_body(Kind::Query, 1, &[7]).unwrap();
        writer.push_body(Kind::Query, 2, &[8, 9]).unwrap();
        writer.take()
    }

    fn error_of(bytes: &[u8]) -> WireError {
        match Frame::parse(bytes, FRAME_BYTES_MAX, 100) {
            Err(error) => error,
            Ok(None) => panic!("more is needed"),
            Ok(Some((frame, _))) => frame.messages().find_map(Result::err).expect("an error"),
        }
    }

    #[test]
    fn messages_of_one_turn_share_a_frame() {
        let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
        writer.push_body(Kind::Query, 1, &[7]).unwrap();
        writer.push_body(Kind::Query, 2, &[]).unwrap();
        writer.end_frame();
        writer.push_body(Kind::Query, 3, &[8, 9]).unwrap();
        assert_eq!(frames(&mut writer), [vec![(1, vec![7]), (2, vec![])], vec![(3, vec![8, 9])]]);
    }

    #[test]
    fn a_message_that_does_not_fit_begins_the_next_frame() {
        let mut writer = FrameWriter::new(40);
        for correlation in 0..3 {
            writer.push_body(Kind::Query, correlation, &[correlation as u8; 8]).unwrap();
        }
        let whole = frames(&mut writer);
        assert_eq!(whole, [vec![(0, vec![0; 8])], vec![(1, vec![1; 8])], vec![(2, vec![2; 8])]]);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_and_leaves_no_trace() {
        let mut writer = FrameWriter::new(40);
        let refused = writer.push_body(Kind::Query, 1, &[0; 25]);
        assert_eq!(refused, Err(MessageTooLong { need: 41, have: 40 }));
        assert!(writer.is_empty());
        writer.push_body(Kind::Query, 2, &[5]).unwrap();
        assert!(writer.push_body(Kind::Query, 3, &[0; 25]).is_err());
        assert_eq!(frames(&mut writer), [vec![(2, vec![5])]]);
    }

    #[test]
    fn a_frame_takes_at_most_as_many_messages_as_its_count_can_say() {
        let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
        for correlation in 0..=u32::from(u16::MAX) {
            writer.push_body(Kind::Query, correlation, &[]).unwrap();
        }
        assert_eq!(frames(&mut writer).iter().map(Vec::len).collect::<Vec<_>>(), [65_535, 1]);
    }

    #[test]
    fn a_frame_that_is_not_all_there_needs_more_at_every_length() {
        let bytes = two_messages();
        for length in 0..bytes.len() {
            assert!(Frame::parse(&bytes[..length], FRAME_BYTES_MAX, 0).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_wrong_with_a_frame_is_said_with_its_place_on_the_pipe() {
        let change = |at: usize, value: u8| {
            let mut bytes = two_messages();
            bytes[at] = value;
            error_of(&bytes)
        };
        let bytes = two_messages();
        assert_eq!(bytes.len(), 8 + 13 + 14);
        assert_eq!(error_of(&[3, 0, 0, 0, 0, 0, 0]), WireError::truncated(104, 4, 3));
        let too_long = WireError { offset: 100, need: 1 << 24, have: 1 << 20, what: WireFault::FrameTooLong };
        assert_eq!(error_of(&[0, 0, 0, 1]), too_long);
        assert_eq!(change(4, 1), WireError::trailing(121, 14), "count says fewer");
        assert_eq!(change(4, 3), WireError::truncated(135, 12, 0), "count says more");
        assert_eq!(change(6, 5), WireError::reserved(106, 5), "reserved of the frame");
        assert_eq!(change(8, 200), WireError::truncated(120, 200, 15), "length of the first message");
        assert_eq!(change(16, 0x42), unexpected_kind(108, 0x42));
        assert_eq!(change(17, 6), WireError::reserved(117, 6), "flags of a message");
        assert_eq!(change(19, 1), WireError::reserved(118, 256), "reserved of a message");
    }
}
