//! What a logged hold costs to replay, with its expiry: the log of a load is read, and then applied to the image before it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use earmark::store::{Replay, load, to_the_end};
use earmark_snapshot::log::{LogReader, Position};
use serde_json::{Value, json};

use super::median;
use super::running::{Durability, Running, now};
use super::world::World;

/// Pieces of work, and unanswered holds: of batches of many records, and of some.
const SHAPES: [(usize, usize); 2] = [(64, 4_096), (16, 64)];

pub(crate) fn measure(
    directory: &Path,
    millions: u32,
    run_ms: u64,
    runs: usize,
) -> anyhow::Result<Vec<Value>> {
    let cells = millions * 1_000_000;
    let mut rows = Vec::new();
    for (per_work, in_flight) in SHAPES {
        let world = World::new(directory, cells, 0)?;
        let mut running = Running::start(&world, Durability::Interval, cells)?;
        let holds = running.load(Duration::from_millis(run_ms), per_work, in_flight).holds;
        let opening = world.opening(earmark_snapshot::log::Mode::Sync);
        running.stop()?;
        let (mut read, mut replayed, mut frames, mut records) = (Vec::new(), Vec::new(), 0_u64, 0_u64);
        for _ in 0..runs {
            let loaded = load(&*world.storage, &opening.rules, opening.threads, &to_the_end)?;
            let from = loaded.cut.map_or(Position::start(1), |cut| cut.position);
            let begun = now();
            let mut reader = LogReader::new(Arc::clone(&world.storage), from)?;
            (frames, records) = (0, 0);
            while let Some(frame) = reader.next_frame()? {
                frames += 1;
                records += u64::from(frame.header.count);
            }
            read.push(begun.elapsed().as_secs_f64());
            let (mut state, mut replay) = (loaded.state, Replay::default());
            let mut reader = LogReader::new(Arc::clone(&world.storage), from)?;
            let begun = now();
            while let Some(frame) = reader.next_frame()? {
                replay.frame(&mut state, &frame)?;
            }
            replayed.push(begun.elapsed().as_secs_f64());
        }
        let ns = |times: Vec<f64>| (median(times) * 1e9 / holds.max(1) as f64).round();
        rows.push(json!({
            "cells": cells,
            "in_flight": in_flight,
            "holds": holds,
            "frames": frames,
            "records": records,
            "read_ns_per_hold": ns(read),
            "replay_ns_per_hold": ns(replayed),
        }));
    }
    Ok(rows)
}
