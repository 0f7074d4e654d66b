//! The rows of `COPY … TO STDOUT (FORMAT binary)`, found without copying them.
//!
//! The stream is a header, then for each row a 16-bit count of fields and for each field a 32-bit
//! length (-1 for NULL) and its bytes, and at its end a count of -1, which proves that nothing is
//! missing. All numbers are big-endian. (PostgreSQL's manual, COPY, File Formats.)

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The fields of one row.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a, const N: usize>([Option<&'a [u8]>; N]);

impl<'a, const N: usize> Tuple<'a, N> {
    /// The bytes of a field as the server sent them, nothing for NULL.
    pub fn bytes(&self, column: usize) -> Option<&'a [u8]> {
        self.0[column]
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

/// Finds the rows of `N` fields in chunks that may end anywhere.
#[derive(Debug, Default)]
pub struct Tuples<const N: usize> {
    /// What the last chunk left over.
    rest: Vec<u8>,
    started: bool,
    ended: bool,
}

impl<const N: usize> Tuples<N> {
    /// Takes the next chunk and hands over each row that is whole now.
    ///
    /// # Errors
    /// Those of `each`, and what `wrong` makes of one line of reason when this is no such stream.
    pub fn feed<E>(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Tuple<'_, N>) -> Result<(), E>,
        wrong: impl Fn(&'static str) -> E,
    ) -> Result<(), E> {
        let joined;
        let mut data = if self.rest.is_empty() {
            chunk
        } else {
            joined = [std::mem::take(&mut self.rest).as_slice(), chunk].concat();
            &joined
        };
        if !self.started {
            match header(data).map_err(&wrong)? {
                Some(after) => (data, self.started) = (after, true),
                None => {
                    self.rest = data.to_vec();
                    return Ok(());
                }
            }
        }
        while !self.ended && !data.is_empty() {
            match tuple(data).map_err(&wrong)? {
                Piece::Row(row, after) => {
                    each(row)?;
                    data = after;
                }
                Piece::End => self.ended = true,
                Piece::Short => {
                    self.rest = data.to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Has the mark at the end of the stream been seen?
    pub fn ended(&self) -> bool {
        self.ended
    }
}

enum Piece<'a, const N: usize> {
    Row(Tuple<'a, N>, &'a [u8]),
    End,
    Short,
}

fn header(data: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let shared = data.len().min(SIGNATURE.len());
    if data[..shared] != SIGNATURE[..shared] {
        return Err("the server's answer is no binary COPY");
    }
    let Some((length, after)) = data.get(SIGNATURE.len() + 4..).and_then(int) else {
        return Ok(None);
    };
    Ok(usize::try_from(length).ok().and_then(|n| after.get(n..)))
}

fn tuple<const N: usize>(data: &[u8]) -> Result<Piece<'_, N>, &'static str> {
    let Some((count, mut data)) = data.split_first_chunk() else {
        return Ok(Piece::Short);
    };
    match i16::from_be_bytes(*count) {
        -1 => return Ok(Piece::End),
        count if usize::try_from(count) == Ok(N) => {}
        _ => return Err("the server's answer has another number of columns"),
    }
    let mut fields = [None; N];
    for field in &mut fields {
        let Some((length, after)) = int(data) else {
            return Ok(Piece::Short);
        };
        data = after;
        if let Ok(length) = usize::try_from(length) {
            let Some((value, after)) = data.split_at_checked(length) else {
                return Ok(Piece::Short);
            };
            (*field, data) = (Some(value), after);
        }
    }
    Ok(Piece::Row(Tuple(fields), data))
}

fn int(data: &[u8]) -> Option<(i32, &[u8])> {
    let (bytes, after) = data.split_first_chunk()?;
    Some((i32::from_be_bytes(*bytes), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        bytes.extend(b"\0\x02\0\0\0\x08\0\0\0\0\0\0\x01\0\0\0\0\x03abc");
        bytes.extend(b"\0\x02\0\0\0\x04\xff\xff\xff\xff\xff\xff\xff\xff");
        bytes.extend(b"\xff\xff");
        bytes
    }

    type Rows = Vec<(Option<i64>, Option<Vec<u8>>)>;

    fn read(chunks: &[&[u8]]) -> Result<(Rows, bool), &'static str> {
        let (mut tuples, mut rows) = (Tuples::<2>::default(), Vec::new());
        for chunk in chunks {
            let each = |row: Tuple<'_, 2>| {
                rows.push((row.int(0), row.bytes(1).map(<[u8]>::to_vec)));
                Ok(())
            };
            tuples.feed(chunk, each, |reason| reason)?;
        }
        Ok((rows, tuples.ended()))
    }

    #[test]
    fn rows_are_found_however_the_stream_is_cut() {
        let want = (
            vec![(Some(256), Some(b"abc".to_vec())), (Some(-1), None)],
            true,
        );
        let bytes = stream();
        for size in 1..=bytes.len() {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(read(&chunks).unwrap(), want, "chunks of {size}");
        }
    }

    #[test]
    fn a_stream_cut_short_has_no_end() {
        let bytes = stream();
        for length in 0..bytes.len() {
            assert!(!read(&[&bytes[..length]]).unwrap().1, "{length} bytes");
        }
    }

    #[test]
    fn another_stream_is_refused() {
        assert!(read(&[b"id,hash\n1,abc"]).is_err());
        let mut bytes = stream();
        bytes[20] = 3;
        assert!(read(&[&bytes]).is_err());
    }
}
