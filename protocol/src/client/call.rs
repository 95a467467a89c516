//! A call as its caller waits for it, and the lock that callers and driver share. Nothing waits under the lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::calls::{Answer, Calls, Request};
use super::error::ClientError;

/// The calls of one pipe, shared.
#[derive(Debug)]
pub(super) struct PipeCalls {
    calls: Mutex<Calls>,
}

impl PipeCalls {
    pub(super) fn new(in_flight_max: u32) -> Self {
        Self { calls: Mutex::new(Calls::new(in_flight_max)) }
    }

    /// A caller that panicked has left no call half changed, so its poison is ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a call.
    pub(super) fn submit(self: &Arc<Self>, request: Request) -> Result<Call, ClientError> {
        let (correlation, driver) = self.lock().submit(request)?;
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(Call { pipe: Arc::clone(self), correlation, over: false })
    }

    /// Queues many, side by side.
    pub(super) fn submit_all(
        self: &Arc<Self>,
        requests: impl Iterator<Item = Request>,
    ) -> Vec<Result<Call, ClientError>> {
        let mut waiting = None;
        let mut calls = self.lock();
        let submitted = requests.map(|request| {
            let (correlation, driver) = calls.submit(request)?;
            waiting = waiting.take().or(driver);
            Ok(Call { pipe: Arc::clone(self), correlation, over: false })
        });
        let submitted = submitted.collect();
        drop(calls);
        waiting.into_iter().for_each(Waker::wake);
        submitted
    }

    /// Does this with the calls and then wakes whom it concerns, outside the lock.
    pub(super) fn wake_after<T>(&self, change: impl FnOnce(&mut Calls, &mut Vec<Waker>) -> T) -> T {
        let mut wakers = Vec::new();
        let value = change(&mut self.lock(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        value
    }
}

/// A call that waits for its answer. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Call {
    pipe: Arc<PipeCalls>,
    correlation: u32,
    over: bool,
}

impl Future for Call {
    type Output = Result<Answer, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.pipe.lock().poll_answer(self.correlation, cx);
        // A late answer may still come for a call that met its deadline; dropping it settles that.
        self.over = matches!(answer, Poll::Ready(Ok(_)));
        answer
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.over {
            self.pipe.lock().abandon(self.correlation);
        }
    }
}
