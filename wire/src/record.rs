//! One line read: where its fields are is known, what they hold is left alone until asked for.

use std::{borrow::Cow, fmt, ops::Range, path::PathBuf};

use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{line, path};

/// A record as it came, its line kept byte for byte.
#[derive(Clone, Debug)]
pub struct Record {
    line: Vec<u8>,
    fields: Vec<Field>,
    kind: usize,
}

#[derive(Clone, Debug)]
struct Field {
    name: Name,
    value: Range<usize>,
}

#[derive(Clone, Debug)]
enum Name {
    At(Range<usize>),
    /// A name with escapes in it: kept as it reads, escaped again when copied.
    Escaped(Box<str>),
}

impl Record {
    /// Takes a line, with or without its newline.
    ///
    /// # Errors
    /// One line of reason: not a JSON object, or one without a `type`.
    pub fn parse(mut line: Vec<u8>) -> Result<Record, String> {
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        let text = std::str::from_utf8(&line).map_err(|_| "not UTF-8".to_string())?;
        let fields = serde_json::from_str::<Spans>(text)
            .map_err(|error| format!("not a JSON record: {error}"))?
            .locate(text);
        let mut record = Record {
            line,
            fields,
            kind: 0,
        };
        record.kind = record
            .position("type")
            .ok_or_else(|| "a JSON object without a type".to_string())?;
        if record.kind().is_empty() {
            return Err("the type is not a string".into());
        }
        Ok(record)
    }

    /// The record's type; types with escapes in their names do not exist here.
    pub fn kind(&self) -> &str {
        let raw = self.raw(&self.fields[self.kind].value);
        let inner = raw
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        text(inner.unwrap_or_default())
    }

    /// The line as it came, without its newline.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    fn raw(&self, range: &Range<usize>) -> &[u8] {
        &self.line[range.clone()]
    }

    fn name<'a>(&'a self, field: &'a Field) -> &'a [u8] {
        match &field.name {
            Name::At(range) => self.raw(range),
            Name::Escaped(name) => name.as_bytes(),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        // The last of several equal names wins, as in jq and DuckDB.
        self.fields
            .iter()
            .rposition(|field| self.name(field) == name.as_bytes())
    }

    /// One field decoded, or nothing when it is absent or of another type.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        let field = &self.fields[self.position(name)?];
        serde_json::from_slice(self.raw(&field.value)).ok()
    }

    /// A string field.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get::<Text<'_>>(name).map(|text| text.0)
    }

    /// The whole record as a typed one; fields that `T` does not know are ignored.
    ///
    /// # Errors
    /// One line of reason.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.line).map_err(|error| format!("{}: {error}", self.kind()))
    }

    /// The path that the record is about, its exact bytes.
    ///
    /// # Errors
    /// One line of reason: none is given, or it cannot be one.
    pub fn path(&self) -> Result<PathBuf, String> {
        self.path_of("path", "path_b64")
            .unwrap_or_else(|| Err("the record has no path".into()))
    }

    /// Another path field by its name and its twin's, or nothing when it is not there.
    pub fn path_of(&self, name: &str, twin: &str) -> Option<Result<PathBuf, String>> {
        let exact = |name| self.string(name).transpose();
        let text = self.string(name)?;
        Some(text.and_then(|text| path::decode(&text, exact(twin)?.as_deref())))
    }

    /// A string that must be one where it is there: half of a surrogate pair, as Python writes names
    /// that are not UTF-8, is none, and taking it for absent would pass the record by.
    fn string(&self, name: &str) -> Option<Result<Cow<'_, str>, String>> {
        let field = &self.fields[self.position(name)?];
        if self.raw(&field.value) == b"null" {
            return None;
        }
        Some(
            self.text(name)
                .ok_or_else(|| format!("its {name} is no text")),
        )
    }

    /// Appends `,"name":value` for every field but the type and those named in `without`.
    pub(crate) fn copy_fields(&self, without: &[&str], out: &mut Vec<u8>) {
        let left_out = |field| {
            let name = self.name(field);
            without.iter().any(|other| other.as_bytes() == name)
        };
        let clash = self.fields.iter().any(left_out);
        if !clash && self.kind == 0 {
            // The usual case: all that follows the type, but for the closing brace, in one piece.
            let rest = &self.line[self.fields[0].value.end..self.line.len() - 1];
            out.extend_from_slice(rest.trim_ascii());
            return;
        }
        for (i, field) in self.fields.iter().enumerate() {
            if i == self.kind || left_out(field) {
                continue;
            }
            out.push(b',');
            line::escape(out, text(self.name(field)));
            out.push(b':');
            out.extend_from_slice(&self.line[field.value.clone()]);
        }
    }
}

/// A part of a line that was checked to be UTF-8.
fn text(part: &[u8]) -> &str {
    std::str::from_utf8(part).unwrap_or_default()
}

/// A string that is borrowed where JSON's form of it is the string itself.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The names and raw values of a JSON object, in order.
struct Spans<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Spans<'_> {
    fn locate(self, text: &str) -> Vec<Field> {
        let range = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            start..start + part.len()
        };
        let field = |(name, value): (Cow<'_, str>, &RawValue)| Field {
            name: match name {
                Cow::Borrowed(name) => Name::At(range(name)),
                Cow::Owned(name) => Name::Escaped(name.into()),
            },
            value: range(value.get()),
        };
        self.0.into_iter().map(field).collect()
    }
}

impl<'de> Deserialize<'de> for Spans<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Spans<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spans<'de>, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some((Text(name), value)) =
                    map.next_entry::<Text<'de>, &'de RawValue>()?
                {
                    fields.push((name, value));
                }
                Ok(Spans(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Line;

    fn parsed(line: &str) -> Record {
        Record::parse(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn fields_are_found_and_decoded() {
        let record =
            parsed("{\"type\":\"t\", \"a\\u0062\":\"x\\ny\",\"n\":12,\"l\":[\"p\",\"q\"]}\n");
        assert_eq!(record.kind(), "t");
        assert_eq!(record.text("ab").unwrap(), "x\ny");
        assert_eq!(record.get::<u64>("n"), Some(12));
        assert_eq!(record.get::<Vec<String>>("l").unwrap(), ["p", "q"]);
        assert_eq!(record.text("n"), None);
    }

    #[test]
    fn unknown_fields_and_numbers_pass_as_they_are() {
        let record =
            parsed(r#"{"type":"t","big":123456789012345678901234567890,"e":1e0,"o":{"k":[1]}}"#);
        let mut line = Line::new("u");
        line.inherit(&record);
        assert_eq!(
            String::from_utf8_lossy(line.open_bytes()),
            r#"{"type":"u","big":123456789012345678901234567890,"e":1e0,"o":{"k":[1]}"#
        );
    }

    #[test]
    fn a_type_that_is_not_the_first_key_is_still_replaced() {
        let mut line = Line::new("u");
        line.inherit(&parsed(r#"{"a":1,"type":"t","b":2}"#));
        assert_eq!(line.open_bytes(), br#"{"type":"u","a":1,"b":2"#);
    }

    #[test]
    fn a_path_that_is_no_text_is_not_taken_for_no_path() {
        for line in [
            r#"{"type":"t","path":"/l/\udce9.epub"}"#,
            r#"{"type":"t","path":5}"#,
            r#"{"type":"t","path":"/l/\ufffd","path_b64":["L2w="]}"#,
        ] {
            assert!(
                parsed(line).path_of("path", "path_b64").unwrap().is_err(),
                "{line}"
            );
        }
        assert!(
            parsed(r#"{"type":"t","path":null}"#)
                .path_of("path", "path_b64")
                .is_none()
        );
        let path = parsed(r#"{"type":"t","path":"/a","path_b64":null}"#)
            .path()
            .unwrap();
        assert_eq!(path, std::path::Path::new("/a"));
    }

    #[test]
    fn what_is_no_record_says_so() {
        for line in [
            "",
            "x",
            "[1]",
            "{}",
            "{\"a\":1}",
            "{\"type\":1}",
            "{\"type\":\"t\"",
            "{\"type\":\"t\"}}",
        ] {
            assert!(Record::parse(line.as_bytes().to_vec()).is_err(), "{line}");
        }
        assert!(Record::parse(b"{\"type\":\"\xff\"}".to_vec()).is_err());
    }
}
