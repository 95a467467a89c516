//! The promise: kill -9 at any moment costs no answered command. The real daemon runs on a real directory; clients hold
//! and reserve, let holds expire, amend, extend, confirm, release, cancel, dispatch, ship and hand over, count, correct
//! and move stock, wish for images, and keep a book of their own. The daemon is killed, also while it recovers, and
//! started again; then the book is compared with what is there. `scripts/crash-test.sh N` does it N times.
//!
//! kill -9 alone leaves what was written in the system's page cache. With the feature `held-writes` the daemon keeps what
//! it has not synced in its own memory, and a kill is a power cut.

mod book;
mod check;
mod load;
mod process;
mod shape;
mod stock;

use std::time::Duration;

use book::Book;
use process::Process;

/// The kill comes this long after the load began, at most.
const LOAD_MS_MAX: u64 = 400;
/// One start in so many is killed while it recovers.
const KILLED_STARTS: u64 = 5;

fn number(variable: &str, or: u64) -> u64 {
    std::env::var(variable).ok().map_or(or, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_answered_is_there_after_every_kill() {
    let crashes_wanted = number("EARMARK_CRASHES", 3);
    let seed = number("EARMARK_SEED", fastrand::u64(..));
    println!("replay with EARMARK_SEED={seed} EARMARK_CRASHES={crashes_wanted} (moments differ)");
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut book = Book::default();
    let mut crashes = 0;
    let mut process = Process::start(directory.path());
    runtime.block_on(async {
        let client = process.connect().await;
        load::stock(&client, &mut book).await;
        while crashes < crashes_wanted {
            let client = process.connect().await;
            let load = Duration::from_millis(fastrand::u64(1..=LOAD_MS_MAX));
            load::load(&client, &mut book, load, || process.kill()).await;
            drop(client);
            crashes += 1;
            process = Process::start(directory.path());
            if crashes < crashes_wanted && fastrand::u64(..KILLED_STARTS) == 0 {
                std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
                process.kill();
                crashes += 1;
                process = Process::start(directory.path());
            }
            let client = process.connect().await;
            check::check(&client, &mut book).await;
            assert!(book.faults.is_clean(), "after {crashes} crashes: {book}; seed {seed}");
            client.close().await;
        }
    });
    process.stop();
    println!("crashes: {crashes}, {book}");
    assert!(book.answered > 0, "nothing was ever answered");
}
