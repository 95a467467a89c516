//! Reads what is on a shelf in every way there is. What it finds does not matter; that it ends, and how, does.

use std::sync::Arc;

use earmark_snapshot::Position;
use earmark_snapshot::image::{BLOCK_BYTES, ImageReader, images, inspect};
use earmark_snapshot::log::{find, segments, survey};
use earmark_snapshot::storage::Storage;

use super::Shelf;

/// The log: as a start reads it, from its beginning and from wherever a frame stands, and as a person looks at it. How often
/// reading was begun anew.
pub(crate) fn log(shelf: &Shelf) -> u64 {
    let storage: Arc<dyn Storage> = Arc::new(shelf.clone());
    let mut places: Vec<Position> = Vec::new();
    let _ = segments(&*storage);
    let _ = find(&storage, None, &mut |frame| {
        for (lsn, _) in frame.records() {
            assert!(lsn >= frame.header.first_lsn && lsn < frame.header.next_lsn());
        }
    });
    let surveyed = survey(&storage, &mut |_| {});
    if let Ok(Some(survey)) = surveyed {
        places.extend([survey.begin, survey.end]);
        places.extend(survey.gaps.iter().filter_map(|gap| gap.resumed));
    }
    for place in &places {
        let _ = find(&storage, Some(*place), &mut |_| {});
    }
    2 * places.len() as u64 + 2
}

/// All images.
pub(crate) fn image(shelf: &Shelf) {
    for image in images(shelf).expect("a shelf can be listed") {
        let _ = inspect(shelf, &image.name);
        let Ok(reader) = ImageReader::open(shelf, &image.name) else { continue };
        let mut memory = vec![0; BLOCK_BYTES];
        for section in reader.sections() {
            for block in 0..section.blocks() {
                let _ = reader.load_block(section, block, &mut memory[..section.block_bytes(block)]);
            }
        }
    }
}
