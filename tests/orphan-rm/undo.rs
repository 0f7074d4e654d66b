use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use harness::run::Ran;

use crate::{
    stepper::Stepper,
    world::{World, files_below, only},
};

type Seen = BTreeMap<PathBuf, (u32, i64, i64, u64, Vec<u8>)>;

/// Every entry: mode, time of change, inode and bytes.
fn tree(root: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let mut bytes = Vec::new();
        if stat.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if stat.is_file() {
            bytes = fs::read(&path).unwrap();
        }
        seen.insert(
            path,
            (
                stat.mode(),
                stat.mtime(),
                stat.mtime_nsec(),
                stat.ino(),
                bytes,
            ),
        );
    }
    seen
}

fn files() -> usize {
    std::env::var("ORPHAN_RM_UNDO")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200)
}

#[test]
fn undo_gives_back_every_byte_time_and_name() {
    let world = World::new();
    let count = files();
    let mut stored = Vec::new();
    let mut paths = Vec::new();
    for i in 0..count {
        let name = match i % 4 {
            0 => format!("A{}/T ({i})/x{i}.epub", i % 50),
            1 => format!("A{}/T ({i})/a \"b\" 'c'\n{i}.epub", i % 50),
            2 => format!("A{}/caf\u{e9} {i}.epub", i % 50),
            _ => format!("top {i}.epub"),
        };
        let bytes = format!("bytes {i}");
        paths.push(world.stray(&name, bytes.as_bytes()));
        let location = format!("S/{i}.epub");
        let file = world
            .work
            .write(Path::new("data/books").join(&location), &bytes);
        stored.push(format!(
            "(1, now(), now(), 1, '{location}', 8, {}, '{}')",
            bytes.len(),
            crate::world::sha1(&file)
        ));
    }
    world.sql(&format!(
        "insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash) values {}",
        stored.join(",")
    ));
    // Old times, odd modes.
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    for (i, path) in paths.iter().enumerate() {
        let file = fs::File::options()
            .write(true)
            .open(world.lib(path))
            .unwrap();
        file.set_modified(old + Duration::from_secs(i as u64))
            .unwrap();
        fs::set_permissions(
            world.lib(path),
            fs::Permissions::from_mode(0o400 + (i as u32 % 64)),
        )
        .unwrap();
    }
    let marked = Command::new("setfattr")
        .args(["-n", "user.note", "-v", "kept"])
        .arg(world.lib(&paths[0]))
        .status()
        .is_ok_and(|status| status.success());
    for i in 0..50 {
        let folder = world.lib(&format!("A{i}"));
        if let Ok(folder) = fs::File::open(folder) {
            folder.set_modified(old).unwrap();
        }
    }
    let before = tree(&world.lib(""));
    let findings: Vec<Value> = paths
        .iter()
        .map(|path| world.finding(path, "untracked_on_server"))
        .collect();
    let ran = world
        .rm(&findings)
        .args(["--apply", "--confirm"])
        .arg(format!("DELETE {count}"))
        .ok();
    assert_eq!(ran.summary()["removed"], count, "{}", ran.stderr());
    assert_eq!(world.trash().len(), count);

    let journal = &world.journals()[0];
    let ran = world.work.tool("orphan-restore").arg(journal).ok();
    assert_eq!(ran.summary()["restored"], count, "{}", ran.stderr());
    let after = tree(&world.lib(""));
    for (path, was) in &before {
        assert_eq!(after.get(path), Some(was), "{}", path.display());
    }
    assert_eq!(before.len(), after.len());
    if marked {
        let attribute = Command::new("getfattr")
            .args(["-n", "user.note"])
            .arg(world.lib(&paths[0]))
            .output();
        assert!(String::from_utf8_lossy(&attribute.unwrap().stdout).contains("kept"));
    }
    assert!(world.trash().is_empty());
    // A second time there is nothing to do.
    let again = world.work.tool("orphan-restore").arg(journal).ok();
    assert_eq!(again.of_type("removal").len(), 0, "{}", again.report());
}

#[test]
fn undo_replaces_nothing() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
    ];
    world.rm(&findings).arg("--apply").ok();
    world.stray("A/x.epub", b"a new file");
    let restore = || world.work.tool("orphan-restore").arg(&world.journals()[0]);
    let ran = restore().code(1);
    assert!(ran.stderr().contains("not replaced"), "{}", ran.report());
    assert_eq!(fs::read(world.lib("A/x.epub")).unwrap(), b"a new file");
    assert_eq!(fs::read(world.lib("A/y.epub")).unwrap(), b"more");
    assert_eq!(world.trash(), [("A/x.epub".to_string(), b"copy".to_vec())]);
    fs::remove_file(world.lib("A/x.epub")).unwrap();
    restore().ok();
    assert_eq!(fs::read(world.lib("A/x.epub")).unwrap(), b"copy");
}

#[test]
fn undo_makes_a_folder_again_that_is_gone() {
    let world = World::new();
    let finding = world.orphan("A/B (7)/x.epub", b"copy");
    world.rm(&[finding]).arg("--apply").ok();
    fs::remove_dir(world.lib("A/B (7)")).unwrap();
    world
        .work
        .tool("orphan-restore")
        .arg(&world.journals()[0])
        .ok();
    assert_eq!(fs::read(world.lib("A/B (7)/x.epub")).unwrap(), b"copy");
}

#[test]
fn space_is_freed_only_of_what_the_server_still_has() {
    let world = World::new();
    let sole = world.stray("A/sole.epub", b"sole");
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
        world.orphan("A/z.epub", b"last"),
        world.orphan("A/w.epub", b"link"),
        world.finding(&sole, "untracked"),
    ];
    let classes = ["--classes", "untracked_on_server,untracked"];
    world.rm(&findings).arg("--apply").args(classes).ok();
    assert_eq!(world.trash().len(), 5);
    let journal = world.journals()[0].clone();
    let purge = |age: &str| world.purger().arg(&journal).args(["--older-than", age]);
    let early = purge("14d").ok();
    assert_eq!(early.summary()["kept"], 5, "{}", early.report());
    let check = purge("0").arg("--verify-only").ok();
    assert_eq!(check.summary()["verified"], 4, "{}", check.report());
    assert_eq!(world.trash().len(), 5);

    fs::remove_file(world.books("Stored/A-y.epub")).unwrap();
    world.sql("delete from source where location like '%A-z.epub'");
    world.link_only("Late/w.epub", &world.lib("A/w.epub"));
    let ran = purge("0").ok();
    let kept: Vec<(String, String)> = ran
        .of_type("removal")
        .iter()
        .filter(|removal| removal["outcome"] == "kept")
        .map(|removal| {
            let name = removal["path"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap();
            (
                name.to_string(),
                removal["why"].as_str().unwrap().to_string(),
            )
        })
        .collect();
    let why = |name: &str| &kept.iter().find(|(kept, _)| kept == name).unwrap().1;
    assert!(why("y.epub").contains("is not there"), "{}", ran.report());
    assert!(why("z.epub").contains("no row"), "{}", ran.report());
    assert!(why("w.epub").contains("leads here"), "{}", ran.report());
    assert!(
        why("sole.epub").contains("never purged"),
        "{}",
        ran.report()
    );
    assert_eq!(ran.summary()["purged"], 1, "{}", ran.report());
    assert_eq!(world.trash().len(), 4);
    // What is left can be put back.
    let ran = world.work.tool("orphan-restore").arg(&journal).ok();
    assert_eq!(ran.summary()["restored"], 4, "{}", ran.report());
    let names: Vec<String> = files_below(&world.lib("A"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(!names.contains(&"x.epub".to_string()) && names.contains(&"sole.epub".to_string()));
}

/// Proven, announced, and another file by then.
#[test]
fn what_changes_in_the_quarantine_in_the_last_moment_is_not_purged() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    let trash = only(&ran)["trash"].as_str().unwrap().to_string();
    let journal = world.journals()[0].clone();
    let purge = || {
        let purge = world.purger().arg(&journal);
        purge.args(["--older-than", "0"])
    };
    let last = ["age(source.xmin)", "max(id)"];
    let mut stepper = Stepper::new(&world);
    let child = purge().start();
    stepper.after(&last);
    let announced = fs::read_to_string(&journal).unwrap();
    assert!(announced.lines().last().unwrap().contains("\"purging\""));
    fs::write(&trash, b"note").unwrap();
    stepper.go();
    let ran = Ran::of(child);
    let why = only(&ran)["why"].as_str().unwrap().to_string();
    assert!(
        why.contains("changed in the last moment"),
        "{}",
        ran.report()
    );
    assert_eq!(fs::read(&trash).unwrap(), b"note");
    // The announcement was taken back: whatever becomes of the file, it was not purged.
    let last_line = fs::read_to_string(&journal).unwrap();
    assert!(last_line.lines().last().unwrap().contains("\"removed\""));

    // What the server has no more is not purged either, however late it goes.
    fs::write(&trash, b"copy").unwrap();
    let mut stepper = Stepper::new(&world);
    let child = purge().start();
    stepper.after(&last);
    fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
    stepper.go();
    let ran = Ran::of(child);
    let why = only(&ran)["why"].as_str().unwrap().to_string();
    assert!(why.contains("is not there"), "{}", ran.report());
    assert_eq!(fs::read(&trash).unwrap(), b"copy");
}

#[test]
fn what_changed_in_the_quarantine_is_not_purged() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    let trash = only(&ran)["trash"].as_str().unwrap().to_string();
    let time = fs::metadata(&trash).unwrap().modified().unwrap();
    fs::write(&trash, b"note").unwrap();
    fs::File::options()
        .write(true)
        .open(&trash)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let purge = world
        .purger()
        .arg(&world.journals()[0])
        .args(["--older-than", "0"]);
    let ran = purge.ok();
    assert!(
        only(&ran)["why"]
            .as_str()
            .unwrap()
            .contains("bytes have changed"),
        "{}",
        ran.report()
    );
    assert_eq!(fs::read(trash).unwrap(), b"note");
}
