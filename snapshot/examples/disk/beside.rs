//! How long the log's syncs take while a large file, an image or a new segment, is written beside them: by how that is
//! written.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, OFlags};
use serde_json::{Value, json};

use super::{ALIGNMENT, MIB, Scratch, fill, is_unknown_way, median};

/// The log goes round in a file of this length, in writes of so many bytes.
const LOG_BYTES: u64 = 64 << 20;
const LOG_WRITE: usize = 16 << 10;
const LARGE_BYTES: u64 = 512 << 20;
/// A run lasts at least so long.
const TIME: Duration = Duration::from_millis(800);

#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Written at a time; 0 for nothing beside the log.
    piece: usize,
    past_cache: bool,
    /// A sync after so many bytes.
    sync_bytes: u64,
}

const WAYS: [Way; 7] = [
    Way { name: "nothing", piece: 0, past_cache: false, sync_bytes: 0 },
    Way { name: "1 MiB, cached, synced every 16 MiB", piece: MIB, past_cache: false, sync_bytes: 16 << 20 },
    Way { name: "1 MiB, cached, synced every 1 MiB", piece: MIB, past_cache: false, sync_bytes: 1 << 20 },
    Way { name: "4 MiB, O_DIRECT", piece: 4 * MIB, past_cache: true, sync_bytes: u64::MAX },
    Way { name: "1 MiB, O_DIRECT", piece: MIB, past_cache: true, sync_bytes: u64::MAX },
    Way { name: "256 KiB, O_DIRECT", piece: MIB / 4, past_cache: true, sync_bytes: u64::MAX },
    Way { name: "64 KiB, O_DIRECT", piece: MIB / 16, past_cache: true, sync_bytes: u64::MAX },
];

/// p50, p99 and p99.9 of a write of the log and its sync in microseconds, how many there were a second, and MiB/s of the large
/// file.
type Measured = [f64; 5];

pub(super) struct Row {
    way: &'static str,
    /// None where the file system does not know this way.
    measured: Option<Measured>,
}

impl Row {
    pub(super) fn head() -> String {
        let way = "the log's write + fdatasync, beside";
        format!("{way:<44} {:>10} {:>10} {:>10} {:>11} {:>10}", "p50 us", "p99 us", "p99.9 us", "/s", "MiB/s")
    }

    pub(super) fn text(&self) -> String {
        match self.measured {
            Some([p50, p99, p999, rate, mib_s]) => {
                format!("{:<44} {p50:>10.0} {p99:>10.0} {p999:>10.0} {rate:>11.0} {mib_s:>10.0}", self.way)
            }
            None => format!("{:<44} {:>10}", self.way, "not here"),
        }
    }

    pub(super) fn json(&self) -> Value {
        let number = |place: usize| self.measured.map(|measured| measured[place]);
        json!({
            "beside": self.way,
            "p50_us": number(0),
            "p99_us": number(1),
            "p999_us": number(2),
            "per_s": number(3),
            "mib_s": number(4),
        })
    }
}

pub(super) fn measure(directory: &Path, runs: usize) -> io::Result<Vec<Row>> {
    let mut measured = WAYS.map(|_| Vec::new());
    for _ in 0..runs {
        for (way, measured) in WAYS.into_iter().zip(&mut measured) {
            match run(directory, way) {
                Ok(run) => measured.push(run),
                Err(error) if is_unknown_way(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let medians = |runs: Vec<Measured>| {
        let part = |part: usize| median(runs.iter().map(|run| run[part]));
        (!runs.is_empty()).then(|| [part(0), part(1), part(2), part(3), part(4)])
    };
    let rows = WAYS.into_iter().zip(measured);
    Ok(rows.map(|(way, runs)| Row { way: way.name, measured: medians(runs) }).collect())
}

fn run(directory: &Path, way: Way) -> io::Result<Measured> {
    let scratch = Scratch::new(directory, "log");
    let log = OpenOptions::new().read(true).write(true).create_new(true).open(&scratch.0)?;
    fill(&log, LOG_BYTES)?;
    log.sync_all()?;
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let (micros, mib) = std::thread::scope(|scope| {
        let syncs = scope.spawn(|| write_log(&log, &stop));
        let mut mib = 0;
        let mut written = Ok(());
        while written.is_ok() && begun.elapsed() < TIME {
            if way.piece == 0 {
                std::thread::sleep(TIME);
            } else {
                written = write_large(directory, way);
                mib += LARGE_BYTES as usize / MIB;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let micros = syncs.join().map_err(|_| io::Error::other("the log's thread panicked"))?;
        written.and(micros).map(|micros| (micros, mib))
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    Ok([at(0.5), at(0.99), at(0.999), micros.len() as f64 / seconds, mib as f64 / seconds])
}

/// As the log is written: into blocks that were written before. Microseconds of each, sorted.
fn write_log(log: &File, stop: &AtomicBool) -> io::Result<Vec<f64>> {
    let piece = vec![7_u8; LOG_WRITE];
    let (mut micros, mut offset) = (Vec::new(), 0);
    while micros.is_empty() || !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        log.write_all_at(&piece, offset)?;
        log.sync_data()?;
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
        offset = (offset + LOG_WRITE as u64) % LOG_BYTES;
    }
    micros.sort_by(f64::total_cmp);
    Ok(micros)
}

/// As an image is written: into room that was taken before, from front to back.
fn write_large(directory: &Path, way: Way) -> io::Result<()> {
    let scratch = Scratch::new(directory, "large");
    let flags = if way.past_cache { OFlags::DIRECT } else { OFlags::empty() };
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).custom_flags(flags.bits() as i32).open(&scratch.0)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, LARGE_BYTES)?;
    let memory = vec![5_u8; way.piece + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let piece = &memory[start..start + way.piece];
    let mut unsynced = 0;
    for offset in (0..LARGE_BYTES).step_by(way.piece) {
        file.write_all_at(piece, offset)?;
        unsynced += way.piece as u64;
        if unsynced >= way.sync_bytes {
            file.sync_data()?;
            unsynced = 0;
        }
    }
    file.sync_data()
}
