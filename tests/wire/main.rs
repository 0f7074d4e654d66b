//! What crosses a pipe: do the programs that people put behind it read it as it was meant?

#![allow(clippy::unwrap_used)]

use std::path::Path;

use harness::Workdir;
use serde_json::{Value, json};
use wire::{
    Line,
    records::{self, Kind, Shape},
    schema,
};

/// Texts that broke somebody's JSON: quotes, controls, NUL, every plane of Unicode, both ends of
/// the surrogate gap, a non-character, bidi marks, a lone combining mark, 10,000 characters.
fn nasty() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "plain",
        "a\"b\\c/d",
        "line\nbreak\r\ttab",
        "\0",
        "a\0b",
        "\u{1}\u{1f}\u{7f}\u{9f}",
        "Čapek – Válka s mloky",
        "Война и мир",
        "紅樓夢",
        "\u{301}lone",
        "\u{202e}bidi\u{2066}",
        "\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10ffff}",
        "😀",
        "\u{2028}\u{2029}",
        "null",
        "1e400",
        "{\"type\":\"summary\"}",
        "'; DROP TABLE x; --",
        "=1+1",
    ]
    .map(String::from)
    .into();
    texts.push("x".repeat(10_000));
    texts
}

/// One record of a type for each nasty text, every field filled.
fn lines(kind: &'static Kind) -> Vec<Value> {
    let value = |shape, text: &str, i: usize| match shape {
        Shape::Text => json!(text),
        Shape::Integer => json!((1u64 << 53) - 1 - i as u64),
        Shape::Number => json!(i as f64 + 0.25),
        Shape::Flag => json!(i.is_multiple_of(2)),
        Shape::List => json!(vec![text; i % 3]),
    };
    let record = |(i, text): (usize, &String)| {
        let mut record = serde_json::Map::from_iter([("type".into(), json!(kind.name))]);
        for field in kind.fields {
            record.insert(field.name.into(), value(field.shape, text, i));
        }
        Value::Object(record)
    };
    nasty().iter().enumerate().map(record).collect()
}

/// The same, as the writer's builder makes them.
fn built(kind: &'static Kind, records: &[Value]) -> String {
    let mut out = String::new();
    for record in records {
        let mut line = Line::new(kind.name);
        for field in kind.fields {
            let value = &record[field.name];
            match field.shape {
                Shape::Text => line.text(field.name, value.as_str().unwrap()),
                Shape::Integer => line.int(field.name, value.as_i64().unwrap()),
                Shape::Number => line.float(field.name, value.as_f64().unwrap()),
                Shape::Flag => line.flag(field.name, value.as_bool().unwrap()),
                Shape::List => line.list(
                    field.name,
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|v| v.as_str().unwrap()),
                ),
            };
        }
        out.push_str(std::str::from_utf8(line.open_bytes()).unwrap());
        out.push_str("}\n");
    }
    out
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_type_comes_back_from_jq() {
    let dir = Workdir::new();
    for kind in records::ALL {
        let records = lines(kind);
        let back = dir
            .command("jq")
            .args(["-c", "."])
            .stdin(built(kind, &records))
            .ok();
        assert_eq!(parsed(&back.stdout()), records, "{}", kind.name);
    }
}

#[test]
fn every_type_comes_back_from_python() {
    let dir = Workdir::new();
    let script = "import json,sys\nfor line in sys.stdin: print(json.dumps(json.loads(line)))";
    for kind in records::ALL {
        let records = lines(kind);
        let back = dir
            .command("python3")
            .args(["-c", script])
            .stdin(built(kind, &records))
            .ok();
        assert_eq!(parsed(&back.stdout()), records, "{}", kind.name);
    }
}

#[test]
fn every_type_comes_back_from_duckdb_by_our_query() {
    let dir = Workdir::new();
    for kind in records::ALL {
        let records = lines(kind);
        let query = schema::print(schema::Form::Duckdb, &[kind]);
        let copy = format!("COPY ({}) TO '/dev/stdout' (FORMAT json)", query.trim());
        let back = dir
            .shell("duckdb -c \"$QUERY\"")
            .env("QUERY", copy)
            .stdin(built(kind, &records))
            .ok();
        assert_eq!(parsed(&back.stdout()), records, "{}", kind.name);
    }
}

/// ecosystem: a field that first appears after DuckDB's sample of 20,480 records is NULL for ever.
#[test]
fn a_late_field_is_not_lost_in_duckdb() {
    let dir = Workdir::new();
    let mut input = "{\"type\":\"file_hash\",\"path\":\"/a\"}\n".repeat(30_000);
    input.push_str("{\"type\":\"file_hash\",\"path\":\"/b\",\"sha1\":\"abc\"}\n");
    let query = schema::print(schema::Form::Duckdb, &[&records::FILE_HASH]);
    let count = format!("SELECT count(sha1) AS n FROM ({})", query.trim());
    let ran = dir
        .shell("duckdb -json -c \"$QUERY\"")
        .env("QUERY", count)
        .stdin(input)
        .ok();
    assert_eq!(ran.stdout().trim(), "[{\"n\":1}]");
}

#[test]
fn every_type_comes_back_from_sqlite_by_our_script() {
    let dir = Workdir::new();
    for kind in records::ALL {
        let records = lines(kind);
        let input = dir.write("in.ndjson", built(kind, &records));
        let script = schema::print(schema::Form::Sqlite, &[kind]);
        dir.write("schema.sql", script);
        dir.shell("sqlite3 x.db '.read schema.sql' <in.ndjson").ok();
        for field in kind
            .fields
            .iter()
            .filter(|field| field.shape == Shape::Integer)
        {
            // In quotes: some names, like that of the class foreign, are words of SQL.
            let count = format!(
                "sqlite3 x.db 'SELECT count(DISTINCT \"{}\") FROM {}'",
                field.name, kind.name
            );
            let ran = dir.shell(&count).ok();
            assert_eq!(
                ran.stdout().trim(),
                records.len().to_string(),
                "{}",
                kind.name
            );
        }
        std::fs::remove_file(dir.join("x.db")).unwrap();
        std::fs::remove_file(input).unwrap();
    }
}

#[test]
fn the_json_schema_holds_every_type() {
    let schema: Value =
        serde_json::from_str(&schema::print(schema::Form::Json, records::ALL)).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    assert_eq!(kinds.len(), records::ALL.len());
    for kind in kinds {
        assert_eq!(kind["properties"]["type"]["const"], kind["title"]);
        assert!(
            kind["properties"]
                .as_object()
                .unwrap()
                .values()
                .all(|p| p["description"] != "")
        );
    }
}

#[test]
fn a_file_name_that_is_not_utf8_survives_jq_and_duckdb() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let path = Path::new(OsStr::from_bytes(b"/books/caf\xe9 \xff.epub"));
    let mut line = Line::new("file_hash");
    line.path(path);
    let input = format!("{}}}\n", std::str::from_utf8(line.open_bytes()).unwrap());
    let dir = Workdir::new();
    let query = schema::print(schema::Form::Duckdb, &[&records::FILE_HASH]);
    let copy = format!(
        "COPY (SELECT type, path, path_b64 FROM ({})) TO '/dev/stdout' (FORMAT json)",
        query.trim()
    );
    let back = dir
        .shell("jq -c . | duckdb -c \"$QUERY\"")
        .env("QUERY", copy)
        .stdin(input)
        .ok();
    let record = wire::Record::parse(back.stdout).unwrap();
    assert_eq!(record.path().unwrap(), path);
}
