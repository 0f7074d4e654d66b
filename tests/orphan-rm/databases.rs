use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use harness::run::Ran;
use rusqlite::Connection;

use crate::{
    stepper::Stepper,
    world::{World, kept},
};

/// The links are listed, nothing is proven yet.
const LISTED: &str = "source.hash IN";

/// Takes the database elsewhere; gives where it is now.
fn moved(world: &World) -> PathBuf {
    let to = world.work.join("far/calibre.sqlite");
    fs::create_dir(to.parent().unwrap()).unwrap();
    fs::rename(world.lib("metadata.db"), &to).unwrap();
    to
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

/// A log that nobody has open any more, as after a crash, with this change in it.
fn leave_in_the_log(database: &Path, change: &str) {
    let log = PathBuf::from(format!("{}-wal", database.display()));
    let aside = database.with_extension("aside");
    let db = Connection::open(database).unwrap();
    let mode = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0";
    db.execute_batch(mode).unwrap();
    copy(database, &aside.with_extension("db"));
    db.execute_batch(change).unwrap();
    copy(&log, &aside);
    db.close().unwrap();
    fs::rename(aside.with_extension("db"), database).unwrap();
    fs::rename(aside, log).unwrap();
}

/// The log was looked for beside the link, and the book in it was removed as nobody's.
#[test]
fn a_book_that_is_only_in_the_log_beside_a_link_s_target_stays() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let far = moved(&world);
    leave_in_the_log(
        &far,
        "INSERT INTO books(id, title, path) VALUES (77, 'Late', 'A');
         INSERT INTO data(book, format, uncompressed_size, name) VALUES (77, 'EPUB', 4, 'x')",
    );
    symlink(&far, world.lib("metadata.db")).unwrap();
    let ran = world.rm(&[finding]).arg("--apply").ok();
    let why = "Calibre has it on record now, as book 77";
    kept(&world, "A/x.epub", &ran, why);
}

#[test]
fn two_databases_are_refused() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let other = world.work.join("other.db");
    copy(&world.lib("metadata.db"), &other);
    let run = world.rm(&[finding]).arg("--apply");
    let ran = run.env("CALIBRE_OVERRIDE_DATABASE_PATH", other).code(3);
    ran.one_line(&["metadata.db: open library: the folder has this database, and"]);
    assert!(world.lib("A/x.epub").exists());
    assert!(world.trash().is_empty());
}

/// Changes which database there is when the run has begun.
fn meanwhile(before: impl FnOnce(&World) -> PathBuf, change: impl FnOnce(&World)) -> (World, Ran) {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let database = before(&world);
    let mut stepper = Stepper::new(&world);
    let run = world.rm(&[finding]).arg("--apply");
    let child = run.arg("--metadata-db").arg(database).start();
    stepper.until(LISTED);
    change(&world);
    stepper.go();
    (world, Ran::of(child))
}

#[test]
fn a_second_database_that_comes_in_mid_run_keeps_all() {
    let (world, ran) = meanwhile(moved, |world| {
        let far = world.work.join("far/calibre.sqlite");
        copy(&far, &world.lib("metadata.db"));
    });
    kept(&world, "A/x.epub", &ran, "the folder has this database");
}

#[test]
fn a_link_that_leads_to_another_database_in_mid_run_keeps_all() {
    let linked = |world: &World| {
        symlink(moved(world), world.lib("metadata.db")).unwrap();
        world.lib("metadata.db")
    };
    let (world, ran) = meanwhile(linked, |world| {
        let other = world.work.join("other.db");
        copy(&world.lib("metadata.db"), &other);
        fs::remove_file(world.lib("metadata.db")).unwrap();
        symlink(other, world.lib("metadata.db")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "it is another file now");
}

#[test]
fn a_link_s_target_inside_the_library_is_no_file_that_may_go() {
    let world = World::new();
    fs::create_dir(world.lib("A/db")).unwrap();
    fs::rename(world.lib("metadata.db"), world.lib("A/db/books.sqlite")).unwrap();
    symlink("A/db/books.sqlite", world.lib("metadata.db")).unwrap();
    let finding = world.finding("A/db/books.sqlite", "untracked");
    let run = world
        .rm(&[finding])
        .args(["--apply", "--classes", "untracked"]);
    kept(
        &world,
        "A/db/books.sqlite",
        &run.ok(),
        "it is Calibre's database",
    );
}

/// What an index lacks is not found by it, and its file was removed as nobody's.
#[test]
fn a_book_that_an_index_lacks_stays() {
    let world = World::new();
    let finding = world.orphan("Unknown/First (1)/x.pdf", b"copy");
    let change = "INSERT INTO data VALUES (900, 1, 'PDF', 4, 'x')";
    library::damage::unseen_by_indexes(&world.lib("metadata.db"), "data", change).unwrap();
    let ran = world.rm(&[finding]).arg("--apply").code(255);
    ran.one_line(&["metadata.db: read: the database is damaged (index "]);
    assert!(world.lib("Unknown/First (1)/x.pdf").exists());
}

/// Its records were read as bytes that lead nowhere, and its files removed as nobody's.
#[test]
fn a_book_on_record_in_a_utf16_database_stays() {
    let world = World::new();
    let path = world.book("Book", "EPUB", b"book");
    world.stored("Stored/book.epub", b"book");
    library::damage::to_utf16(&world.lib("metadata.db")).unwrap();
    let finding = world.finding(&path, "untracked_on_server");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    kept(&world, &path, &ran, "Calibre has it on record now");
    // What nobody has on record goes all the same.
    let finding = world.orphan("A/x.epub", b"copy");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    assert_eq!(ran.summary()["removed"], 1, "{}", ran.report());
}
