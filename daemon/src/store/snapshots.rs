//! When images are made: by time, by what the log has grown, on demand. One at a time, on a thread that yields to all
//! others as long as the log does not run away from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, current, park_timeout, scope, yield_now};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::due::{Need, Since};
use super::keeper::Keeping;
use super::{Follower, Made, StoreError};
use crate::clock::Moment;
use crate::priority::yield_to_others;

/// How often it is looked whether an image is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After a full disk, an image that is due is tried again after this time.
const FULL_US: u64 = 10_000_000;
/// How long after an image the follower stands ready for the next: under load it is wanted soon, and to load the state anew
/// reads the image once more into memory that has to be cleared first. An idle daemon gives the memory back.
const STAND_US: u64 = 60_000_000;

/// Why an image that was asked for was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// Nothing is kept on disk.
    NothingKept,
    /// The disk, or the memory that the process may have, has no room for it.
    Full,
    /// The daemon stops.
    Stopping,
}

type Answer = Box<dyn FnOnce(Result<Made, NotMade>) + Send>;

/// The images of a running daemon, as those see them who ask for one.
#[derive(Default)]
pub struct Snapshots {
    asked: Mutex<Vec<Answer>>,
    called: Condvar,
    /// Set under the lock of what was asked.
    stop: AtomicBool,
    made: AtomicU64,
    lsn: AtomicU64,
    bytes: AtomicU64,
    took_us: AtomicU64,
}

/// The last image that there is; all 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastImage {
    /// Its last record.
    pub lsn: u64,
    /// The segment that the log was in.
    pub segment: u64,
    /// Its length.
    pub bytes: u64,
}

/// What it is judged by when the next one is due.
pub(super) struct Last {
    pub(super) image: LastImage,
    pub(super) at: Moment,
}

impl Last {
    fn since(&self, keeping: &Keeping) -> Since {
        let grown = keeping.preparer.kept().iter().filter(|segment| **segment >= self.image.segment).count();
        Since {
            has_records: keeping.flusher.durable() > self.image.lsn,
            us: keeping.clock.moment().us_since(self.at),
            log_bytes: grown as u64 * keeping.segment_bytes,
            image_bytes: self.image.bytes,
        }
    }

    fn need(&self, keeping: &Keeping) -> Need {
        self.since(keeping).need(&keeping.limits)
    }
}

impl Snapshots {
    /// Asks for an image of all that is durable now; `answer` is called with what became of it, on the thread that makes it.
    pub fn ask(&self, answer: impl FnOnce(Result<Made, NotMade>) + Send + 'static) {
        let mut asked = self.asked.lock();
        if self.is_stopping() {
            drop(asked);
            return answer(Err(NotMade::Stopping));
        }
        asked.push(Box::new(answer));
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
        let asked = self.asked.lock();
        self.stop.store(true, Ordering::Relaxed);
        drop(asked);
        self.called.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes images until told to stop.
    pub(super) fn run(&self, keeping: &Keeping, mut last: Last) {
        self.lsn.store(last.image.lsn, Ordering::Relaxed);
        let mut standing = None;
        while let Some(answers) = self.wait(keeping, &last, &mut standing) {
            let begun = keeping.clock.moment();
            let segment = keeping.preparer.kept().last().map_or(0, |segment| segment + 1);
            let outcome = self.make(keeping, &last, &mut standing, !answers.is_empty());
            let now = keeping.clock.moment();
            let answer = match outcome {
                Ok(Some(made)) => {
                    keeping.preparer.release_before(made.needed_from);
                    last.at = now;
                    last.image = LastImage { lsn: made.lsn, segment, ..last.image };
                    if made.bytes > 0 {
                        last.image.bytes = made.bytes;
                        self.tell(&made, now.us_since(begun));
                    }
                    Ok(made)
                }
                Ok(None) => Err(NotMade::Stopping),
                Err(error) if error.is_full() || matches!(error, StoreError::Reserve(_)) => {
                    tracing::warn!(%error, "no image could be made; the log goes on, make room");
                    let again_us = keeping.limits.every_us.saturating_sub(FULL_US);
                    last.at = Moment(now.0.saturating_sub(again_us * 1_000));
                    last.image.segment = segment;
                    Err(NotMade::Full)
                }
                Err(error) => return (keeping.on_fault)(error),
            };
            answers.into_iter().for_each(|tell| tell(answer.clone()));
        }
    }

    /// Blocks until an image is wanted; `None` at the end. A follower that has stood for long enough goes.
    fn wait(&self, keeping: &Keeping, last: &Last, standing: &mut Option<Follower>) -> Option<Vec<Answer>> {
        let mut asked = self.asked.lock();
        loop {
            let answers = std::mem::take(&mut *asked);
            if self.is_stopping() {
                drop(asked);
                answers.into_iter().for_each(|tell| tell(Err(NotMade::Stopping)));
                return None;
            }
            if !answers.is_empty() || last.need(keeping) != Need::None {
                return Some(answers);
            }
            if standing.is_some() && keeping.clock.moment().us_since(last.at) >= STAND_US {
                MutexGuard::unlocked(&mut asked, || *standing = None);
                continue;
            }
            self.called.wait_for(&mut asked, LOOK_EVERY);
        }
    }

    /// Makes one; `None` where the daemon stops meanwhile. As long as nobody waits for it and it is not overdue, a thread makes
    /// it that takes what is left of the processor. It is a thread for this image alone, since what a thread has yielded it may
    /// not take back; and it takes no lock, since it would keep it while others have the processor.
    fn make(
        &self,
        keeping: &Keeping,
        last: &Last,
        standing: &mut Option<Follower>,
        is_asked: bool,
    ) -> Result<Option<Made>, StoreError> {
        let upto = keeping.flusher.durable();
        let (storage, rules, log_start) = (&keeping.storage, &keeping.rules, keeping.log_start);
        // An error ends it; then the next one begins with the last image.
        let mut follower = standing
            .take()
            .unwrap_or_else(|| Follower::new(Arc::clone(storage), rules.clone(), log_start, upto));
        follower.go_on_to(upto);
        let is_urgent = || last.need(keeping) == Need::Overdue || !self.asked.lock().is_empty();
        let urgent = AtomicBool::new(is_asked || is_urgent());
        let mut made = None;
        if !urgent.load(Ordering::Relaxed) {
            let waiter = current();
            made = scope(|scope| {
                let patiently = || {
                    yield_to_others();
                    let made = self.follow(&mut follower, &urgent, || 1);
                    waiter.unpark();
                    made
                };
                let thread = Builder::new().name("snapshots".to_owned()).spawn_scoped(scope, patiently);
                let Ok(thread) = thread else { return Ok(None) };
                while !thread.is_finished() {
                    park_timeout(LOOK_EVERY);
                    urgent.fetch_or(is_urgent(), Ordering::Relaxed);
                }
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        }
        if made.is_none() {
            tracing::debug!(is_asked, "an image is made at normal priority");
            let steps = || last.since(keeping).steps_at_a_time(&keeping.limits);
            made = self.follow(&mut follower, &AtomicBool::new(false), steps)?;
        }
        *standing = Some(follower);
        Ok(made)
    }

    /// Goes on with one until it is made, somebody stops it, or `ends` is set, so many steps at a time. Between them it offers
    /// the processor: one of its turns is short then, where the scheduler's are long enough for replies to wait for them.
    fn follow(
        &self,
        follower: &mut Follower,
        ends: &AtomicBool,
        steps: impl Fn() -> u64,
    ) -> Result<Option<Made>, StoreError> {
        while !self.is_stopping() && !ends.load(Ordering::Relaxed) {
            for _ in 0..steps() {
                if let Some(made) = follower.step_while(&|| !self.is_stopping())? {
                    return Ok(Some(made));
                }
            }
            yield_now();
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
