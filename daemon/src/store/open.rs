//! A start: the newest image, the log behind it, and then the records of the start itself: the capacity that is configured
//! now, and grace for what is held. When this returns, all of it is durable, and the log can be written.

use std::ops::ControlFlow;
use std::sync::Arc;

use earmark_engine::resume::{grace, reservable, resize};
use earmark_engine::{Capacity, Decision, Rules, State, apply};
use earmark_protocol::ids::TimestampMs;
use earmark_snapshot::image::Cut;
use earmark_snapshot::log::{LogError, LogOptions, Position, Recovered, Recovery, Step};
use earmark_snapshot::storage::Storage;
use earmark_snapshot::{Batch, Gate, Log};

use super::load::load;
use super::replay::Replay;
use super::{LastImage, StoreError};

/// What a start needs to know.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The rules that are configured now.
    pub rules: Rules,
    /// The capacity that is configured now; not less than what is in use.
    pub capacity: Capacity,
    /// All holds live at least so long from the start, in milliseconds.
    pub grace_ms: u64,
    /// How the log is laid out and driven.
    pub log: LogOptions,
    /// A random number, which a log that is made now is known by.
    pub new_log_id: u64,
    /// The time.
    pub now: TimestampMs,
    /// Threads that load an image.
    pub threads: usize,
}

/// How far a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The image: bytes loaded, of so many.
    Image {
        /// Loaded.
        done: u64,
        /// Of the whole image.
        bytes: u64,
    },
    /// The log: replayed up to this record, in this segment of those up to `last_segment`.
    Log {
        /// The last record.
        lsn: u64,
        /// Where it is.
        segment: u64,
        /// The last segment there is; those made ahead hold nothing.
        last_segment: u64,
    },
}

/// A state that goes on where the one before ended.
pub struct Opened {
    /// The state.
    pub state: State,
    /// Its log.
    pub log: Log,
    /// The gate that the log moves.
    pub gate: Arc<Gate>,
    /// What was found.
    pub recovered: Recovered,
    /// The image it was loaded from.
    pub image: Option<Cut>,
    /// Bytes of that image.
    pub image_bytes: u64,
    /// Where the log starts that images follow.
    pub log_start: Position,
}

impl Opened {
    /// The image it was loaded from, for judging when the next is due.
    #[must_use]
    pub fn last_image(&self) -> LastImage {
        self.image.map_or(LastImage::default(), |Cut { lsn, position, .. }| LastImage {
            lsn,
            segment: position.segment,
            bytes: self.image_bytes,
        })
    }
}

/// Opens what a directory holds, or begins anew in an empty one. The caller has its lock.
///
/// # Errors
/// A fault; damage; a capacity without room for what is there, or that the system has no room for; a disk without room for
/// the log.
pub fn open(
    storage: &Arc<dyn Storage>,
    opening: &Opening,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Opened, StoreError> {
    let told = |stage| {
        progress(stage);
        ControlFlow::Continue(())
    };
    let loaded = load(&**storage, &opening.rules, opening.threads, &told)?;
    let (mut state, image) = (loaded.state, loaded.cut);
    let from = image.map(|cut| cut.position);
    let mut recovery = Recovery::open(Arc::clone(storage), opening.log.clone(), from, opening.new_log_id)?;
    let log_start = Position::start(recovery.log_id());
    let last_segment = recovery.last_segment();
    let mut replay = Replay::default();
    while let Some(frame) = recovery.next_frame()? {
        replay.frame(&mut state, &frame)?;
        progress(Stage::Log { lsn: state.lsn().0, segment: frame.segment, last_segment });
    }
    let (gate, mut acknowledgers) = Gate::new(1);
    let (mut log, recovered) = recovery.resume(acknowledgers.remove(0))?;
    let mut decision = Decision::default();
    if resize(&state, &opening.capacity, &mut decision)? {
        reservable(&decision.record)?;
        take(&mut state, &mut log, &decision);
    }
    if grace(&state, opening.now, opening.grace_ms, &mut decision) {
        take(&mut state, &mut log, &decision);
    }
    make_durable(&mut log, storage)?;
    Ok(Opened { state, log, gate, recovered, image, image_bytes: loaded.bytes, log_start })
}

/// Logs and applies one record as a batch of its own.
fn take(state: &mut State, log: &mut Log, decision: &Decision) {
    let record = &decision.record;
    log.record(|bytes| record.encode(bytes));
    apply(state, record);
    let lsn = state.lsn().0;
    log.seal(Batch { first: lsn, last: lsn, time_ms: state.now().0 });
}

fn make_durable(log: &mut Log, storage: &Arc<dyn Storage>) -> Result<(), StoreError> {
    let (Some(flusher), Some(preparer)) = (log.flusher(), log.preparer()) else { return Ok(()) };
    let is_ready = preparer.prepare()?;
    loop {
        match flusher.step()? {
            Step::Flushed(_) => {}
            Step::Nothing => return Ok(()),
            Step::Postponed if is_ready => {}
            Step::Postponed => return Err(LogError::Full { place: storage.place() }.into()),
        }
    }
}
