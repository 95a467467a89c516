//! One batch: the time is stamped once, due holds expire, each command is decided, encoded into the log and
//! applied, and the log is sealed. The rules are the engine's; this room only keeps the order.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use earmark_engine::routing::Planner;
use earmark_engine::{
    CommandRef, Decision, Outcome, Reader, State, Submission, apply, decide, expire, quantities,
};
use earmark_protocol::command::CommandBody;
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply};
use earmark_snapshot::{Batch, Log};

use super::work::push_one;
use super::{Counters, Full, Item, Tally, Work, push_reply, refuse, refuse_one};
use crate::clock::{Clock, Moment};

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Commands.
    pub commands_max: usize,
    /// Holds expired.
    pub expiries_max: usize,
}

/// The state, and all that the one who plays the committer works with.
pub(super) struct Writer {
    state: State,
    reader: Reader,
    log: Log,
    pace: Pace,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
    decision: Decision,
    planner: Planner,
    tally: Tally,
    decided: Vec<Work>,
    now: TimestampMs,
}

impl Writer {
    pub(super) fn new(
        state: State,
        log: Log,
        pace: Pace,
        clock: Arc<Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            reader: state.reader(),
            now: state.now(),
            state,
            log,
            pace,
            clock,
            counters,
            decision: Decision::default(),
            planner: Planner::new(),
            tally: Tally::default(),
            decided: Vec::new(),
        }
    }

    /// Decides what is queued, up to a batch. Whether there was anything to do: call it again then.
    pub(super) fn batch(&mut self, queue: &ArrayQueue<Work>) -> bool {
        self.now = self.now.max(self.clock.now());
        let moment = self.clock.moment();
        let first = self.state.lsn().0 + 1;
        let expired = expire(&mut self.state, self.now, self.pace.expiries_max, &mut self.decision);
        if expired {
            self.tally.expiry_records += 1;
            self.take_record();
        }
        let mut commands = 0;
        while commands < self.pace.commands_max
            && let Some(mut work) = queue.pop()
        {
            commands += work.items.len();
            work.decided = moment;
            self.decide(&mut work, moment);
            self.decided.push(work);
        }
        if !expired && self.decided.is_empty() {
            return false;
        }
        let last = self.state.lsn();
        if last.0 >= first {
            self.log.seal(Batch { first, last: last.0, time_ms: self.now.0 });
        }
        self.tally.batches += 1;
        self.counters.add(&mut self.tally);
        for mut work in self.decided.drain(..) {
            // All of a batch becomes durable together, so all of it waits for its last record.
            work.lsn = last;
            Arc::clone(&work.desk).decided(work);
        }
        true
    }

    /// When the next hold may be due.
    pub(super) fn next_due(&self) -> Option<TimestampMs> {
        self.state.next_due()
    }

    pub(super) fn levels(&self) -> Vec<(&'static str, u64)> {
        let mut levels = self.state.levels();
        levels.push(("log_bytes", self.log.bytes()));
        levels.push(("log_batches", self.log.batches()));
        levels
    }

    fn decide(&mut self, work: &mut Work, moment: Moment) {
        let waited_ms = moment.us_since(work.arrived) / 1_000;
        let gave_up = |give_up_ms: u32| give_up_ms != 0 && waited_ms > u64::from(give_up_ms);
        let mut items = std::mem::take(&mut work.items);
        for item in items.drain(..) {
            match item {
                Item::One(one) => {
                    self.tally.commands += 1;
                    self.tally.holds_one += 1;
                    work.answered += 1;
                    if gave_up(one.hold.give_up_ms) {
                        self.tally.refuse_code(RefusalCode::GaveUp);
                        refuse_one(&mut work.replies, one.correlation, RefusalCode::GaveUp);
                        continue;
                    }
                    let submission = Submission {
                        tenant: work.tenant,
                        content: one.content,
                        command: CommandRef::One(&one.hold),
                        planned: None,
                        last: true,
                    };
                    decide(&self.state, self.now, &submission, &mut self.decision);
                    self.take_record();
                    let Outcome::HoldOne(reply) = &self.decision.outcome else {
                        unreachable!("a fixed message is answered by a fixed reply");
                    };
                    if let HoldOneReply::Refused(refused) = reply {
                        self.tally.refuse(&refused.refusal);
                    }
                    push_one(&mut work.replies, one.correlation, reply);
                }
                Item::Full(full) if gave_up(full.command.give_up_ms) => {
                    self.tally.commands += 1;
                    self.tally.refuse_code(RefusalCode::GaveUp);
                    work.answered += 1;
                    refuse(&mut work.replies, full.correlation, RefusalCode::GaveUp);
                }
                Item::Full(full) => {
                    if let Some(full) = self.decide_full(work, full) {
                        self.tally.conflicts += 1;
                        work.again.push(full);
                    }
                }
                Item::Ask(ask) => {
                    work.answered += 1;
                    push_reply(&mut work.replies, ask.correlation, &self.answer(work.tenant, &ask.query));
                }
            }
        }
        work.items = items;
    }

    /// Decides a command and answers it; gives it back where its plan no longer fits.
    fn decide_full(&mut self, work: &mut Work, mut full: Box<Full>) -> Option<Box<Full>> {
        self.decide_once(work.tenant, &full);
        if matches!(self.decision.outcome, Outcome::Conflict) && self.repair(work.tenant, &mut full) {
            self.decide_once(work.tenant, &full);
            if !matches!(self.decision.outcome, Outcome::Conflict) {
                self.tally.repairs += 1;
            }
        }
        match &self.decision.outcome {
            Outcome::Conflict => return Some(full),
            Outcome::Reply(reply) => {
                if let Reply::Refused(refused) = reply {
                    self.tally.refuse(&refused.refusal);
                }
                push_reply(&mut work.replies, full.correlation, reply);
            }
            Outcome::HoldOne(_) | Outcome::Nothing => unreachable!("a command is answered by a reply"),
        }
        self.tally.commands += 1;
        work.answered += 1;
        None
    }

    fn decide_once(&mut self, tenant: Tenant, full: &Full) {
        let submission = Submission {
            tenant,
            content: full.content,
            command: CommandRef::Full(&full.command),
            planned: full.planned.as_ref(),
            last: full.last,
        };
        decide(&self.state, self.now, &submission, &mut self.decision);
        self.take_record();
    }

    /// Moves what no longer fits to nodes already in the plan: a few microseconds, here and now.
    fn repair(&mut self, tenant: Tenant, full: &mut Full) -> bool {
        let (CommandBody::Reserve(reserve), Some(Ok(proposal))) = (&full.command.body, &full.planned) else {
            return false;
        };
        let repaired =
            self.planner.repair(&self.reader, self.reader.lanes(), tenant, &reserve.order, proposal);
        repaired.map(|proposal| full.planned = Some(Ok(proposal))).is_some()
    }

    /// Logs and applies what was decided, where it changes anything.
    fn take_record(&mut self) {
        if self.decision.record.is_empty() {
            self.tally.nothing_new += 1;
            return;
        }
        self.decision.record.encode(self.log.records());
        apply(&mut self.state, &self.decision.record);
    }

    fn answer(&self, tenant: Tenant, query: &Query) -> Reply {
        let refused = |code, field| {
            Reply::Refused(Refused { lsn: self.state.lsn(), refusal: Refusal::of(code, field) })
        };
        match query {
            Query::Digest => Reply::Digest(quantities(&self.state, tenant)),
            // Nothing changes while the role is played, so what cannot be read now is not there.
            Query::Show(id) => self.reader.show(tenant, id).map_or_else(
                || refused(RefusalCode::UnknownReservation, Field::Reservation),
                |view| Reply::Shown(Box::new(view)),
            ),
            Query::Cells(sku) => self
                .reader
                .cells(tenant, *sku)
                .map_or_else(|| refused(RefusalCode::UnknownSku, Field::Sku), Reply::Cells),
            _ => unreachable!("other questions are answered beside the committer"),
        }
    }
}
