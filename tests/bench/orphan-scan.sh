#!/usr/bin/env bash
# orphan-scan against find: the walk alone, and the whole against find, sort and join; see run.sh.
#
# FILES=N e-books (default 100000; a migration has 1600000) lie in Calibre's folders, all of them empty, so
# that the disk holds them; their hashes are given, and made up. The server has five hashes for four files:
# those of three files in four, and as many more. One file in a hundred is tracked by nobody, and is hashed.
# COLD=1, as root, drops the page cache before each run. ROUNDS as for paired. The input of 1,600,000 files
# takes some 7 GB and 3 minutes to make, and is not removed.
set -eu -o pipefail
export LC_ALL=C

files=${FILES:-100000}
data=$BENCH_DIR/$files
library=$data/library store=$data/store

if [ ! -e "$data/.done" ]; then
    rm -rf "$data"
    mkdir -p "$data/made" "$store/books"
    # 1.29 formats a book.
    "$BIN/make-library" "$library" --kind large --books $((files * 100 / 129))
    "$BIN/make-library" "$data/one" --kind large --books 1
    # From `"path":"…"` of each row: the names that Calibre has for them need no escapes here.
    "$BIN/calibre-list" "$library" > "$data/made/list"
    awk -F '"path":"' '/^{"type":"book_file"/ { sub(/".*/, "", $2); print $2 }' "$data/made/list" > "$data/made/paths"
    sed 's:/[^/]*$::' "$data/made/paths" | uniq | xargs -d '\n' mkdir -p
    xargs -d '\n' touch -d @1700000000 < "$data/made/paths"
    awk 'NR % 100 == 0 { sub(/[^\/]*$/, "stray.epub.pdf"); print }' "$data/made/paths" | xargs -d '\n' touch -d @1700000000
    # Links of the store to one file in a hundred.
    awk -v to="$store/books" 'NR % 100 == 50 { print; print to "/" NR ".epub" }' "$data/made/paths" |
        xargs -d '\n' -n 2 ln -s
    # The hashes: what the list tells with them, what the server has, and both for the peer.
    awk -v made="$data/made" -v root="$library/" -v files="$files" '
        function sha1(   i, hex) {
            hex = ""
            for (i = 0; i < 10; i++) hex = hex sprintf("%04x", int(rand() * 65536))
            return hex
        }
        function known(hash) {
            printf "{\"type\":\"known_hash\",\"sha1\":\"%s\",\"size\":0,\"source_id\":%d,\"ebook_id\":%d,\"format\":\"epub\"}\n", \
                hash, ++sources, sources > (made "/known")
            print hash > (made "/known.txt")
        }
        BEGIN { srand(7) }
        sub(/^{"type":"book_file",/, "") {
            hash = sha1()
            print "{\"type\":\"file_hash\",\"sha1\":\"" hash "\",\"size\":0,\"mtime\":\"2023-11-14T22:13:20Z\"," $0 > (made "/tracked")
            sub(/.*"path":"/, "")
            sub(/".*/, "")
            print substr($0, length(root) + 1) "\t" hash > (made "/tracked.tsv")
            if (++rows % 4) known(hash)
            next
        }
        { print > (made "/tracked") }
        END {
            # The empty file.
            known("da39a3ee5e6b4b0d3255bfef95601890afd80709")
            while (sources < files * 5 / 4) known(sha1())
            printf "{\"type\":\"summary\",\"tool\":\"mbs-hashes\",\"records\":%d,\"failed\":0,\"complete\":true}\n", sources > (made "/known")
        }' "$data/made/list"
    # One row alone: what is measured then is the walk.
    head -1 "$data/made/tracked" > "$data/made/first"
    rm "$data/made/list" "$data/made/paths"
    touch "$data/.done"
fi

made=$data/made
scan=("$BIN/orphan-scan" -q)
whole=("${scan[@]}" --tracked "$made/tracked" --known "$made/known" --store "$store" "$library")
# A benchmark of a scan that finds something else would measure nothing.
rows=$(wc -l < "$made/tracked.tsv") strays=$(find "$library" -name stray.epub.pdf | wc -l)
"${whole[@]}" | tail -1 > "$made/summary"
jq -e --argjson rows "$rows" --argjson strays "$strays" '.complete and .rows_found == $rows
    and .untracked_on_server == $strays and .in_use == (($rows + 50) / 100 | floor)' "$made/summary" > /dev/null ||
    { echo "bench: orphan-scan: not what was made: $(cat "$made/summary")" >&2; exit 1; }

temperature=warm walk_limit=0.60 whole_limit=2.10
if [ "${COLD:-}" ]; then
    export BEFORE='sync; echo 3 > /proc/sys/vm/drop_caches'
    temperature=cold walk_limit=0.35 whole_limit=-
fi
printf -v ours '%q ' "${scan[@]}" --partial --metadata-db "$data/one/metadata.db" --tracked "$made/first" "$library"
printf -v peer "find %q ! -type d -printf '%%s\\\\n'" "$library"
paired "orphan-scan walk, $files files, $temperature" $walk_limit "$ours" "$peer"

printf -v ours '%q ' "${whole[@]}"
printf -v peer "join -t '\t' <(find %q ! -type d -printf '%%P\\\\n' | sort) <(sort %q) | cut -f 2 | sort | join - <(sort %q)" \
    "$library" "$made/tracked.tsv" "$made/known.txt"
paired "orphan-scan whole, $files files, $temperature" $whole_limit "$ours" "$peer"
peak "orphan-scan whole, $files files" $((250 * 1024)) "${whole[@]}"
# The sums of 300,000 authors are kept beside it.
peak "orphan-scan whole with a report, $files files" $((320 * 1024)) "${whole[@]}" --report "$made/report.html"
