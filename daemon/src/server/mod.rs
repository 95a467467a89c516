//! The server: I/O cores with their endpoints, pipes and turns, the planner threads, and how all of them start and
//! end. A message's way: `streams` reads it, `session` says what is to become of it, `planning` and the committer
//! decide it, `core` lets its reply go when the gate does, `pipe` carries it out.

mod admission;
mod answers;
mod core;
mod listen;
mod pipe;
mod planning;
mod relief;
mod session;
mod streams;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use dashmap::DashMap;
use earmark_engine::Reader;
use earmark_protocol::hello::{LimitName, Limits, PipeError};
use tokio::sync::Notify;

use self::admission::Admission;
use self::core::Core;
use self::pipe::Pipe;
use self::planning::{PlannerThreads, Planners};
use self::relief::Relief;
use crate::clock::{Clock, OBSERVE_EVERY, Observed};
use crate::commit::{Committer, Mode, TICK};
use crate::config::Config;
use crate::security::{Security, Tokens};
use crate::store::Snapshots;

/// Pipes of all connections at once: each has a receive buffer of 64 KiB, so this is 1 GiB.
const PIPES_OF_ALL_MAX: usize = 16_384;
/// How long a closed endpoint gets to tell its peers.
const GOODBYE: Duration = Duration::from_millis(500);

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
    pub(crate) snapshots: Option<Arc<Snapshots>>,
    admission: Admission,
    outbound_bytes_max: usize,
    connections_max: u32,
    hello_time: Duration,
    draining: AtomicBool,
    connections: AtomicU32,
    connections_opened: AtomicU64,
    connections_refused: AtomicU64,
    pipe_errors: AtomicU64,
    planned_again: AtomicU64,
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
    /// Counts a connection, where there is room for one more.
    fn connect(self: &Arc<Self>) -> Option<Connected> {
        let connected = Connected(Arc::clone(self));
        let count = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if count > self.connections_max || self.is_draining() {
            self.connections_refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.connections_opened.fetch_add(1, Ordering::Relaxed);
        Some(connected)
    }

    fn is_half_full(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > self.connections_max / 2
    }

    /// Knows a pipe, where there is room for one more.
    fn register(self: &Arc<Self>, pipe: &Arc<Pipe>) -> Option<Registered> {
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

    fn too_many_pipes(&self) -> PipeError {
        let most = u64::from(self.limits.pipes_max);
        PipeError::LimitPassed { limit: LimitName::Pipes, most, have: most + 1 }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn count_pipe_error(&self) {
        self.pipe_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counters and levels by name.
    fn stats(&self) -> Vec<(String, u64)> {
        let now = self.clock.moment();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (jumps, away) = self.clock.jumps();
        let mut stats = self.committer.counters().list();
        let own = [
            ("lsn", self.reader.lsn().0),
            ("lsn_durable", self.committer.gate().passed()),
            ("queue", self.committer.queued() as u64),
            ("planner_queue", self.planners.queued() as u64),
            ("planner_waits_us", self.planners.waits_us(now)),
            ("planned_again", count(&self.planned_again)),
            ("connections", u64::from(self.connections.load(Ordering::Relaxed))),
            ("connections_opened", count(&self.connections_opened)),
            ("connections_refused", count(&self.connections_refused)),
            ("pipes", self.pipes_open.load(Ordering::Relaxed) as u64),
            ("pipes_opened", count(&self.pipes_opened)),
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

/// The server, running.
pub(crate) struct Server {
    shared: Arc<Shared>,
    cores: Vec<Stop>,
    planners: PlannerThreads,
    committer: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
    relief: Option<Relief>,
    address: SocketAddr,
}

/// An I/O core's thread, and how to have it end.
struct Stop {
    thread: JoinHandle<anyhow::Result<()>>,
    stop: Arc<Notify>,
}

impl Server {
    /// Binds, starts all threads, and serves.
    pub(crate) fn start(
        config: &Config,
        security: Security,
        committer: Arc<Committer>,
        snapshots: Option<Arc<Snapshots>>,
        clock: Arc<Clock>,
    ) -> anyhow::Result<Self> {
        let server = &config.server;
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let core_count = threads(server.io_cores, available);
        let reader = committer.reader().clone();
        let counters = committer.counters();
        let (planners, planner_threads) = Planners::start(
            threads(config.routing.planner_threads, available),
            config.routing.planner_queue as usize,
            &reader,
            &clock,
            counters,
            server.frame_bytes_max,
        )?;
        let limits = Limits {
            frame_bytes_max: server.frame_bytes_max,
            messages_in_flight_max: server.in_flight_max,
            pipes_max: server.pipes_max,
            lines_max: config.rules.lines_max,
        };
        let Security { certificate, tokens, .. } = security;
        let shared = Arc::new(Shared {
            clock,
            committer,
            reader,
            tokens,
            planners,
            limits,
            inline_lines_max: config.routing.inline_lines_max as usize,
            rounds_max: config.routing.rounds_max,
            snapshots,
            admission: Admission::new(&config.overload),
            outbound_bytes_max: server.outbound_bytes_max as usize,
            connections_max: server.connections_max,
            hello_time: Duration::from_millis(u64::from(server.hello_ms)),
            draining: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            connections_opened: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            pipe_errors: AtomicU64::new(0),
            planned_again: AtomicU64::new(0),
            pipes: DashMap::new(),
            pipes_open: AtomicUsize::new(0),
            pipes_opened: AtomicU64::new(0),
            no_pipes: Notify::new(),
        });
        let sockets = listen::bind(server.listen, core_count)?;
        let address =
            sockets.first().context("no I/O core")?.local_addr().context("asking for the address")?;
        let quic = listen::quic(config, &certificate, core_count)?;
        let cores: Vec<Arc<Core>> =
            (0..core_count).map(|_| Arc::new(Core::new(Arc::clone(&shared)))).collect();
        for core in &cores {
            // Weak: the gate is part of what the core holds.
            let core = Arc::downgrade(core);
            shared.committer.gate().watch(Box::new(move |_| {
                if let Some(core) = core.upgrade() {
                    core.gate_moved();
                }
            }));
        }
        let mut started = Self {
            shared,
            cores: Vec::new(),
            planners: planner_threads,
            committer: None,
            relief: None,
            address,
        };
        match started.start_threads(config, cores, sockets, &quic) {
            Ok(()) => Ok(started),
            Err(error) => {
                started.stop();
                Err(error)
            }
        }
    }

    fn start_threads(
        &mut self,
        config: &Config,
        cores: Vec<Arc<Core>>,
        sockets: Vec<UdpSocket>,
        quic: &quinn::ServerConfig,
    ) -> anyhow::Result<()> {
        self.committer = self.start_committer()?;
        self.relief = Some(Relief::start(&self.shared)?);
        let drain = Duration::from_millis(u64::from(config.server.drain_ms));
        for (number, (core, socket)) in cores.into_iter().zip(sockets).enumerate() {
            let (quic, unix) = (quic.clone(), config.server.unix_socket.clone().filter(|_| number == 0));
            let stop = Arc::new(Notify::new());
            let told = Arc::clone(&stop);
            let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
            let run = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.context("starting an I/O core's runtime")?;
                runtime.block_on(async move {
                    let endpoint = listen::endpoint(socket, quic)?;
                    let unix = unix.map(|path| listen::UnixSocket::bind(&path)).transpose()?;
                    // The other end waits for this, so it is there.
                    let _ = ready.send(());
                    serve(core, number, endpoint, unix, &told, drain).await;
                    Ok(())
                })
            };
            let thread = std::thread::Builder::new().name(format!("io{number}"));
            let thread = thread.spawn(run).context("starting an I/O core's thread")?;
            if is_ready.recv().is_err() {
                thread.join().map_err(|_| anyhow::anyhow!("an I/O core panicked while it started"))??;
                anyhow::bail!("an I/O core ended while it started");
            }
            self.cores.push(Stop { thread, stop });
        }
        Ok(())
    }

    /// Where QUIC is served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes nothing new, finishes what is in hand, and ends.
    pub(crate) fn stop(self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        for core in &self.cores {
            core.stop.notify_one();
        }
        for core in self.cores {
            match core.thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("an I/O core failed: {error:#}"),
                Err(_) => tracing::error!("an I/O core panicked"),
            }
        }
        self.planners.stop();
        if let Some(relief) = self.relief {
            relief.stop();
        }
        if let Some((thread, stop)) = self.committer {
            stop.store(true, Ordering::Release);
            self.shared.committer.wake();
            if thread.join().is_err() {
                tracing::error!("the committer panicked");
            }
        }
    }

    fn start_committer(&self) -> anyhow::Result<Option<(JoinHandle<()>, Arc<AtomicBool>)>> {
        if self.shared.committer.mode() == Mode::Inline {
            return Ok(None);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (committer, told) = (Arc::clone(&self.shared.committer), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn(move || committer.run(&told)).context("starting the committer's thread")?;
        Ok(Some((thread, stop)))
    }
}

/// Threads for a setting where 0 leaves the choice to the daemon: one up to three cores, else a quarter of them.
pub(crate) fn threads(setting: u16, available: usize) -> usize {
    match usize::from(setting) {
        0 => (available / 4).max(1),
        chosen => chosen,
    }
}

/// An I/O core's life, until it is told to stop and its pipes have ended.
async fn serve(
    core: Arc<Core>,
    number: usize,
    endpoint: quinn::Endpoint,
    unix: Option<listen::UnixSocket>,
    stop: &Notify,
    drain: Duration,
) {
    let shared = Arc::clone(core.shared());
    tokio::spawn(Arc::clone(&core).turns());
    let accepting = tokio::spawn(listen::accept(Arc::clone(&core), endpoint.clone()));
    let unix = unix.map(|unix| tokio::spawn(unix.accept(Arc::clone(&core))));
    if number == 0 {
        tokio::spawn(tick(Arc::clone(&shared)));
        tokio::spawn(observe(Arc::clone(&shared)));
    }
    stop.notified().await;
    endpoint.set_server_config(None);
    if let Some(unix) = unix {
        unix.abort();
    }
    let empty = async {
        loop {
            let ended = shared.no_pipes.notified();
            if shared.pipes_open.load(Ordering::SeqCst) == 0 {
                return;
            }
            shared.pipes.iter().for_each(|pipe| pipe.drain());
            ended.await;
        }
    };
    if tokio::time::timeout(drain, empty).await.is_err() {
        let pipes = shared.pipes_open.load(Ordering::Relaxed);
        tracing::warn!("stopping with {pipes} pipe(s) whose peers have not taken their replies");
    }
    endpoint.close(quinn::VarInt::from_u32(0), b"the daemon is shutting down");
    // A peer that hears nothing of it will time out by itself.
    let _ = tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await;
    accepting.abort();
}

/// Has holds expire when no traffic does it.
async fn tick(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        shared.committer.tick();
    }
}

/// Keeps the clock near wall time, and tells where that cannot be.
async fn observe(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(OBSERVE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match shared.clock.observe() {
            Observed::Near | Observed::Away => {}
            Observed::Jumped(gap_ns) => tracing::error!(
                "the system's clock jumped by {} ms; the daemon's time runs on without it. Check NTP, and restart \
                 the daemon where the new time is right",
                gap_ns / 1_000_000
            ),
            Observed::Back => {
                tracing::warn!("the system's clock is back; the daemon's time follows it again")
            }
        }
    }
}

#[cfg(test)]
mod tests;
