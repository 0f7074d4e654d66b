use harness::Workdir;
use serde_json::json;

use crate::{Server, ids};

#[test]
fn every_row_is_there_in_order_and_says_what_the_table_says() {
    let server = Server::start();
    server.add(1..=3000);
    server.sql("delete from source where id % 7 = 0; update source set hash = upper(hash), format_id = 1, size = 2147483647 where id = 31");
    let ran = server.mbs_hashes().ok();
    let rows = server.database.query("select json_build_object('type', 'known_hash', 'sha1', lower(hash), 'size', size, 'source_id', source.id,
            'ebook_id', ebook_id, 'location', location, 'format', extension)
         from source join format on format.id = format_id order by source.id",
    );
    let want: Vec<serde_json::Value> = rows
        .into_iter()
        .map(|row| serde_json::from_str(row[0].as_deref().unwrap()).unwrap())
        .collect();
    assert!(want.len() > 2500);
    assert_eq!(ran.of_type("known_hash"), want);
    assert_eq!(
        ran.summary(),
        json!({"type": "summary", "tool": "mbs-hashes", "records": want.len(), "failed": 0, "complete": true})
    );
    assert_eq!(ran.stderr(), "");
}

#[test]
fn an_empty_table_is_complete() {
    let ran = Server::start().mbs_hashes().ok();
    assert_eq!(ran.summary()["records"], 0);
    assert_eq!(ran.summary()["complete"], true);
}

#[test]
fn after_id_is_a_selection_and_says_so() {
    let server = Server::start();
    server.add(1..=20);
    let ran = server.mbs_hashes().args(["--after-id", "17"]).ok();
    assert_eq!(ids(&ran.records()), [18, 19, 20]);
    assert_eq!(ran.summary()["complete"], false);
    assert_eq!(ran.summary()["selection"], "--after-id 17");
}

#[test]
fn a_row_that_can_match_no_file_is_an_error_and_costs_no_other_row() {
    let server = Server::start();
    server.add(1..=4);
    server.sql("update source set hash = 'd41d8cd98f00b204e9800998ecf8427e' where id = 2; update source set size = -5 where id = 3");
    let ran = server.mbs_hashes().code(1);
    assert_eq!(ids(&ran.records()), [1, 4]);
    let errors = ran.of_type("error");
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0]["was"], "known_hash");
    assert_eq!(errors[0]["source_id"], 2);
    assert_eq!(errors[0]["location"], "One/2.epub");
    assert_eq!(
        errors[0].get("sha1"),
        None,
        "nothing may take it for a hash"
    );
    assert_eq!(errors[1]["source_id"], 3);
    assert_eq!(ran.summary()["failed"], 2);
    assert_eq!(ran.summary()["complete"], true, "every row has its line");
    assert!(
        ran.stderr()
            .contains("mbs-hashes: source 2: read: its hash \"d41d8")
    );
}

#[test]
fn text_of_any_script_is_data() {
    let server = Server::start();
    server.add(1..=1);
    let location = "Čapek/Война и мир\t\"q\" \\x \u{1f600}\u{202e}/a.epub";
    server
        .client()
        .execute("update source set location = $1", &[&location])
        .unwrap();
    assert_eq!(
        server.mbs_hashes().ok().of_type("known_hash")[0]["location"],
        location
    );
}

#[test]
fn a_database_that_does_not_know_its_encoding_does_not_end_the_stream() {
    let mut server = Server::own();
    server.cluster().execute(
        "postgres",
        "create database bytes template template0 encoding 'SQL_ASCII' locale 'C'",
    );
    server.cluster().execute(
        "bytes",
        r"create table ebook (id bigint); create table format (id bigint primary key, extension varchar(8));
          insert into format values (8, 'epub');
          create table source (id bigint primary key, ebook_id bigint, location varchar(512), format_id bigint, size integer, hash varchar(128));
          insert into source values (1, 1, 'caf' || E'\351' || '.epub', 8, 5, repeat('a', 40)),
              (2, 1, E'caf\303\251.epub', 8, 5, repeat('b', 40)), (3, 1, E'back\\slash', 8, 5, E'\351')",
    );
    let ran = server
        .mbs_hashes()
        .args([
            "--db",
            &format!("{} dbname=bytes user=postgres", server.db()),
        ])
        .code(1);
    let known = ran.of_type("known_hash");
    assert_eq!(known[0]["location"], "caf\u{fffd}.epub");
    assert_eq!(known[0]["location_b64"], "Y2Fm6S5lcHVi");
    assert_eq!(known[1]["location"], "café.epub");
    assert_eq!(known[1].get("location_b64"), None);
    assert_eq!(ran.of_type("error")[0]["location"], "back\\slash");
}

#[test]
fn a_database_of_another_encoding_arrives_as_utf_8() {
    let mut server = Server::own();
    server.cluster().execute(
        "postgres",
        "create database latin template template0 encoding 'LATIN2' locale 'C'",
    );
    server.cluster().execute(
        "latin",
        "create table ebook (id bigint); create table format (id bigint primary key, extension varchar(8));
         insert into format values (8, 'epub');
         create table source (id integer primary key, ebook_id integer, location varchar(512), format_id integer, size bigint, hash varchar(128));
         insert into source values (1, 2, 'Čapek', 8, 3000000000, repeat('a', 40))",
    );
    let ran = server
        .mbs_hashes()
        .args([
            "--db",
            &format!("{} dbname=latin user=postgres", server.db()),
        ])
        .ok();
    let row = &ran.of_type("known_hash")[0];
    assert_eq!(
        (&row["location"], &row["size"]),
        (&"Čapek".into(), &3_000_000_000_i64.into())
    );
}

/// The original preloaded hashes and on failure marked an empty set as loaded: every file then looked new.
#[test]
fn bug_c8_loading_hashes_that_fails_is_not_an_empty_set() {
    let server = Server::start();
    server.add(1..=3);
    server.sql("revoke select on source from reader");
    let ran = server.mbs_hashes().code(255);
    assert_eq!(ran.stdout(), "");
    ran.one_line(&[": read: permission denied for table source"]);
}

#[test]
fn the_session_only_reads_and_is_named() {
    let server = Server::with(&harness::cluster::Options {
        conf: vec![
            "log_statement = 'all'".into(),
            "log_line_prefix = '%a|'".into(),
        ],
        ..Default::default()
    });
    server.add(1..=1);
    server.mbs_hashes().ok();
    server
        .mbs_hashes()
        .env("PGAPPNAME", "mine")
        .env("PGOPTIONS", "-c statement_timeout=1")
        .ok();
    let log =
        std::fs::read_to_string(server.database.server().socket_dir().join("server.log")).unwrap();
    for name in ["mbs-hashes", "mine"] {
        let said: Vec<&str> = log
            .lines()
            .filter_map(|line| {
                line.strip_prefix(&format!("{name}|LOG:  "))?
                    .split_once(": ")
            })
            .map(|(_, sql)| sql)
            .collect();
        let mut open = false;
        for sql in &said {
            open |= sql.starts_with("BEGIN") && sql.contains("READ ONLY;");
            assert!(
                open,
                "{sql} is not in a transaction that only reads: {said:?}"
            );
            open &= !sql.ends_with("COMMIT");
        }
        assert!(said.len() > 3 && !open, "{said:?}");
    }
}

#[test]
fn csv_is_for_spreadsheets() {
    let server = Server::start();
    server.add(1..=2);
    let ran = server.mbs_hashes().arg("--csv").ok();
    let text = ran.stdout();
    assert!(
        text.starts_with("type,sha1,size,source_id,ebook_id,location,location_b64,format,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn help_and_schema_need_no_database() {
    let work = Workdir::new();
    let help = work
        .tool("mbs-hashes")
        .arg("--help")
        .env("PGPASSWORD", "hush")
        .env("MBS_DB", "password=hush")
        .ok();
    assert!(help.stdout().contains("PGPASSFILE") && !help.stdout().contains("hush"));
    assert!(
        work.tool("mbs-hashes")
            .args(["--schema", "json"])
            .ok()
            .stdout()
            .contains("known_hash")
    );
    work.tool("mbs-hashes").arg("--nonsense").code(2);
}
