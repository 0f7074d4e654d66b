//! What this library's database has. Calibre has added and dropped columns over the years, and
//! other programs add tables; only what is there is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;

use crate::Error;

/// Without these there is no telling where a file is.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("books", &["id", "title", "path"]),
    ("data", &["book", "format", "name"]),
    ("authors", &["id", "name"]),
    ("books_authors_link", &["id", "book", "author"]),
];

/// The tables and their columns.
#[derive(Clone, Debug, Default)]
pub struct Schema(BTreeMap<String, BTreeSet<String>>);

impl Schema {
    /// Reads them from `snapshot`; `database` is named in errors.
    ///
    /// # Errors
    /// What a library must have is not there, or the database is damaged.
    pub(crate) fn read(snapshot: &Connection, database: &Path) -> Result<Schema, Error> {
        let failed = |error| Error::sqlite(database, error);
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        let mut names = snapshot
            .prepare(
                "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'",
            )
            .map_err(failed)?;
        let pairs = names
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed)?;
        for pair in pairs {
            let (table, column) = pair.map_err(failed)?;
            tables.entry(table).or_default().insert(column);
        }
        let schema = Schema(tables);
        for (table, columns) in REQUIRED {
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

    /// Is there such a table?
    pub fn has_table(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// Has the table such a column?
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.0
            .get(table)
            .is_some_and(|columns| columns.contains(column))
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
