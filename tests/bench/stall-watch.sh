#!/usr/bin/env bash
# What watching costs: a thousand short commands, against timeout(1) around them; and a tree of a
# hundred processes that do nothing, looked at every second.
set -eu -o pipefail

commands=${COMMANDS:-1000}
around() { printf 'for ((n = 0; n < %d; n++)); do %q %s /bin/true; done' "$commands" "$@"; }
paired "stall-watch around $commands commands" 1.40 \
    "$(around "$BIN/stall-watch" --)" "$(around "$(command -v timeout)" 600)"

# The share of a core that stall-watch itself uses, its first second left out.
seconds=${SECONDS_IDLE:-30}
limit=0.2
"$BIN/stall-watch" --stall 1h --sample 1s -- \
    bash -c 'for n in {1..99}; do sleep 3600 & done; wait' < /dev/null > /dev/null 2>&1 &
watch=$!
trap 'kill "$watch" 2> /dev/null; wait "$watch" || true' EXIT
# utime and stime, in hundredths of a second.
ticks() { sed 's/.*) //' "/proc/$watch/stat" | awk '{ print $12 + $13 }'; }
sleep 5
before=$(ticks)
sleep "$seconds"
used=$(($(ticks) - before))
awk -v used="$used" -v seconds="$seconds" -v limit="$limit" 'BEGIN {
    share = used / seconds
    printf "stall-watch idle, 100 processes, %% of a core\t%.2f\t-\t-\t%s\t%s\n",
        share, limit, share <= limit ? "ok" : "slow"
}'
