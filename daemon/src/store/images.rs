//! Writing a state that stands still as an image, and which images stay.

use std::sync::Arc;

use earmark_engine::State;
use earmark_mutations::Mutation;
use earmark_snapshot::image::{Cut, ImageFile, ImageReader, ImageWriter, images, keep, set_aside};
use earmark_snapshot::log::Position;
use earmark_snapshot::storage::{Fault, Storage};

use super::StoreError;

/// Images that are kept: where the newest turns out damaged, the one before it and more log still give the state.
pub const KEPT: usize = 2;

/// Operations of the writer at a time: what is known beside the arenas is encoded once for each time.
pub(super) const OPERATIONS: usize = 64;

/// An image that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The last record whose effect is in it.
    pub lsn: u64,
    /// Its bytes; 0 where there was an image of this moment already.
    pub bytes: u64,
    /// The images that are kept, newest first.
    pub kept: Vec<ImageFile>,
    /// Segments before this one are needed by none of them.
    pub needed_from: u64,
}

/// Writes an image of a state that nobody changes any more, as at a clean stop. `position` is behind its last record.
///
/// # Errors
/// A fault. Without the image the next start reads more of the log, and no more than that.
pub fn write_image(
    storage: &Arc<dyn Storage>,
    state: &mut State,
    position: Position,
) -> Result<Made, StoreError> {
    let lsn = state.lsn().0;
    if images(&**storage)?.first().is_some_and(|newest| newest.lsn == lsn) {
        return made(&**storage, lsn, 0);
    }
    let mut writer = begin(storage, state, position)?;
    loop {
        if let Some(bytes) = go_on(&**storage, state, &mut writer, OPERATIONS)? {
            return made(&**storage, lsn, bytes);
        }
    }
}

/// Makes the file.
pub(super) fn begin(
    storage: &Arc<dyn Storage>,
    state: &mut State,
    position: Position,
) -> Result<ImageWriter, Fault> {
    let cut = Cut { lsn: state.lsn().0, time_ms: state.now().0, position };
    let sections = state.image();
    let lengths: Vec<(u32, u64)> =
        sections.iter().map(|section| (section.number, section.bytes.len() as u64)).collect();
    ImageWriter::create(Arc::clone(storage), cut, &lengths)
}

/// Writes some of it, in so many operations. Its length, when it is whole.
pub(super) fn go_on(
    storage: &dyn Storage,
    state: &mut State,
    writer: &mut ImageWriter,
    operations: usize,
) -> Result<Option<u64>, Fault> {
    let sections = state.image();
    let parts: Vec<(u32, &[u8])> = sections.iter().map(|section| (section.number, &*section.bytes)).collect();
    for _ in 0..operations {
        match writer.step(&parts) {
            Ok(progress) if progress.done => return Ok(Some(progress.bytes)),
            Ok(_) => {}
            Err(fault) => {
                // It takes a half-written file away; where it cannot, the next image does.
                let _ = keep(storage, KEPT);
                return Err(fault);
            }
        }
    }
    Ok(None)
}

/// Which images stay, and from where on they need the log. One whose header is damaged does not stay.
pub(super) fn made(storage: &dyn Storage, lsn: u64, bytes: u64) -> Result<Made, StoreError> {
    let mut kept = Vec::new();
    let mut needed_from = u64::MAX;
    for image in keep(storage, KEPT)? {
        match ImageReader::open(storage, &image.name) {
            Ok(reader) => {
                if kept.is_empty() || !earmark_mutations::is(Mutation::ReleaseForNewestImage) {
                    needed_from = needed_from.min(reader.cut().position.segment);
                }
                kept.push(image);
            }
            Err(error) if error.is_damage() => {
                tracing::error!(%error, "an image is damaged; it is set aside");
                set_aside(storage, &image.name)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if kept.len() < KEPT {
        // Should the only image turn out damaged, the log from its start gives the state.
        needed_from = 0;
    }
    Ok(Made { lsn, bytes, kept, needed_from })
}
