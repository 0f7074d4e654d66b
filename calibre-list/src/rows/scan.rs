//! The merge: books in the order of their ids, each with its rows of all other tables.

use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::{Connection, Result, Row, Statement};

use super::{
    Book, Custom, Extra, Format, Names, Schema,
    cursor::Cursor,
    time,
    value::{flag, float, int, push_bytes, push_text, set_text, text, value},
};

/// What a scan finds.
#[derive(Debug)]
pub enum Found<'a, 'n> {
    /// A book, with or without files.
    Book(&'a Book<'n>),
    /// A file of a book that is not there; `None` when it names no book at all.
    Stray(Option<i64>, &'a Format),
}

/// The statements of one connection, to be run over as many ranges of books as needed.
pub struct Scan<'c> {
    names: &'c Names,
    custom: &'c [Custom],
    all: bool,
    books: Statement<'c>,
    data: Statement<'c>,
    authors: Statement<'c>,
    languages: Statement<'c>,
    tags: Statement<'c>,
    identifiers: Statement<'c>,
    series: Statement<'c>,
    publishers: Statement<'c>,
    ratings: Statement<'c>,
    comments: Statement<'c>,
    customs: Vec<Statement<'c>>,
    nowhere: Statement<'c>,
}

impl<'c> Scan<'c> {
    /// Prepares the statements. With `custom`, books have their extra fields.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn new(
        snapshot: &'c Connection,
        schema: &Schema,
        names: &'c Names,
        custom: Option<&'c [Custom]>,
    ) -> Result<Scan<'c>> {
        let all = custom.is_some();
        let linked = |table: &str, columns: &[&str], order: &str| {
            let listed: Vec<&str> = columns
                .iter()
                .map(|column| schema.column(table, column))
                .collect();
            // A table that this library lacks gives no rows.
            match schema.has(table, "book") && schema.has(table, columns[0]) {
                true => snapshot.prepare(&format!(
                    "SELECT book, {} FROM {table} WHERE book BETWEEN ?1 AND ?2 ORDER BY {order}",
                    listed.join(", ")
                )),
                false => snapshot.prepare("SELECT NULL WHERE ?1 > ?2 AND 0"),
            }
        };
        let book = |column| schema.column("books", column);
        let size = schema.column("data", "uncompressed_size");
        let custom = custom.unwrap_or_default();
        Ok(Scan {
            names,
            custom,
            all,
            books: snapshot.prepare(&format!(
                "SELECT id, title, path, {}, {}, {}, {}, {}, {}, {}, {} \
                 FROM books WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
                book("uuid"),
                book("has_cover"),
                book("series_index"),
                book("pubdate"),
                book("last_modified"),
                if all { book("sort") } else { "NULL" },
                if all { book("author_sort") } else { "NULL" },
                if all { book("timestamp") } else { "NULL" },
            ))?,
            data: snapshot.prepare(&format!(
                "SELECT book, format, name, {size} FROM data \
                 WHERE book BETWEEN ?1 AND ?2 ORDER BY book, format"
            ))?,
            authors: linked("books_authors_link", &["author", "id"], "book")?,
            languages: linked(
                "books_languages_link",
                &["lang_code", "item_order", "id"],
                "book",
            )?,
            tags: linked("books_tags_link", &["tag", "id"], "book")?,
            identifiers: linked("identifiers", &["type", "val"], "book, type")?,
            series: linked("books_series_link", &["series"], "book")?,
            publishers: linked("books_publishers_link", &["publisher"], "book")?,
            ratings: linked("books_ratings_link", &["rating"], "book")?,
            comments: linked("comments", &["text"], "book")?,
            customs: custom
                .iter()
                .map(|column| {
                    let query = &column.query;
                    snapshot.prepare(&format!(
                        "{query} WHERE book BETWEEN ?1 AND ?2 ORDER BY book"
                    ))
                })
                .collect::<Result<_>>()?,
            nowhere: snapshot.prepare(&format!(
                "SELECT book, format, name, {size} FROM data WHERE typeof(book) <> 'integer'"
            ))?,
        })
    }

    /// Gives what is in the range to `each`, in the order of book ids, until it breaks. Books that
    /// are not `wanted` are passed over.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn range(
        &mut self,
        ids: &RangeInclusive<i64>,
        wanted: impl Fn(i64) -> bool,
        mut each: impl FnMut(Found<'_, 'c>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (first, last) = (*ids.start(), *ids.end());
        let names = self.names;
        let mut books = Cursor::open(&mut self.books, first, last)?;
        let mut data = Cursor::open(&mut self.data, first, last)?;
        let mut authors = Cursor::open(&mut self.authors, first, last)?;
        let mut languages = Cursor::open(&mut self.languages, first, last)?;
        let mut tags = Cursor::open(&mut self.tags, first, last)?;
        let mut identifiers = Cursor::open(&mut self.identifiers, first, last)?;
        let mut series = Cursor::open(&mut self.series, first, last)?;
        let mut publishers = Cursor::open(&mut self.publishers, first, last)?;
        let mut ratings = Cursor::open(&mut self.ratings, first, last)?;
        let mut extras = None;
        if self.all {
            let comments = Cursor::open(&mut self.comments, first, last)?;
            let customs = self.customs.iter_mut();
            let customs: Vec<_> = customs
                .map(|statement| Cursor::open(statement, first, last))
                .collect::<Result<_>>()?;
            extras = Some((comments, customs));
        }

        let mut book = Book::default();
        let mut ordered: Vec<(i64, i64, i64)> = Vec::new();
        loop {
            let id = books.book();
            // Files whose book is passed by now have none.
            while let Some(stray) = data.book().filter(|next| id.is_none_or(|id| *next < id)) {
                if wanted(stray)
                    && let Some(row) = data.row()
                    && each(Found::Stray(Some(stray), &format(row))).is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
                data.advance()?;
            }
            let (Some(id), Some(row)) = (id, books.row()) else {
                return Ok(ControlFlow::Continue(()));
            };
            if !wanted(id) {
                data.take(id, |_| {})?;
                books.advance()?;
                continue;
            }
            own_columns(&mut book, id, row, self.all);
            book.formats.clear();
            data.take(id, |row| book.formats.push(format(row)))?;

            ordered.clear();
            authors.take(id, |row| ordered.extend(link(row, 2)))?;
            ordered.sort_unstable();
            let linked = ordered.iter().map(|&(_, _, author)| author);
            let known = linked.filter(|author| names.authors.get(*author).is_some());
            let known: &Vec<i64> = &known.collect();
            refill(
                &mut book.authors,
                known.iter().map(|id| names.authors.get(*id).unwrap_or("")),
            );
            let sorts = known
                .iter()
                .map(|id| names.author_sorts.get(*id).unwrap_or(""));
            refill(&mut book.author_sorts, sorts);

            ordered.clear();
            languages.take(id, |row| {
                let order = int(value(row, 2)).unwrap_or(0);
                ordered.extend(link(row, 3).map(|(id, _, code)| (order, id, code)));
            })?;
            ordered.sort_unstable();
            refill(
                &mut book.languages,
                ordered.iter().filter_map(|row| names.languages.get(row.2)),
            );

            ordered.clear();
            tags.take(id, |row| ordered.extend(link(row, 2)))?;
            ordered.sort_unstable();
            refill(
                &mut book.tags,
                ordered.iter().filter_map(|row| names.tags.get(row.2)),
            );

            book.identifiers.clear();
            identifiers.take(id, |row| {
                let mut shown = String::new();
                push_text(&mut shown, value(row, 1));
                shown.push(':');
                push_text(&mut shown, value(row, 2));
                book.identifiers.push(shown);
            })?;
            book.series = None;
            series.take(id, |row| {
                book.series = int(value(row, 1)).and_then(|id| names.series.get(id))
            })?;
            book.series_index = book.series_index.filter(|_| book.series.is_some());
            book.publisher = None;
            publishers.take(id, |row| {
                book.publisher = int(value(row, 1)).and_then(|id| names.publishers.get(id));
            })?;
            book.rating = None;
            ratings.take(id, |row| {
                book.rating = int(value(row, 1)).and_then(|id| names.rating(id))
            })?;

            if let Some((comments, customs)) = &mut extras {
                let links = known
                    .iter()
                    .map(|id| names.author_links.get(*id).unwrap_or("").into());
                book.extras
                    .push(("author_links", Extra::List(links.collect())));
                comments.take(id, |row| {
                    let shown = text(value(row, 1)).map(Extra::Text);
                    book.extras.extend(shown.map(|shown| ("comments", shown)));
                })?;
                for (column, cursor) in self.custom.iter().zip(customs) {
                    let mut cells = Vec::new();
                    cursor.take(id, |row| cells.push(column.cell(row)))?;
                    column.fields(cells, &mut book.extras);
                }
            }
            if each(Found::Book(&book)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            books.advance()?;
        }
    }

    /// Gives the files whose row names no book by a number to `each`.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn nowhere(
        &mut self,
        mut each: impl FnMut(Found<'_, 'c>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut rows = self.nowhere.query([])?;
        while let Some(row) = rows.next()? {
            if each(Found::Stray(None, &format(row))).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What the table `books` itself has.
fn own_columns(book: &mut Book<'_>, id: i64, row: &Row<'_>, all: bool) {
    book.id = id;
    set_text(&mut book.title, value(row, 1));
    book.path.clear();
    push_bytes(&mut book.path, value(row, 2));
    set_text(&mut book.uuid, value(row, 3));
    book.has_cover = flag(value(row, 4)).unwrap_or(false);
    book.series_index = float(value(row, 5));
    let at = |column| text(value(row, column)).and_then(|text| time::rfc3339(&text));
    book.pubdate = at(6).filter(|at| !time::is_unknown(at));
    book.last_modified = at(7);
    book.extras.clear();
    if all {
        for (field, column) in [("sort", 8), ("author_sort", 9)] {
            book.extras
                .extend(text(value(row, column)).map(|text| (field, Extra::Text(text))));
        }
        let added = at(10).filter(|at| !time::is_unknown(at));
        book.extras
            .extend(added.map(|at| ("timestamp", Extra::Text(at))));
    }
}

fn format(row: &Row<'_>) -> Format {
    let mut format = Format {
        size: int(value(row, 3)),
        ..Format::default()
    };
    push_bytes(&mut format.format, value(row, 1));
    push_bytes(&mut format.name, value(row, 2));
    format
}

/// A link row as (link id, 0, linked id), so that sorting brings the order of linking back.
fn link(row: &Row<'_>, id: usize) -> Option<(i64, i64, i64)> {
    Some((int(value(row, id)).unwrap_or(0), 0, int(value(row, 1))?))
}

fn refill<'n>(list: &mut Vec<&'n str>, names: impl Iterator<Item = &'n str>) {
    list.clear();
    list.extend(names);
}
