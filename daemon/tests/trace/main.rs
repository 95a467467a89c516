//! The promise: no reply leaves the daemon before the sync that covers it. The real daemon runs under strace, a client
//! makes holds over the unix socket, one at a time and many at once, and the system calls are judged: each reply names
//! its place in the log, each write to the log says which places are in it. `scripts/trace-sync.sh` runs this alone.
//!
//! A daemon in mode `interval` answers before it syncs. It is traced as well, and has to be found out.

mod calls;
mod daemon;
mod verdict;

use daemon::Traced;
use verdict::Verdict;

/// Holds one at a time; then so many frames, all sent before the first answer is read, of so many holds each.
const SINGLE: usize = 100;
const FRAMES: usize = 50;
const PER_FRAME: usize = 40;

#[test]
fn no_reply_leaves_before_the_sync_that_covers_it() {
    if !daemon::strace_is_there() {
        println!("trace: skipped, because strace is not here; install it (apt-get install strace)");
        return;
    }
    let [sync, interval] = ["sync", "interval"].map(|mode| {
        let traced = Traced::start(mode);
        let replies = traced.holds(SINGLE, FRAMES, PER_FRAME);
        let verdict = Verdict::of(&calls::read(&traced.stop()));
        println!("trace: mode {mode}: {verdict}");
        assert!(verdict.replies >= replies, "{} of {replies} replies are in the trace", verdict.replies);
        verdict
    });
    assert_eq!(sync.early, 0, "replies left before they were durable");
    assert!(sync.syncs >= SINGLE, "each hold of its own has a sync of its own");
    assert!(interval.early > 0, "this check does not see a reply that leaves too early");
}
