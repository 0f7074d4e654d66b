//! The three counts, from whoever answers.

use mbs_hashes::{Failure, session::connect};
use wire::{Exit, Fatal, OrFatal, stop};

use crate::{api::Api, args::Sources};

/// What each count is called and how the database is asked for it.
const QUERIES: [(&str, &str); 3] = [
    ("ebooks", "SELECT count(*) FROM ebook"),
    ("sources", "SELECT count(*) FROM source"),
    (
        "ebooks_without_source",
        "SELECT count(*) FROM ebook WHERE NOT EXISTS (SELECT FROM source WHERE ebook_id = ebook.id)",
    ),
];

/// A count, or one line of reason why it cannot be had. Never a number that was not counted.
pub(crate) type Count = Result<u64, String>;

/// What is known.
#[derive(Debug)]
pub(crate) struct Counts {
    /// `database` or `api`.
    pub(crate) via: &'static str,
    /// Each count by its name.
    pub(crate) each: [(&'static str, Count); 3],
}

/// Asks the database; where it gives no count at all, the API. `told` hears why.
///
/// # Errors
/// A [`Fatal`] with one line for all who were asked, when none of them tells a single count.
pub(crate) fn first_to_answer(
    sources: &Sources,
    told: impl Fn(&str, &str),
) -> Result<Counts, Fatal> {
    let mut exit = Exit::GaveUp;
    let mut reasons = Vec::new();
    if let Some((settings, terms)) = &sources.database {
        if let Some(oddity) = &settings.oddity {
            told("password file", oddity);
        }
        let asked = match connect(settings, *terms, |_| {}) {
            Ok(session) => ask(|sql| session.number(sql)),
            Err(failure) => Err(failure),
        };
        match asked {
            Ok(counts) => return Ok(counts),
            Err(failure) => {
                exit = failure.exit();
                reasons.push(format!("{settings}: count: {failure}"));
                if sources.api.is_some() {
                    told(&settings.to_string(), &format!("{failure}; asking the API"));
                }
            }
        }
    }
    if let Some(api) = &sources.api {
        // A silent one would hold an exit up for as long as it may take to answer.
        stop::die_on_signal().or_fatal(Exit::GaveUp, "threads: start one")?;
        match via_api(api) {
            Ok(counts) => return Ok(counts),
            Err(reason) => {
                exit = Exit::GaveUp;
                reasons.push(format!("{}: {reason}", api.url));
            }
        }
    }
    Err(Fatal::new(exit, reasons.join("; ")))
}

/// Asks for one count after the other. One that the server refuses leaves the others; once it is
/// out of reach, no more are asked for. No count at all is the first one's failure.
fn ask(number: impl Fn(&str) -> Result<Option<i64>, Failure>) -> Result<Counts, Failure> {
    let mut first = None;
    let mut gone = None;
    let each = QUERIES.map(|(name, sql)| {
        let count = match &gone {
            Some(reason) => Err(String::clone(reason)),
            None => match number(sql) {
                Ok(count) => count
                    .and_then(|count| u64::try_from(count).ok())
                    .ok_or_else(|| "the server gives no number".into()),
                Err(failure) => {
                    let reason = failure.to_string();
                    if failure.ends_session() {
                        gone = Some(reason.clone());
                    }
                    first.get_or_insert(failure);
                    Err(reason)
                }
            },
        };
        (name, count)
    });
    match first {
        Some(failure) if each.iter().all(|(_, count)| count.is_err()) => Err(failure),
        _ => Ok(Counts {
            via: "database",
            each,
        }),
    }
}

fn via_api(api: &Api) -> Result<Counts, String> {
    let ebooks = api.ebooks()?;
    let untold = || Err("the API does not tell".into());
    Ok(Counts {
        via: "api",
        each: [
            (QUERIES[0].0, Ok(ebooks)),
            (QUERIES[1].0, untold()),
            (QUERIES[2].0, untold()),
        ],
    })
}
