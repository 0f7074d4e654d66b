//! Making one record: fields appended as text, without a tree in between.

use std::path::Path;

use serde::Serialize;

use crate::{Record, path, records::RecordType};

/// A record being made. It becomes one line when a [`Writer`](crate::Writer) takes it.
///
/// Fields with an unknown value are left out, never null: give the `opt_` methods a `None`.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Everything but the closing brace.
    open: Vec<u8>,
    names: Vec<&'static str>,
}

impl Line {
    /// A line of this type and no fields yet.
    pub fn new(kind: &str) -> Line {
        let mut line = Line {
            open: Vec::with_capacity(512),
            names: Vec::with_capacity(16),
        };
        line.reset(kind);
        line
    }

    /// Starts over, keeping the memory.
    pub fn reset(&mut self, kind: &str) {
        self.open.clear();
        self.names.clear();
        self.open.extend_from_slice(b"{\"type\":");
        escape(&mut self.open, kind);
    }

    /// A line from a typed record.
    pub fn of<T: RecordType + Serialize>(record: &T) -> Line {
        let mut line = Line::new(T::KIND.name);
        // A struct of scalars and lists of strings always serialises, to at least `{}`.
        let body = serde_json::to_vec(record).unwrap_or_default();
        if let [b'{', fields @ .., b'}'] = body.as_slice()
            && !fields.is_empty()
        {
            line.open.push(b',');
            line.open.extend_from_slice(fields);
        }
        line.names
            .extend(T::KIND.fields.iter().map(|field| field.name));
        line
    }

    fn name(&mut self, name: &'static str) {
        debug_assert!(
            !name.bytes().any(must_escape),
            "{name:?} is no name of a field"
        );
        self.names.push(name);
        self.open.extend_from_slice(b",\"");
        self.open.extend_from_slice(name.as_bytes());
        self.open.extend_from_slice(b"\":");
    }

    /// A string.
    pub fn text(&mut self, name: &'static str, value: &str) -> &mut Line {
        self.name(name);
        escape(&mut self.open, value);
        self
    }

    /// A string, where it is known.
    pub fn opt_text(&mut self, name: &'static str, value: Option<&str>) -> &mut Line {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// A whole number; its magnitude must stay below 2^53, or jq changes it.
    pub fn int(&mut self, name: &'static str, value: impl Into<i128>) -> &mut Line {
        let value = value.into();
        debug_assert!(
            value.unsigned_abs() < 1 << 53,
            "{name} is too large for JSON readers"
        );
        self.scalar(name, &value)
    }

    /// A number; one that is not finite is not known, and left out.
    pub fn float(&mut self, name: &'static str, value: f64) -> &mut Line {
        if value.is_finite() {
            self.scalar(name, &value)
        } else {
            self
        }
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str, value: bool) -> &mut Line {
        self.scalar(name, &value)
    }

    fn scalar(&mut self, name: &'static str, value: &impl Serialize) -> &mut Line {
        self.name(name);
        // Writing a number or a bool into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.open, value);
        self
    }

    /// A list of strings, `[]` when empty.
    pub fn list<S: AsRef<str>>(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = S>,
    ) -> &mut Line {
        self.name(name);
        self.open.push(b'[');
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                self.open.push(b',');
            }
            escape(&mut self.open, value.as_ref());
        }
        self.open.push(b']');
        self
    }

    /// A path under the name `path`, and its twin `path_b64` when it is not UTF-8.
    pub fn path(&mut self, value: &Path) -> &mut Line {
        self.path_as("path", "path_b64", value)
    }

    /// A path under another name than `path`.
    pub fn path_as(&mut self, name: &'static str, twin: &'static str, value: &Path) -> &mut Line {
        let (text, exact) = path::encode(value);
        self.text(name, &text);
        match exact {
            Some(base64) => self.text(twin, &base64),
            None => {
                // An inherited twin would be another path's.
                self.names.push(twin);
                self
            }
        }
    }

    /// Leaves a field out for good: what is inherited has another's.
    pub fn omit(&mut self, name: &'static str) -> &mut Line {
        self.names.push(name);
        self
    }

    /// Takes over every field of `record` but its type and those that this line already has.
    /// They are copied as they stand in its line; nothing is parsed or changed.
    pub fn inherit(&mut self, record: &Record) -> &mut Line {
        record.copy_fields(&self.names, &mut self.open);
        self
    }

    /// The line's bytes without the closing brace and newline.
    pub fn open_bytes(&self) -> &[u8] {
        &self.open
    }

    /// The whole line, its newline included.
    pub fn bytes(&self) -> Vec<u8> {
        [self.open_bytes(), b"}\n"].concat()
    }

    /// How long the line will be, its closing brace and newline included.
    pub fn len(&self) -> usize {
        self.open.len() + 2
    }

    /// Never: a line has a type.
    pub fn is_empty(&self) -> bool {
        false
    }
}

const fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends `text` as a JSON string. Most texts need no escape, which a branch-free pass over each
/// block of 32 bytes finds out; that is what makes a million records cheap.
pub fn escape(out: &mut Vec<u8>, text: &str) {
    let clean = text
        .as_bytes()
        .chunks(32)
        .all(|block| !block.iter().fold(false, |e, &b| e | must_escape(b)));
    if clean {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string into a Vec cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_equals_the_library_s() {
        let all: String = (0..0x500).filter_map(char::from_u32).collect();
        for text in [
            "",
            "plain",
            "\"",
            "tab\there",
            "\u{1f600}",
            "\0",
            all.as_str(),
        ] {
            let mut ours = Vec::new();
            escape(&mut ours, text);
            assert_eq!(ours, serde_json::to_vec(text).unwrap());
        }
    }

    #[test]
    fn what_is_inherited_never_doubles_a_name() {
        let record = Record::parse(
            br#"{"type":"file_hash","path":"/a","path_b64":"L/8=","sha1":"old","x":[1,{"y":2}]}"#
                .to_vec(),
        )
        .unwrap();
        let mut line = Line::new("file_hash");
        line.path(Path::new("/b"))
            .text("sha1", "new")
            .inherit(&record);
        assert_eq!(
            String::from_utf8_lossy(line.open_bytes()),
            r#"{"type":"file_hash","path":"/b","sha1":"new","x":[1,{"y":2}]"#
        );
    }

    #[test]
    fn an_unknown_number_is_left_out() {
        let mut line = Line::new("t");
        line.float("rate", f64::NAN)
            .float("index", 2.0)
            .int("n", 7u64)
            .flag("ok", true);
        assert_eq!(
            line.open_bytes(),
            br#"{"type":"t","index":2.0,"n":7,"ok":true"#
        );
    }
}
