//! The threads beside the committer: one flushes the log where the committer leaves it to it, one makes segments ahead
//! and seals a log that has become idle, one makes images.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use earmark_engine::Rules;
use earmark_snapshot::log::{Failed, Flusher, Position, Preparer, Step};
use earmark_snapshot::storage::Storage;

use super::snapshots::Last;
use super::{LastImage, Limits, Snapshots, StoreError};
use crate::clock::{Clock, Moment};

/// How often segments are looked after. Those made ahead last longer than that at any rate a disk has.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A log to which nothing was written for so long is sealed.
const IDLE_US: u64 = 1_000_000;

/// Called when the disk can no longer be relied on: nothing is answered from then on that must be durable, and the process
/// is to end.
pub type OnFault = Arc<dyn Fn(StoreError) + Send + Sync>;

/// What the threads need to know.
#[derive(Clone)]
pub struct Keeping {
    /// The data directory.
    pub storage: Arc<dyn Storage>,
    /// The rules, for replay.
    pub rules: Rules,
    /// Where the log starts.
    pub log_start: Position,
    /// The log thread's hand.
    pub flusher: Flusher,
    /// The maintenance thread's hand.
    pub preparer: Preparer,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// Time between flushes where replies do not wait for them; `None` where they do.
    pub interval: Option<Duration>,
    /// When an image is due.
    pub limits: Limits,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// What to do when the disk fails.
    pub on_fault: OnFault,
}

/// The threads, running.
pub struct Keeper {
    keeping: Keeping,
    snapshots: Arc<Snapshots>,
    stop: Arc<AtomicBool>,
    snapshotter: Option<JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Starts them. `image` is the one that was loaded.
    pub fn start(keeping: Keeping, image: LastImage) -> anyhow::Result<Self> {
        let (snapshots, stop) = (Arc::new(Snapshots::default()), Arc::new(AtomicBool::new(false)));
        let last = Last { image, at: keeping.clock.moment() };
        let mut keeper = Self { keeping, snapshots, stop, snapshotter: None, threads: Vec::new() };
        let keeping = keeper.keeping.clone();
        keeper.threads.push(spawn("log", move || flush(&keeping))?);
        let (keeping, stop) = (keeper.keeping.clone(), Arc::clone(&keeper.stop));
        keeper.threads.push(spawn("segments", move || prepare(&keeping, &stop))?);
        let (keeping, snapshots) = (keeper.keeping.clone(), Arc::clone(&keeper.snapshots));
        keeper.snapshotter = Some(spawn("snapshots", move || snapshots.run(&keeping, last))?);
        Ok(keeper)
    }

    /// The images.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.snapshots
    }

    /// The data directory.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.keeping.storage
    }

    /// Ends the making of images, and waits until it has ended: then a last one can be written.
    pub fn stop_snapshots(&mut self) {
        self.snapshots.stop();
        self.snapshotter.take().into_iter().for_each(join);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop_snapshots();
        self.stop.store(true, Ordering::Release);
        self.keeping.flusher.close();
        self.threads.drain(..).for_each(|thread| {
            thread.thread().unpark();
            join(thread);
        });
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).with_context(|| format!("starting the thread {name}"))
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread that keeps the log and its images panicked");
    }
}

/// The log thread: flushes what the committer leaves to it, until the log is closed or has failed.
fn flush(keeping: &Keeping) {
    let flusher = &keeping.flusher;
    while flusher.wait() {
        if let Some(interval) = keeping.interval {
            // A stop ends it early.
            std::thread::park_timeout(interval);
        }
        while matches!(flusher.step(), Ok(Step::Flushed(_))) && keeping.interval.is_some() {}
    }
    // A log that was closed in order takes this for nothing.
    if let Err(failed) = flusher.step() {
        (keeping.on_fault)(failed.into());
    }
}

/// The maintenance thread.
fn prepare(keeping: &Keeping, stop: &AtomicBool) {
    let Keeping { flusher, preparer, clock, .. } = keeping;
    let (mut was_full, mut durable, mut since) = (false, flusher.durable(), clock.moment());
    while !stop.load(Ordering::Acquire) {
        let mut look = || -> Result<(), Failed> {
            if preparer.wants() {
                let is_full = !preparer.prepare()?;
                tell_full(&mut was_full, is_full);
            }
            if flusher.durable() != durable {
                (durable, since) = (flusher.durable(), clock.moment());
            } else if is_idle(clock.moment(), since) {
                flusher.seal_idle()?;
            }
            Ok(())
        };
        if look().is_err() {
            // The log thread tells.
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn is_idle(now: Moment, since: Moment) -> bool {
    now.us_since(since) >= IDLE_US
}

fn tell_full(was_full: &mut bool, is_full: bool) {
    if is_full && !*was_full {
        tracing::error!(
            "the disk has no room for the log's next segment; new claims on stock are refused when less than \
             one and a half segments are left, make room"
        );
    } else if *was_full && !is_full {
        tracing::info!("the disk has room for the log again");
    }
    *was_full = is_full;
}
