//! One table's rows in book order, of which each book takes its own.

use rusqlite::{
    Result, Row, Rows, Statement, fallible_streaming_iterator::FallibleStreamingIterator,
    types::ValueRef,
};

use super::value::value;

/// A cursor standing on the first row that has not been taken. Column 0 is the book's id.
pub(super) struct Cursor<'s> {
    rows: Rows<'s>,
    /// The book of that row; `None` at the end.
    book: Option<i64>,
}

impl<'s> Cursor<'s> {
    /// Runs a statement whose two parameters are the first and last book.
    pub(super) fn open(
        statement: &'s mut Statement<'_>,
        first: i64,
        last: i64,
    ) -> Result<Cursor<'s>> {
        let mut cursor = Cursor {
            rows: statement.query([first, last])?,
            book: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The book of the next row.
    pub(super) fn book(&self) -> Option<i64> {
        self.book
    }

    /// Goes to the next row that belongs to a book.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.book = None;
        while self.book.is_none() {
            match self.rows.next()? {
                Some(row) => {
                    if let ValueRef::Integer(book) = value(row, 0) {
                        self.book = Some(book);
                    }
                }
                None => break,
            }
        }
        Ok(())
    }

    /// The row that the cursor stands on.
    pub(super) fn row(&self) -> Option<&Row<'s>> {
        self.rows.get()
    }

    /// Gives the rows of `book` to `each`; those of books before it are passed over.
    pub(super) fn take(&mut self, book: i64, mut each: impl FnMut(&Row<'_>)) -> Result<()> {
        while let Some(next) = self.book.filter(|next| *next <= book) {
            if next == book
                && let Some(row) = self.rows.get()
            {
                each(row);
            }
            self.advance()?;
        }
        Ok(())
    }
}
