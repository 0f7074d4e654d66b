//! Each thing that can be wrong with a library has its own line and code.

use std::fs;

use harness::Workdir;
use library::Shelf;

#[test]
fn a_folder_without_a_database() {
    let dir = Workdir::new();
    dir.tool("calibre-list")
        .arg(dir.path())
        .code(2)
        .one_line(&["calibre-list: ", "there is no metadata.db"]);
    dir.tool("calibre-list")
        .arg("nowhere")
        .code(2)
        .one_line(&["nowhere", "No such file"]);
    dir.tool("calibre-list")
        .code(2)
        .one_line(&["give a library"]);
}

#[test]
fn a_file_that_is_no_database() {
    let dir = Workdir::new();
    for content in [
        "",
        "SQLite format 3",
        "just some text that is long enough to hold a header",
    ] {
        dir.write("metadata.db", content);
        let ran = dir.tool("calibre-list").arg(dir.path()).code(2);
        ran.one_line(&["metadata.db: open: this is not a SQLite database"]);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn a_database_that_is_not_calibre_s() {
    let dir = Workdir::new();
    let db = rusqlite::Connection::open(dir.join("metadata.db")).unwrap();
    db.execute_batch("CREATE TABLE books(id INTEGER PRIMARY KEY, title)")
        .unwrap();
    dir.tool("calibre-list")
        .arg(dir.path())
        .code(2)
        .one_line(&["column path in its table books"]);
    db.execute_batch("ALTER TABLE books RENAME TO shelves")
        .unwrap();
    dir.tool("calibre-list")
        .arg(dir.path())
        .code(2)
        .one_line(&["it has no table books"]);
}

#[test]
fn a_damaged_database() {
    let dir = Workdir::new();
    library::demo::make(&dir.join("books")).unwrap();
    let path = dir.join("books/metadata.db");
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.len() / 4096 / 4;
    bytes[page * 4096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let ran = dir.tool("calibre-list").arg("books").code(255);
    ran.one_line(&["metadata.db: read: the database is damaged"]);
    assert!(ran.of_type("summary").is_empty(), "{}", ran.report());
}

#[test]
fn no_room_for_the_copy() {
    let dir = Workdir::new();
    Shelf::create(&dir.join("books")).unwrap();
    dir.tool("calibre-list")
        .arg("books")
        .env("TMPDIR", dir.join("gone"))
        .code(255)
        .one_line(&["gone", "copy the database here", "No such file"]);
}
