//! `--server-ebooks`: what in the server lacks its other half. An upload makes the ebook first and
//! gives it the file last, so what is young may be one under way.

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use files::Stored;
use mbs_hashes::{
    Failure, Session,
    session::{Terms, connect},
    tuples::Tuple,
};
use orphan_scan::{names, store::books_of};
use wire::{Exit, Line, Writer, progress::Unit, records::Summary, stop, write::ItemError};

use crate::args::Args;

mod files;

/// Tells of all three kinds; of the last two only where the store is given.
///
/// # Errors
/// The database cannot be reached, stdout cannot be written.
pub(crate) fn tell(out: Writer, args: &Args) -> Result<Exit> {
    let settings = args.database.settings()?;
    if let Some(oddity) = &settings.oddity {
        out.warn("password file", "read", oddity);
    }
    let terms = Terms {
        tool: "orphan-scan",
        patience: args.db_timeout,
        statement: None,
        heeds_stop: true,
    };
    let warn = |reason: &str| out.warn(&settings.to_string(), "connect", reason);
    let fatal = |failure: Failure| failure.fatal(&settings, "read");
    let session = connect(&settings, terms, warn).map_err(fatal)?;
    let mut summary = Summary {
        complete: true,
        ..Summary::default()
    };
    let age = args.min_age.as_secs();
    let ebooks = without_source(&session, age, &out);
    summary.ebook_without_source = Some(ebooks.map_err(|error| error.into_anyhow(fatal))?);
    if let Some(store) = &args.store {
        // The files first: a row that comes later than its file is then no lack.
        let books = books_of(store);
        let shown = books.display().to_string();
        let warn = |reason: &str| out.warn(&shown, "list", reason);
        let seen = |count| {
            out.progress().step(Unit::Discovery);
            let words = format!("{count} entries of the store");
            out.progress().set_status(None, words);
        };
        let files = files::stored(&books, args.min_age, warn, seen);
        let rows = sources(&session, age, &books, &out);
        let rows = rows.map_err(|error| error.into_anyhow(fatal))?;
        summary.source_without_file = Some(rows.without_file);
        match files {
            Ok(files) => summary.file_without_source = Some(strays(&files, &rows, &books, &out)?),
            Err(reason) if !stop::requested() => {
                let item_error = ItemError {
                    op: "list",
                    message: &reason,
                    retry: true,
                };
                out.fail_new(None, &books.to_string_lossy(), item_error, |line| {
                    line.path(&books);
                })?;
                summary.complete = false;
            }
            Err(_) => summary.complete = false,
        }
    }
    Ok(out.finish(summary)?)
}

/// stdout's errors and the database's, told apart.
enum Either {
    Out(std::io::Error),
    Database(Failure),
}

impl From<Failure> for Either {
    fn from(failure: Failure) -> Either {
        Either::Database(failure)
    }
}

impl From<std::io::Error> for Either {
    fn from(error: std::io::Error) -> Either {
        Either::Out(error)
    }
}

impl Either {
    fn into_anyhow(self, fatal: impl Fn(Failure) -> wire::Fatal) -> anyhow::Error {
        match self {
            Either::Out(error) => error.into(),
            Either::Database(failure) => fatal(failure).into(),
        }
    }
}

/// The server writes times without a zone; it is in its own or in UTC. What is old by both is old.
fn older_than(table: &str, seconds: u64) -> String {
    format!(
        "greatest({table}.created, {table}.modified) < \
         least(localtimestamp, now() at time zone 'UTC') - interval '{seconds} seconds'"
    )
}

fn created(table: &str) -> String {
    format!("to_char({table}.created, 'YYYY-MM-DD\"T\"HH24:MI:SS')")
}

fn without_source(session: &Session, age: u64, out: &Writer) -> Result<u64, Either> {
    let query = format!(
        "SELECT ebook.id, {}, {} FROM ebook WHERE {} AND NOT EXISTS \
         (SELECT FROM source WHERE source.ebook_id = ebook.id) ORDER BY ebook.id",
        session.text("ebook.title"),
        created("ebook"),
        older_than("ebook", age)
    );
    let (mut count, mut line) = (0, Line::new("server_finding"));
    let each = |row: Tuple<'_, 3>| -> Result<(), Either> {
        line.reset("server_finding");
        line.text("class", "ebook_without_source")
            .text("why", "no row of a stored file belongs to it");
        if let Some(id) = row.int(0) {
            line.int("ebook_id", id);
        }
        let text = |at| row.bytes(at).map(String::from_utf8_lossy);
        line.opt_text("title", text(1).as_deref())
            .opt_text("created", text(2).as_deref());
        count += 1;
        Ok(out.write(&line)?)
    };
    session.read(|now| now.copy(&query, each))?;
    Ok(count)
}

/// The rows of stored files.
struct Rows {
    /// By their location.
    locations: HashSet<u64>,
    without_file: u64,
}

fn sources(session: &Session, age: u64, books: &Path, out: &Writer) -> Result<Rows, Either> {
    let query = format!(
        "SELECT source.id, source.ebook_id, {}, source.size, {}, {}, ({})::int \
         FROM source ORDER BY source.id",
        session.text("source.hash"),
        session.text("source.location"),
        created("source"),
        older_than("source", age)
    );
    let mut rows = Rows {
        locations: HashSet::new(),
        without_file: 0,
    };
    let mut line = Line::new("server_finding");
    let each = |row: Tuple<'_, 7>| -> Result<(), Either> {
        let location = row.bytes(4).unwrap_or_default();
        rows.locations.insert(key(location));
        let path = books.join(OsStr::from_bytes(location));
        // A link is followed: one that leads nowhere is no file.
        let why = match path.metadata() {
            Ok(about) if about.is_file() => return Ok(()),
            Ok(_) => "what is at its location is no file",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match path.symlink_metadata() {
                    Ok(_) => "the link at its location leads nowhere on this machine",
                    Err(_) => "its stored file is not there",
                }
            }
            Err(error) => {
                let message = error.to_string();
                let item_error = ItemError {
                    op: "look at it",
                    message: &message,
                    retry: true,
                };
                return Ok(out.fail_new(
                    Some("server_finding"),
                    &path.to_string_lossy(),
                    item_error,
                    |line| {
                        line.path(&path);
                    },
                )?);
            }
        };
        if row.int(6) != Some(1) {
            return Ok(());
        }
        line.reset("server_finding");
        line.text("class", "source_without_file").text("why", why);
        for (name, at) in [("source_id", 0), ("ebook_id", 1), ("size", 3)] {
            if let Some(number) = row.int(at) {
                line.int(name, number);
            }
        }
        let text = |at| row.bytes(at).map(String::from_utf8_lossy);
        line.opt_text("sha1", text(2).as_deref())
            .opt_text("created", text(5).as_deref())
            .path_as(
                "location",
                "location_b64",
                Path::new(OsStr::from_bytes(location)),
            )
            .path(&path);
        rows.without_file += 1;
        Ok(out.write(&line)?)
    };
    session.read(|now| now.copy(&query, each))?;
    Ok(rows)
}

fn strays(files: &[Stored], rows: &Rows, books: &Path, out: &Writer) -> std::io::Result<u64> {
    let (mut count, mut line) = (0, Line::new("server_finding"));
    for file in files {
        if rows.locations.contains(&key(&file.location)) {
            continue;
        }
        let location = Path::new(OsStr::from_bytes(&file.location));
        line.reset("server_finding");
        line.text("class", "file_without_source")
            .text("why", "no row names it")
            .int("size", file.size)
            .path_as("location", "location_b64", location)
            .path(&books.join(location));
        count += 1;
        out.write(&line)?;
    }
    Ok(count)
}

/// Locations are compared without regard to case or normalisation: a file is not called a stray one
/// where a database or a disk has changed its name's form.
fn key(location: &[u8]) -> u64 {
    names::key(location)
}

/// Was it changed so long ago?
fn settled(changed: i64, age: Duration) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let limit = now.unwrap_or_default().saturating_sub(age).as_secs();
    u64::try_from(changed).is_ok_and(|changed| changed < limit) || changed < 0
}
