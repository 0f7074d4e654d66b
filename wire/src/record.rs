//! One line read: where its fields are is known, what they hold is left alone until asked for.

use std::{borrow::Cow, collections::HashSet, fmt, ops::Range, path::PathBuf};

use serde::{
    Deserialize,
    de::{
        DeserializeOwned, Deserializer, IntoDeserializer, MapAccess, Visitor,
        value::I64Deserializer,
    },
};
use serde_json::value::RawValue;

use crate::{line, path};

/// So many names are compared with one another sooner than put into a set.
const FEW: usize = 64;

/// A record as it came, its line kept byte for byte; only a line that two readers may read in two ways is
/// written anew, before anything else.
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
        let spans = serde_json::from_str::<Spans>(text)
            .map_err(|error| format!("not a JSON record: {error}"))?;
        if spans.is_plain() {
            let fields = spans.locate(text);
            return Record::of(line, fields);
        }
        let plain = spans.plainly()?;
        let fields = serde_json::from_str::<Spans>(&plain)
            .map_err(|error| format!("not a JSON record: {error}"))?
            .locate(&plain);
        Record::of(plain.into(), fields)
    }

    fn of(line: Vec<u8>, fields: Vec<Field>) -> Result<Record, String> {
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

    /// The record's type; only foreign ones have a quote or a control character in their names.
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
        self.fields
            .iter()
            .position(|field| self.name(field) == name.as_bytes())
    }

    /// One field decoded, or nothing when it is absent or of another type. A whole number is one in every
    /// form: 2896.0 and 2.896e3 are 2896.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        let raw = self.raw(&self.fields[self.position(name)?].value);
        let decoded = serde_json::from_slice(raw).ok();
        decoded.or_else(|| {
            let number: I64Deserializer<serde_json::Error> = whole(raw)?.into_deserializer();
            T::deserialize(number).ok()
        })
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
        let decoded = serde_json::from_slice(&self.line);
        decoded.or_else(|error| {
            serde_json::from_slice(&self.with_whole_numbers())
                .map_err(|_| format!("{}: {error}", self.kind()))
        })
    }

    /// The line with every whole number in its plain form.
    fn with_whole_numbers(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.line.len());
        for field in &self.fields {
            line.push(if line.is_empty() { b'{' } else { b',' });
            line::escape(&mut line, text(self.name(field)));
            line.push(b':');
            let raw = self.raw(&field.value);
            match whole(raw) {
                Some(number) => line.extend_from_slice(number.to_string().as_bytes()),
                None => line.extend_from_slice(raw),
            }
        }
        line.push(b'}');
        line
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

/// The whole number that these are the digits of, in whatever form, if it is one that all readers have.
fn whole(raw: &[u8]) -> Option<i64> {
    let number: f64 = text(raw).parse().ok()?;
    let exact = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
    exact.then_some(number as i64)
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
    /// Does every reader find the same in it? Each name is there once, and neither a name nor the type is
    /// hidden by escapes.
    fn is_plain(&self) -> bool {
        let hidden = |(name, value): &(Cow<'_, str>, &RawValue)| {
            matches!(name, Cow::Owned(_)) || name == "type" && value.get().contains('\\')
        };
        !self.0.iter().any(hidden) && self.each_once()
    }

    fn each_once(&self) -> bool {
        let fields = &self.0;
        if fields.len() <= FEW {
            let names = fields.iter().enumerate();
            return names.rev().all(|(i, (name, _))| {
                let before = &fields[..i];
                !before.iter().any(|(other, _)| other == name)
            });
        }
        let mut seen = HashSet::with_capacity(fields.len());
        fields.iter().all(|(name, _)| seen.insert(name.as_ref()))
    }

    /// The same with its type first and each name once. The last of several equal names wins, as in jq,
    /// Python and every browser.
    fn plainly(&self) -> Result<String, String> {
        let mut seen = HashSet::new();
        let mut last: Vec<_> = self.0.iter().rev().collect();
        last.retain(|(name, _)| seen.insert(name.as_ref()));
        last.reverse();
        last.sort_by_key(|(name, _)| name != "type");
        let mut line = Vec::new();
        for (name, value) in last {
            line.push(if line.is_empty() { b'{' } else { b',' });
            line::escape(&mut line, name);
            line.push(b':');
            match serde_json::from_str::<Cow<'_, str>>(value.get()) {
                Ok(kind) if name == "type" => line::escape(&mut line, &kind),
                _ => line.extend_from_slice(value.get().as_bytes()),
            }
        }
        line.push(b'}');
        String::from_utf8(line).map_err(|_| "not UTF-8".into())
    }

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
    fn a_name_that_is_there_twice_is_read_and_written_as_one() {
        for (came, plain) in [
            (
                r#"{"type":"error","a":1,"type":"file_hash"}"#,
                r#"{"type":"file_hash","a":1}"#,
            ),
            (
                r#"{"type":"t","\u0074ype":"error","p":"x"}"#,
                r#"{"type":"error","p":"x"}"#,
            ),
            (
                r#"{"a":1,"type":"\u0065rror"}"#,
                r#"{"type":"error","a":1}"#,
            ),
            (
                r#"{"type":"t","p":"x","b":{"p":1,"p":2},"\u0070":"y"}"#,
                r#"{"type":"t","b":{"p":1,"p":2},"p":"y"}"#,
            ),
            (r#"{"type":"t","a\nb":1}"#, r#"{"type":"t","a\nb":1}"#),
            (
                r#"{"a":{"type":"x"},"type":"t"}"#,
                r#"{"a":{"type":"x"},"type":"t"}"#,
            ),
        ] {
            let record = parsed(came);
            assert_eq!(text(record.line()), plain, "{came}");
            let value: serde_json::Value = serde_json::from_slice(record.line()).unwrap();
            assert_eq!(value["type"], record.kind());
            let mut line = Line::new("u");
            line.inherit(&record);
            let copied = [line.open_bytes(), b"}"].concat();
            assert_eq!(
                text(&copied).matches("\"p\":\"").count(),
                plain.matches("\"p\":\"").count()
            );
        }
        let last_is_no_type = br#"{"type":"t","type":7}"#.to_vec();
        assert!(Record::parse(last_is_no_type).is_err());
        let many: String = (0..100_000)
            .map(|n| format!(",\"n{}\":{n}", n % 50_000))
            .collect();
        let record = parsed(&format!("{{\"type\":\"t\"{many}}}"));
        assert_eq!(record.get::<u64>("n7"), Some(50_007));
    }

    #[test]
    fn a_whole_number_is_one_in_every_form() {
        let forms = ["2896", "2896.0", "2.896e3", "28960e-1", "2896.000E+0"];
        for form in forms {
            let record = parsed(&format!(r#"{{"type":"t","n":{form}}}"#));
            assert_eq!(record.get::<u64>("n"), Some(2896), "{form}");
            assert_eq!(record.get::<i64>("n"), Some(2896), "{form}");
            assert_eq!(record.get::<f64>("n"), Some(2896.0), "{form}");
            assert_eq!(record.text("n"), None);
            let summary = parsed(&format!(
                r#"{{"type":"summary","tool":"t","records":{form}}}"#
            ));
            let summary: crate::records::Summary = summary.decode().unwrap();
            assert_eq!(summary.records, 2896);
        }
        for none in [
            "2896.5",
            "9007199254740993.0",
            "1e400",
            "\"2896\"",
            "true",
            "[2896.0]",
        ] {
            let record = parsed(&format!(r#"{{"type":"t","n":{none}}}"#));
            assert_eq!(record.get::<u64>("n"), None, "{none}");
        }
        assert_eq!(parsed(r#"{"type":"t","n":-1.0}"#).get::<u64>("n"), None);
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
