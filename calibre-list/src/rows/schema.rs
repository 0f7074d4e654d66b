//! What this library's database has. Calibre has added and dropped columns over the years, and
//! other programs add tables; only what is there is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, types::ValueRef};

use super::{
    index::{self, Way, quoted},
    value::{text, value},
};
use crate::Error;

/// Without these there is no telling where a file is.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("books", &["id", "title", "path"]),
    ("data", &["book", "format", "name"]),
    ("authors", &["id", "name"]),
    ("books_authors_link", &["id", "book", "author"]),
];

/// What tells where files are.
const FILES: [&str; 3] = ["library_id", "books", "data"];
/// What books have besides.
const CORE: [&str; 13] = [
    "authors",
    "books_authors_link",
    "books_languages_link",
    "books_publishers_link",
    "books_ratings_link",
    "books_series_link",
    "books_tags_link",
    "identifiers",
    "languages",
    "publishers",
    "ratings",
    "series",
    "tags",
];
/// What only `--fields all` shows; and each column of the user's own has two tables.
const ALL: [&str; 2] = ["comments", "custom_columns"];
const CUSTOM: [&str; 2] = ["custom_column_", "books_custom_column_"];

/// What will be read of a database. The rest may be damaged, or nothing of Calibre's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Where files are.
    #[default]
    Files,
    /// What most readers want to know of books.
    Core,
    /// Also comments and the user's own columns.
    All,
}

impl Extent {
    fn holds(self, table: &str) -> bool {
        let custom = || CUSTOM.iter().any(|start| table.starts_with(start));
        FILES.contains(&table)
            || self >= Extent::Core && CORE.contains(&table)
            || self >= Extent::All && (ALL.contains(&table) || custom())
    }
}

/// The tables: how each may be read, as it stands after FROM, and its columns.
#[derive(Clone, Debug, Default)]
pub struct Schema(BTreeMap<String, (String, BTreeSet<String>)>);

impl Schema {
    /// Reads them from `snapshot`; `database` is named in errors.
    ///
    /// # Errors
    /// What a library must have is not there, or the database is damaged.
    pub(crate) fn read(
        snapshot: &Connection,
        database: &Path,
        extent: Extent,
    ) -> Result<Schema, Error> {
        let failed = |error| Error::sqlite(database, error);
        let mut schema = Schema::default();
        for (table, is_ordinary) in tables(snapshot).map_err(failed)? {
            if !extent.holds(&table) {
                continue;
            }
            // A view may have no end, and another table may hide what the file holds.
            if !is_ordinary {
                return Err(Error::OddTable(database.into(), table));
            }
            let columns = columns(snapshot, &table).map_err(failed)?;
            let is_plain = |column: &str| columns.contains(column);
            match index::way(snapshot, &table, is_plain).map_err(failed)? {
                Way::By(from) => schema.0.insert(table, (from, columns)),
                Way::Damaged(damage) => return Err(Error::Damaged(database.into(), damage)),
            };
        }
        for (table, columns) in REQUIRED {
            if !extent.holds(table) {
                continue;
            }
            if !schema.has_table(table) {
                return Err(Error::NotCalibre(database.into(), format!("table {table}")));
            }
            if let Some(column) = columns.iter().find(|column| !schema.has(table, column)) {
                return Err(Error::NotCalibre(
                    database.into(),
                    format!("column {column} in its table {table}"),
                ));
            }
        }
        Ok(schema)
    }

    /// What stands after FROM, so that the table is read by an index that has all its rows or by none.
    /// A statement that only gives the name would leave the choice to SQLite, which trusts them all.
    pub fn from(&self, table: &str) -> &str {
        self.0.get(table).map_or("", |(from, _)| from)
    }

    /// Is there such a table?
    pub fn has_table(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// Has the table such a column?
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.0
            .get(table)
            .is_some_and(|(_, columns)| columns.contains(column))
    }

    /// The column, or NULL where the table has none of that name.
    pub(crate) fn column<'c>(&self, table: &str, column: &'c str) -> &'c str {
        if self.has(table, column) {
            column
        } else {
            "NULL"
        }
    }
}

/// The tables and views, their names in lower case, and whether each is a table of rows in the file: no
/// view, no virtual table, none that is nothing but an index.
fn tables(snapshot: &Connection) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut listed = snapshot.prepare(
        "SELECT name, type = 'table' AND rootpage > 0 AND sql LIKE 'CREATE TABLE%' \
         FROM main.sqlite_master WHERE type IN ('table', 'view')",
    )?;
    let mut rows = listed.query([])?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(name) = text(value(row, 0)) else {
            continue;
        };
        let is_ordinary = value(row, 1) == ValueRef::Integer(1)
            && snapshot
                .prepare(&format!(
                    "SELECT rowid FROM main.{} NOT INDEXED",
                    quoted(&name)
                ))
                .is_ok();
        tables.push((name.to_ascii_lowercase(), is_ordinary));
    }
    Ok(tables)
}

/// The columns that are stored, in lower case; computed ones are not among them.
fn columns(snapshot: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut listed = snapshot.prepare(&format!("PRAGMA main.table_info({})", quoted(table)))?;
    let names = listed.query_map([], |row| row.get::<_, String>(1))?;
    names
        .map(|name| name.map(|name| name.to_ascii_lowercase()))
        .collect()
}
