//! How images are made: a follower loads the last one, replays the durable log on it, and writes the next. It is
//! recovery over again, beside the live state and without a word to the committer, so nothing waits for it. It stands
//! where its last image is, and goes on from there for the next.

use std::ops::ControlFlow;
use std::sync::Arc;

use earmark_engine::{Rules, State};
use earmark_snapshot::image::ImageWriter;
use earmark_snapshot::log::{LogReader, Position};
use earmark_snapshot::storage::Storage;

use super::StoreError;
use super::images::{self, Made};
use super::load::load;
use super::replay::Replay;

/// What one step does: frames replayed until they come to so many records, a tenth of a millisecond; or operations of the
/// writer, which wait for the disk.
const STRIDE: (u64, usize) = (512, images::OPERATIONS);

/// A state some way behind the live one, for images.
pub struct Follower {
    storage: Arc<dyn Storage>,
    rules: Rules,
    log_start: Position,
    upto: u64,
    stride: (u64, usize),
    at: At,
    replay: Replay,
}

enum At {
    Begun,
    Replaying(Copied),
    Writing(Copied, ImageWriter),
    Ended,
}

/// The state, and the log behind it.
struct Copied {
    state: Box<State>,
    reader: LogReader,
}

impl Follower {
    /// A follower that makes an image of all records up to `upto`, which are durable. `log_start` is where it begins when
    /// there is no image.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, rules: Rules, log_start: Position, upto: u64) -> Self {
        Self { storage, rules, log_start, upto, stride: STRIDE, at: At::Begun, replay: Replay::default() }
    }

    /// The same, in steps of so many records, in whole frames, and so many operations of writing.
    #[must_use]
    pub fn in_steps_of(mut self, records: u64, operations: usize) -> Self {
        self.stride = (records, operations);
        self
    }

    /// Has it make the next image, of all records up to `upto`, which are durable.
    pub fn go_on_to(&mut self, upto: u64) {
        self.upto = upto;
    }

    /// Goes on: some frames replayed, or some of the image written. What was made, when it is. After an error it has ended.
    ///
    /// # Errors
    /// A fault, or what stands in the way of reading what was written. A full disk leaves everything as it was.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn step(&mut self) -> Result<Option<Made>, StoreError> {
        self.step_while(&|| true)
    }

    /// The same, as long as it is wanted: to load an image takes long, and is given up within a piece of it. The next step
    /// begins it anew.
    ///
    /// # Errors
    /// As [`Follower::step`].
    ///
    /// # Panics
    /// As [`Follower::step`].
    pub fn step_while(&mut self, is_wanted: &(dyn Fn() -> bool + Sync)) -> Result<Option<Made>, StoreError> {
        let (at, made) = match std::mem::replace(&mut self.at, At::Ended) {
            At::Begun => match self.load(is_wanted) {
                Ok(copied) => (At::Replaying(copied), None),
                Err(StoreError::GivenUp) => (At::Begun, None),
                Err(error) => return Err(error),
            },
            At::Replaying(copied) => self.replay(copied)?,
            At::Writing(mut copied, mut writer) => {
                match images::go_on(&*self.storage, &mut copied.state, &mut writer, self.stride.1)? {
                    None => (At::Writing(copied, writer), None),
                    Some(bytes) => {
                        let made = images::made(&*self.storage, copied.state.lsn().0, bytes)?;
                        (At::Replaying(copied), Some(made))
                    }
                }
            }
            At::Ended => panic!("a follower is stepped on after its end"),
        };
        self.at = at;
        Ok(made)
    }

    fn load(&self, is_wanted: &(dyn Fn() -> bool + Sync)) -> Result<Copied, StoreError> {
        let progress = |_| if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        let loaded = load(&*self.storage, &self.rules, 1, &progress)?;
        let position = loaded.cut.map_or(self.log_start, |cut| cut.position);
        let reader = LogReader::new(Arc::clone(&self.storage), position)?;
        Ok(Copied { state: Box::new(loaded.state), reader })
    }

    fn replay(&mut self, mut copied: Copied) -> Result<(At, Option<Made>), StoreError> {
        let Copied { state, reader } = &mut copied;
        let begun = state.lsn().0;
        while state.lsn().0 - begun < self.stride.0 {
            if let Some(frame) = reader.next_durable(self.upto)? {
                self.replay.frame(state, &frame)?;
                continue;
            }
            let lsn = state.lsn().0;
            let made = images::made(&*self.storage, lsn, 0)?;
            if made.kept.first().is_some_and(|newest| newest.lsn == lsn) {
                return Ok((At::Replaying(copied), Some(made)));
            }
            let writer = images::begin(&self.storage, state, reader.position())?;
            return Ok((At::Writing(copied, writer), None));
        }
        Ok((At::Replaying(copied), None))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use earmark_engine::Capacity;
    use earmark_snapshot::storage::DataDir;

    use super::*;

    #[test]
    fn an_image_that_is_not_wanted_any_more_is_given_up_while_it_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(DataDir::open(directory.path()).unwrap());
        let mut state = State::new(&Capacity::smallest(), Rules::default()).unwrap();
        let start = Position::start(7);
        images::write_image(&storage, &mut state, start).unwrap();
        let mut follower = Follower::new(storage, Rules::default(), start, 0);
        let asked = AtomicU64::new(0);
        let is_wanted = || {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        };
        assert!(matches!(follower.step_while(&is_wanted), Ok(None)));
        assert_eq!(asked.into_inner(), 1, "after the first piece");
        assert!(matches!(follower.at, At::Begun), "the next step begins anew");
    }
}
