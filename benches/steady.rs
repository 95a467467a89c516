//! Plain holds in steady state: they expire as fast as they come, and each forgets one that ended long ago.

use earmark_engine::{
    CommandRef, Decision, Outcome, PREFETCH, State, Submission, apply, decide, expire, prefetch,
};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::TimestampMs;

use crate::{Random, START, TENANT, filled, holds};

/// Nodes of the world; each has each sku.
pub const NODES: u32 = 10;

/// Holds in one batch.
pub const BATCH: usize = 64;

/// What part of the table is live; the rest remembers what has ended.
const LIVE_PART: u32 = 16;

/// A world whose table is full of ended holds that are remembered until their room is needed.
pub struct Steady {
    /// The world.
    pub state: State,
    /// Where its random numbers stand.
    pub random: Random,
    now: TimestampMs,
    decision: Decision,
    log: Vec<u8>,
    skus: u32,
    lifetime_ms: u32,
}

impl Steady {
    /// A world of so many cells in which `reservations` are remembered.
    #[must_use]
    pub fn new(cells: u32, reservations: u32) -> Self {
        let mut steady = Self {
            state: filled(cells, NODES, reservations),
            random: Random(9),
            now: START,
            decision: Decision::default(),
            log: Vec::new(),
            skus: cells / NODES,
            // A batch comes every millisecond.
            lifetime_ms: reservations / LIVE_PART / BATCH as u32,
        };
        for _ in 0..reservations as usize / BATCH + 1 {
            let batch = steady.next_batch();
            steady.expire();
            steady.commit(&batch);
        }
        steady
    }

    /// The next millisecond's holds, on random cells.
    pub fn next_batch(&mut self) -> Vec<HoldOne> {
        self.now = self.now.plus_ms(1);
        self.log.clear();
        let mut batch = holds(&mut self.random, self.now, BATCH, self.skus, NODES);
        batch.iter_mut().for_each(|hold| hold.lifetime_ms = self.lifetime_ms);
        batch
    }

    /// Expires what is due.
    pub fn expire(&mut self) {
        while expire(&mut self.state, self.now, BATCH, &mut self.decision) {
            apply(&mut self.state, &self.decision.record);
            self.decision.record.encode(&mut self.log);
        }
    }

    /// Decides, applies and encodes a batch, as the committer does.
    pub fn commit(&mut self, batch: &[HoldOne]) {
        let Self { state, decision, log, now, .. } = self;
        for batch in batch.chunks(PREFETCH) {
            prefetch(state, batch.iter());
            for hold in batch {
                let command = CommandRef::One(hold);
                let content = hold.content_hash();
                let submission = Submission { tenant: TENANT, content, command, planned: None, last: false };
                decide(state, *now, &submission, decision);
                apply(state, &decision.record);
                decision.record.encode(log);
                let is_held = matches!(decision.outcome, Outcome::HoldOne(HoldOneReply::Held { .. }));
                assert!(is_held, "{:?}", decision.outcome);
            }
        }
    }
}
