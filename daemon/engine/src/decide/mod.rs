//! Every rule: what a command does to this state, or why it may not.
//!
//! A decision changes nothing. It fills a [`Record`] for [`crate::apply()`] and says what to answer. Where several
//! refusals apply, the one with the lowest number is given, and among equals the one that stands first in the command's
//! list.

mod amend;
mod calendar;
mod check;
pub(crate) mod days;
mod draft;
mod hold;
mod kits;
mod known;
pub(crate) mod moves;
mod put;
mod reject;
mod reserve;
mod step;
mod stock;
mod substitutes;
mod supply;

use earmark_protocol::command::{Command, CommandBody};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::{Plan, Refused, Reply, Reserved};

pub use check::{Goods, check_lines, check_order};

use crate::outcomes::CompactReply;
use crate::record::{Effect, Record};
use crate::routing::{Planner, Proposal};
use crate::state::State;

/// What a planner said of an order: a proposal, or why there can be none.
pub type Planned = Result<Proposal, Refusal>;

/// A command in front of the committer.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Whose it is.
    pub tenant: Tenant,
    /// The hash of its content, as `earmark_protocol` defines it.
    pub content: u64,
    /// What to do.
    pub command: CommandRef<'a>,
    /// What a planner made of it, where it is to be routed.
    pub planned: Option<&'a Planned>,
    /// It was planned often enough: a small order is planned once more inside the decision, and what then cannot be
    /// had is refused.
    pub last: bool,
}

/// A command in either of its forms.
#[derive(Clone, Copy, Debug)]
pub enum CommandRef<'a> {
    /// The form of fixed layout.
    One(&'a HoldOne),
    /// All others.
    Full(&'a Command),
}

/// What was decided. Kept from one decision to the next, so that its buffers are used again.
pub struct Decision {
    /// To be applied and logged, unless it is empty.
    pub record: Record,
    /// To be answered, once the record is durable.
    pub outcome: Outcome,
    pub(crate) due: Vec<u32>,
    pub(crate) planner: Planner,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the record is of expiries.
    Nothing,
    /// To a command.
    Reply(Reply),
    /// To a `HoldOne`.
    HoldOne(HoldOneReply),
    /// The plan cannot be held any more, or there is none: plan again and submit again. Nothing was decided.
    Conflict,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            record: Record::default(),
            outcome: Outcome::Nothing,
            due: Vec::new(),
            planner: Planner::new(),
        }
    }
}

impl Decision {
    pub(crate) fn begin(&mut self, lsn: Lsn, now: TimestampMs) {
        self.record.effects.clear();
        (self.record.lsn, self.record.now) = (lsn, now);
    }
}

/// How a command ends, before it is written down.
pub(crate) enum Verdict {
    /// A reservation was opened.
    Reserved { deadline: TimestampMs, plan: Option<Plan> },
    /// It took place.
    Done { reply: CompactReply, plans: Vec<Plan> },
    /// Its plan cannot be held.
    Conflict,
}

/// Decides a command at a time that is not before that of the last record.
pub fn decide(state: &State, now: TimestampMs, submission: &Submission<'_>, decision: &mut Decision) {
    let now = now.max(state.now);
    let lsn = Lsn(state.lsn().0 + 1);
    decision.begin(lsn, now);
    match submission.command {
        CommandRef::One(one) => {
            decision.outcome =
                Outcome::HoldOne(decide_one(state, now, lsn, submission, one, &mut decision.record));
        }
        CommandRef::Full(command) => {
            decision.outcome = decide_full(state, now, lsn, submission, command, decision)
        }
    }
}

fn decide_one(
    state: &State,
    now: TimestampMs,
    lsn: Lsn,
    submission: &Submission<'_>,
    one: &HoldOne,
    record: &mut Record,
) -> HoldOneReply {
    let tenant = submission.tenant;
    match known::look_up(state, now, tenant, &one.id, submission.content) {
        known::Known::No => {}
        known::Known::Refused(refusal) => return HoldOneReply::refused(Lsn(0), refusal),
        known::Known::Slot(slot) => {
            let head = state.reservations.table.head(slot);
            return HoldOneReply::Held {
                lsn: Lsn(head.lsn),
                status: head.meta.status,
                deadline: head.deadline,
            };
        }
        known::Known::Outcome(kept) => {
            return match kept.outcome {
                CompactReply::Refused(refusal) => HoldOneReply::refused(kept.lsn, refusal),
                CompactReply::Done { .. } => {
                    unreachable!("a hold of one cell is remembered as reserved or refused")
                }
            };
        }
    }
    match hold::decide_one(state, now, tenant, submission.content, one, record) {
        Ok(deadline) => HoldOneReply::Held { lsn, status: earmark_protocol::reply::Status::Held, deadline },
        Err(refusal) => {
            let refusal = Refusal { index: None, ..refusal };
            remember_refusal(record, one.id, submission, refusal);
            HoldOneReply::refused(lsn, refusal)
        }
    }
}

fn decide_full(
    state: &State,
    now: TimestampMs,
    lsn: Lsn,
    submission: &Submission<'_>,
    command: &Command,
    decision: &mut Decision,
) -> Outcome {
    let tenant = submission.tenant;
    match known::look_up(state, now, tenant, &command.id, submission.content) {
        known::Known::No => {}
        known::Known::Refused(refusal) => {
            return Outcome::Reply(Reply::Refused(Refused { lsn: Lsn(0), refusal }));
        }
        known::Known::Slot(slot) => return Outcome::Reply(known::reserved(state, slot)),
        known::Known::Outcome(kept) => return Outcome::Reply(known::reply(state, &kept)),
    }
    match verdict(state, now, submission, command, decision) {
        Ok(Verdict::Reserved { deadline, plan }) => {
            let status = earmark_protocol::reply::Status::Held;
            Outcome::Reply(Reply::Reserved(Reserved { lsn, status, deadline, plan }))
        }
        Ok(Verdict::Done { reply, plans }) => {
            remember(&mut decision.record, command.id, submission, reply, &plans);
            Outcome::Reply(reply.reply(lsn, plans))
        }
        Ok(Verdict::Conflict) => {
            decision.record.effects.clear();
            Outcome::Conflict
        }
        Err(refusal) => {
            remember_refusal(&mut decision.record, command.id, submission, refusal);
            Outcome::Reply(Reply::Refused(Refused { lsn, refusal }))
        }
    }
}

fn verdict(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    command: &Command,
    decision: &mut Decision,
) -> Result<Verdict, Refusal> {
    use step::Kind;
    let tenant = submission.tenant;
    let effects = &mut decision.record.effects;
    match &command.body {
        CommandBody::Hold(hold) => hold::decide(state, now, submission, command.id, hold, effects),
        CommandBody::Reserve(reserve) => {
            reserve::decide(state, now, submission, command.id, reserve, decision)
        }
        CommandBody::Confirm(step) => step::decide(state, now, tenant, step, Kind::Confirm, effects),
        CommandBody::Release(step) => step::decide(state, now, tenant, step, Kind::Release, effects),
        CommandBody::Cancel(step) => step::decide(state, now, tenant, step, Kind::Cancel, effects),
        CommandBody::Dispatch(step) => step::decide(state, now, tenant, step, Kind::Dispatch, effects),
        CommandBody::Ready(step) => step::decide(state, now, tenant, step, Kind::Ready, effects),
        CommandBody::Ship(step) => step::decide(state, now, tenant, step, Kind::Ship, effects),
        CommandBody::Collect(step) => step::decide(state, now, tenant, step, Kind::Collect, effects),
        CommandBody::Extend(extend) => step::extend(state, now, tenant, extend, effects),
        CommandBody::Approve(reservation) => step::approve(state, now, tenant, reservation, effects),
        CommandBody::Amend(amend) => amend::decide(state, now, tenant, amend, effects),
        CommandBody::Reject(reject) => reject::decide(state, now, submission, reject, decision),
        CommandBody::SetStock(set) => stock::set(state, now, tenant, set, effects),
        CommandBody::AdjustStock(adjust) => stock::adjust(state, tenant, adjust, effects),
        CommandBody::Restock(restock) => stock::restock(state, tenant, restock, effects),
        CommandBody::Transfer(transfer) => stock::transfer(state, tenant, transfer, effects),
        CommandBody::PutSkus(specs) => put::skus(state, tenant, specs, effects),
        CommandBody::RetireSkus(skus) => put::retire_skus(state, tenant, skus, effects),
        CommandBody::PutNodes(specs) => put::nodes(state, tenant, specs, effects),
        CommandBody::SetNodeState(set) => put::node_state(state, tenant, set, effects),
        CommandBody::PutCalendars(specs) => calendar::put(state, tenant, specs, effects),
        CommandBody::SetPolicy(set) => put::policy(state, tenant, set, effects),
        CommandBody::PutTariffs(put) => put::tariffs(state, tenant, put, effects),
        CommandBody::PutSupplies(specs) => supply::put(state, tenant, specs, effects),
        CommandBody::Receive(receive) => supply::receive(state, tenant, receive, effects),
        CommandBody::PutKits(specs) => kits::put(state, tenant, specs, effects),
        CommandBody::PutSubstitutes(specs) => substitutes::put(state, tenant, specs, effects),
        CommandBody::Move(wanted) => moves::decide(state, now, tenant, wanted, decision),
    }
}

fn remember_refusal(record: &mut Record, id: CommandId, submission: &Submission<'_>, refusal: Refusal) {
    record.effects.clear();
    remember(record, id, submission, CompactReply::Refused(refusal), &[]);
}

fn remember(
    record: &mut Record,
    id: CommandId,
    submission: &Submission<'_>,
    outcome: CompactReply,
    plans: &[Plan],
) {
    let plan = known::plans_text(plans);
    let (content, tenant) = (submission.content, submission.tenant);
    record.effects.push(Effect::Outcome { id, content, tenant, outcome, plan });
}
