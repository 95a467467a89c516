//! Writing an image, one step of the caller's after the other. It knows no thread and no hurry.

use std::sync::Arc;

use earmark_mutations::Mutation;

use super::header::{CHECKSUM_BYTES, ENTRY_BYTES, Entry, Header, PAGE_BYTES, padded, table_bytes};
use super::listing::{TEMPORARY, image_name};
use super::{BLOCK_BYTES, Cut};
use crate::storage::{Fault, Storage, StorageFile};

/// A sync after so many blocks: 16 MiB, so that the log's own syncs never stand behind more than that.
const SYNC_BLOCKS: u32 = 16;

/// An image that is being written, as a temporary file until it is whole.
///
/// The memory it shows must stay as it is from the first step to the last. After a fault it is of no more use: drop it, or
/// [`ImageWriter::abandon`] it. What it leaves then, the next writer and [`super::keep`] clear away.
pub struct ImageWriter {
    storage: Arc<dyn Storage>,
    file: Box<dyn StorageFile>,
    cut: Cut,
    entries: Vec<Entry>,
    checksums: Vec<u32>,
    file_bytes: u64,
    written: u64,
    unsynced_blocks: u32,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Block { section: usize, block: u64 },
    SyncBlocks { section: usize, block: u64 },
    Head,
    SyncHead,
    Rename,
    SyncNames,
    Done,
    Failed,
}

/// How far a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes written.
    pub written: u64,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// The image is whole, has its name, and survives a power cut.
    pub done: bool,
}

impl ImageWriter {
    /// Makes the temporary file at its full length, for sections of these ids and lengths in bytes. An older temporary file
    /// is removed first.
    ///
    /// # Errors
    /// What the disk says. Where there is no room ([`Fault::is_full`]), nothing is left behind.
    ///
    /// # Panics
    /// Where two sections have one id, or all together are longer than a file can be.
    pub fn create(storage: Arc<dyn Storage>, cut: Cut, sections: &[(u32, u64)]) -> Result<Self, Fault> {
        let (entries, file_bytes) = lay_out(sections);
        if storage.list()?.iter().any(|name| name == TEMPORARY) {
            storage.remove(TEMPORARY)?;
        }
        let file = storage.allocate(TEMPORARY, file_bytes)?;
        let checksums = Vec::with_capacity(entries.iter().map(Entry::blocks).sum::<u64>() as usize);
        let next = block_or_head(&entries, 0, 0);
        Ok(Self { storage, file, cut, entries, checksums, file_bytes, written: 0, unsynced_blocks: 0, next })
    }

    /// The name that the image gets when it is whole.
    #[must_use]
    pub fn name(&self) -> String {
        image_name(self.cut.lsn)
    }

    /// Does one operation: writes a block, syncs, renames. `sections` are the bytes of each section, with the ids and
    /// lengths and in the order of [`ImageWriter::create`]. Once done, further steps do nothing.
    ///
    /// # Errors
    /// What the disk says. The image is then not written, and this writer finished.
    ///
    /// # Panics
    /// Where the sections are not those of `create`, or an earlier step failed.
    pub fn step(&mut self, sections: &[(u32, &[u8])]) -> Result<Progress, Fault> {
        assert!(self.next != Next::Failed, "the writer of {} is stepped on after a fault", self.name());
        let same = sections.len() == self.entries.len()
            && sections
                .iter()
                .zip(&self.entries)
                .all(|((id, bytes), entry)| (*id, bytes.len() as u64) == (entry.id, entry.bytes));
        assert!(same, "the sections of {} have changed while it was written", self.name());
        let next = std::mem::replace(&mut self.next, Next::Failed);
        self.next = self.advance(next, sections)?;
        Ok(Progress { written: self.written, bytes: self.file_bytes, done: self.next == Next::Done })
    }

    /// Takes the temporary file away.
    ///
    /// # Errors
    /// What the disk says.
    pub fn abandon(self) -> Result<(), Fault> {
        if self.storage.list()?.iter().any(|name| name == TEMPORARY) {
            self.storage.remove(TEMPORARY)?;
        }
        Ok(())
    }

    fn advance(&mut self, next: Next, sections: &[(u32, &[u8])]) -> Result<Next, Fault> {
        Ok(match next {
            Next::Block { section, block } => {
                self.write_block(section, block, sections[section].1)?;
                self.unsynced_blocks += 1;
                if self.unsynced_blocks == SYNC_BLOCKS {
                    Next::SyncBlocks { section, block: block + 1 }
                } else {
                    block_or_head(&self.entries, section, block + 1)
                }
            }
            Next::SyncBlocks { section, block } => {
                self.file.sync()?;
                self.unsynced_blocks = 0;
                block_or_head(&self.entries, section, block)
            }
            Next::Head => {
                let head = self.head();
                self.file.write_at(&head, 0)?;
                self.written += head.len() as u64;
                Next::SyncHead
            }
            Next::SyncHead => {
                if !earmark_mutations::is(Mutation::SkipImageSync) {
                    self.file.sync()?;
                }
                Next::Rename
            }
            Next::Rename => {
                self.storage.rename(TEMPORARY, &self.name())?;
                Next::SyncNames
            }
            Next::SyncNames => {
                self.storage.sync_names()?;
                Next::Done
            }
            Next::Done | Next::Failed => next,
        })
    }

    /// Writes one block. Its padding is there since the file was made: it is all zero.
    fn write_block(&mut self, section: usize, block: u64, bytes: &[u8]) -> Result<(), Fault> {
        let entry = self.entries[section];
        let range = entry.range(block);
        let piece = &bytes[range.start as usize..range.end as usize];
        self.file.write_at(piece, entry.offset + range.start)?;
        let mut checksum = crc32c::crc32c(piece);
        self.written += piece.len() as u64;
        if range.end == entry.bytes {
            checksum = crc32c::crc32c_append(checksum, &[0; PAGE_BYTES as usize][..entry.padding()]);
            self.written += entry.padding() as u64;
        }
        self.checksums.push(checksum);
        Ok(())
    }

    /// Header and table.
    fn head(&self) -> Vec<u8> {
        let bytes = self.entries.len() as u64 * ENTRY_BYTES + self.checksums.len() as u64 * CHECKSUM_BYTES;
        let mut table = Vec::with_capacity((bytes + PAGE_BYTES) as usize);
        for entry in &self.entries {
            entry.encode(&mut table);
        }
        for checksum in &self.checksums {
            table.extend_from_slice(&checksum.to_le_bytes());
        }
        table.resize(table.len().next_multiple_of(PAGE_BYTES as usize), 0);
        let header = Header {
            cut: self.cut,
            sections: self.entries.len() as u32,
            blocks: self.checksums.len() as u64,
            file_bytes: self.file_bytes,
            table_checksum: crc32c::crc32c(&table),
        };
        let mut head = header.encode();
        head.extend_from_slice(&table);
        head
    }
}

/// The next block that there is, or else the head.
fn block_or_head(entries: &[Entry], mut section: usize, mut block: u64) -> Next {
    while let Some(entry) = entries.get(section) {
        if block < entry.blocks() {
            return Next::Block { section, block };
        }
        (section, block) = (section + 1, 0);
    }
    Next::Head
}

/// Where each section goes, and how long the file becomes.
fn lay_out(sections: &[(u32, u64)]) -> (Vec<Entry>, u64) {
    for (place, (id, _)) in sections.iter().enumerate() {
        assert!(sections[..place].iter().all(|(other, _)| other != id), "two sections have the id {id}");
    }
    let laid_out = || {
        let mut blocks = sections.iter().map(|(_, bytes)| bytes.div_ceil(BLOCK_BYTES as u64));
        let blocks = blocks.try_fold(0_u64, u64::checked_add)?;
        let mut offset = PAGE_BYTES.checked_add(table_bytes(sections.len() as u64, blocks)?)?;
        let mut entries = Vec::with_capacity(sections.len());
        for &(id, bytes) in sections {
            entries.push(Entry { id, offset, bytes });
            offset = padded(offset.checked_add(bytes)?)?;
        }
        Some((entries, offset))
    };
    laid_out().expect("an image's sections together are shorter than 2^64 bytes")
}
