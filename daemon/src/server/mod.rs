//! The server: I/O cores with their endpoints, pipes and turns, the planner threads, and how all of them start and
//! end. A message's way: `streams` reads it, `session` says what is to become of it, `planning` and the committer
//! decide it, `core` lets its reply go when the gate does, `pipe` carries it out.

mod admission;
mod answers;
mod core;
mod descriptors;
mod errand;
mod life;
pub(crate) mod listen;
mod pipe;
mod planning;
mod prices;
mod relief;
mod replan;
mod session;
mod shared;
mod streams;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Notify;

use self::core::Core;
use self::planning::{PlannerThreads, Planners};
use self::prices::PriceLearner;
use self::relief::Relief;
use self::replan::Background;
use self::shared::Shared;
use crate::clock::Clock;
use crate::commit::{Committer, Mode};
use crate::config::Config;
use crate::processors::Processors;
use crate::security::Security;
use crate::store::Snapshots;

/// The server, running.
pub(crate) struct Server {
    shared: Arc<Shared>,
    cores: Vec<Stop>,
    planners: PlannerThreads,
    /// The committer's thread, where it has one, and the one that has memory given ahead of it.
    beside: Vec<(JoinHandle<()>, Arc<AtomicBool>)>,
    relief: Option<Relief>,
    prices: Option<PriceLearner>,
    replan: Option<Background>,
    address: SocketAddr,
}

/// An I/O core's thread, and how to have it end.
struct Stop {
    thread: JoinHandle<anyhow::Result<()>>,
    stop: Arc<Notify>,
}

impl Server {
    /// Starts all threads, one for each of the sockets and some beside them, and serves.
    pub(crate) fn start(
        config: &Config,
        processors: &Arc<Processors>,
        sockets: Vec<UdpSocket>,
        security: Security,
        committer: Arc<Committer>,
        snapshots: Option<Arc<Snapshots>>,
        clock: Arc<Clock>,
    ) -> anyhow::Result<Self> {
        let server = &config.server;
        let core_count = sockets.len();
        let (planners, planner_threads) = Planners::start(
            processors.threads(config.routing.planner_threads),
            config.routing.planner_queue as usize,
            committer.reader(),
            &clock,
            committer.counters(),
            server.frame_bytes_max,
        )?;
        let Security { certificate, tokens, .. } = security;
        let shared = Arc::new(Shared::new(config, tokens, clock, committer, snapshots, planners));
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
            beside: Vec::new(),
            relief: None,
            prices: None,
            replan: None,
            address,
        };
        match started.start_threads(config, processors, cores, sockets, &quic) {
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
        processors: &Arc<Processors>,
        cores: Vec<Arc<Core>>,
        sockets: Vec<UdpSocket>,
        quic: &quinn::ServerConfig,
    ) -> anyhow::Result<()> {
        if self.shared.committer.mode() == Mode::Thread {
            self.start_beside("committer", Committer::run)?;
        }
        self.start_beside("memory", Committer::populate)?;
        self.relief = Some(Relief::start(&self.shared)?);
        self.prices = PriceLearner::start(&self.shared, &config.routing)?;
        self.replan = Some(Background::start(&self.shared)?);
        let drain = Duration::from_millis(u64::from(config.server.drain_ms));
        let unix_max = descriptors::for_unix_socket(config, cores.len());
        for (number, (core, socket)) in cores.into_iter().zip(sockets).enumerate() {
            let (quic, unix) = (quic.clone(), config.server.unix_socket.clone().filter(|_| number == 0));
            let stop = Arc::new(Notify::new());
            let told = Arc::clone(&stop);
            let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
            let processors = Arc::clone(processors);
            let run = move || {
                processors.take_own(number)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.context("starting an I/O core's runtime")?;
                runtime.block_on(async move {
                    let endpoint = listen::endpoint(socket, quic)?;
                    let unix = unix.map(|path| listen::UnixSocket::bind(&path, unix_max)).transpose()?;
                    // The other end waits for this, so it is there.
                    let _ = ready.send(());
                    life::serve(core, number, endpoint, unix, &told, drain).await;
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
        self.shared.begin_drain();
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
        if let Some(prices) = self.prices {
            prices.stop();
        }
        if let Some(replan) = self.replan {
            replan.stop();
        }
        for (thread, stop) in self.beside {
            stop.store(true, Ordering::Release);
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of the committer panicked");
            }
        }
    }

    fn start_beside(&mut self, name: &str, run: fn(&Committer, &AtomicBool)) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let (committer, told) = (Arc::clone(&self.shared.committer), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread
            .spawn(move || run(&committer, &told))
            .with_context(|| format!("starting the {name} thread"))?;
        self.beside.push((thread, stop));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
