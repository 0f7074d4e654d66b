//! mbs-hashes, the real binary against real PostgreSQL servers with the server's tables.

// A test may panic; clippy's own exception does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

/// The stream of one pass: every row, its bytes, its summary.
mod rows;

/// New rows, late ones among them; a database that goes away and comes back.
mod follow;

/// Where the database is and as whom to enter: flags, libpq's environment, its password file.
mod settings;

/// A connection that others share, before a real pgbouncer.
mod pooled;

/// Rows that a role may not see, tables that are not the server's: never a stream that says it is whole.
mod hidden;

/// sslmode against a server with a certificate of our own authority.
mod tls;

/// CSV exports, whole and cut.
mod export;

/// How a run ends when the database, the reader or the disk fails.
mod ends;

use std::time::Duration;

use harness::{
    Cluster, Run, Workdir,
    cluster::{Options, SUPERUSER},
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A PostgreSQL with the server's tables in the database `ebooks`, one ebook, and the role `reader` that may
/// only SELECT from the two tables that are needed.
struct Server {
    cluster: Cluster,
    work: Workdir,
}

impl Server {
    fn start() -> Server {
        Server::with(&Options::default())
    }

    fn with(options: &Options) -> Server {
        let cluster = Cluster::start_with(options);
        cluster.create_database("ebooks");
        let server = Server {
            cluster,
            work: Workdir::new(),
        };
        server.sql(include_str!("../support/sandbox/src/sql/schema.sql"));
        server.sql(include_str!("../support/sandbox/src/sql/seed.sql"));
        server.sql(
            "insert into ebook (version_id, created, modified, title, language_id, base_dir)
             values (1, now(), now(), 'One', 1, 'One');
             create role reader login password 'pa:ss';
             grant select on source, format to reader",
        );
        server
    }

    fn sql(&self, sql: &str) {
        self.cluster.execute("ebooks", sql);
    }

    /// Adds rows with these ids.
    fn add(&self, ids: std::ops::RangeInclusive<i64>) {
        self.sql(&insert(ids));
    }

    /// The settings of the role that may only read, over the Unix socket.
    fn db(&self) -> String {
        let folder = self.cluster.socket_dir().display();
        format!(
            "host={folder} port={} dbname=ebooks user=reader",
            self.cluster.port()
        )
    }

    fn mbs_hashes(&self) -> Run {
        self.work.tool("mbs-hashes").env("MBS_DB", self.db())
    }

    /// Somebody else's connection to the database.
    fn client(&self) -> postgres::Client {
        self.cluster.client("ebooks")
    }
}

fn insert(ids: std::ops::RangeInclusive<i64>) -> String {
    // Without the checks of foreign keys, which would take most of the time.
    format!(
        "set session_replication_role = replica;
         insert into source (id, version_id, created, modified, ebook_id, location, format_id, size, hash)
         select i, 1, now(), now(), 1, 'One/' || i || '.epub', 8, i, lpad(to_hex(i), 40, '0')
         from generate_series({}, {}) as i;
         set session_replication_role = origin",
        ids.start(),
        ids.end()
    )
}

/// Adds one row with the next id of the sequence, as the server does.
const NEXT: &str =
    "insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
     values (1, now(), now(), 1, 'One/next.epub', 8, 7, repeat('7', 40))";

/// The sorted ids of the rows in a stream.
fn ids(records: &[serde_json::Value]) -> Vec<i64> {
    let known = records
        .iter()
        .filter(|record| record["type"] == "known_hash");
    known
        .filter_map(|record| record["source_id"].as_i64())
        .collect()
}

/// A URL over TCP for the superuser.
fn tcp(server: &Server, rest: &str) -> String {
    let port = server.cluster.port();
    format!("postgresql://{SUPERUSER}@127.0.0.1:{port}/ebooks{rest}")
}
