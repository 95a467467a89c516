#!/usr/bin/env bash
# Fuzzes one target, or each in turn, for so many seconds: scripts/fuzz.sh [all|frame|log|image|record] [SECONDS]
# On stable Rust and without cargo-fuzz: these are the flags that it sets, but for the address sanitizer, which needs nightly.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
targets=${1:-all} seconds=${2:-60}
[ "$targets" = all ] && targets="frame log image record"
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
# With a target named, the flags are for it alone and not for build scripts.
cargo build --release --locked --target "$host"
for target in $targets; do
  mkdir -p "corpus/$target" "artifacts/$target"
  "target/$host/release/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
    -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=10 -max_len=65536 -print_final_stats=1
done
