//! Looking at an image, every byte of it, for a person. It changes nothing, and the daemon may be running.

use super::{BLOCK_BYTES, Cut, ImageError, ImageReader, VERSION};
use crate::storage::Storage;

/// What an image holds, and what of it is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its file.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The moment it shows.
    pub cut: Cut,
    /// Bytes of the whole file.
    pub file_bytes: u64,
    /// Id, offset in the file and length of each section, in bytes.
    pub sections: Vec<(u32, u64, u64)>,
    /// Blocks of all sections.
    pub blocks: u64,
    /// The blocks that are not as they were written; empty for an image that can be loaded.
    pub damaged: Vec<DamagedBlock>,
}

/// A block that is not as it was written, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedBlock {
    /// The section's id.
    pub section: u32,
    /// The block's number in its section, from 0.
    pub block: u64,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// What was found, as text.
    pub found: String,
}

/// Reads all of an image and says what is in it. Takes the memory of one block.
///
/// # Errors
/// As [`ImageReader::open`]: where header or table are damaged, nothing else of the image means anything.
pub fn inspect(storage: &dyn Storage, name: &str) -> Result<Inspection, ImageError> {
    let image = ImageReader::open(storage, name)?;
    let mut memory = vec![0; BLOCK_BYTES];
    let mut damaged = Vec::new();
    for section in image.sections() {
        for block in 0..section.blocks() {
            let into = &mut memory[..section.block_bytes(block)];
            if let Err(error) = image.load_block(section, block, into) {
                damaged.push(DamagedBlock {
                    section: section.id(),
                    block,
                    offset: section.offset() + block * BLOCK_BYTES as u64,
                    found: error.to_string(),
                });
            }
        }
    }
    Ok(Inspection {
        name: name.to_owned(),
        version: VERSION,
        cut: *image.cut(),
        file_bytes: image.file_bytes(),
        sections: image.sections().iter().map(|part| (part.id(), part.offset(), part.bytes())).collect(),
        blocks: image.sections().iter().map(|section| section.blocks()).sum(),
        damaged,
    })
}
