//! What reading costs in memory: nothing at all for the hot pair, and for all else a bounded multiple of the bytes
//! that came, whatever their lengths claim. One test, since the counter sees all threads.

use std::alloc::System;
use std::hint::black_box;

use earmark_protocol::codec::{self, DECODE_RESERVE_MAX};
use earmark_protocol::command::Command;
use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hello::Hello;
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::{Reply, Status};
use serde::de::DeserializeOwned;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One byte on the wire (an option that is none) is at most eight in memory, and a vector that grows allocates at
/// most three times what it comes to.
const GROWTH: usize = 24;

/// Bytes allocated meanwhile, those given back included.
fn allocated<T>(what: impl FnOnce() -> T) -> usize {
    let region = Region::new(ALLOCATOR);
    black_box(what());
    let change = region.change();
    change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0)
}

/// From received bytes to commands, and from answers to bytes, as the daemon does it.
fn answer_all(buffer: &mut ReceiveBuffer, writer: &mut FrameWriter) -> u64 {
    let mut hashes = 0;
    while let Some(frame) = buffer.next_frame().expect("frames as they were written") {
        for message in frame.messages() {
            let message = message.expect("messages as they were written");
            let hold = HoldOne::read(message.body).expect("a hold");
            hashes ^= hold.content_hash();
            let held = HoldOneReply::Held { lsn: Lsn(1), status: Status::Held, deadline: TimestampMs(2) };
            writer
                .push_body(Kind::HoldOneReply, message.correlation, &held.to_bytes())
                .expect("an answer fits a frame");
        }
    }
    hashes
}

fn check_lies<T: DeserializeOwned>() {
    // Every length there can be claims too much: bytes of one value over and over, at every alignment.
    for filler in [0_u8, 1, 2, 3, 10, 16, 0x7f, 0xff] {
        for length in [8_usize, 64, 1_000, 100_000, FRAME_BYTES_MAX as usize] {
            for variant in 0..20_u32 {
                let mut bytes = vec![filler; length];
                bytes[..4].copy_from_slice(&variant.to_le_bytes());
                let most = GROWTH * length + DECODE_RESERVE_MAX;
                let cost = allocated(|| codec::decode::<T>(&bytes).is_ok());
                assert!(cost <= most, "{cost} bytes for {length} bytes of {filler}, variant {variant}");
            }
        }
    }
}

#[test]
fn reading_allocates_nothing_for_the_hot_pair_and_little_for_all_else() {
    let mut requests = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 0..64 {
        let hold = HoldOne { quantity: correlation, ..HoldOne::default() };
        requests.push_body(Kind::HoldOne, correlation, &hold.to_bytes()).expect("a hold fits a frame");
    }
    let bytes = requests.finish();
    let mut buffer = ReceiveBuffer::new(FRAME_BYTES_MAX);
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for round in 0..3 {
        buffer.space()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
        let cost = allocated(|| answer_all(&mut buffer, &mut writer));
        writer.clear();
        assert!(round == 0 || cost == 0, "{cost} bytes in a round after the first");
    }

    check_lies::<Command>();
    check_lies::<Query>();
    check_lies::<Reply>();
    check_lies::<Hello>();

    // Frames that claim the limit and never come: the buffer grows with what arrived.
    let mut buffer = ReceiveBuffer::new(FRAME_BYTES_MAX);
    let mut claim = FRAME_BYTES_MAX.to_le_bytes().to_vec();
    claim.resize(10_000, 0);
    let cost = allocated(|| {
        buffer.space()[..claim.len()].copy_from_slice(&claim);
        buffer.filled(claim.len());
        assert!(buffer.next_frame().expect("no error yet").is_none());
    });
    assert!(cost <= 64 << 10, "{cost} bytes for a frame of which 10,000 bytes came");
    let whole = FRAME_BYTES_MAX as usize + 4;
    while buffer.pending() < whole {
        let room = buffer.space().len().min(whole - buffer.pending());
        buffer.filled(room);
        let held = buffer.pending() + buffer.space().len();
        assert!(held <= FRAME_BYTES_MAX as usize + (64 << 10), "the buffer holds {held} bytes");
    }
    assert!(buffer.next_frame().expect("a frame of no messages").is_some());
}
