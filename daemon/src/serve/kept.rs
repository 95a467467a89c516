//! What a daemon begins with: nothing, or what its data directory holds. And how what it holds is closed at the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use earmark_engine::State;
use earmark_snapshot::log::{LogOptions, Mode, Position, Step};
use earmark_snapshot::storage::Storage;
use earmark_snapshot::{Gate, Log};
use parking_lot::Mutex;

use super::rules;
use crate::clock::{Clock, Moment};
use crate::commit::Committer;
use crate::config::{Config, DurabilityMode};
use crate::security::random;
use crate::store::{
    Keeper, Keeping, LastImage, Limits, OnFault, Opened, Opening, Stage, load_threads, open, write_image,
};

#[cfg(not(feature = "held-writes"))]
pub(super) use earmark_snapshot::storage::DataDir as Directory;
/// The data directory: with the feature `held-writes` one that makes kill -9 a power cut.
#[cfg(feature = "held-writes")]
pub(super) use earmark_snapshot::storage::HeldDir as Directory;

/// How often a start says how far it is.
const TELL_EVERY_US: u64 = 1_000_000;

/// What the committer begins with.
pub(super) struct Kept {
    pub(super) state: State,
    pub(super) log: Log,
    pub(super) gate: Arc<Gate>,
    /// Names this life of the state towards clients.
    pub(super) epoch: u64,
    /// What the threads beside the committer need; `None` where nothing is kept.
    pub(super) keeping: Option<(Keeping, LastImage)>,
}

impl Kept {
    /// Nothing, and a log that keeps nothing.
    pub(super) fn nothing(config: &Config) -> anyhow::Result<Self> {
        tracing::warn!("durability is off (durability.mode = \"memory\"): all is gone when the daemon ends");
        let state = State::new(&rules::capacity(config), rules::rules(config))?;
        let (gate, mut acknowledgers) = Gate::new(1);
        // It begins anew each time, so nothing of an older one may be taken for it.
        let epoch = u64::from_le_bytes(random()?);
        let log = Log::in_memory(epoch, acknowledgers.remove(0));
        Ok(Self { state, log, gate, epoch, keeping: None })
    }

    /// What this directory holds.
    pub(super) fn recovered(
        config: &Config,
        directory: Directory,
        clock: &Arc<Clock>,
        on_fault: OnFault,
    ) -> anyhow::Result<Self> {
        let place = directory.place();
        let storage: Arc<dyn Storage> = Arc::new(directory);
        let opening = Opening {
            rules: rules::rules(config),
            capacity: rules::capacity(config),
            grace_ms: config.durability.restart_grace_ms,
            log: log_options(config),
            new_log_id: u64::from_le_bytes(random()?),
            now: clock.now(),
            threads: load_threads(),
        };
        let teller = Teller { clock, begun: clock.moment(), told: Mutex::new(clock.moment()) };
        let opened = open(&storage, &opening, &|stage| teller.tell(stage))
            .with_context(|| format!("recovering from {place}"))?;
        tell_recovered(&opened, clock.moment().us_since(teller.begun));
        let image = opened.last_image();
        let Opened { state, log, gate, recovered, log_start, .. } = opened;
        if state.now() > clock.now() {
            let ahead_ms = state.now().0 - clock.now().0;
            tracing::warn!(
                ahead_ms,
                "the log's last time is ahead of the system's clock; the daemon's time stands still until then"
            );
        }
        let (Some(flusher), Some(preparer)) = (log.flusher(), log.preparer()) else {
            unreachable!("a log of a directory is on disk");
        };
        let durability = &config.durability;
        let is_interval = durability.mode == DurabilityMode::Interval;
        let keeping = Keeping {
            storage,
            rules: opening.rules,
            log_start,
            flusher,
            preparer,
            clock: Arc::clone(clock),
            interval: is_interval.then(|| Duration::from_millis(u64::from(durability.interval_ms))),
            limits: Limits {
                every_us: durability.snapshot_every_ms * 1_000,
                log_bytes: durability.snapshot_log_bytes,
            },
            segment_bytes: durability.segment_bytes,
            on_fault,
        };
        // What is answered before it is on disk may be gone after a start, and its lsns and handles given again.
        let epoch = if is_interval { recovered.epoch } else { recovered.log_id };
        Ok(Self { state, log, gate, epoch, keeping: Some((keeping, image)) })
    }
}

fn log_options(config: &Config) -> LogOptions {
    let durability = &config.durability;
    LogOptions {
        segment_bytes: durability.segment_bytes,
        ahead: usize::from(durability.segments_ahead),
        inline_bytes: u64::from(durability.inline_bytes),
        mode: match durability.mode {
            DurabilityMode::Interval => Mode::Interval,
            DurabilityMode::Sync | DurabilityMode::Memory => Mode::Sync,
        },
        ..LogOptions::default()
    }
}

/// A clean stop, when nobody submits any more: all is flushed, the log is closed, and an image is written, so that the next
/// start reads no log.
pub(super) fn close(committer: &Committer, mut keeper: Keeper) {
    keeper.stop_snapshots();
    let storage = Arc::clone(keeper.storage());
    committer.close(|state, log| {
        let position: Option<Position> = match log.seal_stop() {
            Ok(Step::Postponed) => {
                tracing::error!("the disk is full: the log was not closed; what was answered is on disk");
                None
            }
            Ok(_) => log.position(),
            Err(error) => {
                tracing::error!(%error, "closing the log");
                None
            }
        };
        if let Some(position) = position
            && let Err(error) = write_image(&storage, state, position)
        {
            tracing::error!(%error, "no image could be made at the end; the next start reads the log instead");
        }
    });
}

/// Says now and then how far a start is.
struct Teller<'a> {
    clock: &'a Clock,
    begun: Moment,
    told: Mutex<Moment>,
}

impl Teller<'_> {
    fn tell(&self, stage: Stage) {
        let now = self.clock.moment();
        {
            let mut told = self.told.lock();
            if now.us_since(*told) < TELL_EVERY_US {
                return;
            }
            *told = now;
        }
        match stage {
            Stage::Image { done, bytes } => {
                let percent = done * 100 / bytes.max(1);
                let left_s = now.us_since(self.begun) * (bytes - done.min(bytes)) / done.max(1) / 1_000_000;
                tracing::info!(mib = done >> 20, of_mib = bytes >> 20, percent, left_s, "loading the image");
            }
            Stage::Log { lsn, segment, last_segment } => {
                tracing::info!(lsn, segment, last_segment, "replaying the log");
            }
        }
    }
}

fn tell_recovered(opened: &Opened, took_us: u64) {
    let Opened { recovered, image, image_bytes, .. } = opened;
    if recovered.is_new {
        tracing::info!(log = format!("{:016x}", recovered.log_id), "a new log begins");
        return;
    }
    if let Some(torn) = recovered.torn {
        tracing::warn!(
            from_lsn = torn.lsn,
            to_lsn = torn.last_lsn,
            frames = torn.frames,
            "the last write of the log was cut off, and is dropped: nobody had an answer to it"
        );
    }
    let image_lsn = image.map_or(0, |cut| cut.lsn);
    let (lsn, records, clean_stop) = (recovered.last_lsn, recovered.records, recovered.was_stopped);
    tracing::info!(lsn, image_lsn, image_bytes, records, clean_stop, took_ms = took_us / 1_000, "recovered");
}
