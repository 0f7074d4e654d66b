//! `POST /api/ebooks`: a new ebook. No uniqueness is checked; errors are HTTP 200.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio_postgres::Transaction;

use crate::access::Caller;
use crate::database::{NUL_REFUSED, as_psycopg};
use crate::draft::{Draft, Named, Refusal, Stop, read};
use crate::failure::{Answer, Failure};
use crate::log::About;
use crate::naming::Book;
use crate::{App, request};

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<tokio_postgres::Error> for Stop {
    /// Errors of the database while it stores are told politely.
    fn from(error: tokio_postgres::Error) -> Self {
        let text = as_psycopg(&error);
        let class = error.code().map(|code| code.code()[..2].to_owned());
        let details = match class.as_deref() {
            _ if text == NUL_REFUSED => text,
            Some("23") => format!("(psycopg2.IntegrityError) {text}"),
            Some("22") => format!("(psycopg2.DataError) {text}"),
            _ => format!("(psycopg2.OperationalError) {text}"),
        };
        Self::Refused(Refusal {
            error: "Database error",
            details: details.into(),
        })
    }
}

/// Answers a creation.
pub(crate) async fn create(
    Caller { user, .. }: Caller,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let given = request::json(&headers, &body)?.ok_or_else(|| Failure::unreadable("no JSON"))?;
    let draft = match read(given) {
        Ok(draft) => draft,
        Err(Stop::Refused(refusal)) => return Ok(Json(refusal.answer()).into_response()),
        Err(Stop::Failed(failure)) => return Err(failure),
    };
    let names = |author: &Named| {
        author
            .names()
            .map(|(last, first)| first.map_or(last.clone(), |first| format!("{last} {first}")))
    };
    let names = draft
        .authors
        .iter()
        .filter_map(names)
        .collect::<Vec<_>>()
        .join(", ");
    let about = Extension(About {
        hash: None,
        book: Some(format!("{}: {names}", draft.title)),
    });
    let mut client = app.database.get().await?;
    let work = client.transaction().await?;
    match store(&work, &draft, user.id).await {
        Ok(id) => {
            work.commit().await?;
            Ok((about, Json(json!({ "id": id, "success": true }))).into_response())
        }
        Err(Stop::Refused(refusal)) => Ok((about, Json(refusal.answer())).into_response()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

async fn store(work: &Transaction<'_>, draft: &Draft, user: i64) -> Result<i64, Stop> {
    // Looking up is outside of the polite part: what fails here is a 500.
    let series = find_series(work, draft.series.as_ref()).await?;
    let mut authors: Vec<Person> = Vec::new();
    for author in &draft.authors {
        let person = find_author(work, author).await?;
        if !authors
            .iter()
            .any(|known| known.last == person.last && known.first == person.first)
        {
            authors.push(person);
        }
    }
    let code = "select code from language where id = $1";
    let code = work.query_opt(code, &[&draft.language]).await?;
    let code = code
        .map(|row| row.get::<_, String>(0))
        .ok_or_else(|| missing("language", "code"))?;
    let plain = |person: &Person| {
        (
            person.last.clone().unwrap_or_default(),
            person.first.clone(),
        )
    };
    let index = draft.series_index.unwrap_or_default();
    let book = Book {
        // In the order given; the names of files will follow the authors' ids.
        authors: authors.iter().map(plain).collect(),
        title: draft.title.clone(),
        language: code,
        series: series
            .as_ref()
            .map(|(_, title)| (title.clone(), i32::try_from(index).unwrap_or_default())),
    };

    let mut series_id = None;
    if let Some((id, title)) = series {
        series_id = match id {
            Some(id) => Some(id),
            None => Some(insert_series(work, &title, user).await?),
        };
    }
    let insert = "insert into ebook (version_id, created, modified, title, language_id, series_id,
            series_index, base_dir, created_by_id, modified_by_id)
        values (1, now(), now(), $1, $2, $3, $4::int8::int4, $5, $6, $6) returning id";
    let base_dir = book.base_dir();
    let row = work
        .query_one(
            insert,
            &[
                &draft.title,
                &draft.language,
                &series_id,
                &draft.series_index,
                &base_dir,
                &user,
            ],
        )
        .await?;
    let ebook: i64 = row.get(0);
    for person in &authors {
        let id = match person.id {
            Some(id) => id,
            None => insert_author(work, person, user).await?,
        };
        let link = "insert into ebook_authors (ebook_id, author_id) values ($1, $2)";
        work.execute(link, &[&ebook, &id]).await?;
    }
    for genre in &draft.genres {
        let known = work
            .query_opt("select from genre where id = $1", &[genre])
            .await?;
        known.ok_or_else(|| missing("genre", "name"))?;
        let link = "insert into ebook_genres (ebook_id, genre_id) values ($1, $2)";
        work.execute(link, &[&ebook, genre]).await?;
    }
    Ok(ebook)
}

/// An author, in the database already or to be made.
struct Person {
    id: Option<i64>,
    last: Option<String>,
    first: Option<String>,
}

async fn find_author(work: &Transaction<'_>, author: &Named) -> Result<Person, Failure> {
    match author {
        Named::Id(id) => {
            let sql = "select last_name, first_name from author where id = $1";
            let row = work.query_opt(sql, &[id]).await?;
            let row = row.ok_or_else(|| Failure::internal("no such author"))?;
            Ok(Person {
                id: Some(*id),
                last: row.get(0),
                first: row.get(1),
            })
        }
        Named::Names(last, first) => {
            let sql = "select id from author
                where last_name = $1 and first_name is not distinct from $2 limit 1";
            let row = work.query_opt(sql, &[last, first]).await?;
            let id = row.map(|row| row.get(0));
            Ok(Person {
                id,
                last: last.clone(),
                first: first.clone(),
            })
        }
    }
}

async fn find_series(
    work: &Transaction<'_>,
    series: Option<&Named>,
) -> Result<Option<(Option<i64>, String)>, Failure> {
    match series {
        None => Ok(None),
        Some(Named::Id(id)) => {
            let row = work
                .query_opt("select title from series where id = $1", &[id])
                .await?;
            let row = row.ok_or_else(|| Failure::internal("no such series"))?;
            Ok(Some((Some(*id), row.get(0))))
        }
        Some(Named::Names(title, _)) => {
            let title = title
                .clone()
                .ok_or_else(|| Failure::internal("series without title"))?;
            let sql = "select id from series where title = $1 limit 1";
            let row = work.query_opt(sql, &[&title]).await?;
            Ok(Some((row.map(|row| row.get(0)), title)))
        }
    }
}

async fn insert_author(
    work: &Transaction<'_>,
    person: &Person,
    user: i64,
) -> Result<i64, tokio_postgres::Error> {
    let sql = "insert into author (version_id, created, modified, last_name, first_name,
            created_by_id, modified_by_id)
        values (1, now(), now(), $1, $2, $3, $3) returning id";
    Ok(work
        .query_one(sql, &[&person.last, &person.first, &user])
        .await?
        .get(0))
}

async fn insert_series(
    work: &Transaction<'_>,
    title: &str,
    user: i64,
) -> Result<i64, tokio_postgres::Error> {
    let sql = "insert into series (version_id, created, modified, title, created_by_id,
            modified_by_id)
        values (1, now(), now(), $1, $2, $2) returning id";
    Ok(work.query_one(sql, &[&title, &user]).await?.get(0))
}

/// An unknown id of these makes the server insert a row of nothing, which fails.
fn missing(table: &str, column: &str) -> Stop {
    let details = format!(
        "(psycopg2.IntegrityError) null value in column \"{column}\" of relation \"{table}\" \
         violates not-null constraint\n"
    );
    Stop::Refused(Refusal {
        error: "Database error",
        details: Value::from(details),
    })
}
