//! What the committer promises those who hand it work.

use std::sync::atomic::Ordering;

use earmark_engine::{Capacity, Rules};
use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{Command, CommandBody, SetStock, StockCount};
use earmark_protocol::frame::{FRAME_BYTES_MAX, Frame, Kind};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::refusal::RefusalCode;

use super::*;
use crate::clock::Moment;

/// Keeps what was decided.
#[derive(Default)]
struct Tray(Mutex<Vec<Work>>);

impl Desk for Tray {
    fn decided(self: Arc<Self>, work: Work) {
        self.0.lock().push(work);
    }
}

impl Tray {
    fn replies(&self) -> Vec<HoldOneReply> {
        self.0.lock().drain(..).flat_map(|mut work| replies(&mut work)).collect()
    }
}

fn replies(work: &mut Work) -> Vec<HoldOneReply> {
    let bytes = work.replies.take();
    let (frame, whole) = Frame::parse(&bytes, FRAME_BYTES_MAX, 0).unwrap().unwrap();
    assert_eq!(
        (whole, u32::from(frame.count())),
        (bytes.len(), work.answered),
        "one frame for one piece of work"
    );
    let messages = frame.messages().map(Result::unwrap).filter(|message| message.kind == Kind::HoldOneReply);
    messages.map(|message| HoldOneReply::read(message.body).unwrap()).collect()
}

fn codes(replies: &[HoldOneReply]) -> Vec<RefusalCode> {
    let code = |reply: &HoldOneReply| match reply {
        HoldOneReply::Held { .. } => None,
        HoldOneReply::Refused(refused) => Some(refused.refusal.code),
    };
    replies.iter().filter_map(code).collect()
}

struct Bench {
    committer: Committer,
    clock: Arc<Clock>,
    tray: Arc<Tray>,
    ids: AtomicU64,
}

impl Bench {
    /// A committer with so many units of one sku at one node.
    fn new(mode: Mode, queue: usize, pace: Pace, on_hand: u32) -> Self {
        let capacity = Capacity {
            skus: 10,
            nodes: 10,
            cells: 100,
            reservations: 10_000,
            lines: 100,
            commands: 10_000,
            facts_bytes: 1 << 20,
            sku_code_bytes: 1 << 16,
            movements: 100,
        };
        let clock = Arc::new(Clock::start());
        let state = State::new(&capacity, Rules::default()).unwrap();
        let (gate, mut acknowledgers) = Gate::new(1);
        let log = (Log::in_memory(1, acknowledgers.remove(0)), gate, 1);
        let committer = Committer::new(mode, queue, pace, state, log, Arc::clone(&clock));
        let bench = Self { committer, clock, tray: Arc::default(), ids: AtomicU64::new(0) };
        let node = NodeSpec {
            code: "n".to_owned(),
            time_zone: "UTC".to_owned(),
            capabilities: capabilities::SHIP,
            ..NodeSpec::default()
        };
        let (sku, node_ix, segment) = (SkuIx(0), NodeIx(0), Segment(0));
        let counts = vec![StockCount { sku, node: node_ix, segment, on_hand, safety: None }];
        for body in [
            CommandBody::PutNodes(vec![node]),
            CommandBody::PutSkus(vec![SkuSpec { code: "s".to_owned(), ..SkuSpec::default() }]),
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        ] {
            let command = Command { id: bench.id(), give_up_ms: 0, body };
            let (correlation, content) = (0, bench.ids.load(Ordering::Relaxed));
            let full = Full { correlation, content, command, planned: None, rounds: 0, last: false };
            let mut work = bench.work(bench.clock.moment());
            work.items.push(Item::Full(Box::new(full)));
            assert!(bench.committer.submit(work).is_ok());
            bench.committer.combine();
        }
        assert_eq!(bench.tray.0.lock().drain(..).count(), 3);
        bench
    }

    fn id(&self) -> CommandId {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        CommandId::new(self.clock.now(), random)
    }

    fn work(&self, arrived: Moment) -> Work {
        Work::new(Arc::clone(&self.tray) as _, Tenant(0), arrived, FRAME_BYTES_MAX)
    }

    /// Work of so many holds of one unit.
    fn holds(&self, count: u32, hold: HoldOne) -> Work {
        let mut work = self.work(self.clock.moment());
        for correlation in 0..count {
            let hold = HoldOne { id: self.id(), quantity: 1, ..hold };
            work.items.push(Item::One(One { correlation, content: hold.content_hash(), hold }));
        }
        work
    }
}

const PACE: Pace = Pace { commands_max: 64, expiries_max: 16 };

#[test]
fn a_full_queue_gives_work_back_and_a_refusal_answers_every_message_of_it() {
    let bench = Bench::new(Mode::Inline, 2, PACE, 100);
    let busy = bench.committer.hold_up();
    for _ in 0..2 {
        assert!(bench.committer.submit(bench.holds(3, HoldOne::default())).is_ok());
        bench.committer.turn();
    }
    let mut back = bench.committer.submit(bench.holds(5, HoldOne::default())).expect_err("two places");
    back.refuse_all(RefusalCode::Overloaded);
    assert_eq!(codes(&replies(&mut back)), [RefusalCode::Overloaded; 5]);
    assert!(bench.tray.replies().is_empty(), "the role is taken");
    drop(busy);
    bench.committer.turn();
    assert_eq!(bench.tray.replies().len(), 6);
    assert_eq!(bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0)), Some(94));
}

#[test]
fn work_queued_by_many_at_once_is_all_decided_by_whoever_plays_the_role() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 400;
    let bench = Bench::new(Mode::Inline, (THREADS * ROUNDS) as usize, PACE, 2_000);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    assert!(
                        bench.committer.submit(bench.holds(2, HoldOne::default())).is_ok(),
                        "there is a place for each"
                    );
                    // Nobody looks again: if this turn leaves work behind, it stays there.
                    bench.committer.turn();
                }
            });
        }
    });
    let replies = bench.tray.replies();
    assert_eq!(replies.len() as u32, THREADS * ROUNDS * 2);
    assert_eq!(codes(&replies).len(), replies.len() - 2_000, "every unit is held once");
    assert_eq!(bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0)), Some(0));
}

#[test]
fn the_thread_decides_what_it_is_woken_for_and_ends_when_told() {
    let bench = Bench::new(Mode::Thread, 64, PACE, 1_000);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| bench.committer.run(&stop));
        for _ in 0..100 {
            assert!(bench.committer.submit(bench.holds(1, HoldOne::default())).is_ok());
            bench.committer.turn();
            while bench.tray.0.lock().is_empty() {
                std::thread::yield_now();
            }
            assert_eq!(codes(&bench.tray.replies()), []);
        }
        stop.store(true, Ordering::Release);
        bench.committer.wake();
    });
}

#[test]
fn replies_name_the_place_they_must_wait_for() {
    let bench = Bench::new(Mode::Inline, 8, PACE, 5);
    let before = bench.committer.reader().lsn();
    assert!(bench.committer.submit(bench.holds(7, HoldOne::default())).is_ok());
    bench.committer.turn();
    let lsn = bench.tray.0.lock()[0].lsn;
    assert_eq!(lsn.0, before.0 + 7, "refusals are decided, too");
    assert_eq!((bench.committer.reader().lsn(), bench.committer.gate().passed()), (lsn, lsn.0));
    assert_eq!(bench.committer.counters().refused(RefusalCode::OutOfStock), 2);
    assert_eq!(bench.committer.counters().holds_one.load(Ordering::Relaxed), 7);
}

#[test]
fn what_has_given_up_is_not_decided() {
    let bench = Bench::new(Mode::Inline, 8, PACE, 100);
    let hold = HoldOne { give_up_ms: 1, ..HoldOne::default() };
    let late = bench.holds(3, hold);
    while bench.clock.moment().us_since(late.arrived) < 2_500 {
        std::hint::spin_loop();
    }
    let before = bench.committer.reader().lsn();
    assert!(bench.committer.submit(late).is_ok());
    bench.committer.turn();
    assert_eq!(codes(&bench.tray.replies()), [RefusalCode::GaveUp; 3]);
    assert_eq!(bench.committer.reader().lsn(), before);
}

#[test]
fn a_wave_of_expiries_is_worked_off_in_batches_that_let_commands_through() {
    let bench = Bench::new(Mode::Inline, 8, PACE, 100);
    // Long enough that none ends before all are decided, on a busy machine too.
    let hold = HoldOne { lifetime_ms: 500, ..HoldOne::default() };
    assert!(bench.committer.submit(bench.holds(40, hold)).is_ok());
    bench.committer.turn();
    assert!(bench.committer.submit(bench.holds(1, HoldOne::default())).is_ok());
    bench.committer.turn();
    assert_eq!(codes(&bench.tray.replies()), []);
    let held_until = bench.clock.now().plus_ms(530);
    while bench.clock.now() < held_until {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(bench.committer.tick(), "there is more than one batch of them");
    let left = bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0));
    assert_eq!(left, Some(99 - 40 + 16), "commands have their turn after each batch");
    bench.committer.turn();
    while bench.committer.tick() {}
    assert_eq!(bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0)), Some(99));
    let records = bench.committer.counters().expiry_records.load(Ordering::Relaxed);
    assert!(records >= 3, "40 holds, 16 at a time: {records} records");
}

#[test]
fn holds_expire_as_fast_as_they_come_even_where_batches_are_large() {
    let bench = Bench::new(Mode::Inline, 8, PACE, 1_000);
    let brief = HoldOne { lifetime_ms: 1, ..HoldOne::default() };
    assert!(bench.committer.submit(bench.holds(60, brief)).is_ok());
    bench.committer.turn();
    let held_until = bench.clock.now().plus_ms(30);
    while bench.clock.now() < held_until {
        std::hint::spin_loop();
    }
    assert!(bench.committer.submit(bench.holds(60, HoldOne::default())).is_ok());
    bench.committer.turn();
    assert_eq!(codes(&bench.tray.replies()), []);
    let left = bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0));
    assert_eq!(left, Some(1_000 - 60), "the first 60 are gone before the next 60 are decided");
}

#[test]
fn many_small_pieces_are_decided_in_parts_so_that_the_first_are_answered_early() {
    let pace = Pace { commands_max: 1_000, expiries_max: 16 };
    let bench = Bench::new(Mode::Inline, 256, pace, 1_000);
    for _ in 0..150 {
        assert!(bench.committer.submit(bench.holds(1, HoldOne::default())).is_ok());
    }
    let parts = [bench.committer.part_of_turn(), bench.committer.part_of_turn()];
    assert_eq!((parts, bench.tray.replies().len()), ([true, true], 128));
    assert!(!bench.committer.part_of_turn(), "that was all");
    assert_eq!(bench.tray.replies().len(), 22);
    // Pieces of many commands are not kept apart.
    for _ in 0..8 {
        assert!(bench.committer.submit(bench.holds(100, HoldOne::default())).is_ok());
    }
    assert!(!bench.committer.part_of_turn());
    assert_eq!(bench.tray.replies().len(), 800);
}
