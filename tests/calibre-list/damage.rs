//! Databases that contradict themselves, and such as only look like Calibre's: none is believed.

use std::{collections::BTreeSet, fs, path::PathBuf};

use harness::{Workdir, run::Ran};
use library::{calibre, damage};
use rusqlite::Connection;

fn made(dir: &Workdir) -> PathBuf {
    library::demo::make(&dir.join("books")).unwrap();
    dir.join("books/metadata.db")
}

fn told(ran: &Ran, texts: &[&str]) {
    let damaged = "metadata.db: read: the database is damaged (";
    ran.one_line(&[damaged, "calibredb restore_database"]);
    ran.one_line(texts);
    assert!(ran.stdout.is_empty(), "{}", ran.report());
}

/// SQLite reads by indexes, and what one lacks is not there for it: books were left out, and the list
/// was called complete.
#[test]
fn rows_that_an_index_or_a_table_lacks_are_damage() {
    for (table, change) in [
        (
            "data",
            "INSERT INTO data VALUES (900, 1, 'DJVU', 1, 'unseen')",
        ),
        ("data", "DELETE FROM data WHERE book = 2"),
        (
            "data",
            "UPDATE data SET book = 3, format = 'CBZ' WHERE book = 2",
        ),
        ("data", "UPDATE data SET id = id + 1000 WHERE book = 2"),
        ("books", "DELETE FROM books WHERE id = 2"),
        (
            "books_authors_link",
            "UPDATE books_authors_link SET author = 2 WHERE book = 1",
        ),
        (
            "books_tags_link",
            "INSERT INTO books_tags_link VALUES (900, 7, 1)",
        ),
        ("books_languages_link", "DELETE FROM books_languages_link"),
        ("authors", "DELETE FROM authors WHERE id = 1"),
        ("tags", "UPDATE tags SET name = 'unseen' WHERE id = 1"),
        ("library_id", "UPDATE library_id SET uuid = 'another'"),
    ] {
        let dir = Workdir::new();
        let database = made(&dir);
        damage::unseen_by_indexes(&database, table, change).unwrap();
        let ran = dir.tool("calibre-list").arg("books").code(255);
        told(&ran, &["index ", &format!(" and table {table} differ")]);
    }
}

#[test]
fn an_index_in_another_order_is_damage() {
    let dir = Workdir::new();
    let database = made(&dir);
    let add = "INSERT OR IGNORE INTO comments(book, text) VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    Connection::open(&database)
        .unwrap()
        .execute_batch(add)
        .unwrap();
    damage::reversed(&database, "comments_idx", "book").unwrap();
    let list = || dir.tool("calibre-list").arg("books");
    let ran = list().args(["--fields", "all"]).code(255);
    told(&ran, &["index comments_idx and table comments differ"]);
    // What is not read needs not be sound.
    list().ok();
}

/// Without an index, or with one that has not all rows, all is read, only slower.
#[test]
fn indexes_that_are_of_no_use_are_not_needed() {
    let dir = Workdir::new();
    let database = made(&dir);
    let list = || {
        dir.tool("calibre-list")
            .args(["--fields", "all", "books"])
            .ok()
            .stdout()
    };
    let before = list();
    let db = Connection::open(&database).unwrap();
    db.execute_batch(
        "CREATE TABLE plain AS SELECT * FROM data; DROP TABLE data;
         ALTER TABLE plain RENAME TO data;
         CREATE INDEX part ON data(book, name) WHERE book IS NOT NULL AND format <> 'EPUB';
         CREATE INDEX computed ON data(book, lower(format));
         CREATE INDEX falling ON data(book DESC, format);",
    )
    .unwrap();
    let records = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains("\"summary\""));
        lines.map(Into::into).collect()
    };
    assert_eq!(records(&list()), records(&before));
}

#[test]
fn calibre_mends_what_is_said_to_be_damaged() {
    let dir = Workdir::new();
    let root = dir.join("books");
    calibre::library(&root).unwrap();
    let formats = |ran: &Ran| -> BTreeSet<String> {
        let books = ran.of_type("book_file");
        books.iter().map(|book| book["path"].to_string()).collect()
    };
    let list = || dir.tool("calibre-list").arg("books");
    // Calibre restores from these.
    calibre::calibredb(&root, ["backup_metadata"]).unwrap();
    let before = formats(&list().ok());
    let change = "UPDATE data SET id = id + 1000 WHERE book = 2";
    damage::unseen_by_indexes(&root.join("metadata.db"), "data", change).unwrap();
    let ran = list().code(255);
    told(
        &ran,
        &["restore_database --really-do-it --with-library LIBRARY"],
    );
    calibre::calibredb(&root, ["restore_database", "--really-do-it"]).unwrap();
    assert_eq!(formats(&list().ok()), before);
}

/// The uuid was read from a view without an end, and no signal ended that.
#[test]
fn what_is_no_ordinary_table_is_not_read() {
    const ENDLESS: &str = "AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n)
                           SELECT x AS id, x AS book, x AS uuid FROM n";
    for table in ["library_id", "data", "books_tags_link", "languages"] {
        for odd in [
            format!("CREATE VIEW {table} {ENDLESS}"),
            format!("CREATE VIRTUAL TABLE {table} USING fts5(book, uuid)"),
            format!("CREATE TABLE {table}(id INTEGER PRIMARY KEY, uuid) WITHOUT ROWID"),
        ] {
            let dir = Workdir::new();
            let db = Connection::open(made(&dir)).unwrap();
            db.execute_batch(&format!("DROP TABLE {table}; {odd}"))
                .unwrap();
            drop(db);
            let run = dir.command("timeout").args(["-s", "KILL", "30"]);
            let run = run.arg(harness::run::tool("calibre-list")).arg("books");
            let ran = run.code(2);
            ran.one_line(&[&format!("its {table} is no ordinary table")]);
            assert!(ran.stdout.is_empty());
        }
    }
}

/// SQLite opens the file that a journal names as the one above it, and waited in a pipe for ever.
#[test]
fn a_journal_that_names_another_one_is_not_followed() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 500).unwrap();
    crate::snapshot::crash(&dir.join("books/metadata.db"));
    let pipe = dir.join("pipe-mj000000900");
    assert!(dir.command("mkfifo").arg(&pipe).ok().stdout.is_empty());
    let name = pipe.to_str().unwrap().as_bytes();
    let journal = dir.join("books/metadata.db-journal");
    let mut bytes = fs::read(&journal).unwrap();
    let sum: u32 = name.iter().map(|&byte| u32::from(byte)).sum();
    let locked_page = (0x4000_0000_u32 / 4096 + 1).to_be_bytes();
    bytes.extend(locked_page);
    bytes.extend(name);
    bytes.extend((name.len() as u32).to_be_bytes());
    bytes.extend(sum.to_be_bytes());
    bytes.extend(0xd9d5_05f9_20a1_63d7_u64.to_be_bytes());
    fs::write(&journal, bytes).unwrap();
    let run = dir.command("timeout").args(["-s", "KILL", "30"]);
    let run = run.arg(harness::run::tool("calibre-list")).arg("books");
    let ran = run.code(255);
    ran.one_line(&["metadata.db: read: a program crashed while writing to several databases"]);
}

/// SQLite keeps texts in UTF-16, where a database was made so.
#[test]
fn a_utf16_database_is_listed_as_any_other() {
    let dir = Workdir::new();
    let database = made(&dir);
    let list = || {
        let ran = dir.tool("calibre-list").args(["--fields", "all", "books"]);
        let ran = ran.ok();
        (ran.of_type("book_file"), ran.of_type("error"))
    };
    let before = list();
    assert!(!before.0.is_empty());
    damage::to_utf16(&database).unwrap();
    assert_eq!(list(), before);
}

/// It aborted, or waited for a thread that could not be started.
#[test]
fn too_little_memory_ends_it_with_255() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 5000).unwrap();
    let mut gave_up = 0;
    for kilobytes in (9 << 10..18 << 10).step_by(256) {
        let limited = |what| {
            dir.shell(&format!("ulimit -v {kilobytes}; exec calibre-list {what}"))
                .run()
        };
        // Below this not even the program and its stack fit.
        if !limited("--version").status.success() {
            continue;
        }
        let ran = limited("books");
        let told = ran.stderr();
        match ran.status.code() {
            Some(0) => {}
            Some(255) => {
                gave_up += 1;
                assert!(!told.contains("damaged"), "{}", ran.report());
                // Where an allocation of our own fails, std says so, in a line or two.
                let one = told.lines().count() == 1 || told.starts_with("memory allocation");
                assert!(one, "{}", ran.report());
            }
            _ => panic!("{kilobytes} KiB\n{}", ran.report()),
        }
    }
    assert!(gave_up > 0);
}
