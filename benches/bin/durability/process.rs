//! What Linux says of this process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A number of `/proc/self/status`, in bytes: `VmRSS` is resident now, `VmHWM` was at most.
pub(crate) fn memory_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Processor time that this process has used but for its threads that live now and have other names, in milliseconds: that of
/// the threads of this name, those that have ended too.
pub(crate) fn cpu_ms_of(name: &str) -> u64 {
    // Of the kernel's interface: a hundred ticks a second.
    const TICK_MS: u64 = 10;
    let whole = ticks("/proc/self/stat".as_ref()).map_or(0, |(_, ticks)| ticks);
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = threads.filter_map(|thread| {
        let (other, ticks) = ticks(&thread.path().join("stat"))?;
        (other != name).then_some(ticks)
    });
    whole.saturating_sub(others.sum::<u64>()) * TICK_MS
}

/// Name and processor time of a process or thread.
fn ticks(stat: &Path) -> Option<(String, u64)> {
    let stat = fs::read_to_string(stat).ok()?;
    let (head, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((head.split_once('(')?.1.to_owned(), ticks(11)? + ticks(12)?))
}

/// Processor time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The kernel gives no negative time, and nanoseconds below a second.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
