//! A daemon as one thing to start and stop: `earmark serve`, the demo and the tests use the same.

mod logging;
mod rules;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use earmark_engine::State;
use earmark_snapshot::{Gate, Log};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::commit::{Committer, Mode, Pace};
use crate::config::{CommitMode, Config, DurabilityMode};
use crate::security::{Security, random};
use crate::server::Server;

pub use logging::install as install_logging;

/// Up to so many cores the I/O core plays the committer; above, a thread does. Measured on two cores; between, the
/// thread would take a core from one of few.
const INLINE_CORES_MAX: usize = 3;

/// A running daemon. It stops, in order, when it is dropped.
///
/// ```no_run
/// use earmark::{config::Config, serve::Daemon};
/// let mut config = Config::default();
/// config.server.listen = "127.0.0.1:0".parse()?;
/// let daemon = Daemon::start(config)?;
/// println!("QUIC at {}", daemon.address());
/// daemon.stop();
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Daemon {
    server: Option<Server>,
    address: SocketAddr,
    admin_token: Option<String>,
    certificate_der: Vec<u8>,
}

impl Daemon {
    /// Starts a daemon; it serves when this returns. May be called on any thread.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let security = Security::open(&config)?;
        let admin_token = security.admin_token.as_ref().map(|token| token.0.clone());
        let certificate_der = security.certificate.der().to_vec();
        let clock = Arc::new(Clock::start());
        let state = State::new(&rules::capacity(&config), rules::rules(&config))?;
        let (gate, mut acknowledgers) = Gate::new(1);
        let log = match config.durability.mode {
            // A log that is kept nowhere begins anew each time, so nothing of an older one may be taken for it.
            DurabilityMode::Memory => Log::in_memory(u64::from_le_bytes(random()?), acknowledgers.remove(0)),
        };
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let mode = match config.commit.mode {
            CommitMode::Inline => Mode::Inline,
            CommitMode::Thread => Mode::Thread,
            CommitMode::Auto if available <= INLINE_CORES_MAX => Mode::Inline,
            CommitMode::Auto => Mode::Thread,
        };
        let pace = Pace {
            commands_max: config.commit.batch_max as usize,
            expiries_max: config.commit.expiries_max as usize,
        };
        let queue = config.commit.queue as usize;
        let committer = Arc::new(Committer::new(mode, queue, pace, state, (log, gate), Arc::clone(&clock)));
        let server = Server::start(&config, security, committer, clock)?;
        let address = server.address();
        tracing::info!(%address, ?mode, "serving");
        tracing::warn!("durability is off (durability.mode = \"memory\"): all is gone when the daemon ends");
        Ok(Self { server: Some(server), address, admin_token, certificate_der })
    }

    /// Where QUIC is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin token that the daemon made for itself; `None` where the configuration names a file of tokens.
    #[must_use]
    pub fn admin_token(&self) -> Option<&str> {
        self.admin_token.as_deref()
    }

    /// The certificate that the daemon shows, for clients to pin.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// Takes nothing new, finishes what is in hand, and ends; at the latest after `server.drain_ms`.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            tracing::info!("draining");
            server.stop();
            tracing::info!("stopped");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// `earmark serve`: a daemon until SIGTERM or SIGINT, then drained.
pub fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime that waits for signals")?;
    // Listened for before the daemon serves, so that one who sees it serve can stop it.
    let (mut terminate, mut interrupt) = runtime.block_on(async {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        anyhow::Ok((terminate, interrupt))
    })?;
    let daemon = Daemon::start(config)?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    daemon.stop();
    Ok(())
}
