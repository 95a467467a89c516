//! What Linux says of this process.

use std::fs;

/// A number of `/proc/self/status`, in bytes: `VmRSS` is resident now, `VmHWM` was at most.
pub(crate) fn memory_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Processor time that the threads of this name have used, in milliseconds.
pub(crate) fn thread_cpu_ms(name: &str) -> u64 {
    // Of the kernel's interface: a hundred ticks a second.
    const TICK_MS: u64 = 10;
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ticks = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (head, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        head.ends_with(&format!("({name}")).then_some(ticks(11)? + ticks(12)?)
    });
    ticks.sum::<u64>() * TICK_MS
}
