//! Calls under chance: whatever is queued, sent, answered, lost, dropped or late, in whatever order, each call ends
//! once and with its own answer, no more is in flight than may be, and no place is lost.

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::frame::Frame;
use crate::ids::{Lsn, TimestampMs};
use crate::reply::Status;

const IN_FLIGHT_MAX: u32 = 3;

#[derive(Clone, Debug)]
enum Event {
    Submit { deadline_ms: u64 },
    Turn,
    Answer(usize),
    Lost,
    Pass { ms: u64 },
    Drop(usize),
    Poll,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u64..100).prop_map(|deadline_ms| Event::Submit { deadline_ms }),
        4 => Just(Event::Turn),
        4 => any::<usize>().prop_map(Event::Answer),
        1 => Just(Event::Lost),
        2 => (0_u64..40).prop_map(|ms| Event::Pass { ms }),
        1 => any::<usize>().prop_map(Event::Drop),
        2 => Just(Event::Poll),
    ]
}

/// What the callers wait for, and what the daemon has not answered.
struct World {
    calls: Calls,
    now: Instant,
    made: u32,
    /// Calls that wait: correlation to what they must be answered.
    waiting: HashMap<u32, u32>,
    /// What was sent over this pipe and is not answered: correlation and content, in order.
    unanswered: Vec<(u32, u32)>,
    wakers: Vec<Waker>,
}

impl World {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Submit { deadline_ms } => self.submit(Duration::from_millis(*deadline_ms)),
            Event::Turn => self.turn(),
            Event::Answer(which) if !self.unanswered.is_empty() => {
                let (correlation, content) = self.unanswered.remove(which % self.unanswered.len());
                assert!(self.answer(correlation, content), "an answer that is due is taken");
                assert!(!self.answer(correlation, content), "and only once");
            }
            Event::Lost => {
                self.calls.lost(&Loss::Trouble("lost".into()), &mut self.wakers);
                self.unanswered.clear();
            }
            Event::Pass { ms } => {
                self.now += Duration::from_millis(*ms);
                let next = self.calls.expire(self.now, &mut self.wakers);
                assert!(next.is_none_or(|next| next > self.now));
            }
            Event::Drop(which) if !self.waiting.is_empty() => {
                let mut waiting: Vec<_> = self.waiting.keys().copied().collect();
                waiting.sort_unstable();
                let correlation = waiting[which % waiting.len()];
                self.waiting.remove(&correlation);
                self.calls.abandon(correlation);
            }
            Event::Poll => self.poll(),
            Event::Answer(_) | Event::Drop(_) => {}
        }
    }

    fn submit(&mut self, deadline: Duration) {
        self.made += 1;
        let hold = HoldOne { quantity: self.made, ..HoldOne::default() };
        let request = Request {
            body: Body::HoldOne(hold.to_bytes()),
            id: Some(hold.id),
            made: self.now,
            deadline: self.now + deadline,
            epoch: 1,
        };
        let (correlation, _) = self.calls.submit(request).unwrap();
        assert_ne!(correlation, 0, "0 is nobody's");
        assert!(self.waiting.insert(correlation, self.made).is_none(), "two calls of one correlation");
    }

    fn turn(&mut self) {
        let mut writer = FrameWriter::new(200);
        self.calls.take_turn(1, &mut writer, &mut self.wakers, Waker::noop());
        let (bytes, mut at) = (writer.take(), 0);
        while let Some((frame, whole)) = Frame::parse(&bytes[at..], 200, 0).unwrap() {
            for message in frame.messages() {
                let message = message.unwrap();
                self.unanswered.push((message.correlation, HoldOne::read(message.body).unwrap().quantity));
            }
            at += whole;
        }
        assert!(self.unanswered.len() <= IN_FLIGHT_MAX as usize, "{:?}", self.unanswered);
    }

    fn answer(&mut self, correlation: u32, content: u32) -> bool {
        let deadline = TimestampMs(0);
        let reply = HoldOneReply::Held { lsn: Lsn(u64::from(content)), status: Status::Held, deadline };
        self.calls.answer(correlation, Answer::HoldOne(reply), &mut self.wakers)
    }

    fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let calls = &mut self.calls;
        self.waiting.retain(|correlation, content| match calls.poll_answer(*correlation, &mut cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(Answer::HoldOne(reply))) => {
                assert_eq!(reply.lsn().0, u64::from(*content), "somebody else's answer");
                false
            }
            Poll::Ready(Err(ClientError::Deadline { .. })) => {
                calls.abandon(*correlation);
                false
            }
            Poll::Ready(other) => panic!("{other:?}"),
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_call_ends_once_and_with_its_own_answer(events in vec(event(), 0..200)) {
        let mut world = World {
            calls: Calls::new(IN_FLIGHT_MAX),
            now: Instant::now(),
            made: 0,
            waiting: HashMap::new(),
            unanswered: Vec::new(),
            wakers: Vec::new(),
        };
        for event in &events {
            world.happens(event);
        }
        // A daemon that answers all it gets lets everything end.
        for _ in 0..=events.len() {
            world.turn();
            while let Some((correlation, content)) = world.unanswered.pop() {
                prop_assert!(world.answer(correlation, content));
            }
            world.poll();
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert_eq!(world.calls.in_flight, 0);
        prop_assert_eq!(world.calls.free.len(), world.calls.slots.len());
        prop_assert!(world.calls.queue.len() <= 2 * world.calls.slots.len() + 1);
    }
}

#[test]
fn a_client_without_a_daemon_forgets_calls_whose_deadline_passed() {
    let mut calls = Calls::new(IN_FLIGHT_MAX);
    let now = Instant::now();
    for _ in 0..10_000 {
        let body = Body::Query(Vec::new());
        let request = Request { body, id: None, made: now, deadline: now, epoch: 1 };
        let (correlation, _) = calls.submit(request).unwrap();
        calls.expire(now, &mut Vec::new());
        let answer = calls.poll_answer(correlation, &mut Context::from_waker(Waker::noop()));
        let expected = ClientError::Deadline { deadline_ms: 0, id: None, sent: false, trouble: None };
        assert_eq!(answer, Poll::Ready(Err(expected)));
        calls.abandon(correlation);
    }
    assert!(calls.slots.len() == 1 && calls.queue.len() < 8, "{} in the queue", calls.queue.len());
}
