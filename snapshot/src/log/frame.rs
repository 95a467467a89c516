//! A frame as bytes: a header of 64, the payload, zeros up to the next multiple of 64. It knows layout and checksums;
//! whether a frame is the next one of the log is for [`super::Position`] to say.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `EFRM` |
//! | 4 | 2 | kind | 1 records, 2 seal, 3 stop, 4 opening |
//! | 6 | 2 | | 0 |
//! | 8 | 8 | epoch | the life of the log it was written in |
//! | 16 | 8 | first_lsn | of its first record; where it has none, of the next one to come |
//! | 24 | 8 | time_ms | stamped on the batch, since 1970 |
//! | 32 | 8 | durable_lsn | all up to here was durable before this frame was written |
//! | 40 | 4 | count | records |
//! | 44 | 4 | bytes | of the payload: per record a length (4) and that many bytes |
//! | 48 | 4 | previous | header checksum of the frame before; 0 in the first |
//! | 52 | 4 | body_crc | CRC-32C of the payload |
//! | 56 | 4 | | 0 |
//! | 60 | 4 | header_crc | CRC-32C of the log's id (8 bytes), then bytes 0 to 59 |
//!
//! The log's id goes into the checksum so that nothing but this log's writer makes a valid header: neither a file of
//! another log, nor bytes that a client chose and that happen to lie where a frame is looked for.

use earmark_mutations::Mutation;

use super::bytes::{put, u16_at, u32_at, u64_at};

/// Length of a frame's header. Frames begin at multiples of it.
pub const FRAME_HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"EFRM";

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Carries records.
    Records,
    /// Empty: says that all before it is durable, when nothing more came for a while.
    Seal,
    /// Empty: the log was closed in good order.
    Stop,
    /// Empty: the log was opened, and a new epoch begins.
    Opening,
}

impl FrameKind {
    fn code(self) -> u16 {
        match self {
            Self::Records => 1,
            Self::Seal => 2,
            Self::Stop => 3,
            Self::Opening => 4,
        }
    }

    fn of(code: u16) -> Option<Self> {
        [Self::Records, Self::Seal, Self::Stop, Self::Opening].into_iter().find(|kind| kind.code() == code)
    }
}

/// A frame's header. The fields are those of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: FrameKind,
    /// The life of the log it was written in.
    pub epoch: u64,
    /// Lsn of its first record; where it has none, of the next one to come.
    pub first_lsn: u64,
    /// The time stamped on its batch, in milliseconds since 1970. In an empty frame that of the batch before it, or 0.
    pub time_ms: u64,
    /// All records up to this lsn were durable before this frame was written.
    pub durable_lsn: u64,
    /// How many records it carries.
    pub count: u32,
    /// Length of its payload.
    pub bytes: u32,
    /// Header checksum of the frame before it.
    pub previous: u32,
    /// CRC-32C of its payload.
    pub body_crc: u32,
}

impl FrameHeader {
    /// The lsn after its last record.
    #[must_use]
    pub fn next_lsn(&self) -> u64 {
        self.first_lsn + u64::from(self.count)
    }

    /// How far the next frame is from this one, in bytes.
    #[must_use]
    pub fn stride(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + padded(self.bytes as usize)
    }

    pub(super) fn encode(&self, log_id: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 4, &self.kind.code().to_le_bytes());
        put(&mut out, 8, &self.epoch.to_le_bytes());
        put(&mut out, 16, &self.first_lsn.to_le_bytes());
        put(&mut out, 24, &self.time_ms.to_le_bytes());
        put(&mut out, 32, &self.durable_lsn.to_le_bytes());
        put(&mut out, 40, &self.count.to_le_bytes());
        put(&mut out, 44, &self.bytes.to_le_bytes());
        put(&mut out, 48, &self.previous.to_le_bytes());
        put(&mut out, 52, &self.body_crc.to_le_bytes());
        let crc = header_crc(&out, log_id);
        put(&mut out, 60, &crc.to_le_bytes());
        out
    }

    /// The header in the first 64 of these bytes; `None` where they hold none of this log.
    pub(super) fn decode(bytes: &[u8], log_id: u64) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        if bytes[..4] != MAGIC || crc_in(bytes) != header_crc(bytes, log_id) {
            return None;
        }
        let header = Self {
            kind: FrameKind::of(u16_at(bytes, 4))?,
            epoch: u64_at(bytes, 8),
            first_lsn: u64_at(bytes, 16),
            time_ms: u64_at(bytes, 24),
            durable_lsn: u64_at(bytes, 32),
            count: u32_at(bytes, 40),
            bytes: u32_at(bytes, 44),
            previous: u32_at(bytes, 48),
            body_crc: u32_at(bytes, 52),
        };
        let is_empty = header.count == 0 && header.bytes == 0;
        let is_whole = u64::from(header.bytes) >= 4 * u64::from(header.count);
        let is_sound = match header.kind {
            FrameKind::Records => header.count > 0 && is_whole,
            FrameKind::Seal | FrameKind::Stop | FrameKind::Opening => is_empty,
        };
        let is_counted = header.first_lsn.checked_add(u64::from(header.count)).is_some();
        (is_sound && is_counted && header.durable_lsn < header.first_lsn).then_some(header)
    }

    /// Whether this is its payload: right by the checksum, and made of just as many records as it says.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        let records = Records { body, lsn: self.first_lsn };
        let is_right =
            crc32c::crc32c(body) == self.body_crc || earmark_mutations::is(Mutation::TrustPayloads);
        is_right && records.count_whole() == Some(self.count)
    }
}

/// The records of a frame, in order, each with its lsn.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    body: &'a [u8],
    lsn: u64,
}

impl<'a> Records<'a> {
    /// Those of a payload that [fits](FrameHeader::fits).
    pub(super) fn of(header: &FrameHeader, body: &'a [u8]) -> Self {
        Self { body, lsn: header.first_lsn }
    }

    /// How many there are, where they fill the payload to its last byte.
    fn count_whole(mut self) -> Option<u32> {
        let mut count = 0_u32;
        while self.next().is_some() {
            count = count.checked_add(1)?;
        }
        self.body.is_empty().then_some(count)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.body.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let lsn = self.lsn;
        self.body = rest;
        self.lsn = lsn.checked_add(1)?;
        Some((lsn, record))
    }
}

/// The checksum that stands in an encoded header.
pub(super) fn crc_in(header: &[u8]) -> u32 {
    u32_at(header, 60)
}

fn header_crc(header: &[u8], log_id: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&log_id.to_le_bytes()), &header[..60])
}

/// A payload of this many bytes up to where the next frame may begin.
pub(super) fn padded(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(FRAME_HEADER_BYTES as u64)
}
