use harness::Workdir;
use serde_json::Value;

use crate::{Server, ids};

/// The command that --help tells people to export with.
fn documented(work: &Workdir) -> String {
    let help = work.tool("mbs-hashes").arg("--help").ok().stdout();
    let start = help.find("psql -c").expect("the command in --help");
    let end = help[start..].find("known.csv").expect("its end");
    help[start..start + end + "known.csv".len()].to_string()
}

fn exported() -> (Server, Vec<u8>) {
    let server = Server::start();
    server.add(1..=5);
    server.sql("update source set location = E'with \"quotes\", comma\\nnewline' where id = 3");
    let psql = server
        .work
        .shell(&documented(&server.work))
        .env("PGHOST", server.database.server().socket_dir())
        .env("PGPORT", server.database.server().port().to_string())
        .env("PGUSER", "reader")
        .env("PGDATABASE", server.database.name());
    psql.ok();
    let csv = std::fs::read(server.work.join("known.csv")).unwrap();
    (server, csv)
}

fn sorted(mut records: Vec<Value>) -> Vec<Value> {
    records.sort_by_key(|record| record["source_id"].as_i64());
    records
}

#[test]
fn the_documented_export_holds_the_same_rows_as_the_database() {
    let (server, csv) = exported();
    let direct = server.mbs_hashes().ok();
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--from-csv", "known.csv"])
        .ok();
    assert_eq!(
        sorted(ran.of_type("known_hash")),
        direct.of_type("known_hash")
    );
    assert_eq!(ran.summary(), direct.summary());
    assert_eq!(ran.stderr(), "");
    let piped = server
        .work
        .tool("mbs-hashes")
        .args(["--from-csv", "-"])
        .stdin(csv)
        .ok();
    assert_eq!(piped.stdout, ran.stdout);
}

#[test]
fn an_export_cut_anywhere_is_never_complete() {
    let (server, csv) = exported();
    let work = &server.work;
    let header = csv.iter().position(|&byte| byte == b'\n').unwrap();
    for length in (0..csv.len())
        .step_by(17)
        .chain([0, 1, header, header + 1, csv.len() - 1])
    {
        let ran = work
            .tool("mbs-hashes")
            .args(["--from-csv", "-"])
            .stdin(&csv[..length])
            .run();
        let code = ran.status.code();
        if length < header {
            assert_eq!(code, Some(2), "{length}: {}", ran.report());
            assert_eq!(ran.stdout(), "");
            continue;
        }
        assert!(matches!(code, Some(0 | 1)), "{length}: {}", ran.report());
        assert_eq!(
            ran.summary()["complete"],
            false,
            "{length}: {}",
            ran.report()
        );
        assert!(ran.stderr().contains("whole"), "{length}: {}", ran.report());
        // Nothing half-read passes for a row.
        let whole = server.mbs_hashes().ok().of_type("known_hash");
        assert!(
            ran.of_type("known_hash")
                .iter()
                .all(|row| whole.contains(row)),
            "{}",
            ran.report()
        );
    }
}

#[test]
fn columns_go_by_name_and_a_file_without_proof_is_not_complete() {
    let work = Workdir::new();
    let sha1 = "A".repeat(40);
    let csv =
        format!("extension,hash,extra,id,ebook_id,size,location\nepub,{sha1},x,1,2,3,a/b.epub\n");
    let ran = work
        .tool("mbs-hashes")
        .args(["--from-csv", "-"])
        .stdin(csv)
        .ok();
    let row = &ran.of_type("known_hash")[0];
    assert_eq!(row["sha1"], "a".repeat(40));
    assert_eq!(
        (&row["source_id"], &row["ebook_id"], &row["size"]),
        (&1.into(), &2.into(), &3.into())
    );
    assert_eq!(
        (&row["location"], &row["format"]),
        (&"a/b.epub".into(), &"epub".into())
    );
    assert_eq!(ran.summary()["complete"], false);
    ran.one_line(&["nothing proves that the file is whole"]);
}

#[test]
fn a_bad_row_is_an_error_and_costs_no_other_row() {
    let work = Workdir::new();
    let sha1 = "a".repeat(40);
    let csv = format!(
        "source_id,ebook_id,sha1,size,location,format,rows\n1,2,{sha1},3,l,epub,5\n2,2,nonsense,3,l,epub,5\n\
         3,2,{sha1},many,l,epub,5\n4,2,{sha1},3,l\n5,2,{sha1},3,l\u{e9},epub,5\n"
    );
    let mut csv = csv.into_bytes();
    let accent = csv.iter().position(|&byte| byte == 0xc3).unwrap();
    csv.splice(accent..accent + 2, [0xe9]);
    let ran = work
        .tool("mbs-hashes")
        .args(["--from-csv", "-"])
        .stdin(csv)
        .code(1);
    assert_eq!(ids(&ran.records()), [1, 5]);
    assert_eq!(ran.of_type("known_hash")[1]["location_b64"], "bOk=");
    assert_eq!(ran.of_type("error").len(), 3);
    for place in [
        "-:3: read: its hash",
        "-:4: read: the row has no size",
        "-:5: read: the row has no",
    ] {
        assert!(ran.stderr().contains(place), "{place}: {}", ran.report());
    }
    assert_eq!(ran.summary()["failed"], 3);
}

#[test]
fn what_is_no_export_is_a_mistake() {
    let work = Workdir::new();
    let run = |args: &[&str]| work.tool("mbs-hashes").args(args);
    run(&["--from-csv", "nosuch.csv"])
        .code(2)
        .one_line(&["nosuch.csv: open: No such file"]);
    run(&["--from-csv", "-"])
        .stdin("id,hash\n")
        .code(2)
        .one_line(&["-: header: no column ebook_id", "--help"]);
    run(&["--from-csv", "-"])
        .code(2)
        .one_line(&["header: no column"]);
    run(&["--from-csv", ".", "--progress=none"])
        .code(255)
        .one_line(&["read: Is a directory"]);
    run(&["--from-csv", "-", "--follow"]).code(2);
    run(&["--from-csv", "-", "--after-id", "1"]).code(2);
}
