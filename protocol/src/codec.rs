//! The bytes of every message that has no fixed layout: the bincode 2 format with fixed-width little-endian
//! integers. The only file that names the crate `bincode`; `docs/protocol.md` describes the format itself, and the
//! examples there hold it fast.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::de::read::Reader;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::FRAME_BYTES_MAX;
use crate::wire_error::{WireError, WireFault};

/// Where the body of an encoded `Command` begins: after `id` (16 bytes) and `give_up_ms` (4).
const COMMAND_BODY_AT: usize = 20;

/// Appends the value's bytes to the buffer.
///
/// ```
/// let mut bytes = Vec::new();
/// earmark_protocol::codec::encode(&(7_u32, true), &mut bytes);
/// assert_eq!(bytes, [7, 0, 0, 0, 1]);
/// assert_eq!(earmark_protocol::codec::decode::<(u32, bool)>(&bytes), Ok((7, true)));
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(value, Append(bytes), FORMAT)
        .expect("a vector takes every byte, and every list of a message knows its length");
}

/// Reads a value that fills the bytes exactly. Offsets of the error count from the first of them.
///
/// Never panics, whatever the bytes, and never reserves more than [`DECODE_RESERVE_MAX`] beyond what values that are
/// really there take.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > FRAME_BYTES_MAX as usize {
        let (need, have) = (bytes.len() as u64, u64::from(FRAME_BYTES_MAX));
        return Err(WireError { offset: 0, need, have, what: WireFault::FrameTooLong });
    }
    let mut reader = Counting { bytes, last: 0, next: 0 };
    let value = bincode::serde::decode_from_reader(&mut reader, FORMAT);
    match value {
        Ok(value) if reader.next == bytes.len() => Ok(value),
        Ok(_) => Err(WireError::trailing(reader.next, bytes.len() - reader.next)),
        Err(error) => Err(reader.explain(&error)),
    }
}

/// What two commands of one id are compared by: XXH3 (64 bit, seed 0) of the encoded command without its first two
/// fields, `id` and `give_up_ms`. The receiving side takes it from the bytes as they came; the bytes of a value are
/// unique, so equal commands have equal hashes.
#[must_use]
pub fn content_hash(encoded_command: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(encoded_command.get(COMMAND_BODY_AT..).unwrap_or_default())
}

/// The most that lengths which lie can make [`decode`] reserve, in bytes: one text up to the frame's limit, and for
/// each of at most three lists in one another the mebibyte that serde reserves ahead of elements.
pub const DECODE_RESERVE_MAX: usize = 4 << 20;

/// The limit is above the longest message by more than any integer, so that running over the end is seen by the
/// reader, which knows where it is, and the limit only by texts that claim to be longer than any message.
const LIMIT: usize = FRAME_BYTES_MAX as usize + 64;

const FORMAT: Configuration<LittleEndian, Fixint, Limit<LIMIT>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>();

/// Appends to a vector that the caller reuses.
struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Reads a slice and knows where it is.
struct Counting<'a> {
    bytes: &'a [u8],
    /// Where the last value that was read, or could not be read, begins.
    last: usize,
    /// Where the next one begins.
    next: usize,
}

impl Reader for Counting<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<(), DecodeError> {
        self.last = self.next;
        let rest = &self.bytes[self.next..];
        let Some(value) = rest.get(..into.len()) else {
            return Err(DecodeError::UnexpectedEnd { additional: into.len() - rest.len() });
        };
        into.copy_from_slice(value);
        self.next += into.len();
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, count: usize) -> Option<&[u8]> {
        self.bytes[self.next..].get(..count)
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.last = self.next;
        self.next += count;
    }
}

impl Counting<'_> {
    fn explain(&self, error: &DecodeError) -> WireError {
        let left = self.bytes.len() - self.next;
        match error {
            DecodeError::UnexpectedEnd { additional } => {
                WireError::truncated(self.next, (left + additional) as u64, left)
            }
            // A text longer than any message: its length is what was read last.
            DecodeError::LimitExceeded | DecodeError::OutsideUsizeRange(_) => {
                WireError::truncated(self.next, self.last_number(), left)
            }
            DecodeError::Utf8 { inner } => {
                let at = self.last + inner.valid_up_to();
                let have = self.bytes.get(at).map_or(0, |byte| u64::from(*byte));
                WireError { offset: at as u64, need: 0, have, what: WireFault::BadText }
            }
            _ => WireError::bad_value(self.last, self.last_number()),
        }
    }

    /// The value read last, as a number: all values that can be wrong have at most 8 bytes.
    fn last_number(&self) -> u64 {
        let mut number = [0; 8];
        let value = &self.bytes[self.last..self.next];
        let length = value.len().min(8);
        number[..length].copy_from_slice(&value[..length]);
        u64::from_le_bytes(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, CommandBody};
    use crate::ids::{CommandId, SkuIx};
    use crate::query::Query;
    use crate::refusal::{Field, Refusal, RefusalCode};

    fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes);
        bytes
    }

    #[test]
    fn an_end_before_the_value_says_offset_need_and_have() {
        let bytes = bytes_of(&Query::Cells(SkuIx(7)));
        assert_eq!(decode::<Query>(&bytes[..6]), Err(WireError::truncated(4, 4, 2)));
        assert_eq!(decode::<Query>(&bytes[..1]), Err(WireError::truncated(0, 4, 1)));
        assert_eq!(decode::<Query>(&[]), Err(WireError::truncated(0, 4, 0)));
    }

    #[test]
    fn bytes_after_the_value_are_an_error() {
        let mut bytes = bytes_of(&Query::Stats);
        bytes.extend([1, 2, 3]);
        assert_eq!(decode::<Query>(&bytes), Err(WireError::trailing(4, 3)));
    }

    #[test]
    fn a_text_that_claims_more_than_is_there_is_truncated_at_its_first_byte() {
        let claims = |length: u64| {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend(b"abc");
            decode::<String>(&bytes)
        };
        assert_eq!(claims(4), Err(WireError::truncated(8, 4, 3)));
        assert_eq!(claims(1 << 21), Err(WireError::truncated(8, 1 << 21, 3)));
        assert_eq!(claims(u64::MAX), Err(WireError::truncated(8, u64::MAX, 3)));
    }

    #[test]
    fn a_number_that_means_nothing_is_named_with_its_place() {
        assert_eq!(decode::<Query>(&99_u32.to_le_bytes()), Err(WireError::bad_value(0, 99)));
        assert_eq!(decode::<(u16, bool)>(&[0, 0, 2]), Err(WireError::bad_value(2, 2)));
        assert_eq!(decode::<Option<u16>>(&[3, 0, 0]), Err(WireError::bad_value(0, 3)));
        let mut refusal = bytes_of(&Refusal::of(RefusalCode::OutOfStock, Field::Quantity));
        refusal[2..4].copy_from_slice(&999_u16.to_le_bytes());
        assert_eq!(decode::<Refusal>(&refusal), Err(WireError::bad_value(2, 999)));
    }

    #[test]
    fn a_text_that_is_no_utf8_is_named_at_its_first_bad_byte() {
        let mut bytes = 3_u64.to_le_bytes().to_vec();
        bytes.extend([b'a', 0xff, b'c']);
        let error = WireError { offset: 9, need: 0, have: 0xff, what: WireFault::BadText };
        assert_eq!(decode::<String>(&bytes), Err(error));
    }

    #[test]
    fn the_content_hash_leaves_out_the_id_and_the_give_up_time() {
        let command = |id: u8, give_up_ms: u32, sku: u32| {
            let body = CommandBody::RetireSkus(vec![SkuIx(sku)]);
            content_hash(&bytes_of(&Command { id: CommandId([id; 16]), give_up_ms, body }))
        };
        assert_eq!(command(1, 5, 7), command(2, 6, 7));
        assert_ne!(command(1, 5, 7), command(1, 5, 8));
        let mut body = Vec::new();
        encode(&CommandBody::RetireSkus(vec![SkuIx(7)]), &mut body);
        assert_eq!(command(1, 5, 7), xxhash_rust::xxh3::xxh3_64(&body));
    }
}
