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
    Cluster, Database, Run, Workdir,
    cluster::{Options, SUPERUSER},
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A PostgreSQL with the server's tables in the database `ebooks`, one ebook, and the role `reader` that may
/// only SELECT from the two tables that are needed.
struct Server {
    database: Database,
    /// Its own cluster, for tests that change or stop it.
    cluster: Option<Cluster>,
    work: Workdir,
}

/// A role that exists for the whole cluster may have been made for another database.
const TABLES: [&str; 3] = [
    include_str!("../support/sandbox/src/sql/schema.sql"),
    include_str!("../support/sandbox/src/sql/seed.sql"),
    "insert into ebook (version_id, created, modified, title, language_id, base_dir)
     values (1, now(), now(), 'One', 1, 'One');
     do $$ begin create role reader login password 'pa:ss';
     exception when duplicate_object then null; end $$;
     grant select on source, format to reader",
];

impl Server {
    fn start() -> Server {
        Server {
            database: Database::with(&TABLES),
            cluster: None,
            work: Workdir::new(),
        }
    }

    /// On a cluster that no other test uses; the database is named `ebooks`.
    fn own() -> Server {
        Server::with(&Options::default())
    }

    fn with(options: &Options) -> Server {
        let cluster = Cluster::start_with(options);
        cluster.create_database("ebooks");
        let server = Server {
            database: Database::at(&cluster, "ebooks"),
            cluster: Some(cluster),
            work: Workdir::new(),
        };
        for sql in TABLES {
            server.sql(sql);
        }
        server
    }

    /// Its own cluster.
    fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("a cluster of its own")
    }

    fn sql(&self, sql: &str) {
        self.database.execute(sql);
    }

    /// Adds rows with these ids.
    fn add(&self, ids: std::ops::RangeInclusive<i64>) {
        self.sql(&insert(ids));
    }

    /// The settings of the role that may only read, over the Unix socket.
    fn db(&self) -> String {
        self.database.settings_for("reader")
    }

    fn mbs_hashes(&self) -> Run {
        self.work.tool("mbs-hashes").env("MBS_DB", self.db())
    }

    /// Somebody else's connection to the database.
    fn client(&self) -> postgres::Client {
        self.database.client()
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
    server.database.url_for(SUPERUSER) + rest
}
