//! How the predecessor left books out in silence (original.md 8.B); each once here, the right way.

use serde_json::{Value, json};

use super::{Bench, counts, lines, meta, outcome, sha1};

/// Records of files that the server has; the files themselves need not be there.
fn known(bench: &Bench, count: usize) -> (Vec<Value>, String) {
    let record = |i: usize| {
        let mut record = meta(&format!("Known {i}"), "A");
        record["type"] = json!("file_hash");
        record["path"] = json!(format!("/nowhere/{i}.epub"));
        record["sha1"] = json!(sha1(format!("known {i}").as_bytes()));
        record["size"] = json!(7);
        record
    };
    let records: Vec<Value> = (0..count).map(record).collect();
    let rows = bench.has(&records);
    (records, String::from_utf8(lines(&rows)).unwrap())
}

/// 8.B 3 and 7: after five batches of duplicates 10,000 ids were skipped; after 2,000 known rows in a
/// row the migration called itself complete.
#[test]
fn bug_b3_b7_a_long_run_of_known_files_skips_nothing() {
    let bench = Bench::new();
    let (mut records, stream) = known(&bench, 12_000);
    let new = bench.books(3);
    for (place, book) in [3_000, 9_000, 12_000].into_iter().zip(&new) {
        records.insert(place, book.clone());
    }
    let file = bench.dir.write("known.ndjson", stream);
    let ran = bench.tool(&records).arg("--known").arg(file).ok();
    assert_eq!(counts(&ran)["uploaded"], 3);
    assert_eq!(counts(&ran)["duplicate"], 12_000);
    bench.holds(&new);
    // And a few samples of what is known.
    assert!(bench.server.count("POST", "/api/upload/check") <= 3 + 64);
}

/// 8.B 2: two progress dictionaries overwrote each other, so a run began again at an old id.
#[test]
fn bug_b2_a_second_run_takes_up_exactly_what_is_left() {
    let bench = Bench::new();
    let books = bench.books(9);
    bench.tool(&books[2..5]).ok();
    let ran = bench.tool(&books).ok();
    for (i, book) in books.iter().enumerate() {
        let expected = if (2..5).contains(&i) {
            "duplicate"
        } else {
            "uploaded"
        };
        assert_eq!(outcome(&ran, book)["outcome"], expected, "{i}");
    }
    bench.holds(&books);
    assert_eq!(bench.server.count("POST", "/api/upload"), 9);
}

/// 8.B 11 and 8.A 17: files of one name overwrote each other in /tmp, so a book got another's bytes.
#[test]
fn bug_b11_files_of_one_name_keep_their_own_bytes() {
    let bench = Bench::new();
    let books: Vec<Value> = (0..8)
        .map(|i| {
            let title = format!("Title {i}");
            bench.file(&format!("{i}/same name.epub"), &title, meta(&title, "A"))
        })
        .collect();
    bench.tool(&books).args(["-j", "8"]).ok();
    bench.holds(&books);
    let rows = bench
        .server
        .query("select e.title, s.location from source s join ebook e on e.id = s.ebook_id");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let [title, location] = [&row[0], &row[1]].map(|cell| cell.clone().unwrap());
        let stored = bench.server.data_dir().join("books").join(location);
        assert_eq!(std::fs::read_to_string(stored).unwrap(), title);
    }
}

/// 8.B 12: the series index went as "3.0" to a client that takes whole numbers, which ended with 2.
#[test]
fn bug_b12_a_series_index_with_a_point_does_not_stop_a_book() {
    let bench = Bench::new();
    let books: Vec<Value> = [("Third", 3.0), ("Between", 2.5), ("Nought", 0.0)]
        .into_iter()
        .map(|(title, index)| {
            let mut book = bench.book(title, "A", "epub");
            (book["series"], book["series_index"]) = (json!("Saga"), json!(index));
            book
        })
        .collect();
    let ran = bench.tool(&books).ok();
    bench.holds(&books);
    let index = |title: &str| {
        bench.number(&format!(
            "select series_index from ebook where title = '{title}'"
        ))
    };
    assert_eq!(
        [index("Third"), index("Between"), index("Nought")],
        [3, 2, 0]
    );
    assert_eq!(
        outcome(&ran, &books[1])["notes"],
        json!(["series index 2.5 cut to 2"])
    );
}
