//! Where a cluster answers, and what can be asked of it.

use std::path::{Path, PathBuf};

use postgres::{Client, NoTls, SimpleQueryMessage};

use super::SUPERUSER;

/// Socket and port of a cluster.
#[derive(Clone, Debug)]
pub struct Address {
    pub(super) socket_dir: PathBuf,
    pub(super) port: u16,
}

impl Address {
    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the Unix socket, for libpq's `PGHOST`.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Connection URL over TCP for the superuser, without a password.
    #[must_use]
    pub fn url(&self, db: &str) -> String {
        format!("postgresql://{SUPERUSER}@127.0.0.1:{}/{db}", self.port)
    }

    /// Creates an empty database.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_database(&self, name: &str) {
        self.execute("postgres", &format!("create database \"{name}\""));
    }

    /// A connection over the Unix socket as the superuser.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn client(&self, db: &str) -> Client {
        self.try_client(db)
            .unwrap_or_else(|e| panic!("postgresql: {db}: connect: {e:?}"))
    }

    pub(crate) fn try_client(&self, db: &str) -> Result<Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config
            .host_path(&self.socket_dir)
            .port(self.port)
            .user(SUPERUSER)
            .dbname(db);
        config.connect(NoTls)
    }

    /// Runs one or more statements.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn execute(&self, db: &str, sql: &str) {
        let done = self.client(db).batch_execute(sql);
        done.unwrap_or_else(|e| panic!("postgresql: {db}: {sql}: {e:?}"));
    }

    /// Runs statements and gives the rows as text, NULL as `None`.
    ///
    /// # Panics
    /// When one of them fails.
    #[must_use]
    pub fn query(&self, db: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let answer = self.client(db).simple_query(sql);
        let answer = answer.unwrap_or_else(|e| panic!("postgresql: {db}: {sql}: {e:?}"));
        let mut rows = Vec::new();
        for message in answer {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(
                    (0..row.len())
                        .map(|i| row.get(i).map(str::to_owned))
                        .collect(),
                );
            }
        }
        rows
    }
}
