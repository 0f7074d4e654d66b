//! What `--fields all` adds: comments, sort titles, and the user's own columns.

use rusqlite::{Connection, Row, types::ValueRef};

use super::{
    Schema,
    names::{self, Table},
    time,
    value::{flag, float, int, text, value},
};

/// The value of a field that most records do not have.
#[derive(Clone, Debug, PartialEq)]
pub enum Extra {
    /// A string.
    Text(String),
    /// A list of strings.
    List(Vec<String>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Flag(bool),
}

/// A column that the user has added (table `custom_columns`).
#[derive(Debug)]
pub struct Custom {
    /// The field's name in records.
    pub field: &'static str,
    /// The name of a custom series' place.
    index_field: &'static str,
    kind: Kind,
    multiple: bool,
    /// The table that has the values, and the texts where books link to them.
    pub(super) query: String,
    texts: Option<Table>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Series,
    Int,
    Float,
    Flag,
    Time,
}

impl Custom {
    /// Reads which columns there are, those made of templates left out: they have no values.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn read_all(snapshot: &Connection, schema: &Schema) -> rusqlite::Result<Vec<Custom>> {
        if !schema.has("custom_columns", "datatype") {
            return Ok(Vec::new());
        }
        let mut statement = snapshot.prepare(&format!(
            "SELECT id, label, datatype, {}, {}, {} FROM {} ORDER BY id",
            schema.column("custom_columns", "is_multiple"),
            schema.column("custom_columns", "normalized"),
            schema.column("custom_columns", "mark_for_delete"),
            schema.from("custom_columns"),
        ))?;
        let mut rows = statement.query([])?;
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            columns.extend(Custom::read(snapshot, schema, row)?);
        }
        Ok(columns)
    }

    /// The names of its fields in records.
    pub fn fields_of(&self) -> impl Iterator<Item = &'static str> {
        let place = (self.kind == Kind::Series).then_some(self.index_field);
        [self.field].into_iter().chain(place)
    }

    fn read(
        snapshot: &Connection,
        schema: &Schema,
        row: &Row<'_>,
    ) -> rusqlite::Result<Option<Custom>> {
        let [multiple, normalized, deleted] =
            [3, 4, 5].map(|column| flag(value(row, column)).unwrap_or(false));
        let (Some(id), Some(label), Some(datatype)) =
            (int(value(row, 0)), text(value(row, 1)), text(value(row, 2)))
        else {
            return Ok(None);
        };
        let kind = match datatype.as_str() {
            "text" | "enumeration" | "comments" => Kind::Text,
            "series" => Kind::Series,
            "int" | "rating" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Flag,
            "datetime" => Kind::Time,
            _ => return Ok(None),
        };
        let (values, links) = (
            format!("custom_column_{id}"),
            format!("books_custom_column_{id}_link"),
        );
        let there = schema.has(&values, "value") && (!normalized || schema.has(&links, "value"));
        if deleted || !there {
            return Ok(None);
        }
        let (query, texts) = if normalized {
            let place = schema.column(&links, "extra");
            (
                format!(
                    "SELECT book, value, id, {place} FROM {}",
                    schema.from(&links)
                ),
                Some(names::read(snapshot, schema, &values, "value", false)?),
            )
        } else {
            let from = schema.from(&values);
            (format!("SELECT book, value, id FROM {from}"), None)
        };
        let field = leak(format!("custom_{label}"));
        let index_field = leak(format!("custom_{label}_index"));
        Ok(Some(Custom {
            field,
            index_field,
            kind,
            multiple,
            query,
            texts,
        }))
    }

    /// The fields of one book: `rows` holds link id, value and the place in a series.
    pub(super) fn fields(&self, mut rows: Vec<Cell>, out: &mut Vec<(&'static str, Extra)>) {
        rows.sort_unstable_by_key(|cell| cell.id);
        if self.multiple {
            let list = rows.into_iter().filter_map(|cell| cell.text).collect();
            out.push((self.field, Extra::List(list)));
            return;
        }
        let Some(cell) = rows.pop() else { return };
        let shown = cell.text.unwrap_or_default();
        let known = match self.kind {
            Kind::Text | Kind::Series => Some(Extra::Text(shown)),
            Kind::Int => int(ValueRef::Text(shown.as_bytes())).map(Extra::Int),
            Kind::Float => float(ValueRef::Text(shown.as_bytes())).map(Extra::Float),
            Kind::Flag => flag(ValueRef::Text(shown.as_bytes())).map(Extra::Flag),
            Kind::Time => time::rfc3339(&shown)
                .filter(|at| !time::is_unknown(at))
                .map(Extra::Text),
        };
        out.extend(known.map(|known| (self.field, known)));
        if let (Kind::Series, Some(place)) = (self.kind, cell.place) {
            out.push((self.index_field, Extra::Float(place)));
        }
    }

    /// One row of the column's statement.
    pub(super) fn cell(&self, row: &Row<'_>) -> Cell {
        let id = int(value(row, 2)).unwrap_or(0);
        match &self.texts {
            None => Cell {
                id,
                text: text(value(row, 1)),
                place: None,
            },
            Some(texts) => Cell {
                id,
                text: int(value(row, 1))
                    .and_then(|id| texts.get(id))
                    .map(Into::into),
                place: float(value(row, 3)),
            },
        }
    }
}

/// One value of a custom column.
pub(super) struct Cell {
    id: i64,
    text: Option<String>,
    place: Option<f64>,
}

/// A field's name for records. There are as many as the library has columns, read once a run.
fn leak(name: String) -> &'static str {
    name.leak()
}
