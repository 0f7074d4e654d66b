#!/usr/bin/env bash
# hash-files against `xargs -0 sha1sum`, on small files and on large ones; see run.sh.
#
# The cache is warm unless this runs as root with COLD=1, which also drops the page cache before
# each run and then measures the disk more than us.
set -eu -o pipefail

cores=$(nproc)
small=$BENCH_DIR/small large=$BENCH_DIR/large

# 20,000 files of 20 to 200 KB, cut one after another from one random stream.
if [ ! -e "$small/.done" ]; then
    rm -rf "$small"
    mkdir -p "$small"
    RANDOM=1
    for ((folder = 0; folder < 200; folder++)); do
        mkdir "$small/$folder"
        for ((n = 0; n < 100; n++)); do
            head -c $((20000 + RANDOM * 180000 / 32767)) <&3 > "$small/$folder/$n.epub"
        done
    done 3< /dev/urandom
    touch "$small/.done"
fi

# 20 files of 50 MB.
if [ ! -e "$large/.done" ]; then
    rm -rf "$large"
    mkdir -p "$large"
    for ((n = 0; n < 20; n++)); do
        head -c 50000000 /dev/urandom > "$large/$n.pdf"
    done
    touch "$large/.done"
fi

temperature=warm
if [ "${COLD:-}" ]; then
    export BEFORE='sync; echo 3 > /proc/sys/vm/drop_caches'
    temperature=cold
fi
for kind in small large; do
    limit=0.40
    [ $temperature = warm ] || limit=-
    files=$BENCH_DIR/$kind.names
    find "$BENCH_DIR/$kind" -type f ! -name .done -print0 > "$files"
    printf -v ours '%q -0 < %q' "$BIN/hash-files" "$files"
    printf -v peer 'xargs -0 -n 200 -P%d sha1sum < %q' "$cores" "$files"
    # Twenty names would be one batch, and one core.
    [ $kind = small ] || peer=${peer/-n 200/-n 1}
    paired "hash-files $kind $temperature" "$limit" "$ours" "$peer"
done

# Members of an archive in one pass, beside one digest of them all together: a peer that makes a process
# for each member would measure that. The second line, cold, shows how near we are to the disk's rate.
archive=$BENCH_DIR/small.tar
if [ ! -e "$archive" ]; then
    tar -cf "$archive.new" -C "$BENCH_DIR" --exclude=.done small
    mv "$archive.new" "$archive"
fi
printf -v ours '%q --tar %q' "$BIN/hash-files" "$archive"
printf -v peer 'tar -xOf %q | sha1sum' "$archive"
paired "hash-files --tar $temperature" - "$ours" "$peer"
printf -v peer 'cat %q > /dev/null' "$archive"
paired "hash-files --tar, reading alone, $temperature" - "$ours" "$peer"
peak "hash-files --tar memory" 16384 "$BIN/hash-files" --tar "$archive"

# Memory does not grow with the number of files.
peak "hash-files small memory" 16384 "$BIN/hash-files" -r --ordered "$BENCH_DIR/small"
