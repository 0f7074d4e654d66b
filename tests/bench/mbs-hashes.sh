#!/usr/bin/env bash
# mbs-hashes against `psql COPY TO STDOUT` of the same columns, 2,000,000 rows; see run.sh.
#
# Makes a throw-away PostgreSQL below $BENCH_DIR, keeps its data, and stops it at the end. ROWS=N for
# another number of rows.
set -eu -o pipefail

rows=${ROWS:-2000000}
bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -1 || true)
[ -n "$bin" ] || bin=$(dirname "$(command -v postgres || echo /nowhere/postgres)")
if [ ! -x "$bin/initdb" ]; then
    echo 'bench: mbs-hashes: no PostgreSQL (apt-get install postgresql)' >&2
    exit 0
fi

# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
# The data lies in /var/tmp, where the account of the server can go.
data=/var/tmp/mbs-hashes-bench-$rows-$(id -u)
export PGHOST=$data PGPORT=54999 PGUSER=postgres PGDATABASE=ebooks
stop() { "${as[@]}" "$bin/pg_ctl" -s -D "$data/db" -m fast stop || true; }

if [ ! -e "$data/.done" ]; then
    rm -rf "$data"
    mkdir -m 700 "$data"
    [ ${#as[@]} = 0 ] || chown postgres: "$data"
    "${as[@]}" "$bin/initdb" -D "$data/db" -U postgres -A trust -E UTF8 --locale=C.UTF-8 > /dev/null
fi
"${as[@]}" "$bin/pg_ctl" -s -w -D "$data/db" -l "$data/log" \
    -o "-p $PGPORT -k $data -c listen_addresses= -c shared_buffers=1GB -c max_wal_size=4GB" start
trap stop EXIT
if [ ! -e "$data/.done" ]; then
    "$bin/psql" -q -d postgres -c 'create database ebooks'
    "$bin/psql" -q -v ON_ERROR_STOP=1 <<- SQL
		create table format (id bigint primary key, extension varchar(8) not null unique);
		insert into format select i, 'x' || i from generate_series(1, 17) as i;
		create table source (
		    id bigserial primary key, version_id integer not null, created timestamp not null,
		    modified timestamp not null, ebook_id bigint not null, location varchar(512) not null,
		    load_source varchar(256), format_id bigint not null references format (id), size integer not null,
		    hash varchar(128) not null, quality double precision, quality_count integer,
		    created_by_id bigint, modified_by_id bigint);
		insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
		select 1, now(), now(), i / 2, 'Surname Name/The Title of Book ' || i || '(en)/Surname Name - The Title of Book '
		    || i || '.epub', 1 + i % 17, i, left(encode(sha256(i::text::bytea), 'hex'), 40)
		from generate_series(1, $rows) as i;
		create index on source (modified);
		vacuum analyze source;
	SQL
    touch "$data/.done"
fi

columns='id, ebook_id, format_id, hash, size, location'
printf -v peer '%q -c %q' "$bin/psql" "COPY (SELECT $columns FROM source) TO STDOUT"
paired "mbs-hashes $rows rows" 1.30 "$BIN/mbs-hashes" "$peer"
peak "mbs-hashes $rows rows memory" 24576 "$BIN/mbs-hashes"
