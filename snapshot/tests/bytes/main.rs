//! The promise: whatever bytes stand where the log and the images should be, reading them ends with an answer or an error,
//! never in a panic, and takes no more memory than the bytes are worth. One test, since the counter of memory sees all
//! threads. The fuzz targets in `fuzz/` play the same rooms.

mod read;
mod seal;
mod shelf;

use std::alloc::System;
use std::sync::Arc;

use earmark_snapshot::image::{Cut, ImageWriter};
use earmark_snapshot::log::{LogOptions, Recovery, Step};
use earmark_snapshot::storage::{DataDir, Storage};
use earmark_snapshot::{Batch, Gate};
use shelf::Shelf;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: u64 = 3_000;
const IMAGE: &str = "image-00000000000000000009.earmark";
/// What one reading of a log takes at most: a window of what is on the disk, a stretch of it for judging, and names.
const PER_READING: u64 = 512 << 10;
/// One reading of images: two blocks, and for each byte of the table what is known of it.
const PER_IMAGE: u64 = 3 << 20;

/// Bytes allocated meanwhile, those given back included.
fn allocated<T>(what: impl FnOnce() -> T) -> (T, u64) {
    let region = Region::new(ALLOCATOR);
    let outcome = what();
    let change = region.change();
    (outcome, (change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0)) as u64)
}

/// A log of three starts over several small segments, and an image, as they were written.
fn written() -> Vec<(String, Vec<u8>)> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let storage: Arc<dyn Storage> = Arc::new(DataDir::open(directory.path()).expect("it can be had"));
    let options = LogOptions { segment_bytes: 16 << 10, frame_bytes: 2 << 10, ..LogOptions::default() };
    for life in 0..3_u64 {
        let (_gate, mut acknowledgers) = Gate::new(1);
        let recovery = Recovery::open(Arc::clone(&storage), options.clone(), None, 99).expect("it opens");
        let (mut log, _) = recovery.resume(acknowledgers.remove(0)).expect("it goes on");
        for batch in 1..=40_u64 {
            let first = log.last() + 1;
            for lsn in first..first + batch % 5 + 1 {
                log.record(|bytes| bytes.resize(bytes.len() + (lsn * 31 % 200) as usize, life as u8));
            }
            log.seal(Batch { first, last: first + batch % 5, time_ms: 1_000 + batch });
            let flusher = log.flusher().expect("it is on disk");
            while flusher.step().expect("it is written") != Step::Nothing {
                log.preparer().expect("it is on disk").prepare().expect("there is room");
            }
        }
        if life == 2 {
            let position = log.position().expect("nobody writes");
            let cut = Cut { lsn: 9, time_ms: 5, position };
            let sections = [(1, vec![7; 10_000]), (2, Vec::new()), (3, vec![1; 4096])];
            let lengths: Vec<_> = sections.iter().map(|(id, bytes)| (*id, bytes.len() as u64)).collect();
            let parts: Vec<_> = sections.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
            let mut writer = ImageWriter::create(Arc::clone(&storage), cut, &lengths).expect("there is room");
            while !writer.step(&parts).expect("it is written").done {}
        }
    }
    let names = storage.list().expect("it can be listed");
    let read = |name: String| {
        let bytes = std::fs::read(directory.path().join(&name)).expect("it can be read");
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

/// Changes some bytes, mostly where lengths and numbers are.
fn spoil(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..6) {
        if bytes.is_empty() {
            return;
        }
        let at = match random.u8(..3) {
            0 => random.usize(..bytes.len()),
            1 => random.usize(..128),
            _ => random.usize(..=bytes.len() / 64) * 64 + random.usize(..64),
        };
        let Some(byte) = bytes.get_mut(at) else { continue };
        *byte = match random.u8(..4) {
            0 => random.u8(..),
            1 => 0xff,
            2 => 0,
            _ => *byte ^ 1 << random.u32(..8),
        };
    }
    if random.u8(..8) == 0 {
        bytes.truncate(random.usize(..=bytes.len()));
    }
    if random.u8(..8) == 0 && bytes.len() > 8192 {
        // A part of the file stands where another should.
        let (from, to) =
            (random.usize(..bytes.len() / 64 - 16) * 64, random.usize(..bytes.len() / 64 - 16) * 64);
        bytes.copy_within(from..from + 1024, to);
    }
}

#[test]
fn any_bytes_are_read_or_refused_within_bounds() {
    let good = written();
    assert!(good.len() > 4, "several segments, and an image");
    let seed = std::env::var("EARMARK_SEED").ok().map_or(1, |text| text.parse().expect("a number"));
    let mut deep = 0;
    for round in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed + round);
        let mut shelf = Shelf::default();
        let mut bytes_in_all = 0;
        for (name, bytes) in &good {
            let (mut bytes, is_image) = (bytes.clone(), name.starts_with("image"));
            match random.u8(..4) {
                0 => {}
                1 => {
                    bytes.truncate(random.usize(..=bytes.len()));
                    random.fill(&mut bytes);
                }
                _ => {
                    spoil(&mut random, &mut bytes);
                    if random.bool() {
                        if is_image { seal::image(&mut bytes) } else { seal::segment(&mut bytes) }
                    }
                }
            }
            bytes_in_all += bytes.len() as u64;
            shelf.put(if is_image { IMAGE } else { name }, bytes);
        }
        let (readings, cost) = allocated(|| read::log(&shelf));
        deep += u64::from(readings > 6);
        let most = readings * (PER_READING + bytes_in_all);
        assert!(cost <= most, "{cost} bytes for a log of {bytes_in_all}; EARMARK_SEED={}", seed + round);
        let ((), cost) = allocated(|| read::image(&shelf));
        let most = PER_IMAGE + 8 * bytes_in_all;
        assert!(cost <= most, "{cost} bytes for images of {bytes_in_all}; EARMARK_SEED={}", seed + round);
    }
    assert!(deep > ROUNDS / 50, "in {deep} rounds alone was anything read behind damage");
}
