//! Where the database is: links, pipes and folders in its place, two of them.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use harness::Workdir;
use rusqlite::Connection;

use crate::{
    snapshot::{crash, titles},
    tree::{assert_untouched, tree},
};

/// A library whose database is a link to a link, in another folder and of another name.
fn linked(dir: &Workdir) -> Connection {
    library::demo::make(&dir.join("books")).unwrap();
    link(dir);
    Connection::open(dir.join("far/calibre.sqlite")).unwrap()
}

fn link(dir: &Workdir) {
    for folder in ["far", "near"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    fs::rename(
        dir.join("books/metadata.db"),
        dir.join("far/calibre.sqlite"),
    )
    .unwrap();
    symlink("../far/calibre.sqlite", dir.join("near/metadata.db")).unwrap();
    symlink("../near/metadata.db", dir.join("books/metadata.db")).unwrap();
}

/// SQLite follows the link before it looks for the log; beside the link there is none.
#[test]
fn rows_in_the_log_beside_a_link_s_target_are_listed() {
    let dir = Workdir::new();
    let db = linked(&dir);
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE books SET title = 'log'",
    )
    .unwrap();
    let before = tree(dir.path());
    assert!(before.contains_key(&dir.join("far/calibre.sqlite-wal")));
    assert!(titles(&dir, &[]).iter().all(|title| title == "log"));
    assert_untouched(dir.path(), &before);
}

#[test]
fn a_crashed_writer_s_journal_beside_a_link_s_target_is_rolled_back() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 500).unwrap();
    let sound = titles(&dir, &[]);
    link(&dir);
    crash(&dir.join("books/metadata.db"));
    assert!(dir.join("far/calibre.sqlite-journal").exists());
    assert_eq!(titles(&dir, &[]), sound);
}

#[test]
fn a_link_that_leads_nowhere_is_no_library_without_a_database() {
    let dir = Workdir::new();
    linked(&dir).close().unwrap();
    fs::rename(dir.join("far"), dir.join("unmounted")).unwrap();
    let ran = dir.tool("calibre-list").arg("books").code(2);
    ran.one_line(&["books/metadata.db: open library: it is a link that leads nowhere"]);
}

#[test]
fn two_databases_are_refused() {
    let dir = Workdir::new();
    for library in ["books", "other"] {
        library::demo::make(&dir.join(library)).unwrap();
    }
    let list = || dir.tool("calibre-list").arg("books");
    let name = "CALIBRE_OVERRIDE_DATABASE_PATH";
    let own = dir.join("books/metadata.db");
    for run in [
        list().env(name, dir.join("other/metadata.db")),
        list().args(["--db", "other/metadata.db"]),
    ] {
        let ran = run.code(3);
        ran.one_line(&["books/metadata.db: open library: the folder has this database, and "]);
        assert!(ran.stdout.is_empty());
    }
    // One under two names is one.
    symlink("books", dir.join("link")).unwrap();
    for other in ["link/metadata.db", "books/../books/metadata.db"] {
        list().env(name, dir.join(other)).ok();
    }
    // What cannot be told to be the same is another one, whatever it is.
    fs::remove_file(&own).unwrap();
    list().env(name, dir.join("other/metadata.db")).ok();
    symlink("/nowhere", &own).unwrap();
    list().env(name, dir.join("other/metadata.db")).code(3);
}

/// Each was opened, and waited in for ever; a TERM was not heard.
#[test]
fn what_is_no_regular_file_is_never_waited_in() {
    let dir = Workdir::new();
    let pipe = |at: &Path| {
        let made = dir.command("mkfifo").arg(at).ok();
        assert!(made.stdout.is_empty());
    };
    let socket = |at: &Path| drop(UnixListener::bind(at).unwrap());
    let folder = |at: &Path| fs::create_dir(at).unwrap();
    let link = |at: &Path| {
        fs::write(dir.join("target"), "not empty").unwrap();
        symlink(dir.join("target"), at).unwrap();
    };
    let device = |at: &Path| symlink("/dev/zero", at).unwrap();
    let make = |what: &str, at: &Path| match what {
        "pipe" => pipe(at),
        "socket" => socket(at),
        "folder" => folder(at),
        "link" => link(at),
        _ => device(at),
    };
    for what in ["pipe", "socket", "folder", "link", "device"] {
        for side in ["", "-wal", "-journal"] {
            let library = dir.join(format!("{what}{side}"));
            library::large::make(&library, 3).unwrap();
            let path = library.join(format!("metadata.db{side}"));
            let _ = fs::remove_file(&path);
            make(what, &path);
            let run = dir.command("timeout").args(["-s", "KILL", "30"]);
            let run = run.arg(harness::run::tool("calibre-list")).arg(&library);
            let ran = run.code(2);
            match (what, side) {
                // It is looked through, and leads to a text.
                ("link", "") => ran.one_line(&["target: open: this is not a SQLite database"]),
                _ => ran.one_line(&[&format!(
                    "metadata.db{side}: open: it is not a regular file"
                )]),
            };
        }
    }
}
