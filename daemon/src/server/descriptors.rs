//! File descriptors: the log and the images need some at any time, and without one they fail for good. So connections of
//! the unix socket, each of which takes one, are bounded by what the process may have beyond them. QUIC takes none.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What the process needs beside connections, segments and I/O cores: some 14 at rest, a few for an image in the making.
const KEPT: u64 = 32;
/// What an I/O core needs.
const KEPT_PER_CORE: u64 = 8;

/// Takes as many descriptors as the system allows; gives how many the unix socket's connections may take.
pub(super) fn for_unix_socket(config: &Config, io_cores: usize) -> usize {
    let limit = raise();
    let kept = KEPT + KEPT_PER_CORE * io_cores as u64 + u64::from(config.durability.segments_ahead);
    let room = limit.saturating_sub(kept).max(1);
    if config.server.unix_socket.is_some() && room < u64::from(config.server.connections_max) {
        tracing::warn!(
            "the unix socket takes {room} connections at once and not server.connections_max: each takes a file \
             descriptor, and the process may have {limit}; raise its limit (ulimit -Hn)"
        );
    }
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Raises the limit as far as it may be; gives it.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        return current.unwrap_or(u64::MAX);
    }
    maximum.unwrap_or(u64::MAX)
}
