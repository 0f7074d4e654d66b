//! What Calibre reaches by another path, and what may be the file of a book that lacks its own, stays,
//! whatever a finding says.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::world::{World, kept, only};

/// A book on record, whose file the server has, too; its path.
fn book(world: &World) -> String {
    world.stored("Stored/book.epub", b"book");
    world.book("Book", "EPUB", b"book")
}

#[test]
fn a_file_that_calibre_reaches_by_another_path_stays() {
    type Case = (&'static str, fn(&World, &str) -> String);
    let cases: [Case; 5] = [
        ("an author's folder that is a link", |world, path| {
            fs::rename(world.lib("Unknown"), world.lib("Known")).unwrap();
            symlink("Known", world.lib("Unknown")).unwrap();
            path.replace("Unknown/", "Known/")
        }),
        ("a file that is a link to another one", |world, path| {
            fs::create_dir(world.lib("Zed")).unwrap();
            fs::rename(world.lib(path), world.lib("Zed/z.epub")).unwrap();
            symlink("../../Zed/z.epub", world.lib(path)).unwrap();
            "Zed/z.epub".into()
        }),
        ("an absolute path on record", |world, path| {
            let folder = world.lib(path).parent().unwrap().display().to_string();
            world.calibre(&format!("update books set path = '{folder}' where id = 2"));
            path.into()
        }),
        ("a path on record that climbs", |world, path| {
            world.calibre("update books set path = 'A/../Unknown/Book (2)' where id = 2");
            path.into()
        }),
        ("a hard link of it", |world, path| {
            fs::create_dir(world.lib("Zed")).unwrap();
            fs::hard_link(world.lib(path), world.lib("Zed/z.epub")).unwrap();
            "Zed/z.epub".into()
        }),
    ];
    for (case, change) in cases {
        let world = World::new();
        let path = change(&world, &book(&world));
        let finding = world.finding(&path, "untracked_on_server");
        let ran = world.rm(&[finding]).arg("--apply").ok();
        println!("{case}: {}", only(&ran)["why"]);
        kept(&world, &path, &ran, "by another path");
    }
}

#[test]
fn a_duplicate_that_another_record_leads_to_stays() {
    let world = World::new();
    let path = book(&world);
    let other = world.book("Other", "EPUB", b"other");
    fs::remove_file(world.lib(&other)).unwrap();
    symlink(world.lib(&path), world.lib(&other)).unwrap();
    let finding = world.finding(&path, "duplicate_of_server");
    let ran = world
        .rm(&[finding])
        .args(["--apply", "--classes", "duplicate_of_server"]);
    kept(&world, &path, &ran.ok(), "by another path");
}

/// Made after the scan, and by another split of the path into folder and name.
#[test]
fn a_duplicate_that_another_book_s_record_names_as_well_stays() {
    let world = World::new();
    let path = book(&world);
    let finding = world.finding(&path, "duplicate_of_server");
    world.calibre(
        "insert into books (id, title, sort, path, uuid) values (77, 'x', 'x', 'Unknown', 'u');
         insert into data (book, format, uncompressed_size, name)
         values (77, 'EPUB', 4, 'Book (2)/Book - Unknown')",
    );
    let ran = world
        .rm(&[finding])
        .args(["--apply", "--classes", "duplicate_of_server"]);
    kept(&world, &path, &ran.ok(), "by another path");
}

/// Calibre follows the link, and takes what lies there for the file that is missing.
#[test]
fn a_file_in_a_folder_that_a_missing_book_s_folder_links_to_stays() {
    let world = World::new();
    let path = book(&world);
    fs::rename(world.lib("Unknown/Book (2)"), world.lib("Zed")).unwrap();
    fs::rename(
        world.lib("Zed/Book - Unknown.epub"),
        world.lib("Zed/x.epub"),
    )
    .unwrap();
    symlink("../Zed", world.lib(&path).parent().unwrap()).unwrap();
    let finding = world.finding("Zed/x.epub", "untracked_on_server");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    kept(&world, "Zed/x.epub", &ran, "this may be it");
}

#[test]
fn a_displaced_file_of_a_missing_book_stays() {
    for to in [
        "Unknown/Book, second edition (2)/other.epub",
        "Unknown\u{f029}/Book (2)\u{f028}/x.epub",
        "A/Book - Unknown.epub",
        "A/book - unknown.EPUB",
    ] {
        let world = World::new();
        let path = book(&world);
        fs::create_dir_all(world.lib(to).parent().unwrap()).unwrap();
        fs::rename(world.lib(&path), world.lib(to)).unwrap();
        let finding = world.finding(to, "untracked_on_server");
        let ran = world.rm(&[finding]).arg("--apply").ok();
        kept(&world, to, &ran, "this may be it");
    }
}

#[test]
fn a_file_that_may_be_that_of_a_record_which_cannot_be_placed_stays() {
    let world = World::new();
    let path = book(&world);
    symlink("ring", world.lib("ring")).unwrap();
    world.calibre("update books set path = 'ring/Book (2)' where id = 2");
    fs::rename(world.lib(&path), world.lib("Book - Unknown.epub")).unwrap();
    let finding = world.finding("Book - Unknown.epub", "untracked_on_server");
    let ran = world.rm(&[finding]).arg("--apply").ok();
    kept(
        &world,
        "Book - Unknown.epub",
        &ran,
        "not known: whether book 2 has its epub",
    );
}

#[test]
fn a_duplicate_that_may_be_the_file_of_a_record_which_cannot_be_placed_stays() {
    let world = World::new();
    let path = book(&world);
    let finding = world.finding(&path, "duplicate_of_server");
    symlink("ring", world.lib("ring")).unwrap();
    world.calibre(
        "insert into books (id, title, sort, path, uuid) values (77, 'x', 'x', 'ring/B', 'u');
         insert into data (book, format, uncompressed_size, name) values (77, 'EPUB', 4, 'Book - Unknown')",
    );
    let ran = world
        .rm(&[finding])
        .args(["--apply", "--classes", "duplicate_of_server"]);
    kept(
        &world,
        &path,
        &ran.ok(),
        "not known: whether book 77 has its epub",
    );
}

#[test]
fn a_file_of_an_inner_library_without_its_database_stays() {
    let world = World::new();
    let deep = world.orphan("Old/Ann/Title (9)/x.epub", b"deep");
    let marked = world.orphan("Older/A/y.epub", b"marked");
    world.stray("Older/metadata_db_prefs_backup.json", b"{}");
    let ran = world.rm(&[deep]).arg("--apply").ok();
    kept(
        &world,
        "Old/Ann/Title (9)/x.epub",
        &ran,
        "lost its metadata.db",
    );
    let ran = world.rm(&[marked]).arg("--apply").ok();
    kept(&world, "Older/A/y.epub", &ran, "another library");
}

#[test]
fn a_duplicate_beside_another_file_of_its_extension_stays() {
    for rival in ["new.epub", "new.EPUB", "new.kepub.epub", ".new.epub"] {
        let world = World::new();
        let path = book(&world);
        let finding = world.finding(&path, "duplicate_of_server");
        world.stray(&format!("Unknown/Book (2)/{rival}"), b"another edition");
        let ran = world
            .rm(&[finding])
            .args(["--apply", "--classes", "duplicate_of_server"]);
        kept(&world, &path, &ran.ok(), "Calibre would take that for it");
    }
}

#[test]
fn a_restore_withdraws_the_commands_that_would_remove_what_came_back() {
    let world = World::new();
    let path = book(&world);
    let other = world.book("Other", "EPUB", b"other");
    world.stored("Stored/other.epub", b"other");
    let findings = [&path, &other].map(|path| world.finding(path, "duplicate_of_server"));
    world
        .rm(&findings)
        .args(["--apply", "--classes", "duplicate_of_server"])
        .ok();
    let journal = world.journals().pop().unwrap();
    let commands = journal.with_file_name("remove_format.sh");
    assert_eq!(fs::read_to_string(&commands).unwrap().lines().count(), 2);
    let called = || {
        let program = world
            .work
            .write("bin/calibredb", "#!/bin/sh\necho \"$*\"\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let bin = program.parent().unwrap().display().to_string();
        let mut shell = Command::new("sh");
        let paths = format!("{bin}:{}", std::env::var("PATH").unwrap());
        let ran = shell.arg(&commands).env("PATH", paths).output().unwrap();
        String::from_utf8(ran.stdout).unwrap().lines().count()
    };
    assert_eq!(called(), 2);
    // The folder of one cannot be made again, for a file is in its place; a copy of the commands is kept.
    let folder = world.lib(&other).parent().unwrap().to_path_buf();
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let copy = fs::read(&commands).unwrap();
    world.work.tool("orphan-restore").arg(&journal).code(1);
    assert!(Path::new(&world.lib(&path)).exists());
    let left = fs::read_to_string(&commands).unwrap();
    assert!(
        left.contains(" 3 EPUB") && !left.contains(" 2 EPUB"),
        "{left}"
    );
    // Nor does a command do harm that was copied before.
    fs::write(&commands, copy).unwrap();
    assert_eq!(called(), 0);
    fs::remove_file(&folder).unwrap();
    world.work.tool("orphan-restore").arg(&journal).ok();
    assert!(!commands.exists() && world.lib(&other).exists());
}
