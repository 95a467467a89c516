//! From a process that knows nothing to a state in memory, and the disk's own rate beside it.

use std::fs::{File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use earmark::store::{Stage, load, open};
use earmark_snapshot::log::Mode;
use rustix::fs::{Advice, OFlags};
use serde_json::{Value, json};

use super::running::now;
use super::world::World;
use super::{median, process};

const MIB: usize = 1 << 20;
/// What O_DIRECT wants memory, offsets and lengths to be multiples of.
const ALIGNMENT: usize = 4096;
/// Live holds in the image.
const RESERVED: usize = 1_000_000;

pub(crate) fn measure(
    directory: &Path,
    millions: &[u32],
    threads: usize,
    runs: usize,
) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    for millions in millions {
        let mut world = World::new(directory, millions * 1_000_000, RESERVED)?;
        if threads > 0 {
            world.threads = threads;
        }
        let path = world.scratch.path().join(&world.image);
        let bytes = path.metadata()?.len();
        let mut times: Vec<[f64; 4]> = Vec::new();
        // The first start makes the log's files.
        start(&world)?;
        let mut disk = Vec::new();
        let mut resident = 0;
        for _ in 0..runs {
            forget(&path)?;
            disk.push(read_directly(&path, bytes)?);
            let resident_before = process::memory_bytes("VmRSS");
            times.push(start(&world)?);
            resident = process::memory_bytes("VmHWM").saturating_sub(resident_before);
        }
        let seconds = |part: usize| median(times.iter().map(|time| time[part]));
        let mib_s = |seconds: f64| bytes as f64 / MIB as f64 / seconds;
        let disk_mib_s = median(disk.iter().map(|time| mib_s(*time)));
        rows.push(json!({
            "cells": millions * 1_000_000,
            "image_mib": bytes >> 20,
            "start_ms": (seconds(0) * 1e3).round(),
            "image_ms": (seconds(1) * 1e3).round(),
            "state_ms": (seconds(2) * 1e3).round(),
            "start_in_used_memory_ms": (seconds(3) * 1e3).round(),
            "starts_ms": times.iter().map(|time| (time[0] * 1e3).round()).collect::<Vec<_>>(),
            "start_mib_s": mib_s(seconds(0)).round(),
            "disk_mib_s": disk_mib_s.round(),
            "of_the_disk": (mib_s(seconds(0)) / disk_mib_s * 100.0).round() / 100.0,
            "resident_mib": resident >> 20,
        }));
    }
    Ok(rows)
}

/// Opens it, with the image gone from the system's cache. The time of the whole, until the last byte of the image was
/// there, and until the state that it gives was (which is measured by loading it once more); and the time of the whole once
/// more, when the memory that it takes was in use a moment before. A virtual machine has to be given memory that was not, and that
/// can take longer than all the rest.
fn start(world: &World) -> anyhow::Result<[f64; 4]> {
    let path = world.scratch.path().join(&world.image);
    let opening = world.opening(Mode::Sync);
    let last_byte = Mutex::new(now());
    let tell = |_: Stage| {
        if let Ok(mut last_byte) = last_byte.lock() {
            *last_byte = now();
        }
    };
    forget(&path)?;
    let begun = now();
    let opened = open(&world.storage, &opening, &tell)?;
    let whole = begun.elapsed();
    let image = last_byte.lock().map_or(whole, |last_byte| *last_byte - begun);
    drop(opened);
    forget(&path)?;
    let loaded = load(&*world.storage, &opening.rules, opening.threads, &|stage| {
        tell(stage);
        ControlFlow::Continue(())
    })?;
    let index = last_byte.lock().map_or(whole, |last_byte| last_byte.elapsed());
    drop(loaded);
    forget(&path)?;
    let begun = now();
    let opened = open(&world.storage, &opening, &tell)?;
    let again = begun.elapsed();
    drop(opened);
    Ok([whole, image, image + index, again].map(|time: Duration| time.as_secs_f64()))
}

/// Has the system forget what it keeps of a file.
fn forget(path: &PathBuf) -> anyhow::Result<()> {
    Ok(rustix::fs::fadvise(File::open(path)?, 0, None, Advice::DontNeed)?)
}

/// The disk's sequential rate: large reads past the system's cache, by two threads, so that one is always under way.
/// Gives the seconds.
fn read_directly(path: &PathBuf, bytes: u64) -> anyhow::Result<f64> {
    const READ: usize = 4 * MIB;
    const THREADS: usize = 2;
    let file = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path)?;
    let next = AtomicU64::new(0);
    let begun: Instant = now();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut memory = vec![0; READ + ALIGNMENT];
                    let start = memory.as_ptr().align_offset(ALIGNMENT);
                    loop {
                        let at = next.fetch_add(READ as u64, Ordering::Relaxed);
                        if at >= bytes {
                            return Ok(());
                        }
                        let mut done = 0;
                        while done < READ && at + (done as u64) < bytes {
                            match file.read_at(&mut memory[start + done..start + READ], at + done as u64)? {
                                0 => break,
                                read => done += read,
                            }
                        }
                    }
                })
            })
            .collect();
        readers.into_iter().try_for_each(|reader| {
            reader.join().unwrap_or_else(|_| Err(std::io::Error::other("a reader panicked")))
        })
    })?;
    Ok(begun.elapsed().as_secs_f64())
}
