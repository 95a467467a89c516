//! Keeps a client connected: one task dials again whenever the connection is gone, one task per pipe opens it again
//! and has its unanswered calls sent again. It decides how long to pause, never what a call means.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::call::PipeCalls;
use super::calls::Loss;
use super::clock::{self, Backoff, ServerClock};
use super::config::ClientConfig;
use super::dial::{Connection, Dialer};
use super::driver::{Deadlines, Driver};
use super::error::ClientError;
use super::pipe::QuicPipe;
use crate::hello::HelloReply;

/// How often the daemon's time is asked again: clocks drift some seconds a day.
const TIME_REFRESH: Duration = Duration::from_secs(60);
/// The first try to dial again is given up after this long, since a daemon that is not there yet does not answer
/// at all; each further one waits twice as long.
const REDIAL: Duration = Duration::from_millis(300);

/// What the daemon said about itself.
#[derive(Debug)]
pub(super) struct Known {
    hello: Mutex<HelloReply>,
    pub(super) clock: ServerClock,
    /// The epoch that callers know of. Alone in its word, so relaxed is enough.
    epoch: AtomicU64,
}

impl Known {
    pub(super) fn new(hello: HelloReply) -> Self {
        let (clock, epoch) = (ServerClock::new(hello.time), AtomicU64::new(hello.log_epoch));
        Self { hello: Mutex::new(hello), clock, epoch }
    }

    pub(super) fn hello(&self) -> HelloReply {
        *self.hello.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(super) fn accept_epoch(&self) -> HelloReply {
        let hello = self.hello();
        self.epoch.store(hello.log_epoch, Ordering::Relaxed);
        hello
    }

    fn learn(&self, hello: HelloReply) {
        self.clock.set(hello.time);
        *self.hello.lock().unwrap_or_else(PoisonError::into_inner) = hello;
    }
}

/// The connection, or why there is none.
pub(super) type Link = Result<Connection, Arc<str>>;

/// Dials again whenever the connection is gone, for as long as anybody wants one.
pub(super) async fn keep_connection(
    dialer: Dialer,
    config: ClientConfig,
    known: Arc<Known>,
    link: watch::Sender<Link>,
) {
    loop {
        let Ok(connection) = link.borrow().clone() else { return };
        let why = loop {
            tokio::select! {
                why = connection.closed() => break why,
                () = sleep(TIME_REFRESH) => {
                    if let Ok(Ok(pipe)) = timeout(config.connect_deadline, connection.open_pipe()).await {
                        known.learn(pipe.hello);
                    }
                }
            }
        };
        link.send_modify(|link| *link = Err(why.into()));
        let mut backoff = Backoff::new(config.backoff_min, config.backoff_max);
        let mut within = REDIAL.min(config.connect_deadline);
        loop {
            match dialer.dial(within).await {
                Ok(connection) => {
                    link.send_modify(|link| *link = Ok(connection));
                    break;
                }
                Err(error) => {
                    link.send_modify(|link| *link = Err(error.to_string().into()));
                }
            }
            within = (within * 2).min(config.connect_deadline);
            sleep(backoff.pause()).await;
        }
    }
}

/// Opens the pipe again whenever it is gone, for as long as there is somebody who dials.
pub(super) async fn keep_pipe(
    first: Option<QuicPipe>,
    mut link: watch::Receiver<Link>,
    config: ClientConfig,
    known: Arc<Known>,
    calls: Arc<PipeCalls>,
) {
    let mut deadlines = Deadlines::new();
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max);
    let mut opened = first;
    // Since when there is none, as far as calls that wait know.
    let mut without_since = clock::now();
    loop {
        if opened.is_none() {
            let opening = open(&mut link, &calls, config.connect_deadline);
            let given_up = config.reconnect_deadline.map(|within| without_since + within);
            match deadlines.pass_during(&calls, before(given_up, opening)).await {
                Some(tried) => opened = tried,
                None => {
                    calls.wake_after(|calls, wakers| calls.give_up(clock::now(), wakers));
                    without_since = clock::now();
                }
            }
        }
        if let Some(pipe) = opened.take() {
            known.learn(pipe.hello);
            calls.lock().connected(&pipe.hello, config.in_flight_max);
            let (loss, answered) = Driver::new(pipe, &calls, &mut deadlines).run().await;
            without_since = clock::now();
            if answered {
                backoff.reset();
            }
            calls.wake_after(|calls, wakers| calls.lost(&loss, wakers));
        } else if link.has_changed().is_err() {
            return;
        }
        deadlines.pass_during(&calls, sleep(backoff.pause())).await;
    }
}

/// What something comes to before this moment, if it does.
async fn before<T>(moment: Option<Instant>, what: impl Future<Output = T>) -> Option<T> {
    match moment {
        Some(moment) => timeout_at(moment, what).await.ok(),
        None => Some(what.await),
    }
}

/// A pipe, or `None` after the calls were told why there is none.
async fn open(link: &mut watch::Receiver<Link>, calls: &PipeCalls, within: Duration) -> Option<QuicPipe> {
    let connection = loop {
        match &*link.borrow_and_update() {
            Ok(connection) => break connection.clone(),
            Err(trouble) => calls.lock().in_trouble(Arc::clone(trouble)),
        }
        link.changed().await.ok()?;
    };
    let error = match timeout(within, connection.open_pipe()).await {
        Ok(Ok(pipe)) => return Some(pipe),
        Ok(Err(error)) => error,
        Err(_) => ClientError::Lost { cause: "no answer to Hello".into() },
    };
    match Loss::of(error, 0) {
        Loss::Trouble(trouble) => calls.lock().in_trouble(trouble),
        Loss::Blame { error, .. } => calls.wake_after(|calls, wakers| calls.fail_all(&error, wakers)),
    }
    None
}
