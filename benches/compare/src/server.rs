//! A server's process: started with a log of its own, asked to stop when it is dropped, and how much processor time it
//! has used. Nothing else is ever stopped.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub struct Server {
    child: Child,
    stop: Signal,
}

impl Server {
    /// Starts it; what it says goes to `log`.
    pub fn start(command: &mut Command, log: &Path, stop: Signal) -> anyhow::Result<Self> {
        let out = File::create(log).with_context(|| format!("making {}", log.display()))?;
        let err = out.try_clone().context("sharing a log file")?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.with_context(|| format!("starting {:?}", command.get_program()))?;
        Ok(Self { child, stop })
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tries until it answers; fails where it ends first or takes too long.
    pub fn until<T>(&mut self, mut answers: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match answers() {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > give_up => {
                    return Err(error.context("waiting for a server to start"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            if let Some(status) = self.child.try_wait().context("looking at a server")? {
                anyhow::bail!("a server ended while it started: {status}");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        // It may have ended by itself.
        let _ = kill_process(pid, self.stop);
        let give_up = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > give_up {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port that nobody listens on now.
pub fn spare_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a spare port")?;
    Ok(listener.local_addr().context("looking for a spare port")?.port())
}

/// Processor seconds that this process has used, without the servers it has started.
pub fn own_cpu_s() -> f64 {
    seconds(times(std::process::id()).map_or(0, |[own, ..]| own))
}

/// Processor seconds that a server and its children have used; 0 where it is gone.
pub fn cpu_s(process: u32) -> f64 {
    let Ok(all) = std::fs::read_dir("/proc") else { return 0.0 };
    let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    seconds(numbers.filter_map(|number| ticks(number, process)).sum())
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// What process `number` has used, where it is `process` or a child of it: of `process` with what its ended children used.
fn ticks(number: u32, process: u32) -> Option<u64> {
    let [own, ended, parent] = times(number)?;
    match number == process {
        true => Some(own + ended),
        false => (parent == u64::from(process)).then_some(own),
    }
}

/// Ticks of a process, ticks of its children that have ended, and its parent.
fn times(number: u32) -> Option<[u64; 3]> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Some([field(11) + field(12), field(13) + field(14), field(1)])
}
