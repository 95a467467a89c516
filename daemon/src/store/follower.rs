//! How an image is made: a follower loads the last one, replays the durable log on it, and writes the next. It is
//! recovery over again, beside the live state and without a word to the committer, so nothing waits for it, and every
//! image proves that the one before it and the log since then give a state.

use std::sync::Arc;

use earmark_engine::{Rules, State};
use earmark_snapshot::image::ImageWriter;
use earmark_snapshot::log::{LogReader, Position};
use earmark_snapshot::storage::Storage;

use super::StoreError;
use super::images::{self, Made};
use super::load::load;
use super::replay::Replay;

/// What one step does: frames replayed, or operations of the writer.
const STRIDE: (usize, usize) = (16, images::OPERATIONS);

/// An image on its way.
pub struct Follower {
    storage: Arc<dyn Storage>,
    rules: Rules,
    log_start: Position,
    upto: u64,
    stride: (usize, usize),
    at: At,
    replay: Replay,
}

enum At {
    Begun,
    Replaying { state: Box<State>, reader: LogReader },
    Writing { state: Box<State>, writer: ImageWriter },
    Ended,
}

impl Follower {
    /// A follower that makes an image of all records up to `upto`, which are durable. `log_start` is where it begins when
    /// there is no image.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, rules: Rules, log_start: Position, upto: u64) -> Self {
        Self { storage, rules, log_start, upto, stride: STRIDE, at: At::Begun, replay: Replay::default() }
    }

    /// The same, in steps of so many frames replayed and so many operations of writing.
    #[must_use]
    pub fn in_steps_of(mut self, frames: usize, operations: usize) -> Self {
        self.stride = (frames, operations);
        self
    }

    /// Goes on: some frames replayed, or some of the image written. What was made, when it is; the follower has ended then,
    /// as it has after an error.
    ///
    /// # Errors
    /// A fault, or what stands in the way of reading what was written. A full disk leaves everything as it was.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn step(&mut self) -> Result<Option<Made>, StoreError> {
        match std::mem::replace(&mut self.at, At::Ended) {
            At::Begun => {
                let loaded = load(&*self.storage, &self.rules, 1, &|_| {})?;
                let position = loaded.cut.map_or(self.log_start, |cut| cut.position);
                let reader = LogReader::new(Arc::clone(&self.storage), position)?;
                self.at = At::Replaying { state: Box::new(loaded.state), reader };
            }
            At::Replaying { mut state, mut reader } => {
                for _ in 0..self.stride.0 {
                    let Some(frame) = reader.next_durable(self.upto)? else {
                        return self.begin_writing(state, reader.position());
                    };
                    self.replay.frame(&mut state, &frame)?;
                }
                self.at = At::Replaying { state, reader };
            }
            At::Writing { mut state, mut writer } => {
                if let Some(bytes) = images::go_on(&*self.storage, &mut state, &mut writer, self.stride.1)? {
                    return images::made(&*self.storage, state.lsn().0, bytes).map(Some);
                }
                self.at = At::Writing { state, writer };
            }
            At::Ended => panic!("a follower is stepped on after its end"),
        }
        Ok(None)
    }

    fn begin_writing(
        &mut self,
        mut state: Box<State>,
        position: Position,
    ) -> Result<Option<Made>, StoreError> {
        let lsn = state.lsn().0;
        let made = images::made(&*self.storage, lsn, 0)?;
        if made.kept.first().is_some_and(|newest| newest.lsn == lsn) {
            return Ok(Some(made));
        }
        let writer = images::begin(&self.storage, &mut state, position)?;
        self.at = At::Writing { state, writer };
        Ok(None)
    }
}
