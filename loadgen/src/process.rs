//! What the kernel says of the two processes and the machine, from `/proc`. Where it says nothing, neither does this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    id: u32,
}

/// What a process had used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processor time of all its threads, in seconds.
    pub(crate) cpu_s: f64,
    /// Memory that is resident.
    pub(crate) rss_bytes: u64,
}

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self { id }
    }

    /// This one.
    pub(crate) fn own() -> Self {
        Self::new(std::process::id())
    }

    /// The one that has bound this UDP port here; only processes of the same user can be seen.
    pub(crate) fn serving(address: SocketAddr) -> Option<Self> {
        if !address.ip().is_loopback() {
            return None;
        }
        let port = format!(":{:04X}", address.port());
        let tables =
            ["/proc/net/udp", "/proc/net/udp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
        let rows = tables.iter().flat_map(|table| table.lines().skip(1));
        let sockets: Vec<String> = rows
            .filter_map(|row| {
                let columns: Vec<_> = row.split_whitespace().collect();
                (columns.get(1)?.ends_with(&port))
                    .then(|| format!("socket:[{}]", columns.get(9).unwrap_or(&"")))
            })
            .collect();
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.find(|id| {
            let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            files
                .filter_map(|file| fs::read_link(file.path()).ok())
                .any(|target| sockets.iter().any(|socket| target == Path::new(socket)))
        })
        .map(Self::new)
    }

    /// What it has used; `None` once it is gone.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let stat = self.read("stat")?;
        // The name, in parentheses, may hold blanks: fields are counted behind it, and the first is field 3.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = (field(14)? + field(15)?) as f64;
        let rss_bytes = field(24)? * rustix::param::page_size() as u64;
        Some(Usage { cpu_s: ticks / rustix::param::clock_ticks_per_second() as f64, rss_bytes })
    }

    /// The cores it may run on, as the kernel lists them; then those of threads that may run on others: `0-1 (0: io0; 1: log)`.
    pub(crate) fn cores(&self) -> Option<String> {
        let value = |status: &str, name: &str| {
            status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
        };
        let of_all = value(&self.read("status")?, "Cpus_allowed_list:")?;
        let mut others: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.id)).ok()?.flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            if let (Some(name), Some(cores)) = (value(&status, "Name:"), value(&status, "Cpus_allowed_list:"))
                && cores != of_all
            {
                others.entry(cores).or_default().insert(name);
            }
        }
        let told = |(cores, names): (String, BTreeSet<String>)| {
            format!("{cores}: {}", names.into_iter().collect::<Vec<_>>().join(", "))
        };
        let others: Vec<String> = others.into_iter().map(told).collect();
        Some(if others.is_empty() { of_all } else { format!("{of_all} ({})", others.join("; ")) })
    }

    /// How it was started.
    pub(crate) fn command(&self) -> Option<String> {
        Some(self.read("cmdline")?.trim_end_matches('\0').replace('\0', " "))
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.id)).ok()
    }
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let memory_kib = memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_kib * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_is_found_by_a_port_it_has_bound() {
        let own = Process::own();
        assert!(own.usage().is_some_and(|usage| usage.rss_bytes > 0));
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        assert_eq!(Process::serving(socket.local_addr().unwrap()), Some(own));
        assert!(own.cores().is_some_and(|cores| cores.starts_with(|digit: char| digit.is_ascii_digit())));
    }
}
