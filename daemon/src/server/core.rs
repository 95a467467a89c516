//! One I/O core's share of the work: what its pipes read is committed once per turn, plans that no longer fit are
//! made again, and replies leave as the gate lets them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use earmark_engine::routing::Planner;
use earmark_protocol::frame::FrameWriter;
use earmark_protocol::ids::{Lsn, Tenant};
use earmark_protocol::refusal::RefusalCode;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::pipe::Pipe;
use super::planning::{self, Job};
use super::shared::Shared;
use crate::clock::Moment;
use crate::commit::{Full, Item, Work};

/// Planning goes on for so long before others on the core have their turn: a few plans of ordinary orders.
pub(super) const PLANNING_US_MAX: u64 = 1_000;

/// Pieces of work whose replies are let go of in one turn, so that the first peers hear while others are still waited on.
const RELEASED_MAX: usize = 64;

/// An I/O core.
pub(crate) struct Core {
    shared: Arc<Shared>,
    /// Told when something is queued, decided, or let through by the gate.
    turn: Notify,
    /// When the oldest work was queued that this turn has not committed; 0 for none.
    turn_began: AtomicU64,
    planner: Mutex<Planner>,
    /// Replies that the gate has not let through, in the order of the log.
    gated: Mutex<VecDeque<Gated>>,
    gated_count: AtomicUsize,
    again: Mutex<VecDeque<Again>>,
}

struct Gated {
    pipe: Arc<Pipe>,
    lsn: Lsn,
    replies: FrameWriter,
    answered: u32,
}

/// Commands of one read whose plans no longer fit.
struct Again {
    pipe: Arc<Pipe>,
    tenant: Tenant,
    arrived: Moment,
    commands: Vec<Full>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            turn: Notify::new(),
            turn_began: AtomicU64::new(0),
            planner: Mutex::new(Planner::new()),
            gated: Mutex::default(),
            gated_count: AtomicUsize::new(0),
            again: Mutex::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn planner(&self) -> &Mutex<Planner> {
        &self.planner
    }

    /// How long work waits here until it is decided, as far as is known.
    pub(super) fn waits_us(&self, now: Moment) -> u64 {
        let began = self.turn_began.load(Ordering::Relaxed);
        let turn_us = if began == 0 { 0 } else { now.us_since(Moment(began)) };
        turn_us.max(self.shared.committer.waits_us(now))
    }

    /// Queue work for the committer; it is decided at the end of this turn. Where the queue is full it is refused.
    pub(super) fn submit(&self, pipe: &Pipe, work: Work) {
        match self.shared.committer.submit(work) {
            Ok(()) => {
                if self.turn_began.load(Ordering::Relaxed) == 0 {
                    self.turn_began.store(self.shared.clock.moment().0.max(1), Ordering::Relaxed);
                }
                self.turn.notify_one();
            }
            Err(mut work) => {
                work.items
                    .iter()
                    .for_each(|_| self.shared.committer.counters().refuse(RefusalCode::Overloaded));
                work.refuse_all(RefusalCode::Overloaded);
                pipe.post(&mut work.replies, work.answered);
            }
        }
    }

    /// Work of one of this core's pipes was decided. Called by the one who plays the committer.
    pub(super) fn decided(&self, pipe: Arc<Pipe>, work: Work) {
        let Work { tenant, arrived, mut replies, answered, again, lsn, .. } = work;
        if !again.is_empty() {
            self.again.lock().push_back(Again { pipe: Arc::clone(&pipe), tenant, arrived, commands: again });
            self.turn.notify_one();
        }
        if answered > 0 {
            self.post_when_durable(pipe, lsn, &mut replies, answered);
        }
    }

    /// Hands replies to their pipe once the gate has passed `lsn`.
    pub(super) fn post_when_durable(
        &self,
        pipe: Arc<Pipe>,
        lsn: Lsn,
        replies: &mut FrameWriter,
        answered: u32,
    ) {
        if self.shared.committer.gate().passed() >= lsn.0 {
            pipe.post(replies, answered);
            return;
        }
        let limit = self.shared.limits.frame_bytes_max;
        let replies = std::mem::replace(replies, FrameWriter::new(limit));
        let mut gated = self.gated.lock();
        gated.push_back(Gated { pipe, lsn, replies, answered });
        // SeqCst: pairs with `gate_moved`; the turn after this looks at the gate again, or the gate sees this.
        self.gated_count.store(gated.len(), Ordering::SeqCst);
        drop(gated);
        self.turn.notify_one();
    }

    /// The gate has moved: have a turn where replies wait for it.
    pub(super) fn gate_moved(&self) {
        // SeqCst: pairs with the store in `post_when_durable`.
        if self.gated_count.load(Ordering::SeqCst) > 0 {
            self.turn.notify_one();
        }
    }

    /// The core's turns, for ever. The task runs after all pipes that were ready have read, so what they read is
    /// committed together; where it is much, the pipes have their turn between its parts.
    pub(super) async fn turns(self: Arc<Self>) {
        loop {
            self.turn.notified().await;
            while self.take_turn() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Commits, plans again and lets go of so much as is good for one turn. Whether there is more.
    fn take_turn(&self) -> bool {
        self.turn_began.store(0, Ordering::Relaxed);
        let is_queued = self.shared.committer.part_of_turn();
        let is_unplanned = self.plan_again();
        let is_gated = self.release();
        if is_queued {
            // Others go first, and what they queue is told from here on.
            self.turn_began.store(self.shared.clock.moment().0.max(1), Ordering::Relaxed);
        }
        is_queued || is_unplanned || is_gated
    }

    /// Lets go of replies that the gate has let through. Whether it could let go of more.
    fn release(&self) -> bool {
        if self.gated_count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let passed = self.shared.committer.gate().passed();
        let mut gated = self.gated.lock();
        let mut left = RELEASED_MAX;
        while left > 0
            && let Some(front) = gated.front()
            && front.lsn.0 <= passed
            && let Some(Gated { pipe, mut replies, answered, .. }) = gated.pop_front()
        {
            pipe.post(&mut replies, answered);
            left -= 1;
        }
        self.gated_count.store(gated.len(), Ordering::SeqCst);
        left == 0
    }

    /// Plans what no longer fitted against what is there now, small orders here and big ones on the pool. Whether some is
    /// left for the next turn.
    fn plan_again(&self) -> bool {
        let began = self.shared.clock.moment();
        loop {
            let Some(Again { pipe, tenant, arrived, commands }) = self.again.lock().pop_front() else {
                return false;
            };
            let mut small = self.work(&pipe, tenant, arrived);
            self.shared.planned_again.fetch_add(commands.len() as u64, Ordering::Relaxed);
            for full in commands {
                let mut full = Box::new(full);
                // In the last round the committer plans by itself where the order is small enough to.
                full.last = full.rounds >= self.shared.rounds_max;
                if planning::is_big(
                    &self.shared.reader,
                    tenant,
                    &full.command.body,
                    self.shared.inline_lines_max,
                ) {
                    let job = Job::Command { pipe: Arc::clone(&pipe), tenant, arrived, full };
                    self.shared.planners.submit_or_refuse(job);
                } else {
                    planning::plan(
                        self.planner.lock().at(self.shared.clock.now()),
                        &self.shared.reader,
                        tenant,
                        &mut full,
                    );
                    small.items.push(Item::Full(full));
                }
            }
            if !small.items.is_empty() {
                self.submit(&pipe, small);
            }
            if self.shared.clock.moment().us_since(began) > PLANNING_US_MAX {
                return true;
            }
        }
    }

    /// Work of a pipe with nothing in it yet.
    pub(super) fn work(&self, pipe: &Arc<Pipe>, tenant: Tenant, arrived: Moment) -> Work {
        Work::new(Arc::clone(pipe) as _, tenant, arrived, self.shared.limits.frame_bytes_max)
    }
}
