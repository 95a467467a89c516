//! Bytes in, bytes out: every value reads back, every value has one encoding, every cut is said with its exact place,
//! and no bytes at all make the library panic.

mod draw;
mod vectors;

use earmark_protocol::codec;
use earmark_protocol::command::Command;
use earmark_protocol::frame::{Frame, FrameWriter, Kind};
use earmark_protocol::hello::{Hello, HelloReply, PipeError};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::query::Query;
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::Reply;
use earmark_protocol::wire_error::WireError;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use vectors::trace::{Schema, trace};

trait Said: Serialize + DeserializeOwned + PartialEq + Debug {}
impl<T: Serialize + DeserializeOwned + PartialEq + Debug> Said for T {}

fn encoded<T: Said>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes);
    bytes
}

/// It reads back; cut anywhere, the error names the value that was cut, what it takes and what is left of it.
fn check_value<T: Said>(chance: &[u8]) {
    let Some(value) = draw::draw::<T>(chance) else { return };
    let bytes = encoded(&value);
    assert_eq!(codec::decode::<T>(&bytes), Ok(value));

    let value: T = codec::decode(&bytes).expect("it has just been read");
    let lines = trace(&value, &mut Schema::default());
    assert_eq!(lines.iter().flat_map(|line| line.bytes.clone()).collect::<Vec<_>>(), bytes);
    let mut at = 0;
    for line in lines {
        for cut in 0..line.bytes.len() {
            let expected = WireError::truncated(at, line.bytes.len() as u64, cut);
            assert_eq!(codec::decode::<T>(&bytes[..at + cut]), Err(expected), "{}", line.note);
        }
        at += line.bytes.len();
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(codec::decode::<T>(&longer), Err(WireError::trailing(bytes.len(), 1)));
}

/// Whatever the bytes: a value that is encoded as they are, or an error with a place inside them.
fn check_bytes<T: Said>(bytes: &[u8]) {
    match codec::decode::<T>(bytes) {
        Ok(value) => assert_eq!(encoded(&value), bytes),
        Err(error) => assert!(error.offset <= bytes.len() as u64, "{error}"),
    }
}

/// A value with some bytes changed: closer to sense than bytes of chance, so it goes deeper.
fn check_changed<T: Said>(chance: &[u8], changes: &[(usize, u8)]) {
    let Some(value) = draw::draw::<T>(chance) else { return };
    let mut bytes = encoded(&value);
    for (at, byte) in changes {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    check_bytes::<T>(&bytes);
}

/// The numbers of the variants that chance draws, and how often it draws anything.
fn drawn<T: Said>(variant_at: usize) -> (BTreeSet<u32>, usize) {
    let mut variants = BTreeSet::new();
    let mut count = 0;
    for seed in 0..1_000_u32 {
        let chance: Vec<u8> = (0..200_u32)
            .map(|at| xxhash_rust::xxh3::xxh3_64(&[seed, at].map(u32::to_le_bytes).concat()) as u8)
            .collect();
        let Some(value) = draw::draw::<T>(&chance) else { continue };
        count += 1;
        let bytes = encoded(&value);
        let number = bytes[variant_at..variant_at + 4].try_into().expect("four bytes");
        variants.insert(u32::from_le_bytes(number));
    }
    (variants, count)
}

#[test]
fn chance_draws_every_kind_of_value() {
    let all = |(variants, count): (BTreeSet<u32>, usize), last: u32| {
        assert_eq!(variants, (0..=last).collect());
        assert!(count > 700, "only {count} of 1,000 draws gave a value");
    };
    all(drawn::<Command>(20), 28);
    all(drawn::<Query>(0), 19);
    all(drawn::<Reply>(0), 22);
    all(drawn::<PipeError>(0), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_value_reads_back_and_every_cut_is_said_exactly(chance in vec(any::<u8>(), 0..300)) {
        check_value::<Command>(&chance);
        check_value::<Query>(&chance);
        check_value::<Reply>(&chance);
        check_value::<Hello>(&chance);
        check_value::<HelloReply>(&chance);
        check_value::<PipeError>(&chance);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        check_bytes::<Command>(&bytes);
        check_bytes::<Query>(&bytes);
        check_bytes::<Reply>(&bytes);
        check_bytes::<Hello>(&bytes);
        check_bytes::<HelloReply>(&bytes);
        check_bytes::<PipeError>(&bytes);
    }

    #[test]
    fn no_change_of_a_value_makes_a_reader_panic(
        chance in vec(any::<u8>(), 0..300),
        changes in vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        check_changed::<Command>(&chance, &changes);
        check_changed::<Query>(&chance, &changes);
        check_changed::<Reply>(&chance, &changes);
        check_changed::<PipeError>(&chance, &changes);
    }

    #[test]
    fn the_hot_pair_has_one_encoding(hold in any::<[u8; 40]>(), reply in any::<[u8; 32]>(), length in 0_usize..60) {
        prop_assert_eq!(HoldOne::read(&hold).map(|hold| hold.to_bytes()), Ok(hold));
        if let Ok(read) = HoldOneReply::read(&reply) {
            prop_assert_eq!(read.to_bytes(), reply);
        }
        let body = vec![0; length];
        prop_assert_eq!(HoldOne::read(&body).is_ok(), length == HoldOne::BYTES);
        prop_assert_eq!(HoldOneReply::read(&body).is_ok(), length == HoldOneReply::BYTES);
    }

    #[test]
    fn drawn_answers_to_hold_one_read_back(chance in vec(any::<u8>(), 0..40)) {
        if let Some(HoldOneReply::Refused(refused)) = draw::draw(&chance) {
            let reply = HoldOneReply::refused(refused.lsn, refused.refusal);
            prop_assert_eq!(HoldOneReply::read(&reply.to_bytes()), Ok(reply));
        } else if let Some(reply) = draw::draw::<HoldOneReply>(&chance) {
            prop_assert_eq!(HoldOneReply::read(&reply.to_bytes()), Ok(reply));
        }
    }

    #[test]
    fn frames_hold_what_was_pushed_however_the_bytes_arrive(
        bodies in vec(vec(any::<u8>(), 0..60), 0..40),
        limit in 80_u32..400,
        steps in vec(1_usize..50, 1..20),
    ) {
        let mut writer = FrameWriter::new(limit);
        for (correlation, body) in bodies.iter().enumerate() {
            writer.push_body(Kind::Query, correlation as u32, body).expect("it fits a frame of its own");
        }
        let mut bytes = writer.finish();
        let mut buffer = ReceiveBuffer::new(limit);
        let mut got = Vec::new();
        for step in steps.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (now, later) = bytes.split_at((*step).min(bytes.len()));
            buffer.space()[..now.len()].copy_from_slice(now);
            buffer.filled(now.len());
            bytes = later;
            while let Some(frame) = buffer.next_frame().expect("frames as they were written") {
                for message in frame.messages() {
                    let message = message.expect("messages as they were written");
                    prop_assert_eq!(message.correlation, got.len() as u32);
                    got.push(message.body.to_vec());
                }
            }
        }
        prop_assert_eq!(got, bodies);
        prop_assert_eq!(buffer.pending(), 0);
        prop_assert_eq!(buffer.position(), writer.len() as u64);
    }

    #[test]
    fn no_bytes_make_a_frame_panic(mut bytes in vec(any::<u8>(), 0..300), short: bool) {
        // Otherwise hardly any length is within the limit.
        if short && bytes.len() >= 8 {
            let length = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[6..8].fill(0);
        }
        match Frame::parse(&bytes, 1 << 20, 1_000) {
            Ok(Some((frame, whole))) => {
                prop_assert!(whole <= bytes.len());
                for message in frame.messages() {
                    match message {
                        Ok(message) => prop_assert!((1_000..1_000 + bytes.len() as u64).contains(&message.offset)),
                        Err(error) => prop_assert!((1_000..=1_000 + bytes.len() as u64).contains(&error.offset)),
                    }
                }
                prop_assert!(frame.messages().count() <= usize::from(frame.count()) + 1);
            }
            Ok(None) => {}
            Err(error) => prop_assert!((1_000..=1_008).contains(&error.offset)),
        }
    }
}
