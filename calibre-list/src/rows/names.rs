//! The names that many books share, held once: authors, tags, series, publishers, languages.

use rusqlite::Connection;

use super::{
    Schema,
    value::{int, push_text, value},
};

/// One table's names: all bytes in one string, two numbers a name.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Sorted.
    ids: Vec<i64>,
    /// Where each name ends; it begins where the one before ends.
    ends: Vec<u32>,
    text: String,
}

impl Table {
    fn push(&mut self, id: i64, fill: impl FnOnce(&mut String)) {
        // 4 GiB of names: a database of that kind is not read in this life.
        if self.text.len() < u32::MAX as usize / 2 {
            fill(&mut self.text);
            self.ids.push(id);
            self.ends.push(self.text.len() as u32);
        }
    }

    /// The name with this id.
    pub(super) fn get(&self, id: i64) -> Option<&str> {
        self.at(self.place(id)?)
    }

    /// Where the name with this id is; the same in all tables that were read from one.
    pub(super) fn place(&self, id: i64) -> Option<usize> {
        let first = *self.ids.first()?;
        // Ids are dense or nearly so: the place is at most as far from the first as the id is.
        let most = usize::try_from(id.checked_sub(first)?)
            .ok()?
            .min(self.ids.len() - 1);
        match self.ids[most] == id {
            true => Some(most),
            false => self.ids[..most].binary_search(&id).ok(),
        }
    }

    /// The name at a place.
    pub(super) fn at(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..end as usize)
    }
}

/// All names of a library. For 300,000 authors this takes some 12 MB.
#[derive(Debug, Default)]
pub struct Names {
    pub(super) authors: Table,
    pub(super) author_sorts: Table,
    pub(super) author_links: Table,
    pub(super) tags: Table,
    pub(super) series: Table,
    pub(super) publishers: Table,
    pub(super) languages: Table,
    pub(super) ratings: Vec<(i64, i64)>,
}

impl Names {
    /// Reads them from a snapshot; `all` also what only `--fields all` shows.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn read(snapshot: &Connection, schema: &Schema, all: bool) -> rusqlite::Result<Names> {
        let plain = |table: &str, column: &str| read(snapshot, schema, table, column, false);
        let mut names = Names {
            // A comma in an author's name is kept as a bar, since Calibre joins names with commas.
            authors: read(snapshot, schema, "authors", "name", true)?,
            author_sorts: plain("authors", "sort")?,
            tags: plain("tags", "name")?,
            series: plain("series", "name")?,
            publishers: plain("publishers", "name")?,
            languages: plain("languages", "lang_code")?,
            ..Names::default()
        };
        if all {
            names.author_links = plain("authors", "link")?;
        }
        if schema.has("ratings", "rating") {
            let from = schema.from("ratings");
            let ratings = format!("SELECT id, rating FROM {from} ORDER BY id");
            let mut ratings = snapshot.prepare(&ratings)?;
            let mut rows = ratings.query([])?;
            while let Some(row) = rows.next()? {
                if let (Some(id), Some(rating)) = (int(value(row, 0)), int(value(row, 1))) {
                    names.ratings.push((id, rating));
                }
            }
        }
        Ok(names)
    }

    pub(super) fn rating(&self, id: i64) -> Option<i64> {
        let place = self.ratings.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ratings[place].1)
    }
}

/// Reads one table of names.
pub(super) fn read(
    snapshot: &Connection,
    schema: &Schema,
    table: &str,
    column: &str,
    bars_are_commas: bool,
) -> rusqlite::Result<Table> {
    let mut names = Table::default();
    let mut name = String::new();
    if !schema.has(table, column) {
        return Ok(names);
    }
    let from = schema.from(table);
    let mut statement =
        snapshot.prepare(&format!("SELECT id, {column} FROM {from} ORDER BY id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let rusqlite::types::ValueRef::Integer(id) = value(row, 0) {
            names.push(id, |text| {
                name.clear();
                push_text(&mut name, value(row, 1));
                if bars_are_commas {
                    text.extend(name.chars().map(|c| if c == '|' { ',' } else { c }));
                } else {
                    text.push_str(&name);
                }
            });
        }
    }
    Ok(names)
}
