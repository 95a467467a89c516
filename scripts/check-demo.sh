#!/usr/bin/env bash
# Checks the demo's JSON, given as the argument: nothing oversold, the three accounts agree, the fill rate is within 1 % of
# what the stock allows.
set -euo pipefail
value() { # a number or a boolean of the object
  printf '%s' "$1" | tr -d ' \n' | grep -oE "\"$2\":[^,}]+" | head -n 1 | cut -d: -f2
}
oversold=$(value "$1" oversold_cells); agree=$(value "$1" accounts_agree)
fill=$(value "$1" fill_rate); bound=$(value "$1" fill_rate_bound)
[ "$oversold" = 0 ] || { echo "checking the demo: $oversold cells are oversold" >&2; exit 1; }
[ "$agree" = true ] || { echo "checking the demo: the three accounts do not agree" >&2; exit 1; }
awk -v fill="$fill" -v bound="$bound" 'BEGIN { exit !(fill != "" && fill >= bound * 0.99 && fill <= bound + 1e-9) }' ||
  { echo "checking the demo: the fill rate $fill is not within 1 % of the bound $bound" >&2; exit 1; }
echo "demo: oversold_cells 0, accounts agree, fill rate $fill of a possible $bound"
