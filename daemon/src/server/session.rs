//! What a pipe's messages mean: who may send them, whether there is time for them, and whether they are answered
//! here, planned, or handed to the committer. It does no I/O and waits for nothing.

use std::sync::Arc;

use earmark_protocol::codec::content_hash;
use earmark_protocol::command::Command;
use earmark_protocol::frame::{FrameWriter, Kind, Message};
use earmark_protocol::hello::{Hello, HelloReply, LimitName, PipeError, Role, TOKEN_BYTES_MAX};
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply, SnapshotReply};

use super::answers;
use super::core::{Core, PLANNING_US_MAX};
use super::pipe::Pipe;
use super::planning::{self, Job};
use super::shared::Shared;
use crate::clock::Moment;
use crate::commit::{Ask, Full, Item, One, Work, answer_atp, push_reply, refuse, refuse_one};
use crate::security::{self, Grant, command_work, query_work};
use crate::store::{Made, NotMade};

/// Messages handed to the committer in one piece: it takes whole pieces, and its batches are to be bounded.
const ITEMS_MAX: usize = 1_024;

/// Answers of one read that are gathered before they are handed to the pipe.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// A pipe's side of the conversation.
pub(super) struct Session {
    pipe: Arc<Pipe>,
    core: Arc<Core>,
    grant: Option<Grant>,
    peer: String,
    /// For the committer, from the read in hand.
    work: Option<Work>,
    /// Answered here, from the read in hand.
    replies: FrameWriter,
    answered: u32,
    /// Messages of the read in hand that the pipe has not counted yet.
    uncounted: u32,
    /// Messages of the frame in hand, as far as it says.
    expected: usize,
    arrived: Moment,
    /// When this pipe's turn on the core began.
    turn_began: Moment,
    /// A question was answered since the replies were last looked at.
    has_answered: bool,
    now: Moment,
    waits_us: u64,
}

impl Session {
    pub(super) fn new(pipe: Arc<Pipe>, peer: String) -> Self {
        let core = Arc::clone(pipe.core());
        let replies = FrameWriter::new(core.shared().limits.frame_bytes_max);
        let now = core.shared().clock.moment();
        Self {
            pipe,
            core,
            grant: None,
            peer,
            work: None,
            replies,
            answered: 0,
            uncounted: 0,
            expected: 0,
            arrived: now,
            turn_began: now,
            has_answered: false,
            now,
            waits_us: 0,
        }
    }

    /// Whether Hello was said and accepted.
    pub(super) fn is_greeted(&self) -> bool {
        self.grant.is_some()
    }

    /// Bytes were read now; the messages in them follow.
    pub(super) fn begin_read(&mut self) {
        self.arrived = self.shared().clock.moment();
        self.turn_began = self.arrived;
        self.look_at_clock(self.arrived);
    }

    /// Others have had their turn.
    pub(super) fn go_on(&mut self) {
        let now = self.shared().clock.moment();
        self.turn_began = now;
        self.look_at_clock(now);
    }

    /// Whether this read has kept the core busy for so long that others are to have their turn first.
    pub(super) fn is_long(&self) -> bool {
        self.now.us_since(self.turn_began) > PLANNING_US_MAX
    }

    /// Whether answers to questions have become so many that the peer is to take some before the next. Those of commands
    /// are short, and bounded by their number.
    pub(super) fn has_said_much(&mut self) -> bool {
        std::mem::take(&mut self.has_answered)
            && (self.replies.len() >= REPLY_BYTES_MAX || self.pipe.is_full())
    }

    /// All messages of the read were taken, or enough of them: hand over what came of them.
    pub(super) fn flush(&mut self) {
        self.count();
        if let Some(work) = self.work.take() {
            self.core.submit(&self.pipe, work);
        }
        if self.answered > 0 {
            self.pipe.post(&mut self.replies, std::mem::take(&mut self.answered));
        }
    }

    /// The messages of a frame follow, as many as it says.
    pub(super) fn begin_frame(&mut self, count: u16) {
        self.expected = usize::from(count).min(ITEMS_MAX);
    }

    /// Takes a message.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Result<(), PipeError> {
        let limits = &self.core.shared().limits;
        let in_flight = self.pipe.in_flight() + self.uncounted + 1;
        if in_flight > limits.messages_in_flight_max {
            let (most, have) = (u64::from(limits.messages_in_flight_max), u64::from(in_flight));
            return Err(PipeError::LimitPassed { limit: LimitName::MessagesInFlight, most, have });
        }
        let Some(grant) = &self.grant else { return self.hello(message) };
        let role = grant.role;
        match message.kind {
            Kind::HoldOne => self.hold_one(message, role),
            Kind::Command => self.command(message, role),
            Kind::Query => self.query(message, role),
            Kind::Hello => Err(PipeError::HelloOutOfPlace),
            _ => Err(PipeError::Wire(message.unexpected_kind())),
        }
    }

    fn hello(&mut self, message: &Message<'_>) -> Result<(), PipeError> {
        if message.kind != Kind::Hello {
            return Err(PipeError::HelloOutOfPlace);
        }
        let hello: Hello = message.decode().map_err(PipeError::Wire)?;
        let version = hello.version()?;
        if hello.token.len() > TOKEN_BYTES_MAX {
            let (most, have) = (TOKEN_BYTES_MAX as u64, hello.token.len() as u64);
            return Err(PipeError::LimitPassed { limit: LimitName::TokenBytes, most, have });
        }
        let shared = self.core.shared();
        if shared.is_draining() {
            return Err(PipeError::Draining);
        }
        let Some(grant) = shared.tokens.grant(&hello.token) else {
            self.shared().tell_turned_away(&self.peer, "its token is not known");
            return Err(PipeError::TokenUnknown);
        };
        tracing::debug!(peer = %self.peer, token = %grant.name, "a pipe said Hello");
        let reply = HelloReply {
            version,
            tenant: grant.tenant,
            role: grant.role,
            log_epoch: shared.committer.epoch(),
            lsn: shared.reader.lsn(),
            time: shared.clock.now(),
            retry_window_ms: shared.reader.rules().retry_window_ms,
            limits: shared.limits,
        };
        self.grant = Some(grant.clone());
        let pushed = self.replies.push(Kind::HelloReply, message.correlation, &reply);
        pushed.expect("the least frame limit has room for a Hello's answer");
        self.answer_here();
        Ok(())
    }

    fn hold_one(&mut self, message: &Message<'_>, role: Role) -> Result<(), PipeError> {
        let hold =
            HoldOne::read(message.body).map_err(|error| PipeError::Wire(error.after(message.offset)))?;
        if let Some(code) = self.refusal(true, role, (Role::Checkout, security::Work::Claim), self.waits_us) {
            refuse_one(&mut self.replies, message.correlation, code);
            self.answer_here();
            return Ok(());
        }
        self.hand_in(Item::One(One { correlation: message.correlation, content: hold.content_hash(), hold }));
        Ok(())
    }

    fn command(&mut self, message: &Message<'_>, role: Role) -> Result<(), PipeError> {
        let command: Command = message.decode().map_err(PipeError::Wire)?;
        let needs = command_work(&command.body);
        let tenant = self.tenant();
        let shared = Arc::clone(self.core.shared());
        let is_big = planning::is_big(&shared.reader, tenant, &command.body, shared.inline_lines_max);
        let waits_us = if is_big { self.planners_wait_us() } else { self.waits_us };
        if let Some(code) = self.refusal(true, role, needs, waits_us) {
            refuse(&mut self.replies, message.correlation, code);
            self.answer_here();
            return Ok(());
        }
        let (correlation, content) = (message.correlation, content_hash(message.body));
        let mut full =
            Box::new(Full { correlation, content, command, planned: None, rounds: 0, last: false });
        if is_big {
            self.uncounted += 1;
            self.count();
            let job = Job::Command { pipe: Arc::clone(&self.pipe), tenant, arrived: self.arrived, full };
            shared.planners.submit_or_refuse(job);
            return Ok(());
        }
        if planning::is_routed(&full.command.body) {
            planning::plan(
                self.core.planner().lock().at(shared.clock.now()),
                &shared.reader,
                tenant,
                &mut full,
            );
            self.look_at_clock(shared.clock.moment());
        }
        self.hand_in(Item::Full(full));
        Ok(())
    }

    fn query(&mut self, message: &Message<'_>, role: Role) -> Result<(), PipeError> {
        let query: Query = message.decode().map_err(PipeError::Wire)?;
        self.has_answered = true;
        let needs = query_work(&query);
        let tenant = self.tenant();
        let shared = Arc::clone(self.core.shared());
        let correlation = message.correlation;
        let is_big = match &query {
            Query::Quote(quote) => {
                planning::is_big_order(&shared.reader, tenant, &quote.order, shared.inline_lines_max)
            }
            Query::Replan { .. } => true,
            _ => false,
        };
        let waits_us = if is_big { self.planners_wait_us() } else { self.waits_us };
        if let Some(code) = self.refusal(false, role, needs, waits_us) {
            refuse(&mut self.replies, correlation, code);
            self.answer_here();
            return Ok(());
        }
        match query {
            Query::Quote(quote) if is_big => {
                self.uncounted += 1;
                self.count();
                let (pipe, arrived, quote) = (Arc::clone(&self.pipe), self.arrived, Box::new(quote));
                shared.planners.submit_or_refuse(Job::Quote { pipe, tenant, arrived, correlation, quote });
            }
            Query::Replan { from } => {
                self.uncounted += 1;
                self.count();
                let (pipe, arrived) = (Arc::clone(&self.pipe), self.arrived);
                shared.planners.submit_or_refuse(Job::Replan { pipe, tenant, arrived, correlation, from });
            }
            Query::Quote(quote) => {
                let reply = planning::quote(
                    self.core.planner().lock().at(shared.clock.now()),
                    &shared.reader,
                    tenant,
                    &quote,
                );
                push_reply(&mut self.replies, correlation, &reply);
                self.answer_here();
                self.look_at_clock(shared.clock.moment());
            }
            Query::Show(id) => match shared.reader.show(tenant, &id) {
                Some(view) => {
                    // What is shown may be newer than what is durable: it waits as a command's reply does.
                    let lsn = shared.reader.lsn_begun();
                    let mut reply = FrameWriter::new(shared.limits.frame_bytes_max);
                    push_reply(&mut reply, correlation, &Reply::Shown(Box::new(view)));
                    self.uncounted += 1;
                    self.count();
                    self.core.post_when_durable(Arc::clone(&self.pipe), lsn, &mut reply, 1);
                }
                None => self.hand_in(Item::Ask(Box::new(Ask { correlation, query: Query::Show(id) }))),
            },
            Query::Cells(sku) => match shared.reader.cells(tenant, sku) {
                Some(cells) => {
                    push_reply(&mut self.replies, correlation, &Reply::Cells(cells));
                    self.answer_here();
                }
                None => self.hand_in(Item::Ask(Box::new(Ask { correlation, query }))),
            },
            Query::Atp(question) => {
                // What is in stock is there whatever the time.
                let now = question.by_day.map_or(TimestampMs(0), |_| shared.clock.now());
                match answer_atp(&shared.reader, tenant, &question, now, &self.replies) {
                    Some(reply) => {
                        push_reply(&mut self.replies, correlation, &reply);
                        self.answer_here();
                        self.look_at_clock(shared.clock.moment());
                    }
                    None => {
                        self.hand_in(Item::Ask(Box::new(Ask { correlation, query: Query::Atp(question) })));
                    }
                }
            }
            Query::Digest => self.hand_in(Item::Ask(Box::new(Ask { correlation, query }))),
            Query::Snapshot => self.snapshot(correlation),
            Query::Resolve(_)
            | Query::Nodes { .. }
            | Query::Skus { .. }
            | Query::Kits { .. }
            | Query::Substitutes { .. }
            | Query::Stats
            | Query::Calendars { .. }
            | Query::NodeDays { .. }
            | Query::Supplies { .. }
            | Query::Waiting { .. }
            | Query::Reviews { .. }
            | Query::Tariffs { .. }
            | Query::Policy { .. } => {
                push_reply(&mut self.replies, correlation, &answers::answer(&shared, tenant, &query));
                self.answer_here();
                self.look_at_clock(shared.clock.moment());
            }
        }
        Ok(())
    }

    /// Asks for an image; the answer leaves when it is made.
    fn snapshot(&mut self, correlation: u32) {
        self.uncounted += 1;
        self.count();
        let shared = self.core.shared();
        let (pipe, limit) = (Arc::clone(&self.pipe), shared.limits.frame_bytes_max);
        let answer = move |made: Result<Made, NotMade>| {
            let refused =
                |code| Reply::Refused(Refused { lsn: Lsn(0), refusal: Refusal::of(code, Field::Whole) });
            let reply = match made {
                Ok(Made { lsn, bytes, kept, .. }) => {
                    let kept = u32::try_from(kept.len()).unwrap_or(u32::MAX);
                    Reply::Snapshot(SnapshotReply { lsn: Lsn(lsn), bytes, kept })
                }
                Err(NotMade::NothingKept) => refused(RefusalCode::NothingKept),
                Err(NotMade::Full) => refused(RefusalCode::StorageFull),
                Err(NotMade::Stopping) => refused(RefusalCode::Draining),
            };
            let mut replies = FrameWriter::new(limit);
            push_reply(&mut replies, correlation, &reply);
            pipe.post(&mut replies, 1);
        };
        match &shared.snapshots {
            Some(snapshots) => snapshots.ask(answer),
            None => answer(Err(NotMade::NothingKept)),
        }
    }

    /// Why this work is not even looked at, where it is not. Questions are answered while the daemon drains.
    fn refusal(
        &self,
        is_command: bool,
        role: Role,
        needs: (Role, security::Work),
        waits_us: u64,
    ) -> Option<RefusalCode> {
        let (needs, kind) = needs;
        let shared = self.core.shared();
        let code = if !shared.admission.admits(kind, waits_us) {
            RefusalCode::Overloaded
        } else if is_command && shared.is_draining() {
            RefusalCode::Draining
        } else if role < needs {
            RefusalCode::NotAllowed
        } else {
            return None;
        };
        shared.committer.counters().refuse(code);
        Some(code)
    }

    // In place, so that an item is written where it stays: copied, it would be read in other pieces than it was just written in,
    // and each such read waits until all writes before it are done.
    #[inline(always)]
    fn hand_in(&mut self, item: Item) {
        self.uncounted += 1;
        let tenant = self.tenant();
        let work = self.work.get_or_insert_with(|| self.core.work(&self.pipe, tenant, self.arrived));
        // Once per frame: a `reserve` that finds room does nothing.
        work.items.reserve(std::mem::take(&mut self.expected));
        work.items.push(item);
        if work.items.len() >= ITEMS_MAX {
            self.count();
            if let Some(work) = self.work.take() {
                self.core.submit(&self.pipe, work);
            }
        }
    }

    fn answer_here(&mut self) {
        self.uncounted += 1;
        self.answered += 1;
    }

    /// Tells the pipe of the messages taken so far, before anyone can answer them.
    fn count(&mut self) {
        self.pipe.read(std::mem::take(&mut self.uncounted));
    }

    fn look_at_clock(&mut self, now: Moment) {
        self.now = now;
        self.waits_us = self.core.waits_us(now).max(now.us_since(self.arrived));
    }

    fn planners_wait_us(&self) -> u64 {
        self.waits_us.max(self.shared().planners.waits_us(self.now))
    }

    fn tenant(&self) -> earmark_protocol::ids::Tenant {
        self.grant.as_ref().map_or_else(Default::default, |grant| grant.tenant)
    }

    fn shared(&self) -> &Shared {
        self.core.shared()
    }
}
