#!/usr/bin/env bash
# mbs-upload and a known set of 2,000,000 contents: time to take it in, memory, and the CPU of a file
# that is known, 200,000 of them; see run.sh. The peer is the predecessor's way, a set in Python.
#
# The server is the sandbox, which makes a throw-away PostgreSQL; it is only logged in to. ROWS=N for
# another number of contents.
set -eu -o pipefail

rows=${ROWS:-2000000}
files=$((rows / 10))
known=$BENCH_DIR/known-$rows.ndjson input=$BENCH_DIR/input-$rows.ndjson
if ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 && ! command -v initdb > /dev/null; then
    echo 'bench: mbs-upload: no PostgreSQL (apt-get install postgresql)' >&2
    exit 0
fi

# Lines as mbs-hashes and calibre-list | hash-files make them.
if [ ! -e "$input" ]; then
    awk -v rows="$rows" -v input="$input.new" 'BEGIN {
        srand(1)
        for (i = 1; i <= rows; i++) {
            sha1 = ""
            for (part = 0; part < 5; part++) sha1 = sha1 sprintf("%08x", rand() * 4294967296)
            size = 20000 + i
            name = "Surname Name/The Title of Book " i
            printf "{\"type\":\"known_hash\",\"sha1\":\"%s\",\"size\":%d,\"source_id\":%d,\"ebook_id\":%d,\"location\":\"%s(en)/Surname Name - The Title of Book %d.epub\",\"format\":\"epub\"}\n", sha1, size, i, i, name, i
            if (i % 10 == 0)
                printf "{\"type\":\"file_hash\",\"path\":\"/library/%s (%d)/The Title of Book %d - Name Surname.epub\",\"sha1\":\"%s\",\"size\":%d,\"mtime\":\"2026-01-01T00:00:00.000000000Z\",\"book_id\":%d,\"format\":\"epub\",\"title\":\"The Title of Book %d\",\"authors\":[\"Name Surname\"],\"author_sorts\":[\"Surname, Name\"],\"languages\":[\"eng\"],\"tags\":[\"Fiction\",\"History\"],\"uuid\":\"00000000-0000-4000-8000-%012d\",\"last_modified\":\"2026-01-01T00:00:00Z\",\"recorded_size\":%d}\n", name, i, i, sha1, size, i, i, i, size > input
        }
        printf "{\"type\":\"summary\",\"tool\":\"mbs-hashes\",\"records\":%d,\"failed\":0,\"complete\":true}\n", rows
        printf "{\"type\":\"summary\",\"tool\":\"hash-files\",\"records\":%d,\"failed\":0,\"complete\":true}\n", int(rows / 10) > input
    }' > "$known"
    mv "$input.new" "$input"
fi

ready=$BENCH_DIR/ready
"$BIN/mbs-sandbox" > "$ready" &
sandbox=$!
trap 'kill $sandbox; wait $sandbox || true' EXIT
until [ -s "$ready" ]; do
    kill -0 $sandbox
    sleep 0.1
done
field() { grep -o "\"$1\":\"[^\"]*" "$ready" | cut -d'"' -f4; }
MBS_API=$(field api) MBS_WS=$(field ws)
export MBS_API MBS_WS MBS_USER=user MBS_PASSWORD=user

printf -v ours '%q -q --known %q < /dev/null' "$BIN/mbs-upload" "$known"
read -r -d '' script <<- 'PYTHON' || true
	import json, sys
	known = set()
	for line in open(sys.argv[1]):
	    record = json.loads(line)
	    if record["type"] == "known_hash":
	        known.add((record["sha1"], record["size"]))
PYTHON
printf -v peer 'python3 -c %q %q' "$script" "$known"
ROUNDS=${ROUNDS:-3} paired "mbs-upload, $rows known, Python's set" 0.35 "$ours" "$peer"

# 50 bytes a content, and the program itself.
limit=$((rows * 50 / 1024 + 16 * 1024))
peak "mbs-upload, $rows known, memory" $limit "$BIN/mbs-upload" -q --known "$known" < "$input"

# CPU time in milliseconds of a run with this input.
cpu() {
    local times
    times=$(TIMEFORMAT='%U %S'; { time "$BIN/mbs-upload" -q --known "$known" < "$1" > "$BENCH_DIR/out"; } 2>&1)
    awk '{ print ($1 + $2) * 1000 }' <<< "$times"
}
without=$(cpu /dev/null) with=$(cpu "$input")
[ "$(grep -c '"by":"known"' "$BENCH_DIR/out")" = $files ]
awk -v files=$files -v with="$with" -v without="$without" -v rows="$rows" 'BEGIN {
    printf "mbs-upload, CPU of 1,000 known files\t%.2f\t-\t-\t-\t-\n", (with - without) / files * 1000
}'
