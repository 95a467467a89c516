#!/usr/bin/env bash
# Runs the real daemon under strace and checks that no reply to a hold leaves it before the sync of the log that covers
# it, one hold at a time and many at once; and that a daemon that answers before it syncs is found out. Installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v strace >/dev/null || { echo "trace: strace is not here; install it (apt-get install strace)" >&2; exit 3; }
said=$(mktemp); trap 'rm -f "$said"' EXIT
cargo test --quiet -p earmark --test trace -- --nocapture >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
grep '^trace: ' "$said"
