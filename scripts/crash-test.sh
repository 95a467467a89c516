#!/usr/bin/env bash
# Kills a real daemon N times under load and compares what is there afterwards with what its clients were told:
#   scripts/crash-test.sh [--held-writes] [N]
# With --held-writes the daemon keeps what it has not synced in its own memory: then a kill is a power cut.
set -euo pipefail
cd "$(dirname "$0")/.."
features=()
if [ "${1:-}" = --held-writes ]; then features=(--features held-writes); shift; fi
export EARMARK_CRASHES=${1:-200}
cargo test --release --quiet -p earmark "${features[@]}" --test crash -- --nocapture
