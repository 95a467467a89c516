//! Whenever the power goes, what was durable is there at the next start, in order and as it was written, and nothing else
//! but more of the same.

use super::*;
use crate::storage::{Attempt, Trouble};

/// What a writer promised before it came to its end.
#[derive(Default)]
struct Promised {
    /// Durable up to here.
    passed: u64,
    sealed: u64,
    /// Where replay starts: an image is there, and segments before it may be used again.
    from: Option<Position>,
}

/// Writes, seals, releases and prepares for a while.
fn run(disk: &SimulatedDisk, promised: &mut Promised) -> Result<(), Box<dyn std::error::Error>> {
    let options = LogOptions { inline_bytes: 600, ..small() };
    let recovery = Recovery::open(storage(disk), options, promised.from, LOG_ID)?;
    let (gate, mut hands) = Gate::new(1);
    let (log, _) = recovery.resume(hands.remove(0))?;
    let (flusher, preparer) = (log.flusher().unwrap(), log.preparer().unwrap());
    let mut running = Running { log, gate, flusher, preparer };
    let until = promised.sealed + 400;
    for turn in 0_u64.. {
        for batch in 0..3 {
            running.seal(1 + (turn + batch) * 7 % 13);
        }
        promised.sealed = running.log.last();
        let flushed = running.log.flush();
        promised.passed = running.gate.passed();
        flushed?;
        while running.flusher.step()? != Step::Nothing {
            promised.passed = running.gate.passed();
            running.preparer.prepare()?;
        }
        if turn % 9 == 5 {
            running.flusher.seal_idle()?;
        }
        if turn % 6 == 3 {
            let position = running.log.position().unwrap();
            promised.from = Some(position);
            running.preparer.release_before(position.segment);
            running.preparer.prepare()?;
        }
        if promised.sealed > until {
            break;
        }
    }
    Ok(())
}

/// Starts, as often as it takes with the power going after so many operations of each attempt; what is there.
fn recover(disk: &SimulatedDisk, promised: &Promised, after: u64) -> (Running, Recovered) {
    for attempt in 0.. {
        disk.restart();
        disk.crash_at(disk.operations() + after + attempt);
        match open(disk, small(), promised.from) {
            Ok((running, recovered, _)) => {
                // No operation has this number: what was planned for a later one is off.
                disk.crash_at(0);
                return (running, recovered);
            }
            Err(error) => assert!(disk.is_stopped(), "{error}"),
        }
    }
    unreachable!("each attempt gets further")
}

#[test]
fn a_crash_at_any_change_while_writing_recycling_and_recovering_loses_nothing_durable() {
    let mut torn = 0;
    for seed in 0..3 {
        for operation in 1.. {
            let (disk, mut promised) = (SimulatedDisk::new(seed << 32 | operation), Promised::default());
            disk.crash_at(operation);
            if run(&disk, &mut promised).is_ok() {
                assert!(operation > 60, "a run of {operation} operations is a short one");
                break;
            }
            let (mut running, recovered) = recover(&disk, &promised, 1 + operation % 9);
            let (passed, last, sealed) = (promised.passed, recovered.last_lsn, promised.sealed);
            assert!(
                (passed..=sealed).contains(&last),
                "seed {seed}, operation {operation}: {passed} promised, {sealed} sealed, {last} there"
            );
            torn += u64::from(recovered.torn.is_some());
            // And it can be written on.
            running.flush(&[3, 1]);
            drop(running);
            let again = open(&crashed(&disk, seed), small(), promised.from).unwrap().1;
            assert_eq!((again.last_lsn, again.torn), (last + 4, None));
        }
    }
    assert!(torn > 10, "{torn} torn tails");
}

#[test]
fn a_killed_process_leaves_nothing_that_a_later_power_cut_could_take_once_it_was_started_again() {
    for operation in 1.. {
        let (disk, mut promised) = (SimulatedDisk::new(operation), Promised::default());
        disk.kill_at(operation);
        if run(&disk, &mut promised).is_ok() {
            break;
        }
        disk.restart();
        let (_, recovered, _) = open(&disk, small(), promised.from).unwrap();
        assert!(recovered.last_lsn >= promised.passed);
        let (_, again, _) = open(&crashed(&disk, operation), small(), promised.from).unwrap();
        assert_eq!((again.last_lsn, again.torn), (recovered.last_lsn, None), "operation {operation}");
    }
}

#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_durable_once_it_was_recovered() {
    for seed in 0..40 {
        let disk = SimulatedDisk::new(seed);
        let mut running = start(&disk);
        running.flush(&[3, 2]);
        disk.fail(Attempt::Sync, 1, Trouble::Broken);
        running.seal(4);
        running.log.flush().unwrap_err();
        drop(running);
        disk.kill();
        disk.restart();
        let (_, recovered, _) = open(&disk, small(), None).unwrap();
        assert_eq!(recovered.last_lsn, 9, "all of it can still be read");
        let (_, again, _) = open(&crashed(&disk, seed), small(), None).unwrap();
        assert_eq!(again.last_lsn, 9, "seed {seed}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_told() {
    let mut seen = 0;
    for seed in 0..60 {
        let disk = SimulatedDisk::new(seed);
        let mut running = start(&disk);
        running.flush(&[5, 5]);
        let end = running.log.position().unwrap();
        for _ in 0..4 {
            running.seal(6);
        }
        // The write happens, its sync does not.
        disk.crash_at(disk.operations() + 2);
        running.log.flush().unwrap_err();
        disk.restart();
        let (mut running, recovered, replayed) = open(&disk, small(), None).unwrap();
        let last = recovered.last_lsn;
        assert!([10, 16, 22, 28, 34].contains(&last), "whole frames: {last}");
        if let Some(torn) = recovered.torn {
            assert_eq!((torn.lsn, torn.last_lsn > last), (last + 1, true));
            assert_eq!((torn.segment, torn.offset), {
                let cut = replayed.positions.last().unwrap();
                (cut.segment, cut.offset)
            });
            assert!(torn.offset >= end.offset && torn.frames > 0 && torn.bytes > 0);
            seen += 1;
        }
        // Its frames are never taken, though some still lie there.
        running.flush(&[2]);
        let (_, again, replayed) = open(&disk, small(), None).unwrap();
        assert_eq!((again.last_lsn, again.torn), (last + 2, None));
        assert_eq!(replayed.records[last as usize], record(last + 1, recovered.epoch));
    }
    assert!(seen > 10, "{seen}");
}
