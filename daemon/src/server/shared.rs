//! What all I/O cores share: the rooms behind them, the limits, and who is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use earmark_engine::Reader;
use earmark_protocol::hello::{LimitName, Limits, PipeError};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::admission::Admission;
use super::pipe::Pipe;
use super::planning::Planners;
use crate::clock::{Clock, Moment};
use crate::commit::Committer;
use crate::config::Config;
use crate::security::Tokens;
use crate::store::Snapshots;

/// Pipes of all connections at once: each has a receive buffer of 64 KiB, so this is 1 GiB.
const PIPES_OF_ALL_MAX: usize = 16_384;

/// Least share of a pipe in the replies that may wait: what a pipe reads at once is answered by about as much. It is the
/// least that `server.outbound_bytes_max` can be.
const OUTBOUND_SHARE_MIN: usize = 65_536;

/// What all I/O cores share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<Clock>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) reader: Reader,
    pub(crate) tokens: Tokens,
    pub(crate) planners: Planners,
    pub(crate) limits: Limits,
    pub(crate) inline_lines_max: usize,
    pub(crate) rounds_max: u16,
    /// `None` where nothing is kept.
    pub(super) snapshots: Option<Arc<Snapshots>>,
    pub(super) admission: Admission,
    outbound_bytes_max: usize,
    outbound_total_bytes_max: usize,
    connections_max: u32,
    pub(super) hello_time: Duration,
    draining: AtomicBool,
    connections: AtomicU32,
    connections_opened: AtomicU64,
    connections_refused: AtomicU64,
    pipe_errors: AtomicU64,
    turned_away_told: Mutex<Option<Moment>>,
    pub(super) planned_again: AtomicU64,
    /// Orders that were looked at again after they were confirmed.
    pub(super) looked_at_again: AtomicU64,
    pipes: DashMap<u64, Arc<Pipe>>,
    pipes_open: AtomicUsize,
    pipes_opened: AtomicU64,
    /// Told when the last pipe ends.
    no_pipes: Notify,
}

/// A connection, counted while this lives.
pub(crate) struct Connected(Arc<Shared>);

/// A pipe, known while this lives.
pub(crate) struct Registered {
    shared: Arc<Shared>,
    number: u64,
}

impl Shared {
    pub(super) fn new(
        config: &Config,
        tokens: Tokens,
        clock: Arc<Clock>,
        committer: Arc<Committer>,
        snapshots: Option<Arc<Snapshots>>,
        planners: Planners,
    ) -> Self {
        let server = &config.server;
        Self {
            clock,
            reader: committer.reader().clone(),
            committer,
            tokens,
            planners,
            snapshots,
            limits: Limits {
                frame_bytes_max: server.frame_bytes_max,
                messages_in_flight_max: server.in_flight_max,
                pipes_max: server.pipes_max,
                lines_max: config.rules.lines_max,
            },
            inline_lines_max: config.routing.inline_lines_max as usize,
            rounds_max: config.routing.rounds_max,
            admission: Admission::new(&config.overload),
            outbound_bytes_max: server.outbound_bytes_max as usize,
            outbound_total_bytes_max: server.outbound_total_bytes_max as usize,
            connections_max: server.connections_max,
            hello_time: Duration::from_millis(u64::from(server.hello_ms)),
            draining: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            connections_opened: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            pipe_errors: AtomicU64::new(0),
            turned_away_told: Mutex::default(),
            planned_again: AtomicU64::new(0),
            looked_at_again: AtomicU64::new(0),
            pipes: DashMap::new(),
            pipes_open: AtomicUsize::new(0),
            pipes_opened: AtomicU64::new(0),
            no_pipes: Notify::new(),
        }
    }

    /// Bytes of replies that may wait for one pipe's peer: an equal share of what may wait in all, within bounds.
    pub(super) fn outbound_share(&self) -> usize {
        let pipes = self.pipes_open.load(Ordering::Relaxed).max(1);
        (self.outbound_total_bytes_max / pipes).clamp(OUTBOUND_SHARE_MIN, self.outbound_bytes_max)
    }

    /// Counts a connection, where there is room for one more.
    pub(super) fn connect(self: &Arc<Self>) -> Option<Connected> {
        let connected = Connected(Arc::clone(self));
        let count = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if count > self.connections_max || self.is_draining() {
            return None;
        }
        self.connections_opened.fetch_add(1, Ordering::Relaxed);
        Some(connected)
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > self.connections_max / 2
    }

    /// Knows a pipe, where there is room for one more.
    pub(super) fn register(self: &Arc<Self>, pipe: &Arc<Pipe>) -> Option<Registered> {
        let number = self.pipes_opened.fetch_add(1, Ordering::Relaxed);
        let registered = Registered { shared: Arc::clone(self), number };
        if self.pipes_open.fetch_add(1, Ordering::SeqCst) >= PIPES_OF_ALL_MAX {
            return None;
        }
        self.pipes.insert(number, Arc::clone(pipe));
        // After the insert: whoever sets the flag looks at all pipes then, or this one sees the flag.
        if self.is_draining() {
            pipe.drain();
        }
        Some(registered)
    }

    pub(super) fn too_many_pipes(&self) -> PipeError {
        let most = u64::from(self.limits.pipes_max);
        PipeError::LimitPassed { limit: LimitName::Pipes, most, have: most + 1 }
    }

    /// From here on nothing new is taken.
    pub(super) fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Has all pipes end, and waits until they have.
    pub(super) async fn until_pipes_ended(&self) {
        loop {
            let ended = self.no_pipes.notified();
            if self.pipes_open() == 0 {
                return;
            }
            self.pipes.iter().for_each(|pipe| pipe.drain());
            ended.await;
        }
    }

    pub(super) fn pipes_open(&self) -> usize {
        self.pipes_open.load(Ordering::SeqCst)
    }

    /// Counts a connection that was turned away, and tells.
    pub(super) fn refuse_connection(&self, peer: &str, why: &str) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
        self.tell_turned_away(peer, why);
    }

    /// Tells that a peer was turned away, at most once a second: strangers are not to fill the operator's disk.
    pub(super) fn tell_turned_away(&self, peer: &str, why: &str) {
        let now = self.clock.moment();
        let mut told = self.turned_away_told.lock();
        if told.is_none_or(|told| now.us_since(told) >= 1_000_000) {
            *told = Some(now);
            tracing::warn!(%peer, "turned away: {why}");
        }
    }

    pub(super) fn count_pipe_error(&self) {
        self.pipe_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counters and levels by name.
    pub(super) fn stats(&self) -> Vec<(String, u64)> {
        let now = self.clock.moment();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let outbound_bytes: usize = self.pipes.iter().map(|pipe| pipe.outbound_bytes()).sum();
        let (jumps, away) = self.clock.jumps();
        let mut stats = self.committer.counters().list();
        let own = [
            ("lsn", self.reader.lsn().0),
            ("lsn_durable", self.committer.gate().passed()),
            ("queue", self.committer.queued() as u64),
            ("queue_waits_us", self.committer.waits_us(now)),
            ("planner_queue", self.planners.queued() as u64),
            ("planner_waits_us", self.planners.waits_us(now)),
            ("planned_again", count(&self.planned_again)),
            ("looked_at_again", count(&self.looked_at_again)),
            ("connections", u64::from(self.connections.load(Ordering::Relaxed))),
            ("connections_opened", count(&self.connections_opened)),
            ("connections_refused", count(&self.connections_refused)),
            ("pipes", self.pipes_open.load(Ordering::Relaxed) as u64),
            ("pipes_opened", count(&self.pipes_opened)),
            ("outbound_bytes", outbound_bytes as u64),
            ("pipe_errors", count(&self.pipe_errors)),
            ("clock_jumps", jumps),
            ("clock_away", u64::from(away)),
            ("up_ms", now.0 / 1_000_000),
        ];
        let levels = self.committer.levels();
        let snapshots = self.snapshots.as_ref().map(|snapshots| snapshots.levels());
        let levels = levels.into_iter().chain(snapshots.into_iter().flatten());
        stats.extend(own.into_iter().chain(levels).map(|(name, value)| (name.to_owned(), value)));
        stats
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.pipes.remove(&self.number);
        if self.shared.pipes_open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.no_pipes.notify_waiters();
        }
    }
}
