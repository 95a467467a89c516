#!/usr/bin/env bash
# Where the daemon's time goes under load: a flame graph as target/profile/flame.svg, and the functions that take most.
#
#   scripts/profile.sh [LOAD…]     what follows goes to `earmark-loadgen run`, as: --batch 64 --in-flight 4096
#   scripts/profile.sh --count     the hold path in process, by instructions instead of time, under callgrind
#
# Needs perf (Debian: linux-perf) and the right to watch one's own processes (kernel.perf_event_paranoid at most 2);
# --count needs valgrind. The graph is drawn by scripts/flamegraph.awk. Load is on loopback, for eight seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0"; exit 0 ;; esac

needs() {
  command -v "$1" >/dev/null && return
  echo "this needs $1; on Debian: apt-get install $2" >&2
  exit 1
}

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
out="$target/profile"
mkdir -p "$out"

if [ "${1:-}" = --count ]; then
  needs valgrind valgrind
  scripts/count-instructions.sh
  for name in hold expire frame; do
    printf '\n== %s\n' "$name"
    callgrind_annotate --auto=no "$target/instructions/$name.out" | grep -v '^--' | sed -n '/Ir/,$p' | head -n 25
  done
  exit 0
fi

needs perf linux-perf
cargo build --release --quiet -p earmark -p earmark-loadgen
scratch=$(mktemp -d "$target/profile/run.XXXXXX")
port=$((20000 + $$ % 20000))
"$target/release/earmark" serve --data-dir "$scratch" --server.listen "127.0.0.1:$port" >"$out/daemon.log" 2>&1 &
daemon=$!
trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; rm -rf "$scratch"' EXIT

export EARMARK_ADDRESS=127.0.0.1:$port EARMARK_DATA_DIR=$scratch
for _ in $(seq 200); do
  "$target/release/earmark" stats >/dev/null 2>&1 && break
  kill -0 "$daemon" || { cat "$out/daemon.log" >&2; exit 1; }
  sleep 0.05
done
"$target/release/earmark-loadgen" generate
"$target/release/earmark-loadgen" run --warmup 2.5 --seconds 6 --quiet "$@" >"$out/load.txt" &
load=$!
sleep 3
# The cpu-clock is there on virtual machines, too, which hide the counters of the processor.
perf record --quiet --event cpu-clock --freq 1999 --call-graph dwarf,16384 --pid "$daemon" --output "$out/perf.data" -- sleep 2
wait "$load"
cat "$out/load.txt"

# Stacks come innermost first, under a line that begins with the thread's name.
perf script --input "$out/perf.data" --fields comm,ip,sym 2>/dev/null | awk '
  function fold() { if (stack != "") count[thread stack]++; stack = "" }
  /^[^ \t]/ { fold(); thread = $1; next }
  NF == 0 { fold(); next }
  { name = $0; sub(/^[ \t]*[0-9a-f]+ /, "", name); gsub(/;/, ":", name); stack = ";" name stack }
  END { fold(); for (stack in count) print stack, count[stack] }' | LC_ALL=C sort >"$out/folded.txt"
awk -v title="earmark under load, processor time by thread" -f scripts/flamegraph.awk "$out/folded.txt" >"$out/flame.svg"
perf report --input "$out/perf.data" --no-children --call-graph none --percent-limit 1 --stdio 2>/dev/null |
  grep -v '^\(#\|$\)' | head -n 30
echo "drawn: $out/flame.svg"
