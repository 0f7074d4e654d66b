use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use harness::{Cluster, Database, Run, Workdir, run::Ran};
use hash_files::{Stamp, digest};
use library::{Book, Shelf};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

/// A library beside a store, and the server's database.
pub(crate) struct World {
    pub(crate) work: Workdir,
    pub(crate) database: Database,
}

/// What the server's database holds, before anything is stored.
const TABLES: [&str; 3] = [
    include_str!("../support/sandbox/src/sql/schema.sql"),
    include_str!("../support/sandbox/src/sql/seed.sql"),
    "insert into ebook (version_id, created, modified, title, language_id, base_dir)
     values (1, now(), now(), 'One', 1, 'One')",
];

impl World {
    /// One book on record whose file the server has, too, so that its store is not empty.
    pub(crate) fn new() -> World {
        World::empty().with_one_book()
    }

    /// The same with its database in this cluster.
    pub(crate) fn on(cluster: &Cluster) -> World {
        cluster.create_database("ebooks");
        let database = Database::at(cluster, "ebooks");
        for sql in TABLES {
            database.execute(sql);
        }
        World::with(database).with_one_book()
    }

    fn with_one_book(self) -> World {
        self.book("First", "EPUB", b"first");
        self.stored("First/first.epub", b"first");
        self.link("Linked/linked.epub", &self.lib("A/linked.epub"), b"linked");
        self.stray("A/linked.epub", b"linked");
        self
    }

    /// Nothing in it.
    pub(crate) fn empty() -> World {
        World::with(Database::with(&TABLES))
    }

    fn with(database: Database) -> World {
        let world = World {
            work: Workdir::new(),
            database,
        };
        drop(Shelf::create(&world.work.join("library")).unwrap());
        fs::create_dir_all(world.work.join("data/books")).unwrap();
        world
    }

    /// Can a run be looked at by strace? Not where it is not installed, or nobody may look on.
    pub(crate) fn may_trace(&self) -> bool {
        let probe = ["--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "true"];
        let mut probe = self.work.command("strace").args(probe).into_command();
        probe.output().is_ok_and(|ran| ran.status.success())
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.database.execute(sql);
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.database.query(sql)
    }

    pub(crate) fn client(&self) -> postgres::Client {
        self.database.client()
    }

    /// A path in the library.
    pub(crate) fn lib(&self, relative: &str) -> PathBuf {
        self.work.join("library").join(relative)
    }

    /// A path in the server's folder of books.
    pub(crate) fn books(&self, location: &str) -> PathBuf {
        self.work.join("data/books").join(location)
    }

    pub(crate) fn db(&self) -> String {
        self.database.settings_for(harness::cluster::SUPERUSER)
    }

    /// A book on record; gives the path of its file, relative to the library.
    pub(crate) fn book(&self, title: &str, format: &str, bytes: &[u8]) -> String {
        let shelf = Shelf::open(&self.work.join("library")).unwrap();
        let id = shelf.add(&Book::new(title).file(format, bytes)).unwrap();
        format!(
            "Unknown/{title} ({id})/{title} - Unknown.{}",
            format.to_lowercase()
        )
    }

    /// Calibre's database, open only as long as the change takes.
    pub(crate) fn calibre(&self, sql: &str) {
        let shelf = Shelf::open(&self.work.join("library")).unwrap();
        shelf.db().execute_batch(sql).unwrap();
    }

    /// A file that nobody has on record.
    pub(crate) fn stray(&self, relative: &str, bytes: &[u8]) -> String {
        self.work.write(Path::new("library").join(relative), bytes);
        relative.into()
    }

    /// A file of the server's own, and its row.
    pub(crate) fn stored(&self, location: &str, bytes: &[u8]) {
        self.work
            .write(Path::new("data/books").join(location), bytes);
        self.row(location, bytes);
    }

    /// A row of the server for these bytes.
    pub(crate) fn row(&self, location: &str, bytes: &[u8]) {
        let sample = self.work.write("sample", bytes);
        self.sql(&format!(
            "insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
             values (1, now(), now(), 1, '{}', 8, {}, '{}')",
            location.replace('\'', "''"),
            bytes.len(),
            sha1(&sample)
        ));
    }

    /// A link of the server's to a file that has these bytes, and its row.
    pub(crate) fn link(&self, location: &str, to: &Path, bytes: &[u8]) {
        self.link_only(location, to);
        self.row(location, bytes);
    }

    /// A link that no row knows of (yet).
    pub(crate) fn link_only(&self, location: &str, to: &Path) {
        let link = self.books(location);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(to, link).unwrap();
    }

    /// What a scan says of a file.
    pub(crate) fn finding(&self, relative: &str, class: &str) -> Value {
        let path = self.lib(relative);
        let seen = fs::symlink_metadata(&path).unwrap();
        let mut finding = json!({
            "type": "finding",
            "path": path.to_str().unwrap(),
            "class": class,
            "why": "the test says so",
            "removable": "yes",
            "sha1": sha1(&path),
            "size": seen.size(),
            "mtime": look(&path).mtime_text(),
            "dev": seen.dev().to_string(),
            "inode": seen.ino().to_string(),
            "nlink": seen.nlink(),
        });
        if class == "duplicate_of_server" {
            let db = Connection::open(self.lib("metadata.db")).unwrap();
            let folder = Path::new(relative).parent().unwrap().to_str().unwrap();
            let book: i64 = db
                .query_row("select id from books where path = ?1", [folder], |row| {
                    row.get(0)
                })
                .unwrap();
            finding["book_id"] = book.into();
            finding["format"] = path.extension().unwrap().to_str().unwrap().into();
            finding["row"] = path.to_str().unwrap().into();
        }
        finding
    }

    /// An orphan of which the server has a copy: the usual candidate.
    pub(crate) fn orphan(&self, relative: &str, bytes: &[u8]) -> Value {
        self.stray(relative, bytes);
        self.stored(&format!("Stored/{}", relative.replace('/', "-")), bytes);
        self.finding(relative, "untracked_on_server")
    }

    /// The tool, reading these findings.
    pub(crate) fn rm(&self, findings: &[Value]) -> Run {
        self.base()
            .args(["--max-percent", "100"])
            .stdin(stream(findings))
    }

    /// The tool with its database, library and store.
    pub(crate) fn base(&self) -> Run {
        self.dressed(self.work.tool("orphan-rm"))
    }

    /// orphan-purge with its database and store.
    pub(crate) fn purger(&self) -> Run {
        self.armed(self.work.tool("orphan-purge"))
    }

    /// A command that ends in a tool which knows the library, given database and store.
    pub(crate) fn armed(&self, run: Run) -> Run {
        let run = run.env("MBS_DB", self.db());
        run.arg("--store").arg(self.work.join("data"))
    }

    /// A command that ends in the tool, given its database, library and store.
    pub(crate) fn dressed(&self, run: Run) -> Run {
        run.env("MBS_DB", self.db())
            .arg("--library")
            .arg(self.work.join("library"))
            .arg("--store")
            .arg(self.work.join("data"))
    }

    /// Cuts the tool off from its database, for good.
    pub(crate) fn shut(&self) {
        let name = self.database.name();
        let shut = format!("alter database {name} with allow_connections false");
        self.database.server().execute("postgres", &shut);
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where application_name in ('orphan-rm', 'orphan-purge', 'mbs-prune') and datname = '{name}'"
        );
        self.database.server().execute("postgres", &end);
    }

    /// Files in the quarantine, by their paths in the library, with what is in them.
    pub(crate) fn trash(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let Ok(runs) = fs::read_dir(self.work.join("library.orphans")) else {
            return files;
        };
        for run in runs {
            let root = run.unwrap().path().join("files");
            for (path, bytes) in files_below(&root) {
                files.push((path, bytes));
            }
        }
        files.sort();
        files
    }

    /// The journals of all runs, oldest first.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let Ok(runs) = fs::read_dir(self.work.join("library.orphans")) else {
            return Vec::new();
        };
        let mut runs: Vec<_> = runs
            .map(|run| run.unwrap().path().join("journal.ndjson"))
            .collect();
        runs.retain(|journal| journal.exists());
        runs.sort_by_key(|journal| fs::metadata(journal).unwrap().modified().unwrap());
        runs
    }
}

/// Findings as a scan writes them.
pub(crate) fn stream(findings: &[Value]) -> String {
    let lines: String = findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    let summary = json!({"type": "summary", "tool": "orphan-scan", "records": findings.len(),
        "failed": 0, "complete": true});
    format!("{lines}{summary}\n")
}

/// All regular files below a folder, by relative path.
pub(crate) fn files_below(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => {
                    let path = entry.path();
                    let relative = path
                        .strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_string();
                    files.push((relative, fs::read(path).unwrap()));
                }
                _ => {}
            }
        }
    }
    files
}

pub(crate) fn look(path: &Path) -> Stamp {
    digest::look(path).unwrap()
}

/// Without the wait of the tools for a write that may go on.
pub(crate) fn sha1(path: &Path) -> String {
    let sha1: [u8; 20] = Sha1::digest(fs::read(path).unwrap()).into();
    digest::hex(&sha1)
}

/// The one removal record of a run.
pub(crate) fn only(ran: &Ran) -> Value {
    let removals = ran.of_type("removal");
    assert_eq!(removals.len(), 1, "{}", ran.report());
    removals[0].clone()
}

/// Insists that the one file of a run was kept for this reason, and is in its place.
pub(crate) fn kept(world: &World, relative: &str, ran: &Ran, why: &str) {
    let removal = only(ran);
    assert_eq!(removal["outcome"], "kept", "{}", ran.report());
    let said = removal["why"].as_str().unwrap();
    assert!(said.contains(why), "{why:?} is not said\n{}", ran.report());
    assert!(
        fs::symlink_metadata(world.lib(relative)).is_ok(),
        "{}",
        ran.report()
    );
    assert!(world.trash().is_empty(), "{}", ran.report());
}
