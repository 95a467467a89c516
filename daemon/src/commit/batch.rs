//! One batch: the time is stamped once, due holds expire, each command is decided, encoded into the log and
//! applied, and the log is sealed and flushed. The rules are the engine's; this room only keeps the order.

use std::sync::Arc;

use crossbeam::channel::Sender;
use earmark_engine::{
    CommandRef, Decision, Outcome, PREFETCH, Planned, Reader, State, Submission, apply, decide, expire,
    prefetch, quantities,
};
use earmark_mutations::Mutation;
use earmark_protocol::command::CommandBody;
use earmark_protocol::frame::FrameWriter;
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Lsn, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply};
use earmark_snapshot::log::Room;
use earmark_snapshot::{Batch, Log};

use super::queue::Queue;
use super::work::{answer_atp, push_one};
use super::{Counters, Full, Held, Item, Levels, One, Short, Tally, Work, push_reply, refuse, refuse_one};
use crate::clock::{Clock, Moment};
use crate::security;

/// How often a busy committer tells its levels.
const LEVELS_EVERY_US: u64 = 100_000;

/// Pieces of work in one batch. With many small ones the answers of the first leave while the others are decided, and the
/// log and the peers are not idle until all of them are.
const PIECES_MAX: usize = 64;

/// Commands after which a batch ends where the disk has nothing to do: it then writes these while the next are decided. With
/// fewer the disk is called too often, with more it and the committer wait for each other in turn.
const FEED: usize = 256;

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Commands.
    pub commands_max: usize,
    /// Holds expired, or a quarter more than the last batch had commands: holds that live for the same time end as fast as
    /// they came.
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
    tally: Tally,
    taken: Vec<Work>,
    decided: Vec<Work>,
    now: TimestampMs,
    room: Room,
    shorts: Sender<Option<Short>>,
    held: Sender<Held>,
    levels: Levels,
    levels_told: Moment,
    /// Commands of the last batch.
    last_commands: usize,
    /// When the last batch began and what it took, where it was full and more was queued behind it.
    full_batch: Option<(Moment, u64)>,
}

impl Writer {
    pub(super) fn new(
        state: State,
        log: Log,
        pace: Pace,
        clock: Arc<Clock>,
        counters: Arc<Counters>,
        told: (Sender<Option<Short>>, Sender<Held>, Levels),
    ) -> Self {
        let (shorts, held, levels) = told;
        Self {
            levels_told: clock.moment(),
            last_commands: 0,
            full_batch: None,
            reader: state.reader(),
            now: state.now(),
            room: Room::Plenty,
            state,
            log,
            pace,
            clock,
            counters,
            decision: Decision::default(),
            tally: Tally::default(),
            taken: Vec::new(),
            decided: Vec::new(),
            shorts,
            held,
            levels,
        }
    }

    /// Decides what is queued, up to a batch. Whether there was anything to do: call it again then. While the log has more
    /// to flush than it should, or has failed, nothing is taken.
    pub(super) fn batch(&mut self, queue: &Queue) -> bool {
        if self.log.is_backed_up() {
            return false;
        }
        self.room = self.log.room();
        self.now = self.now.max(self.clock.now());
        let moment = self.clock.moment();
        if let Some((began, messages)) = self.full_batch.take() {
            queue.took(began, messages, moment);
        }
        let first = self.state.lsn().0 + 1;
        // What is due can wait for room; it is due until then.
        let expiries_max = self.pace.expiries_max.max(self.last_commands + self.last_commands / 4);
        let has_expired =
            self.room != Room::None && expire(&mut self.state, self.now, expiries_max, &mut self.decision);
        if has_expired {
            self.tally.expiry_records += 1;
            self.take_record();
        }
        let mut commands = 0;
        let mut is_full = false;
        while !is_full && self.take(queue) {
            let mut taken = std::mem::take(&mut self.taken);
            let ahead = taken.iter().flat_map(|work| work.items.iter().take(PREFETCH));
            prefetch(&mut self.state, ahead.filter_map(Item::hold));
            for mut work in taken.drain(..) {
                commands += work.items.len();
                self.decide(&mut work, moment);
                self.decided.push(work);
            }
            self.taken = taken;
            is_full = commands >= self.pace.commands_max
                || self.decided.len() >= PIECES_MAX
                || commands >= FEED && self.log.is_idle();
        }
        if !has_expired && self.decided.is_empty() {
            return false;
        }
        self.last_commands = commands;
        // Of small batches what each message takes would be too much: the log's part of it is the batch's.
        if is_full && !queue.is_empty() {
            self.full_batch = Some((moment, commands as u64));
        }
        let last = self.state.lsn();
        if last.0 >= first {
            self.log.seal(Batch { first, last: last.0, time_ms: self.now.0 });
            // A log that has failed takes nothing more, and its thread tells.
            let _ = self.log.flush();
        }
        self.tally.batches += 1;
        self.counters.add(&mut self.tally);
        if moment.us_since(self.levels_told) >= LEVELS_EVERY_US {
            self.levels_told = moment;
            let levels = self.levels();
            *self.levels.lock() = levels;
        }
        for mut work in self.decided.drain(..) {
            // All of a batch becomes durable together, so all of it waits for its last record.
            work.lsn =
                if earmark_mutations::is(Mutation::AnswerBeforeDurable) { Lsn(first - 1) } else { last };
            Arc::clone(&work.desk).decided(work);
        }
        true
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn parts(&mut self) -> (&mut State, &mut Log) {
        (&mut self.state, &mut self.log)
    }

    pub(super) fn is_backed_up(&self) -> bool {
        self.log.is_backed_up()
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

    /// Takes work off the queue until it is enough to ask for memory ahead: many pipes with one message each count
    /// as one with many. Whether there was any.
    fn take(&mut self, queue: &Queue) -> bool {
        let mut items = 0;
        while items < PREFETCH
            && let Some(work) = queue.pop()
        {
            items += work.items.len();
            self.taken.push(work);
        }
        !self.taken.is_empty()
    }

    /// Decides a piece of work whose first holds were asked for ahead.
    fn decide(&mut self, work: &mut Work, moment: Moment) {
        let waited_ms = moment.us_since(work.arrived) / 1_000;
        let gave_up = |give_up_ms: u32| give_up_ms != 0 && waited_ms > u64::from(give_up_ms);
        let mut items = std::mem::take(&mut work.items);
        // Right for the fixed message, and a start for all others.
        work.replies.reserve((items.len() + 1) * FrameWriter::message_bytes(HoldOneReply::BYTES));
        let mut left = items.drain(..);
        loop {
            for item in left.by_ref().take(PREFETCH) {
                match item {
                    Item::One(one) => self.decide_one(work, &one, gave_up(one.hold.give_up_ms)),
                    Item::Full(full) => {
                        let gave_up = gave_up(full.command.give_up_ms);
                        self.decide_full(work, full, gave_up);
                    }
                    Item::Ask(ask) => {
                        work.answered += 1;
                        let reply = self.answer(work.tenant, &ask.query, &work.replies);
                        push_reply(&mut work.replies, ask.correlation, &reply);
                    }
                }
            }
            let ahead = left.as_slice();
            if ahead.is_empty() {
                return;
            }
            prefetch(&mut self.state, ahead.iter().take(PREFETCH).filter_map(Item::hold));
        }
    }

    fn decide_one(&mut self, work: &mut Work, one: &One, gave_up: bool) {
        self.tally.commands += 1;
        self.tally.holds_one += 1;
        work.answered += 1;
        if gave_up {
            self.tally.refuse_code(RefusalCode::GaveUp);
            refuse_one(&mut work.replies, one.correlation, RefusalCode::GaveUp);
            return;
        }
        let command = CommandRef::One(&one.hold);
        if !self.decide_command(work.tenant, one.content, command, None, true, security::Work::Claim) {
            self.tally.refuse_code(RefusalCode::StorageFull);
            refuse_one(&mut work.replies, one.correlation, RefusalCode::StorageFull);
            return;
        }
        let Outcome::HoldOne(reply) = &self.decision.outcome else {
            unreachable!("a fixed message is answered by a fixed reply");
        };
        if let HoldOneReply::Refused(refused) = reply {
            self.tally.refuse(&refused.refusal);
        }
        push_one(&mut work.replies, one.correlation, reply);
    }

    /// Decides a command and answers it; one whose plan no longer fits goes back to be planned again.
    fn decide_full(&mut self, work: &mut Work, full: Box<Full>, gave_up: bool) {
        if gave_up {
            self.tally.commands += 1;
            self.tally.refuse_code(RefusalCode::GaveUp);
            work.answered += 1;
            refuse(&mut work.replies, full.correlation, RefusalCode::GaveUp);
            return;
        }
        let command = CommandRef::Full(&full.command);
        let (_, kind) = security::command_work(&full.command.body);
        if !self.decide_command(work.tenant, full.content, command, full.planned.as_ref(), full.last, kind) {
            self.tally.commands += 1;
            self.tally.refuse_code(RefusalCode::StorageFull);
            work.answered += 1;
            refuse(&mut work.replies, full.correlation, RefusalCode::StorageFull);
            return;
        }
        match &self.decision.outcome {
            Outcome::Conflict => {
                self.tally.conflicts += 1;
                work.again.push(*full);
                return;
            }
            Outcome::Reply(reply) => {
                if let Reply::Refused(refused) = reply {
                    self.tally.refuse(&refused.refusal);
                }
                if let (Reply::Done(done), CommandBody::Move(_), false) =
                    (reply, &full.command.body, self.decision.record.is_empty())
                {
                    self.tally.moved_orders += done.plans.len() as u64;
                    let saved: i64 =
                        done.plans.iter().filter_map(|plan| plan.saved).map(|saved| saved.0).sum();
                    self.tally.moved_saved_micros += saved.unsigned_abs();
                }
                if let Reply::Done(done) = reply
                    && done.short > 0
                    && let Some(cells) = counted_cells(&full.command.body)
                {
                    // Where no more counts can wait, the cell stays short until it is counted again.
                    let _ = self.shorts.try_send(Some(Short { tenant: work.tenant, cells }));
                }
                push_reply(&mut work.replies, full.correlation, reply);
                if matches!(reply, Reply::Reserved(_)) && !self.decision.record.is_empty() {
                    self.tell_held(work.tenant, *full);
                }
            }
            Outcome::HoldOne(_) | Outcome::Nothing => unreachable!("a command is answered by a reply"),
        }
        self.tally.commands += 1;
        work.answered += 1;
    }

    /// Tells of an order that was routed and is held now, for prices to be learned from.
    fn tell_held(&mut self, tenant: Tenant, full: Full) {
        if let CommandBody::Reserve(reserve) = full.command.body
            && full.planned.is_some()
        {
            self.tally.orders += 1;
            // Where nobody learns, or too many wait, this one teaches nothing.
            let _ = self.held.try_send(Some((tenant, reserve.order)));
        }
    }

    /// Decides, logs and applies. `false` where it would need the log and the disk has no room for work of this kind: then
    /// nothing was decided. Steps of reservations that are there go on for as long as there is any.
    fn decide_command(
        &mut self,
        tenant: Tenant,
        content: u64,
        command: CommandRef<'_>,
        planned: Option<&Planned>,
        last: bool,
        kind: security::Work,
    ) -> bool {
        let submission = Submission { tenant, content, command, planned, last };
        decide(&self.state, self.now, &submission, &mut self.decision);
        let has_room = match self.room {
            Room::Plenty => true,
            Room::Low => kind == security::Work::Finish,
            Room::None => false,
        };
        if !has_room && !self.decision.record.is_empty() {
            return false;
        }
        self.take_record();
        true
    }

    /// Applies and logs what was decided, where it changes anything. Nobody sees the order: the log is sealed with the batch.
    fn take_record(&mut self) {
        if self.decision.record.is_empty() {
            self.tally.nothing_new += 1;
            return;
        }
        let record = &self.decision.record;
        // Applied first: encoding reads several fields of an effect at once, and those have just been written one by one. So soon
        // after it would wait until all that was written before them is in the cache.
        apply(&mut self.state, record);
        let is_expiry = self.decision.outcome == Outcome::Nothing;
        if is_expiry && earmark_mutations::is(Mutation::ReleaseWithoutLogging) {
            self.log.record(|_| ());
        } else {
            self.log.record(|bytes| record.encode(bytes));
        }
    }

    fn answer(&self, tenant: Tenant, query: &Query, replies: &FrameWriter) -> Reply {
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
            Query::Atp(question) => answer_atp(&self.reader, tenant, question, self.now, replies)
                .expect("nothing grows while the role is played"),
            _ => unreachable!("other questions are answered beside the committer"),
        }
    }
}

/// The cells of a count or correction; `None` for all other commands.
fn counted_cells(body: &CommandBody) -> Option<Vec<(SkuIx, NodeIx, Segment)>> {
    match body {
        CommandBody::SetStock(set) => {
            Some(set.counts.iter().map(|count| (count.sku, count.node, count.segment)).collect())
        }
        CommandBody::AdjustStock(adjust) => {
            Some(adjust.changes.iter().map(|change| (change.sku, change.node, change.segment)).collect())
        }
        _ => None,
    }
}
