//! A journal belongs to one library, in one place, and the files in its quarantine to their bytes.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use harness::run::Run;
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    ends::many,
    world::{World, look, only},
};

fn restore(world: &World) -> Run {
    let run = world.work.tool("orphan-restore");
    run.arg(&world.journals()[0])
}

fn purge(world: &World) -> Run {
    let run = world.purger().arg(&world.journals()[0]);
    run.args(["--older-than", "0"])
}

fn copy(from: &Path, to: &Path, how: &str) {
    let copied = Command::new("cp").arg(how).arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// The library's files in the quarantine, in the only run's folder.
fn quarantine(world: &World) -> PathBuf {
    world.journals()[0].with_file_name("files")
}

/// Lines of the journal of one run, to be written again.
fn lines(world: &World) -> Vec<String> {
    let text = fs::read_to_string(&world.journals()[0]).unwrap();
    text.split_inclusive('\n').map(Into::into).collect()
}

fn write(world: &World, lines: &[String]) {
    fs::write(&world.journals()[0], lines.concat()).unwrap();
}

fn at(finding: &Value) -> PathBuf {
    finding["path"].as_str().unwrap().into()
}

/// It was refused for ever, and with it every other file of the run.
#[test]
fn a_line_that_cannot_be_read_keeps_no_other_file_in_the_quarantine() {
    let world = World::new();
    let findings = many(&world, 3);
    world.rm(&findings).arg("--apply").ok();
    let whole = lines(&world);
    let mut lines = whole.clone();
    let second = lines
        .iter()
        .position(|line| line.contains("\"removing\",\"seq\":2"));
    let second = second.unwrap();
    // The next line is glued to its first half.
    let half = lines[second][..200].to_string();
    lines[second] = half;
    write(&world, &lines);
    let journal = world.journals()[0].clone();
    let on = world
        .rm(&findings)
        .args(["--apply", "--journal"])
        .arg(&journal);
    let on = on.code(3);
    let named = format!("line {}", second + 1);
    assert!(on.stderr().contains(&named), "{}", on.report());
    let ran = restore(&world).code(1);
    assert!(ran.stderr().contains(&named), "{}", ran.report());
    assert_eq!(ran.summary()["restored"], 2, "{}", ran.report());
    assert_eq!(world.trash().len(), 1);
    assert!(at(&findings[0]).exists() && at(&findings[2]).exists());
    // Mended by hand, it gives back the rest.
    write(&world, &whole);
    let ran = restore(&world).ok();
    assert_eq!(ran.summary()["restored"], 3, "{}", ran.report());
    assert!(world.trash().is_empty());
}

/// They were "neither in the quarantine nor in their places".
#[test]
fn files_of_a_quarantine_that_a_backup_gave_back_are_known_by_their_bytes() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
        world.orphan("A/z.epub", b"last"),
    ];
    let time = look(&at(&findings[0])).mtime;
    world.rm(&findings).arg("--apply").ok();
    let (files, aside) = (quarantine(&world), world.work.join("aside"));
    fs::rename(&files, &aside).unwrap();
    copy(&aside, &files, "-r");
    let ran = purge(&world).arg("--verify-only").ok();
    assert_eq!(ran.summary()["verified"], 3, "{}", ran.report());
    // One is another file by now, which is told, and stays.
    fs::write(files.join("A/z.epub"), b"LAST").unwrap();
    let ran = restore(&world).code(1);
    assert_eq!(ran.summary()["restored"], 2, "{}", ran.report());
    assert!(
        ran.stderr().contains("another file of its name"),
        "{}",
        ran.report()
    );
    assert!(!ran.stderr().contains("neither"), "{}", ran.report());
    assert_eq!(fs::read(at(&findings[0])).unwrap(), b"copy");
    assert_eq!(look(&at(&findings[0])).mtime, time);
    assert_eq!(fs::read(files.join("A/z.epub")).unwrap(), b"LAST");
    // A copy of it in its place is it.
    copy(&aside.join("A/z.epub"), &at(&findings[2]), "-n");
    let ran = restore(&world).ok();
    assert_eq!(only(&ran)["outcome"], "restored", "{}", ran.report());
    assert_eq!(fs::read(at(&findings[2])).unwrap(), b"last");
}

#[test]
fn a_file_in_the_quarantine_that_was_only_touched_is_purged_and_restored() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
    ];
    let time = look(&at(&findings[1])).mtime;
    world.rm(&findings).arg("--apply").ok();
    let touch = |name: &str| {
        let file = fs::File::options()
            .write(true)
            .open(quarantine(&world).join(name));
        let then =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.unwrap().set_modified(then).unwrap();
    };
    touch("A/x.epub");
    touch("A/y.epub");
    fs::remove_file(world.books("Stored/A-y.epub")).unwrap();
    let ran = purge(&world).ok();
    assert_eq!(ran.summary()["purged"], 1, "{}", ran.report());
    let ran = restore(&world).ok();
    assert_eq!(ran.summary()["restored"], 1, "{}", ran.report());
    assert_eq!(look(&at(&findings[1])).mtime, time);
}

/// One file under two names is one whose move was cut short; nobody's last name goes.
#[test]
fn a_move_killed_between_link_and_unlink_is_settled() {
    let world = World::new();
    let findings = many(&world, 2);
    let both = |step: &str| {
        // As if it never had been moved all the way.
        let mut lines = lines(&world);
        let cut = lines
            .iter()
            .position(|line| line.contains("\"removing\",\"seq\":2"));
        lines.truncate(cut.unwrap() + 1);
        if step != "removing" {
            let line = "{\"type\":\"journal_move\",\"step\":\"STEP\",\"seq\":2,\"at\":\"2026-01-01T00:00:00Z\"}\n";
            lines.push(line.replace("STEP", step));
        }
        write(&world, &lines);
        let relative = at(&findings[1])
            .strip_prefix(world.lib(""))
            .unwrap()
            .to_path_buf();
        fs::hard_link(quarantine(&world).join(relative), at(&findings[1])).unwrap();
    };
    world.rm(&findings).arg("--apply").ok();
    let journal = world.journals()[0].clone();
    for step in ["removing", "returning"] {
        both(step);
        let ran = purge(&world).arg("--verify-only").ok();
        let kept: Vec<Value> = ran.of_type("removal");
        assert!(
            kept.iter()
                .any(|end| end["why"].as_str().unwrap().contains("as well")),
            "{}",
            ran.report()
        );
        let on = world
            .rm(&findings)
            .args(["--apply", "--journal"])
            .arg(&journal)
            .ok();
        assert_eq!(on.summary()["removed"], 2, "{step}: {}", on.report());
        assert!(!on.stderr().contains("neither"), "{}", on.report());
        assert!(!at(&findings[1]).exists());
        assert_eq!(world.trash().len(), 2, "{step}");
        // Announced a second time, it is the third file of the journal.
        fs::write(
            &journal,
            lines(&world).concat().replace("\"seq\":3", "\"seq\":2"),
        )
        .unwrap();
    }
    both("restoring");
    let ran = restore(&world).ok();
    assert_eq!(ran.summary()["restored"], 2, "{}", ran.report());
    assert!(world.trash().is_empty());
    assert_eq!(fs::metadata(at(&findings[1])).unwrap().nlink(), 1);
}

#[test]
fn what_a_killed_purge_deleted_is_no_loss() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.rm(&[finding]).arg("--apply").ok();
    purge(&world).ok();
    let mut cut = lines(&world);
    assert!(cut.pop().unwrap().contains("\"purged\""));
    write(&world, &cut);
    let ran = restore(&world).ok();
    assert!(
        only(&ran)["why"]
            .as_str()
            .unwrap()
            .contains("it was purged"),
        "{}",
        ran.report()
    );
    write(&world, &cut);
    let ran = purge(&world).ok();
    assert_eq!(only(&ran)["outcome"], "purged", "{}", ran.report());
    assert_eq!(lines(&world).len(), cut.len() + 1);
    let ran = purge(&world).ok();
    assert!(
        ran.stderr().contains("nothing of this journal is left"),
        "{}",
        ran.report()
    );
}

/// "This run never moved it" was said of a file that the run may have moved before it was killed.
#[test]
fn a_file_that_is_nowhere_after_a_kill_is_told_as_one_that_may_be_lost() {
    for (step, said) in [("removing", "moved away"), ("restoring", "put back")] {
        let world = World::new();
        let finding = world.orphan("A/x.epub", b"copy");
        world.rm(&[finding]).arg("--apply").ok();
        let mut cut = lines(&world);
        let last = cut.iter().position(|line| line.contains("\"removing\""));
        cut.truncate(last.unwrap() + 1);
        if step == "restoring" {
            let line = "{\"type\":\"journal_move\",\"step\":\"restoring\",\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\"}\n";
            cut.push(line.into());
        }
        write(&world, &cut);
        fs::remove_file(quarantine(&world).join("A/x.epub")).unwrap();
        for _ in 0..2 {
            let ran = restore(&world).code(1);
            let end = only(&ran);
            assert_eq!(end["outcome"], "failed", "{}", ran.report());
            let why = end["why"].as_str().unwrap();
            assert!(why.contains(said) && why.contains("neither"), "{why}");
        }
    }
}

#[test]
fn a_file_that_a_later_run_moved_is_no_loss_to_the_run_that_was_killed() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.rm(std::slice::from_ref(&finding)).arg("--apply").ok();
    let first = world.journals()[0].clone();
    // As if it had been killed after it announced the move.
    restore(&world).ok();
    let text = fs::read_to_string(&first).unwrap();
    let cut = text.split_inclusive('\n').take(2).collect::<String>();
    fs::write(&first, cut).unwrap();
    world.rm(&[finding]).arg("--apply").ok();
    let ran = world.work.tool("orphan-restore").arg(&first).ok();
    let why = only(&ran)["why"].as_str().unwrap().to_string();
    assert!(why.contains("another run has it"), "{}", ran.report());
    assert_eq!(world.trash().len(), 1);
}

#[test]
fn a_quarantine_that_was_moved_is_named_and_its_files_restored() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.rm(&[finding]).arg("--apply").ok();
    let run = quarantine(&world).parent().unwrap().to_path_buf();
    let moved = world.work.join("backup/run");
    fs::create_dir(moved.parent().unwrap()).unwrap();
    fs::rename(&run, &moved).unwrap();
    let journal = moved.join("journal.ndjson");
    let restore = || {
        let run = world.work.tool("orphan-restore");
        run.arg(&journal)
    };
    let ran = restore().code(2);
    ran.one_line(&[run.to_str().unwrap(), "--trash DIR"]);
    let purge = world.purger().arg(&journal);
    purge
        .code(2)
        .one_line(&[run.to_str().unwrap(), "--trash DIR"]);
    let purge = world.purger().arg(&journal);
    let ran = purge.args(["--older-than", "0", "--verify-only", "--trash"]);
    let ran = ran.arg(&moved).ok();
    assert_eq!(ran.summary()["verified"], 1, "{}", ran.report());
    let ran = restore().arg("--trash").arg(&moved).ok();
    assert_eq!(ran.summary()["restored"], 1, "{}", ran.report());
    assert_eq!(fs::read(world.lib("A/x.epub")).unwrap(), b"copy");
}

/// The environment named another library, and the files came to lie in that one.
#[test]
fn what_the_environment_says_is_not_asked_where_a_journal_tells() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.rm(&[finding]).arg("--apply").ok();
    let other = world.work.join("other");
    copy(&world.lib(""), &other, "-a");
    let ran = restore(&world)
        .env("CALIBRE_LIBRARY", other.to_str().unwrap())
        .env("CALIBRE_OVERRIDE_DATABASE_PATH", "/nowhere/metadata.db")
        .ok();
    assert_eq!(ran.summary()["restored"], 1, "{}", ran.report());
    assert!(world.lib("A/x.epub").exists() && !other.join("A/x.epub").exists());
}

#[test]
fn a_copy_of_the_library_is_not_given_what_was_taken_from_the_first() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.rm(&[finding]).arg("--apply").ok();
    let other = world.work.join("other");
    copy(&world.lib(""), &other, "-a");
    let tool = |tool: &str, library: &Path| {
        let run = match tool {
            "orphan-purge" => world.purger().args(["--older-than", "0"]),
            tool => world.work.tool(tool),
        };
        let run = run.arg("--library").arg(library);
        run.arg(&world.journals()[0])
    };
    for what in ["orphan-restore", "orphan-purge"] {
        let ran = tool(what, &other).code(3);
        assert!(ran.stderr().contains("is a copy of it"), "{}", ran.report());
    }
    // Another library in its place.
    let uuid = |path: &Path, uuid: &str| {
        let db = Connection::open(path.join("metadata.db")).unwrap();
        db.execute("update library_id set uuid = ?1", [uuid])
            .unwrap();
    };
    uuid(&world.lib(""), "another");
    for what in ["orphan-restore", "orphan-purge"] {
        let ran = tool(what, &world.lib("")).code(3);
        assert!(ran.stderr().contains("another library"), "{}", ran.report());
    }
    assert_eq!(world.trash().len(), 1);
    // Moved, with nothing left in the old place, it is the library still.
    fs::remove_dir_all(world.lib("")).unwrap();
    restore(&world).code(2);
    let ran = tool("orphan-restore", &other).ok();
    assert!(ran.stderr().contains("taken for moved"), "{}", ran.report());
    assert_eq!(fs::read(other.join("A/x.epub")).unwrap(), b"copy");
}

#[test]
fn a_database_that_is_not_in_the_folder_is_found_by_the_journal() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let database = world.work.join("metadata.db");
    fs::rename(world.lib("metadata.db"), &database).unwrap();
    let run = world
        .rm(&[finding])
        .arg("--apply")
        .arg("--metadata-db")
        .arg(&database);
    run.ok();
    assert_eq!(world.trash().len(), 1);
    let ran = restore(&world).ok();
    assert_eq!(ran.summary()["restored"], 1, "{}", ran.report());
}

/// They ended with 0 and without a word.
#[test]
fn a_restore_or_purge_that_leaves_files_says_which_and_why() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
    ];
    world.rm(&findings).arg("--apply").ok();
    let journal = world.journals()[0].clone();
    let early = world.purger().arg(&journal).ok();
    let told = "0 purged; 2 kept: removed too short a time ago";
    assert!(early.stderr().contains(told), "{}", early.report());
    fs::remove_file(world.books("Stored/A-y.epub")).unwrap();
    let ran = purge(&world).ok();
    let told = "1 purged; 1 kept: the server has no copy of its own";
    assert!(ran.stderr().contains(told), "{}", ran.report());
    let ran = restore(&world).ok();
    let told = "1 put back; 1 kept: it was purged and is gone";
    assert!(ran.stderr().contains(told), "{}", ran.report());
    let ran = restore(&world).ok();
    let told = "0 put back; 1 kept: it was purged and is gone; 1 are in their places since before";
    assert!(ran.stderr().contains(told), "{}", ran.report());
}

#[test]
fn a_journal_in_a_folder_that_is_not_there_is_refused() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    for apply in [&["--apply"][..], &[]] {
        let run = world.rm(std::slice::from_ref(&finding)).args(apply);
        let ran = run.args(["--journal", "disk/removals.ndjson"]).code(3);
        assert!(
            ran.stderr().contains("is its disk mounted?"),
            "{}",
            ran.report()
        );
        assert!(!world.work.join("disk").exists() && !world.work.join("library.orphans").exists());
    }
    assert!(world.lib("A/x.epub").exists());
}
