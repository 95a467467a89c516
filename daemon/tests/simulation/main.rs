//! The daemon's engine, committer, log and images on one thread, over a disk, a clock and a traffic that all come from one
//! seed: the power goes at any operation, writes are lost, torn and misdirected, bits flip, the disk fills up. At each step
//! everything is compared with the naive model of the engine's own tests.
//!
//! A failure prints the command that plays it again. `EARMARK_SEED` plays one run, `EARMARK_SEEDS` says how many others
//! to play, `EARMARK_FROM` from which on.

#[allow(dead_code, unused_imports, reason = "the engine's own tests use more of it")]
#[path = "../../engine/tests/property/drive/mod.rs"]
mod drive;
mod life;
#[allow(dead_code, unused_imports, reason = "the engine's own tests use more of it")]
#[path = "../../engine/tests/property/model/mod.rs"]
mod model;
#[cfg(feature = "mutations")]
mod mutations;
mod story;
mod truth;
mod weather;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use story::Met;

/// Runs in a normal test: as many as two cores play in some 20 seconds of a test build.
const SEEDS: u64 = 600;

/// A long search says after so many runs how far it is.
const TOLD_EVERY: u64 = 1_000;

#[test]
fn nothing_that_was_answered_is_lost_whatever_the_disk_does() {
    if let Some(seed) = number_from("EARMARK_SEED") {
        println!("{}", world::play(seed));
        return;
    }
    let (from, seeds) =
        (number_from("EARMARK_FROM").unwrap_or(0), number_from("EARMARK_SEEDS").unwrap_or(SEEDS));
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get() as u64);
    let (met, done) = (Mutex::new(Met::default()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (met, done) = (&met, &done);
            scope.spawn(move || {
                for seed in (from + thread..from + seeds).step_by(threads as usize) {
                    let one = world::play(seed);
                    met.lock().expect("no thread panics while it holds this").and(&one);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done % TOLD_EVERY == 0 {
                        println!("{done} of {seeds} runs");
                    }
                }
            });
        }
    });
    let met = met.into_inner().expect("no thread panicked");
    println!("{seeds} runs from seed {from}:\n{met}");
    if seeds >= SEEDS {
        assert_eq!(met.never(), Vec::<&str>::new(), "what never happened is not tested");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..10 {
        assert_eq!(world::trace(seed), world::trace(seed), "seed {seed}");
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?}: not a number")))
}
