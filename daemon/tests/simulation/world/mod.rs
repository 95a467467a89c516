//! One run: a world of one disk, one clock and one model, in which a daemon lives, dies and is started again.

mod starts;
mod steps;

use std::collections::VecDeque;
use std::sync::Arc;

use earmark::clock::Clock;
use earmark::store::StoreError;
use earmark_engine::{Capacity, Rules};
use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_snapshot::image::ImageError;
use earmark_snapshot::log::{LogError, LogOptions, Mode};
use earmark_snapshot::storage::{SimulatedDisk, Storage};

use crate::drive::{Answer, Dice, Given, Setting};
use crate::life::Asked;
use crate::model::Model;
use crate::story::{Met, Story};
use crate::truth::Truth;
use crate::weather::Weather;

/// Steps of a run.
const STEPS: usize = 160;

/// How one life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The run is over.
    Done,
    /// The daemon was stopped in good order.
    Stopped,
    /// The power went, the process was killed, or it ended by itself because of a fault.
    Died,
}

/// An answer that waits for the gate.
struct Waiting {
    lsn: Lsn,
    tenant: Tenant,
    id: CommandId,
    answer: Answer,
}

pub(crate) struct World {
    dice: Dice,
    disk: SimulatedDisk,
    storage: Arc<dyn Storage>,
    clock: Arc<Clock>,
    weather: Weather,
    rules: Rules,
    capacity: Capacity,
    log: LogOptions,
    log_id: u64,
    truth: Truth,
    /// Of the state that the last witness found.
    found_capacity: Option<Capacity>,
    /// What the log said was on disk.
    durable: u64,
    /// Whether the window that stays open has cost an answer.
    window_used: bool,
    stopped_cleanly: bool,
    past: Vec<(Tenant, Given)>,
    late: Vec<Asked>,
    waiting: VecDeque<Waiting>,
    steps_left: usize,
    story: Story,
}

/// Plays the run of this seed; what it met.
///
/// # Panics
/// Where a promise is broken. The story and the way to replay it are printed.
pub(crate) fn play(seed: u64) -> Met {
    let mut world = World::new(seed, true);
    world.run();
    world.story.met
}

/// The same, where it is known to fail.
#[cfg(feature = "mutations")]
pub(crate) fn play_quietly(seed: u64) {
    World::new(seed, false).run();
}

/// The same, for a hash over all that happened.
pub(crate) fn trace(seed: u64) -> u64 {
    let mut world = World::new(seed, true);
    world.run();
    world.story.hash()
}

impl World {
    fn new(seed: u64, is_told: bool) -> Self {
        let mut dice = Dice::new(seed);
        let setting = Setting::any(&mut dice);
        let disk = SimulatedDisk::new(seed);
        let weather = Weather::new(&mut dice, disk.clone());
        let log = options(&mut dice);
        Self {
            storage: Arc::new(disk.clone()),
            disk,
            clock: Arc::new(Clock::standing_at(TimestampMs(1_800_000_000_000))),
            weather,
            rules: setting.engine_rules(),
            capacity: setting.capacity.clone(),
            log,
            log_id: dice.between(1, u64::MAX),
            truth: Truth::new(Model::new(setting.rules.clone(), setting.limits())),
            found_capacity: None,
            durable: 0,
            window_used: false,
            stopped_cleanly: false,
            past: Vec::new(),
            late: Vec::new(),
            waiting: VecDeque::new(),
            steps_left: STEPS,
            story: Story::new(seed, is_told),
            dice,
        }
    }

    fn run(&mut self) {
        let is_new = self.begin().map(|mut life| self.live(&mut life, true));
        let mut end = is_new;
        while let Some(ended) = end.filter(|end| *end != End::Done) {
            self.after(ended);
            end = self.begin().map(|mut life| self.live(&mut life, false));
        }
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    fn is_interval(&self) -> bool {
        self.log.mode == Mode::Interval
    }

    /// What becomes of the machine.
    fn after(&mut self, end: End) {
        self.late.clear();
        self.waiting.clear();
        self.stopped_cleanly = end == End::Stopped;
        if !self.disk.is_stopped() {
            self.disk.kill();
        }
        if self.dice.one_in(2) {
            self.disk.crash();
            self.story.tell("the power goes");
        }
        self.disk.restart();
        let downtime_ms = *self.dice.pick(&[0, 1, 50, 3_000, 30_000]);
        self.clock.advance(downtime_ms);
    }

    /// Whether an error tells of bytes that are not as they were written.
    ///
    /// # Panics
    /// Where nothing happened that explains it.
    fn judge_error(&mut self, error: &StoreError) -> bool {
        if self.disk.is_stopped() {
            self.story.met.crashes += 1;
            return false;
        }
        if error.is_damage() {
            assert!(self.weather.has_lied, "nothing was damaged that is needed: {error}");
            return true;
        }
        if error.is_full() {
            assert!(self.weather.is_full, "the disk has room: {error}");
            self.weather.make_room();
            return false;
        }
        let is_fault = matches!(
            error,
            StoreError::Fault(_)
                | StoreError::Failed(_)
                | StoreError::Image(ImageError::Disk(_))
                | StoreError::Log(LogError::Fault(_))
        );
        assert!(is_fault && self.weather.failures > 0, "nothing has failed: {error}");
        self.story.met.faults += 1;
        false
    }
}

/// Sizes that make segments end, batches part and flushes wait, often.
fn options(dice: &mut Dice) -> LogOptions {
    LogOptions {
        segment_bytes: *dice.pick(&[16 << 10, 16 << 10, 32 << 10]),
        ahead: 1 + dice.below(2),
        frame_bytes: *dice.pick(&[300, 1 << 10, 4 << 10]),
        inline_bytes: *dice.pick(&[0, 700, 4 << 10, 1 << 20]),
        batch_bytes_max: 8 << 10,
        waiting_bytes_max: *dice.pick(&[2 << 10, 16 << 10, 1 << 20]),
        mode: if dice.one_in(5) { Mode::Interval } else { Mode::Sync },
    }
}
