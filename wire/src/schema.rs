//! `--schema`: the record types for the programs that read them.
//!
//! DuckDB guesses types from the first 20,480 records and turns what appears later into NULL without
//! a word, so its form names every column. SQLite has no reader for JSON lines; its form makes a
//! table of lines and one view a type.

use serde_json::{Map, Value, json};

use crate::records::{Field, Kind, Shape};

/// Whose form of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// JSON Schema
    Json,
    /// A ready query for DuckDB: duckdb -c "$(TOOL --schema duckdb)" <records.ndjson
    Duckdb,
    /// Table, import and views for sqlite3: TOOL --schema sqlite >s.sql; sqlite3 my.db '.read s.sql'
    Sqlite,
}

/// The schema of a stream that holds these types.
pub fn print(form: Form, kinds: &[&'static Kind]) -> String {
    match form {
        Form::Json => json_schema(kinds),
        Form::Duckdb => duckdb(kinds),
        Form::Sqlite => sqlite(kinds),
    }
}

fn json_schema(kinds: &[&'static Kind]) -> String {
    let kinds: Vec<Value> = kinds.iter().map(|kind| kind_schema(kind)).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "One line of the stream, or of a journal. Fields not listed here may be there and are passed on.",
        "oneOf": kinds,
    });
    format!("{schema:#}\n")
}

fn kind_schema(kind: &Kind) -> Value {
    let mut properties = Map::from_iter([("type".to_string(), json!({ "const": kind.name }))]);
    for field in kind.fields {
        let mut shape = match field.shape {
            Shape::Text => json!({ "type": "string" }),
            Shape::Integer => json!({ "type": "integer" }),
            Shape::Number => json!({ "type": "number" }),
            Shape::Flag => json!({ "type": "boolean" }),
            Shape::List => json!({ "type": "array", "items": { "type": "string" } }),
        };
        shape["description"] = field.doc.trim().into();
        properties.insert(field.name.into(), shape);
    }
    let required: Vec<&str> = std::iter::once("type")
        .chain(
            kind.fields
                .iter()
                .filter(|field| field.required)
                .map(|field| field.name),
        )
        .collect();
    json!({
        "title": kind.name,
        "description": kind.doc.trim(),
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

fn columns(kinds: &[&'static Kind]) -> Vec<&'static Field> {
    let mut columns: Vec<&'static Field> = Vec::new();
    for field in kinds.iter().flat_map(|kind| kind.fields) {
        if !columns.iter().any(|column| column.name == field.name) {
            columns.push(field);
        }
    }
    columns
}

fn duckdb(kinds: &[&'static Kind]) -> String {
    let mut list = String::from("\"type\": 'VARCHAR'");
    for field in columns(kinds) {
        let sql = match field.shape {
            Shape::Text => "VARCHAR",
            Shape::Integer => "BIGINT",
            Shape::Number => "DOUBLE",
            Shape::Flag => "BOOLEAN",
            Shape::List => "VARCHAR[]",
        };
        list.push_str(&format!(", \"{}\": '{sql}'", field.name));
    }
    format!(
        "SELECT * FROM read_json('/dev/stdin', format = 'newline_delimited', columns = {{{list}}})\n"
    )
}

fn sqlite(kinds: &[&'static Kind]) -> String {
    let mut script = String::from(
        "CREATE TABLE IF NOT EXISTS line(json TEXT);\n.mode ascii\n.separator \"\\037\" \"\\n\"\n\
         .import /dev/stdin line\n.mode list\n",
    );
    for kind in kinds {
        let fields: String = kind
            .fields
            .iter()
            .map(|field| format!(", json ->> '$.{0}' AS \"{0}\"", field.name))
            .collect();
        script.push_str(&format!(
            "CREATE VIEW IF NOT EXISTS {0} AS SELECT json ->> '$.type' AS type{fields} \
             FROM line WHERE json ->> '$.type' = '{0}';\n",
            kind.name
        ));
    }
    script
}
