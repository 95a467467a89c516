//! The bytes of the log, held fast; the checksums were reckoned by other code, bit by bit. `docs/durability.md` describes them; change them only with a new version.

use super::*;
use crate::log::frame::crc_in;
use crate::log::segment::{SegmentHeader, segment_number};

fn hex(bytes: &[u8]) -> String {
    let words = bytes.chunks(8).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_header_of_a_segment() {
    let header = SegmentHeader { log_id: 0x1122_3344_5566_7788, number: 3, bytes: 64 << 20 };
    let bytes = header.encode();
    // | 0 magic | 8 version, 0 | 16 log id | 24 number | 32 length of the file | 40 zeros | 60 checksum |
    let golden = "4541524d4b4c4f47 0100000000000000 8877665544332211 0300000000000000 \
                  0000000400000000 0000000000000000 0000000000000000 000000000d9bbdee";
    assert_eq!(hex(&bytes[..64]), golden);
    assert_eq!(bytes.len(), 4096);
    assert!(bytes[64..].iter().all(|byte| *byte == 0));
    assert_eq!(SegmentHeader::decode(bytes[..64].try_into().unwrap()), Ok(header));
}

#[test]
fn a_frame_of_two_records() {
    let body: Vec<u8> = [&[3, 0, 0, 0][..], b"one", &[5, 0, 0, 0], b"three"].concat();
    let header = FrameHeader {
        kind: FrameKind::Records,
        epoch: 7,
        first_lsn: 41,
        time_ms: 1_700_000_000_000,
        durable_lsn: 40,
        count: 2,
        bytes: 16,
        previous: 0xaabb_ccdd,
        body_crc: crc32c::crc32c(&body),
    };
    let bytes = header.encode(0x1122_3344_5566_7788);
    // | 0 magic, kind, 0 | 8 epoch | 16 first lsn | 24 time | 32 durable lsn | 40 count, payload bytes |
    // | 48 checksum of the header before, of the payload | 56 zeros, checksum of this header |
    let golden = "4546524d01000000 0700000000000000 2900000000000000 0068e5cf8b010000 \
                  2800000000000000 0200000010000000 ddccbbaac7b49ebe 00000000688be07c";
    assert_eq!(hex(&bytes), golden);
    assert_eq!(crc_in(&bytes), 0x7ce0_8b68);
    let decoded = FrameHeader::decode(&bytes, 0x1122_3344_5566_7788).unwrap();
    assert_eq!(decoded, header);
    assert!(decoded.fits(&body));
    let records: Vec<_> = Records::of(&decoded, &body).collect();
    assert_eq!(records, [(41, &b"one"[..]), (42, &b"three"[..])]);
    assert_eq!(decoded.stride(), 128);
    assert_eq!(FrameHeader::decode(&bytes, 1), None, "the same bytes are no frame of another log");
}

#[test]
fn a_position() {
    let position = Position {
        log_id: 0x1122_3344_5566_7788,
        segment: 3,
        offset: 4160,
        next_lsn: 43,
        epoch: 7,
        previous: 0xaabb_ccdd,
    };
    // | 0 log id | 8 segment | 16 offset | 24 next lsn | 32 epoch | 40 checksum of the header before, 0 |
    let golden = "8877665544332211 0300000000000000 4010000000000000 2b00000000000000 0700000000000000 ddccbbaa00000000";
    assert_eq!(hex(&position.encode()), golden);
    assert_eq!(Position::decode(&position.encode()), position);
}

#[test]
fn the_names_of_segments() {
    assert_eq!(segment_name(1), "0000000001.log");
    assert_eq!(segment_number("0000000042.log"), Some(42));
    for other in [
        "0000000000.log",
        "42.log",
        "0000000042.spare",
        "000000004x.log",
        "+000000042.log",
        "0000000042.log.tmp",
    ] {
        assert_eq!(segment_number(other), None, "{other}");
    }
}
