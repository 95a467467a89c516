//! Reading an image: nothing of it is believed before its checksum was compared, and no length before it fits the file.

use std::collections::BTreeSet;

use super::header::{CHECKSUM_BYTES, ENTRY_BYTES, Entry, Header, PAGE_BYTES, Wrong, padded, u32_at};
use super::listing::lsn_of;
use super::{BLOCK_BYTES, Cut, ImageError, VERSION};
use crate::storage::{Storage, StorageFile};

/// An image whose header and table are as they were written. Its blocks are checked when they are loaded, each for itself, so
/// that several threads may load at once through one reader.
pub struct ImageReader {
    name: String,
    file: Box<dyn StorageFile>,
    header: Header,
    sections: Vec<Section>,
    checksums: Vec<u32>,
}

/// A part of an image: bytes that its owner knows by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    entry: Entry,
    first_block: usize,
}

impl Section {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.entry.id
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entry.bytes
    }

    /// Where it begins in the file, in bytes: a multiple of 4096.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.entry.offset
    }

    /// In how many blocks it lies: as many as `chunks_mut(BLOCK_BYTES)` of its memory gives.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.entry.blocks()
    }

    /// Bytes of one of its blocks.
    ///
    /// # Panics
    /// Where it has no such block.
    #[must_use]
    pub fn block_bytes(&self, block: u64) -> usize {
        assert!(block < self.blocks(), "section {} has no block {block}", self.id());
        let range = self.entry.range(block);
        (range.end - range.start) as usize
    }
}

impl ImageReader {
    /// Opens an image and checks all of it but its blocks.
    ///
    /// # Errors
    /// [`ImageError::Damaged`] where it is not as it was written, [`ImageError::NewerVersion`] where this build cannot
    /// read it, [`ImageError::Disk`] where it cannot be had.
    pub fn open(storage: &dyn Storage, name: &str) -> Result<Self, ImageError> {
        let file = storage.open_to_load(name)?;
        let damaged = |offset: u64, what: String| damaged(name, offset, what);
        let file_bytes = file.len()?;
        if file_bytes < PAGE_BYTES {
            return Err(damaged(file_bytes, "it ends inside its header".to_owned()));
        }
        let mut page = [0; PAGE_BYTES as usize];
        file.read_at(&mut page, 0)?;
        let header = Header::decode(&page).map_err(|wrong| match wrong {
            Wrong::Newer(version) => {
                ImageError::NewerVersion { name: name.to_owned(), version, known: VERSION }
            }
            Wrong::Damaged(offset, what) => damaged(offset as u64, what),
        })?;
        if header.file_bytes != file_bytes {
            let what = format!("the file has {file_bytes} bytes, its header says {}", header.file_bytes);
            return Err(damaged(96, what));
        }
        if let Some(lsn) = lsn_of(name)
            && lsn != header.cut.lsn
        {
            return Err(damaged(32, format!("its header says lsn {}, its name {lsn}", header.cut.lsn)));
        }
        let table_bytes = header.table_bytes().filter(|bytes| *bytes <= file_bytes - PAGE_BYTES);
        let Some(table_bytes) = table_bytes else {
            let (sections, blocks) = (header.sections, header.blocks);
            return Err(damaged(80, format!("{sections} sections and {blocks} blocks do not fit the file")));
        };
        let mut table = vec![0; table_bytes as usize];
        file.read_at(&mut table, PAGE_BYTES)?;
        let computed = crc32c::crc32c(&table);
        if computed != header.table_checksum {
            let written = header.table_checksum;
            return Err(damaged(
                PAGE_BYTES,
                format!("the table's checksum is {computed:08x}, written was {written:08x}"),
            ));
        }
        let sections = sections(&header, &table).map_err(|what| damaged(PAGE_BYTES, what))?;
        let first = header.sections as usize * ENTRY_BYTES as usize;
        let checksums = table[first..].chunks_exact(CHECKSUM_BYTES as usize).take(header.blocks as usize);
        let checksums = checksums.map(|checksum| u32_at(checksum, 0)).collect();
        Ok(Self { name: name.to_owned(), file, header, sections, checksums })
    }

    /// The image's file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The moment it shows.
    #[must_use]
    pub fn cut(&self) -> &Cut {
        &self.header.cut
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes
    }

    /// Its sections, as they lie in the file.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section with this id.
    #[must_use]
    pub fn section(&self, id: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.id() == id)
    }

    /// Reads one block of a section into memory of exactly its length, and checks it. After an error that memory holds
    /// anything.
    ///
    /// # Errors
    /// [`ImageError::Damaged`] where it is not as it was written, [`ImageError::Disk`] where it cannot be read.
    ///
    /// # Panics
    /// Where the section has no such block, or the memory another length.
    pub fn load_block(&self, section: &Section, block: u64, into: &mut [u8]) -> Result<(), ImageError> {
        let (entry, id) = (section.entry, section.id());
        assert_eq!(into.len(), section.block_bytes(block), "the memory for block {block} of section {id}");
        let range = entry.range(block);
        let offset = entry.offset + range.start;
        self.file.read_at(into, offset)?;
        let mut computed = crc32c::crc32c(into);
        if range.end == entry.bytes {
            let mut padding = [0; PAGE_BYTES as usize];
            let padding = &mut padding[..entry.padding()];
            self.file.read_at(padding, entry.offset + entry.bytes)?;
            computed = crc32c::crc32c_append(computed, padding);
        }
        let written = self.checksums[section.first_block + block as usize];
        if computed != written {
            let what = format!(
                "block {block} of section {id} has checksum {computed:08x}, written was {written:08x}"
            );
            return Err(damaged(&self.name, offset, what));
        }
        Ok(())
    }

    /// Reads a whole section into memory of exactly its length, and checks it: [`ImageReader::load_block`] for each block.
    ///
    /// # Errors
    /// As for [`ImageReader::load_block`]; the first one.
    ///
    /// # Panics
    /// Where the memory has another length than the section.
    pub fn load(&self, section: &Section, into: &mut [u8]) -> Result<(), ImageError> {
        assert_eq!(into.len() as u64, section.bytes(), "the memory for section {}", section.id());
        for (block, piece) in into.chunks_mut(BLOCK_BYTES).enumerate() {
            self.load_block(section, block as u64, piece)?;
        }
        Ok(())
    }
}

fn damaged(name: &str, offset: u64, what: String) -> ImageError {
    ImageError::Damaged { name: name.to_owned(), offset, what }
}

/// The sections of a table whose checksum is right. Each must lie where the writer puts it, so that nothing overlaps and
/// nothing is left over.
fn sections(header: &Header, table: &[u8]) -> Result<Vec<Section>, String> {
    let count = header.sections as usize;
    let mut sections = Vec::<Section>::with_capacity(count);
    let mut offset = PAGE_BYTES + table.len() as u64;
    let mut blocks = 0;
    let mut ids = BTreeSet::new();
    for (place, entry) in table.chunks_exact(ENTRY_BYTES as usize).take(count).enumerate() {
        let entry = Entry::decode(entry).filter(|entry| entry.offset == offset);
        let entry = entry.ok_or_else(|| format!("section number {place} is not at byte {offset}"))?;
        let end = offset.checked_add(entry.bytes).and_then(padded).filter(|end| *end <= header.file_bytes);
        let id = entry.id;
        offset = end.ok_or_else(|| format!("section {id} of {} bytes does not fit the file", entry.bytes))?;
        if !ids.insert(id) {
            return Err(format!("two sections have the id {id}"));
        }
        sections.push(Section { entry, first_block: blocks as usize });
        blocks += entry.blocks();
    }
    if blocks != header.blocks || offset != header.file_bytes {
        return Err(format!(
            "its sections have {blocks} blocks and end at byte {offset}, its header says otherwise"
        ));
    }
    Ok(sections)
}
