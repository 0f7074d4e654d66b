//! What a record says of its book, taken with care: a text that Python wrote may hold half of a
//! surrogate pair, and then it is no text for anybody else.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, Visitor},
};
use serde_json::value::RawValue;
use wire::Record;

use crate::metadata::book::Series;

/// The fields of one record; what had to be mended or left out is noted.
pub struct FieldReader<'a> {
    record: &'a Record,
    /// What was done to them.
    pub notes: Vec<String>,
}

impl<'a> FieldReader<'a> {
    /// Nothing read yet.
    pub fn new(record: &'a Record) -> FieldReader<'a> {
        FieldReader {
            record,
            notes: Vec::new(),
        }
    }

    /// A field that is a text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        let text = loose(raw);
        if text.is_none() {
            self.notes.push(format!("{name} left out: it is no text"));
        }
        Some(self.mended(name, text?))
    }

    /// A field that is a list of texts; what is none is an empty one, so that each keeps its place.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let Some(raw) = self.raw(name) else {
            return Vec::new();
        };
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
            self.notes
                .push(format!("{name} left out: it is no list of texts"));
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            texts.push(match loose(item.get()) {
                Some(text) => self.mended(name, text),
                None => {
                    self.notes.push(format!("{name}: what is no text left out"));
                    String::new()
                }
            });
        }
        texts
    }

    /// The series and the book's place in it.
    pub fn series(&mut self) -> Option<Series> {
        let title = self.text("series")?;
        let index = self.raw("series_index").and_then(|raw| {
            let index = serde_json::from_str::<f64>(raw).ok();
            if index.is_none() {
                self.notes
                    .push("series index left out: it is no number".into());
            }
            index
        });
        if let Some(index) = index.filter(|&index| whole(index).is_none_or(|i| i as f64 != index)) {
            self.notes.push(match whole(index) {
                Some(whole) => format!("series index {index} cut to {whole}"),
                None => "series index left out: too large".into(),
            });
        }
        Some(Series {
            title,
            index: index.and_then(whole),
        })
    }

    /// What stands there, unless it is absent or null.
    fn raw(&self, name: &str) -> Option<&'a str> {
        let raw: &RawValue = self.record.get(name)?;
        Some(raw.get()).filter(|&raw| raw != "null")
    }

    fn mended(&mut self, name: &str, text: Loose) -> String {
        if text.broken {
            self.notes
                .push(format!("{name}: half a surrogate pair replaced"));
        }
        text.text
    }
}

/// A whole number as the server's column takes it, the fraction cut off.
fn whole(index: f64) -> Option<i64> {
    let whole = index.trunc();
    (whole.is_finite() && whole.abs() <= f64::from(i32::MAX)).then_some(whole as i64)
}

/// A JSON string in which U+FFFD stands for each half of a surrogate pair.
struct Loose {
    text: String,
    broken: bool,
}

fn loose(raw: &str) -> Option<Loose> {
    // An array would be taken for bytes.
    raw.starts_with('"').then_some(())?;
    serde_json::from_str(raw).ok()
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Loose;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Loose, E> {
                Ok(mend(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// serde_json gives such a half as three bytes that are no UTF-8, the first of them 0xED.
fn mend(bytes: &[u8]) -> Loose {
    let mut mended = Loose {
        text: String::with_capacity(bytes.len()),
        broken: false,
    };
    for chunk in bytes.utf8_chunks() {
        mended.text.push_str(chunk.valid());
        if chunk.invalid().first() == Some(&0xED) {
            mended.text.push(char::REPLACEMENT_CHARACTER);
            mended.broken = true;
        }
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T>(json: &str, read: impl Fn(&mut FieldReader<'_>) -> T) -> (T, Vec<String>) {
        let line = format!(r#"{{"type":"file_hash",{json}}}"#);
        let record = Record::parse(line.into_bytes()).unwrap();
        let mut reader = FieldReader::new(&record);
        (read(&mut reader), reader.notes)
    }

    #[test]
    fn half_a_surrogate_pair_does_not_cost_the_text() {
        let (title, notes) = fields(r#""title":"caf\udce9 \ud83d\ude00 \ud83d""#, |t| {
            t.text("title")
        });
        assert_eq!(title.as_deref(), Some("caf\u{fffd} 😀 \u{fffd}"));
        assert_eq!(notes, ["title: half a surrogate pair replaced"]);
        let (authors, _) = fields(r#""authors":["A B","\udcff C"]"#, |t| t.list("authors"));
        assert_eq!(authors, ["A B", "\u{fffd} C"]);
    }

    #[test]
    fn what_is_no_text_is_told_and_the_rest_kept_in_place() {
        let (authors, notes) = fields(r#""authors":[1,"A B",null]"#, |t| t.list("authors"));
        assert_eq!(authors, ["", "A B", ""]);
        assert_eq!(notes.len(), 2);
        for (json, noted) in [
            (r#""title":5"#, 1),
            (r#""title":[104,105]"#, 1),
            (r#""title":null"#, 0),
            (r#""other":1"#, 0),
        ] {
            let (title, notes) = fields(json, |t| t.text("title"));
            assert_eq!((title, notes.len()), (None, noted), "{json}");
        }
        let (tags, notes) = fields(r#""tags":"a, b""#, |t| t.list("tags"));
        assert_eq!((tags.len(), notes.len()), (0, 1));
    }

    #[test]
    fn a_place_in_a_series_is_a_number() {
        for index in ["\"3\"", "1e999", "[1]"] {
            let (series, notes) = fields(&format!(r#""series":"S","series_index":{index}"#), |t| {
                t.series()
            });
            assert_eq!(series.unwrap().index, None);
            assert_eq!(notes, ["series index left out: it is no number"]);
        }
    }
}
