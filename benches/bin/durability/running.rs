//! A committer with its log and threads as in the daemon, and one client beside it that knows no wire: it submits holds,
//! plays the committer, and counts a hold as answered when the gate has passed it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use earmark::clock::Clock;
use earmark::commit::{Committer, Desk, Item, Mode as Role, One, Pace, Work};
use earmark::store::{Keeper, Keeping, Limits, Opened, open};
use earmark_benches::{Random, TENANT, holds};
use earmark_engine::Rules;
use earmark_protocol::frame::FRAME_BYTES_MAX;
use earmark_protocol::ids::TimestampMs;
use earmark_protocol::refusal::RefusalCode;
use earmark_snapshot::log::{Mode, Position};
use earmark_snapshot::{Batch, Gate, Log};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::process;
use super::world::{NODES, World};

/// The daemon's defaults.
const PACE: Pace = Pace { commands_max: 4_096, expiries_max: 1_024 };
const QUEUE: usize = 4_096;
/// Between two flushes in mode `interval`.
const INTERVAL: Duration = Duration::from_millis(100);
/// Holds expire as fast as they come.
const LIFETIME_MS: u32 = 100;
/// A flush that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What must be true of a record before it counts as answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Sync,
    Interval,
    Memory,
}

impl Durability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Interval => "interval",
            Self::Memory => "memory",
        }
    }
}

/// Longer than any measurement.
const WEEK_US: u64 = 604_800_000_000;

/// Decided work, in order.
#[derive(Default)]
struct Tray(Mutex<VecDeque<Work>>);

impl Desk for Tray {
    fn decided(self: Arc<Self>, work: Work) {
        self.0.lock().push_back(work);
    }
}

pub(crate) struct Running {
    committer: Committer,
    pub(crate) keeper: Option<Keeper>,
    clock: Arc<Clock>,
    tray: Arc<Tray>,
    random: Random,
    skus: u32,
    begun: Option<Position>,
}

/// What a load showed.
pub(crate) struct Load {
    pub(crate) holds: u64,
    pub(crate) time: Duration,
    /// From submitting a piece of work to the gate having passed it, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// The committer's turns, in nanoseconds.
    pub(crate) turns: Histogram<u64>,
    /// Processor time that the committer's thread spent in each turn, in nanoseconds: what is missing of the turn, it waited
    /// for a processor or for the disk.
    pub(crate) turns_cpu: Histogram<u64>,
}

impl Load {
    /// Both together.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.holds += other.holds;
        self.time += other.time;
        self.latency.add(&other.latency).expect("it grows with what it is given");
        self.turns.add(&other.turns).expect("it grows with what it is given");
        self.turns_cpu.add(&other.turns_cpu).expect("it grows with what it is given");
        self
    }

    pub(crate) fn per_s(&self) -> f64 {
        self.holds as f64 / self.time.as_secs_f64()
    }
}

impl Running {
    /// Opens the world; in `memory` it is only loaded, and nothing is written.
    pub(crate) fn start(world: &World, durability: Durability, cells: u32) -> anyhow::Result<Self> {
        let mode = if durability == Durability::Interval { Mode::Interval } else { Mode::Sync };
        let opened = open(&world.storage, &world.opening(mode), &|_| {})?;
        let image = opened.last_image();
        let Opened { state, log, gate, log_start, .. } = opened;
        let clock = Arc::new(Clock::start());
        let begun = log.position();
        let hands = log.flusher().zip(log.preparer()).filter(|_| durability != Durability::Memory);
        let (log, gate) = if durability == Durability::Memory { in_memory(&state) } else { (log, gate) };
        let committer = Committer::new(Role::Inline, QUEUE, PACE, state, (log, gate, 1), Arc::clone(&clock));
        let keeper = hands.map(|(flusher, preparer)| {
            let keeping = Keeping {
                storage: Arc::clone(&world.storage),
                rules: Rules::default(),
                log_start,
                flusher,
                preparer,
                clock: Arc::clone(&clock),
                interval: (durability == Durability::Interval).then_some(INTERVAL),
                // Images are made when they are asked for.
                limits: Limits { every_us: WEEK_US, log_bytes: u64::MAX },
                segment_bytes: super::world::log_options(mode).segment_bytes,
                on_fault: Arc::new(|error| panic!("the disk failed: {error}")),
            };
            Keeper::start(keeping, image)
        });
        let client = std::thread::current();
        committer.gate().watch(Box::new(move |_| client.unpark()));
        let (keeper, tray) = (keeper.transpose()?, Arc::default());
        Ok(Self { committer, keeper, clock, tray, random: Random(9), skus: cells / NODES, begun })
    }

    /// Holds for so long, `per_work` in a piece of work and at most `in_flight` unanswered.
    pub(crate) fn load(&mut self, time: Duration, per_work: usize, in_flight: usize) -> Load {
        let histogram = || Histogram::new(3).expect("three digits are possible");
        let (latency, turns, turns_cpu) = (histogram(), histogram(), histogram());
        let mut load = Load { holds: 0, time, latency, turns, turns_cpu };
        let begun = now();
        let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
        let mut submitted: VecDeque<Instant> = VecDeque::new();
        while begun.elapsed() < time || !waiting.is_empty() || !submitted.is_empty() {
            let goes_on = begun.elapsed() < time;
            while goes_on && (waiting.len() + submitted.len() + 1) * per_work <= in_flight {
                submitted.push_back(now());
                let work = self.work(per_work);
                assert!(self.committer.submit(work).is_ok(), "the queue has room for what is in flight");
            }
            let (turn, cpu) = (now(), process::thread_cpu());
            self.committer.turn();
            record(&mut load.turns, turn);
            record_nanos(&mut load.turns_cpu, process::thread_cpu() - cpu);
            for work in self.tray.0.lock().drain(..) {
                waiting.extend(submitted.pop_front().map(|at| (work.lsn.0, at)));
            }
            let before = load.holds;
            let passed = self.committer.gate().passed();
            let answered = waiting.partition_point(|(lsn, _)| *lsn <= passed);
            for (_, at) in waiting.drain(..answered) {
                load.holds += per_work as u64;
                record(&mut load.latency, at);
            }
            let is_full = (waiting.len() + submitted.len() + 1) * per_work > in_flight || !goes_on;
            if load.holds == before && is_full && !waiting.is_empty() {
                std::thread::park_timeout(PATIENCE);
            }
        }
        load.time = begun.elapsed();
        for code in [RefusalCode::OutOfStock, RefusalCode::CapacityReached, RefusalCode::StorageFull] {
            assert_eq!(self.committer.counters().refused(code), 0, "holds were refused as {code:?}");
        }
        load
    }

    fn work(&mut self, count: usize) -> Work {
        let moment = self.clock.moment();
        let mut work = Work::new(Arc::clone(&self.tray) as _, TENANT, moment, FRAME_BYTES_MAX);
        let now: TimestampMs = self.clock.now();
        for mut hold in holds(&mut self.random, now, count, self.skus, NODES) {
            hold.lifetime_ms = LIFETIME_MS;
            work.items.push(Item::One(One { correlation: 1, content: hold.content_hash(), hold }));
        }
        work
    }

    /// Ends it in order, without an image.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        if let Some(keeper) = &mut self.keeper {
            keeper.stop_snapshots();
        }
        self.committer.close(|_, log| log.seal_stop())?;
        Ok(())
    }

    /// Bytes of the log's files that were written since the start, headers and padding of frames included.
    pub(crate) fn log_bytes(&self) -> u64 {
        let Some(begun) = self.begun.filter(|_| self.keeper.is_some()) else { return 0 };
        let now = loop {
            match self.committer.close(|_, log| log.position()) {
                Some(now) => break now,
                // The log's thread is writing.
                None => std::thread::yield_now(),
            }
        };
        let segment_bytes = super::world::log_options(Mode::Sync).segment_bytes;
        (now.segment - begun.segment) * segment_bytes + now.offset - begun.offset
    }
}

fn in_memory(state: &earmark_engine::State) -> (Log, Arc<Gate>) {
    let (gate, mut acknowledgers) = Gate::new(1);
    let acknowledger = acknowledgers.remove(0);
    let mut log = Log::in_memory(1, acknowledger);
    // The records that made the state count as kept.
    let last = state.lsn().0;
    (0..last).for_each(|_| log.record(|_| {}));
    log.seal(Batch { first: 1, last, time_ms: state.now().0 });
    (log, gate)
}

fn record(histogram: &mut Histogram<u64>, since: Instant) {
    record_nanos(histogram, since.elapsed());
}

fn record_nanos(histogram: &mut Histogram<u64>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    histogram.record(nanos).expect("it grows with what it is given");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
