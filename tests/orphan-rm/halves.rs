//! `mbs-prune`: what in the server lacks its other half.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use harness::{Database, Workdir, run::Run};

/// Five ebooks, of which 2 and 4 have no source, 4 being young; sources 1 to 3, of which 2 and 3 have
/// no file, 3 being young.
fn server() -> Database {
    Database::with(&[
        include_str!("../support/sandbox/src/sql/schema.sql"),
        include_str!("../support/sandbox/src/sql/seed.sql"),
        "insert into ebook (version_id, created, modified, title, language_id, base_dir)
         select 1, t, t, 'Title \"' || i || '\"', 1, 'T' || i from generate_series(1, 5) as i,
         lateral (select (now() at time zone 'UTC') - case i when 4 then interval '5 minutes'
            else interval '3 hours' end as t) as times;
         insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
         select 1, t, t, (array[1, 3, 5])[i], 'T/' || i || '.epub', 8, i, md5(i::text)
         from generate_series(1, 3) as i,
         lateral (select (now() at time zone 'UTC') - case i when 3 then interval '5 minutes'
            else interval '3 hours' end as t) as times;
         create role scanner login;
         grant select on source, ebook to scanner",
    ])
}

fn scan(dir: &Workdir, database: &Database) -> Run {
    let db = database.settings_for("scanner");
    dir.tool("mbs-prune").args(["--db", &db])
}

#[test]
fn halves_without_the_other_are_told_and_what_is_young_is_not() {
    let database = server();
    let dir = Workdir::new();
    let ran = scan(&dir, &database).ok();
    let findings = ran.of_type("server_finding");
    assert_eq!(findings.len(), 1, "{}", ran.report());
    assert_eq!(findings[0]["class"], "ebook_without_source");
    assert_eq!(
        (&findings[0]["ebook_id"], &findings[0]["title"]),
        (&2.into(), &"Title \"2\"".into())
    );
    let summary = ran.summary();
    assert_eq!(
        (&summary["ebook_without_source"], &summary["complete"]),
        (&1.into(), &true.into())
    );
    assert!(summary.get("source_without_file").is_none());

    for file in [
        "T/1.epub",
        "T/stray.epub",
        "T/cover.jpg",
        "T/.lock_this_dir",
    ] {
        dir.write(format!("store/books/{file}"), "x");
    }
    symlink("nowhere", dir.join("store/books/T/2.epub")).unwrap();
    let young = scan(&dir, &database).args(["--store", "store"]).ok();
    // The stray file may be an upload under way; a link that leads nowhere is no file.
    let summary = young.summary();
    assert_eq!(summary["file_without_source"], 0, "{}", young.report());
    assert_eq!(summary["source_without_file"], 1, "{}", young.report());

    std::thread::sleep(Duration::from_millis(2100));
    let old = scan(&dir, &database)
        .args(["--store", "store", "--min-age", "1s"])
        .ok();
    let mut told: Vec<String> = old
        .of_type("server_finding")
        .iter()
        .map(|f| {
            let what = f.get("location").or(f.get("ebook_id")).unwrap();
            format!("{} {what}", f["class"].as_str().unwrap())
        })
        .collect();
    told.sort();
    let expected = [
        "ebook_without_source 2",
        "ebook_without_source 4",
        "file_without_source \"T/stray.epub\"",
        "source_without_file \"T/2.epub\"",
        "source_without_file \"T/3.epub\"",
    ];
    assert_eq!(told, expected);
    let before = fs::metadata(dir.join("store/books/T/1.epub"))
        .unwrap()
        .modified()
        .unwrap();
    assert!(before <= SystemTime::now());
}

#[test]
fn a12_an_upload_under_way_is_no_orphan_whatever_the_server_s_clock_says() {
    let database = server();
    let dir = Workdir::new();
    // The server wrote its own time, two hours ahead of ours; its database counts in that zone.
    database.execute(&format!(
        "alter role scanner in database {} set timezone = 'Etc/GMT+10'",
        database.name()
    ));
    database.execute(
        "update ebook set created = now() at time zone 'UTC', modified = now() at time zone 'UTC'",
    );
    let ran = scan(&dir, &database).ok();
    assert_eq!(ran.summary()["ebook_without_source"], 0, "{}", ran.report());
}

#[test]
fn a13_a_database_out_of_reach_is_not_a_clean_one() {
    let dir = Workdir::new();
    let nowhere = "postgresql://u@127.0.0.1:1/d";
    let run = dir.tool("mbs-prune").args(["--db", nowhere]);
    let ran = run.args(["--db-timeout", "1s"]).code(255);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("127.0.0.1:1/d"), "{}", ran.report());
    let usage = dir.tool("mbs-prune").arg("--apply").code(2);
    assert!(usage.stderr().contains("--backup"));
}
