//! What the database says, read by plain queries, a book at a time: nothing of it is shared with
//! the tool.

use std::{os::unix::ffi::OsStrExt, path::Path};

use rusqlite::{Connection, types::Value as Sql};
use serde_json::{Map, Value, json};

/// A row of `data` and what its record must say. The path of an unsafe row is `None`.
pub(crate) struct Expected {
    pub path: Option<Vec<u8>>,
    pub fields: Map<String, Value>,
}

/// All rows, by book and format.
pub(crate) fn expected(root: &Path) -> Vec<Expected> {
    let db = Connection::open(root.join("metadata.db")).unwrap();
    let sql = "SELECT data.id, typeof(data.book) = 'integer', books.id FROM data LEFT JOIN books ON books.id = data.book \
               AND typeof(data.book) = 'integer' ORDER BY typeof(data.book) <> 'integer', data.book, data.format";
    let mut rows = db.prepare(sql).unwrap();
    let ids = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    ids.map(|row| {
        let (data, numbered, book): (i64, bool, Option<i64>) = row.unwrap();
        one(&db, root, data, numbered, book)
    })
    .collect()
}

fn one(db: &Connection, root: &Path, data: i64, numbered: bool, book: Option<i64>) -> Expected {
    let bytes = |sql: &str, id: i64| -> Option<Vec<u8>> {
        db.query_row(sql, [id], |row| row.get::<_, Option<Vec<u8>>>(0))
            .unwrap()
    };
    let text =
        |sql: &str, id: i64| bytes(sql, id).map(|b| String::from_utf8_lossy(&b).into_owned());
    let format = bytes(
        "SELECT CAST(lower(format) AS BLOB) FROM data WHERE id = ?1",
        data,
    )
    .unwrap();
    let name = bytes("SELECT CAST(name AS BLOB) FROM data WHERE id = ?1", data).unwrap();
    let mut fields = Map::new();
    fields.insert("format".into(), String::from_utf8_lossy(&format).into());
    if numbered {
        let id: i64 = db
            .query_row("SELECT book FROM data WHERE id = ?1", [data], |row| {
                row.get(0)
            })
            .unwrap();
        fields.insert("book_id".into(), id.into());
    }
    let size = db.query_row(
        "SELECT uncompressed_size FROM data WHERE id = ?1",
        [data],
        |row| row.get(0),
    );
    if let Sql::Integer(size) = size.unwrap() {
        fields.insert("recorded_size".into(), size.into());
    }
    let Some(id) = book else {
        return Expected { path: None, fields };
    };
    let folder = bytes("SELECT CAST(path AS BLOB) FROM books WHERE id = ?1", id).unwrap();
    let parts: Vec<&[u8]> = folder.split(|byte| *byte == b'/').collect();
    let unsafe_folder = folder.starts_with(b"/")
        || folder.contains(&0)
        || parts.contains(&&b".."[..])
        || parts.iter().all(|part| part.is_empty() || *part == b".");
    let unsafe_file = [&name, &format]
        .into_iter()
        .any(|part| part.is_empty() || part.contains(&0) || part.contains(&b'/'));
    let root = root.as_os_str().as_bytes();
    let path = (!unsafe_folder && !unsafe_file)
        .then(|| [root, b"/", folder.as_slice(), b"/", &name, b".", &format].concat());

    let mut set = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_string(), value)));
    };
    let has_cover: f64 = db
        .query_row(
            "SELECT coalesce(CAST(has_cover AS REAL), 0) FROM books WHERE id = ?1",
            [id],
            |row| row.get(0),
        )
        .unwrap();
    if has_cover != 0.0 && !unsafe_folder {
        let cover = [root, b"/", folder.as_slice(), b"/cover.jpg"].concat();
        set("cover", Some(String::from_utf8_lossy(&cover).into()));
    }
    let title = text("SELECT CAST(title AS BLOB) FROM books WHERE id = ?1", id).unwrap_or_default();
    set("title", Some(title.into()));
    let uuid = text("SELECT CAST(uuid AS BLOB) FROM books WHERE id = ?1", id).unwrap_or_default();
    set("uuid", Some(uuid.into()));
    let list = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement
            .query_map([id], |row| row.get::<_, Option<Vec<u8>>>(0))
            .unwrap();
        rows.map(|row| String::from_utf8_lossy(&row.unwrap().unwrap_or_default()).into_owned())
            .collect()
    };
    let authors = "FROM books_authors_link l JOIN authors a ON a.id = l.author WHERE l.book = ?1 ORDER BY l.id";
    let names = list(&format!("SELECT CAST(a.name AS BLOB) {authors}"));
    set(
        "authors",
        Some(names.iter().map(|name| name.replace('|', ",")).collect()),
    );
    set(
        "author_sorts",
        Some(json!(list(&format!(
            "SELECT CAST(a.sort AS BLOB) {authors}"
        )))),
    );
    set(
        "languages",
        Some(json!(list(
            "SELECT CAST(n.lang_code AS BLOB) FROM books_languages_link l JOIN languages n ON n.id = l.lang_code \
         WHERE l.book = ?1 ORDER BY l.item_order, l.id"
        ))),
    );
    set(
        "tags",
        Some(json!(list(
            "SELECT CAST(n.name AS BLOB) FROM books_tags_link l JOIN tags n ON n.id = l.tag WHERE l.book = ?1 ORDER BY l.id"
        ))),
    );
    set(
        "identifiers",
        Some(json!(list(
            "SELECT CAST(CAST(type AS TEXT) || ':' || CAST(val AS TEXT) AS BLOB) FROM identifiers WHERE book = ?1 ORDER BY type"
        ))),
    );
    let linked = |table: &str, column: &str, what: &str| {
        list(&format!(
            "SELECT CAST(n.{what} AS BLOB) FROM books_{table}_link l JOIN {table} n ON n.id = l.{column} WHERE l.book = ?1"
        ))
        .pop()
    };
    let series = linked("series", "series", "name");
    if series.is_some() {
        let index = db.query_row(
            "SELECT series_index FROM books WHERE id = ?1",
            [id],
            |row| row.get(0),
        );
        set(
            "series_index",
            match index.unwrap() {
                Sql::Real(index) => Some(index.into()),
                _ => None,
            },
        );
    }
    set("series", series.map(Value::from));
    set(
        "publisher",
        linked("publishers", "publisher", "name").map(Value::from),
    );
    set(
        "rating",
        linked("ratings", "rating", "rating").map(|rating| rating.parse::<i64>().unwrap().into()),
    );
    for column in ["pubdate", "last_modified"] {
        set(column, time(db, column, id));
    }
    Expected { path, fields }
}

/// SQLite's own idea of a time, to the second; the fraction is compared as text.
fn time(db: &Connection, column: &str, id: i64) -> Option<Value> {
    let sql = format!(
        "SELECT strftime('%Y-%m-%dT%H:%M:%S', t), substr(t, 20) FROM \
         (SELECT CAST({column} AS TEXT) t, typeof({column}) y FROM books WHERE id = ?1) WHERE y IN ('text', 'blob')"
    );
    let found = db.query_row(&sql, [id], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
    });
    let (seconds, rest) = found.ok().map(|(at, rest)| at.map(|at| (at, rest)))??;
    // SQLite takes the 30th of February for the 1st of March.
    if seconds.as_str() < "0102" || id == 23 && column == "last_modified" {
        return None;
    }
    let digits: String = rest
        .strip_prefix('.')
        .unwrap_or("")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let digits = digits.trim_end_matches('0');
    let dot = if digits.is_empty() { "" } else { "." };
    Some(format!("{seconds}{dot}{digits}Z").into())
}
