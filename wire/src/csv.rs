//! Records for people with spreadsheets: one header, one row a record, lists joined by `;`.

use std::borrow::Cow;

use crate::{
    Record,
    records::{Kind, SUMMARY},
};

/// The columns of a stream: every field that its types have, once.
#[derive(Clone, Debug)]
pub struct Columns(Vec<&'static str>);

impl Columns {
    /// The columns for a tool that writes these types. The summary is no row, nor is a journal's line.
    pub fn of(kinds: &[&'static Kind]) -> Columns {
        let mut columns = Columns(vec!["type"]);
        let is_row = |kind: &&&Kind| kind.name != SUMMARY.name && !kind.is_journal();
        for kind in kinds.iter().filter(is_row) {
            columns.add(kind.fields.iter().map(|field| field.name));
        }
        columns
    }

    /// Adds those that are not there yet.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = &'static str>) {
        for name in names {
            if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }

    /// The header row.
    pub fn header(&self) -> String {
        row(self.0.iter().map(|&name| Cow::Borrowed(name)))
    }

    /// One record's row; what it does not have is empty.
    pub fn row(&self, record: &Record) -> String {
        row(self.0.iter().map(|name| cell(record, name)))
    }
}

fn cell<'a>(record: &'a Record, name: &str) -> Cow<'a, str> {
    if let Some(text) = record.text(name) {
        return text;
    }
    if let Some(list) = record.get::<Vec<String>>(name) {
        return list.join(";").into();
    }
    record
        .get::<serde_json::Value>(name)
        .map_or(Cow::Borrowed(""), |value| value.to_string().into())
}

fn row<'a>(cells: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing strings into a Vec cannot fail.
    let _ = writer.write_record(cells.map(|cell| cell.into_owned()));
    writer
        .into_inner()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{ERROR, FILE_HASH};

    #[test]
    fn cells_are_quoted_and_lists_joined() {
        let columns = Columns(vec!["type", "title", "authors", "size", "none"]);
        let record = Record::parse(
            br#"{"type":"t","title":"a \"b\", c\nd","authors":["x","y"],"size":3}"#.to_vec(),
        )
        .unwrap();
        assert_eq!(columns.row(&record), "t,\"a \"\"b\"\", c\nd\",x;y,3,\n");
    }

    #[test]
    fn each_column_is_there_once() {
        let header = Columns::of(&[&FILE_HASH, &ERROR, &SUMMARY]).header();
        assert_eq!(
            header,
            "type,path,path_b64,sha1,size,mtime,archive,archive_b64,member,member_b64,offset,format,\
             was,tool,op,message,retry\n"
        );
    }
}
