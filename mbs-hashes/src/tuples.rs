//! The fields of a row of `COPY … TO STDOUT (FORMAT binary)`.

use tokio_postgres::binary_copy::BinaryCopyOutRow;

/// One row of `N` fields.
#[derive(Clone, Copy)]
pub struct Tuple<'a, const N: usize>(pub(crate) &'a BinaryCopyOutRow);

impl<'a, const N: usize> Tuple<'a, N> {
    /// The bytes of a field as the server sent them, nothing for NULL.
    pub fn bytes(&self, column: usize) -> Option<&'a [u8]> {
        self.0.try_get(column).ok().flatten()
    }

    /// A whole number of any width, nothing for NULL or for a field that is none.
    pub fn int(&self, column: usize) -> Option<i64> {
        Some(match *self.bytes(column)? {
            [a, b] => i16::from_be_bytes([a, b]).into(),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => return None,
        })
    }
}
