//! What lacks its other half. An upload makes the ebook first and gives it the file last, so what is young
//! may be one under way.

use std::{collections::HashSet, ffi::OsStr, io::ErrorKind, os::unix::ffi::OsStrExt, path::Path};

use anyhow::Result;
use mbs_hashes::{
    Failure, Session, Settings,
    session::{Terms, connect},
    tuples::Tuple,
};
use orphan_scan::{names, store::books_of};
use wire::{
    Exit, Fatal, Line, Record, Writer, progress::Unit, records::Summary, stop, write::ItemError,
};

use crate::{args::Args, files};

/// Finds the halves, writes them, and keeps those that are to be removed.
pub(crate) struct Lister<'a> {
    args: &'a Args,
    out: &'a Writer,
    line: Line,
    /// The locations of all rows.
    locations: HashSet<u64>,
    pub(crate) summary: Summary,
    /// The findings that --apply was asked for.
    pub(crate) chosen: Vec<Record>,
}

/// Connects to the database.
pub(crate) fn session(
    args: &Args,
    settings: &Settings,
    out: &Writer,
    heeds_stop: bool,
) -> Result<Session, Fatal> {
    let terms = Terms {
        tool: "mbs-prune",
        patience: args.db_timeout,
        statement: None,
        heeds_stop,
    };
    let warn = |reason: &str| out.warn(&settings.to_string(), "connect", reason);
    connect(settings, terms, warn).map_err(|failure| failure.fatal(settings, "connect"))
}

/// The server writes times without a zone, in its own or in UTC. What is old by both is old.
pub(crate) fn older_than(table: &str, seconds: u64) -> String {
    format!(
        "greatest({table}.created, {table}.modified) < \
         least(localtimestamp, now() at time zone 'UTC') - interval '{seconds} seconds'"
    )
}

fn created(table: &str) -> String {
    format!("to_char({table}.created, 'YYYY-MM-DD\"T\"HH24:MI:SS')")
}

fn text<'r, const N: usize>(row: &'r Tuple<'_, N>, at: usize) -> Option<std::borrow::Cow<'r, str>> {
    row.bytes(at).map(String::from_utf8_lossy)
}

impl<'a> Lister<'a> {
    pub(crate) fn new(args: &'a Args, out: &'a Writer) -> Lister<'a> {
        Lister {
            args,
            out,
            line: Line::new("server_finding"),
            locations: HashSet::new(),
            summary: Summary {
                complete: true,
                ..Summary::default()
            },
            chosen: Vec::new(),
        }
    }

    /// Lists ebooks, and rows and files where the store is given.
    ///
    /// # Errors
    /// The database cannot be reached, stdout cannot be written, or the store is not the server's (3).
    pub(crate) fn list(&mut self, settings: &Settings) -> Result<()> {
        if let Some(oddity) = &settings.oddity {
            self.out.warn("password file", "read", oddity);
        }
        let needs_store = self
            .args
            .classes
            .iter()
            .any(|class| class == "source_without_file");
        if self.args.apply && needs_store && self.args.store.is_none() {
            let why = "--store DIR is needed to tell which rows lack their files; see --help";
            return Err(Fatal::new(Exit::Usage, why).into());
        }
        let session = session(self.args, settings, self.out, true)?;
        let listed = self.ebooks(&session).and_then(|()| self.store(&session));
        listed.map_err(|error| match error.downcast::<Failure>() {
            Ok(failure) => failure.fatal(settings, "read").into(),
            Err(error) => error,
        })
    }

    fn begin(&mut self, class: &'static str, why: &str) -> &mut Line {
        self.line.reset("server_finding");
        self.line.text("class", class).text("why", why)
    }

    /// Writes the finding, or keeps it to be removed.
    fn end(&mut self, class: &str) -> Result<()> {
        if !self.args.apply || !self.args.classes.iter().any(|chosen| chosen == class) {
            return Ok(self.out.write(&self.line)?);
        }
        let line = [self.line.open_bytes(), b"}"].concat();
        self.chosen
            .push(Record::parse(line).map_err(anyhow::Error::msg)?);
        Ok(())
    }

    fn ebooks(&mut self, session: &Session) -> Result<()> {
        let query = format!(
            "SELECT ebook.id, {}, {} FROM ebook WHERE {} AND NOT EXISTS \
             (SELECT FROM source WHERE source.ebook_id = ebook.id) ORDER BY ebook.id",
            session.text("ebook.title"),
            created("ebook"),
            older_than("ebook", self.args.min_age.as_secs())
        );
        let mut count = 0;
        let each = |row: Tuple<'_, 3>| -> Result<()> {
            let class = "ebook_without_source";
            let line = self.begin(class, "no row of a stored file belongs to it");
            if let Some(id) = row.int(0) {
                line.int("ebook_id", id);
            }
            line.opt_text("title", text(&row, 1).as_deref())
                .opt_text("created", text(&row, 2).as_deref());
            count += 1;
            self.end(class)
        };
        session.read(|now| now.copy(&query, each))?;
        self.summary.ebook_without_source = Some(count);
        Ok(())
    }

    /// Rows and files of the store.
    fn store(&mut self, session: &Session) -> Result<()> {
        let Some(store) = &self.args.store else {
            return Ok(());
        };
        // The files first: a row that comes later than its file is then no lack.
        let out = self.out;
        let books = books_of(store);
        let shown = books.display().to_string();
        let warn = |reason: &str| out.warn(&shown, "list", reason);
        let seen = |count| {
            out.progress().step(Unit::Discovery);
            out.progress()
                .set_status(None, format!("{count} entries of the store"));
        };
        let files = files::stored(&books, self.args.min_age, warn, seen);
        self.rows(session, &books)?;
        match files {
            Ok(files) => self.strays(&files, &books)?,
            Err(_) if stop::requested() => self.summary.complete = false,
            Err(reason) => {
                self.fail(None, &books, "list", &reason)?;
                self.summary.complete = false;
            }
        }
        Ok(())
    }

    fn fail(&self, was: Option<&str>, path: &Path, op: &'static str, message: &str) -> Result<()> {
        let error = ItemError {
            op,
            message,
            retry: true,
        };
        let with_path = |line: &mut Line| {
            line.path(path);
        };
        Ok(self
            .out
            .fail_new(was, &path.to_string_lossy(), error, with_path)?)
    }

    fn rows(&mut self, session: &Session, books: &Path) -> Result<()> {
        let query = format!(
            "SELECT source.id, source.ebook_id, {}, source.size, {}, {}, ({})::int \
             FROM source ORDER BY source.id",
            session.text("source.hash"),
            session.text("source.location"),
            created("source"),
            older_than("source", self.args.min_age.as_secs())
        );
        let (mut all, mut without_file) = (0u64, 0u64);
        let each = |row: Tuple<'_, 7>| -> Result<()> {
            let location = row.bytes(4).unwrap_or_default();
            self.locations.insert(key(location));
            all += 1;
            let path = books.join(OsStr::from_bytes(location));
            let why = match lacks_file(&path) {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => why,
                Err(error) => {
                    let message = error.to_string();
                    return self.fail(Some("server_finding"), &path, "look at it", &message);
                }
            };
            if row.int(6) != Some(1) {
                return Ok(());
            }
            let class = "source_without_file";
            let line = self.begin(class, why);
            for (name, at) in [("source_id", 0), ("ebook_id", 1), ("size", 3)] {
                if let Some(number) = row.int(at) {
                    line.int(name, number);
                }
            }
            line.opt_text("sha1", text(&row, 2).as_deref())
                .opt_text("created", text(&row, 5).as_deref())
                .path_as("location", "location_b64", as_path(location))
                .path(&path);
            without_file += 1;
            self.end(class)
        };
        session.read(|now| now.copy(&query, each))?;
        self.summary.source_without_file = Some(without_file);
        let chosen = self.args.apply
            && self
                .args
                .classes
                .iter()
                .any(|class| class == "source_without_file");
        if chosen && without_file * 2 > all {
            let why = format!(
                "{}: of {all} rows {without_file} have no file there: is it mounted, and the server's?",
                books.display()
            );
            return Err(Fatal::new(Exit::Refused, why).into());
        }
        Ok(())
    }

    fn strays(&mut self, files: &[files::Stored], books: &Path) -> Result<()> {
        let mut count = 0;
        for file in files {
            if self.locations.contains(&key(&file.location)) {
                continue;
            }
            let location = as_path(&file.location);
            let class = "file_without_source";
            self.begin(class, "no row names it")
                .int("size", file.size)
                .path_as("location", "location_b64", location)
                .path(&books.join(location));
            count += 1;
            self.end(class)?;
        }
        self.summary.file_without_source = Some(count);
        Ok(())
    }
}

/// Why a row has no file, where it has none. A link is followed: one that leads nowhere is no file.
///
/// # Errors
/// It is not known.
pub(crate) fn lacks_file(path: &Path) -> std::io::Result<Option<&'static str>> {
    match path.metadata() {
        Ok(about) if about.is_file() => Ok(None),
        Ok(_) => Ok(Some("what is at its location is no file")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Some(match path.symlink_metadata() {
                Ok(_) => "the link at its location leads nowhere on this machine",
                Err(_) => "its stored file is not there",
            }))
        }
        Err(error) => Err(error),
    }
}

/// A location as a path.
pub(crate) fn as_path(location: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(location))
}

/// Locations are compared without regard to case or normalisation: a database or a disk may have changed
/// a name's form.
fn key(location: &[u8]) -> u64 {
    names::key(location)
}
