//! What the daemon says of itself, on standard error.

use std::io::{self, Write};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

/// Has log lines written as the configuration says. Once per process.
pub fn install(config: &Logging) -> anyhow::Result<()> {
    let filter: EnvFilter = config
        .level
        .parse()
        .with_context(|| format!("reading log.level {:?}; give one like \"info\"", config.level))?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Spoken).log_internal_errors(false);
    let installed = match config.format {
        LogFormat::Human => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("setting up the log: {error}"))
}

/// Standard error. A line that cannot be written, as on a full disk or with nobody at the other end, is dropped: the
/// daemon has more to do than to talk.
struct Spoken;

impl Write for Spoken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
