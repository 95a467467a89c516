//! What was durable and is not there as it was written is refused, with the place; and the one window in which it cannot
//! be told from a write that never ended.

use super::*;

/// A log of frames over several segments, each flushed by itself, that ends in one of records.
fn written() -> (SimulatedDisk, Vec<Position>) {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.flush(&[4; 60]);
    let positions = open(&disk.fork(1), small(), None).unwrap().2.positions;
    assert!(positions.last().unwrap().segment >= 2);
    (disk, positions)
}

/// A copy of a disk with one bit flipped.
fn flipped(disk: &SimulatedDisk, segment: u64, offset: u64, bit: u32) -> SimulatedDisk {
    let copy = disk.fork(1);
    copy.flip(&segment_name(segment), offset, bit);
    copy
}

fn damage(disk: &SimulatedDisk) -> Damage {
    match open(disk, small(), None) {
        Err(LogError::Damage(damage)) => damage,
        Err(error) => panic!("{error}"),
        Ok((_, recovered, _)) => panic!("taken as whole: {recovered:?}"),
    }
}

#[test]
fn a_flipped_bit_in_any_frame_but_the_last_is_refused_with_its_place_and_nothing_is_changed() {
    let (disk, positions) = written();
    let mut rng = fastrand::Rng::with_seed(5);
    // The last position is behind the last frame.
    for pair in positions[..positions.len() - 1].windows(2) {
        let (frame, next) = (pair[0], pair[1]);
        // A frame that begins a segment stands at its start, and not where the one before ended.
        let file = disk.seen(&segment_name(frame.segment)).unwrap();
        let is_here = FrameHeader::decode(&file[frame.offset as usize..], LOG_ID)
            .is_some_and(|header| frame.is_followed_by(&header));
        let (segment, offset) =
            if is_here { (frame.segment, frame.offset) } else { (next.segment, SEGMENT_HEADER_BYTES) };
        let header = disk.seen(&segment_name(segment)).unwrap();
        let header = FrameHeader::decode(&header[offset as usize..], LOG_ID).unwrap();
        let payload = (header.bytes > 0).then(|| 64 + rng.u64(..u64::from(header.bytes)));
        for at in [rng.u64(..56), 60 + rng.u64(..4)].into_iter().chain(payload) {
            let copy = flipped(&disk, segment, offset + at, rng.u32(..8));
            let before: Vec<_> = copy.list().unwrap().iter().map(|name| copy.seen(name)).collect();
            let damage = damage(&copy);
            assert_eq!((damage.segment, damage.offset), (frame.segment, frame.offset), "byte {at}");
            assert_eq!(damage.lsn, Some(frame.next_lsn));
            assert!(matches!(damage.sign, Sign::LaterFrame { .. }), "{:?}", damage.sign);
            let after: Vec<_> = copy.list().unwrap().iter().map(|name| copy.seen(name)).collect();
            assert!(before == after, "a start that refuses leaves everything as it was");
        }
    }
}

#[test]
fn a_damaged_segment_header_is_refused_with_the_segment() {
    let (disk, positions) = written();
    for segment in 1..=positions.last().unwrap().segment {
        for at in [0, 9, 17, 25, 33, 45, 61] {
            let damage = damage(&flipped(&disk, segment, at, 3));
            assert_eq!((damage.segment, damage.offset, damage.lsn), (segment, 0, None), "byte {at}");
            assert_eq!(damage.sign, Sign::SegmentHeader);
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let (disk, positions) = written();
    assert!(positions.last().unwrap().segment > 2);
    disk.remove(&segment_name(2)).unwrap();
    assert!(matches!(open(&disk, small(), None), Err(LogError::Missing { segment: 2, .. })));
}

/// A log whose last flush is of three frames, and places in that flush.
fn with_a_last_flush() -> (SimulatedDisk, Running, u64, Vec<u64>) {
    let disk = SimulatedDisk::new(1);
    let mut running = start(&disk);
    running.flush(&[4, 4]);
    let begin = running.log.position().unwrap();
    for _ in 0..3 {
        running.seal(4);
    }
    running.log.flush().unwrap();
    assert_eq!(running.gate.passed(), 20);
    let end = running.log.position().unwrap();
    let mut rng = fastrand::Rng::with_seed(3);
    let places = std::iter::repeat_with(|| rng.u64(begin.offset..end.offset)).take(150).collect();
    (disk, running, begin.segment, places)
}

#[test]
fn the_window_that_stays_open_is_the_last_flush_with_nothing_written_behind_it() {
    let (disk, _running, segment, places) = with_a_last_flush();
    let mut lost = 0;
    for place in places {
        // Nothing shows whether that flush ever ended, so it is taken for one that did not.
        let (_, recovered, _) = open(&flipped(&disk, segment, place, 1), small(), None).unwrap();
        assert!([8, 12, 16, 20].contains(&recovered.last_lsn), "{recovered:?}");
        lost += 20 - recovered.last_lsn;
    }
    assert!(lost > 0, "the window is there");
}

#[test]
fn a_seal_or_more_records_or_a_start_close_the_window() {
    for way in 0..3 {
        let (disk, mut running, segment, places) = with_a_last_flush();
        match way {
            0 => assert!(running.flusher.seal_idle().unwrap()),
            1 => running.flush(&[1]),
            _ => drop(open(&disk, small(), None).unwrap()),
        }
        for place in places {
            match open(&flipped(&disk, segment, place, 1), small(), None) {
                Err(LogError::Damage(damage)) => {
                    assert!(damage.lsn.is_some_and(|lsn| (9..=20).contains(&lsn)), "{damage}");
                }
                Err(error) => panic!("{error}"),
                // Zeros between two frames carry nothing.
                Ok((_, recovered, _)) => assert!(recovered.last_lsn >= 20, "{recovered:?}"),
            }
        }
    }
}
