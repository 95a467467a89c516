//! The simulator finds bugs: each deliberate one, within so many runs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use earmark_mutations::{Mutation, choose};

use crate::world;

/// Runs in which each must be found.
const SEEDS: u64 = 2_000;

/// Threads of this name fail without a word.
const QUIET: &str = "mutation";

#[test]
fn each_deliberate_bug_is_found() {
    // What is found is a panic, and is no failure.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(QUIET) {
            loud(panic);
        }
    }));
    let seek = |mutation| {
        let thread = std::thread::Builder::new().name(QUIET.to_owned());
        thread.spawn(move || (mutation, found(mutation))).expect("a thread")
    };
    let threads = Mutation::ALL.map(seek);
    let found = threads.map(|thread| thread.join().expect("it catches panics"));
    for (mutation, seed) in &found {
        println!(
            "{mutation:?}: {}",
            seed.map_or("not found".to_owned(), |seed| format!("found by seed {seed}"))
        );
    }
    assert!(found.iter().all(|(_, seed)| seed.is_some()), "not found within {SEEDS} seeds: {found:?}");
}

/// The first seed that finds it.
fn found(mutation: Mutation) -> Option<u64> {
    choose(Some(mutation));
    (0..SEEDS).find(|seed| catch_unwind(AssertUnwindSafe(|| world::play_quietly(*seed))).is_err())
}
