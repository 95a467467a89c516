//! Images are loaded as they were written, or not at all, whatever the disk does.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod crash;
mod damage;
mod kept;
mod round_trip;
#[allow(dead_code, reason = "of segments it seals none here")]
#[path = "../bytes/seal.rs"]
mod seal;

use std::sync::Arc;

use earmark_snapshot::Position;
use earmark_snapshot::image::{Cut, ImageReader, ImageWriter};
use earmark_snapshot::storage::{Fault, SimulatedDisk, Storage};

/// Ids and bytes, as their owner keeps them.
type Sections = Vec<(u32, Vec<u8>)>;

fn cut(lsn: u64) -> Cut {
    let position = Position {
        log_id: 11,
        segment: 2,
        offset: 4096 + 64 * lsn,
        next_lsn: lsn + 1,
        epoch: 3,
        previous: 77,
    };
    Cut { lsn, time_ms: 1_700_000_000_000 + lsn, position }
}

/// Sections of these lengths, whose bytes differ for each id and seed.
fn sections(seed: u64, lengths: &[(u32, usize)]) -> Sections {
    lengths
        .iter()
        .map(|&(id, bytes)| {
            let mut rng = fastrand::Rng::with_seed(seed ^ u64::from(id) << 32);
            (id, std::iter::repeat_with(|| rng.u8(..)).take(bytes).collect())
        })
        .collect()
}

fn small(seed: u64) -> Sections {
    sections(seed, &[(4, 10), (1, 0), (9, 4096)])
}

fn write(storage: &Arc<dyn Storage>, cut: Cut, sections: &Sections) -> Result<String, Fault> {
    let lengths: Vec<_> = sections.iter().map(|(id, bytes)| (*id, bytes.len() as u64)).collect();
    let borrowed: Vec<_> = sections.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
    let mut writer = ImageWriter::create(Arc::clone(storage), cut, &lengths)?;
    while !writer.step(&borrowed)?.done {}
    Ok(writer.name())
}

fn load(storage: &dyn Storage, name: &str) -> Result<(Cut, Sections), earmark_snapshot::image::ImageError> {
    let image = ImageReader::open(storage, name)?;
    let mut sections = Vec::new();
    for section in image.sections() {
        let mut bytes = vec![0; section.bytes() as usize];
        image.load(section, &mut bytes)?;
        sections.push((section.id(), bytes));
    }
    Ok((*image.cut(), sections))
}

fn simulated(seed: u64) -> (SimulatedDisk, Arc<dyn Storage>) {
    let disk = SimulatedDisk::new(seed);
    (disk.clone(), Arc::new(disk))
}
