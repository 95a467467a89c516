//! What a plain hold costs inside the process: decide, apply and log encoding, in batches of 64; and what one `atp` costs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use earmark_benches::{Random, START, TENANT, filled, holds};
use earmark_engine::{CommandRef, Decision, Outcome, State, Submission, apply, decide, expire, prefetch};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{NodeIx, Segment, SkuIx, TimestampMs};

const NODES: u32 = 10;
const BATCH: usize = 64;
const RESERVATIONS: u32 = 1 << 20;
const CELLS: [u32; 2] = [1_000_000, 50_000_000];

#[inline(never)]
fn commit(
    state: &mut State,
    now: TimestampMs,
    decision: &mut Decision,
    log: &mut Vec<u8>,
    batch: &[HoldOne],
) {
    prefetch(state, batch.iter());
    for hold in batch {
        let command = CommandRef::One(hold);
        let content = hold.content_hash();
        let submission = Submission { tenant: TENANT, content, command, planned: None, last: false };
        decide(state, now, &submission, decision);
        decision.record.encode(log);
        apply(state, &decision.record);
        assert!(
            matches!(decision.outcome, Outcome::HoldOne(HoldOneReply::Held { .. })),
            "{:?}",
            decision.outcome
        );
    }
}

/// A world in steady state: each batch is a millisecond after the one before, its holds live for a second, and the table
/// is full of ended ones that are remembered until their room is needed.
struct Steady {
    state: State,
    now: TimestampMs,
    random: Random,
    decision: Decision,
    log: Vec<u8>,
    skus: u32,
}

impl Steady {
    fn new(cells: u32) -> Self {
        let (state, random, now) = (filled(cells, NODES, RESERVATIONS), Random(9), START);
        let (decision, log, skus) = (Decision::default(), Vec::new(), cells / NODES);
        let mut steady = Self { state, now, random, decision, log, skus };
        for _ in 0..RESERVATIONS as usize / BATCH + 1 {
            steady.turn();
        }
        steady
    }

    /// One batch; gives the time of the expiries and of the holds.
    fn turn(&mut self) -> (Duration, Duration) {
        self.now = self.now.plus_ms(1);
        let mut batch = holds(&mut self.random, self.now, BATCH, self.skus, NODES);
        batch.iter_mut().for_each(|hold| hold.lifetime_ms = 1_000);
        self.log.clear();
        let begin = clock();
        while expire(&mut self.state, self.now, BATCH, &mut self.decision) {
            self.decision.record.encode(&mut self.log);
            apply(&mut self.state, &self.decision.record);
        }
        let expired = clock();
        commit(&mut self.state, self.now, &mut self.decision, &mut self.log, &batch);
        (expired - begin, clock() - expired)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn plain_holds(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(BATCH as u64));
    for cells in CELLS {
        let mut steady = Steady::new(cells);
        let millions = cells / 1_000_000;
        group.bench_function(format!("decide_apply_encode/{millions}M_cells"), |bencher| {
            bencher.iter_custom(|batches| (0..batches).map(|_| steady.turn().1).sum());
        });
        group.bench_function(format!("expire/{millions}M_cells"), |bencher| {
            bencher.iter_custom(|batches| (0..batches).map(|_| steady.turn().0).sum());
        });
        let Steady { state, mut random, .. } = steady;
        let reader = state.reader();
        group.bench_function(format!("atp_of_one_cell/{millions}M_cells"), |bencher| {
            let make =
                || (random.below(u64::from(cells / NODES)) as u32, random.below(u64::from(NODES)) as u32);
            let read = |(sku, node)| black_box(reader.available(SkuIx(sku), NodeIx(node), Segment(0)));
            bencher.iter_batched(make, read, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3));
    targets = plain_holds
}
criterion_main!(benches);
