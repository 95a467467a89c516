//! What the modes other than `sync` promise, and what they do not.

use super::*;

/// Starts with these settings, holds units, ends the daemon, and starts it again. Whether they are there.
fn held_after(settings: &[&str], end: impl FnOnce(Process, &Path)) -> bool {
    let data = tempfile::tempdir().unwrap();
    let set = |program: &mut Command| {
        program.args(settings);
    };
    let start = || Process::start_with(data.path(), set);
    runtime().block_on(async {
        let process = start();
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        let held = shop::holds(&client, 3).await;
        client.close().await;
        end(process, data.path());
        let process = start();
        shop::are_held(&process.connect().await, &held).await
    })
}

const RARELY: &[&str] = &["--durability.mode", "interval", "--durability.interval_ms", "60000"];

#[test]
fn interval_answers_before_the_flush_so_a_kill_before_it_costs_what_was_answered() {
    let there = held_after(RARELY, |mut process, _| process.kill());
    assert!(!there, "nothing was flushed, and nobody waited for it");
}

#[test]
fn interval_flushes_every_interval() {
    let often = ["--durability.mode", "interval", "--durability.interval_ms", "5"];
    let there = held_after(&often, |mut process, data| {
        // Capacity, node, sku, count, and three holds.
        let is_flushed = || earmark(&["log", "check"], data).1[0]["end"]["last_lsn"] == 7;
        let flushed = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            is_flushed()
        });
        assert!(flushed, "the log thread flushes");
        process.kill();
    });
    assert!(there);
}

#[test]
fn a_stop_in_order_waits_for_no_interval_and_loses_nothing() {
    let there = held_after(RARELY, |process, _| drop(process.stop()));
    assert!(there);
}

#[test]
fn memory_keeps_nothing_and_says_so() {
    let there = held_after(&["--durability.mode", "memory"], |process, _| {
        assert!(process.stop().contains("durability is off"));
    });
    assert!(!there);
}
