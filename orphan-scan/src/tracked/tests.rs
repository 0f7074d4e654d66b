//! What was added comes back.

use super::*;

fn content(byte: u8) -> Content {
    Content::of(&[byte; 20], u64::from(byte))
}

fn tracked_file(format: &str, byte: Option<u8>) -> TrackedFile<'_> {
    TrackedFile {
        book_id: Some(-7),
        format,
        uuid: "01234567-89ab-cdef-0123-456789abcdef",
        content: byte.map(|byte| (content(byte), -5)),
    }
}

fn sealed(paths: &[(&str, Option<u8>)], known: &Set) -> Tracked {
    let mut tracked = Tracked::default();
    for (path, byte) in paths {
        let format = path.rsplit_once('.').map_or("", |(_, format)| format);
        let file = tracked_file(format, *byte);
        tracked.add(Path::new(path), &file, Some(known)).unwrap();
    }
    tracked.seal();
    tracked
}

#[test]
fn what_was_added_comes_back() {
    let mut known = Set::default();
    known.push(content(3));
    known.seal();
    let long = format!("A/B (1)/{}.pdf", "x".repeat(300));
    let paths = [
        ("Ann Author/A Title (1)/A Title - Ann Author.epub", Some(3)),
        ("Ann Author/A Title (1)/A T - Ann.mobi", Some(4)),
        ("Ann Author/A Title (1)/Other.mobi", None),
        ("top.epub", None),
        (long.as_str(), Some(0)),
        ("A - B/C - D (2)/C - D - A - B.original_epub", None),
    ];
    let tracked = sealed(&paths, &known);
    assert_eq!(tracked.distinct(), paths.len() as u64);
    let rows: Vec<Row> = tracked.all().collect();
    for (row, (path, byte)) in rows.iter().zip(paths) {
        assert_eq!(row.path(), path.as_bytes());
        assert_eq!(row.book_id, Some(-7));
        assert_eq!(row.uuid, tracked_file("", None).uuid);
        assert_eq!(row.format, path.rsplit_once('.').unwrap().1);
        let expected = byte.map(|byte| (content(byte), (byte == 3).then_some(0), -5));
        assert_eq!(row.content, expected, "{path}");
    }
    assert_eq!(tracked.in_folder(b"").len(), 1);
    assert_eq!(tracked.in_folder(b"Ann Author").len(), 0);
    let upper = tracked.in_folder(b"ANN AUTHOR/A Title (1)");
    assert_eq!(upper.len(), 3);
    assert!(upper.iter().all(|row| row.likeness == Likeness::Case));
    assert!(tracked.any_below(b"ann author") && tracked.any_below(b""));
    assert!(!tracked.any_below(b"Ann"));
}

#[test]
fn a_path_that_is_listed_twice_is_one() {
    let known = Set::default();
    let paths = [
        ("A/B (1)/x.epub", None),
        ("A/C (2)/y.epub", Some(1)),
        ("A/B (1)/x.epub", Some(2)),
        ("A/B (1)/x.epub", None),
        ("A/B (1)/X.epub", None),
        ("A/C (2)/y.epub", Some(1)),
    ];
    let tracked = sealed(&paths, &known);
    assert_eq!((tracked.distinct(), tracked.doubles()), (3, 3));
    assert_eq!((tracked.found(), tracked.missing().count()), (0, 3));
    let hashed = tracked.missing().find(|row| row.name == b"x.epub");
    let hashed = hashed.unwrap();
    assert_eq!(hashed.content.unwrap().0, content(2));
    tracked.settle(hashed.number);
    tracked.settle(hashed.number);
    assert_eq!((tracked.found(), tracked.missing().count()), (1, 2));
}

#[test]
fn only_plain_paths_below_the_root_are_relative() {
    let root = Path::new("/library");
    let below = |path: &'static str| relative(Path::new(path), root);
    for path in ["/library/a/b", "/library//a/.//b/"] {
        assert_eq!(below(path).unwrap().as_os_str(), "a/b");
    }
    for path in ["/library", "/library/../a", "/libraryx/a", "a/b", "/"] {
        assert_eq!(below(path), None, "{path}");
    }
}

#[test]
fn the_rows_of_one_folder_may_be_of_several_books() {
    let mut tracked = Tracked::default();
    let long = "01234567-89ab-cdef-0123-456789abcdef";
    // Number and uuid: as the folder says, the same again, another book's, none, odd ones.
    let books: [(Option<i64>, &str); 8] = [
        (Some(7), long),
        (Some(7), long),
        (Some(8), long),
        (Some(8), "odd"),
        (None, "odd"),
        (None, "odd"),
        (Some(7), ""),
        (Some(i64::MIN), long),
    ];
    for folder in ["A/B (7)", "A/B (+7)", "A/B (007)", "A/B (7", "7)"] {
        for (at, (book_id, uuid)) in books.into_iter().enumerate() {
            let file = TrackedFile {
                book_id,
                uuid,
                ..tracked_file("epub", None)
            };
            let path = format!("{folder}/{at}.epub");
            tracked.add(Path::new(&path), &file, None).unwrap();
        }
    }
    tracked.seal();
    let rows: Vec<Row> = tracked.all().collect();
    assert_eq!(rows.len(), 5 * books.len());
    for (row, (book_id, uuid)) in rows.iter().zip(books.into_iter().cycle()) {
        assert_eq!((row.book_id, row.uuid), (book_id, uuid), "{row:?}");
    }
}
