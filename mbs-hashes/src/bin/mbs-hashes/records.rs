//! One row of the server's table becomes one record.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt, path::Path};

use mbs_hashes::source::Source;
use wire::{Line, Writer, write::ItemError};

/// Writes rows and counts them.
pub(crate) struct RowWriter<'a> {
    out: &'a Writer,
    line: Line,
    /// Rows written so far.
    pub(crate) rows: u64,
    /// The highest id among them.
    pub(crate) last_id: Option<i64>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a Writer) -> RowWriter<'a> {
        RowWriter {
            out,
            line: Line::new("known_hash"),
            rows: 0,
            last_id: None,
        }
    }

    /// Writes the row as a `known_hash`. One that can match no file is an `error` that holds what is
    /// known of it: the row stays visible, and nothing takes it for a file that the server has.
    pub(crate) fn write(&mut self, row: &Source<'_>) -> io::Result<()> {
        self.write_from(row, || format!("source {}", row.id.unwrap_or(0)))
    }

    /// As [`RowWriter::write`], for a row that a person finds in some other place than by its id.
    pub(crate) fn write_from(
        &mut self,
        row: &Source<'_>,
        place: impl FnOnce() -> String,
    ) -> io::Result<()> {
        self.rows += 1;
        self.last_id = self.last_id.max(row.id);
        match check(row) {
            Ok(sha1) => {
                self.line.reset("known_hash");
                self.line
                    .text("sha1", str::from_utf8(&sha1).unwrap_or_default());
                fields(&mut self.line, row);
                self.out.write(&self.line)
            }
            Err(reason) => {
                let item_error = ItemError {
                    op: "read",
                    message: &reason,
                    retry: false,
                };
                self.out
                    .fail_new(Some("known_hash"), &place(), item_error, |line| {
                        fields(line, row)
                    })
            }
        }
    }
}

fn fields(line: &mut Line, row: &Source<'_>) {
    for (name, value) in [
        ("size", row.size),
        ("source_id", row.id),
        ("ebook_id", row.ebook_id),
    ] {
        if let Some(value) = value {
            line.int(name, value);
        }
    }
    if let Some(location) = row.location {
        line.path_as(
            "location",
            "location_b64",
            Path::new(OsStr::from_bytes(location)),
        );
    }
    if let Some(format) = row.format {
        line.text("format", &String::from_utf8_lossy(format));
    }
}

/// A SHA-1 in lower-case hex digits.
type Hex = [u8; 40];

/// The row's SHA-1, or why the row can match no file.
fn check(row: &Source<'_>) -> Result<Hex, String> {
    let missing = [
        ("id", row.id.is_none()),
        ("ebook_id", row.ebook_id.is_none()),
        ("hash", row.hash.is_none()),
        ("size", row.size.is_none()),
        ("location", row.location.is_none()),
        ("format", row.format.is_none()),
    ];
    if let Some((name, _)) = missing.iter().find(|(_, missing)| *missing) {
        return Err(format!("the row has no {name}"));
    }
    let hash = row.hash.unwrap_or_default();
    let Some(sha1) = hex(hash) else {
        return Err(format!(
            "its hash {:?} is no SHA-1",
            String::from_utf8_lossy(hash)
        ));
    };
    match row.size {
        Some(size) if size < 0 => Err(format!("its size is {size}")),
        _ => Ok(sha1),
    }
}

/// Lower-cases forty hex digits. Without a branch for each: whether a digit is a letter is a coin
/// toss, and a wrong guess at every other one took a quarter of the whole run.
fn hex(text: &[u8]) -> Option<Hex> {
    let mut lower: Hex = text.try_into().ok()?;
    let mut good = true;
    for byte in &mut lower {
        // Of the digits it changes nothing.
        *byte |= 0x20;
        good &= (byte.wrapping_sub(b'0') < 10) | (byte.wrapping_sub(b'a') < 6);
    }
    // Setting that bit makes digits of sixteen control characters.
    good &= text.iter().fold(true, |good, byte| good & (*byte >= b'0'));
    good.then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Source<'_> = Source {
        id: Some(1),
        ebook_id: Some(2),
        hash: Some(b"DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"),
        size: Some(0),
        location: Some(b"a"),
        format: Some(b"epub"),
    };

    #[test]
    fn a_hash_is_lower_cased() {
        assert_eq!(
            check(&GOOD).unwrap(),
            *b"da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
    }

    #[test]
    fn hex_digits_are_what_the_standard_library_says() {
        for byte in 0..=u8::MAX {
            let text = [byte; 40];
            let want = byte
                .is_ascii_hexdigit()
                .then(|| text.map(|b| b.to_ascii_lowercase()));
            assert_eq!(hex(&text), want, "{byte}");
        }
        assert_eq!(hex(&[b'a'; 39]), None);
        assert_eq!(hex(&[b'a'; 41]), None);
    }

    #[test]
    fn a_row_that_can_match_nothing_says_why() {
        for (row, word) in [
            (
                Source {
                    hash: Some(b""),
                    ..GOOD
                },
                "SHA-1",
            ),
            (
                Source {
                    hash: Some(b"g39a3ee5e6b4b0d3255bfef95601890afd80709"),
                    ..GOOD
                },
                "SHA-1",
            ),
            (
                Source {
                    hash: Some(b" da39a3ee5e6b4b0d3255bfef95601890afd8070"),
                    ..GOOD
                },
                "SHA-1",
            ),
            (Source { hash: None, ..GOOD }, "hash"),
            (
                Source {
                    size: Some(-1),
                    ..GOOD
                },
                "size",
            ),
            (
                Source {
                    format: None,
                    ..GOOD
                },
                "format",
            ),
        ] {
            assert!(check(&row).unwrap_err().contains(word));
        }
    }
}
