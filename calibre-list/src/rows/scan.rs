//! A run over the books, in the order of their ids, with their files.

use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::{Connection, Result, Row, Statement};

use super::{
    Book, Custom, Extra, Format, Names, Schema,
    cursor::Cursor,
    merge::{Extras, Merge},
    time,
    value::{flag, float, int, push_bytes, set_text, shown, text, value},
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
    strays: Statement<'c>,
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
                    "SELECT book, {} FROM {} WHERE book BETWEEN ?1 AND ?2 ORDER BY {order}",
                    listed.join(", "),
                    schema.from(table),
                )),
                false => snapshot.prepare("SELECT NULL WHERE ?1 > ?2 AND 0"),
            }
        };
        let book = |column| schema.column("books", column);
        let size = schema.column("data", "uncompressed_size");
        let (books, data) = (schema.from("books"), schema.from("data"));
        let custom = custom.unwrap_or_default();
        Ok(Scan {
            names,
            custom,
            all,
            books: snapshot.prepare(&format!(
                "SELECT id, title, path, {}, {}, {}, {}, {}, {}, {}, {} \
                 FROM {books} WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
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
                "SELECT book, format, name, {size} FROM {data} \
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
            strays: snapshot.prepare(&format!(
                "SELECT book, format, name, {size} FROM {data} WHERE typeof(book) <> 'integer'"
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
        let open = |statement| Cursor::open(statement, first, last);
        let mut books = open(&mut self.books)?;
        let mut data = open(&mut self.data)?;
        let extras = match self.all {
            true => Some(Extras {
                columns: self.custom,
                comments: open(&mut self.comments)?,
                customs: self.customs.iter_mut().map(open).collect::<Result<_>>()?,
            }),
            false => None,
        };
        let mut merge = Merge {
            names: self.names,
            authors: open(&mut self.authors)?,
            languages: open(&mut self.languages)?,
            tags: open(&mut self.tags)?,
            identifiers: open(&mut self.identifiers)?,
            series: open(&mut self.series)?,
            publishers: open(&mut self.publishers)?,
            ratings: open(&mut self.ratings)?,
            extras,
            links: Vec::new(),
            places: Vec::new(),
        };
        let mut book = Book::default();
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
            if wanted(id) {
                own_columns(&mut book, id, row, self.all);
                book.formats.clear();
                data.take(id, |row| book.formats.push(format(row)))?;
                merge.fill(&mut book)?;
                if each(Found::Book(&book)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else {
                data.take(id, |_| {})?;
            }
            books.advance()?;
        }
    }

    /// Gives the files whose row names no book by a number to `each`.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn strays(&mut self, mut each: impl FnMut(Found<'_, 'c>) -> ControlFlow<()>) -> Result<()> {
        let mut rows = self.strays.query([])?;
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
    let at = |column| shown(value(row, column)).and_then(|text| time::rfc3339(&text));
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
