//! What a plain hold costs inside the process: decide, apply and log encoding, in batches of 64; and what one `atp` costs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use earmark_benches::steady::{BATCH, NODES, Steady};
use earmark_protocol::ids::{NodeIx, Segment, SkuIx};

const RESERVATIONS: u32 = 1 << 20;
const CELLS: [u32; 2] = [1_000_000, 50_000_000];

/// One batch; gives the time of the expiries and of the holds.
fn turn(steady: &mut Steady) -> (Duration, Duration) {
    let batch = steady.next_batch();
    let begin = clock();
    steady.expire();
    let expired = clock();
    steady.commit(&batch);
    (expired - begin, clock() - expired)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn plain_holds(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    for cells in CELLS {
        group.throughput(Throughput::Elements(BATCH as u64));
        let mut steady = Steady::new(cells, RESERVATIONS);
        let millions = cells / 1_000_000;
        group.bench_function(format!("decide_apply_encode/{millions}M_cells"), |bencher| {
            bencher.iter_custom(|batches| (0..batches).map(|_| turn(&mut steady).1).sum());
        });
        group.bench_function(format!("expire/{millions}M_cells"), |bencher| {
            bencher.iter_custom(|batches| (0..batches).map(|_| turn(&mut steady).0).sum());
        });
        let Steady { state, mut random, .. } = steady;
        let reader = state.reader();
        group.throughput(Throughput::Elements(1));
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
