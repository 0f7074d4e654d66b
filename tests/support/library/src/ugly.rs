//! A library of 500 books in which everything is wrong that a database and a file system allow.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, params, types::Value};

use crate::{Book, Shelf, epub::epub, jpeg};

/// How many books it has.
pub const BOOKS: i64 = 500;

/// Texts that have broken readers.
const TEXTS: [&str; 24] = [
    "plain",
    "a NUL \0 in the middle",
    "a line\nand another\r\n",
    "\ttab, bell \u{7}, escape \u{1b}[2J, delete \u{7f}",
    "\"quotes\" and 'more' and `these`",
    "{braces} {title} {0} {{}} %s %(x)s ${HOME} $(id)",
    "back\\slash \\n \\u0041",
    "Преступление и наказание",
    "紅樓夢 雪国 홍길동전",
    "cafe\u{301} na\u{308}ive \u{30a}A",
    "caf\u{e9} na\u{ef}ve \u{c5}",
    "مائة عام من العزلة \u{202e}txet",
    "family 👨\u{200d}👩\u{200d}👧 and flag 🇨🇿",
    "",
    "   ",
    "a | bar, a comma; a semicolon & an ampersand",
    "<b>markup</b> &amp; <script>",
    "-rf --help",
    "'; DROP TABLE books; --",
    "line separators \u{2028} and \u{2029}, a mark \u{feff}",
    "[1, 2] null true 1e5",
    "NaN",
    "/a/slash",
    "\u{fffd} already replaced",
];

const FORMATS: [&str; 9] = [
    "EPUB",
    "PDF",
    "MOBI",
    "AZW3",
    "KEPUB",
    "ORIGINAL_EPUB",
    "CBZ",
    "M4B",
    "fb2",
];

/// Makes it in `root`. Where an empty library made by Calibre is there, that is used, with all of
/// its triggers; otherwise one of ours.
///
/// # Errors
/// `root` holds books already or cannot be written to.
pub fn make(root: &Path) -> Result<()> {
    let shelf = match root.join("metadata.db").exists() {
        true => Shelf::open(root)?,
        false => Shelf::create(root)?,
    };
    shelf.all_or_nothing(|shelf| {
        for number in 0..BOOKS {
            let id = shelf.add(&dirty(number)?)?;
            anyhow::ensure!(id == number + 1, "{} is not empty", root.display());
        }
        odd_columns(shelf)?;
        odd_names(shelf)?;
        odd_files(shelf)?;
        unsafe_rows(shelf)
    })
}

fn dirty(number: i64) -> Result<Book> {
    let text = |salt: i64| TEXTS[((number * 7 + salt * 5) % TEXTS.len() as i64) as usize];
    let mut book = Book::new(format!("{} {number}", text(0)));
    if number % 50 == 1 {
        book.title = "long ".repeat(2000 + number as usize);
    }
    let authors = if number % 40 == 7 { 120 } else { number % 4 };
    for author in 0..authors {
        let name = format!("{} {}", text(author + 1), (number + author * 3) % 60);
        book.authors
            .push((name, format!("{} (sorted)", text(author + 2))));
    }
    if number % 3 == 0 {
        book.series = Some((format!("Series {}", text(2)), (number % 11) as f64 / 4.0));
    }
    let languages = ["eng", "ces", "rus", "zho", "und"];
    book.languages = languages[..(number % 4) as usize]
        .iter()
        .rev()
        .map(|code| (*code).into())
        .collect();
    let tags = if number % 60 == 5 { 300 } else { number % 5 };
    book.tags = (0..tags)
        .rev()
        .map(|tag| format!("{} {tag}", text(tag + 3)))
        .collect();
    book.identifiers = (0..number % 3)
        .map(|at| (format!("scheme{at}"), text(at + 4).into()))
        .collect();
    book.publisher = (number % 2 == 0).then(|| text(5).into());
    book.rating = (number % 5 != 0).then_some(number % 11);
    book.pubdate = (number % 6 != 0).then(|| {
        let zone = ["+00:00", "+02:00", "-11:30"][(number % 3) as usize];
        format!("19{:02}-02-28 23:59:59.5{zone}", number % 100)
    });
    book.comments = (number % 7 == 0).then(|| text(6).repeat(300));
    book.cover = (number % 3 != 1).then(|| jpeg::grey(60, 80, number as u8));
    let bytes = epub(&book, &format!("Book {number}"))?;
    for at in 0..number % 5 {
        let format = FORMATS[((number + at * 2) % FORMATS.len() as i64) as usize];
        // Every tenth file is empty, and neighbours share their bytes now and then.
        let bytes = match number % 10 {
            3 => Vec::new(),
            8 => b"the same bytes in many books".to_vec(),
            _ => [bytes.as_slice(), format.as_bytes()].concat(),
        };
        book = book.file(format, bytes);
    }
    Ok(book)
}

/// Columns of the wrong type, text that is not UTF-8, times that are none.
fn odd_columns(shelf: &Shelf) -> Result<()> {
    let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec());
    let text = |text: &str| Value::Text(text.into());
    let odd: [(&str, i64, Value); 18] = [
        ("title", 11, blob(b"a blob \xff\xfe")),
        ("title", 12, blob(b"")),
        ("author_sort", 13, Value::Null),
        ("sort", 14, blob(b"\x80")),
        ("uuid", 15, Value::Null),
        ("uuid", 16, blob(b"\0\x01\x02")),
        ("uuid", 17, text("not a uuid\n")),
        ("pubdate", 18, Value::Null),
        ("pubdate", 19, text("yesterday")),
        ("pubdate", 20, text("0101-01-01 00:00:00+02:00")),
        ("pubdate", 21, text("1999-12-31")),
        ("last_modified", 22, Value::Real(2_459_000.5)),
        ("last_modified", 23, text("2020-02-30 00:00:00+00:00")),
        ("last_modified", 24, blob(b"2020-02-28 00:00:00+00:00")),
        ("has_cover", 25, text("yes")),
        ("has_cover", 26, Value::Null),
        ("series_index", 28, text("seven")),
        ("timestamp", 29, Value::Null),
    ];
    for (column, id, value) in odd {
        shelf.db().execute(
            &format!("UPDATE books SET {column} = ?2 WHERE id = ?1"),
            params![id, value],
        )?;
    }
    // Text that is not UTF-8, which only a cast makes.
    for (table, column) in [
        ("books", "title"),
        ("authors", "name"),
        ("tags", "name"),
        ("series", "name"),
    ] {
        let latin1 = "CAST(x'6c6174696e2d31e9ff' AS TEXT)";
        shelf
            .db()
            .execute(
                &format!("UPDATE {table} SET {column} = {latin1} WHERE id = 31"),
                [],
            )
            .with_context(|| format!("{table}.{column}"))?;
    }
    shelf.db().execute(
        "UPDATE data SET uncompressed_size = 'large' WHERE book = 33",
        [],
    )?;
    shelf.db().execute(
        "UPDATE data SET uncompressed_size = 12.5 WHERE book = 34",
        [],
    )?;
    shelf
        .db()
        .execute("UPDATE authors SET sort = NULL WHERE id = 3", [])?;
    shelf
        .db()
        .execute("UPDATE identifiers SET val = x'00ff' WHERE id = 4", [])?;
    Ok(())
}

/// Names that are not UTF-8 or hold control characters, on the disk as in the database.
fn odd_names(shelf: &Shelf) -> Result<()> {
    let names: [(i64, &[u8], bool); 5] = [
        (42, b"latin-1 caf\xe9", true),
        (43, b"blob \xff\xfe\x80", false),
        (44, b"new\nline and \x1b[31m", true),
        (47, "cafe\u{301} {0} 'q' \"d\"".as_bytes(), true),
        (48, b"trailing dot. and space ", true),
    ];
    for (id, name, as_text) in names {
        let old: Option<(String, String)> = shelf
            .db()
            .query_row(
                "SELECT path, min(name) FROM books, data WHERE books.id = book AND book = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (path, old) = old.context("a book with files")?;
        let folder = shelf.root().join(&path);
        for entry in fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()? {
            let found = entry.file_name();
            if let Some(rest) = found.as_bytes().strip_prefix(old.as_bytes()) {
                fs::rename(entry.path(), folder.join(os(&[name, rest].concat())))?;
            }
        }
        let moved = os(&[name, b" (", id.to_string().as_bytes(), b")"].concat()).to_owned();
        fs::rename(&folder, shelf.root().join(&moved))?;
        let cast = if as_text { "CAST(?2 AS TEXT)" } else { "?2" };
        let name = Value::Blob(name.to_vec());
        shelf.db().execute(
            &format!("UPDATE data SET name = {cast} WHERE book = ?1"),
            params![id, name],
        )?;
        let path = Value::Blob(moved.as_bytes().to_vec());
        shelf.db().execute(
            &format!("UPDATE books SET path = {cast} WHERE id = ?1"),
            params![id, path],
        )?;
    }
    Ok(())
}

/// Files that are not where the database says, and files that it does not know.
fn odd_files(shelf: &Shelf) -> Result<()> {
    let mut statement = shelf.db().prepare(
        "SELECT book, path, name, lower(format) FROM books, data WHERE books.id = book AND book > 50 \
         AND book % 9 = 0 ORDER BY book, data.id",
    )?;
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (number, (_, path, name, format)) in rows.iter().enumerate() {
        let folder = shelf.root().join(path);
        let file = folder.join(format!("{name}.{format}"));
        match number % 4 {
            0 => fs::remove_file(file)?,
            1 => fs::rename(
                file,
                folder.join(format!("{}.{format}", name.to_uppercase())),
            )?,
            2 => fs::rename(file, folder.join(format!("An older name.{format}")))?,
            _ => fs::write(folder.join(format!("._{name}.{format}")), "AppleDouble")?,
        }
    }
    let extra: PathBuf = shelf.root().join("Stray Author/Nobody's (9999)");
    fs::create_dir_all(extra.join("data"))?;
    fs::write(extra.join("stray.epub"), "not on record")?;
    fs::write(extra.join("data/notes.txt"), "not on record either")?;
    fs::write(shelf.root().join(".DS_Store"), [0, 0, 0, 1])?;
    Ok(())
}

/// Rows whose path leads nowhere or out of the library.
fn unsafe_rows(shelf: &Shelf) -> Result<()> {
    let db = shelf.db();
    let paths: [&[u8]; 9] = [
        b"",
        b"/etc",
        b"..",
        b"../../etc",
        b"A/../../B",
        b".",
        b"A/\0/B",
        b"//",
        b"A/..",
    ];
    for (at, path) in paths.iter().enumerate() {
        let id = 101 + at as i64 * 5;
        db.execute(
            "UPDATE books SET path = CAST(?2 AS TEXT) WHERE id = ?1",
            params![id + id % 5, Value::Blob(path.to_vec())],
        )?;
        db.execute("INSERT OR IGNORE INTO data(book, format, uncompressed_size, name) VALUES (?1, 'LIT', 5, 'x')", [id + id % 5])?;
    }
    let names: [(&str, &[u8]); 6] = [
        ("LIT", b""),
        ("LIT", b"../../up"),
        ("LIT", b"a/b"),
        ("LIT", b"nul \0"),
        ("L/IT", b"format"),
        ("", b"format"),
    ];
    for (at, (format, name)) in names.iter().enumerate() {
        db.execute(
            "INSERT INTO data(book, format, uncompressed_size, name) VALUES (?1, ?2, 5, CAST(?3 AS TEXT))",
            params![201 + at as i64, format, Value::Blob(name.to_vec())],
        )?;
    }
    // Files of books that are not there. Calibre's trigger forbids them, so they come by an update
    // of its table from a tool that has none.
    db.execute_batch(
        "DROP TRIGGER IF EXISTS fkc_data_insert; DROP TRIGGER IF EXISTS fkc_data_update",
    )?;
    for book in [
        Value::Integer(-4),
        Value::Integer(9_999),
        Value::Text("none".into()),
        Value::Real(7.5),
    ] {
        db.execute(
            "INSERT INTO data(book, format, uncompressed_size, name) VALUES (?1, 'EPUB', 5, 'stray')",
            [book],
        )?;
    }
    // A path that no file system takes, and one that makes a record longer than its limit.
    let deep = vec!["a folder with a rather long name"; 100].join("/");
    db.execute("UPDATE books SET path = ?1 WHERE id = 302", [deep])?;
    Ok(())
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
