//! The rows of the server's table `source`: which bytes it has, and where.

use std::collections::HashMap;

use crate::{Failure, session::Transaction, tuples::Tuple};

/// The server's formats by id; it has seventeen.
#[derive(Debug, Default)]
pub struct Formats(HashMap<i64, Vec<u8>>);

impl Formats {
    /// Reads them. Joining them to each row would cost the server a sort or two million look-ups.
    ///
    /// # Errors
    /// As [`Transaction::copy`].
    pub fn read(transaction: &Transaction<'_>) -> Result<Formats, Failure> {
        let mut formats = HashMap::new();
        let query = format!("SELECT id, {} FROM format", transaction.text("extension"));
        transaction.copy(&query, |row: Tuple<'_, 2>| -> Result<(), Failure> {
            if let (Some(id), Some(extension)) = (row.int(0), row.bytes(1)) {
                formats.insert(id, extension.to_vec());
            }
            Ok(())
        })?;
        Ok(Formats(formats))
    }
}

/// One row. What is NULL although the server's own schema forbids it is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its id.
    pub id: Option<i64>,
    /// The ebook that it belongs to.
    pub ebook_id: Option<i64>,
    /// SHA-1 of the file in hex.
    pub hash: Option<&'a [u8]>,
    /// Size of the file in bytes.
    pub size: Option<i64>,
    /// Path below the folder of books.
    pub location: Option<&'a [u8]>,
    /// Extension of its format.
    pub format: Option<&'a [u8]>,
}

/// Streams the rows that `rest`, what follows `FROM`, selects. The table's name there is `source`.
///
/// # Errors
/// Those of `each`, and as [`Transaction::copy`].
pub fn stream<E: From<Failure>>(
    transaction: &Transaction<'_>,
    formats: &Formats,
    rest: &str,
    mut each: impl FnMut(Source<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (hash, location) = (
        transaction.text("source.hash"),
        transaction.text("source.location"),
    );
    let query = format!(
        "SELECT source.id, source.ebook_id, source.format_id, {hash}, source.size, {location} \
         FROM {rest}"
    );
    transaction.copy(&query, |row: Tuple<'_, 6>| {
        let format = row.int(2).and_then(|id| formats.0.get(&id));
        each(Source {
            id: row.int(0),
            ebook_id: row.int(1),
            hash: row.bytes(3),
            size: row.int(4),
            location: row.bytes(5),
            format: format.map(Vec::as_slice),
        })
    })
}
