//! The one writer. Work comes in through a bounded queue; whoever plays the committer takes it out in batches,
//! decides, appends to the log, applies, and hands the replies back with the place they must wait for. It never
//! touches a socket and never waits for one.
//!
//! The committer is a role. In [`Mode::Inline`] the I/O core that finds it free plays it to completion: each pushes
//! its work, and one drains for all. In [`Mode::Thread`] a thread of its own plays it.

mod batch;
mod counters;
mod queue;
mod work;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use earmark_engine::{Reader, State};
use earmark_protocol::command::Order;
use earmark_protocol::ids::{NodeIx, Segment, SkuIx, Tenant};
use earmark_snapshot::{Gate, Log};
use parking_lot::Mutex;

use crate::clock::{Clock, Moment};

pub use batch::Pace;
use batch::Writer;
pub use counters::{Counters, Tally};
use queue::Queue;
pub use work::{Ask, Desk, Full, Item, One, Work, answer_atp, push_reply, refuse, refuse_one};

/// Who plays the committer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whichever I/O core finds the role free.
    Inline,
    /// A thread of its own, see [`Committer::run`].
    Thread,
}

/// What is left after a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Something is queued or due.
    More,
    /// Something may be, but the log has to be flushed first.
    BackedUp,
}

/// How long the committer's own thread sleeps at most, so that holds expire within a tick of 10 ms.
pub const TICK: Duration = Duration::from_millis(5);
/// `next_due` where nothing is held.
const NEVER: u64 = u64::MAX;

/// Counts that may wait for relief; beyond them a cell stays short until it is counted again.
const SHORTS_MAX: usize = 1024;

/// Cells that a count left short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Whose they are.
    pub tenant: Tenant,
    /// Which.
    pub cells: Vec<(SkuIx, NodeIx, Segment)>,
}

/// Routed orders that were held and wait to be learned from; beyond them some are not.
const ORDERS_MAX: usize = 4096;

/// A routed order that was held, on its way to whoever learns from it; `None` for the end.
pub type Held = Option<(Tenant, Order)>;

/// What became short, on its way to whoever has claims give way; `None` for the end.
pub type Shorts = (Sender<Option<Short>>, Receiver<Option<Short>>);

/// Levels of the state and the log as a busy committer told them last.
type Levels = Arc<Mutex<Vec<(&'static str, u64)>>>;

/// The committer: the queue before it, and the state behind it.
pub struct Committer {
    mode: Mode,
    queue: Queue,
    writer: Mutex<Writer>,
    next_due_ms: AtomicU64,
    clock: Arc<Clock>,
    gate: Arc<Gate>,
    reader: Reader,
    counters: Arc<Counters>,
    epoch: u64,
    shorts: Shorts,
    held: Mutex<Option<(Sender<Held>, Receiver<Held>)>>,
    levels: Levels,
    /// The thread that plays the role in [`Mode::Thread`], and whether it sleeps.
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
    /// The thread that has memory given before it is used.
    memory: OnceLock<Thread>,
}

impl Committer {
    /// A committer of this state. `queue` is how many pieces of work may wait, `epoch` names this life of the state towards
    /// clients: handles and lsns of another mean nothing here.
    #[must_use]
    pub fn new(
        mode: Mode,
        queue: usize,
        pace: Pace,
        state: State,
        log: (Log, Arc<Gate>, u64),
        clock: Arc<Clock>,
    ) -> Self {
        let (log, gate, epoch) = log;
        let counters = Arc::new(Counters::default());
        let shorts = bounded(SHORTS_MAX);
        let held = bounded(ORDERS_MAX);
        let levels = Levels::default();
        let told = (shorts.0.clone(), held.0.clone(), Arc::clone(&levels));
        let writer = Writer::new(state, log, pace, Arc::clone(&clock), Arc::clone(&counters), told);
        Self {
            mode,
            queue: Queue::new(queue),
            next_due_ms: AtomicU64::new(writer.next_due().map_or(NEVER, |due| due.0)),
            reader: writer.reader().clone(),
            epoch,
            writer: Mutex::new(writer),
            levels,
            shorts,
            held: Mutex::new(Some(held)),
            clock,
            gate,
            counters,
            thread: OnceLock::new(),
            asleep: AtomicBool::new(false),
            memory: OnceLock::new(),
        }
    }

    /// Queue work; it comes back where the queue is full. Call [`Committer::part_of_turn`] once all that is ready is queued.
    pub fn submit(&self, work: Work) -> Result<(), Box<Work>> {
        self.queue.push(work)
    }

    /// The end of an I/O core's turn: what is queued is decided now, by this core where the role is free, else by
    /// the one who plays it.
    pub fn turn(&self) {
        while self.part_of_turn() {}
    }

    /// One batch of a turn. Whether there is more: the core is to have another turn for it, after what came of this
    /// batch has left, so that the log and the peers have something to do meanwhile.
    pub fn part_of_turn(&self) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        match self.mode {
            Mode::Inline => self.play() == Left::More,
            Mode::Thread => {
                self.wake();
                false
            }
        }
    }

    /// Expire holds that are due, and go on where the log was backed up: one batch, and whether there is more. Called
    /// every few milliseconds in [`Mode::Inline`]; the thread does it by itself.
    pub fn tick(&self) -> bool {
        let has_work = self.mode == Mode::Inline && (!self.queue.is_empty() || self.is_due());
        has_work && self.play() == Left::More
    }

    /// Play the committer on this thread until `stop` is set and nothing is queued.
    pub fn run(&self, stop: &AtomicBool) {
        let _ = self.thread.set(std::thread::current());
        loop {
            let is_backed_up = self.combine();
            if stop.load(Ordering::Acquire) && (self.queue.is_empty() || is_backed_up) {
                return;
            }
            self.asleep.store(true, Ordering::Relaxed);
            // Pairs with the fence in `wake`: either this sees what was queued, or that sees the sleeper.
            fence(Ordering::SeqCst);
            if self.queue.is_empty() || is_backed_up {
                std::thread::park_timeout(TICK);
            }
            self.asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Wake the thread that plays the role, where it sleeps.
    pub fn wake(&self) {
        // Pairs with the fence in `run`.
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Have reservations get their memory before they need it, on this thread, until `stop` is set and it is unparked.
    pub fn populate(&self, stop: &AtomicBool) {
        let _ = self.memory.set(std::thread::current());
        let mut is_first = true;
        while !stop.load(Ordering::Acquire) {
            std::thread::park();
            if std::mem::take(&mut is_first) {
                self.reader.populate_index();
            }
            while self.reader.wants_memory() && !stop.load(Ordering::Acquire) {
                self.reader.populate();
            }
        }
    }

    /// What counts left short, and the way to say that no more is wanted.
    #[must_use]
    pub fn shorts(&self) -> Shorts {
        self.shorts.clone()
    }

    /// Routed orders as they are held, and the way to say that no more are wanted: for the first who asks. Once the receiver is
    /// gone, none are told.
    #[must_use]
    pub fn held(&self) -> Option<(Sender<Held>, Receiver<Held>)> {
        self.held.lock().take()
    }

    /// Who plays the role.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A reader of the state.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The gate that replies wait at.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Which life of the log this is.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How long work that comes now waits until it is decided, as far as is known, in microseconds.
    #[must_use]
    pub fn waits_us(&self, now: Moment) -> u64 {
        self.queue.waits_us(now)
    }

    /// Pieces of work that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Levels of the state and the log, by name: as of now, or of a moment ago where the committer is busy.
    #[must_use]
    pub fn levels(&self) -> Vec<(&'static str, u64)> {
        let Some(writer) = self.writer.try_lock() else { return self.levels.lock().clone() };
        let levels = writer.levels();
        drop(writer);
        // Who queued meanwhile found the role taken; pairs with the fence in `combine`.
        fence(Ordering::SeqCst);
        self.turn();
        levels
    }

    /// The state and its log, for the one who ends both. Nothing may be submitted any more.
    pub fn close<T>(&self, end: impl FnOnce(&mut State, &mut Log) -> T) -> T {
        let mut writer = self.writer.lock();
        let (state, log) = writer.parts();
        end(state, log)
    }

    fn is_due(&self) -> bool {
        let due = self.next_due_ms.load(Ordering::Relaxed);
        due != NEVER && due <= self.clock.now().0
    }

    /// Play the role to completion, where it is free. Whether the log is backed up: what is queued is then taken at a
    /// later tick.
    fn combine(&self) -> bool {
        loop {
            match self.play() {
                Left::More => {}
                Left::Nothing => return false,
                Left::BackedUp => return true,
            }
        }
    }

    /// Play the role for one batch, where it is free. Where it is not, the one who plays it sees what was queued
    /// before it leaves.
    fn play(&self) -> Left {
        // Pairs with the fence below: the player lets go and then looks at the queue, this has queued and then
        // tries the role. One of the two sees the other.
        fence(Ordering::SeqCst);
        let Some(mut writer) = self.writer.try_lock() else { return Left::Nothing };
        let has_done = writer.batch(&self.queue);
        let due = writer.next_due().map_or(NEVER, |due| due.0);
        self.next_due_ms.store(due, Ordering::Relaxed);
        let is_backed_up = writer.is_backed_up();
        drop(writer);
        if has_done
            && self.reader.wants_memory()
            && let Some(thread) = self.memory.get()
        {
            thread.unpark();
        }
        fence(Ordering::SeqCst);
        if is_backed_up {
            Left::BackedUp
        } else if !self.queue.is_empty() || has_done && self.is_due() {
            Left::More
        } else {
            Left::Nothing
        }
    }

    /// Keep the role from being played, as a test of a full queue needs.
    #[cfg(test)]
    pub(crate) fn hold_up(&self) -> parking_lot::MutexGuard<'_, impl Sized> {
        self.writer.lock()
    }
}

#[cfg(test)]
mod tests;
