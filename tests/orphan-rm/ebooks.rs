use std::thread;

use harness::wait_for;
use serde_json::{Value, json};

use crate::{stepper::DEADLINE, world::World};

fn finding(id: i64) -> Value {
    json!({"type": "server_finding", "class": "ebook_without_source", "why": "it has none", "ebook_id": id})
}

fn world() -> World {
    let world = World::new();
    world.sql(
        "insert into ebook (id, version_id, created, modified, title, language_id, base_dir)
         select i, 1, now() - interval '2 hours', now(), 'Empty ' || i, 1, 'E' from generate_series(10, 15) i;
         update ebook set created = now() + interval '0' where id = 12;
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

#[test]
fn ebooks_without_files_go_with_a_backup_of_their_rows() {
    let world = world();
    let stream: String = [10, 11, 12, 13, 99]
        .iter()
        .map(|&id| format!("{}\n", finding(id)))
        .collect();
    let rm = || {
        let tool = world.work.tool("orphan-rm").env("MBS_DB", world.db());
        tool.arg("--server-ebooks").stdin(stream.clone())
    };
    let dry = rm().ok();
    assert_eq!(dry.summary()["would_remove"], 2, "{}", dry.report());
    rm().arg("--apply").code(2);
    assert_eq!(ids(&world).len(), 6);

    let ran = rm().args(["--apply", "--backup", "rows.ndjson"]).ok();
    let why: Vec<(i64, String, String)> = ran
        .of_type("removal")
        .iter()
        .map(|removal| {
            let text = |name: &str| removal[name].as_str().unwrap().to_string();
            (
                removal["ebook_id"].as_i64().unwrap(),
                text("outcome"),
                text("why"),
            )
        })
        .collect();
    let outcome = |id: i64| why.iter().find(|(of, ..)| *of == id).unwrap();
    assert_eq!(outcome(10).1, "removed", "{}", ran.report());
    assert_eq!(outcome(13).1, "removed");
    assert!(outcome(11).2.contains("has a file"), "{}", ran.report());
    assert!(outcome(12).2.contains("less than"), "{}", ran.report());
    assert!(outcome(99).2.contains("no such ebook"), "{}", ran.report());
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
    rm().args(["--apply", "--backup", "rows.ndjson"]).code(3);
    assert_eq!(ids(&world).len(), 6);
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
    let tool = world.work.tool("orphan-rm").env("MBS_DB", world.db());
    let run = tool.args(["--server-ebooks", "--apply", "--backup", "rows.ndjson"]);
    let run = run.stdin(format!("{}\n", finding(10)));
    let running = thread::spawn(|| run.ok());
    let mut watcher = world.client();
    wait_for("the tool to wait for the lock", DEADLINE, || {
        let sql = "select 1 from pg_stat_activity where application_name = 'orphan-rm'
                   and datname = current_database() and wait_event_type = 'Lock'";
        watcher.query_opt(sql, &[]).unwrap()
    });
    adding.batch_execute("commit").unwrap();
    let ran = running.join().unwrap();
    let removal = &ran.of_type("removal")[0];
    assert_eq!(removal["outcome"], "kept", "{}", ran.report());
    assert!(
        removal["why"].as_str().unwrap().contains("has a file now"),
        "{}",
        ran.report()
    );
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
            .arg(harness::run::tool("orphan-rm"));
        let run = run.env("MBS_DB", world.db());
        let run = run.args(["--server-ebooks", "--apply", "--backup", "rows.ndjson"]);
        run.stdin(format!("{}\n", finding(10)))
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
