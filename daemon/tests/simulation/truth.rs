//! What must be true, by the naive model: as of now, and as of what no single fault of the disk can take any more, with
//! the events between the two. After a crash the model is what it was at the last record that is left.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use earmark_protocol::ids::{CommandId, Tenant, TimestampMs};
use earmark_protocol::reply::Reply;

use crate::drive::{Answer, Given};
use crate::model::{CellKey, Model, Stale};

/// What happened, in the order of the log.
#[derive(Debug)]
pub(crate) enum Event {
    /// A command was answered so. Where it was planned before the last event: the model as it was then, and whether
    /// it was the last attempt.
    Command { tenant: Tenant, given: Box<Given>, answer: Answer, stale: Option<(Rc<Model>, bool)> },
    /// These holds expired.
    Expired(Vec<(Tenant, CommandId)>),
    /// Memory of another capacity.
    Resized,
    /// Holds live until then at least.
    Granted(TimestampMs),
}

struct Entry {
    /// Of its record.
    lsn: u64,
    now: TimestampMs,
    event: Event,
}

/// The model twice, and what lies between.
pub(crate) struct Truth {
    pub(crate) live: Rc<Model>,
    proven: Model,
    between: VecDeque<Entry>,
    /// What the engine's whole state came to, by the lsn.
    digests: BTreeMap<u64, u64>,
    /// Lsns of the records that clients have an answer of, by the command.
    told: BTreeMap<(Tenant, CommandId), u64>,
    told_lsn: u64,
}

impl Truth {
    pub(crate) fn new(empty: Model) -> Self {
        Self {
            live: Rc::new(empty.clone()),
            proven: empty,
            between: VecDeque::new(),
            digests: BTreeMap::new(),
            told: BTreeMap::new(),
            told_lsn: 0,
        }
    }

    /// The last record there should be.
    pub(crate) fn lsn(&self) -> u64 {
        self.live.lsn.0
    }

    /// The last record that a client knows of.
    pub(crate) fn told_lsn(&self) -> u64 {
        self.told_lsn
    }

    /// Judges what happened, and remembers it.
    pub(crate) fn happened(&mut self, now: TimestampMs, event: Event) {
        let live = Rc::make_mut(&mut self.live);
        let before = live.lsn;
        let shortages =
            matches!(&event, Event::Command { given, .. } if given.claims()).then(|| shortages(live));
        judge(live, now, &event);
        if let Some(shortages) = shortages {
            for (key, after) in self::shortages(live) {
                let before = shortages.get(&key).copied().unwrap_or(0);
                assert!(after >= before, "the shortage of {key:?} deepened from {before} to {after}");
            }
        }
        if live.lsn > before {
            self.between.push_back(Entry { lsn: live.lsn.0, now, event });
        }
    }

    /// Clients have this answer.
    pub(crate) fn told(&mut self, tenant: Tenant, id: CommandId, answer: &Answer) {
        let lsn = lsn_of(answer);
        self.told_lsn = self.told_lsn.max(lsn);
        if lsn > 0 {
            let before = *self.told.entry((tenant, id)).or_insert(lsn);
            assert_eq!(before, lsn, "a retry of {id} is answered from another record than the first time");
        }
    }

    /// Nothing that a disk may do takes records up to this one.
    pub(crate) fn prove(&mut self, lsn: u64) {
        while self.between.front().is_some_and(|entry| entry.lsn <= lsn)
            && let Some(entry) = self.between.pop_front()
        {
            judge(&mut self.proven, entry.now, &entry.event);
        }
    }

    /// Up to where records are proven.
    pub(crate) fn proven_lsn(&self) -> u64 {
        self.proven.lsn.0
    }

    /// Records behind this one are gone.
    pub(crate) fn cut(&mut self, lsn: u64) {
        assert!(lsn >= self.proven.lsn.0, "records up to {} are proven, {lsn} are left", self.proven.lsn);
        self.between.retain(|entry| entry.lsn <= lsn);
        let mut live = self.proven.clone();
        for entry in &self.between {
            judge(&mut live, entry.now, &entry.event);
        }
        self.live = Rc::new(live);
        self.digests.split_off(&(lsn + 1));
        self.told.retain(|_, told| *told <= lsn);
        self.told_lsn = self.told_lsn.min(lsn);
    }

    /// The engine's state comes to this now.
    pub(crate) fn digest_is(&mut self, digest: u64) {
        let before = *self.digests.entry(self.live.lsn.0).or_insert(digest);
        assert_eq!(before, digest, "the state changed without a record behind {}", self.live.lsn);
    }

    /// A state that was read back from the disk comes to this.
    pub(crate) fn assert_digest(&self, lsn: u64, digest: u64, what: &str) {
        if let Some(live) = self.digests.get(&lsn) {
            assert_eq!(digest, *live, "the digest of {what} at {lsn}, and that of the live state then");
        }
    }
}

/// Has the model decide the same.
///
/// # Panics
/// Where it decides otherwise.
fn judge(model: &mut Model, now: TimestampMs, event: &Event) {
    match event {
        Event::Command { tenant, given, answer, stale } => {
            model.stale = stale
                .as_ref()
                .map(|(then, is_last)| Stale { then: Box::new(Model::clone(then)), is_last: *is_last });
            let expected = match (&**given, answer) {
                (Given::One(one), Answer::One(seen)) => {
                    model.submit_one(now, *tenant, one, seen).map(Answer::One)
                }
                (Given::Full(command), Answer::Full(seen)) => {
                    model.submit(now, *tenant, given.content(), command, seen).map(Answer::Full)
                }
                (given, answer) => panic!("{answer:?} is no answer to {given:?}"),
            };
            model.stale = None;
            assert_eq!(Ok(answer), expected.as_ref(), "the daemon's answer to {given:?}, and the model's");
        }
        Event::Expired(keys) => model.expire(now, keys),
        Event::Resized => model.lsn.0 += 1,
        Event::Granted(until) => assert!(model.grant(*until), "there was grace to give until {until}"),
    }
}

/// The record an answer tells of; 0 for none.
fn lsn_of(answer: &Answer) -> u64 {
    match answer {
        Answer::One(reply) => reply.lsn().0,
        Answer::Full(Reply::Reserved(reserved)) => reserved.lsn.0,
        Answer::Full(Reply::Done(done)) => done.lsn.0,
        Answer::Full(Reply::Refused(refused)) => refused.lsn.0,
        Answer::Full(reply) => panic!("{reply:?} is no answer to a command"),
    }
}

/// Cells that promise more than they have.
fn shortages(model: &Model) -> BTreeMap<CellKey, i64> {
    let cells = model.stock.cells.iter().map(|(key, cell)| (*key, cell.available()));
    cells.filter(|(_, available)| *available < 0).collect()
}
