#!/usr/bin/env bash
# Counts the instructions of the hot functions under callgrind and holds them to benches/instructions.txt: more than
# 5 % above it fails, more than 5 % below it asks for a new baseline. Counts are repeatable where times are not.
#
#   scripts/count-instructions.sh           compare
#   scripts/count-instructions.sh --bless   write what is counted now as the new baseline
#
# Where a count went, by function: callgrind_annotate target/instructions/NAME.out
# Needs valgrind and says so where it is absent. NAME and what it measures: benches/bin/instructions.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=benches/instructions.txt
tolerance_percent=5

bless=false
case "${1:-}" in
  "") ;;
  --bless) bless=true ;;
  *) echo "usage: scripts/count-instructions.sh [--bless]" >&2; exit 2 ;;
esac

if ! command -v valgrind >/dev/null; then
  echo "valgrind is not here, so instructions are not counted; on Debian: apt-get install valgrind"
  exit 0
fi

# Both packages in one build, as the demo's: the libraries between them are then compiled once.
cargo build --release --quiet -p earmark -p earmark-benches
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
counted="$target/release/earmark-instructions"
out="$target/instructions"
mkdir -p "$out"

counts="$out/counts.txt"
"$counted" | while read -r name operations; do
  valgrind --tool=callgrind --callgrind-out-file="$out/$name.out" --toggle-collect="*::measured::$name" \
    "$counted" "$name" >"$out/$name.log" 2>&1 || { cat "$out/$name.log" >&2; exit 1; }
  awk -v name="$name" -v operations="$operations" \
    '/^(summary|totals):/ { total = $2 } END { printf "%s %.1f\n", name, total / operations }' "$out/$name.out"
done >"$counts"

if $bless; then
  { grep '^#' "$baseline"; cat "$counts"; } >"$out/baseline.txt"
  sed -i "s/^# compiler: .*/# compiler: $(rustc --version)/" "$out/baseline.txt"
  cp "$out/baseline.txt" "$baseline"
fi

awk -v tolerance="$tolerance_percent" -v compiler="$(rustc --version)" '
  FNR == NR && /^# compiler: / { blessed = substr($0, 13) }
  FNR == NR && !/^#/ { wanted[$1] = $2 }
  FNR == NR { next }
  FNR == 1 { printf "%-8s %10s %10s %8s\n", "per", "baseline", "now", "change" }
  !($1 in wanted) { printf "%s has no baseline\n", $1; worse = 1; next }
  $2 <= 0 { printf "nothing was counted in measured::%s\n", $1; worse = 1; next }
  {
    change = ($2 / wanted[$1] - 1) * 100
    note = change > tolerance ? "  more than before" : change < -tolerance ? "  less than before" : ""
    printf "%-8s %10.1f %10.1f %+7.1f %%%s\n", $1, wanted[$1], $2, change, note
    worse = worse || change > tolerance
    better = better || change < -tolerance
  }
  END {
    if (blessed != compiler && (worse || better)) printf "the baseline is of %s, this is %s\n", blessed, compiler
    if (worse) print "more instructions than the baseline allows: make it less, or say in the commit why it must be, with"
    else if (better) print "fewer instructions than the baseline: keep the gain with"
    if (worse || better) print "  scripts/count-instructions.sh --bless"
    exit worse
  }' "$baseline" "$counts"
