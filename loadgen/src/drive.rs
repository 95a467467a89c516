//! Puts a load on a daemon: opens connections and pipes from as many threads as are wanted, lets all lanes begin at one
//! moment, and gathers what they noted. Each thread is a current-thread runtime with a socket of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use earmark_protocol::client::pipe::{Pipe, QuicPipe};
use earmark_protocol::client::{ClientConfig, ClientError, Connection, Dialer};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, Ids, Moment};
use crate::error::Trouble;
use crate::lane::{Floor, Lane, Pace};
use crate::meter::{Meter, Window};
use crate::pace::{Beat, Schedule, Step};
use crate::process::{Process, Usage};
use crate::ticker::Ticker;
use crate::workload::Workload;

/// From all pipes being open to the first request.
const LEAD: Duration = Duration::from_millis(20);
const OPENING: &str = "opening pipes for the load";

/// How the load is put on.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) config: ClientConfig,
    pub(crate) unix: Option<PathBuf>,
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    /// Pipes of all connections together.
    pub(crate) pipes: usize,
    /// Requests of one frame.
    pub(crate) batch: u32,
    pub(crate) rhythm: Rhythm,
    pub(crate) warm_up: Duration,
    /// The measured part.
    pub(crate) lasts: Duration,
    /// How long answers are waited for afterwards.
    pub(crate) drain: Duration,
}

/// What decides when requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rhythm {
    /// Closed loop: so many wait at any time, over all pipes.
    InFlight(usize),
    /// Open loop: at these rates, one step after the other; `tick` is how finely they are kept.
    Rate { steps: Vec<Step>, tick: Duration },
    /// Open loop: one request so long after the beginning, each.
    Listed { after: Vec<Duration>, tick: Duration },
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Driven<L> {
    pub(crate) meter: Meter,
    pub(crate) workloads: Vec<L>,
    /// Pipes that were gone before their load was over, and why.
    pub(crate) lost: Vec<ClientError>,
    /// Used in the measured part.
    pub(crate) client: Usage,
    pub(crate) server: Option<Usage>,
}

/// What is heard of the threads.
enum Word<L> {
    Ready,
    Done(Meter, Vec<L>, Vec<ClientError>),
    Failed(Trouble),
}

/// Puts it on. `workload` makes the one of each pipe; `progress` is told the seconds that are gone.
pub(crate) async fn drive<L: Workload>(
    load: &Load,
    server: Option<Process>,
    workload: impl Fn(usize) -> L + Clone + Send + 'static,
    progress: impl Fn(f64),
) -> Result<Driven<L>, Trouble> {
    let clock = Clock::start();
    let (words, mut heard) = mpsc::unbounded_channel();
    let (go, begins) = watch::channel(None);
    for number in 0..load.threads {
        let thread = Thread { number, load: load.clone(), clock, begins: begins.clone() };
        let (words, workload) = (words.clone(), workload.clone());
        let started = std::thread::Builder::new().name(format!("load-{number}")).spawn(move || {
            let word = thread.run(&words, workload).unwrap_or_else(Word::Failed);
            // Nobody listens where another thread has failed.
            let _ = words.send(word);
        });
        started.map_err(|error| Trouble::Machine(format!("starting a thread for the load: {error}")))?;
    }
    drop(words);
    for _ in 0..load.threads {
        match heard.recv().await {
            Some(Word::Failed(trouble)) => return Err(trouble),
            Some(Word::Ready | Word::Done(..)) => {}
            None => return Err(Trouble::Failed("a thread of the load ended early".to_owned())),
        }
    }
    let begin = clock.now().plus(LEAD);
    let window = load.window(begin);
    go.send_replace(Some(begin));

    let own = Process::own();
    tokio::time::sleep_until(clock.instant(window.from)).await;
    let before = (own.usage(), server.and_then(|server| server.usage()));
    let mut shown = window.from;
    while shown < window.to {
        shown = shown.plus(Duration::from_secs(1)).min(window.to);
        tokio::time::sleep_until(clock.instant(shown)).await;
        progress(shown.ns_since(window.from) as f64 / 1e9);
    }
    let after = (own.usage(), server.and_then(|server| server.usage()));

    let used = |before: Option<Usage>, after: Option<Usage>| {
        Some(Usage { cpu_s: after?.cpu_s - before?.cpu_s, rss_bytes: after?.rss_bytes })
    };
    let mut driven = Driven {
        meter: Meter::new(window, L::STEPS.len()),
        workloads: Vec::new(),
        lost: Vec::new(),
        client: used(before.0, after.0).unwrap_or_default(),
        server: used(before.1, after.1),
    };
    for _ in 0..load.threads {
        match heard.recv().await {
            Some(Word::Done(meter, workloads, lost)) => {
                driven.meter.add(&meter);
                driven.workloads.extend(workloads);
                driven.lost.extend(lost);
            }
            Some(Word::Failed(trouble)) => return Err(trouble),
            Some(Word::Ready) | None => {
                return Err(Trouble::Failed("a thread of the load ended early".to_owned()));
            }
        }
    }
    Ok(driven)
}

impl Load {
    fn window(&self, begin: Moment) -> Window {
        let from = begin.plus(self.warm_up);
        // A hundred and twenty points draw a smooth line; below a tenth of a second they are noise.
        let interval = (self.lasts / 120).max(Duration::from_millis(100));
        Window { from, to: from.plus(self.lasts), interval }
    }

    /// When what is due, in an open loop. The warm-up goes at the first rate.
    fn schedule(&self, begin: Moment) -> Option<Schedule> {
        match &self.rhythm {
            Rhythm::InFlight(_) => None,
            Rhythm::Listed { after, .. } => {
                let from = self.window(begin).from;
                Some(Schedule::Listed(after.iter().map(|after| from.plus(*after)).collect()))
            }
            Rhythm::Rate { steps, .. } => {
                let warm_up = steps.first().map(|first| Step { lasts: self.warm_up, ..*first });
                let steps: Vec<_> = warm_up.into_iter().chain(steps.iter().copied()).collect();
                Some(Schedule::even(begin, self.batch, &steps))
            }
        }
    }
}

/// One thread of the load.
struct Thread {
    number: usize,
    load: Load,
    clock: Clock,
    begins: watch::Receiver<Option<Moment>>,
}

/// A pipe over either transport, and when it was greeted.
enum Opened {
    Quic(QuicPipe, Moment),
    Unix(Pipe<OwnedReadHalf, OwnedWriteHalf>, Moment),
}

type Ended<L> = (L, Result<(), ClientError>);

impl Thread {
    fn run<L: Workload>(
        self,
        words: &mpsc::UnboundedSender<Word<L>>,
        workload: impl Fn(usize) -> L,
    ) -> Result<Word<L>, Trouble> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::Machine(format!("starting a runtime: {error}")))?;
        // On the runtime as a task of its own: what is polled by `block_on` itself is polled at every wake-up.
        runtime.block_on(self.put_on(words, workload))
    }

    /// Dials, puts the load on, and says goodbye, whatever came of it.
    async fn put_on<L: Workload>(
        mut self,
        words: &mpsc::UnboundedSender<Word<L>>,
        workload: impl Fn(usize) -> L,
    ) -> Result<Word<L>, Trouble> {
        let dialer = Dialer::new(&self.load.config).map_err(Trouble::daemon(OPENING))?;
        let mut connections = Vec::new();
        let done = self.put_on_pipes(&dialer, &mut connections, words, workload).await;
        connections.iter().for_each(Connection::close);
        dialer.goodbye().await;
        done
    }

    async fn put_on_pipes<L: Workload>(
        &mut self,
        dialer: &Dialer,
        connections: &mut Vec<Connection>,
        words: &mpsc::UnboundedSender<Word<L>>,
        workload: impl Fn(usize) -> L,
    ) -> Result<Word<L>, Trouble> {
        let pipes = self.open(dialer, connections).await.map_err(Trouble::daemon(OPENING))?;
        let _ = words.send(Word::Ready);
        let begin = loop {
            if let Some(begin) = *self.begins.borrow_and_update() {
                break begin;
            }
            let gone = self.begins.changed().await.is_err();
            if gone {
                return Err(Trouble::Failed("the load was called off".to_owned()));
            }
        };
        tokio::time::sleep_until(self.clock.instant(begin)).await;

        let window = self.load.window(begin);
        let schedule = self.load.schedule(begin).map(Arc::new);
        let floor = Floor {
            clock: self.clock,
            beat: Arc::new(Beat::new(pipes.len())),
            meter: Arc::new(Mutex::new(Meter::new(window, L::STEPS.len()))),
            batch: self.load.batch,
        };
        let lanes: Vec<_> = pipes
            .into_iter()
            .enumerate()
            .map(|(lane, pipe)| self.spawn(lane, pipe, &floor, schedule.as_ref(), window, &workload))
            .collect();
        self.keep_time(&floor, schedule.as_deref(), window).await?;
        let (workloads, lost) = self.gather(lanes, &floor, window).await;
        let meter = floor.meter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Word::Done(meter, workloads, lost))
    }

    /// This thread's share of connections and pipes.
    async fn open(
        &self,
        dialer: &Dialer,
        connections: &mut Vec<Connection>,
    ) -> Result<Vec<Opened>, ClientError> {
        let pipes = share(self.load.pipes, self.load.threads, self.number);
        let mut opened = Vec::with_capacity(pipes);
        if let Some(path) = &self.load.unix {
            for _ in 0..pipes {
                let pipe = open_unix(path, &self.load.config.token).await?;
                opened.push(Opened::Unix(pipe, self.clock.now()));
            }
            return Ok(opened);
        }
        for _ in 0..share(self.load.connections, self.load.threads, self.number).min(pipes) {
            connections.push(dialer.dial(self.load.config.connect_deadline).await?);
        }
        for connection in connections.iter().cycle().take(pipes) {
            opened.push(Opened::Quic(connection.open_pipe().await?, self.clock.now()));
        }
        Ok(opened)
    }

    fn spawn<L: Workload>(
        &self,
        lane: usize,
        pipe: Opened,
        floor: &Floor,
        schedule: Option<&Arc<Schedule>>,
        window: Window,
        workload: impl Fn(usize) -> L,
    ) -> JoinHandle<Ended<L>> {
        let (lanes, threads) = (floor.beat.lanes(), self.load.threads);
        let pace = match (&self.load.rhythm, schedule) {
            (Rhythm::InFlight(in_flight), _) => {
                let in_flight = share(*in_flight, self.load.pipes, lane * threads + self.number);
                Pace::Window { in_flight: in_flight.max(self.load.batch as usize), until: window.to }
            }
            (_, schedule) => Pace::Due {
                schedule: Arc::clone(schedule.expect("an open loop has a schedule")),
                first: (lane * threads + self.number) as u64,
                stride: (lanes * threads) as u64,
            },
        };
        let workload = workload(lane * threads + self.number);
        let floor = floor.clone();
        match pipe {
            Opened::Quic(pipe, greeted) => {
                let ids = Ids::new(&pipe.hello, greeted);
                tokio::spawn(Lane::new(pipe, ids, workload, pace, floor, lane).run())
            }
            Opened::Unix(pipe, greeted) => {
                let ids = Ids::new(&pipe.hello, greeted);
                tokio::spawn(Lane::new(pipe, ids, workload, pace, floor, lane).run())
            }
        }
    }

    /// Tells the lanes what is due, until the load is over.
    async fn keep_time(
        &self,
        floor: &Floor,
        schedule: Option<&Schedule>,
        window: Window,
    ) -> Result<(), Trouble> {
        let (Rhythm::Rate { tick, .. } | Rhythm::Listed { tick, .. }, Some(schedule)) =
            (&self.load.rhythm, schedule)
        else {
            tokio::time::sleep_until(self.clock.instant(window.to)).await;
            return Ok(());
        };
        let failed = |error| Trouble::Machine(format!("keeping time for an open loop: {error}"));
        let mut ticker = Ticker::every(*tick).map_err(failed)?;
        let (threads, number) = (self.load.threads as u64, self.number as u64);
        loop {
            let due = schedule.due_by(self.clock.now());
            // Every so many batches of the schedule one is this thread's.
            floor.beat.advance((due + threads - 1 - number) / threads);
            if due == schedule.batches() {
                return Ok(());
            }
            ticker.tick().await.map_err(failed)?;
        }
    }

    /// Waits for the lanes, as long as answers may come.
    async fn gather<L: Workload>(
        &self,
        mut lanes: Vec<JoinHandle<Ended<L>>>,
        floor: &Floor,
        window: Window,
    ) -> (Vec<L>, Vec<ClientError>) {
        let patience = self.clock.instant(window.to.plus(self.load.drain));
        let (mut workloads, mut lost) = (Vec::with_capacity(lanes.len()), Vec::new());
        floor.beat.wake_all();
        for lane in &mut lanes {
            let ended = match tokio::time::timeout_at(patience, &mut *lane).await {
                Ok(ended) => ended,
                Err(_) => {
                    floor.beat.end();
                    lane.await
                }
            };
            let (workload, ended) = ended.expect("lanes are not aborted and do not panic");
            workloads.push(workload);
            lost.extend(ended.err());
        }
        (workloads, lost)
    }
}

async fn open_unix(path: &Path, token: &str) -> Result<Pipe<OwnedReadHalf, OwnedWriteHalf>, ClientError> {
    let stream = UnixStream::connect(path).await.map_err(|error| ClientError::Configuration {
        what: "the unix socket",
        cause: format!("{}: {error}", path.display()).into(),
    })?;
    let (read, write) = stream.into_split();
    Pipe::open(read, write, token).await
}

/// The part of a whole that falls to one of so many: as even as can be, the first ones take what is left over.
fn share(whole: usize, parts: usize, part: usize) -> usize {
    whole / parts + usize::from(part < whole % parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_add_up_to_the_whole() {
        assert_eq!((0..3).map(|part| share(8, 3, part)).collect::<Vec<_>>(), [3, 3, 2]);
        assert_eq!((0..4).map(|part| share(2, 4, part)).sum::<usize>(), 2);
    }
}
