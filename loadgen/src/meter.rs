//! What is noted of the answers: how long each took by step, how it ended, and how that went over time. One meter per
//! thread; meters are added up at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use earmark_protocol::refusal::RefusalCode;
use hdrhistogram::Histogram;

use crate::clock::{Moment, nanos};

/// Latencies from 1 ns to a minute, to three digits; what took longer counts as a minute.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are legal")
}

/// The measured part of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    /// A point of the series.
    pub(crate) interval: Duration,
}

impl Window {
    pub(crate) fn contains(&self, moment: Moment) -> bool {
        (self.from..self.to).contains(&moment)
    }
}

/// Answers of one kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    /// From the start of each request in the window to its answer, in nanoseconds.
    pub(crate) latency_ns: Histogram<u64>,
    /// Requests that started in the window.
    pub(crate) sent: u64,
    /// Those of them that were answered.
    pub(crate) answered: u64,
    /// Those of them that were not.
    pub(crate) unanswered: u64,
    /// Refusals among the answers.
    pub(crate) refused: BTreeMap<RefusalCode, u64>,
    /// How long those took, which are in `latency_ns` too.
    pub(crate) refused_ns: Histogram<u64>,
}

/// What arrived in one interval.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) latency_ns: Histogram<u64>,
    pub(crate) refused: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    window: Window,
    pub(crate) steps: Vec<Answers>,
    pub(crate) points: Vec<Point>,
    /// Answers that arrived in the window, whenever they were asked for.
    pub(crate) arrived: u64,
}

impl Meter {
    pub(crate) fn new(window: Window, steps: usize) -> Self {
        let answers = Answers {
            latency_ns: latencies(),
            sent: 0,
            answered: 0,
            unanswered: 0,
            refused: BTreeMap::new(),
            refused_ns: latencies(),
        };
        Self { window, steps: vec![answers; steps], points: Vec::new(), arrived: 0 }
    }

    /// A point of the series.
    pub(crate) fn interval(&self) -> Duration {
        self.window.interval
    }

    /// Requests left that started then, or were due then.
    pub(crate) fn sent(&mut self, step: u8, started: Moment, count: u64) {
        if self.window.contains(started) {
            self.steps[usize::from(step)].sent += count;
        }
    }

    /// Answers came to requests that started at the same moment.
    #[inline]
    pub(crate) fn answered(&mut self, step: u8, started: Moment, now: Moment, count: u64) {
        if self.window.contains(now) {
            self.arrived += count;
        }
        if !self.window.contains(started) {
            return;
        }
        let ns = now.ns_since(started).max(1);
        let answers = &mut self.steps[usize::from(step)];
        answers.answered += count;
        answers.latency_ns.saturating_record_n(ns, count);
        self.point(now).latency_ns.saturating_record_n(ns, count);
    }

    /// One of the answers is a no.
    pub(crate) fn refused(&mut self, step: u8, started: Moment, now: Moment, code: RefusalCode) {
        if self.window.contains(started) {
            let answers = &mut self.steps[usize::from(step)];
            *answers.refused.entry(code).or_default() += 1;
            answers.refused_ns.saturating_record(now.ns_since(started).max(1));
            self.point(now).refused += 1;
        }
    }

    /// Requests will not be answered any more. They took at least until now.
    pub(crate) fn unanswered(&mut self, step: u8, started: Moment, now: Moment, count: u64) {
        if self.window.contains(started) {
            let answers = &mut self.steps[usize::from(step)];
            answers.unanswered += count;
            answers.latency_ns.saturating_record_n(now.ns_since(started).max(1), count);
        }
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in self.steps.iter_mut().zip(&other.steps) {
            own.latency_ns.add(&other.latency_ns).expect("the bounds are the same");
            own.sent += other.sent;
            own.answered += other.answered;
            own.unanswered += other.unanswered;
            for (code, count) in &other.refused {
                *own.refused.entry(*code).or_default() += count;
            }
            own.refused_ns.add(&other.refused_ns).expect("the bounds are the same");
        }
        for (at, other) in other.points.iter().enumerate() {
            let own = self.point_at(at);
            own.latency_ns.add(&other.latency_ns).expect("the bounds are the same");
            own.refused += other.refused;
        }
        self.arrived += other.arrived;
    }

    /// All steps together.
    pub(crate) fn all(&self) -> Answers {
        let mut sum = Self::new(self.window, 1);
        for step in &self.steps {
            let one = Self { steps: vec![step.clone()], points: Vec::new(), arrived: 0, ..*self };
            sum.add(&one);
        }
        sum.steps.remove(0)
    }

    fn point(&mut self, now: Moment) -> &mut Point {
        let at = now.ns_since(self.window.from) / nanos(self.window.interval).max(1);
        self.point_at(at as usize)
    }

    fn point_at(&mut self, at: usize) -> &mut Point {
        while self.points.len() <= at {
            let latency_ns = Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are legal");
            self.points.push(Point { latency_ns, refused: 0 });
        }
        &mut self.points[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn meter() -> Meter {
        let window = Window { from: Moment(S), to: Moment(3 * S), interval: Duration::from_secs(1) };
        Meter::new(window, 2)
    }

    #[test]
    fn a_request_counts_where_it_started_and_an_answer_where_it_arrived() {
        let mut meter = meter();
        meter.sent(0, Moment(S - 1), 1);
        meter.answered(0, Moment(S - 1), Moment(S), 1);
        meter.sent(0, Moment(3 * S - 1), 1);
        meter.answered(0, Moment(3 * S - 1), Moment(3 * S), 1);
        assert_eq!((meter.steps[0].sent, meter.steps[0].answered, meter.arrived), (1, 1, 1));
    }

    #[test]
    fn what_is_never_answered_is_in_the_percentiles_with_the_time_it_waited() {
        let mut meter = meter();
        meter.answered(0, Moment(S), Moment(S + 1_000), 99);
        meter.unanswered(0, Moment(S), Moment(2 * S), 1);
        let latency = &meter.steps[0].latency_ns;
        assert!(latency.value_at_quantile(0.99) < 2_000);
        assert!(latency.max() >= S - S / 1_000);
    }

    #[test]
    fn meters_of_two_threads_add_up_by_step_and_by_interval() {
        let (mut one, mut two) = (meter(), meter());
        one.answered(0, Moment(S), Moment(S + 5), 3);
        two.answered(1, Moment(S), Moment(2 * S + 5), 4);
        two.refused(1, Moment(S), Moment(2 * S + 5), RefusalCode::OutOfStock);
        one.add(&two);
        assert_eq!(one.all().answered, 7);
        assert_eq!(one.steps[1].refused[&RefusalCode::OutOfStock], 1);
        assert!(one.all().refused_ns.len() == 1 && one.all().refused_ns.min() >= S - S / 1_000);
        let arrived: Vec<_> = one.points.iter().map(|point| point.latency_ns.len()).collect();
        assert_eq!((arrived, one.points[1].refused), (vec![3, 4], 1));
    }
}
