use std::{fs, os::unix::fs::symlink};

use harness::{run::Ran, wait_for};
use serde_json::Value;

use crate::{
    stepper::{DEADLINE, Stepper},
    world::{World, kept, only, stream},
};

/// The links are listed, nothing is proven yet.
const LISTED: &str = "source.hash IN";
/// The file was looked at and hashed; the server is asked about it.
const HASHED: &str = "age(source.xmin)";
/// The removal is announced, and all is asked once more.
const ANNOUNCED: [&str; 2] = [HASHED, "max(id)"];
/// The file has gone, and all is asked again.
const GONE: [&str; 3] = [HASHED, HASHED, "max(id)"];

const DELETE: &str = "delete from source where location like 'Stored/%'";
const INSERT: &str =
    "insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
     values (1, now(), now(), 1, 'Late/x.epub', 8, 4, repeat('7', 40))";
const ON_RECORD: &str =
    "insert into books (id, title, sort, path, uuid) values (77, 'x', 'x', 'A', 'u');
     insert into data (book, format, uncompressed_size, name) values (77, 'EPUB', 4, 'x')";

/// Starts the tool, changes the world at a point of its way, and gives how it ended.
fn race(at: &str, change: impl FnOnce(&World, &mut Stepper<'_>)) -> (World, Ran) {
    race_at(&[at], change)
}

/// As [`race`], at the last of these questions, each asked after the one before.
fn race_at(at: &[&str], change: impl FnOnce(&World, &mut Stepper<'_>)) -> (World, Ran) {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let mut stepper = Stepper::new(&world);
    let child = world.rm(&[finding]).arg("--apply").start();
    stepper.after(at);
    change(&world, &mut stepper);
    stepper.go();
    (world, Ran::of(child))
}

#[test]
fn a_file_linked_after_the_listing_stays() {
    for at in [LISTED, HASHED] {
        let (world, ran) = race(at, |world, stepper| {
            world.link_only("Late/x.epub", &world.lib("A/x.epub"));
            stepper.sql(INSERT);
        });
        kept(
            &world,
            "A/x.epub",
            &ran,
            "a link of the server's store leads here",
        );
    }
    // One whose row is not there yet is found when all links are listed again.
    let (world, ran) = race(HASHED, |world, _| {
        world.link_only("Late/x.epub", &world.lib("A/x.epub"));
    });
    kept(&world, "A/x.epub", &ran, "put back");
    let journal = fs::read_to_string(&world.journals()[0]).unwrap();
    assert!(journal.contains("returned"), "{journal}");
}

#[test]
fn a_file_rewritten_replaced_or_swapped_in_the_last_moment_stays() {
    let (world, ran) = race(HASHED, |world, _| {
        fs::write(world.lib("A/x.epub"), b"another").unwrap();
    });
    kept(&world, "A/x.epub", &ran, "changed in the last moment");
    let (world, ran) = race(HASHED, |world, _| {
        fs::write(world.lib("A/new"), b"copy").unwrap();
        fs::rename(world.lib("A/new"), world.lib("A/x.epub")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "changed in the last moment");
    let (world, ran) = race(HASHED, |world, _| {
        fs::rename(world.lib("A"), world.lib("B")).unwrap();
        symlink(world.lib("B"), world.lib("A")).unwrap();
    });
    kept(&world, "B/x.epub", &ran, "its folder cannot be looked at");
    // A folder of the same name in place of the one that was proven: its file was moved, and goes back.
    let (world, ran) = race(HASHED, |world, _| {
        fs::rename(world.lib("A"), world.lib("B")).unwrap();
        world.stray("A/x.epub", b"copy");
    });
    kept(
        &world,
        "B/x.epub",
        &ran,
        "was put in its place in the last moment",
    );
    assert_eq!(fs::read(world.lib("A/x.epub")).unwrap(), b"copy");
}

/// The last look at a file and its move are two system calls. Where there is strace, it holds up the
/// second one for as long as it takes to put another file in the place.
#[test]
fn a_file_put_in_the_place_between_the_last_look_and_the_move_goes_back() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    if !world.may_trace() {
        return;
    }
    // The first one is the trial in the quarantine.
    let hold = ["-f", "--seccomp-bpf", "-qq", "-o", "trace", "-e"];
    let hold = world.work.command("strace").args(hold);
    let hold = hold.args([
        "trace=renameat2",
        "-e",
        "inject=renameat2:delay_enter=4s:when=2",
    ]);
    let run = world.dressed(hold.arg(harness::run::tool("orphan-rm")));
    let run = run.args(["--apply", "--max-percent", "100"]);
    let child = run.stdin(stream(&[finding])).start();
    let held = || {
        let pid = child.id();
        let tool = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", tool.trim())).ok()?;
        let announced = fs::read_to_string(world.journals().first()?).ok()?;
        (stat.contains(") t ") && announced.contains("\"removing\"")).then_some(())
    };
    wait_for("the move to be held up", DEADLINE, held);
    fs::rename(world.lib("A/x.epub"), world.lib("A/proven.epub")).unwrap();
    world.stray("A/x.epub", b"a new book");
    let ran = Ran::of(child);
    kept(
        &world,
        "A/x.epub",
        &ran,
        "was put in its place in the last moment",
    );
    assert_eq!(fs::read(world.lib("A/x.epub")).unwrap(), b"a new book");
    assert_eq!(fs::read(world.lib("A/proven.epub")).unwrap(), b"copy");
}

#[test]
fn a_server_row_or_file_that_goes_away_between_keeps_the_file() {
    let (world, ran) = race(LISTED, |_, stepper| stepper.sql(DELETE));
    kept(&world, "A/x.epub", &ran, "no row");
    let (world, ran) = race(HASHED, |_, stepper| stepper.sql(DELETE));
    kept(&world, "A/x.epub", &ran, "no row");
    let (world, ran) = race(HASHED, |world, _| {
        fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "is not there");
}

/// It took as long to write the announcement as a disk may take, and the proof was older than the move.
#[test]
fn what_becomes_untrue_while_the_removal_is_announced_keeps_the_file() {
    let announced = |world: &World| {
        let journal = fs::read_to_string(&world.journals()[0]).unwrap();
        assert!(journal.ends_with("}\n") && journal.contains("\"removing\""));
    };
    let undone = |world: &World| {
        let journal = fs::read_to_string(&world.journals()[0]).unwrap_or_default();
        assert!(!journal.contains("\"removed\""), "{journal}");
    };
    let (world, ran) = race_at(&ANNOUNCED, |world, _| {
        announced(world);
        world.calibre(ON_RECORD);
    });
    kept(&world, "A/x.epub", &ran, "on record now");
    undone(&world);
    let (world, ran) = race_at(&ANNOUNCED, |world, _| {
        world.calibre(&ON_RECORD.replace("'x')", "'lost')"));
    });
    kept(&world, "A/x.epub", &ran, "would take this file for it");
    undone(&world);
    let (world, ran) = race_at(&ANNOUNCED, |world, stepper| {
        announced(world);
        stepper.sql(DELETE);
    });
    kept(&world, "A/x.epub", &ran, "no row");
    undone(&world);
    let (world, ran) = race_at(&ANNOUNCED, |world, _| {
        fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "is not there");
    undone(&world);
    let (world, ran) = race_at(&ANNOUNCED, |world, _| {
        fs::write(world.books("Stored/A-x.epub"), "wrong").unwrap();
    });
    kept(&world, "A/x.epub", &ran, "other bytes");
    undone(&world);
    let (world, ran) = race_at(&ANNOUNCED, |world, stepper| {
        world.link_only("Late/x.epub", &world.lib("A/x.epub"));
        stepper.sql(INSERT);
    });
    kept(&world, "A/x.epub", &ran, "leads here");
    undone(&world);
}

/// The second look was one at the links alone.
#[test]
fn what_becomes_untrue_after_the_move_puts_the_file_back() {
    let gone = |world: &World| assert!(!world.lib("A/x.epub").exists());
    let (world, ran) = race_at(&GONE, |world, _| {
        gone(world);
        world.calibre(ON_RECORD);
    });
    kept(
        &world,
        "A/x.epub",
        &ran,
        "put back: Calibre has it on record now",
    );
    let (world, ran) = race_at(&GONE, |world, _| {
        world.calibre(&ON_RECORD.replace("'x')", "'lost')"));
    });
    kept(&world, "A/x.epub", &ran, "would take this file for it");
    let (world, ran) = race_at(&GONE, |world, stepper| {
        gone(world);
        stepper.sql(DELETE);
    });
    kept(&world, "A/x.epub", &ran, "put back: the server has no row");
    let (world, ran) = race_at(&GONE, |world, _| {
        fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "is not there");
    let (world, ran) = race_at(&GONE, |world, _| {
        fs::write(world.lib("metadata.db"), "none of SQLite's").unwrap();
    });
    kept(
        &world,
        "A/x.epub",
        &ran,
        "put back: not known: Calibre's records",
    );
    let journal = fs::read_to_string(&world.journals()[0]).unwrap();
    assert!(journal.contains("returned"), "{journal}");
}

#[test]
fn a_store_or_library_unmounted_in_mid_run_keeps_the_file() {
    let (world, ran) = race(HASHED, |world, _| {
        fs::rename(world.books(""), world.work.join("away")).unwrap();
        fs::create_dir(world.books("")).unwrap();
    });
    kept(&world, "A/x.epub", &ran, "another folder than at the start");
    let (world, ran) = race(LISTED, |world, _| {
        fs::rename(world.lib(""), world.work.join("away")).unwrap();
        fs::create_dir(world.lib("")).unwrap();
        fs::create_dir(world.lib("A")).unwrap();
        fs::write(world.lib("A/x.epub"), b"copy").unwrap();
    });
    kept(&world, "A/x.epub", &ran, "another folder than at the start");
}

#[test]
fn what_calibre_writes_in_mid_run_is_seen() {
    let (world, ran) = race(LISTED, |world, _| {
        world.calibre(ON_RECORD);
    });
    kept(&world, "A/x.epub", &ran, "on record now");
}

#[test]
fn a_database_that_goes_down_in_mid_run_keeps_the_rest_and_gives_up() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
    ];
    let mut stepper = Stepper::new(&world);
    let run = world.rm(&findings).args(["--apply", "--db-timeout", "5s"]);
    let child = run.start();
    stepper.until(HASHED);
    world.shut();
    let ran = Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    let removals = ran.of_type("removal");
    assert_eq!(removals.len(), 2, "{}", ran.report());
    for removal in removals {
        assert_eq!(removal["outcome"], "kept", "{}", ran.report());
        let why = removal["why"].as_str().unwrap();
        assert!(
            why.contains("the database does not answer"),
            "{}",
            ran.report()
        );
    }
    assert!(world.lib("A/x.epub").exists() && world.trash().is_empty());
}

#[test]
fn a_file_that_nothing_happened_to_goes_through_all_the_same_steps() {
    let (world, ran) = race(HASHED, |_, _| ());
    let removal: Value = only(&ran);
    assert_eq!(removal["outcome"], "removed", "{}", ran.report());
    assert_eq!(world.trash().len(), 1);
}
