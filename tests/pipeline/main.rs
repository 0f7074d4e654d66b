//! The tools together, as people run them: pipes, xargs, make.

#![allow(clippy::unwrap_used)]

mod findings;
mod scarce;
mod signals;
mod streams;
mod waits;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use harness::{
    Run, Workdir,
    run::{Ran, tools},
};
use library::demo;
use sandbox::{Sandbox, Settings};
use serde_json::Value;

/// A sample library in a folder whose name has a blank, as Calibre's own default has.
fn sample() -> Workdir {
    let dir = Workdir::new();
    demo::make(&dir.join("Calibre Library")).unwrap();
    dir
}

fn with_server(run: Run, server: &Sandbox) -> Run {
    run.env("MBS_API", server.api())
        .env("MBS_WS", server.ws())
        .env("MBS_DB", server.db_url())
        .env("MBS_USER", "admin")
        .env("MBS_PASSWORD_FILE", server.password_file("admin"))
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn number(server: &Sandbox, sql: &str) -> usize {
    server.query(sql)[0][0].as_deref().unwrap().parse().unwrap()
}

/// Every file with its bytes' digest and its times; what a migration must not change.
fn tree(dir: &Workdir) -> String {
    let script =
        "find . -printf '%p %y %s %T@ %C@ %m\\n' | sort; find . -type f -exec sha1sum {} + | sort";
    dir.shell(&format!("cd 'Calibre Library' && {{ {script}; }}"))
        .ok()
        .stdout()
}

const CHAIN: &str =
    "calibre-list 'Calibre Library' | hash-files | mbs-upload --default-language en";

/// The exit code 1 of `hash-files` or `mbs-upload` means that some items failed, which is fine here.
fn chain(dir: &Workdir, server: &Sandbox) -> Ran {
    let ran = with_server(dir.shell(CHAIN), server).run();
    assert!(
        ran.status.code().is_some_and(|code| code <= 1),
        "{}",
        ran.report()
    );
    ran
}

#[test]
fn every_file_of_the_library_has_one_outcome_and_is_on_the_server_once() {
    let dir = sample();
    let before = tree(&dir);
    let server = Sandbox::start(Settings::default());
    let tracked = dir
        .shell("calibre-list 'Calibre Library'")
        .ok()
        .of_type("book_file");
    let ran = chain(&dir, &server);
    assert_eq!(tree(&dir), before, "the library was changed");

    let path = |record: &Value| record["path"].as_str().unwrap().to_string();
    let answered: Vec<String> = ran
        .records()
        .iter()
        .filter(|record| record["type"] == "upload" || record["type"] == "error")
        .map(path)
        .collect();
    assert_eq!(answered.len(), tracked.len());
    assert_eq!(
        answered.iter().collect::<BTreeSet<_>>(),
        tracked
            .iter()
            .map(path)
            .collect::<Vec<_>>()
            .iter()
            .collect()
    );

    let uploads = ran.of_type("upload");
    let with = |outcome| uploads.iter().filter(|u| u["outcome"] == outcome).count();
    assert_eq!(
        number(&server, "SELECT count(*) FROM source"),
        with("uploaded")
    );
    assert_eq!(
        number(&server, "SELECT count(DISTINCT (hash, size)) FROM source"),
        with("uploaded")
    );
    assert_eq!(
        number(
            &server,
            "SELECT count(*) FROM ebook WHERE id NOT IN (SELECT ebook_id FROM source)"
        ),
        0
    );
    for outcome in ["uploaded", "duplicate", "unsupported"] {
        assert!(
            with(outcome) > 0,
            "the sample shows no {outcome}\n{}",
            ran.report()
        );
    }
    let why = |u: &Value| u["reason"].is_string() || u["by"].is_string();
    assert!(
        uploads.iter().all(|u| u["outcome"] == "uploaded" || why(u)),
        "{}",
        ran.report()
    );
    let summary = ran.summary();
    assert_eq!(summary["complete"], true);
    assert_eq!(summary["uploaded"], with("uploaded"));
    assert_eq!(summary["duplicate"], with("duplicate"));
}

#[test]
fn what_arrives_has_the_library_s_titles_authors_series_and_languages() {
    let dir = sample();
    let server = Sandbox::start(Settings::default());
    let ran = chain(&dir, &server);
    let rows = server.query(
        "SELECT s.hash, e.title, r.title, e.series_index, l.code,
                string_agg(a.last_name || coalesce(', ' || a.first_name, ''), ' & ' ORDER BY a.id)
         FROM source s JOIN ebook e ON e.id = s.ebook_id JOIN language l ON l.id = e.language_id
         LEFT JOIN series r ON r.id = e.series_id
         LEFT JOIN ebook_authors ea ON ea.ebook_id = e.id LEFT JOIN author a ON a.id = ea.author_id
         GROUP BY s.id, e.id, r.id, l.id",
    );
    let there: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (row[0].clone().unwrap(), &row[1..]))
        .collect();
    let mut compared = 0;
    for upload in ran
        .of_type("upload")
        .iter()
        .filter(|u| u["outcome"] == "uploaded")
    {
        let row = there[upload["sha1"].as_str().unwrap()];
        assert_eq!(row[0].as_deref(), upload["title"].as_str());
        assert_eq!(row[1].as_deref(), upload["series"].as_str());
        let index = upload["series_index"]
            .as_f64()
            .map(|index| (index as i64).to_string());
        assert_eq!(row[2], index, "{upload}");
        let names = |text: &str| text.split(" & ").map(String::from).collect::<BTreeSet<_>>();
        let authors: Vec<&str> = upload["author_sorts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap())
            .collect();
        assert_eq!(
            names(row[4].as_deref().unwrap()),
            names(&authors.join(" & ")),
            "{upload}"
        );
        compared += 1;
    }
    assert!(compared > 20);
}

/// original.md 8.J: "duplicates tried again and again".
#[test]
fn a_second_run_sends_nothing() {
    let dir = sample();
    let server = Sandbox::start(Settings::default());
    chain(&dir, &server);
    let (files, sent) = (
        number(&server, "SELECT count(*) FROM source"),
        server.count("POST", "/api/upload"),
    );
    let again = chain(&dir, &server);
    assert_eq!(server.count("POST", "/api/upload"), sent);
    assert_eq!(number(&server, "SELECT count(*) FROM source"), files);
    assert_eq!(again.summary()["uploaded"], 0);
}

#[test]
fn a_cut_stream_never_says_that_it_is_complete() {
    let dir = sample();
    let cut = dir
        .shell("calibre-list 'Calibre Library' | head -5 | hash-files")
        .ok();
    assert_eq!(cut.summary()["complete"], false);
    assert!(cut.stderr().contains("no summary"), "{}", cut.report());
    let server = Sandbox::start(Settings::default());
    let script = "calibre-list 'Calibre Library' | head -5 | hash-files -q | mbs-upload --dry-run";
    assert_eq!(
        with_server(dir.shell(script), &server).ok().summary()["complete"],
        false
    );
}

#[test]
fn shards_by_xargs_joined_equal_the_whole() {
    let dir = sample();
    let script = "seq 3 | xargs -P 3 -I{} bash -c \
        \"calibre-list --shard {}/3 'Calibre Library' | hash-files -j 1\"";
    let sorted = |ran: &Ran| {
        let mut lines: Vec<String> = ran
            .of_type("file_hash")
            .iter()
            .map(Value::to_string)
            .collect();
        lines.sort();
        lines
    };
    // All three write into one pipe at once: not a line may be torn.
    let shards = dir.shell(script).ok();
    let whole = dir
        .shell("calibre-list 'Calibre Library' | hash-files")
        .ok();
    assert_eq!(sorted(&shards), sorted(&whole));
    let joined = dir.tool("hash-files").stdin(shards.stdout.clone()).ok();
    assert_eq!(joined.summary()["complete"], true);
    let two: Vec<u8> = shards
        .stdout()
        .lines()
        .filter(|line| !line.contains("\"shard\":\"2/3\""))
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect();
    let missing = dir.tool("hash-files").stdin(two).ok();
    assert_eq!(missing.summary()["complete"], false);
}

fn make_migrate(dir: &Workdir, server: &Sandbox) -> Run {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../Makefile");
    let run = dir
        .command("make")
        .args(["--no-print-directory", "-f"])
        .arg(&makefile)
        .args(["migrate", "UPLOAD=--default-language en --quiet"])
        .arg(format!("LIBRARY={}", dir.join("Calibre Library").display()))
        .env(
            "PATH",
            format!("{}:{}", tools().display(), std::env::var("PATH").unwrap()),
        )
        // The tools under test, not those of a release build.
        .env("CARGO_TARGET_DIR", "no-such-folder");
    with_server(run, server)
}

#[test]
fn make_migrate_twice_at_a_time_or_refused_or_with_a_wrong_password_loses_no_outcome() {
    let dir = sample();
    let server = Sandbox::start(Settings::default());
    make_migrate(&dir, &server).ok();
    let outcomes = || std::fs::read_to_string(dir.join("migration/uploads.ndjson")).unwrap();
    let before = outcomes();
    assert!(records(&before).len() > 30);

    let wrong = dir.write("wrong", "not it\n");
    make_migrate(&dir, &server)
        .env("MBS_PASSWORD_FILE", wrong)
        .code(2);
    assert_eq!(outcomes(), before);

    // What the first of two holds while it uploads, and then its output alone.
    for held in ["upload.journal", "uploads.ndjson.partial"] {
        let path = dir.join("migration").join(held);
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        let file = file.unwrap();
        file.lock().unwrap();
        let refused = make_migrate(&dir, &server).code(2);
        assert!(refused.stderr().contains("Error 1"), "{}", refused.report());
        assert!(
            refused.stderr().contains("another process"),
            "{}",
            refused.report()
        );
        assert_eq!(outcomes(), before, "{held}");
    }
    make_migrate(&dir, &server).ok();
    assert_eq!(records(&outcomes()).len(), records(&before).len());
}

#[test]
fn make_migrate_moves_a_library_and_says_so_twice() {
    let dir = sample();
    let server = Sandbox::start(Settings::default());
    let migrate = || make_migrate(&dir, &server).ok();
    let first = migrate();
    let files = number(&server, "SELECT count(*) FROM source");
    assert!(
        first.stdout().contains(&format!("{files} uploaded")),
        "{}",
        first.report()
    );
    let second = migrate();
    assert!(
        second.stdout().contains("0 uploaded"),
        "{}",
        second.report()
    );
    assert_eq!(number(&server, "SELECT count(*) FROM source"), files);
    let kept = std::fs::read_to_string(dir.join("migration/uploads.ndjson")).unwrap();
    assert!(records(&kept).len() > 30);
}

/// A URL in there may hold a password, and help ends in issues and logs.
#[test]
fn c7_help_shows_nothing_of_the_environment() {
    let dir = Workdir::new();
    let names = [
        "MBS_API",
        "MBS_WS",
        "MBS_USER",
        "MBS_PASSWORD",
        "MBS_PASSWORD_FILE",
        "MBS_DB",
        "PGHOST",
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
        "PGSERVICE",
        "CALIBRE_LIBRARY",
        "CALIBRE_OVERRIDE_DATABASE_PATH",
        "STALL_PROGRESS_FD",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
    ];
    for tool in [
        "calibre-list",
        "hash-files",
        "mbs-hashes",
        "mbs-stats",
        "mbs-upload",
        "orphan-scan",
        "orphan-rm",
        "orphan-restore",
        "orphan-purge",
        "mbs-prune",
        "stall-watch",
        "stall-pool",
    ] {
        for help in ["-h", "--help"] {
            let run = names
                .iter()
                .fold(dir.tool(tool), |run, name| run.env(name, "s3cret"));
            let ran = run.arg(help).run();
            assert!(ran.stdout().contains("Usage"), "{tool}: {}", ran.report());
            assert!(
                !ran.report().replace("=\"s3cret\"", "").contains("s3cret"),
                "{tool} {help}"
            );
        }
    }
}
