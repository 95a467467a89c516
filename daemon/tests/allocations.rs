//! The promise: in steady state the committer allocates once for the replies of a read, however many holds it has, and
//! nothing for the holds themselves or for those that expire. One test, since the counter of memory sees all threads.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::alloc::System;
use std::sync::{Arc, Mutex};

use earmark::clock::Clock;
use earmark::commit::{Committer, Desk, Full, Item, Mode, One, Pace, Work};
use earmark_engine::{Capacity, Rules, State};
use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{Command, CommandBody, SetStock, StockCount};
use earmark_protocol::frame::FRAME_BYTES_MAX;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_snapshot::{Gate, Log};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What can be remembered: less than all rounds ask for, so that the later ones forget as much as they add.
const RESERVATIONS: u32 = 2_000;
/// Rounds until all buffers have the size they keep.
const ROUNDS_OF_WARM_UP: u32 = 60;
const ROUNDS: u32 = 40;

/// Holds what was decided last.
#[derive(Default)]
struct Tray(Mutex<Option<Work>>);

impl Desk for Tray {
    fn decided(self: Arc<Self>, work: Work) {
        *self.0.lock().unwrap() = Some(work);
    }
}

struct Bench {
    committer: Committer,
    clock: Arc<Clock>,
    tray: Arc<Tray>,
    ids: u64,
}

impl Bench {
    fn new() -> Self {
        let capacity = Capacity {
            reservations: RESERVATIONS,
            commands: 100,
            facts_bytes: 1 << 20,
            sku_code_bytes: 1 << 16,
            ..Capacity::smallest()
        };
        let clock = Arc::new(Clock::standing_at(TimestampMs(1_700_000_000_000)));
        let state = State::new(&capacity, Rules::default()).unwrap();
        let (gate, mut acknowledgers) = Gate::new(1);
        let log = (Log::in_memory(1, acknowledgers.remove(0)), gate, 1);
        let pace = Pace { commands_max: 4_096, expiries_max: 1_024 };
        let committer = Committer::new(Mode::Inline, 64, pace, state, log, Arc::clone(&clock));
        let mut bench = Self { committer, clock, tray: Arc::default(), ids: 0 };
        let (sku, node, segment, on_hand) = (SkuIx(0), NodeIx(0), Segment(0), 1_000_000);
        let node_spec = NodeSpec {
            code: "n".to_owned(),
            time_zone: "UTC".to_owned(),
            capabilities: capabilities::SHIP,
            ..NodeSpec::default()
        };
        let counts = vec![StockCount { sku, node, segment, on_hand, safety: None }];
        for body in [
            CommandBody::PutNodes(vec![node_spec]),
            CommandBody::PutSkus(vec![SkuSpec { code: "s".to_owned(), ..SkuSpec::default() }]),
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        ] {
            let command = Command { id: bench.id(), give_up_ms: 0, body };
            let (correlation, content, planned, rounds) = (0, 0, None, 0);
            let full = Full { correlation, content, command, planned, rounds, last: false };
            bench.decide(vec![Item::Full(Box::new(full))]);
        }
        bench
    }

    fn id(&mut self) -> CommandId {
        self.ids += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.ids.to_be_bytes());
        CommandId::new(self.clock.now(), random)
    }

    /// Has the committer decide a read; gives how often memory was asked for meanwhile.
    fn decide(&mut self, items: Vec<Item>) -> usize {
        let desk = Arc::clone(&self.tray);
        let mut work = Work::new(desk, Tenant(0), self.clock.moment(), FRAME_BYTES_MAX);
        let count = items.len();
        work.items = items;
        let region = Region::new(ALLOCATOR);
        assert!(self.committer.submit(work).is_ok());
        self.committer.turn();
        let change = region.change();
        let work = self.tray.0.lock().unwrap().take().expect("it was decided");
        assert_eq!(work.answered as usize, count);
        change.allocations + change.reallocations
    }

    /// A read of so many holds, which expire before the next.
    fn holds(&mut self, count: usize) -> usize {
        self.clock.advance(20);
        let hold = HoldOne { quantity: 1, lifetime_ms: 5, ..HoldOne::default() };
        let one = |correlation| {
            let hold = HoldOne { id: self.id(), ..hold };
            Item::One(One { correlation, content: hold.content_hash(), hold })
        };
        let items = (0..count as u32).map(one).collect();
        self.decide(items)
    }
}

#[test]
fn a_read_of_holds_costs_one_allocation_however_many_they_are() {
    let mut bench = Bench::new();
    for _ in 0..ROUNDS_OF_WARM_UP {
        bench.holds(256);
    }
    for count in [1, 64, 256] {
        let mut asked: Vec<usize> = (0..ROUNDS).map(|_| bench.holds(count)).collect();
        // Every 100 ms, which is once in five rounds, the levels are told; that takes some.
        asked.sort_unstable();
        let ordinary = &asked[..(ROUNDS * 4 / 5) as usize];
        assert_eq!(ordinary, vec![1; ordinary.len()], "reads of {count}");
        assert!(asked.iter().all(|asked| *asked <= 4), "{asked:?} for reads of {count}");
    }
    let records = bench.committer.counters().expiry_records.load(std::sync::atomic::Ordering::Relaxed);
    assert!(records >= u64::from(3 * ROUNDS), "holds expired meanwhile");
    assert_eq!(bench.committer.reader().available(SkuIx(0), NodeIx(0), Segment(0)), Some(1_000_000 - 256));
}
