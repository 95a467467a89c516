#!/usr/bin/env bash
# Kills a real daemon N times under load and compares what is there afterwards with what its clients were told:
#   scripts/crash-test.sh [--held-writes] [--debug] [N]
# With --held-writes the daemon keeps what it has not synced in its own memory: then a kill is a power cut. --debug takes
# the test profile, which may be built already. Prints one line; everything the test said, where a promise was broken.
set -euo pipefail
cd "$(dirname "$0")/.."
arguments=(--quiet -p earmark --test crash) profile=(--release)
while [[ "${1:-}" == --* ]]; do
  case "$1" in
    --held-writes) arguments+=(--features held-writes) ;;
    --debug) profile=() ;;
    *) echo "crash-test: $1 is not known; scripts/crash-test.sh [--held-writes] [--debug] [N]" >&2; exit 2 ;;
  esac
  shift
done
export EARMARK_CRASHES=${1:-200}
said=$(mktemp); trap 'rm -f "$said"' EXIT
cargo test "${profile[@]}" "${arguments[@]}" -- --nocapture >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
grep '^crashes: ' "$said"
