//! Writing: batches become durable in order, over segments that are made, filled, released and used again.

use super::*;
use crate::storage::{Attempt, Trouble};

#[test]
fn in_memory_a_sealed_batch_is_durable_at_once_and_its_bytes_are_counted() {
    let (gate, mut hands) = Gate::new(1);
    let mut log = Log::in_memory(9, hands.remove(0));
    log.record(|bytes| bytes.extend_from_slice(&[1; 25]));
    log.record(|bytes| bytes.extend_from_slice(&[1; 15]));
    assert_eq!(gate.passed(), 0, "what is not sealed is not durable");
    log.seal(Batch { first: 1, last: 2, time_ms: 5 });
    assert_eq!(gate.passed(), 2);
    assert_eq!((log.bytes(), log.batches(), log.epoch(), log.last()), (40, 1, 9, 2));
    log.flush().unwrap();
    assert_eq!(log.seal_stop().unwrap(), Step::Nothing);
    assert!(!log.is_backed_up() && log.room() == Room::Plenty && log.failed().is_none());
    assert!(log.flusher().is_none() && log.preparer().is_none());
}

#[test]
#[should_panic(expected = "must follow the last record")]
fn a_batch_that_leaves_a_gap_is_not_taken() {
    let (_gate, mut hands) = Gate::new(1);
    let mut log = Log::in_memory(1, hands.remove(0));
    log.record(|_| ());
    log.seal(Batch { first: 2, last: 2, time_ms: 5 });
}

#[test]
#[should_panic(expected = "has other records")]
fn a_batch_with_a_record_too_few_is_not_taken() {
    let (_gate, mut hands) = Gate::new(1);
    let mut log = Log::in_memory(1, hands.remove(0));
    log.record(|_| ());
    log.seal(Batch { first: 1, last: 2, time_ms: 5 });
}

#[test]
fn what_is_written_over_many_segments_is_read_again() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let batches: Vec<u64> = (0..200).map(|turn| 1 + turn % 13).collect();
    running.flush(&batches);
    let total: u64 = batches.iter().sum();
    assert_eq!(running.gate.passed(), total);
    assert_eq!(running.flusher.durable(), total);
    assert!(running.preparer.kept().len() > 5, "{:?}", running.preparer.kept());
    let (_, recovered, replayed) = open(&disk, small(), None).unwrap();
    assert_eq!((recovered.last_lsn, recovered.torn, recovered.is_new), (total, None, false));
    assert_eq!(replayed.records, (1..=total).map(|lsn| record(lsn, LOG_ID / 2 + 1)).collect::<Vec<_>>());
}

#[test]
fn a_batch_larger_than_a_frame_becomes_several_and_one_larger_than_a_segment_goes_over_several() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.flush(&[400]);
    assert_eq!(running.gate.passed(), 400);
    let (_, recovered, replayed) = open(&disk, small(), None).unwrap();
    assert_eq!(recovered.last_lsn, 400);
    assert!(replayed.kinds.iter().filter(|kind| **kind == FrameKind::Records).count() > 6);
}

#[test]
fn the_longest_record_goes_into_a_segment() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let most = small().record_bytes_max() as usize;
    // A frame that is as full as one can be and still takes a record.
    running.log.record(|bytes| bytes.resize(bytes.len() + small().frame_bytes - 5, 1));
    running.log.record(|bytes| bytes.resize(bytes.len() + most, 2));
    running.log.seal(Batch { first: 1, last: 2, time_ms: 1 });
    running.log.flush().unwrap();
    running.drain();
    assert_eq!(running.gate.passed(), 2);
}

#[test]
fn nothing_is_durable_before_the_flush_and_all_that_waits_goes_into_one() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    for _ in 0..5 {
        running.seal(3);
    }
    assert_eq!(running.gate.passed(), 0);
    let before = disk.operations();
    running.log.flush().unwrap();
    assert_eq!(disk.operations() - before, 2, "one write, one sync");
    assert_eq!(running.gate.passed(), 15);
    running.log.flush().unwrap();
    assert_eq!(disk.operations() - before, 2, "nothing waits");
}

#[test]
fn much_is_left_to_the_flusher() {
    let disk = SimulatedDisk::new(1);
    let mut running = open(&disk, LogOptions { inline_bytes: 200, ..small() }, None).unwrap().0;
    running.seal(10);
    running.log.flush().unwrap();
    assert_eq!(running.gate.passed(), 0);
    assert!(running.flusher.wait());
    assert!(matches!(running.flusher.step().unwrap(), Step::Flushed(bytes) if bytes > 200));
    assert_eq!(running.gate.passed(), 10);
    assert_eq!(running.flusher.step().unwrap(), Step::Nothing);
}

#[test]
fn in_interval_mode_the_gate_moves_at_once_and_the_disk_follows() {
    let disk = SimulatedDisk::new(1);
    let mut running = open(&disk, LogOptions { mode: Mode::Interval, ..small() }, None).unwrap().0;
    running.seal(4);
    running.log.flush().unwrap();
    assert_eq!((running.gate.passed(), running.flusher.durable()), (4, 0));
    assert!(running.flusher.wait());
    running.flusher.step().unwrap();
    assert_eq!((running.gate.passed(), running.flusher.durable()), (4, 4));
}

#[test]
fn a_batch_can_be_begun_while_others_wait_and_while_they_are_flushed() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let epoch = running.log.epoch();
    running.seal(2);
    running.log.record(|bytes| bytes.extend_from_slice(&record(3, epoch)));
    assert_eq!(running.flusher.step().unwrap(), Step::Nothing, "the committer has the buffer");
    running.log.seal(Batch { first: 3, last: 3, time_ms: 2_000 });
    running.log.flush().unwrap();
    assert_eq!(running.gate.passed(), 3);
    assert_eq!(open(&disk, small(), None).unwrap().2.records.len(), 3);
}

#[test]
fn released_segments_are_used_again_and_their_old_frames_are_never_taken() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let mut position = None;
    for round in 0..40 {
        running.flush(&[9, 1, 30]);
        let end =
            LogReader::new(storage(&disk), position.unwrap_or(Position::start(LOG_ID))).map(|mut reader| {
                while reader.next_durable(running.flusher.durable()).unwrap().is_some() {}
                reader.position()
            });
        let end = end.unwrap();
        running.preparer.release_before(end.segment);
        running.preparer.prepare().unwrap();
        assert!(disk.list().unwrap().len() <= 6, "round {round}: {:?}", disk.list().unwrap());
        // Whatever lies behind the last frame, a start finds the same end.
        let (_, recovered, replayed) = open(&disk.fork(1), small(), Some(end)).unwrap();
        assert_eq!((recovered.last_lsn, recovered.torn), (running.log.last(), None), "round {round}");
        assert!(replayed.records.is_empty());
        position = Some(end);
    }
    assert!(position.unwrap().segment > 10);
}

#[test]
fn as_many_segments_are_used_again_as_are_released_at_once() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let fill = |running: &mut Running| {
        while running.preparer.kept().len() < 8 {
            running.flush(&[9]);
            running.preparer.prepare().unwrap();
        }
    };
    fill(&mut running);
    let files = disk.list().unwrap().len();
    for round in 0..3 {
        let last = running.preparer.kept().last().copied();
        running.preparer.release_before(last.map_or(0, |last| last + 1));
        running.preparer.prepare().unwrap();
        assert_eq!(disk.list().unwrap().len(), files, "none is removed in round {round}");
        fill(&mut running);
        assert_eq!(disk.list().unwrap().len(), files, "and none is made");
    }
}

#[test]
fn a_follower_reads_a_log_that_is_being_written_up_to_what_is_durable() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    let mut reader = LogReader::new(storage(&disk), Position::start(LOG_ID)).unwrap();
    let mut seen = 0;
    for turn in 0..100 {
        running.seal(1 + turn % 7);
        let durable = running.flusher.durable();
        while let Some(frame) = reader.next_durable(durable).unwrap() {
            for (lsn, bytes) in frame.records() {
                assert!(lsn == seen + 1 && is_sound(lsn, bytes));
                seen = lsn;
            }
        }
        assert_eq!(seen, durable);
        if turn % 3 == 0 {
            running.flush(&[]);
            running.log.flush().unwrap();
            running.drain();
        }
        if turn % 10 == 0 {
            running.flusher.seal_idle().unwrap();
        }
    }
    assert!(seen > 300);
}

#[test]
fn an_idle_log_is_sealed_once() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    assert!(!running.flusher.seal_idle().unwrap(), "an opening frame covers what is before it");
    running.seal(2);
    assert!(!running.flusher.seal_idle().unwrap(), "something waits");
    running.log.flush().unwrap();
    assert!(running.flusher.seal_idle().unwrap());
    assert!(!running.flusher.seal_idle().unwrap());
    running.flush(&[1]);
    let kinds = open(&disk, small(), None).unwrap().2.kinds;
    assert_eq!(kinds, [FrameKind::Opening, FrameKind::Records, FrameKind::Seal, FrameKind::Records]);
}

#[test]
fn a_clean_stop_flushes_what_waits_and_says_so() {
    let disk = SimulatedDisk::new(1);
    let mut running = open(&disk, LogOptions { inline_bytes: 0, ..small() }, None).unwrap().0;
    for _ in 0..60 {
        running.seal(20);
    }
    running.log.flush().unwrap();
    assert_eq!(running.gate.passed(), 0);
    assert_eq!(running.log.seal_stop().unwrap(), Step::Flushed(0));
    assert_eq!(running.gate.passed(), 1_200);
    assert!(!running.flusher.wait(), "nobody waits for a log that is closed");
    let (running, recovered, replayed) = open(&disk, small(), None).unwrap();
    assert!(recovered.was_stopped && recovered.last_lsn == 1_200);
    assert_eq!(replayed.kinds.last(), Some(&FrameKind::Stop));
    drop(running);
    assert!(!open(&disk, small(), None).unwrap().1.was_stopped);
}

#[test]
fn a_clean_stop_is_told_also_from_an_image_of_the_moment_after_it() {
    let disk = SimulatedDisk::new(1);
    let mut running = open(&disk, small(), None).unwrap().0;
    running.flush(&[3]);
    let before = running.log.position().unwrap();
    running.log.seal_stop().unwrap();
    let stopped = running.log.position().unwrap();
    for (position, frames) in [(stopped, 0), (before, 1)] {
        let recovered = open(&disk.fork(1), small(), Some(position)).unwrap().1;
        assert!(recovered.was_stopped && recovered.frames == frames, "{recovered:?}");
    }
    let (running, recovered, _) = open(&disk, small(), Some(stopped)).unwrap();
    let opened = recovered.position;
    drop(running);
    for position in [opened, Position::start(LOG_ID)] {
        let recovered = open(&disk.fork(1), small(), Some(position)).unwrap().1;
        assert!(!recovered.was_stopped, "a daemon has started since: {recovered:?}");
    }
}

#[test]
fn each_start_begins_the_next_epoch() {
    let disk = SimulatedDisk::new(1);
    for life in 1..6 {
        let (mut running, recovered, _) = open(&disk, small(), None).unwrap();
        assert_eq!((recovered.is_new, recovered.epoch), (life == 1, LOG_ID / 2 + life));
        assert_eq!(recovered.last_lsn, (life - 1) * 5);
        running.flush(&[2, 3]);
    }
}

#[test]
fn where_no_segment_is_ready_a_flush_is_put_off_and_goes_on_when_one_is() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.seal(300);
    assert!(matches!(running.flusher.step().unwrap(), Step::Flushed(_)));
    assert_eq!(running.flusher.step().unwrap(), Step::Postponed);
    let durable = running.gate.passed();
    assert!(durable > 50 && durable < 300, "as much as the first segment takes: {durable}");
    running.log.flush().unwrap();
    assert_eq!(running.gate.passed(), durable);
    assert_eq!(running.log.room(), Room::Plenty, "nothing says that the disk is full");
    running.preparer.prepare().unwrap();
    assert!(running.flusher.wait());
    running.drain();
    assert_eq!(running.gate.passed(), 300);
}

#[test]
fn a_full_disk_is_told_before_it_hurts_and_forgotten_when_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    assert!(running.preparer.prepare().unwrap());
    let capacity = 3 * small().segment_bytes;
    disk.limit(Some(capacity));
    let mut seen = vec![running.log.room()];
    while running.log.room() != Room::None {
        running.flush(&[1]);
        running.preparer.prepare().unwrap();
        if seen.last() != Some(&running.log.room()) {
            seen.push(running.log.room());
        }
    }
    assert_eq!(seen, [Room::Plenty, Room::Low, Room::None]);
    // What was promised still goes in.
    running.flush(&[16]);
    assert_eq!(running.gate.passed(), running.log.last());
    // A lot more does not, and nothing is lost of it.
    running.seal(200);
    while matches!(running.flusher.step().unwrap(), Step::Flushed(_)) {}
    assert_eq!(running.flusher.step().unwrap(), Step::Postponed);
    assert!(!running.preparer.prepare().unwrap());
    assert_eq!(running.log.seal_stop().unwrap(), Step::Postponed);
    assert_eq!(running.log.room(), Room::None);
    assert!(running.log.failed().is_none());
    disk.limit(None);
    running.drain();
    assert!(running.preparer.prepare().unwrap());
    assert_eq!((running.gate.passed(), running.log.room()), (running.log.last(), Room::Plenty));
}

#[test]
fn with_a_full_disk_released_segments_make_room() {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    disk.limit(Some(4 * small().segment_bytes));
    for _ in 0..200 {
        running.flush(&[5]);
        let kept = running.preparer.kept();
        running.preparer.release_before(kept.last().map_or(0, |last| last + 1));
        running.preparer.prepare().unwrap();
        assert_eq!(running.log.room(), Room::Plenty);
    }
}

#[test]
fn more_than_may_wait_is_told() {
    let disk = SimulatedDisk::new(1);
    let mut running = open(&disk, LogOptions { inline_bytes: 0, ..small() }, None).unwrap().0;
    while !running.log.is_backed_up() {
        running.seal(20);
        running.log.flush().unwrap();
    }
    assert!(running.log.last() > 500);
    running.drain();
    assert!(!running.log.is_backed_up());
}

#[test]
fn a_fault_of_write_or_sync_ends_the_log() {
    for attempt in [Attempt::Write, Attempt::Sync] {
        let disk = SimulatedDisk::new(1);
        let mut running = start(&disk);
        running.flush(&[3]);
        disk.fail(attempt, 1, Trouble::Broken);
        running.seal(2);
        let failed = running.log.flush().unwrap_err();
        assert_eq!(failed.fault().attempt(), attempt);
        assert!(failed.to_string().contains("start again"), "{failed}");
        let before = disk.operations();
        for _ in 0..100 {
            running.seal(100);
            assert!(running.log.flush().is_err());
        }
        assert!(running.flusher.step().is_err() && running.flusher.seal_idle().is_err());
        assert!(running.preparer.prepare().is_err() && running.log.seal_stop().is_err());
        assert!(!running.flusher.wait());
        assert_eq!(disk.operations(), before, "nothing is tried again");
        assert!(running.log.is_backed_up() && running.log.failed().is_some());
        assert_eq!(running.gate.passed(), 3);
        // What was durable is there at the next start; what was not may be.
        let (_, recovered, _) = open(&crashed(&disk, 1), small(), None).unwrap();
        assert!(recovered.last_lsn >= 3);
    }
}

#[test]
fn a_fault_while_segments_are_made_ends_the_log() {
    for attempt in [Attempt::Create, Attempt::Write, Attempt::Sync, Attempt::Rename] {
        let disk = SimulatedDisk::new(1);
        let mut running = start(&disk);
        disk.fail(attempt, 1, Trouble::Broken);
        assert_eq!(running.preparer.prepare().unwrap_err().fault().attempt(), attempt);
        assert!(running.log.flush().is_err());
    }
}

#[test]
fn what_the_last_flush_wrote_is_written_again_at_a_start() {
    // A failed sync leaves pages that can be read and count as clean: syncing them once more does nothing.
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.flush(&[3, 2]);
    let before = disk.operations();
    let mut recovery = Recovery::open(storage(&disk), small(), None, LOG_ID).unwrap();
    while recovery.next_frame().unwrap().is_some() {}
    let opened = disk.operations();
    assert!(opened > before, "all is synced");
    let (_gate, mut hands) = Gate::new(1);
    recovery.resume(hands.remove(0)).unwrap();
    assert_eq!(
        disk.operations() - opened,
        4,
        "the last flush and the opening frame, each written and synced"
    );
}
