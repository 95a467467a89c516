//! Plans are made beside the committer: those of small orders on the I/O core that read them, those of big ones by
//! planner threads behind a bounded queue. A plan is a proposal; the committer has the last word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use earmark_engine::routing::Planner;
use earmark_engine::{Look, Planned, Reader, Replanner, check_order};
use earmark_protocol::command::{CommandBody, Order};
use earmark_protocol::frame::FrameWriter;
use earmark_protocol::ids::{Lsn, NodeIx, Tenant};
use earmark_protocol::query::Quote;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Refused, Replanned, Reply};

use super::admission::Waits;
use super::pipe::Pipe;
use crate::clock::{Clock, Moment};
use crate::commit::{Counters, Full, Item, push_reply, refuse};

/// Whether a command of this kind is given a plan.
pub(super) fn is_routed(body: &CommandBody) -> bool {
    match body {
        CommandBody::Reserve(_) => true,
        CommandBody::Reject(reject) => reject.reroute,
        _ => false,
    }
}

/// Orders of more units are planned by planner threads, however few lines they have: quantities that no node has may be split in
/// many ways.
const INLINE_UNITS_MAX: u64 = 128;

/// Orders that one question looks at again: what is found of them fits into the least frame.
const REPLAN_ORDERS: u64 = 32;

/// Whether planning this command takes longer than an I/O core may be busy with one order.
pub(super) fn is_big(reader: &Reader, tenant: Tenant, body: &CommandBody, inline_lines_max: usize) -> bool {
    match body {
        CommandBody::Reserve(reserve) => is_big_order(reader, tenant, &reserve.order, inline_lines_max),
        CommandBody::Reject(reject) if reject.reroute => reader
            .rest_to_reroute(tenant, reject)
            .is_some_and(|rest| is_big_order(reader, tenant, &rest.order, inline_lines_max)),
        _ => false,
    }
}

/// The same of an order.
pub(super) fn is_big_order(reader: &Reader, tenant: Tenant, order: &Order, inline_lines_max: usize) -> bool {
    let (lines, units) = reader.extent(tenant, order);
    lines > inline_lines_max || units > INLINE_UNITS_MAX
}

/// Gives a command that is to be routed the plan it proposes, against what is available now.
pub(super) fn plan(planner: &mut Planner, reader: &Reader, tenant: Tenant, full: &mut Full) {
    full.rounds += 1;
    full.planned = match &full.command.body {
        CommandBody::Reserve(reserve) => {
            Some(plan_order(planner, reader, tenant, &reserve.order, reserve.best_effort, &[]))
        }
        CommandBody::Reject(reject) if reject.reroute => {
            // What cannot go elsewhere is dropped from the reservation, so its lines are planned one by one.
            let rest = reader.rest_to_reroute(tenant, reject);
            rest.map(|rest| planner.plan_rest(reader, reader.lanes(), tenant, &rest, reject.node))
        }
        _ => None,
    };
}

/// A plan of an order, or why there is none.
pub(super) fn plan_order(
    planner: &mut Planner,
    reader: &Reader,
    tenant: Tenant,
    order: &Order,
    best_effort: bool,
    without: &[NodeIx],
) -> Planned {
    check_order(reader, tenant, order)?;
    planner.plan(reader, reader.lanes(), tenant, order, best_effort, without)
}

/// The answer to a quote.
pub(super) fn quote(planner: &mut Planner, reader: &Reader, tenant: Tenant, quote: &Quote) -> Reply {
    match plan_order(planner, reader, tenant, &quote.order, quote.best_effort, &[]) {
        Ok(proposal) => Reply::Quoted(proposal.plan),
        Err(refusal) => Reply::Refused(Refused { lsn: Lsn(0), refusal }),
    }
}

/// Something big to plan.
pub(super) enum Job {
    /// A command, to be handed to the committer then.
    Command { pipe: Arc<Pipe>, tenant: Tenant, arrived: Moment, full: Box<Full> },
    /// A question, to be answered then.
    Quote { pipe: Arc<Pipe>, tenant: Tenant, arrived: Moment, correlation: u32, quote: Box<Quote> },
    /// A look at confirmed orders, to be answered then.
    Replan { pipe: Arc<Pipe>, tenant: Tenant, arrived: Moment, correlation: u32, from: u32 },
    /// No more: one thread ends.
    Stop,
}

/// The planner threads.
pub(crate) struct Planners {
    queue: Sender<Job>,
    waits: Arc<Waits>,
    counters: Arc<Counters>,
    frame_bytes_max: u32,
}

/// The threads themselves.
pub(crate) struct PlannerThreads {
    threads: Vec<JoinHandle<()>>,
    queue: Sender<Job>,
    stop: Arc<AtomicBool>,
}

impl Planners {
    /// Starts so many threads; so many jobs may wait for them.
    pub(crate) fn start(
        threads: usize,
        queue: usize,
        reader: &Reader,
        clock: &Arc<Clock>,
        counters: &Arc<Counters>,
        frame_bytes_max: u32,
    ) -> anyhow::Result<(Self, PlannerThreads)> {
        let (sender, jobs) = bounded(queue);
        let waits = Arc::new(Waits::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut started =
            PlannerThreads { threads: Vec::new(), queue: sender.clone(), stop: Arc::clone(&stop) };
        for number in 0..threads {
            let (jobs, reader, clock) = (jobs.clone(), reader.clone(), Arc::clone(clock));
            let (waits, stop) = (Arc::clone(&waits), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name(format!("planner{number}"));
            let thread =
                thread.spawn(move || work_off(&jobs, &stop, &reader, &clock, &waits, frame_bytes_max));
            started.threads.push(thread.context("starting a planner thread")?);
        }
        Ok((Self { queue: sender, waits, counters: Arc::clone(counters), frame_bytes_max }, started))
    }

    /// How long jobs wait for a thread.
    pub(super) fn waits_us(&self, now: Moment) -> u64 {
        self.waits.level_us(now)
    }

    /// Jobs that wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Queues a job; where there is no room it is answered Overloaded.
    pub(super) fn submit_or_refuse(&self, job: Job) {
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.queue.try_send(job) {
            self.refuse(job, RefusalCode::Overloaded);
        }
    }

    fn refuse(&self, job: Job, code: RefusalCode) {
        self.counters.refuse(code);
        refuse_job(job, code, self.frame_bytes_max);
    }
}

impl PlannerThreads {
    /// Ends the threads after the plan in hand. What waits is refused: the time to drain is over.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for _ in &self.threads {
            // A send fails only where all threads are gone already.
            let _ = self.queue.send(Job::Stop);
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a planner thread panicked");
            }
        }
    }
}

fn refuse_job(job: Job, code: RefusalCode, frame_bytes_max: u32) {
    let (pipe, correlation) = match job {
        Job::Command { pipe, full, .. } => (pipe, full.correlation),
        Job::Quote { pipe, correlation, .. } | Job::Replan { pipe, correlation, .. } => (pipe, correlation),
        Job::Stop => return,
    };
    let mut replies = FrameWriter::new(frame_bytes_max);
    refuse(&mut replies, correlation, code);
    pipe.post(&mut replies, 1);
}

fn work_off(
    jobs: &Receiver<Job>,
    stop: &AtomicBool,
    reader: &Reader,
    clock: &Clock,
    waits: &Waits,
    frame_bytes_max: u32,
) {
    let (mut planner, mut replanner) = (Planner::patient(), Replanner::default());
    while let Ok(job) = jobs.recv() {
        if stop.load(Ordering::Acquire) && !matches!(job, Job::Stop) {
            refuse_job(job, RefusalCode::Draining, frame_bytes_max);
            continue;
        }
        let now = clock.moment();
        match job {
            Job::Command { pipe, tenant, arrived, mut full } => {
                waits.observe(now, now.us_since(arrived));
                let give_up_us = u64::from(full.command.give_up_ms) * 1_000;
                // One that has given up needs no plan: the committer answers it.
                if give_up_us == 0 || now.us_since(arrived) <= give_up_us {
                    plan(planner.at(clock.now()), reader, tenant, &mut full);
                }
                let core = Arc::clone(pipe.core());
                let mut work = core.work(&pipe, tenant, arrived);
                work.items.push(Item::Full(full));
                core.submit(&pipe, work);
            }
            Job::Quote { pipe, tenant, arrived, correlation, quote: asked } => {
                waits.observe(now, now.us_since(arrived));
                let mut replies = FrameWriter::new(frame_bytes_max);
                push_reply(
                    &mut replies,
                    correlation,
                    &quote(planner.at(clock.now()), reader, tenant, &asked),
                );
                pipe.post(&mut replies, 1);
            }
            Job::Replan { pipe, tenant, arrived, correlation, from } => {
                waits.observe(now, now.us_since(arrived));
                let look = replanner.look(reader, clock.now(), Some(tenant), from, REPLAN_ORDERS);
                let Look { next, looked_at, found } = look;
                let moves = found.into_iter().map(|(_, saving)| saving).collect();
                let mut replies = FrameWriter::new(frame_bytes_max);
                push_reply(
                    &mut replies,
                    correlation,
                    &Reply::Replanned(Replanned { next, looked_at, moves }),
                );
                pipe.post(&mut replies, 1);
            }
            Job::Stop => return,
        }
    }
}
