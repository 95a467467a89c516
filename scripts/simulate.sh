#!/usr/bin/env bash
# Plays the daemon on a simulated disk and clock, run after run, each from a seed of its own:
#   scripts/simulate.sh [--seeds N] [--from S]   N runs (default 20,000) from seed S (default 0)
#   scripts/simulate.sh --seed S                 this one run, for a failure that names it
#   scripts/simulate.sh --mutations              shows that it finds each deliberate bug, and by which seed
# docs/testing.md says what it checks.
set -euo pipefail
cd "$(dirname "$0")/.."
features=() filter=nothing_that_was_answered
export EARMARK_SEEDS=20000
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) EARMARK_SEEDS=$2; shift 2 ;;
    --from) export EARMARK_FROM=$2; shift 2 ;;
    --seed) export EARMARK_SEED=$2; shift 2 ;;
    --mutations) features=(--features mutations) filter=each_deliberate_bug; shift ;;
    *) echo "usage: $0 [--seeds N] [--from S] | --seed S | --mutations" >&2; exit 2 ;;
  esac
done
cargo test --release --quiet -p earmark "${features[@]}" --test simulation "$filter" -- --nocapture
