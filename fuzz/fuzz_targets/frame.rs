//! Bytes from a pipe: frames, and the messages in them.

#![no_main]

use earmark_protocol::codec;
use earmark_protocol::command::Command;
use earmark_protocol::frame::FRAME_BYTES_MAX;
use earmark_protocol::hello::Hello;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::query::Query;
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::Reply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = ReceiveBuffer::new(FRAME_BYTES_MAX);
    let mut left = bytes;
    while !left.is_empty() {
        let space = buffer.space();
        let taken = space.len().min(left.len());
        space[..taken].copy_from_slice(&left[..taken]);
        buffer.filled(taken);
        left = &left[taken..];
        loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => {
                    for message in frame.messages() {
                        let Ok(message) = message else { return };
                        let body = message.body;
                        let _ = HoldOne::read(body);
                        let _ = codec::decode::<Command>(body);
                        let _ = codec::decode::<Query>(body);
                        let _ = codec::decode::<Reply>(body);
                        let _ = codec::decode::<Hello>(body);
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
