#!/usr/bin/env bash
# Our tools against their peers: `make bench`, or
#
#     tests/bench/run.sh [TOOL...]
#
# One file a tool lies beside this one, <tool>.sh; without arguments all of them run. Each makes its
# input below $BENCH_DIR once and keeps it there, and calls `paired` (time) and `peak` (memory) for
# every line of the table. It finds
#
#     BIN          the folder of our binaries, built for release
#     BENCH_DIR    a folder of its own for its input, default target/bench/<tool>
#     PATH         with paired and peak on it
#
# and skips, with a line on stderr and code 0, what a missing peer makes impossible.
# The limits are those of the first release. Exit code: 1 when a limit was missed or a benchmark failed, else 0.
set -eu -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
[ "${BENCH_NO_BUILD:-}" ] || cargo build --release --workspace --quiet
target=${CARGO_TARGET_DIR:-$root/target}
export BIN="$target/release"
export PATH="$here:$PATH"
data=${BENCH_DIR:-$target/bench}

if [ $# -eq 0 ]; then
    for script in "$here"/*.sh; do
        tool=$(basename "$script" .sh)
        [ "$tool" = run ] || set -- "$@" "$tool"
    done
fi

printf 'name\tours ms\tpeer ms\tratio\tlimit\tverdict\n'
missed=0
for tool in "$@"; do
    mkdir -p "$data/$tool"
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in *slow | *large | *failed) missed=1 ;; esac
    done < <(BENCH_DIR="$data/$tool" bash "$here/$tool.sh" || printf '%s\t-\t-\t-\t-\tfailed\n' "$tool")
done
exit $missed
