//! From the end of one life to the next: what is left is read by a witness and compared with what must be, and then by a
//! start, which must find the same.

use std::sync::Arc;

use earmark::store::{Opening, Replay, StoreError, load, to_the_end};
use earmark_engine::{State, digest};
use earmark_snapshot::image::{ImageReader, images};
use earmark_snapshot::log::{LogError, LogReader, Position};

use super::{End, World};
use crate::drive::{compare, compare_all};
use crate::life::{Birth, Life};
use crate::model::Model;
use crate::truth::Event;

/// Starts that may fail one after the other: each takes what was planned to go wrong with it.
const ATTEMPTS_MAX: usize = 60;

/// What a witness finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// All that must be there, and perhaps more.
    All,
    /// Less: the start must say that something is damaged, if anything is left that shows it.
    Less,
}

impl World {
    /// Starts the daemon, as often as it takes; `None` where the run ends, since what is there is damaged.
    pub(super) fn begin(&mut self) -> Option<Life> {
        for _ in 0..ATTEMPTS_MAX {
            let error = match self.witness().and_then(|left| self.start(left)) {
                Ok(life) => return life,
                Err(error) => error,
            };
            self.story.tell(&format!("no start: {error}"));
            if self.judge_error(&error) {
                self.story.met.refused_damage += 1;
                return None;
            }
            self.story.met.failed_starts += 1;
            self.after(End::Died);
        }
        panic!("{ATTEMPTS_MAX} starts failed one after the other");
    }

    /// Reads what is there before the daemon does, and compares it with what must be.
    fn witness(&mut self) -> Result<Left, StoreError> {
        self.assert_images_whole()?;
        let loaded = load(&*self.storage, &self.rules, 1, &to_the_end)?;
        let (mut state, cut) = (loaded.state, loaded.cut);
        let position = cut.map_or(Position::start(self.log_id), |cut| cut.position);
        let mut reader = match LogReader::new(Arc::clone(&self.storage), position) {
            // Not even the first segment was made.
            Err(LogError::Missing { segment: 1, .. }) if cut.is_none() => return Ok(self.left(None)),
            reader => reader?,
        };
        let mut replay = Replay::default();
        while let Some(frame) = reader.next_frame()? {
            replay.frame(&mut state, &frame)?;
        }
        Ok(self.left(Some(&state)))
    }

    /// A file with an image's name is a whole image, unless the disk has lied.
    fn assert_images_whole(&self) -> Result<(), StoreError> {
        for image in
            images(&*self.storage)?.iter().filter(|_| !self.weather.has_lied && !self.weather.has_spoilt)
        {
            let reader = ImageReader::open(&*self.storage, &image.name)?;
            for section in reader.sections() {
                reader.load(section, &mut vec![0; section.bytes() as usize])?;
            }
        }
        Ok(())
    }

    /// This state is what is left.
    fn left(&mut self, state: Option<&State>) -> Left {
        let lsn = state.as_ref().map_or(0, |state| state.lsn().0);
        let (told, proven) = (self.truth.told_lsn(), self.truth.proven_lsn());
        let promised = if self.is_interval() { told.min(self.durable) } else { told };
        self.story.tell(&format!(
            "records up to {lsn} are left; {} were decided, {told} told, {proven} proven",
            self.truth.lsn()
        ));
        assert!(lsn <= self.truth.lsn(), "records up to {lsn}, though {} were decided", self.truth.lsn());
        // A record that nobody waited for, of a start, can be proven by what was written behind it.
        let promised = promised.max(proven);
        if lsn < promised {
            assert!(self.weather.has_lied, "records up to {promised} were promised, {lsn} are left");
            if lsn < proven || self.window_used {
                return Left::Less;
            }
            // The last flush, with nothing written behind it: docs/testing.md, and snapshot/src/log/tail.rs.
            self.window_used = true;
            self.story.met.windows += 1;
        }
        self.story.met.lost_unanswered += self.truth.lsn() - lsn;
        self.truth.cut(lsn);
        self.durable = self.durable.min(lsn);
        self.found_capacity = state.as_ref().map(|state| state.capacity().clone());
        let Some(state) = state else { return Left::All };
        self.truth.assert_digest(lsn, digest(state), "what was replayed");
        let reader = state.reader();
        compare(&self.truth.live, &reader, state);
        compare_all(&self.truth.live, &reader);
        Left::All
    }

    fn start(&mut self, left: Left) -> Result<Option<Life>, StoreError> {
        if let Some(change) = self.weather.at_start(&mut self.dice) {
            self.story.tell(&change);
        }
        if self.dice.one_in(4) && !self.truth.live.limits.tight {
            self.capacity.reservations += 10;
            self.capacity.cells += 50;
        }
        let opening = Opening {
            rules: self.rules.clone(),
            capacity: self.capacity.clone(),
            grace_ms: *self.dice.pick(&[0, 100, 20_000]),
            log: self.log.clone(),
            new_log_id: self.log_id,
            now: self.now(),
            threads: 1,
        };
        let found = self.truth.lsn();
        if left == Left::All {
            self.expect_start(&opening);
        }
        let birth = Birth { storage: &self.storage, opening: &opening, clock: &self.clock };
        let (mut life, recovered) = Life::begin(&birth)?;
        if left == Left::Less {
            // One misdirected write can be longer than all that was flushed last. Where it begins inside a frame, the
            // header of that one is left, and looks like a torn tail; no other may be.
            assert!(
                recovered.torn.is_none_or(|torn| torn.frames == 1),
                "records are gone that were promised, and the start takes them for torn: {:?}",
                recovered.torn
            );
            self.story.tell("nothing is left of what was written last");
            return Ok(None);
        }
        self.story.tell(&format!("started: {recovered:?}"));
        assert_eq!(recovered.last_lsn, found, "the start found what the witness had read");
        let must_tell = self.stopped_cleanly && !self.weather.has_lied;
        assert!(recovered.was_stopped || !must_tell, "a clean stop is found at the next start");
        self.stopped_cleanly = false;
        self.story.met.starts += 1;
        self.story.met.torn += u64::from(recovered.torn.is_some());
        self.truth.prove(recovered.last_lsn);
        self.durable = life.durable();
        self.look(&mut life);
        compare_all(&self.truth.live, life.reader());
        Ok(Some(life))
    }

    /// What a start adds to what it found. Where it fails half-way, the next witness says what of it is there.
    fn expect_start(&mut self, opening: &Opening) {
        let now = self.now();
        if self.found_capacity.as_ref() != Some(&opening.capacity) {
            self.truth.happened(now, Event::Resized);
        }
        let until = now.plus_ms(opening.grace_ms);
        if Model::clone(&self.truth.live).grant(until) {
            self.truth.happened(now, Event::Granted(until));
        }
    }
}
