//! The merge: what all other tables have about a book, from cursors that advance with it.

use rusqlite::{Result, Row};

use super::{
    Book, Custom, Extra, Names,
    cursor::Cursor,
    value::{int, shown, text, value},
};

/// The cursors, and memory that every book uses again.
pub(super) struct Merge<'s, 'n> {
    pub names: &'n Names,
    pub authors: Cursor<'s>,
    pub languages: Cursor<'s>,
    pub tags: Cursor<'s>,
    pub identifiers: Cursor<'s>,
    pub series: Cursor<'s>,
    pub publishers: Cursor<'s>,
    pub ratings: Cursor<'s>,
    pub extras: Option<Extras<'s, 'n>>,
    /// Links of one table: order, link id, linked id.
    pub links: Vec<(i64, i64, i64)>,
    /// Where the authors' names are.
    pub places: Vec<usize>,
}

/// What `--fields all` reads besides.
pub(super) struct Extras<'s, 'n> {
    pub columns: &'n [Custom],
    pub comments: Cursor<'s>,
    pub customs: Vec<Cursor<'s>>,
}

impl<'n> Merge<'_, 'n> {
    /// Fills in what the book's own row does not have.
    pub(super) fn fill(&mut self, book: &mut Book<'n>) -> Result<()> {
        let (id, names) = (book.id, self.names);
        self.fill_authors(book)?;
        let links = &mut self.links;

        links.clear();
        self.languages.take(id, |row| {
            let order = int(value(row, 2)).unwrap_or(0);
            links.extend(link(row, 3).map(|(_, link, code)| (order, link, code)));
        })?;
        links.sort_unstable();
        refill(
            &mut book.languages,
            links.iter().filter_map(|link| names.languages.get(link.2)),
        );

        links.clear();
        self.tags.take(id, |row| links.extend(link(row, 2)))?;
        links.sort_unstable();
        refill(
            &mut book.tags,
            links.iter().filter_map(|link| names.tags.get(link.2)),
        );

        book.identifiers.clear();
        self.identifiers.take(id, |row| {
            let [kind, value] = [1, 2].map(|column| shown(value(row, column)).unwrap_or_default());
            book.identifiers.push([&kind, ":", &value].concat());
        })?;

        let linked = |row: &Row<'_>| int(value(row, 1));
        book.series = None;
        self.series.take(id, |row| {
            book.series = linked(row).and_then(|id| names.series.get(id))
        })?;
        book.series_index = book.series_index.filter(|_| book.series.is_some());
        book.publisher = None;
        self.publishers.take(id, |row| {
            book.publisher = linked(row).and_then(|id| names.publishers.get(id));
        })?;
        book.rating = None;
        self.ratings.take(id, |row| {
            book.rating = linked(row).and_then(|id| names.rating(id))
        })?;
        self.fill_extras(book)
    }

    /// The index that serves this cursor has the authors in the order of their own ids; the book's
    /// order is that in which they were linked.
    fn fill_authors(&mut self, book: &mut Book<'n>) -> Result<()> {
        let (names, links) = (self.names, &mut self.links);
        links.clear();
        self.authors
            .take(book.id, |row| links.extend(link(row, 2)))?;
        links.sort_unstable();
        self.places.clear();
        self.places
            .extend(links.iter().filter_map(|link| names.authors.place(link.2)));
        let name = |place: &usize| names.authors.at(*place).unwrap_or("");
        refill(&mut book.authors, self.places.iter().map(name));
        let sort = |place: &usize| names.author_sorts.at(*place).unwrap_or("");
        refill(&mut book.author_sorts, self.places.iter().map(sort));
        Ok(())
    }

    fn fill_extras(&mut self, book: &mut Book<'n>) -> Result<()> {
        let Some(extras) = &mut self.extras else {
            return Ok(());
        };
        let link = |place: &usize| self.names.author_links.at(*place).unwrap_or("").into();
        let links = self.places.iter().map(link).collect();
        book.extras.push(("author_links", Extra::List(links)));
        extras.comments.take(book.id, |row| {
            let shown = text(value(row, 1)).map(Extra::Text);
            book.extras.extend(shown.map(|shown| ("comments", shown)));
        })?;
        for (column, cursor) in extras.columns.iter().zip(&mut extras.customs) {
            let mut cells = Vec::new();
            cursor.take(book.id, |row| cells.push(column.cell(row)))?;
            column.fields(cells, &mut book.extras);
        }
        Ok(())
    }
}

/// A link row as (link id, link id, linked id), so that sorting brings back the order of linking.
fn link(row: &Row<'_>, id: usize) -> Option<(i64, i64, i64)> {
    let link = int(value(row, id)).unwrap_or(0);
    Some((link, link, int(value(row, 1))?))
}

fn refill<'n>(list: &mut Vec<&'n str>, names: impl Iterator<Item = &'n str>) {
    list.clear();
    list.extend(names);
}
