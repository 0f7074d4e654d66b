//! Validation of a new ebook, in the two rounds of the server: first what must have an id, then
//! the types and lengths of the fields.

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// A new ebook that passed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) language: i64,
    pub(crate) authors: Vec<Named>,
    pub(crate) series: Option<Named>,
    pub(crate) series_index: Option<i64>,
    pub(crate) genres: Vec<i64>,
}

/// An author (last name, first name) or a series (title), known by id or by name.
#[derive(Debug)]
pub(crate) enum Named {
    Id(i64),
    Names(Option<String>, Option<String>),
}

impl Named {
    /// The names, where they are given.
    pub(crate) fn names(&self) -> Option<(&String, Option<&String>)> {
        match self {
            Self::Names(Some(last), first) => Some((last, first.as_ref())),
            _ => None,
        }
    }
}

/// An error inside an HTTP 200.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: &'static str,
    pub(crate) details: Value,
}

impl Refusal {
    pub(crate) fn answer(&self) -> Value {
        json!({ "error": self.error, "error_details": self.details })
    }
}

const MISSING: &str = "Missing data for required field.";
const NULL: &str = "Field may not be null.";

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An error inside an HTTP 200.
    Refused(Refusal),
    /// An HTTP error.
    Failed(Failure),
}

impl Stop {
    fn invalid(details: impl Into<Value>) -> Self {
        Self::Refused(Refusal {
            error: "Invalid data",
            details: details.into(),
        })
    }
}

/// Reads what was posted.
pub(crate) fn read(given: Value) -> Result<Draft, Stop> {
    let given = match given {
        Value::Object(given) if !given.is_empty() => given,
        Value::Array(list) if !list.is_empty() => return Err(Stop::invalid("Invalid data type")),
        _ => return Err(Stop::Failed(Failure::unreadable("no JSON object"))),
    };
    let language_given = match given.get("language") {
        Some(language) => Some(shrink(language, true)?),
        None => None,
    };
    let series_given = match given.get("series") {
        Some(series) => shrink(series, false)?,
        None => None,
    };
    let authors_given = shrink_list(given.get("authors"), false)?;
    let genres_given = shrink_list(given.get("genres"), true)?;
    let mut errors = Map::new();
    let draft = Draft {
        title: title(given.get("title"), &mut errors),
        language: language(language_given, &mut errors),
        authors: authors(&authors_given, &mut errors),
        series: series(series_given.as_ref(), &mut errors),
        series_index: series_index(given.get("series_index"), &mut errors),
        genres: genres_given
            .iter()
            .filter_map(|genre| integer(&genre["id"]))
            .collect(),
    };
    if errors.is_empty() {
        Ok(draft)
    } else {
        Err(Stop::invalid(errors))
    }
}

fn shrink_list(given: Option<&Value>, id_mandatory: bool) -> Result<Vec<Value>, Stop> {
    let list = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Stop::invalid("Value must be list")),
    };
    let shrunk: Result<Vec<_>, _> = list
        .iter()
        .map(|entity| shrink(entity, id_mandatory))
        .collect();
    Ok(shrunk?.into_iter().flatten().collect())
}

/// What the server keeps of a related thing: only the id where there is one; nothing of an empty
/// one.
fn shrink(entity: &Value, id_mandatory: bool) -> Result<Option<Value>, Stop> {
    let object = match entity {
        Value::Null | Value::Bool(false) => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Object(object) => object,
        _ => {
            return Err(Stop::Failed(Failure::internal(
                "object has no attribute 'get'",
            )));
        }
    };
    if object.is_empty() {
        return Ok(None);
    }
    match object
        .get("id")
        .filter(|id| !id.is_null() && *id != 0 && *id != "")
    {
        Some(id) => Ok(Some(json!({ "id": id }))),
        None if id_mandatory => Err(Stop::invalid(format!(
            "This entity {} must have id",
            python(entity)
        ))),
        None => {
            let mut object = object.clone();
            object.remove("id");
            Ok(Some(object.into()))
        }
    }
}

fn title(given: Option<&Value>, errors: &mut Map<String, Value>) -> String {
    let wrong = match given {
        None => MISSING,
        Some(given) => match text(given, 256) {
            Ok(Some(title)) => return title,
            Ok(None) => NULL,
            Err(wrong) => return note(errors, "title", &wrong),
        },
    };
    note(errors, "title", wrong)
}

fn note(errors: &mut Map<String, Value>, key: &str, wrong: &str) -> String {
    errors.insert(key.to_owned(), json!([wrong]));
    String::new()
}

fn language(given: Option<Option<Value>>, errors: &mut Map<String, Value>) -> i64 {
    match given {
        None => {
            errors.insert(
                "language".into(),
                json!({ "code": [MISSING], "name": [MISSING] }),
            );
        }
        Some(None) => {
            errors.insert("language".into(), json!([NULL]));
        }
        Some(Some(language)) => match integer(&language["id"]) {
            Some(id) => return id,
            None => {
                errors.insert("language".into(), json!({ "id": ["Not a valid integer."] }));
            }
        },
    }
    0
}

fn authors(given: &[Value], errors: &mut Map<String, Value>) -> Vec<Named> {
    let (mut authors, mut wrong) = (Vec::new(), Map::new());
    for (place, author) in given.iter().enumerate() {
        let mut here = Map::new();
        if let Some(id) = author.get("id") {
            match integer(id) {
                Some(id) => authors.push(Named::Id(id)),
                None => drop(here.insert("id".into(), json!(["Not a valid integer."]))),
            }
        } else {
            let mut name = |key: &str| match text(&author[key], 128) {
                Ok(name) => name,
                Err(wrong) => {
                    here.insert(key.to_owned(), json!([wrong]));
                    None
                }
            };
            let (last, first) = (name("last_name"), name("first_name"));
            authors.push(Named::Names(last, first));
        }
        if !here.is_empty() {
            wrong.insert(place.to_string(), here.into());
        }
    }
    if !wrong.is_empty() {
        errors.insert("authors".into(), wrong.into());
    }
    authors
}

fn series(given: Option<&Value>, errors: &mut Map<String, Value>) -> Option<Named> {
    let given = given?;
    if let Some(id) = given.get("id").and_then(integer) {
        return Some(Named::Id(id));
    }
    match text(&given["title"], 256) {
        Ok(title) => Some(Named::Names(title, None)),
        Err(wrong) => {
            errors.insert("series".into(), json!({ "title": [wrong] }));
            None
        }
    }
}

fn series_index(given: Option<&Value>, errors: &mut Map<String, Value>) -> Option<i64> {
    let given = given.filter(|given| !given.is_null())?;
    let index = integer(given);
    if index.is_none() {
        errors.insert("series_index".into(), json!(["Not a valid integer."]));
    }
    index
}

/// A text of at most so many characters; nothing for null or a missing one.
fn text(given: &Value, most: usize) -> Result<Option<String>, String> {
    match given {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= most => Ok(Some(text.clone())),
        Value::String(_) => Err(format!("Longer than maximum length {most}.")),
        _ => Err("Not a valid string.".to_owned()),
    }
}

/// Python's `int()`: cuts fractions, reads strings.
fn integer(given: &Value) -> Option<i64> {
    match given {
        #[allow(clippy::cast_possible_truncation)]
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(yes) => Some(i64::from(*yes)),
        _ => None,
    }
}

/// The way Python prints a value.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(list) => {
            format!(
                "[{}]",
                list.iter().map(python).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(object) => {
            let pair = |(key, value): (&String, &Value)| format!("'{key}': {}", python(value));
            format!(
                "{{{}}}",
                object.iter().map(pair).collect::<Vec<_>>().join(", ")
            )
        }
    }
}
