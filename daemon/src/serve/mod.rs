//! A daemon as one thing to start and stop: `earmark serve`, the demo and the tests use the same.

mod kept;
mod logging;
mod rules;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::Clock;
use crate::commit::{Committer, Mode, Pace};
use crate::config::{CommitMode, Config, DurabilityMode};
use crate::processors::Processors;
use crate::security::Security;
use crate::server::{Server, listen};
use crate::store::{Keeper, StoreError};

use self::kept::{Directory, Kept};

pub use logging::install as install_logging;
pub(crate) use rules::rules;

/// Up to so many cores the I/O core plays the committer; above, a thread does. Measured on two cores; between, the
/// thread would take a core from one of few.
const INLINE_CORES_MAX: usize = 3;

/// A running daemon. It stops, in order, when it is dropped.
///
/// ```no_run
/// use earmark::{config::Config, serve::Daemon};
/// let mut config = Config::default();
/// config.server.listen = "127.0.0.1:0".parse()?;
/// config.durability.directory = Some("stock".into());
/// let daemon = Daemon::start(config)?;
/// println!("QUIC at {}", daemon.address());
/// daemon.stop();
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Daemon {
    server: Option<Server>,
    committer: Arc<Committer>,
    /// `None` where nothing is kept.
    keeper: Option<Keeper>,
    /// Held for its lock, where the directory has secrets and no log.
    _directory: Option<Directory>,
    faults: UnboundedReceiver<StoreError>,
    address: SocketAddr,
    admin_token: Option<String>,
    certificate_der: Vec<u8>,
}

impl Daemon {
    /// Starts a daemon; it serves when this returns. May be called on any thread.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let processors = Arc::new(Processors::of(&config)?);
        let clock = Arc::new(Clock::start());
        let directory = config.durability.directory.as_ref().map(Directory::open).transpose();
        let mut directory = directory.context("opening the data directory")?;
        let security = Security::open(&config)?;
        // Whether the port is free is better known before a long recovery than after it.
        let sockets = listen::bind(config.server.listen, processors.io_cores(&config))?;
        let admin_token = security.admin_token.as_ref().map(|token| token.0.clone());
        let certificate_der = security.certificate.der().to_vec();
        let (tell_fault, faults) = unbounded_channel();
        let kept = match config.durability.mode {
            DurabilityMode::Memory => Kept::nothing(&config)?,
            DurabilityMode::Sync | DurabilityMode::Interval => {
                let directory = directory.take().context(
                    "durability.mode asks for a data directory; set durability.directory, or durability.mode to \
                     \"memory\"",
                )?;
                // Where nobody listens any more, the daemon ends already.
                let on_fault = Arc::new(move |error| drop(tell_fault.send(error)));
                Kept::recovered(&config, directory, &clock, on_fault)?
            }
        };
        let mode = match config.commit.mode {
            CommitMode::Inline => Mode::Inline,
            CommitMode::Thread => Mode::Thread,
            CommitMode::Auto if processors.available() <= INLINE_CORES_MAX => Mode::Inline,
            CommitMode::Auto => Mode::Thread,
        };
        let pace = Pace {
            commands_max: config.commit.batch_max as usize,
            expiries_max: config.commit.expiries_max as usize,
        };
        let queue = config.commit.queue as usize;
        let Kept { state, log, gate, epoch, keeping } = kept;
        let log = (log, gate, epoch);
        let committer = Arc::new(Committer::new(mode, queue, pace, state, log, Arc::clone(&clock)));
        // A start takes all processors, what it leaves running no more than is its own.
        let _beside = processors.beside()?;
        let keeper = keeping.map(|(keeping, image)| Keeper::start(keeping, image)).transpose()?;
        let snapshots = keeper.as_ref().map(|keeper| Arc::clone(keeper.snapshots()));
        let server =
            Server::start(&config, &processors, sockets, security, Arc::clone(&committer), snapshots, clock)?;
        let address = server.address();
        tracing::info!(%address, ?mode, "serving");
        Ok(Self {
            server: Some(server),
            committer,
            keeper,
            _directory: directory,
            faults,
            address,
            admin_token,
            certificate_der,
        })
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

    /// Resolves when the disk can no longer be relied on. Nothing that must be durable is answered from then on; end the
    /// process, and start it again to recover what is there.
    pub async fn failed(&mut self) -> StoreError {
        match self.faults.recv().await {
            Some(error) => error,
            // Without a log there is nothing to fail.
            None => std::future::pending().await,
        }
    }

    /// Takes nothing new, finishes what is in hand, and ends; at the latest after `server.drain_ms`.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            tracing::info!("draining");
            server.stop();
            if let Some(keeper) = self.keeper.take() {
                kept::close(&self.committer, keeper);
            }
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
    let (mut terminate, mut interrupt, _too_large) = runtime.block_on(async {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        // A write over a limit of file sizes (`ulimit -f`) fails then, and is told, instead of ending the process.
        let too_large =
            signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).context("listening for SIGXFSZ")?;
        anyhow::Ok((terminate, interrupt, too_large))
    })?;
    let mut daemon = Daemon::start(config).map_err(with_remedy)?;
    let fault = runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            fault = daemon.failed() => Some(fault),
        }
    });
    if let Some(fault) = fault {
        // No drain: nobody may be told anything any more. The process ends with what is on disk.
        std::mem::forget(daemon);
        return Err(fault.into());
    }
    daemon.stop();
    Ok(())
}

/// What ends a start, with what to do where the system gives no further thread: that is where a limit is met.
fn with_remedy(error: anyhow::Error) -> anyhow::Error {
    let sources = || error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    let is_thread = error.chain().any(|cause| cause.to_string().contains("thread"));
    if is_thread && sources().any(|source| source.kind() == std::io::ErrorKind::WouldBlock) {
        let remedy = "allow the process more threads (ulimit -u) or address space (ulimit -v)";
        return anyhow::anyhow!("{error:#}; {remedy}");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_gets_no_thread_says_which_limits_to_raise() {
        let none = || std::io::Error::from(std::io::ErrorKind::WouldBlock);
        let told = with_remedy(anyhow::Error::from(none()).context("starting a planner thread"));
        assert!(told.to_string().ends_with("or address space (ulimit -v)"), "{told:#}");
        let other = with_remedy(anyhow::Error::from(none()).context("locking the directory"));
        assert_eq!(other.to_string(), "locking the directory");
    }
}
