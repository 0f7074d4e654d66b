//! The library proves nothing of itself, nor does a place that only a container sees.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::world::{World, kept, only, stream};

/// A candidate whose bytes the server has on record at `Proof/copy.epub`, and in no stored file yet.
fn candidate(world: &World) -> Value {
    world.stray("A/x.epub", b"copy");
    world.row("Proof/copy.epub", b"copy");
    fs::create_dir(world.books("Proof")).unwrap();
    world.finding("A/x.epub", "untracked_on_server")
}

fn proof(world: &World) -> PathBuf {
    world.books("Proof/copy.epub")
}

/// In place of the folder of the proof, a link to another one.
fn proof_folder(world: &World, to: &Path) {
    fs::remove_dir(world.books("Proof")).unwrap();
    symlink(to, world.books("Proof")).unwrap();
}

#[test]
fn a_stored_file_that_is_the_library_s_proves_nothing() {
    type Case = (&'static str, &'static str, fn(&World));
    let cases: [Case; 6] = [
        (
            "a link to a tracked file",
            "in the library itself",
            |world| {
                let other = world.book("Other", "EPUB", b"copy");
                symlink(world.lib(&other), proof(world)).unwrap();
            },
        ),
        (
            "a link to an untracked file",
            "in the library itself",
            |world| {
                world.stray("B/copy.epub", b"copy");
                symlink("../../../library/B/copy.epub", proof(world)).unwrap();
            },
        ),
        (
            "in a folder that is a link",
            "in the library itself",
            |world| {
                world.stray("B/copy.epub", b"copy");
                proof_folder(world, &world.lib("B"));
            },
        ),
        ("a link to a link", "in the library itself", |world| {
            world.stray("B/copy.epub", b"copy");
            symlink(world.lib("B/copy.epub"), world.work.join("alias.epub")).unwrap();
            symlink(world.work.join("alias.epub"), proof(world)).unwrap();
        }),
        ("a hard link to another file", "hard links", |world| {
            world.stray("B/copy.epub", b"copy");
            fs::hard_link(world.lib("B/copy.epub"), proof(world)).unwrap();
        }),
        ("a link into the quarantine", "in a quarantine", |world| {
            let aside = world
                .work
                .write("library.orphans/run/files/B/copy.epub", b"copy");
            symlink(aside, proof(world)).unwrap();
        }),
    ];
    for (case, why, make) in cases {
        let world = World::new();
        let finding = candidate(&world);
        make(&world);
        let ran = world.rm(&[finding]).arg("--apply").ok();
        println!("{case}: {}", only(&ran)["why"]);
        let removal = only(&ran);
        assert_eq!(removal["outcome"], "kept", "{case}\n{}", ran.report());
        let said = removal["why"].as_str().unwrap();
        assert!(said.contains(why), "{case}\n{}", ran.report());
        assert!(world.lib("A/x.epub").exists());
    }
}

#[test]
fn a_stored_file_in_the_quarantine_of_another_run_proves_nothing() {
    let world = World::new();
    let finding = candidate(&world);
    let aside = world.work.write("elsewhere/run/files/B/copy.epub", b"copy");
    world.work.write("elsewhere/run/journal.ndjson", b"");
    symlink(aside, proof(&world)).unwrap();
    let ran = world.rm(&[finding]).arg("--apply").ok();
    kept(&world, "A/x.epub", &ran, "in a quarantine");
}

#[test]
fn a_stored_file_behind_a_bind_mount_of_the_library_proves_nothing() {
    let world = World::new();
    let finding = candidate(&world);
    world.stray("B/copy.epub", b"copy");
    let mount = "mount --bind library/B data/books/Proof";
    let tried = world
        .work
        .command("unshare")
        .args(["-m", "bash", "-c", mount]);
    if !tried.run().status.success() {
        // Not every container may mount; the table of mounts has a test of its own.
        return;
    }
    let tool = harness::run::tool("orphan-rm");
    let script = format!("{mount} && exec {} \"$@\"", tool.display());
    let run = world
        .work
        .command("unshare")
        .args(["-m", "bash", "-c", &script, "-"]);
    let run = world.dressed(run).stdin(stream(&[finding]));
    let ran = run.args(["--apply", "--max-percent", "100"]).ok();
    kept(&world, "A/x.epub", &ran, "by another mount");
}

#[test]
fn a_stored_file_in_whose_place_the_server_sees_the_library_proves_nothing() {
    let world = World::new();
    let finding = candidate(&world);
    // What was there before the library was mounted over it in the container.
    fs::write(proof(&world), b"copy").unwrap();
    let (library, data) = (world.work.join("library"), world.work.join("data"));
    let (library, data) = (library.display(), data.display());
    for maps in [
        vec![
            format!("{data}=/data"),
            format!("{library}=/data/books/Proof"),
        ],
        vec![format!("{library}={data}/books/Proof")],
    ] {
        let maps = maps.iter().flat_map(|map| ["--path-map", map]);
        let ran = world.rm(std::slice::from_ref(&finding)).args(maps).ok();
        kept(&world, "A/x.epub", &ran, "the server sees");
    }
    let ran = world.rm(&[finding]).ok();
    assert_eq!(only(&ran)["outcome"], "would_remove", "{}", ran.report());
}

#[test]
fn an_old_copy_at_a_place_that_only_the_container_sees_is_not_the_server_s_own() {
    type Case = (&'static str, fn(&World));
    let cases: [Case; 3] = [
        ("an absolute link", |world| {
            symlink(world.work.join("disk/copy.epub"), proof(world)).unwrap();
        }),
        ("a link that climbs", |world| {
            symlink("../../../disk/copy.epub", proof(world)).unwrap();
        }),
        ("a folder that is a link", |world| {
            proof_folder(world, &world.work.join("disk"));
        }),
    ];
    for (case, make) in cases {
        let world = World::new();
        let finding = candidate(&world);
        world.work.write("disk/copy.epub", b"copy");
        make(&world);
        let ran = world.rm(std::slice::from_ref(&finding)).arg("--apply").ok();
        println!("{case}: {}", only(&ran)["why"]);
        kept(
            &world,
            "A/x.epub",
            &ran,
            "outside of store, library and path maps",
        );
        // It is the server's own where the user says that the server sees that folder, by its very name.
        let disk = world.work.join("disk").display().to_string();
        let data = world.work.join("data").display().to_string();
        let maps = [format!("{disk}={disk}"), format!("{data}={data}")];
        let maps = maps.iter().flat_map(|map| ["--path-map", map]);
        let ran = world.rm(&[finding]).args(maps).ok();
        assert_eq!(
            only(&ran)["outcome"],
            "would_remove",
            "{case}\n{}",
            ran.report()
        );
    }
}
