//! The bytes before an image's sections: a header, and a table of sections and of checksums. What they mean to a reader is
//! in `reader`.
//!
//! All numbers are little endian. The header is one page, in every version: its magic, version and checksum stay where
//! they are, so that a newer version is told from damage.
//!
//! | byte | bytes | header |
//! |---|---|---|
//! | 0 | 8 | magic `earmarki` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | bytes of a block, 1,048,576 |
//! | 16 | 8 | lsn |
//! | 24 | 8 | time, ms since 1970 |
//! | 32 | 48 | position in the log: log id, segment, offset, next lsn, epoch (8 each), checksum of the frame before (4), zero (4) |
//! | 80 | 4 | sections |
//! | 84 | 4 | zero |
//! | 88 | 8 | blocks of all sections |
//! | 96 | 8 | bytes of the file |
//! | 104 | 4 | CRC32C of the table with its padding |
//! | 108 | 3984 | zero |
//! | 4092 | 4 | CRC32C of bytes 0 to 4092 |
//!
//! The table begins at byte 4096 and is padded with zeros to a whole page. First, per section in the order of the file:
//!
//! | byte | bytes | entry |
//! |---|---|---|
//! | 0 | 4 | section id |
//! | 4 | 4 | zero |
//! | 8 | 8 | offset in the file, a multiple of 4096 |
//! | 16 | 8 | bytes |
//!
//! then 4 bytes per block, section by section: its CRC32C. Each section follows the one before at the next page; the
//! padding is zero and belongs to the section's last block. An empty section has no block.

use std::ops::Range;

use super::{BLOCK_BYTES, Cut};
use crate::Position;

/// The image version that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"earmarki";
/// Of the header, and what sections are aligned to: they can be mapped.
pub(super) const PAGE_BYTES: u64 = 4096;
pub(super) const ENTRY_BYTES: u64 = 24;
pub(super) const CHECKSUM_BYTES: u64 = 4;
const CHECKSUM_AT: usize = PAGE_BYTES as usize - 4;

/// What the first page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cut: Cut,
    pub(super) sections: u32,
    pub(super) blocks: u64,
    pub(super) file_bytes: u64,
    pub(super) table_checksum: u32,
}

/// What is wrong with a first page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Newer(u32),
    Damaged(usize, String),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Cut { lsn, time_ms, position } = self.cut;
        let mut page = Vec::with_capacity(PAGE_BYTES as usize);
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
        page.extend_from_slice(&lsn.to_le_bytes());
        page.extend_from_slice(&time_ms.to_le_bytes());
        page.extend_from_slice(&position.encode());
        page.extend_from_slice(&self.sections.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&self.blocks.to_le_bytes());
        page.extend_from_slice(&self.file_bytes.to_le_bytes());
        page.extend_from_slice(&self.table_checksum.to_le_bytes());
        page.resize(CHECKSUM_AT, 0);
        let checksum = crc32c::crc32c(&page);
        page.extend_from_slice(&checksum.to_le_bytes());
        page
    }

    pub(super) fn decode(page: &[u8; PAGE_BYTES as usize]) -> Result<Self, Wrong> {
        if page[..MAGIC.len()] != *MAGIC {
            return Err(Wrong::Damaged(0, "it does not begin as an image does".to_owned()));
        }
        let (written, computed) = (u32_at(page, CHECKSUM_AT), crc32c::crc32c(&page[..CHECKSUM_AT]));
        if written != computed {
            let what = format!("the header's checksum is {computed:08x}, written was {written:08x}");
            return Err(Wrong::Damaged(CHECKSUM_AT, what));
        }
        match u32_at(page, 8) {
            VERSION => {}
            newer if newer > VERSION => return Err(Wrong::Newer(newer)),
            never => return Err(Wrong::Damaged(8, format!("there never was a version {never}"))),
        }
        let block = u32_at(page, 12);
        if block as usize != BLOCK_BYTES {
            return Err(Wrong::Damaged(
                12,
                format!("blocks of {block} bytes, where version 1 has {BLOCK_BYTES}"),
            ));
        }
        let mut position = [0; Position::BYTES];
        position.copy_from_slice(&page[32..80]);
        let position = Position::decode(&position);
        Ok(Self {
            cut: Cut { lsn: u64_at(page, 16), time_ms: u64_at(page, 24), position },
            sections: u32_at(page, 80),
            blocks: u64_at(page, 88),
            file_bytes: u64_at(page, 96),
            table_checksum: u32_at(page, 104),
        })
    }

    /// Bytes of the table with its padding; none where there cannot be so many.
    pub(super) fn table_bytes(&self) -> Option<u64> {
        table_bytes(u64::from(self.sections), self.blocks)
    }
}

/// Bytes of a table with its padding.
pub(super) fn table_bytes(sections: u64, blocks: u64) -> Option<u64> {
    let entries = sections.checked_mul(ENTRY_BYTES)?;
    padded(entries.checked_add(blocks.checked_mul(CHECKSUM_BYTES)?)?)
}

/// The next multiple of a page.
pub(super) fn padded(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE_BYTES)
}

/// A section's place in the file, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Entry {
    pub(super) fn encode(&self, table: &mut Vec<u8>) {
        table.extend_from_slice(&self.id.to_le_bytes());
        table.extend_from_slice(&[0; 4]);
        table.extend_from_slice(&self.offset.to_le_bytes());
        table.extend_from_slice(&self.bytes.to_le_bytes());
    }

    /// None where bytes that must be zero are not.
    pub(super) fn decode(entry: &[u8]) -> Option<Self> {
        (u32_at(entry, 4) == 0).then(|| Self {
            id: u32_at(entry, 0),
            offset: u64_at(entry, 8),
            bytes: u64_at(entry, 16),
        })
    }

    pub(super) fn blocks(&self) -> u64 {
        self.bytes.div_ceil(BLOCK_BYTES as u64)
    }

    /// Where in the section a block lies, in bytes from the section's beginning.
    pub(super) fn range(&self, block: u64) -> Range<u64> {
        let start = block * BLOCK_BYTES as u64;
        start..(start + BLOCK_BYTES as u64).min(self.bytes)
    }

    /// Zeros between the end of the section and the next page.
    pub(super) fn padding(&self) -> usize {
        (self.bytes.wrapping_neg() % PAGE_BYTES) as usize
    }
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let position = Position { log_id: 1, segment: 5, offset: 6 * 64, next_lsn: 7, epoch: 2, previous: 8 };
        let cut = Cut { lsn: 3, time_ms: 4, position };
        Header { cut, sections: 9, blocks: 10, file_bytes: 11, table_checksum: 12 }
    }

    fn page(header: &Header) -> [u8; PAGE_BYTES as usize] {
        header.encode().try_into().unwrap()
    }

    #[test]
    fn the_header_lies_as_the_table_of_this_room_says() {
        let page = page(&header());
        let numbers: Vec<u64> = (16..72).step_by(8).map(|offset| u64_at(&page, offset)).collect();
        assert_eq!((&page[..8], u32_at(&page, 8), u32_at(&page, 12)), (&MAGIC[..], 1, 1 << 20));
        assert_eq!(numbers, [3, 4, 1, 5, 384, 7, 2]);
        assert_eq!((u32_at(&page, 72), u32_at(&page, 80)), (8, 9));
        assert_eq!((u64_at(&page, 88), u64_at(&page, 96), u32_at(&page, 104)), (10, 11, 12));
        assert!(page[108..4092].iter().all(|byte| *byte == 0));
        assert_eq!(u32_at(&page, 4092), 0x9003fdf7, "this version's checksum of these numbers");
        assert_eq!(Header::decode(&page), Ok(header()));
    }

    #[test]
    fn a_newer_version_is_not_taken_for_damage_nor_damage_for_a_newer_version() {
        let mut newer = page(&header());
        newer[8] = 2;
        assert!(matches!(Header::decode(&newer), Err(Wrong::Damaged(4092, _))));
        let checksum = crc32c::crc32c(&newer[..4092]);
        newer[4092..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::decode(&newer), Err(Wrong::Newer(2)));
    }
}
