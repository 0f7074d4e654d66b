use std::{collections::BTreeMap, thread};

use harness::{run::Ran, wait_for};
use serde_json::Value;

use crate::{stepper::DEADLINE, world::World};

fn world() -> World {
    let world = World::new();
    world.sql(
        "insert into ebook (id, version_id, created, modified, title, language_id, base_dir)
         select i, 1, t, t, 'Empty ' || i, 1, 'E' from generate_series(10, 15) i,
         lateral (select (now() at time zone 'UTC') - interval '14 hours' as t) times;
         update ebook set modified = now() at time zone 'UTC' where id in (12, 14, 15);
         insert into author (id, version_id, created, modified, last_name) values (7, 1, now(), now(), 'A');
         insert into ebook_authors values (10, 7);
         insert into ebook_genres values (10, 1);
         insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
         values (1, now(), now(), 11, 'x', 8, 1, repeat('1', 40))",
    );
    world
}

fn ids(world: &World) -> Vec<String> {
    let rows = world.query("select id from ebook where id >= 10 order by id");
    rows.into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect()
}

/// The removal records, by id.
fn outcomes(ran: &Ran, id: &str) -> BTreeMap<i64, (String, String)> {
    let text = |removal: &Value, name: &str| removal[name].as_str().unwrap().to_string();
    let removals = ran.of_type("removal");
    let outcomes = removals.iter().map(|removal| {
        let outcome = (text(removal, "outcome"), text(removal, "why"));
        (removal[id].as_i64().unwrap(), outcome)
    });
    outcomes.collect()
}

#[test]
fn ebooks_without_files_go_with_a_backup_of_their_rows() {
    let world = world();
    let prune = || world.work.tool("mbs-prune").env("MBS_DB", world.db());
    let listed = prune().ok();
    assert_eq!(
        listed.summary()["ebook_without_source"],
        2,
        "{}",
        listed.report()
    );
    assert!(listed.of_type("removal").is_empty());
    prune().arg("--apply").code(2);
    assert_eq!(ids(&world).len(), 6);

    let ran = prune().args(["--apply", "--backup", "rows.ndjson"]).ok();
    let outcomes = outcomes(&ran, "ebook_id");
    let removed: Vec<&i64> = outcomes.keys().collect();
    assert_eq!(removed, [&10, &13], "{}", ran.report());
    assert!(outcomes.values().all(|(outcome, _)| outcome == "removed"));
    assert!(
        outcomes[&10].1.contains("2 rows of other tables"),
        "{}",
        ran.report()
    );
    assert_eq!(ids(&world), ["11", "12", "14", "15"]);

    let backup = std::fs::read_to_string(world.work.join("rows.ndjson")).unwrap();
    let rows: Vec<Value> = backup
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tables = |table: &str| rows.iter().filter(|row| row["table_name"] == table).count();
    assert_eq!(
        (
            tables("ebook"),
            tables("ebook_authors"),
            tables("ebook_genres")
        ),
        (2, 1, 1)
    );
    // They can be put back.
    for row in rows.iter().filter(|row| row["table_name"] == "ebook") {
        let row = row["row"].as_str().unwrap().replace('\'', "''");
        world.sql(&format!(
            "insert into ebook select * from json_populate_record(null::ebook, '{row}')"
        ));
    }
    assert_eq!(ids(&world).len(), 6);
    // A backup is never written over.
    prune().args(["--apply", "--backup", "rows.ndjson"]).code(3);
    assert_eq!(ids(&world).len(), 6);
}

/// Comes back when the tool waits for a lock.
fn waits_for_a_lock(world: &World) {
    let mut watcher = world.client();
    wait_for("the tool to wait for the lock", DEADLINE, || {
        let sql = "select 1 from pg_stat_activity where application_name = 'mbs-prune'
                   and datname = current_database() and wait_event_type = 'Lock'";
        watcher.query_opt(sql, &[]).unwrap()
    });
}

#[test]
fn a_row_whose_file_comes_back_at_this_very_moment_stays() {
    let world = World::new();
    world.stored("Gone/gone.epub", b"gone");
    let file = world.books("Gone/gone.epub");
    std::fs::remove_file(&file).unwrap();
    world.sql("update source set created = created - interval '1 day', modified = modified - interval '1 day'");
    let mut holding = world.client();
    let hold = "begin; select from source where location = 'Gone/gone.epub' for update";
    holding.batch_execute(hold).unwrap();
    let run = world.armed(world.work.tool("mbs-prune"));
    let run = run.args(["--apply", "--backup", "rows.ndjson"]);
    let run = run.args(["--classes", "source_without_file"]);
    let running = thread::spawn(|| run.ok());
    waits_for_a_lock(&world);
    std::fs::write(&file, b"gone").unwrap();
    holding.batch_execute("commit").unwrap();
    let ran = running.join().unwrap();
    let removal = &ran.of_type("removal")[0];
    assert_eq!(removal["outcome"], "kept", "{}", ran.report());
    assert_eq!(world.query("select id from source").len(), 3);
}

#[test]
fn an_ebook_that_gets_its_file_at_this_very_moment_stays() {
    let world = world();
    let mut adding = world.client();
    adding
        .batch_execute(
            "begin;
             insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
             values (1, now(), now(), 10, 'y', 8, 1, repeat('2', 40))",
        )
        .unwrap();
    let tool = world.work.tool("mbs-prune").env("MBS_DB", world.db());
    let run = tool.args(["--apply", "--backup", "rows.ndjson"]);
    let running = thread::spawn(|| run.ok());
    waits_for_a_lock(&world);
    adding.batch_execute("commit").unwrap();
    let ran = running.join().unwrap();
    let outcomes = outcomes(&ran, "ebook_id");
    assert_eq!(outcomes[&10].0, "kept", "{}", ran.report());
    assert!(
        outcomes[&10].1.contains("has a file now"),
        "{}",
        ran.report()
    );
    assert_eq!(outcomes[&13].0, "removed", "{}", ran.report());
    assert!(ids(&world).contains(&"10".to_string()));
}

/// The rows are on disk before they are deleted, or they are not deleted.
#[test]
fn rows_are_deleted_only_when_their_backup_is_on_disk() {
    let world = world();
    if !world.may_trace() {
        return;
    }
    let trace = world.work.join("trace");
    let traced = |more: &[&str]| {
        let run = world
            .work
            .command("strace")
            .args(["-f", "-y", "-qq", "-s", "300", "-e"]);
        let run = run.args(["trace=write,writev,sendto,sendmsg,fsync,fdatasync", "-o"]);
        let run = run
            .arg(&trace)
            .args(more)
            .arg(harness::run::tool("mbs-prune"));
        let run = run.env("MBS_DB", world.db());
        run.args(["--apply", "--backup", "rows.ndjson"])
    };
    // Where the disk cannot say that it has them, nothing goes.
    let failed = traced(&["-e", "inject=fsync,fdatasync:error=EIO"]).code(255);
    assert!(
        failed.stderr().contains("backup: write"),
        "{}",
        failed.report()
    );
    assert_eq!(ids(&world).len(), 6);
    std::fs::remove_file(world.work.join("rows.ndjson")).unwrap();
    traced(&[]).ok();
    assert!(!ids(&world).contains(&"10".to_string()));
    let text = std::fs::read_to_string(&trace).unwrap();
    let line = |what: &[&str]| {
        let found = |line: &&str| what.iter().all(|part| line.contains(part));
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .position(found)
            .unwrap_or_else(|| panic!("{what:?}\n{text}"))
    };
    let deleted = line(&["DELETE FROM"]);
    let synced = line(&["sync(", "rows.ndjson"]);
    let last_written = text.lines().take(deleted).collect::<Vec<_>>();
    let last_written = last_written
        .iter()
        .rposition(|line| line.contains(" write(") && line.contains("rows.ndjson"));
    assert!(last_written.unwrap() < synced && synced < deleted, "{text}");
}

#[test]
fn rows_without_files_go_only_by_name_and_never_with_a_store_that_is_not_mounted() {
    let world = World::new();
    let old = "update source set created = created - interval '1 day', modified = modified - interval '1 day'";
    world.stored("Gone/gone.epub", b"gone");
    std::fs::remove_file(world.books("Gone/gone.epub")).unwrap();
    world.sql(old);
    let prune = || {
        let run = world.armed(world.work.tool("mbs-prune"));
        run.args(["--apply", "--backup", "rows.ndjson"])
    };
    let sources = || world.query("select location from source").len();
    let all = sources();
    let ran = prune().ok();
    assert_eq!(ran.summary()["source_without_file"], 1, "{}", ran.report());
    assert_eq!(sources(), all);
    std::fs::remove_file(world.work.join("rows.ndjson")).unwrap_or_default();
    let by_name = || prune().args(["--classes", "source_without_file"]);
    let data = world.work.join("data");
    std::fs::rename(data.join("books"), data.join("away")).unwrap();
    std::fs::create_dir(data.join("books")).unwrap();
    by_name().code(3).one_line(&["is it mounted"]);
    std::fs::remove_dir(data.join("books")).unwrap();
    std::fs::rename(data.join("away"), data.join("books")).unwrap();
    assert_eq!(sources(), all);
    let ran = by_name().ok();
    let removals = ran.of_type("removal");
    assert_eq!(removals.len(), 1, "{}", ran.report());
    assert_eq!(removals[0]["location"], "Gone/gone.epub");
    assert_eq!(sources(), all - 1);
    let backup = std::fs::read_to_string(world.work.join("rows.ndjson")).unwrap();
    assert!(backup.contains("Gone/gone.epub"), "{backup}");
}
