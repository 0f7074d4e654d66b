/// The table.
mod cases;

use super::*;
use cases::{Case, HALF, cases};
use std::path::Path;

/// The cases as files with this extension, and as a stream of records.
fn files(bench: &Bench, cases: &[Case], extension: &str) -> (Vec<Value>, Vec<u8>) {
    let mut records = Vec::new();
    for (i, (fields, ..)) in cases.iter().enumerate() {
        let mut fields = fields.clone();
        if fields["languages"].is_null() {
            fields["languages"] = json!(["eng"]);
        }
        let name = format!("hostile/file {i} %.{extension}");
        records.push(bench.file(&name, format!("{extension} {i}"), fields));
    }
    let stream = String::from_utf8(lines(&records)).unwrap();
    (records, stream.replace(HALF, r"\udce9").into_bytes())
}

/// The upload records, in the order of the files.
fn uploads(ran: &Ran, records: &[Value]) -> Vec<Value> {
    let readable = ran.stdout().replace(r"\udce9", HALF);
    let all: Vec<Value> = readable
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |record: &Value| all.iter().find(|upload| upload["path"] == record["path"]);
    records
        .iter()
        .map(|record| of(record).unwrap().clone())
        .collect()
}

#[test]
fn hostile_metadata_goes_in_clean_and_inside_the_store() {
    let bench = Bench::new();
    let cases = cases();
    let (records, stream) = files(&bench, &cases, "epub");
    let ran = bench.tool(&[]).stdin(stream).args(["-j", "8"]).ok();
    bench.holds(&records);
    let mut wrong = Vec::new();
    for ((record, upload), (fields, title, noted)) in
        records.iter().zip(uploads(&ran, &records)).zip(&cases)
    {
        let notes = upload["notes"].to_string();
        let title = title.map_or(fields["title"].clone(), Value::from);
        let stored = bench.shelf(record)[0].clone().unwrap();
        let fine = upload["outcome"] == "uploaded"
            && upload["attempts"] == 1
            && stored.starts_with(title.as_str().unwrap())
            && noted.iter().all(|words| notes.contains(words))
            && noted.is_empty() == (notes == "[]");
        if !fine {
            wrong.push(format!("{title}: {noted:?}, not {stored:?}: {notes}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    no_server_error(&bench);
    nothing_outside(&bench);
    // The same books in another format find their ebooks again.
    let made = bench.ebooks();
    let (_, stream) = files(&bench, &cases, "pdf");
    bench.tool(&[]).stdin(stream).args(["-j", "8"]).ok();
    let doubled = "select string_agg(title, '; ') from ebook group by title having count(*) > 1";
    assert_eq!(bench.ebooks(), made, "{:?}", bench.server.query(doubled));
    no_server_error(&bench);
}

fn no_server_error(bench: &Bench) {
    for entry in bench.server.log() {
        assert!(entry.status.is_none_or(|status| status < 500), "{entry:?}");
    }
}

/// Every file of the server is where its row says, in the store; there is nothing else.
fn nothing_outside(bench: &Bench) {
    let data = bench.server.data_dir();
    let store = data.join("books").canonicalize().unwrap();
    let rows = bench.server.query("select location from source");
    for row in &rows {
        let path = store.join(row[0].as_deref().unwrap());
        assert!(
            path.canonicalize().unwrap().starts_with(&store),
            "{}",
            path.display()
        );
        for part in row[0].as_deref().unwrap().split('/') {
            assert!(
                !matches!(part, "" | "." | "..") && part.len() <= 255,
                "{part}"
            );
        }
    }
    assert_eq!(books_below(&store), rows.len(), "{}", {
        let o = std::process::Command::new("find")
            .arg(&store)
            .arg("-type")
            .arg("f")
            .output()
            .unwrap();
        String::from_utf8_lossy(&o.stdout).into_owned()
    });
    for entry in std::fs::read_dir(data).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let own = ["books", "converted", "thumbs", "uploads"].contains(&name.as_str());
        assert!(own || name.ends_with(".password"), "{name}");
    }
}

fn books_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => books_below(&path),
            false => usize::from(
                path.extension()
                    .is_some_and(|extension| extension == "epub"),
            ),
        })
        .sum()
}
