//! Which books: no selection ever loses a format of a book, and parts make the whole.

use std::collections::BTreeSet;

use harness::Workdir;
use library::{Book, Shelf};
use serde_json::Value;

/// 1,100 books, most with two formats or three: more than the thousand rows of a page. Ids have
/// gaps, as in a library that has been weeded.
fn many(dir: &Workdir) {
    library::large::make(&dir.join("books"), 1100).unwrap();
    let db = rusqlite::Connection::open(dir.join("books/metadata.db")).unwrap();
    db.execute_batch(
        "BEGIN;
         DELETE FROM data;
         DELETE FROM books WHERE id % 7 = 3;
         INSERT INTO data(book, format, uncompressed_size, name)
         SELECT id, column2, 1, 'n' FROM books, (VALUES (0, 'EPUB'), (1, 'PDF'), (2, 'DJVU'))
         WHERE (id - 1) % 3 >= column1;
         COMMIT",
    )
    .unwrap();
}

fn list(dir: &Workdir, args: &[&str]) -> Vec<Value> {
    dir.tool("calibre-list")
        .args(args)
        .arg("books")
        .ok()
        .of_type("book_file")
}

fn keys(records: &[Value]) -> Vec<(i64, String)> {
    let key = |record: &Value| {
        (
            record["book_id"].as_i64().unwrap(),
            record["format"].as_str().unwrap().into(),
        )
    };
    records.iter().map(key).collect()
}

/// original.md 8.B, 4: paging by rows lost the other formats of the book at the page's end.
#[test]
fn bug_b4_no_page_boundary_loses_formats() {
    let dir = Workdir::new();
    many(&dir);
    let all = keys(&list(&dir, &[]));
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
    assert!(all.is_sorted());
    let books: BTreeSet<i64> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(books.len(), 1100 - 157);
    let formats = |id: i64| 1 + (id - 1) as usize % 3;
    assert_eq!(
        all.len(),
        books.iter().map(|id| formats(*id)).sum::<usize>()
    );

    // Page after page, as a script would: the last id is where the next page starts.
    let mut paged = Vec::new();
    loop {
        let after = paged
            .last()
            .map_or(0, |(id, _): &(i64, String)| *id)
            .to_string();
        let page = keys(&list(&dir, &["--after-id", &after, "--limit", "100"]));
        if page.is_empty() {
            break;
        }
        let books: BTreeSet<i64> = page.iter().map(|(id, _)| *id).collect();
        assert!(books.len() <= 100);
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

/// original.md 8.B, 5: a limit counted files but skipped the whole page.
#[test]
fn bug_b5_b10_a_limit_is_of_books_and_says_so() {
    let dir = Workdir::new();
    many(&dir);
    let ran = dir
        .tool("calibre-list")
        .args(["--limit", "100", "books"])
        .ok();
    let books: BTreeSet<i64> = keys(&ran.of_type("book_file"))
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(books.len(), 100);
    let all = keys(&list(&dir, &[]));
    let expected: Vec<_> = all
        .into_iter()
        .filter(|(id, _)| books.contains(id))
        .collect();
    assert_eq!(keys(&ran.of_type("book_file")), expected);
    assert_eq!(ran.summary()["complete"], false);
    assert_eq!(ran.summary()["selection"], "--limit 100");
    assert!(list(&dir, &["--limit", "0"]).is_empty());
}

/// original.md 8.B, 8: a row offset was taken for a book id.
#[test]
fn bug_b8_after_id_is_an_id_not_an_offset() {
    let dir = Workdir::new();
    many(&dir);
    let after = keys(&list(&dir, &["--after-id", "1000"]));
    assert_eq!(after.first().unwrap().0, 1001);
    assert!(after.len() < 220);
    assert!(list(&dir, &["--after-id", "1100"]).is_empty());
    assert!(list(&dir, &["--after-id", "9223372036854775807"]).is_empty());
}

/// original.md 8.B, 14: only six formats were looked for.
#[test]
fn bug_b14_every_format_is_listed() {
    let dir = Workdir::new();
    let shelf = Shelf::create(&dir.join("books")).unwrap();
    let formats = [
        "DOC",
        "DOCX",
        "RTF",
        "ODT",
        "LIT",
        "CHM",
        "M4B",
        "KEPUB",
        "ORIGINAL_EPUB",
        "X-Odd",
    ];
    let mut book = Book::new("T").by("A B");
    for format in formats {
        book = book.file(format, *b"x");
    }
    shelf.add(&book).unwrap();
    drop(shelf);
    let listed: BTreeSet<String> = keys(&list(&dir, &[]))
        .into_iter()
        .map(|(_, format)| format)
        .collect();
    assert_eq!(
        listed,
        formats.iter().map(|format| format.to_lowercase()).collect()
    );
    for record in list(&dir, &[]) {
        assert!(
            std::fs::metadata(record["path"].as_str().unwrap()).is_ok(),
            "{record}"
        );
    }
    assert_eq!(
        keys(&list(&dir, &["--formats", ".M4B,original_epub"])).len(),
        2
    );
    assert_eq!(keys(&list(&dir, &["--formats", "doc"])).len(), 1);
}

#[test]
fn shards_are_the_whole_and_share_nothing() {
    let dir = Workdir::new();
    many(&dir);
    let all = keys(&list(&dir, &[]));
    let mut joined = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let ran = dir
            .tool("calibre-list")
            .args(["--shard", part, "books"])
            .ok();
        assert_eq!(ran.summary()["shard"], part);
        assert_eq!(ran.summary()["complete"], true);
        assert!(ran.summary().get("selection").is_none());
        let keys = keys(&ran.of_type("book_file"));
        assert!(keys.len() * 4 > all.len(), "{part} is out of proportion");
        joined.extend(keys);
    }
    joined.sort();
    assert_eq!(joined, all);
    for wrong in ["0/3", "4/3", "1", "x/y"] {
        let ran = dir
            .tool("calibre-list")
            .args(["--shard", wrong, "books"])
            .code(2);
        assert!(ran.stderr().contains("K/N"), "{}", ran.report());
    }
}

#[test]
fn ids_may_be_listed() {
    let dir = Workdir::new();
    many(&dir);
    let records = list(&dir, &["--ids", "8-9,1,1000-2000,2-2"]);
    let books: BTreeSet<i64> = keys(&records).into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        books.iter().copied().take(4).collect::<Vec<_>>(),
        [1, 2, 8, 9]
    );
    assert_eq!(books.last(), Some(&1100));
    assert!(books.range(10..1000).next().is_none());
    let ran = dir
        .tool("calibre-list")
        .args(["--ids", "1-2", "--after-id", "1", "books"])
        .ok();
    assert_eq!(ran.summary()["selection"], "--after-id 1 --ids 1-2");
    assert_eq!(ran.summary()["complete"], false);
}
