//! A database for one test, in the cluster that all tests share.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use postgres::{Client, error::SqlState};

use crate::cluster::{Address, SUPERUSER, shared::shared};

/// A database of its own; dropped, it is gone.
#[derive(Debug)]
pub struct Database {
    address: Address,
    name: String,
    kept: bool,
}

impl Database {
    /// A database in the shared cluster that holds what these statements made. They run once for all
    /// tests that ask for the same; each gets a copy.
    ///
    /// # Panics
    /// When PostgreSQL does not come up, or a statement fails.
    #[must_use]
    pub fn with(statements: &[&str]) -> Self {
        Self::copy_of(&statements.concat(), SUPERUSER, |template| {
            for sql in statements {
                template.execute(sql);
            }
        })
    }

    /// A database in the shared cluster, a copy of what `fill` makes. It is called once for all tests
    /// that give the same text as `key`. The owner is made a role with its name as password.
    ///
    /// # Panics
    /// As [`Database::with`].
    #[must_use]
    pub fn copy_of(key: &str, owner: &str, fill: impl FnOnce(&Database)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let address = shared().address.clone();
        let mut hash = DefaultHasher::new();
        (key, owner).hash(&mut hash);
        let template = format!("template_{:x}", hash.finish());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // A number of a process comes again, and one that was killed left its databases.
        let time = SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_micros();
        let name = format!("test_{}_{count}_{time}", process::id());
        if !create(&address, &name, &template, owner) {
            make_template(&address, &template, owner, fill);
            assert!(create(&address, &name, &template, owner), "{template}");
        }
        Self {
            address,
            name,
            kept: false,
        }
    }

    /// A database of that name in this cluster, which ends before it or with it.
    #[must_use]
    pub fn at(address: &Address, name: &str) -> Self {
        Self {
            address: address.clone(),
            name: name.into(),
            kept: true,
        }
    }

    /// The cluster that it is in.
    #[must_use]
    pub fn server(&self) -> &Address {
        &self.address
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connection URL over TCP for this role, without a password.
    #[must_use]
    pub fn url_for(&self, user: &str) -> String {
        let (port, name) = (self.address.port(), &self.name);
        format!("postgresql://{user}@127.0.0.1:{port}/{name}")
    }

    /// Connection settings over the Unix socket for this role.
    #[must_use]
    pub fn settings_for(&self, user: &str) -> String {
        let folder = self.address.socket_dir().display();
        let (port, name) = (self.address.port(), &self.name);
        format!("host={folder} port={port} dbname={name} user={user}")
    }

    /// A connection over the Unix socket as the superuser.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn client(&self) -> Client {
        self.address.client(&self.name)
    }

    /// Runs one or more statements.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn execute(&self, sql: &str) {
        self.address.execute(&self.name, sql);
    }

    /// Runs statements and gives the rows as text, NULL as `None`.
    ///
    /// # Panics
    /// When one of them fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.address.query(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.kept {
            // The drop waits for all sessions of the cluster, which another test may have stopped.
            // What is left then goes with the cluster.
            if let Ok(mut client) = self.address.try_client("postgres") {
                let _ = client.batch_execute("set statement_timeout = '5s'");
                let drop = format!("drop database {} with (force)", self.name);
                let _ = client.batch_execute(&drop);
            }
        }
    }
}

/// Copies the template; `false` when there is none yet.
fn create(address: &Address, name: &str, template: &str, owner: &str) -> bool {
    // Copying files takes an eighth of the time of copying through the log, which only PostgreSQL 15
    // and later would do.
    let mut client = address.client("postgres");
    let version = client.query_one("show server_version_num", &[]);
    let version: String = version.map(|row| row.get(0)).unwrap_or_default();
    let strategy = if version.parse().unwrap_or(0) < 150_000 {
        ""
    } else {
        "strategy file_copy"
    };
    let sql = format!("create database {name} template {template} owner {owner} {strategy}");
    match client.batch_execute(&sql) {
        Ok(()) => true,
        Err(e) if e.code() == Some(&SqlState::UNDEFINED_DATABASE) => false,
        Err(e) if e.code() == Some(&SqlState::UNDEFINED_OBJECT) => false,
        Err(e) => panic!("postgresql: {sql}: {e:?}"),
    }
}

/// Makes the template; whoever holds the lock does it, the others wait and find it there.
fn make_template(address: &Address, name: &str, owner: &str, fill: impl FnOnce(&Database)) {
    let lock = lock(&address.socket_dir().join("templates.lock"));
    let known = |what: &str| {
        let found = address.query("postgres", what);
        !found.is_empty()
    };
    if !known(&format!("select from pg_roles where rolname = '{owner}'")) {
        let role = format!("create role {owner} login password '{owner}'");
        address.execute("postgres", &role);
    }
    if !known(&format!("select from pg_database where datname = '{name}'")) {
        let draft = format!("{name}_draft");
        let postgres = Database::at(address, "postgres");
        postgres.execute(&format!("drop database if exists {draft}"));
        postgres.execute(&format!("create database {draft} owner {owner}"));
        fill(&Database::at(address, &draft));
        postgres.execute(&format!("alter database {draft} rename to {name}"));
    }
    drop(lock);
}

fn lock(path: &Path) -> File {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    let file = file.unwrap_or_else(|e| panic!("{}: open: {e}", path.display()));
    file.lock()
        .unwrap_or_else(|e| panic!("{}: lock: {e}", path.display()));
    file
}
