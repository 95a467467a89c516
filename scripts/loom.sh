#!/usr/bin/env bash
# Searches the interleavings of the lock-free readers with the writer (daemon/engine/src/loom_tests.rs), in a target folder
# of its own, because `--cfg loom` compiles everything anew.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=${LOOM_TARGET_DIR:-target/loom} \
  cargo test -p earmark-engine --release --lib loom_ -- --test-threads=2
