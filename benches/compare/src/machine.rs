//! The machine: what it is, and whether it is quiet.

use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The machine is quiet while its cores are idle for this share of the time.
const QUIET: f64 = 0.9;
/// Over this time.
const LOOK: Duration = Duration::from_millis(500);

/// What figures are read with.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let memory_kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let Self { processor, cores, memory_gib, kernel } = self;
        format!("{cores} cores of {processor}, {memory_gib} GiB, Linux {kernel}")
    }
}

/// What a program says its version is.
pub fn version(command: &mut Command) -> String {
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_else(|_| "unknown".to_owned())
}

/// Waits until others leave the machine alone, or the time is up. Whether they do.
pub fn wait_for_quiet(at_most: Duration) -> bool {
    let give_up = Instant::now() + at_most;
    // What others wrote goes to the disk long after they have ended, and would be paid for here.
    if let Err(error) = Command::new("sync").status() {
        eprintln!("what others wrote may still be on its way to the disk: sync: {error}");
    }
    loop {
        let before = idle_and_all();
        std::thread::sleep(LOOK);
        let after = idle_and_all();
        let (idle, all) = (after.0 - before.0, after.1 - before.1);
        if idle >= QUIET * all {
            return true;
        }
        if Instant::now() > give_up {
            return false;
        }
    }
}

/// Time that all cores were idle, and all their time.
fn idle_and_all() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let times: Vec<f64> =
        stat.split_whitespace().skip(1).map_while(|time| time.parse().ok()).take(8).collect();
    // User, nice, system, idle, waiting for a disk, …
    (times.get(3).copied().unwrap_or(0.0), times.iter().sum())
}
