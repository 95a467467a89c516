//! The promise: whatever bytes stand where a record of the log or an image's scalars should be, reading them ends with an
//! answer or an error, and takes no more memory than the bytes are worth, whatever their lengths claim. One test, since the
//! counter of memory sees all threads.

use std::alloc::System;
use std::hint::black_box;

use earmark_engine::image::Summary;
use earmark_engine::{Effect, Record};
use earmark_protocol::codec::DECODE_RESERVE_MAX;
use earmark_protocol::ids::{Lsn, TimestampMs};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The shortest effect has three bytes in the log; a vector that grows allocates at most three times what it comes to.
const GROWTH: usize = size_of::<Effect>() + 24;
const ROUNDS: u64 = 20_000;
/// Tags of effects, and some that are none.
const TAGS: u8 = 32;

/// Bytes allocated meanwhile, those given back included.
fn allocated<T>(what: impl FnOnce() -> T) -> usize {
    let region = Region::new(ALLOCATOR);
    black_box(what());
    let change = region.change();
    change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0)
}

fn check(bytes: &[u8], seed: u64) {
    let most = GROWTH * bytes.len() + 2 * DECODE_RESERVE_MAX;
    let cost = allocated(|| Record::decode(Lsn(1), TimestampMs(1), bytes).is_ok());
    assert!(cost <= most, "{cost} bytes for a record of {}, seed {seed}", bytes.len());
    let cost = allocated(|| Summary::read(bytes).is_ok());
    assert!(cost <= most, "{cost} bytes for scalars of {}, seed {seed}", bytes.len());
}

#[test]
fn any_bytes_are_read_or_refused_within_bounds() {
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = Vec::new();
        for _ in 0..random.usize(..20) {
            bytes.push(random.u8(..TAGS));
            let filler = [0, 1, 0xff, random.u8(..)][random.usize(..4)];
            let length = random.usize(..60);
            bytes.extend((0..length).map(|_| if random.bool() { filler } else { random.u8(..4) }));
        }
        check(&bytes, seed);
    }
    // Many of the shortest, and lengths that claim what is not there.
    for tag in 0..TAGS {
        for filler in [0, 1, 0x7f, 0xff] {
            let mut bytes = [[tag].as_slice(), &[filler; 4]].concat().repeat(20_000);
            check(&bytes, tag.into());
            bytes.truncate(7);
            check(&bytes, tag.into());
        }
    }
    check(&[3, 0, 0].repeat(40_000), 3);
}
