//! A data directory that holds a state of a given size, made without logging how it came about.

use std::path::Path;
use std::sync::Arc;

use earmark::store::{Opening, load_threads, write_image};
use earmark_benches::{Random, START, TENANT, filled, holds};
use earmark_engine::{Capacity, CommandRef, Decision, Rules, State, Submission, apply, decide};
use earmark_snapshot::Gate;
use earmark_snapshot::log::{LogOptions, Mode, Position, Recovery};
use earmark_snapshot::storage::{DataDir, Storage};

/// Nodes of the world; every sku is at each.
pub(crate) const NODES: u32 = 10;
/// Reservations that it has room for.
pub(crate) const RESERVATIONS: u32 = 1 << 20;

/// A directory that is gone with its owner, locked.
pub(crate) struct World {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) capacity: Capacity,
    /// Threads that read the image.
    pub(crate) threads: usize,
    /// Of the image, where one was written.
    pub(crate) image: String,
    pub(crate) scratch: tempfile::TempDir,
}

impl World {
    /// An image of so many cells and `reserved` live holds, and a log behind it that is still empty.
    pub(crate) fn new(directory: &Path, cells: u32, reserved: usize) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir_in(directory)?;
        let storage: Arc<dyn Storage> = Arc::new(DataDir::open(scratch.path())?);
        let mut state = filled(cells, NODES, RESERVATIONS);
        reserve(&mut state, reserved, cells);
        let capacity = state.capacity().clone();
        let (_gate, mut acknowledgers) = Gate::new(1);
        let recovery = Recovery::open(Arc::clone(&storage), log_options(Mode::Sync), None, 1)?;
        let (_log, recovered) = recovery.resume(acknowledgers.remove(0))?;
        // The log goes on behind the records that made the state, as if it had been written with them.
        let position = Position { next_lsn: state.lsn().0 + 1, ..recovered.position };
        let made = write_image(&storage, &mut state, position)?;
        let image = made.kept.first().map(|image| image.name.clone()).unwrap_or_default();
        Ok(Self { storage, capacity, threads: load_threads(), image, scratch })
    }

    /// How it is opened.
    pub(crate) fn opening(&self, mode: Mode) -> Opening {
        Opening {
            rules: Rules::default(),
            capacity: self.capacity.clone(),
            grace_ms: 0,
            log: log_options(mode),
            new_log_id: 1,
            now: START,
            threads: self.threads,
        }
    }
}

pub(crate) fn log_options(mode: Mode) -> LogOptions {
    LogOptions { mode, ..LogOptions::default() }
}

/// Holds that outlive the measurement.
fn reserve(state: &mut State, count: usize, cells: u32) {
    let (mut random, mut decision) = (Random(5), Decision::default());
    for mut hold in holds(&mut random, START, count, cells / NODES, NODES) {
        hold.lifetime_ms = 3_600_000;
        let command = CommandRef::One(&hold);
        let content = hold.content_hash();
        let submission = Submission { tenant: TENANT, content, command, planned: None, last: true };
        decide(state, START, &submission, &mut decision);
        apply(state, &decision.record);
    }
}
