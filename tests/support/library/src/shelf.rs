//! A library on disk: its folder and its database, filled book by book without Calibre.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, functions::FunctionFlags, params};

use crate::{Book, schema};

/// When everything in a made library was changed, so that two runs make the same bytes.
const MODIFIED: &str = "2024-05-06 07:08:09.123456+00:00";

/// A library that can be written to.
pub struct Shelf {
    root: PathBuf,
    db: Connection,
}

impl Shelf {
    /// A new empty library in `root`, which is made when it is not there.
    ///
    /// # Errors
    /// There is a library already, or the folder cannot be written to.
    pub fn create(root: &Path) -> Result<Shelf> {
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        let path = root.join("metadata.db");
        anyhow::ensure!(!path.exists(), "{} is there already", path.display());
        let shelf = Shelf::on(root, Connection::open(&path)?)?;
        shelf.all_or_nothing(|shelf| {
            schema::create(&shelf.db, "5d8f8e6c-2b6f-4f0e-9d3a-6a1d3c5b7e90")?;
            Ok(schema::add_indexes(&shelf.db)?)
        })?;
        Ok(shelf)
    }

    /// The library in `root`, made by Calibre or by us.
    ///
    /// # Errors
    /// There is no such library.
    pub fn open(root: &Path) -> Result<Shelf> {
        let path = root.join("metadata.db");
        anyhow::ensure!(path.exists(), "{} is not there", path.display());
        Shelf::on(root, Connection::open(&path)?)
    }

    fn on(root: &Path, db: Connection) -> Result<Shelf> {
        // Speed: a maker that is killed starts afresh.
        db.execute_batch("PRAGMA synchronous = OFF")?;
        // Calibre's own triggers call these.
        let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        db.create_scalar_function("title_sort", 1, pure, |call| {
            let title = call.get_raw(0).as_bytes_or_null()?.unwrap_or_default();
            Ok(String::from_utf8_lossy(title).into_owned())
        })?;
        db.create_scalar_function("uuid4", 0, pure, |_| Ok(String::new()))?;
        Ok(Shelf {
            root: root.into(),
            db,
        })
    }

    /// The library's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its database, for what [`Shelf::add`] does not do.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// Does many changes in one transaction.
    ///
    /// # Errors
    /// Those of `changes`; nothing is kept then but files.
    pub fn all_or_nothing(&self, changes: impl FnOnce(&Shelf) -> Result<()>) -> Result<()> {
        let transaction = self.db.unchecked_transaction()?;
        changes(self)?;
        Ok(transaction.commit()?)
    }

    /// Adds a book: its rows, folder and files. Gives its id.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn add(&self, book: &Book) -> Result<i64> {
        let db = &self.db;
        let sorts: Vec<&str> = book.authors.iter().map(|(_, sort)| sort.as_str()).collect();
        db.prepare_cached(
            "INSERT INTO books(title, sort, timestamp, pubdate, series_index, author_sort, \
             has_cover, last_modified) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?2)",
        )?
        .execute(params![
            book.title,
            MODIFIED,
            book.pubdate
                .as_deref()
                .unwrap_or("0101-01-01 00:00:00+00:00"),
            book.series.as_ref().map_or(1.0, |(_, index)| *index),
            sorts.join(" & "),
            book.cover.is_some(),
        ])?;
        let id = db.last_insert_rowid();
        let author = book.authors.first().map_or("Unknown", |(name, _)| name);
        let folder = format!("{}/{} ({id})", plain(author, 42), plain(&book.title, 42));
        db.prepare_cached("UPDATE books SET path = ?2, uuid = ?3 WHERE id = ?1")?
            .execute(params![id, folder, uuid(id)])?;
        self.link_names(id, book)?;
        self.add_files(id, &folder, book, author)?;
        Ok(id)
    }

    fn link_names(&self, id: i64, book: &Book) -> Result<()> {
        let db = &self.db;
        for (name, sort) in &book.authors {
            let author = self.name_id("authors", "name", &name.replace(',', "|"))?;
            db.prepare_cached("UPDATE authors SET sort = ?2 WHERE id = ?1")?
                .execute(params![author, sort])?;
            self.link("books_authors_link", "author", id, author)?;
        }
        for tag in &book.tags {
            let tag = self.name_id("tags", "name", tag)?;
            self.link("books_tags_link", "tag", id, tag)?;
        }
        for (order, code) in book.languages.iter().enumerate() {
            let language = self.name_id("languages", "lang_code", code)?;
            db.prepare_cached(
                "INSERT INTO books_languages_link(book, lang_code, item_order) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, language, order as i64])?;
        }
        if let Some((name, _)) = &book.series {
            let series = self.name_id("series", "name", name)?;
            self.link("books_series_link", "series", id, series)?;
        }
        if let Some(name) = &book.publisher {
            let publisher = self.name_id("publishers", "name", name)?;
            self.link("books_publishers_link", "publisher", id, publisher)?;
        }
        if let Some(stars) = book.rating {
            let rating = self.name_id("ratings", "rating", &stars.to_string())?;
            self.link("books_ratings_link", "rating", id, rating)?;
        }
        for (scheme, value) in &book.identifiers {
            db.prepare_cached("INSERT INTO identifiers(book, type, val) VALUES (?1, ?2, ?3)")?
                .execute(params![id, scheme, value])?;
        }
        if let Some(text) = &book.comments {
            db.prepare_cached("INSERT INTO comments(book, text) VALUES (?1, ?2)")?
                .execute(params![id, text])?;
        }
        Ok(())
    }

    fn add_files(&self, id: i64, folder: &str, book: &Book, author: &str) -> Result<()> {
        let place = self.root.join(folder);
        fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
        let name = format!("{} - {}", plain(&book.title, 42), plain(author, 42));
        for (format, bytes) in &book.formats {
            fs::write(
                place.join(format!("{name}.{}", format.to_lowercase())),
                bytes,
            )?;
            self.db
                .prepare_cached(
                    "INSERT INTO data(book, format, uncompressed_size, name) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![id, format, bytes.len() as i64, name])?;
        }
        if let Some(jpeg) = &book.cover {
            fs::write(place.join("cover.jpg"), jpeg)?;
        }
        Ok(())
    }

    /// The id of a name, which is added when it is new.
    fn name_id(&self, table: &str, column: &str, name: &str) -> Result<i64> {
        let known = self
            .db
            .prepare_cached(&format!("SELECT id FROM {table} WHERE {column} = ?1"))?
            .query_row([name], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.db
            .prepare_cached(&format!("INSERT INTO {table}({column}) VALUES (?1)"))?
            .execute([name])?;
        Ok(self.db.last_insert_rowid())
    }

    fn link(&self, table: &str, column: &str, book: i64, name: i64) -> Result<()> {
        self.db
            .prepare_cached(&format!(
                "INSERT OR IGNORE INTO {table}(book, {column}) VALUES (?1, ?2)"
            ))?
            .execute([book, name])?;
        Ok(())
    }
}

/// A file name of ASCII letters, as Calibre makes them: what it cannot spell becomes `_`.
fn plain(text: &str, most: usize) -> String {
    let spelt: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '-' | '.' | ',' | '\'' | '(' | ')' => c,
            _ => '_',
        })
        .take(most)
        .collect();
    let spelt = spelt.trim().trim_end_matches('.');
    if spelt.is_empty() {
        "_".into()
    } else {
        spelt.into()
    }
}

/// A uuid of version 4 that depends on the book only.
pub fn uuid(id: i64) -> String {
    let mixed = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        mixed & 0xfff,
        (mixed >> 12) & 0xfff,
        id as u64 & 0xffff_ffff_ffff,
    )
}
