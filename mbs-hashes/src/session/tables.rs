//! Which of a database's tables are MyBookshelf2's. A search_path may lead to others of the same name: an
//! empty copy, a view that hides rows, another session's temporary table in a connection that is shared.
//! What is read is therefore named by its schema, and only ordinary tables are believed.

/// The tables that the tools read.
const NAMES: [&str; 3] = ["source", "ebook", "format"];

/// Asks for everything of those names.
pub(super) const ASK: &str = "SELECT quote_ident(nspname), relname, relkind, \
     EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid)::int, \
     (nspname = ANY (current_schemas(false)))::int, \
     has_schema_privilege(pg_namespace.oid, 'USAGE')::int \
     FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
     WHERE relname IN ('source', 'ebook', 'format') AND relkind IN ('r', 'v', 'm', 'f', 'p') \
     AND nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2";

/// The schema whose tables are the server's, quoted.
///
/// # Errors
/// One line of reason: there is none, or it cannot be told which.
pub(super) fn schema(rows: &[Vec<Option<String>>]) -> Result<String, String> {
    let found: Vec<Found> = rows.iter().filter_map(|row| Found::of(row)).collect();
    let mut schemas: Vec<&str> = found.iter().map(|one| one.schema).collect();
    schemas.dedup();
    let of =
        |schema: &str| -> Vec<&Found> { found.iter().filter(|one| one.schema == schema).collect() };
    schemas.retain(|schema| of(schema).len() == NAMES.len());
    let (good, bad): (Vec<&str>, Vec<&str>) = schemas
        .into_iter()
        .partition(|schema| of(schema).iter().all(|one| one.ordinary()));
    let visible: Vec<&str> = good
        .iter()
        .copied()
        .filter(|schema| of(schema).iter().all(|one| one.visible))
        .collect();
    match (visible.as_slice(), good.as_slice()) {
        ([one], _) | ([], [one]) if of(one).iter().all(|found| found.usable) => Ok((*one).into()),
        ([one], _) | ([], [one]) => Err(format!("this role may not use the schema {one}")),
        ([], []) => Err(
            match bad
                .iter()
                .flat_map(|schema| of(schema))
                .find(|one| !one.ordinary())
            {
                Some(odd) => format!(
                    "{}.{} is {}, which may hide rows: name the database that has the server's own tables",
                    odd.schema,
                    odd.name,
                    odd.what()
                ),
                None => {
                    "no tables source, ebook and format: is this MyBookshelf2's database?".into()
                }
            },
        ),
        ([], several) | (several, _) => Err(format!(
            "the schemas {} all have MyBookshelf2's tables: choose one by options=-csearch_path={}",
            several.join(", "),
            several[0]
        )),
    }
}

/// Something of one of the names.
struct Found<'a> {
    schema: &'a str,
    name: &'a str,
    kind: &'a str,
    has_parts: bool,
    visible: bool,
    usable: bool,
}

impl<'a> Found<'a> {
    fn of(row: &'a [Option<String>]) -> Option<Found<'a>> {
        let text = |column: usize| row.get(column)?.as_deref();
        Some(Found {
            schema: text(0)?,
            name: text(1)?,
            kind: text(2)?,
            has_parts: text(3)? != "0",
            visible: text(4)? == "1",
            usable: text(5)? == "1",
        })
    }

    fn ordinary(&self) -> bool {
        self.kind == "r" && !self.has_parts
    }

    fn what(&self) -> &'static str {
        match self.kind {
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            _ => "a table in parts",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of schemas, as `schema kind visible`; the kind is that of `source`.
    fn chosen(schemas: &[(&str, &str, bool)]) -> Result<String, String> {
        let mut rows = Vec::new();
        for (schema, kind, visible) in schemas {
            for name in NAMES {
                let kind = if name == "source" { kind } else { "r" };
                let (kind, parts) = kind.split_at(1);
                let visible = i32::from(*visible).to_string();
                let parts = i32::from(!parts.is_empty()).to_string();
                let row = [schema, name, kind, parts.as_str(), visible.as_str(), "1"];
                rows.push(row.map(|text| Some(text.to_string())).to_vec());
            }
        }
        schema(&rows)
    }

    #[test]
    fn the_only_schema_with_ordinary_tables_is_the_server_s_wherever_the_path_leads() {
        assert_eq!(chosen(&[("public", "r", true)]).unwrap(), "public");
        assert_eq!(chosen(&[("books", "r", false)]).unwrap(), "books");
        for kind in ["v", "m", "f", "p", "r+"] {
            let shadow = [("a", kind, true), ("public", "r", false)];
            assert_eq!(chosen(&shadow).unwrap(), "public", "{kind}");
        }
        let staged = [("public", "r", true), ("staging", "r", false)];
        assert_eq!(chosen(&staged).unwrap(), "public");
    }

    #[test]
    fn an_incomplete_copy_is_passed_over() {
        let row = |schema: &str, name: &str| {
            let row = [schema, name, "r", "0", "1", "1"];
            row.map(|text| Some(text.to_string())).to_vec()
        };
        let mut rows = vec![row("mine", "source")];
        rows.extend(NAMES.map(|name| row("public", name)));
        assert_eq!(schema(&rows).unwrap(), "public");
        assert!(schema(&rows[..1]).unwrap_err().contains("no tables"));
        assert!(schema(&[]).unwrap_err().contains("no tables"));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        for (kind, word) in [
            ("v", "view"),
            ("f", "foreign"),
            ("p", "parts"),
            ("r+", "parts"),
        ] {
            let said = chosen(&[("public", kind, true)]).unwrap_err();
            assert!(
                said.contains("public.source is a") && said.contains(word),
                "{said}"
            );
        }
        for visible in [true, false] {
            let said = chosen(&[("a", "r", visible), ("b", "r", visible)]).unwrap_err();
            assert!(said.contains("a, b"), "{said}");
        }
    }
}
