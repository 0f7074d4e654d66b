//! With the real Calibre: what it says of a library before and after, and that it is noticed.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use harness::{run::Ran, wait_for};
use library::calibre::{self, calibredb};
use serde_json::Value;

use crate::{
    stepper::DEADLINE,
    world::{World, only},
};

/// A world whose library was made by Calibre, its files tracked by Calibre.
fn world() -> World {
    let world = World::empty();
    fs::remove_dir_all(world.lib("")).unwrap();
    calibre::library(&world.lib("")).unwrap();
    world
}

/// The formats that Calibre's check misses, as paths relative to the library.
fn missing(world: &World) -> BTreeSet<String> {
    let csv = calibredb(&world.lib(""), ["check_library", "--csv"]).unwrap();
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv.as_bytes());
    let rows = rows.records().map(|row| row.unwrap());
    rows.filter(|row| row.len() == 3 && &row[0] == "Missing book formats")
        .map(|row| row[2].to_string())
        .collect()
}

/// Books, and the formats in all that Calibre shows: those on record whose file is there.
fn list(world: &World) -> (usize, usize) {
    let list = ["list", "--for-machine", "-f", "title,formats"];
    let books: Vec<Value> =
        serde_json::from_str(&calibredb(&world.lib(""), list).unwrap()).unwrap();
    let formats = |book: &Value| book["formats"].as_array().map_or(0, Vec::len);
    (books.len(), books.iter().map(formats).sum())
}

#[test]
fn calibre_agrees_with_what_is_said_of_duplicates_that_it_has_on_record() {
    let world = world();
    let books = world.work.tool("calibre-list").arg("library").ok();
    let books = books.of_type("book_file");
    // The server has one of the formats of the first book, and the only one of another.
    let chosen: Vec<&Value> = books
        .iter()
        .filter(|book| {
            let (id, format) = (book["book_id"].as_i64(), book["format"].as_str());
            matches!(
                (id, format),
                (Some(1), Some("mobi")) | (Some(3), Some("epub"))
            )
        })
        .collect();
    assert_eq!(chosen.len(), 2, "{books:?}");
    let mut expected = BTreeSet::new();
    for (n, book) in chosen.iter().enumerate() {
        let path = book["path"].as_str().unwrap();
        world.stored(&format!("S/{n}"), &fs::read(path).unwrap());
        let library = world.lib("");
        let below = path.strip_prefix(library.to_str().unwrap()).unwrap();
        expected.insert(below.trim_start_matches('/').to_string());
    }
    world
        .work
        .shell(
            "calibre-list library | hash-files >tracked
             mbs-hashes >known
             orphan-scan --tracked tracked --known known --store data library >findings",
        )
        .env("MBS_DB", world.db())
        .ok();
    let (books_before, formats_before) = list(&world);

    let findings = fs::read(world.work.join("findings")).unwrap();
    let run = world.base().stdin(findings);
    let ran = run
        .args(["--apply", "--classes", "duplicate_of_server"])
        .ok();
    assert_eq!(ran.summary()["removed"], 2, "{}", ran.report());
    let said = ran.stderr();
    assert!(said.contains("will report missing formats"), "{said}");
    // Calibre says what was said that it would, and no more.
    assert_eq!(missing(&world), expected);
    assert_eq!(list(&world), (books_before, formats_before - 2));

    // Its own commands, as they were shown and written down, tidy that up.
    let script = world.journals()[0].with_file_name("remove_format.sh");
    let commands = fs::read_to_string(&script).unwrap();
    for command in commands.lines() {
        assert!(said.contains(command), "{command}\n{said}");
    }
    let tidied = calibre::program("sh").unwrap().arg(&script).output();
    let tidied = tidied.unwrap();
    assert!(tidied.status.success(), "{tidied:?}");
    assert_eq!(missing(&world), BTreeSet::new());

    // That they were forgotten is no reason against a purge, nor against an undo.
    let journal = &world.journals()[0];
    let purge = world.purger().arg(journal);
    let ran = purge.args(["--older-than", "0", "--verify-only"]).ok();
    assert_eq!(ran.summary()["verified"], 2, "{}", ran.report());
    let restore = world.work.tool("orphan-restore").arg(journal);
    assert_eq!(restore.ok().summary()["restored"], 2);
    for path in expected {
        assert!(world.lib(&path).exists(), "{path}");
    }
}

/// A program of Calibre's, ended with the test.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A library that Calibre's own code holds open.
fn held(world: &World) -> Holder {
    const HOLD: &str = "
import os, sys
from calibre.db.legacy import LibraryDatabase
db = LibraryDatabase(os.environ['HELD'])
print(len(db.new_api.all_book_ids()), flush=True)
sys.stdin.read()
";
    let script = world.work.write("hold.py", HOLD);
    let child = calibre::program("calibre-debug")
        .unwrap()
        .arg(script)
        .env("HELD", world.lib(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut holder = Holder(child.unwrap());
    let mut line = String::new();
    let stdout = holder.0.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_ne!(line.trim(), "", "Calibre has not opened the library");
    holder
}

/// Refused while it is there; waited for, and done when it has ended.
fn noticed(world: &World, holder: Holder, by: &str) {
    let finding = [world.orphan("A/x.epub", b"copy")];
    let ran = world.rm(&finding).arg("--apply").code(3);
    assert!(ran.stderr().contains(by), "{}", ran.report());
    assert!(world.lib("A/x.epub").exists());
    let run = world.rm(&finding).args(["--apply", "--wait-for-calibre"]);
    let mut waiting = run.env("STALL_PROGRESS_FD", "2").start();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let told = stderr.find(|line| line.as_ref().unwrap().contains("wait: "));
    assert!(told.unwrap().unwrap().contains(by));
    // A watchdog is told that this is on purpose.
    let told = stderr.find(|line| line.as_ref().unwrap().starts_with("waiting "));
    assert!(told.unwrap().unwrap().contains(by));
    assert!(world.lib("A/x.epub").exists() && world.trash().is_empty());
    drop(holder);
    // Read on, so that it never waits for us.
    let rest = std::thread::spawn(move || stderr.map(Result::unwrap).collect::<Vec<_>>());
    let ran = Ran::of(waiting);
    let rest = rest.join().unwrap();
    assert_eq!(
        only(&ran)["outcome"],
        "removed",
        "{}\n{rest:?}",
        ran.report()
    );
}

#[test]
fn a_calibre_that_has_the_library_open_is_noticed_and_waited_for() {
    let world = World::new();
    let holder = held(&world);
    noticed(&world, holder, "has metadata.db open");
}

#[test]
fn a_calibre_server_that_was_not_yet_asked_for_its_library_is_noticed() {
    let world = World::new();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let mut server: Command = calibre::program("calibre-server").unwrap();
    server.args(["--port", &port.to_string()]);
    // Relative to its own folder.
    server.arg("library").current_dir(world.work.path());
    let log = fs::File::create(world.work.join("server.log")).unwrap();
    server.stdout(log.try_clone().unwrap()).stderr(log);
    let server = Holder(server.spawn().unwrap());
    wait_for("calibre-server", DEADLINE, || {
        let said = fs::read_to_string(world.work.join("server.log")).unwrap();
        said.contains("listening").then_some(())
    });
    noticed(&world, server, "was started with it");
}
