//! Engine and model side by side: the same commands at the same times, and every answer and quantity compared.

mod commands;
mod compare;
mod dice;
mod kits;
mod moves;
mod scene;
mod settings;
mod substitutes;
mod supplies;

use std::collections::BTreeSet;

use earmark_engine::image::Loading;
use earmark_engine::resume::{grace, resize};
use earmark_engine::{
    Capacity, CommandRef, Decision, Outcome, Planned, Reader, Record, Rules, State, Submission, apply,
    check_order, decide, digest, expire,
};
use earmark_protocol::codec;
use earmark_protocol::command::{Command, CommandBody, Move};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::query::Atp;
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::reply::Reply;

use crate::model::{CellKey, Model, Stale};
use earmark_engine::routing::{Pick, Planner};

pub(crate) use commands::{Author, FIRST_CALENDARS};
pub(crate) use compare::{compare, compare_all, compare_reservation};
pub(crate) use dice::Dice;
pub(crate) use scene::Scene;
pub(crate) use settings::Setting;

/// A hold may expire this long after its deadline: one tick.
const TICK_MS: u64 = 10;

/// Times an order is planned before the last attempt.
const ROUNDS: usize = 3;

/// A command in either of its forms.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    One(HoldOne),
    Full(Command),
}

/// An answer in either of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    One(HoldOneReply),
    Full(Reply),
}

impl Given {
    pub(crate) fn id(&self) -> CommandId {
        match self {
            Self::One(one) => one.id,
            Self::Full(command) => command.id,
        }
    }

    pub(crate) fn content(&self) -> u64 {
        match self {
            Self::One(one) => one.content_hash(),
            Self::Full(command) => {
                let mut bytes = Vec::new();
                codec::encode(command, &mut bytes);
                codec::content_hash(&bytes)
            }
        }
    }

    /// Its place in the list of commands, as the wire numbers them.
    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::One(_) => 0,
            Self::Full(command) => {
                let mut bytes = Vec::new();
                codec::encode(&command.body, &mut bytes);
                u32::from_le_bytes(bytes[..4].try_into().expect("a command begins with its number"))
            }
        }
    }

    /// Whether it takes units that were available.
    pub(crate) fn claims(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Full(command) => matches!(
                command.body,
                CommandBody::Hold(_)
                    | CommandBody::Reserve(_)
                    | CommandBody::Amend(_)
                    | CommandBody::Transfer(_)
            ),
        }
    }

    /// The reservation it makes or changes.
    pub(crate) fn reservation(&self) -> CommandId {
        let Self::Full(command) = self else { return self.id() };
        match &command.body {
            CommandBody::Confirm(step)
            | CommandBody::Release(step)
            | CommandBody::Cancel(step)
            | CommandBody::Dispatch(step)
            | CommandBody::Ready(step)
            | CommandBody::Ship(step)
            | CommandBody::Collect(step) => step.reservation,
            CommandBody::Extend(extend) => extend.reservation,
            CommandBody::Approve(reservation) => *reservation,
            CommandBody::Amend(amend) => amend.reservation,
            CommandBody::Reject(reject) => reject.reservation,
            CommandBody::Move(Move { orders, .. }) if !orders.is_empty() => orders[0].reservation,
            _ => command.id,
        }
    }
}

/// What a planner proposes for a command, where it is one that is routed.
pub(crate) fn propose(
    planner: &mut Planner,
    reader: &Reader,
    now: TimestampMs,
    tenant: Tenant,
    given: &Given,
) -> Option<Planned> {
    planner.at(now);
    match given {
        Given::Full(Command { body: CommandBody::Reserve(reserve), .. }) => {
            let checked = check_order(reader, tenant, &reserve.order);
            Some(checked.and_then(|()| {
                let (order, best_effort) = (&reserve.order, reserve.best_effort);
                planner.plan(reader, reader.lanes(), tenant, order, best_effort, &[])
            }))
        }
        Given::Full(Command { body: CommandBody::Reject(reject), .. }) if reject.reroute => reader
            .rest_to_reroute(tenant, reject)
            .map(|rest| planner.plan_rest(reader, reader.lanes(), tenant, &rest, reject.node)),
        _ => None,
    }
}

/// What was answered to what, over any number of sequences.
#[derive(Default)]
pub(crate) struct Met {
    /// Commands that were taken, by their number on the wire.
    pub(crate) taken: BTreeSet<u32>,
    pub(crate) refusals: BTreeSet<RefusalCode>,
    /// Capacities that were used up.
    pub(crate) full: BTreeSet<Field>,
}

impl Met {
    fn note(&mut self, given: &Given, answer: &Answer) {
        let refused = match answer {
            Answer::One(HoldOneReply::Refused(refused)) | Answer::Full(Reply::Refused(refused)) => refused,
            _ => {
                self.taken.insert(given.number());
                return;
            }
        };
        self.refusals.insert(refused.refusal.code);
        if refused.refusal.code == RefusalCode::CapacityReached {
            self.full.insert(refused.refusal.field);
        }
    }

    /// With what another met.
    pub(crate) fn and(&mut self, other: &Self) {
        self.taken.extend(&other.taken);
        self.refusals.extend(&other.refusals);
        self.full.extend(&other.full);
    }
}

/// What a planner made of a command.
pub(crate) struct Draft {
    planned: Option<Planned>,
    /// The last Lsn it had seen.
    lsn: Lsn,
    /// The model as it was then, where the plan may be submitted later.
    then: Option<Box<Model>>,
    /// Submitted as the last attempt.
    pub(crate) is_last: bool,
}

impl Draft {
    /// What it takes from where.
    pub(crate) fn picks(&self) -> &[Pick] {
        match &self.planned {
            Some(Ok(proposal)) => &proposal.picks,
            _ => &[],
        }
    }
}

/// The state, written as an image and loaded from it.
fn reload(mut state: State, rules: Rules) -> State {
    let sections = state.image();
    let mut loading = Loading::begin(&sections[0].bytes).expect("scalars that were just written");
    let mut filled = 1;
    for mut part in loading.parts() {
        for (number, to) in part.sections() {
            let from = sections.iter().find(|section| section.number == number).expect("it was written");
            to.copy_from_slice(&from.bytes);
            filled += 1;
        }
        part.index();
    }
    assert_eq!(filled, sections.len(), "the sections that were written");
    loading.finish(rules).expect("it is an image of this build")
}

/// Engine and model.
pub(crate) struct Pair {
    pub(crate) model: Model,
    pub(crate) now: TimestampMs,
    state: State,
    reader: Reader,
    decision: Decision,
    planner: Planner,
    capacity: Capacity,
    records: Vec<(TimestampMs, Vec<u8>)>,
    pub(crate) met: Met,
    story: Vec<String>,
    replay: String,
}

impl Pair {
    /// An empty pair. `replay` is the command line that plays the same once more.
    pub(crate) fn new(setting: &Setting, replay: String) -> Self {
        let state =
            State::new(&setting.capacity, setting.engine_rules()).expect("address space for a small state");
        Self {
            model: Model::new(setting.rules.clone(), setting.limits()),
            now: TimestampMs(1_800_000_000_000),
            reader: state.reader(),
            state,
            decision: Decision::default(),
            planner: Planner::new(),
            capacity: setting.capacity.clone(),
            records: Vec::new(),
            met: Met::default(),
            story: Vec::new(),
            replay,
        }
    }

    /// Plans what must be planned, and submits it.
    pub(crate) fn submit(&mut self, tenant: Tenant, given: &Given) -> Answer {
        let draft = self.plan(tenant, given);
        self.submit_planned(tenant, given, draft)
    }

    /// Asks a planner, where the command is to be routed.
    pub(crate) fn plan(&mut self, tenant: Tenant, given: &Given) -> Draft {
        let planned = propose(&mut self.planner, &self.reader, self.now, tenant, given);
        Draft { planned, lsn: self.state.lsn(), then: None, is_last: false }
    }

    /// The same, to be submitted later.
    pub(crate) fn plan_for_later(&mut self, tenant: Tenant, given: &Given) -> Draft {
        let then = Some(Box::new(self.model.clone()));
        Draft { then, ..self.plan(tenant, given) }
    }

    /// Submits a command with a plan that may be stale. It is planned again where that plan conflicts.
    pub(crate) fn submit_planned(&mut self, tenant: Tenant, given: &Given, draft: Draft) -> Answer {
        self.story.push(format!("{} tenant {tenant}: {given:?}", self.now));
        let before = self.shortages();
        let mut draft = draft;
        let outcome = (0..=ROUNDS).find_map(|round| {
            let submission = Submission {
                tenant,
                content: given.content(),
                command: match given {
                    Given::One(one) => CommandRef::One(one),
                    Given::Full(command) => CommandRef::Full(command),
                },
                planned: draft.planned.as_ref(),
                last: draft.is_last || round == ROUNDS,
            };
            decide(&self.state, self.now, &submission, &mut self.decision);
            if self.decision.outcome != Outcome::Conflict {
                return Some(self.decision.outcome.clone());
            }
            assert!(self.decision.record.is_empty(), "a conflict decides nothing");
            assert!(draft.lsn < self.state.lsn(), "a plan of this very state conflicts: {:?}", draft.planned);
            draft = self.plan(tenant, given);
            None
        });
        let answer = match outcome.expect("the last attempt decides") {
            Outcome::Reply(reply) => Answer::Full(reply),
            Outcome::HoldOne(reply) => Answer::One(reply),
            outcome => panic!("{outcome:?} is no answer to a command"),
        };
        self.story.push(format!("  = {answer:?}"));
        self.met.note(given, &answer);
        let is_stale = draft.lsn < self.model.lsn;
        self.model.stale = draft.then.filter(|_| is_stale).map(|then| Stale { then, is_last: draft.is_last });
        let expected = match (given, &answer) {
            (Given::One(one), Answer::One(seen)) => {
                self.model.submit_one(self.now, tenant, one, seen).map(Answer::One)
            }
            (Given::Full(command), Answer::Full(seen)) => {
                self.model.submit(self.now, tenant, given.content(), command, seen).map(Answer::Full)
            }
            (given, answer) => panic!("{answer:?} is no answer to {given:?}"),
        };
        self.model.stale = None;
        assert_eq!(Ok(&answer), expected.as_ref(), "the engine's answer and the model's");
        self.apply();
        self.compare();
        self.compare_reservation(tenant, given.reservation());
        if given.claims() {
            self.assert_no_shortage_deepened(&before);
        }
        answer
    }

    /// Lets holds expire, at most so many in one record; whether there were any.
    pub(crate) fn expire(&mut self, most: usize) -> bool {
        let any = expire(&mut self.state, self.now, most, &mut self.decision);
        if !any {
            let late = self.model.due(self.now, TICK_MS);
            assert!(late.is_empty(), "{late:?} should have expired by {}", self.now);
            return false;
        }
        self.apply();
        let due = self.model.due(self.now, 0);
        let is_expired = |(tenant, id): &(Tenant, CommandId)| {
            let view = self.reader.show(*tenant, id).expect("what was held is known");
            view.rows.iter().all(|row| row.held + row.awaited == 0)
        };
        let expired: Vec<_> = due.into_iter().filter(is_expired).collect();
        assert!(expired.len() <= most, "{} holds expired at once, {most} were allowed", expired.len());
        self.story.push(format!("{} expired {expired:?}", self.now));
        self.model.expire(self.now, &expired);
        self.compare();
        for (tenant, id) in expired {
            self.compare_reservation(tenant, id);
        }
        true
    }

    fn apply(&mut self) {
        let record = &self.decision.record;
        if record.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let read = Record::decode(record.lsn, record.now, &bytes);
        assert_eq!(read.as_ref(), Ok(record), "a record reads back as it was written");
        apply(&mut self.state, record);
        self.records.push((record.now, bytes));
    }

    fn compare(&self) {
        compare(&self.model, &self.reader, &self.state);
    }

    fn compare_reservation(&self, tenant: Tenant, id: CommandId) {
        compare_reservation(&self.model, &self.reader, tenant, id);
    }

    pub(crate) fn compare_all(&self) {
        compare_all(&self.model, &self.reader);
    }

    pub(crate) fn compare_atp(&self, tenant: Tenant, question: &Atp) {
        let (seen, expected) =
            (self.reader.atp(tenant, question, usize::MAX, self.model.now), self.model.atp(tenant, question));
        assert_eq!(seen, expected.map(Some), "the answer to {question:?}");
    }

    /// Ends and starts again from an image, with grace for what is held and perhaps with more memory.
    pub(crate) fn restart(&mut self, grace_ms: u64, grow: bool) {
        let mut capacity = self.state.capacity().clone();
        // Where room is tight, things were forgotten for lack of it; the model knows no room that grows later.
        if grow && !self.model.limits.tight {
            capacity.cells += 1_000;
            capacity.reservations += 100;
            capacity.commands += 77;
            capacity.movements += 1_000;
            capacity.facts_bytes += 1 << 16;
        }
        let capacity = &capacity;
        self.story.push(format!("{} restart with {grace_ms} ms of grace and {capacity:?}", self.now));
        let before = digest(&self.state);
        let rules = self.reader.rules().clone();
        let empty = State::new(&self.capacity, rules.clone()).expect("address space");
        self.reader = empty.reader();
        self.state = reload(std::mem::replace(&mut self.state, empty), rules);
        assert_eq!(digest(&self.state), before, "the digest after an image was loaded");
        if resize(&self.state, capacity, &mut self.decision).expect("it is not smaller") {
            self.apply();
            self.model.lsn.0 += 1;
        }
        assert_eq!(self.state.capacity(), capacity);
        let granted = grace(&self.state, self.now, grace_ms, &mut self.decision);
        self.apply();
        assert_eq!(granted, self.model.grant(self.now.plus_ms(grace_ms)), "whether there was grace to give");
        self.reader = self.state.reader();
        self.compare_all();
    }

    /// A fresh state that applies all records is equal to the one that decided them, also where it goes through images
    /// on the way.
    pub(crate) fn assert_replay_is_equal(&self) {
        let rules = self.reader.rules().clone();
        let mut replayed = State::new(&self.capacity, rules.clone()).expect("address space");
        for ((now, bytes), lsn) in self.records.iter().zip(1..) {
            if lsn % (self.records.len() as u64 / 3 + 1) == 0 {
                replayed = reload(replayed, rules.clone());
            }
            apply(&mut replayed, &Record::decode(Lsn(lsn), *now, bytes).expect("it was read back before"));
        }
        assert_eq!(digest(&replayed), digest(&self.state), "the digest after a replay");
    }

    /// A digest of all the engine's state.
    pub(crate) fn digest(&self) -> u64 {
        digest(&self.state)
    }

    /// Cells that promise more than they have.
    fn shortages(&self) -> Vec<(CellKey, i32)> {
        let available =
            |(sku, node, segment): CellKey| self.reader.available(sku, node, segment).unwrap_or(0);
        let cells = self.model.stock.cells.keys().map(|key| (*key, available(*key)));
        cells.filter(|(_, available)| *available < 0).collect()
    }

    fn assert_no_shortage_deepened(&self, before: &[(CellKey, i32)]) {
        for (key, after) in self.shortages() {
            let before =
                before.iter().find(|(other, _)| *other == key).map_or(0, |(_, available)| *available);
            assert!(after >= before, "the shortage of {key:?} deepened from {before} to {after}");
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.story.len().saturating_sub(24);
            eprintln!("play it again with\n  {}\nthe last of {} steps:", self.replay, self.story.len());
            for line in &self.story[last..] {
                eprintln!("{line}");
            }
        }
    }
}
