//! The tables that a reader of a Calibre library meets, with the columns, keys and indexes that
//! Calibre 6 to 9 give them, and those without which Calibre itself would not open it. Triggers and
//! views are left out: they belong to programs that write.

use rusqlite::{Connection, Result};

/// Tables that link a book to names of their own: table, its column, the link's extra column.
const NAMED: [(&str, &str, &str); 5] = [
    ("publishers", "name", "sort TEXT COLLATE NOCASE,"),
    ("series", "name", "sort TEXT COLLATE NOCASE,"),
    ("tags", "name", ""),
    ("authors", "name", "sort TEXT COLLATE NOCASE,"),
    ("languages", "lang_code", ""),
];

/// Link tables: table, its column, another column, its unique key.
const LINKS: [(&str, &str, &str, &str); 6] = [
    ("books_authors_link", "author", "", "book, author"),
    (
        "books_languages_link",
        "lang_code",
        "item_order INTEGER NOT NULL DEFAULT 0,",
        "book, lang_code",
    ),
    ("books_publishers_link", "publisher", "", "book"),
    ("books_ratings_link", "rating", "", "book, rating"),
    ("books_series_link", "series", "", "book"),
    ("books_tags_link", "tag", "", "book, tag"),
];

/// What Calibre asks for when it opens a library, and no reader of books needs.
const BESIDES: &str = "
    CREATE TABLE metadata_dirtied(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, UNIQUE(book));
    CREATE TABLE annotations_dirtied(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, UNIQUE(book));
    CREATE TABLE books_plugin_data(
        id INTEGER PRIMARY KEY, book INTEGER NOT NULL, name TEXT NOT NULL, val TEXT NOT NULL,
        UNIQUE(book, name));
    CREATE TABLE conversion_options(
        id INTEGER PRIMARY KEY, format TEXT NOT NULL COLLATE NOCASE, book INTEGER,
        data BLOB NOT NULL, UNIQUE(format, book));
    CREATE TABLE feeds(
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, script TEXT NOT NULL, UNIQUE(title));
    CREATE TABLE last_read_positions(
        id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL COLLATE NOCASE,
        user TEXT NOT NULL, device TEXT NOT NULL, cfi TEXT NOT NULL, epoch REAL NOT NULL,
        pos_frac REAL NOT NULL DEFAULT 0, UNIQUE(user, device, book, format));
    CREATE TABLE annotations(
        id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL COLLATE NOCASE,
        user_type TEXT NOT NULL, user TEXT NOT NULL, timestamp REAL NOT NULL,
        annot_id TEXT NOT NULL, annot_type TEXT NOT NULL, annot_data TEXT NOT NULL,
        searchable_text TEXT NOT NULL DEFAULT '',
        UNIQUE(book, user_type, user, format, annot_type, annot_id));";

/// Makes the tables in an empty database. The indexes that no key implies come with
/// [`add_indexes`], so that a large library is filled first.
pub fn create(db: &Connection, library_id: &str) -> Result<()> {
    db.execute_batch(
        "PRAGMA application_id = 0x63616c69;
         PRAGMA user_version = 27;
         CREATE TABLE library_id(id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, UNIQUE(uuid));
         CREATE TABLE books(
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE,
             sort TEXT COLLATE NOCASE,
             timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
             pubdate TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
             series_index REAL NOT NULL DEFAULT 1.0,
             author_sort TEXT COLLATE NOCASE,
             path TEXT NOT NULL DEFAULT '',
             uuid TEXT,
             has_cover BOOL DEFAULT 0,
             last_modified TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00+00:00');
         CREATE TABLE data(
             id INTEGER PRIMARY KEY,
             book INTEGER NOT NULL,
             format TEXT NOT NULL COLLATE NOCASE,
             uncompressed_size INTEGER NOT NULL,
             name TEXT NOT NULL,
             UNIQUE(book, format));
         CREATE TABLE identifiers(
             id INTEGER PRIMARY KEY,
             book INTEGER NOT NULL,
             type TEXT NOT NULL DEFAULT 'isbn' COLLATE NOCASE,
             val TEXT NOT NULL COLLATE NOCASE,
             UNIQUE(book, type));
         CREATE TABLE comments(
             id INTEGER PRIMARY KEY,
             book INTEGER NOT NULL,
             text TEXT NOT NULL COLLATE NOCASE,
             UNIQUE(book));
         CREATE TABLE ratings(
             id INTEGER PRIMARY KEY,
             rating INTEGER CHECK(rating > -1 AND rating < 11),
             UNIQUE(rating));
         CREATE TABLE preferences(
             id INTEGER PRIMARY KEY, key TEXT NOT NULL, val TEXT NOT NULL, UNIQUE(key));
         CREATE TABLE custom_columns(
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             label TEXT NOT NULL,
             name TEXT NOT NULL,
             datatype TEXT NOT NULL,
             mark_for_delete BOOL DEFAULT 0 NOT NULL,
             editable BOOL DEFAULT 1 NOT NULL,
             display TEXT DEFAULT '{}' NOT NULL,
             is_multiple BOOL DEFAULT 0 NOT NULL,
             normalized BOOL NOT NULL,
             UNIQUE(label));",
    )?;
    db.execute_batch(BESIDES)?;
    for (table, column, more) in NAMED {
        db.execute_batch(&format!(
            "CREATE TABLE {table}(id INTEGER PRIMARY KEY, {column} TEXT NOT NULL COLLATE NOCASE, \
             {more} link TEXT NOT NULL DEFAULT '', UNIQUE({column}))"
        ))?;
    }
    for (table, column, more, key) in LINKS {
        db.execute_batch(&format!(
            "CREATE TABLE {table}(id INTEGER PRIMARY KEY, book INTEGER NOT NULL, \
             {column} INTEGER NOT NULL, {more} UNIQUE({key}))"
        ))?;
    }
    db.execute("INSERT INTO library_id(uuid) VALUES (?1)", [library_id])?;
    Ok(())
}

/// The indexes that Calibre has beside its keys.
pub fn add_indexes(db: &Connection) -> Result<()> {
    for (table, column, _, _) in LINKS {
        db.execute_batch(&format!(
            "CREATE INDEX {table}_aidx ON {table}({column}); \
             CREATE INDEX {table}_bidx ON {table}(book)"
        ))?;
    }
    db.execute_batch(
        "CREATE INDEX authors_idx ON books(author_sort COLLATE NOCASE);
         CREATE INDEX books_idx ON books(sort COLLATE NOCASE);
         CREATE INDEX comments_idx ON comments(book);
         CREATE INDEX data_idx ON data(book);
         CREATE INDEX formats_idx ON data(format);
         CREATE INDEX languages_idx ON languages(lang_code COLLATE NOCASE);
         CREATE INDEX publishers_idx ON publishers(name COLLATE NOCASE);
         CREATE INDEX series_idx ON series(name COLLATE NOCASE);
         CREATE INDEX tags_idx ON tags(name COLLATE NOCASE);",
    )
}
