//! A daemon between a start and its end, without its threads and its sockets: the committer, what its threads would do as
//! single steps, and the answers on their way.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use earmark::clock::Clock;
use earmark::commit::{Committer, Desk, Full, Item, Mode, One, Pace, Work};
use earmark::store::{Follower, Made, Opened, Opening, StoreError, open, write_image};
use earmark_engine::routing::Planner;
use earmark_engine::{Planned, Reader, Rules, State};
use earmark_protocol::command::{Command, CommandBody};
use earmark_protocol::frame::{FRAME_BYTES_MAX, Frame, Kind};
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Lsn, Tenant};
use earmark_snapshot::log::{Failed, Flusher, Position, Preparer, Recovered, Room, Step};
use earmark_snapshot::storage::Storage;
use parking_lot::Mutex;

use crate::drive::{Answer, Given, propose};
use crate::model::Model;

/// More than is ever handed in at once, and than is ever due: each turn is one batch, with at most one flush behind it.
const PACE: Pace = Pace { commands_max: 1_000, expiries_max: 1_000 };

/// Times an order is planned before the last attempt.
const ROUNDS_MAX: u16 = 3;

/// A command on its way to the committer.
pub(crate) struct Asked {
    pub(crate) tenant: Tenant,
    pub(crate) given: Given,
    pub(crate) planned: Option<Planned>,
    /// What the planner had seen: the last record, and what the model was then.
    seen: Lsn,
    then: Rc<Model>,
    rounds: u16,
}

/// A command that was decided.
pub(crate) struct Decided {
    pub(crate) tenant: Tenant,
    pub(crate) given: Given,
    pub(crate) answer: Answer,
    /// What its plan had seen, where it had one, and whether it was the last attempt.
    pub(crate) plan: Option<(Lsn, Rc<Model>, bool)>,
    /// The record it waits for.
    pub(crate) waits_for: Lsn,
}

/// Keeps what was decided until it is looked at.
#[derive(Default)]
struct Tray(Mutex<VecDeque<Work>>);

impl Desk for Tray {
    fn decided(self: Arc<Self>, work: Work) {
        self.0.lock().push_back(work);
    }
}

/// What a life begins with.
pub(crate) struct Birth<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) opening: &'a Opening,
    pub(crate) clock: &'a Arc<Clock>,
}

pub(crate) struct Life {
    storage: Arc<dyn Storage>,
    rules: Rules,
    clock: Arc<Clock>,
    committer: Committer,
    flusher: Flusher,
    preparer: Preparer,
    log_start: Position,
    /// Making an image.
    follower: Option<Follower>,
    /// Where the last image was made.
    standing: Option<Follower>,
    /// Whether the follower that makes one, or made the last, went on from the one before.
    pub(crate) went_on: bool,
    tray: Arc<Tray>,
    planner: Planner,
    /// Orders whose plan no longer fitted.
    again: Vec<Full>,
    asked: BTreeMap<u32, Asked>,
    next: u32,
}

impl Life {
    pub(crate) fn begin(birth: &Birth<'_>) -> Result<(Self, Recovered), StoreError> {
        let Birth { storage, opening, clock } = *birth;
        let Opened { state, log, gate, recovered, log_start, .. } = open(storage, opening, &|_| {})?;
        let (Some(flusher), Some(preparer)) = (log.flusher(), log.preparer()) else {
            unreachable!("a log of a directory is on disk")
        };
        let epoch = recovered.log_id;
        let committer = Committer::new(Mode::Inline, 64, PACE, state, (log, gate, epoch), Arc::clone(clock));
        let life = Self {
            storage: Arc::clone(storage),
            rules: opening.rules.clone(),
            clock: Arc::clone(clock),
            committer,
            flusher,
            preparer,
            log_start,
            follower: None,
            standing: None,
            went_on: false,
            tray: Arc::default(),
            planner: Planner::new(),
            again: Vec::new(),
            asked: BTreeMap::new(),
            next: 0,
        };
        Ok((life, recovered))
    }

    pub(crate) fn reader(&self) -> &Reader {
        self.committer.reader()
    }

    /// The last record whose answers may leave.
    pub(crate) fn passed(&self) -> u64 {
        self.committer.gate().passed()
    }

    /// The last record that is said to be on disk.
    pub(crate) fn durable(&self) -> u64 {
        self.flusher.durable()
    }

    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        self.committer.close(|state, _| look(state))
    }

    /// The fault that ended the log.
    pub(crate) fn failed(&self) -> Option<Failed> {
        self.committer.close(|_, log| log.failed())
    }

    /// Whether the committer takes nothing until more is flushed.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.committer.close(|_, log| log.is_backed_up())
    }

    pub(crate) fn room(&self) -> Room {
        self.committer.close(|_, log| log.room())
    }

    /// Commands that wait because the log has more to flush than it should.
    pub(crate) fn queued(&self) -> usize {
        self.committer.queued()
    }

    /// Plans a command, where it is one that is routed, against what is there now.
    pub(crate) fn ask(&mut self, tenant: Tenant, given: Given, then: &Rc<Model>) -> Asked {
        self.plan(tenant, given, 1, then)
    }

    fn plan(&mut self, tenant: Tenant, given: Given, rounds: u16, then: &Rc<Model>) -> Asked {
        let reader = self.committer.reader();
        let planned = propose(&mut self.planner, reader, self.clock.now(), tenant, &given);
        Asked { tenant, given, planned, seen: reader.lsn(), then: Rc::clone(then), rounds }
    }

    /// Hands in commands, those of one client in one piece.
    pub(crate) fn hand_in(&mut self, tenant: Tenant, commands: Vec<Asked>) {
        let desk: Arc<dyn Desk> = Arc::clone(&self.tray) as _;
        let mut work = Work::new(desk, tenant, self.clock.moment(), FRAME_BYTES_MAX);
        for asked in commands {
            let (correlation, content) = (self.next, asked.given.content());
            self.next += 1;
            work.items.push(match &asked.given {
                Given::One(hold) => Item::One(One { correlation, content, hold: *hold }),
                Given::Full(command) => Item::Full(Box::new(Full {
                    correlation,
                    content,
                    command: command.clone(),
                    planned: asked.planned.clone(),
                    rounds: asked.rounds,
                    last: asked.rounds > ROUNDS_MAX,
                })),
            });
            self.asked.insert(correlation, asked);
        }
        assert!(self.committer.submit(work).is_ok(), "the queue has room");
    }

    /// The end of an I/O core's turn.
    pub(crate) fn turn(&mut self) {
        self.committer.turn();
    }

    /// What comes every few milliseconds.
    pub(crate) fn tick(&mut self) {
        while self.committer.tick() {}
    }

    /// What was decided since, in the order of the log. What no longer fitted waits for [`Life::plan_again`].
    pub(crate) fn decided(&mut self) -> Vec<Decided> {
        let mut all = Vec::new();
        let works = std::mem::take(&mut *self.tray.0.lock());
        for mut work in works {
            let bytes = work.replies.take();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let frame = Frame::parse(rest, FRAME_BYTES_MAX, 0).expect("frames of the committer's own");
                let (frame, whole) = frame.expect("a whole frame");
                for message in frame.messages() {
                    let message = message.expect("a message of the committer's own");
                    let asked = self.asked.remove(&message.correlation).expect("an answer to what was asked");
                    let answer = match message.kind {
                        Kind::HoldOneReply => HoldOneReply::read(message.body).map(Answer::One),
                        _ => message.decode().map(Answer::Full),
                    };
                    let Asked { tenant, given, seen, then, rounds, .. } = asked;
                    let answer = answer.expect("a reply of the committer's own");
                    let plan = is_routed(&given).then_some((seen, then, rounds > ROUNDS_MAX));
                    all.push(Decided { tenant, given, answer, plan, waits_for: work.lsn });
                }
                rest = &rest[whole..];
            }
            self.again.append(&mut work.again);
        }
        all
    }

    /// Plans what no longer fitted against what is there now, and hands it in: the caller ends the turn again then.
    pub(crate) fn plan_again(&mut self, now: &Rc<Model>) {
        for full in std::mem::take(&mut self.again) {
            let Asked { tenant, given, rounds, .. } =
                self.asked.remove(&full.correlation).expect("what was asked");
            assert!(rounds <= ROUNDS_MAX, "the last attempt decides");
            let asked = self.plan(tenant, given, rounds + 1, now);
            self.hand_in(tenant, vec![asked]);
        }
    }

    /// One turn of the log thread.
    pub(crate) fn flush(&mut self) -> Result<Step, StoreError> {
        Ok(self.flusher.step()?)
    }

    /// One look of the maintenance thread at its segments. Whether enough are ready.
    pub(crate) fn prepare(&mut self) -> Result<bool, StoreError> {
        Ok(!self.preparer.wants() || self.preparer.prepare()?)
    }

    /// The same at a log that is idle. Whether it was sealed.
    pub(crate) fn seal_idle(&mut self) -> Result<bool, StoreError> {
        Ok(self.flusher.seal_idle()?)
    }

    /// One step of the snapshotter; the image, when it is made.
    pub(crate) fn follow(&mut self) -> Result<Option<Made>, StoreError> {
        let upto = self.flusher.durable();
        if self.follower.is_none() {
            self.went_on = self.standing.is_some();
            let mut follower = self.standing.take().unwrap_or_else(|| {
                Follower::new(Arc::clone(&self.storage), self.rules.clone(), self.log_start, upto)
                    .in_steps_of(4, 2)
            });
            follower.go_on_to(upto);
            self.follower = Some(follower);
        }
        let made = match self.follower.as_mut().map_or(Ok(None), Follower::step) {
            Ok(None) => return Ok(None),
            Ok(Some(made)) => {
                self.standing = self.follower.take();
                Some(made)
            }
            Err(error) => {
                self.follower = None;
                if !error.is_full() {
                    return Err(error);
                }
                None
            }
        };
        if let Some(made) = &made {
            self.preparer.release_before(made.needed_from);
        }
        Ok(made)
    }

    /// A clean stop: the log is closed, and an image is written where that could be done. Whether it could.
    pub(crate) fn stop(&mut self) -> Result<bool, StoreError> {
        (self.follower, self.standing) = (None, None);
        self.committer.close(|state, log| {
            if log.seal_stop()? == Step::Postponed {
                return Ok(false);
            }
            let Some(position) = log.position() else { return Ok(false) };
            match write_image(&self.storage, state, position) {
                Err(error) if !error.is_full() => Err(error),
                _ => Ok(true),
            }
        })
    }
}

fn is_routed(given: &Given) -> bool {
    matches!(given, Given::Full(Command { body: CommandBody::Reserve(_) | CommandBody::Reject(_), .. }))
}
