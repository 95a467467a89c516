//! One segment: a file of fixed length, its name and its first 4,096 bytes. Frames begin behind them.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 8 | magic | `EARMKLOG` |
//! | 8 | 4 | version | 1 |
//! | 12 | 4 | | 0 |
//! | 16 | 8 | log_id | random, the same in all segments of a log, for ever |
//! | 24 | 8 | number | from 1, as in the name |
//! | 32 | 8 | segment_bytes | length of the file |
//! | 40 | 20 | | 0 |
//! | 60 | 4 | crc | CRC-32C of bytes 0 to 59, in every version |
//! | 64 | 4,032 | | 0 |

use super::bytes::{put, u32_at, u64_at};
use super::error::{Damage, LogError, Sign};
use crate::storage::{Storage, StorageFile};

/// Length of a segment's header. The first frame begins behind it.
pub const SEGMENT_HEADER_BYTES: u64 = 4096;

/// The version this build writes, and the only one it reads.
pub const LOG_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"EARMKLOG";
const CRC_AT: usize = 60;

/// The name of a segment's file: ten digits and `.log`.
#[must_use]
pub fn segment_name(number: u64) -> String {
    format!("{number:010}.log")
}

/// The number in a segment's name; `None` for any other file.
#[must_use]
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let is_number = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().filter(|number| *number > 0)
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log_id: u64,
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// Why the start of a file is not the header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    /// All 4,096 bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; SEGMENT_HEADER_BYTES as usize];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &LOG_VERSION.to_le_bytes());
        put(&mut out, 16, &self.log_id.to_le_bytes());
        put(&mut out, 24, &self.number.to_le_bytes());
        put(&mut out, 32, &self.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        put(&mut out, CRC_AT, &crc.to_le_bytes());
        out
    }

    /// # Errors
    /// A header whose checksum is right is of another version; any other is damaged.
    pub(super) fn decode(bytes: &[u8; 64]) -> Result<Self, NoHeader> {
        if bytes[..8] != MAGIC || u32_at(bytes, CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT]) {
            return Err(NoHeader::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != LOG_VERSION {
            return Err(NoHeader::Version(version));
        }
        Ok(Self { log_id: u64_at(bytes, 16), number: u64_at(bytes, 24), bytes: u64_at(bytes, 32) })
    }
}

/// A segment that is open, its header found right.
pub(super) struct Segment {
    pub(super) number: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    pub(super) log_id: u64,
    pub(super) file: Box<dyn StorageFile>,
}

impl Segment {
    /// # Errors
    /// A fault, a version this build does not know, or damage: a header that is not right, or not of this number, or
    /// not of this length.
    pub(super) fn open(storage: &dyn Storage, number: u64) -> Result<Self, LogError> {
        let name = segment_name(number);
        let damaged = || {
            let sign = Sign::SegmentHeader;
            LogError::Damage(Damage { place: storage.place(), segment: number, offset: 0, lsn: None, sign })
        };
        let file = storage.open(&name)?;
        let length = file.len()?;
        if length < SEGMENT_HEADER_BYTES {
            return Err(damaged());
        }
        let mut start = [0; 64];
        file.read_at(&mut start, 0)?;
        let header = SegmentHeader::decode(&start).map_err(|no| match no {
            NoHeader::Damaged => damaged(),
            NoHeader::Version(version) => {
                LogError::Version { place: storage.place(), segment: number, version }
            }
        })?;
        if header.number != number || header.bytes != length {
            return Err(damaged());
        }
        Ok(Self { number, bytes: length, log_id: header.log_id, file })
    }

    /// The same, and that it is of this log.
    ///
    /// # Errors
    /// See [`Segment::open`]; [`LogError::Foreign`].
    pub(super) fn open_of(storage: &dyn Storage, number: u64, log_id: u64) -> Result<Self, LogError> {
        let segment = Self::open(storage, number)?;
        if segment.log_id != log_id {
            let found = segment.log_id;
            return Err(LogError::Foreign {
                place: storage.place(),
                segment: number,
                found,
                expected: log_id,
            });
        }
        Ok(segment)
    }
}
