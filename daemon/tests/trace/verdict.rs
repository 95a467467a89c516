//! Which replies left before what they say was durable.

use std::collections::HashMap;
use std::fmt;

use earmark_protocol::frame::{FRAME_BYTES_MAX, Frame, Kind};
use earmark_protocol::hold_one::HoldOneReply;
use earmark_snapshot::log::{FRAME_HEADER_BYTES, segment_number};

use super::calls::{Call, Calls, Event};

/// What a trace shows.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Syncs of the log.
    pub(crate) syncs: usize,
    /// Replies to holds.
    pub(crate) replies: usize,
    /// Those of them that left before the sync that covers them had ended.
    pub(crate) early: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { syncs, replies, early } = self;
        write!(f, "{replies} replies, {syncs} syncs of the log, {early} replies before their sync")
    }
}

impl Verdict {
    pub(crate) fn of(calls: &Calls) -> Self {
        let mut verdict = Self::default();
        let (mut written, mut durable) = (0, 0);
        // What was written when a sync began: that much it covers.
        let mut syncing: HashMap<usize, u64> = HashMap::new();
        let mut streams: HashMap<&str, Vec<u8>> = HashMap::new();
        for event in &calls.events {
            match event {
                Event::Begins(at) => {
                    let call = &calls.calls[*at];
                    if is_sync(call) {
                        syncing.insert(*at, written);
                    } else if call.file.starts_with("UNIX") {
                        let stream = streams.entry(&call.file).or_default();
                        stream.extend_from_slice(&call.bytes);
                        for lsn in replies(stream) {
                            verdict.replies += 1;
                            verdict.early += usize::from(lsn > durable);
                        }
                    }
                }
                Event::Ended(at) => {
                    let call = &calls.calls[*at];
                    if let Some(covered) = syncing.remove(at) {
                        verdict.syncs += 1;
                        durable = durable.max(covered);
                    } else if call.name.starts_with("pwrite") && is_log(call) {
                        written = written.max(last_lsn(&call.bytes));
                    }
                }
            }
        }
        verdict
    }
}

fn is_log(call: &Call) -> bool {
    call.file.rsplit('/').next().and_then(segment_number).is_some()
}

fn is_sync(call: &Call) -> bool {
    is_log(call) && matches!(call.name.as_str(), "fdatasync" | "fsync")
}

/// The last lsn in these frames of the log, by the table in `docs/durability.md`; 0 where there are none.
fn last_lsn(mut bytes: &[u8]) -> u64 {
    let mut last = 0;
    while bytes.len() >= FRAME_HEADER_BYTES && bytes.starts_with(b"EFRM") {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let (first, count_and_length) = (number(16), number(40));
        let (count, length) = (count_and_length as u32, (count_and_length >> 32) as usize);
        last = last.max((first + u64::from(count)).saturating_sub(1));
        let stride = FRAME_HEADER_BYTES + length.next_multiple_of(FRAME_HEADER_BYTES);
        bytes = bytes.get(stride..).unwrap_or_default();
    }
    last
}

/// Where the holds were decided that the whole frames of a stream answer; takes the frames away. A frame counts as sent
/// when its last byte is.
fn replies(stream: &mut Vec<u8>) -> Vec<u64> {
    let (mut lsns, mut taken) = (Vec::new(), 0);
    while let Some((frame, whole)) =
        Frame::parse(&stream[taken..], FRAME_BYTES_MAX, 0).expect("the daemon sends whole frames")
    {
        for message in frame.messages() {
            let message = message.expect("the daemon sends whole messages");
            if message.kind == Kind::HoldOneReply {
                lsns.push(HoldOneReply::read(message.body).expect("a reply").lsn().0);
            }
        }
        taken += whole;
    }
    stream.drain(..taken);
    lsns
}
