#!/usr/bin/env bash
# The same reservation in Earmark, Redis 7 and PostgreSQL 15: take if enough, hold with a lifetime, durable before the
# answer. On this machine, one system at a time, alternating, medians.
#
#   scripts/compare.sh [--quick] [--json] [--systems earmark,redis,postgres,limit] [--runs N]
#
# --quick takes under five minutes once all is built, and says that it is quick. Results are kept as JSON in
# target/compare/; a run without --quick and of all systems also writes docs/comparison.json, docs/comparison.svg, and chart
# and table into README.md.
# Needs Debian's redis-server and postgresql-15; as root it installs what is missing. Their own services are not started:
# each server gets a spare port and a data directory that is removed afterwards. "limit" is a prototype of the bare path,
# left out where ../shared/limit is not there.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0"; }
publish=true arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) publish=false arguments+=(--quick) ;;
    --json) arguments+=(--json) ;;
    --systems | --runs) publish=false arguments+=("$1" "${2:?"$1 needs a value"}"); shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

scratch= policy=
clean() { rm -rf "$scratch" && rm -f "$policy"; }
trap clean EXIT

postgres=/usr/lib/postgresql/15/bin
missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
[ -x "$postgres/initdb" ] || missing+=(postgresql-15)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "this needs ${missing[*]}; on Debian, as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  # While this file says no, the installer starts no service.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >&2
fi

cargo build --release --quiet -p earmark -p earmark-loadgen
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
cargo build --release --quiet --locked --manifest-path benches/compare/Cargo.toml --target-dir "$target/compare"

# Beside the build, since the system's directory for temporary files may be memory and no disk. Open to the account that
# PostgreSQL runs as.
scratch=$(mktemp -d "$target/compare/run.XXXXXX")
chmod 711 "$scratch"
result="$target/compare/result"
"$target/compare/release/earmark-compare" --earmark "$target/release" --postgres "$postgres" --limit ../shared/limit/run.sh \
  --scratch "$scratch" --out "$result.json" --chart "$result.svg" --table "$result.md" "${arguments[@]}"

if $publish; then
  cp "$result.json" docs/comparison.json
  cp "$result.svg" docs/comparison.svg
  awk -v table="$result.md" '
    /<!-- comparison -->/ { print; print "\n![Durable holds per second](docs/comparison.svg)\n"; while ((getline line <table) > 0) print line; print ""; inside = 1; next }
    /<!-- end of comparison -->/ { inside = 0 }
    !inside' README.md >"$scratch/README.md"
  cp "$scratch/README.md" README.md
fi
