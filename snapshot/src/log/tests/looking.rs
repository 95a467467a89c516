//! Looking: what can be read is told, past damage too, and nothing is changed.

use std::ops::ControlFlow;

use super::segment::Segment;
use super::tail::headers;
use super::*;

/// Flips bits of one byte.
fn flip(disk: &SimulatedDisk, position: &Position, beyond: u64) {
    let file = storage(disk).open(&segment_name(position.segment)).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, position.offset + beyond).unwrap();
    file.write_at(&[!byte[0]], position.offset + beyond).unwrap();
}

/// The survey of a disk, and the lsns it has read.
fn surveyed(disk: &SimulatedDisk) -> (Survey, Vec<u64>) {
    let (mut lsns, changes) = (Vec::new(), disk.operations());
    let survey = survey(&storage(disk), &mut |frame| {
        lsns.extend(frame.records().map(|(lsn, bytes)| {
            assert!(is_sound(lsn, bytes));
            lsn
        }));
    });
    let survey = survey.unwrap().expect("there is a log");
    assert_eq!(disk.operations(), changes, "looking changes nothing");
    (survey, lsns)
}

/// A log of 60 records in batches of 3, over several segments, and where each frame stands.
fn log() -> (SimulatedDisk, Vec<Position>) {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.flush(&[3; 20]);
    running.flush(&[60; 10]);
    let positions = open(&disk.fork(1), small(), None).unwrap().2.positions;
    (disk, positions)
}

#[test]
fn a_sound_log_is_read_whole_and_a_start_finds_the_same() {
    let (disk, positions) = log();
    let (survey, lsns) = surveyed(&disk);
    assert_eq!(lsns, (1..=660).collect::<Vec<_>>());
    assert!(survey.gaps.is_empty() && survey.torn.is_none());
    assert_eq!(survey.begin, positions[0]);
    assert_eq!(Some(&survey.end), positions.last());
    assert_eq!(survey.last_kind, Some(FrameKind::Records));
    let found = find(&storage(&disk), None, &mut |_| {}).unwrap();
    assert_eq!((found.end, found.records), (survey.end, 660));
    assert!(segments(&*storage(&disk)).unwrap().iter().all(|segment| segment.header.is_ok()));
}

#[test]
fn behind_damage_it_goes_on_with_the_next_frame() {
    let (disk, positions) = log();
    // The frame of records 10 to 12: the opening frame comes first.
    flip(&disk, &positions[4], 70);
    let (survey, lsns) = surveyed(&disk);
    assert_eq!(lsns, (1..=9).chain(13..=660).collect::<Vec<_>>());
    let [gap] = &survey.gaps[..] else { panic!("{:?}", survey.gaps) };
    assert_eq!((gap.after, gap.resumed), (positions[4], Some(positions[5])));
    assert!(matches!(&gap.reason, LogError::Damage(damage) if damage.lsn == Some(10)));
    let Err(LogError::Damage(damage)) = find(&storage(&disk), None, &mut |_| {}) else { panic!("a start") };
    assert_eq!((damage.segment, damage.offset), (1, positions[4].offset));
    let found = find(&storage(&disk), Some(positions[5]), &mut |_| {}).unwrap();
    assert_eq!(found.records, 648, "an image behind the damage makes it a start");
}

#[test]
fn a_missing_segment_is_a_gap_and_so_is_one_without_a_header() {
    for spoil in [
        |disk: &SimulatedDisk| storage(disk).remove(&segment_name(2)).unwrap(),
        |disk: &SimulatedDisk| storage(disk).open(&segment_name(2)).unwrap().write_at(&[0], 0).unwrap(),
    ] {
        let (disk, _) = log();
        spoil(&disk);
        let (survey, lsns) = surveyed(&disk);
        let [gap] = &survey.gaps[..] else { panic!("{:?}", survey.gaps) };
        assert_eq!((gap.after.segment, gap.resumed.unwrap().segment), (1, 3));
        assert_eq!((lsns.first(), lsns.last()), (Some(&1), Some(&660)));
        assert!(find(&storage(&disk), None, &mut |_| {}).is_err());
    }
}

#[test]
fn a_last_frame_that_is_not_whole_is_torn_and_no_gap() {
    let (disk, positions) = log();
    let before_last = positions[positions.len() - 2];
    flip(&disk, &before_last, 70);
    let (survey, lsns) = surveyed(&disk);
    assert!(survey.gaps.is_empty(), "{:?}", survey.gaps);
    assert_eq!(survey.end, before_last);
    assert_eq!(lsns.last(), Some(&(before_last.next_lsn - 1)));
    let torn = survey.torn.unwrap();
    assert_eq!((torn.lsn, torn.last_lsn), (before_last.next_lsn, 660));
}

#[test]
fn a_log_whose_start_is_no_longer_kept_is_read_from_its_oldest_frame() {
    let (disk, positions) = log();
    for number in 1..3 {
        storage(&disk).remove(&segment_name(number)).unwrap();
    }
    let (survey, lsns) = surveyed(&disk);
    let first = positions.iter().find(|position| position.segment == 3).unwrap();
    assert_eq!(survey.begin, Position { offset: SEGMENT_HEADER_BYTES, ..survey.begin });
    assert!(survey.begin.next_lsn <= first.next_lsn && survey.gaps.is_empty());
    assert_eq!((lsns[0], lsns.last()), (survey.begin.next_lsn, Some(&660)));
    let none = super::survey(&storage(&SimulatedDisk::new(1)), &mut |_| {});
    assert!(none.unwrap().is_none());
}

#[test]
fn whoever_looks_for_the_next_frame_reads_no_further_than_that() {
    let (disk, positions) = log();
    let segment = Segment::open(&*storage(&disk), 1).unwrap();
    let mut seen = Vec::new();
    headers(&segment, positions[4].offset + 64, &mut |offset, _| {
        seen.push(offset);
        Ok(ControlFlow::Break(()))
    })
    .unwrap();
    assert_eq!(seen, [positions[5].offset]);
}

#[test]
fn a_log_that_is_damaged_in_every_other_frame_gives_all_the_others() {
    let (disk, positions) = log();
    // The opening frame stays, and the last: damage to that is a torn tail.
    let damaged = (2..positions.len() - 2).step_by(2);
    damaged.clone().for_each(|frame| flip(&disk, &positions[frame], 70));
    let (survey, lsns) = surveyed(&disk);
    assert_eq!(survey.gaps.len(), damaged.clone().count());
    let lost: u64 = damaged.map(|frame| positions[frame + 1].next_lsn - positions[frame].next_lsn).sum();
    assert_eq!(lsns.len() as u64 + lost, 660);
}
