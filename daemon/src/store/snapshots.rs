//! When images are made: by time, by what the log has grown, on demand. One at a time, on a thread that yields to all
//! others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::keeper::Keeping;
use super::{Follower, Made, StoreError};
use crate::clock::Moment;

/// How often it is looked whether an image is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After a full disk, an image that is due is tried again after this time.
const FULL_US: u64 = 10_000_000;

/// Why an image that was asked for was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// Nothing is kept on disk.
    NothingKept,
    /// The disk has no room for it.
    Full,
    /// The daemon stops.
    Stopping,
}

type Answer = Box<dyn FnOnce(Result<Made, NotMade>) + Send>;

/// The images of a running daemon, as those see them who ask for one.
#[derive(Default)]
pub struct Snapshots {
    asked: Mutex<Asked>,
    called: Condvar,
    made: AtomicU64,
    lsn: AtomicU64,
    bytes: AtomicU64,
    took_us: AtomicU64,
}

#[derive(Default)]
struct Asked {
    answers: Vec<Answer>,
    stop: bool,
}

/// What the last image left behind, for judging when the next is due.
pub(super) struct Last {
    pub(super) lsn: u64,
    /// The segment that the log was in.
    pub(super) segment: u64,
    pub(super) at: Moment,
}

impl Snapshots {
    /// Asks for an image of all that is durable now; `answer` is called with what became of it, on the thread that makes it.
    pub fn ask(&self, answer: impl FnOnce(Result<Made, NotMade>) + Send + 'static) {
        let mut asked = self.asked.lock();
        if asked.stop {
            drop(asked);
            return answer(Err(NotMade::Stopping));
        }
        asked.answers.push(Box::new(answer));
        self.called.notify_all();
    }

    /// Levels by name.
    #[must_use]
    pub fn levels(&self) -> [(&'static str, u64); 4] {
        let level = |level: &AtomicU64| level.load(Ordering::Relaxed);
        [
            ("snapshots_made", level(&self.made)),
            ("snapshot_lsn", level(&self.lsn)),
            ("snapshot_bytes", level(&self.bytes)),
            ("snapshot_took_us", level(&self.took_us)),
        ]
    }

    pub(super) fn stop(&self) {
        self.asked.lock().stop = true;
        self.called.notify_all();
    }

    /// Makes images until told to stop.
    pub(super) fn run(&self, keeping: &Keeping, mut last: Last) {
        self.lsn.store(last.lsn, Ordering::Relaxed);
        while let Some(answers) = self.wait(keeping, &last) {
            let begun = keeping.clock.moment();
            let segment = keeping.preparer.kept().last().map_or(0, |segment| segment + 1);
            let outcome = self.make(keeping);
            let now = keeping.clock.moment();
            let answer = match outcome {
                Ok(Some(made)) => {
                    keeping.preparer.release_before(made.needed_from);
                    last = Last { lsn: made.lsn, segment, at: now };
                    if made.bytes > 0 {
                        self.tell(&made, now.us_since(begun));
                    }
                    Ok(made)
                }
                Ok(None) => Err(NotMade::Stopping),
                Err(error) if error.is_full() => {
                    tracing::warn!(%error, "no image could be made; the log goes on, make room");
                    let again_us = keeping.every_us.saturating_sub(FULL_US);
                    last = Last { at: Moment(now.0.saturating_sub(again_us * 1_000)), segment, ..last };
                    Err(NotMade::Full)
                }
                Err(error) => return (keeping.on_fault)(error),
            };
            answers.into_iter().for_each(|tell| tell(answer.clone()));
        }
    }

    /// Blocks until an image is wanted; `None` at the end.
    fn wait(&self, keeping: &Keeping, last: &Last) -> Option<Vec<Answer>> {
        let mut asked = self.asked.lock();
        loop {
            let answers = std::mem::take(&mut asked.answers);
            if asked.stop {
                drop(asked);
                answers.into_iter().for_each(|tell| tell(Err(NotMade::Stopping)));
                return None;
            }
            if !answers.is_empty() || is_due(keeping, last) {
                return Some(answers);
            }
            self.called.wait_for(&mut asked, LOOK_EVERY);
        }
    }

    /// Makes one; `None` where the daemon stops meanwhile.
    fn make(&self, keeping: &Keeping) -> Result<Option<Made>, StoreError> {
        let (storage, rules) = (keeping.storage.clone(), keeping.rules.clone());
        let mut follower = Follower::new(storage, rules, keeping.log_start, keeping.flusher.durable());
        while !self.asked.lock().stop {
            if let Some(made) = follower.step()? {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    fn tell(&self, made: &Made, took_us: u64) {
        tracing::info!(lsn = made.lsn, bytes = made.bytes, took_ms = took_us / 1_000, "made an image");
        self.made.fetch_add(1, Ordering::Relaxed);
        self.lsn.store(made.lsn, Ordering::Relaxed);
        self.bytes.store(made.bytes, Ordering::Relaxed);
        self.took_us.store(took_us, Ordering::Relaxed);
    }
}

fn is_due(keeping: &Keeping, last: &Last) -> bool {
    if keeping.flusher.durable() <= last.lsn {
        return false;
    }
    let grown = keeping.preparer.kept().iter().filter(|segment| **segment >= last.segment).count();
    keeping.clock.moment().us_since(last.at) >= keeping.every_us
        || grown as u64 * keeping.segment_bytes >= keeping.log_bytes
}
