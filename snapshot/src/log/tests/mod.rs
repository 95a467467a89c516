//! Tests of the log over the simulated disk. A record says which lsn it has and which life it was made in, and its bytes
//! follow from that, so a record that is read can be judged by itself.

mod crash;
mod damage;
mod golden;
mod looking;
mod writing;

use std::sync::Arc;

use super::*;
use crate::gate::Gate;
use crate::storage::{SimulatedDisk, Storage};

const LOG_ID: u64 = 0xea2_0001;

fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        ahead: 2,
        frame_bytes: 4 << 10,
        inline_bytes: 64 << 10,
        batch_bytes_max: 2 << 10,
        waiting_bytes_max: 64 << 10,
        mode: Mode::Sync,
    }
}

/// The record with this lsn, of this life.
fn record(lsn: u64, life: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(lsn ^ (life << 32));
    let mut bytes = [lsn.to_le_bytes(), life.to_le_bytes()].concat();
    let length = rng.usize(..120);
    bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(length));
    bytes
}

/// Whether a record has this lsn and is as it was made, in whatever life.
fn is_sound(lsn: u64, bytes: &[u8]) -> bool {
    let life = bytes.get(8..16).and_then(|life| life.try_into().ok()).map(u64::from_le_bytes);
    life.is_some_and(|life| record(lsn, life) == bytes)
}

fn storage(disk: &SimulatedDisk) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

/// What a power cut would leave of a disk, which works on.
fn crashed(disk: &SimulatedDisk, seed: u64) -> SimulatedDisk {
    let copy = disk.fork(seed);
    copy.crash();
    copy.restart();
    copy
}

struct Running {
    log: Log,
    gate: Arc<Gate>,
    flusher: Flusher,
    preparer: Preparer,
}

impl Running {
    /// Seals a batch of so many records.
    fn seal(&mut self, records: u64) {
        let first = self.log.last() + 1;
        let epoch = self.log.epoch();
        for lsn in first..first + records {
            self.log.record(|bytes| bytes.extend_from_slice(&record(lsn, epoch)));
        }
        self.log.seal(Batch { first, last: first + records - 1, time_ms: 1_000 + first });
    }

    /// Seals and flushes batches of so many records, making segments where they are needed.
    fn flush(&mut self, batches: &[u64]) {
        for records in batches {
            self.seal(*records);
            self.log.flush().unwrap();
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.flusher.step().unwrap() {
                Step::Nothing => return,
                Step::Flushed(_) => {}
                Step::Postponed => assert!(self.preparer.prepare().unwrap(), "the disk is full"),
            }
        }
    }
}

/// What replaying gives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replayed {
    /// By lsn, from the first after the position.
    records: Vec<Vec<u8>>,
    kinds: Vec<FrameKind>,
    /// Where each frame stood, and after the last.
    positions: Vec<Position>,
}

fn open(
    disk: &SimulatedDisk,
    options: LogOptions,
    from: Option<Position>,
) -> Result<(Running, Recovered, Replayed), LogError> {
    let mut recovery = Recovery::open(storage(disk), options, from, LOG_ID)?;
    let mut replayed = Replayed { positions: vec![recovery.position()], ..Replayed::default() };
    let first = recovery.position().next_lsn;
    while let Some(frame) = recovery.next_frame()? {
        replayed.kinds.push(frame.header.kind);
        for (lsn, bytes) in frame.records() {
            assert_eq!(lsn, first + replayed.records.len() as u64, "records come in their order");
            assert!(is_sound(lsn, bytes), "record {lsn} is not as it was written");
            replayed.records.push(bytes.to_vec());
        }
        replayed.positions.push(recovery.position());
    }
    let (gate, mut hands) = Gate::new(1);
    let (log, recovered) = recovery.resume(hands.remove(0))?;
    assert_eq!(recovered.records, replayed.records.len() as u64);
    assert_eq!(gate.passed(), recovered.last_lsn, "what was recovered is durable");
    let (flusher, preparer) = (log.flusher().unwrap(), log.preparer().unwrap());
    Ok((Running { log, gate, flusher, preparer }, recovered, replayed))
}

fn start(disk: &SimulatedDisk) -> Running {
    open(disk, small(), None).unwrap().0
}
