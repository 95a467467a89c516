//! What a disk does with the ways a log can write, an image can be written beside it, and an image can be read, measured in a
//! directory of one's choice:
//!
//! ```text
//! cargo run --release -p earmark-snapshot --example disk -- DIR [--json] [--runs 5] [--writes 400] [--read-mib 2048]
//! ```
//!
//! Each number is the median over the runs. Run it on an idle machine; it needs room for the file that is read, and
//! removes all it made.

#![expect(clippy::disallowed_methods, reason = "it measures, so it reads the clock")]

mod beside;

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Advice, FallocateFlags, OFlags};
use serde_json::{Value, json};

/// What O_DIRECT wants memory, offsets and lengths to be multiples of, on every disk in use.
const ALIGNMENT: usize = 4096;
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];
const MIB: usize = 1 << 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let asked = Asked::from_arguments(std::env::args().skip(1))?;
    let writes = asked.writes()?;
    let beside = beside::measure(&asked.directory, asked.runs)?;
    let reads = asked.reads()?;
    if asked.json {
        let writes: Vec<Value> = writes.iter().map(WriteRow::json).collect();
        let reads: Vec<Value> = reads.iter().map(ReadRow::json).collect();
        let beside: Vec<Value> = beside.iter().map(beside::Row::json).collect();
        println!("{}", json!({ "runs": asked.runs, "writes": writes, "beside": beside, "reads": reads }));
        return Ok(());
    }
    println!("{} runs, {} writes each; medians over the runs\n", asked.runs, asked.write_count);
    println!("{:<44} {:>8} {:>10} {:>10} {:>10}", "write, then durable", "KiB", "p50 us", "p99 us", "MiB/s");
    for row in &writes {
        println!("{}", row.text());
    }
    println!("\n{}", beside::Row::head());
    beside.iter().for_each(|row| println!("{}", row.text()));
    println!("\n{:<44} {:>8} {:>10}", "read from front to back, with CRC32C", "threads", "MiB/s");
    for row in &reads {
        println!("{:<44} {:>8} {:>10.0}", row.way, row.threads, row.mib_s);
    }
    Ok(())
}

struct Asked {
    directory: PathBuf,
    json: bool,
    runs: usize,
    write_count: usize,
    read_mib: usize,
}

impl Asked {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut asked =
            Self { directory: PathBuf::new(), json: false, runs: 5, write_count: 400, read_mib: 2048 };
        while let Some(argument) = arguments.next() {
            let number = match argument.as_str() {
                "--json" => {
                    asked.json = true;
                    continue;
                }
                "--runs" => &mut asked.runs,
                "--writes" => &mut asked.write_count,
                "--read-mib" => &mut asked.read_mib,
                directory => {
                    asked.directory = directory.into();
                    continue;
                }
            };
            let value = arguments.next().ok_or_else(|| format!("{argument} wants a number"))?;
            *number =
                value.parse().ok().filter(|value| *value > 0).ok_or_else(|| format!("{argument} {value}"))?;
        }
        if !asked.directory.is_dir() {
            return Err("name a directory on the disk that is to be measured".into());
        }
        Ok(asked)
    }

    fn writes(&self) -> Outcome<Vec<WriteRow>> {
        let mut rows = Vec::new();
        for size in SIZES {
            // Way by way within each run, so that what else the disk does meets them all alike.
            let mut runs = WAYS.map(|_| Vec::new());
            for _ in 0..self.runs {
                for (way, runs) in WAYS.into_iter().zip(&mut runs) {
                    match self.write_run(way, size) {
                        Ok(run) => runs.push(run),
                        // Some file systems know no O_DIRECT, some no fallocate.
                        Err(error) if is_unknown_way(&error) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            rows.extend(WAYS.into_iter().zip(runs).map(|(way, runs)| WriteRow::new(way, size, &runs)));
        }
        Ok(rows)
    }

    fn write_run(&self, way: Way, size: usize) -> io::Result<WriteRun> {
        let scratch = Scratch::new(&self.directory, "write");
        let bytes = (size * self.write_count) as u64;
        let made = OpenOptions::new().write(true).create_new(true).open(&scratch.0)?;
        match way.ahead {
            Ahead::Nothing => {}
            Ahead::Allocated => rustix::fs::fallocate(&made, FallocateFlags::empty(), 0, bytes)?,
            Ahead::Written => fill(&made, bytes)?,
        }
        made.sync_all()?;
        let flags = way.flags.bits() as i32;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(&scratch.0)?;
        // Aligned without unsafe code: room for one more page, and the part of it that begins at a page.
        let mut memory = vec![7_u8; size + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let piece = &mut memory[start..start + size];
        let mut micros = Vec::with_capacity(self.write_count);
        for nth in 0..self.write_count {
            piece[..8].copy_from_slice(&(nth as u64).to_le_bytes());
            let began = Instant::now();
            file.write_all_at(piece, (nth * size) as u64)?;
            if !way.flags.contains(OFlags::DSYNC) {
                file.sync_data()?;
            }
            micros.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let mib_s = bytes as f64 / MIB as f64 / (micros.iter().sum::<f64>() / 1e6);
        micros.sort_by(f64::total_cmp);
        let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
        Ok(WriteRun { p50_us: at(0.5), p99_us: at(0.99), mib_s })
    }

    fn reads(&self) -> Outcome<Vec<ReadRow>> {
        let scratch = Scratch::new(&self.directory, "read");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&scratch.0)?;
        fill(&file, (self.read_mib * MIB) as u64)?;
        file.sync_all()?;
        let mut rows = Vec::new();
        for (way, mapped, cold) in [
            ("buffered, cold", false, true),
            ("buffered, warm", false, false),
            ("mapped, cold", true, true),
            ("mapped, warm", true, false),
        ] {
            for threads in [1, 2] {
                let runs: Outcome<Vec<f64>> = (0..self.runs)
                    .map(|_| {
                        if cold {
                            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
                        }
                        let began = Instant::now();
                        read(&scratch.0, mapped, threads, self.read_mib)?;
                        Ok(self.read_mib as f64 / began.elapsed().as_secs_f64())
                    })
                    .collect();
                rows.push(ReadRow { way, threads, mib_s: median(runs?.into_iter()) });
            }
        }
        Ok(rows)
    }
}

/// What of a file is there before it is written to.
#[derive(Clone, Copy)]
enum Ahead {
    Nothing,
    Allocated,
    Written,
}

#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    ahead: Ahead,
    flags: OFlags,
}

const WAYS: [Way; 5] = [
    Way { name: "pwrite + fdatasync, blocks written before", ahead: Ahead::Written, flags: OFlags::empty() },
    Way {
        name: "pwrite + fdatasync, blocks only allocated",
        ahead: Ahead::Allocated,
        flags: OFlags::empty(),
    },
    Way { name: "pwrite + fdatasync, the file grows", ahead: Ahead::Nothing, flags: OFlags::empty() },
    Way { name: "O_DSYNC, blocks written before", ahead: Ahead::Written, flags: OFlags::DSYNC },
    Way {
        name: "O_DIRECT | O_DSYNC, blocks written before",
        ahead: Ahead::Written,
        flags: OFlags::DSYNC.union(OFlags::DIRECT),
    },
];

struct WriteRun {
    p50_us: f64,
    p99_us: f64,
    mib_s: f64,
}

struct WriteRow {
    way: &'static str,
    kib: usize,
    /// p50 and p99 in microseconds, and MiB/s; none where the file system does not know this way.
    measured: Option<[f64; 3]>,
}

impl WriteRow {
    fn new(way: Way, size: usize, runs: &[WriteRun]) -> Self {
        let measured = (!runs.is_empty()).then(|| {
            [
                median(runs.iter().map(|run| run.p50_us)),
                median(runs.iter().map(|run| run.p99_us)),
                median(runs.iter().map(|run| run.mib_s)),
            ]
        });
        Self { way: way.name, kib: size >> 10, measured }
    }

    fn text(&self) -> String {
        let Self { way, kib, measured } = self;
        match measured {
            Some([p50, p99, mib_s]) => format!("{way:<44} {kib:>8} {p50:>10.0} {p99:>10.0} {mib_s:>10.0}"),
            None => format!("{way:<44} {kib:>8} {:>10}", "not here"),
        }
    }

    fn json(&self) -> Value {
        let number = |place: usize| self.measured.map(|measured| measured[place]);
        json!({ "way": self.way, "kib": self.kib, "p50_us": number(0), "p99_us": number(1), "mib_s": number(2) })
    }
}

struct ReadRow {
    way: &'static str,
    threads: usize,
    mib_s: f64,
}

impl ReadRow {
    fn json(&self) -> Value {
        json!({ "way": self.way, "threads": self.threads, "mib_s": self.mib_s })
    }
}

/// A file that is gone with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new(directory: &Path, purpose: &str) -> Self {
        Self(directory.join(format!("earmark-disk-{purpose}-{}.tmp", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn is_unknown_way(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

fn fill(file: &File, bytes: u64) -> io::Result<()> {
    let piece = vec![3; MIB];
    let mut offset = 0;
    while offset < bytes {
        let now = (bytes - offset).min(MIB as u64);
        file.write_all_at(&piece[..now as usize], offset)?;
        offset += now;
    }
    file.sync_data()
}

/// Reads all of the file, each thread its own contiguous part through its own file, and checks it as an image is checked.
fn read(path: &Path, mapped: bool, threads: usize, mib: usize) -> io::Result<()> {
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let (first, end) = (mib * part / threads, mib * (part + 1) / threads);
                scope.spawn(move || {
                    if mapped { read_mapped(path, first, end) } else { read_buffered(path, first, end) }
                })
            })
            .collect();
        parts.into_iter().try_for_each(|part| {
            std::hint::black_box(part.join().map_err(|_| io::Error::other("a reader panicked"))??);
            Ok(())
        })
    })
}

fn read_buffered(path: &Path, first: usize, end: usize) -> io::Result<u32> {
    let file = File::open(path)?;
    let mut memory = vec![0; MIB];
    (first..end).try_fold(0, |sum, block| {
        file.read_exact_at(&mut memory, (block * MIB) as u64)?;
        Ok(sum ^ crc32c::crc32c(&memory))
    })
}

fn read_mapped(path: &Path, first: usize, end: usize) -> io::Result<u32> {
    let file = File::open(path)?;
    #[expect(unsafe_code, reason = "mapping a file is what is measured")]
    // SAFETY: nobody but this process knows the file, and while it is mapped nobody writes or shortens it.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok((first..end).fold(0, |sum, block| sum ^ crc32c::crc32c(&map[block * MIB..(block + 1) * MIB])))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
