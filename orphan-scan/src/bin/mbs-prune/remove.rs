//! Deletes rows that lack their other half. Each batch is one transaction: the rows are locked, so that no
//! file can be added to an ebook meanwhile, tested again, written to the backup, and only then deleted.
//!
//! The rows of other tables that refer to them go with them; an ebook that has a row in `source` stays.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Result;
use mbs_hashes::{Failure, Session, Settings, session::Transaction};
use orphan_scan::removal::{
    confirm::Plan,
    journal::now,
    limits::{Limits, Load},
};
use wire::{
    Exit, Fatal, Line, Record, Writer,
    records::{BackupRow, Removal, Summary},
};

use crate::{
    args::Args,
    list::{lacks_file, older_than, session},
};

/// Rows of one transaction.
const BATCH: usize = 500;

/// The two kinds of rows that may go, by the class of their finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Ebook,
    Source,
}

impl Half {
    fn of(record: &Record) -> Half {
        match record.text("class").as_deref() {
            Some("source_without_file") => Half::Source,
            _ => Half::Ebook,
        }
    }

    fn table(self) -> &'static str {
        match self {
            Half::Ebook => "ebook",
            Half::Source => "source",
        }
    }

    fn id(self, record: &Record) -> i64 {
        let name = match self {
            Half::Ebook => "ebook_id",
            Half::Source => "source_id",
        };
        record.get(name).unwrap_or_default()
    }
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Gone, with this many rows of other tables.
    Removed(usize),
    /// It stays, and why.
    Kept(&'static str),
    /// The database refused.
    Failed(String),
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    removed: u64,
    kept: u64,
    failed: u64,
}

impl Counts {
    /// Puts those that are not 0 into a summary.
    pub(crate) fn fill(&self, summary: &mut Summary) {
        let some = |count: u64| Some(count).filter(|&count| count > 0);
        summary.removed = some(self.removed);
        summary.kept = some(self.kept);
        summary.removal_failed = some(self.failed);
    }
}

/// A file of rows, on disk before they are deleted.
#[derive(Debug)]
struct Backup(File);

impl Backup {
    fn create(path: &Path) -> Result<Backup, Fatal> {
        let mut options = OpenOptions::new();
        let file = options.create_new(true).append(true).mode(0o600).open(path);
        file.map(Backup).map_err(|error| {
            let exit = match error.kind() {
                io::ErrorKind::AlreadyExists => Exit::Refused,
                _ => Exit::GaveUp,
            };
            Fatal::new(exit, format_args!("{}: create: {error}", path.display()))
        })
    }

    fn keep(&mut self, rows: &[BackupRow]) -> io::Result<()> {
        for row in rows {
            self.0
                .write_all(&[Line::of(row).open_bytes(), b"}\n"].concat())?;
        }
        self.0.sync_all()
    }
}

/// Why a batch came to nothing.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Database(#[from] Failure),
    #[error("backup: write: {0}")]
    Backup(#[from] io::Error),
}

/// Removes the rows of these findings, as far as they still lack their other half.
///
/// # Errors
/// Refused before anything was changed (3), or the database or the backup failed (255).
pub(crate) fn remove(
    args: &Args,
    settings: &Settings,
    chosen: &[Record],
    out: &Writer,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let Some(path) = args.backup.as_deref().filter(|_| !chosen.is_empty()) else {
        return Ok(counts);
    };
    let load = Load {
        count: chosen.len() as u64,
        ..Load::default()
    };
    let limits = Limits {
        count: args.max_count,
        bytes: None,
        percent: f64::INFINITY,
    };
    if let Some(why) = limits.refusal(load) {
        return Err(Fatal::new(Exit::Refused, format_args!("limits: {why}")).into());
    }
    let shown = path.display();
    let plan = Plan {
        count: load.count,
        bytes: 0,
        fate: format!("are removed from the server, their rows written to {shown} before"),
        tracked: &[],
        library: Path::new("rows of the server"),
    };
    plan.confirm(&args.confirm, out)?;
    let mut backup = Backup::create(path)?;
    // A transaction that was begun is ended.
    let session = session(args, settings, out, false)?;
    for part in chosen.chunk_by(|a, b| Half::of(a) == Half::of(b)) {
        for batch in part.chunks(BATCH) {
            if wire::stop::requested() {
                return Ok(counts);
            }
            let half = Half::of(&batch[0]);
            let outcomes = match remove_batch(&session, half, batch, args, &mut backup) {
                Ok(outcomes) => outcomes,
                Err(Error::Database(failure)) if !failure.ends_session() => {
                    vec![Outcome::Failed(failure.to_string()); batch.len()]
                }
                Err(Error::Database(failure)) => {
                    return Err(failure.fatal("database", "remove").into());
                }
                Err(error) => return Err(Fatal::new(Exit::GaveUp, error).into()),
            };
            for (record, outcome) in batch.iter().zip(outcomes) {
                write(out, &mut counts, half, record, outcome)?;
            }
        }
    }
    Ok(counts)
}

/// # Errors
/// Nothing of this batch was deleted, unless the connection broke while the end of the transaction was on its
/// way.
fn remove_batch(
    session: &Session,
    half: Half,
    batch: &[Record],
    args: &Args,
    backup: &mut Backup,
) -> Result<Vec<Outcome>, Error> {
    session.change(|change| {
        let ids: Vec<i64> = batch.iter().map(|record| half.id(record)).collect();
        let table = half.table();
        // Who adds a file to an ebook holds a key share of it until the end of its transaction: this waits
        // for that, and the next statement sees the file.
        let there = read_ids(
            change,
            &ids,
            &format!("SELECT id FROM {table} WHERE id IN (IDS) ORDER BY id FOR UPDATE"),
        )?;
        let lacking: Vec<i64> = match half {
            Half::Ebook => {
                let sql = "SELECT id FROM ebook WHERE id IN (IDS) AND NOT EXISTS \
                           (SELECT FROM source WHERE source.ebook_id = ebook.id)";
                read_ids(change, &there, sql)?
            }
            Half::Source => {
                let lacks = |record: &Record| {
                    record
                        .path()
                        .is_ok_and(|path| matches!(lacks_file(&path), Ok(Some(_))))
                };
                let lacking = batch
                    .iter()
                    .filter(|record| lacks(record))
                    .map(|record| half.id(record));
                lacking.filter(|id| there.contains(id)).collect()
            }
        };
        let old = older_than(table, args.min_age.as_secs());
        let old = read_ids(
            change,
            &lacking,
            &format!("SELECT id FROM {table} WHERE id IN (IDS) AND {old}"),
        )?;
        let others = delete(change, half, &old, backup)?;
        let outcome = |id: &i64| match id {
            id if !there.contains(id) => Outcome::Kept("it is gone already"),
            id if !lacking.contains(id) => Outcome::Kept("it has a file now"),
            id if !old.contains(id) => Outcome::Kept("it was changed a short time ago (--min-age)"),
            id => Outcome::Removed(others.iter().filter(|of| *of == id).count()),
        };
        Ok(ids.iter().map(outcome).collect())
    })
}

fn list(ids: &[i64]) -> String {
    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    texts.join(",")
}

fn read_ids(change: &Transaction<'_>, ids: &[i64], sql: &str) -> Result<Vec<i64>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = change.query(&sql.replace("IDS", &list(ids)))?;
    let id = |row: Vec<Option<String>>| row.into_iter().next()??.parse().ok();
    Ok(rows.into_iter().filter_map(id).collect())
}

/// The columns that refer to a table's id, as PostgreSQL quotes them. A table whose own rows others refer to
/// is of a newer server; deleting from it fails, and with it the batch.
fn references(change: &Transaction<'_>, half: Half) -> Result<Vec<(String, String)>, Failure> {
    let rows = change.query(&format!(
        "SELECT conrelid::regclass::text, quote_ident(attname) FROM pg_constraint \
         JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] \
         WHERE contype = 'f' AND confrelid = '{}'::regclass AND array_length(conkey, 1) = 1 \
           AND conrelid <> 'source'::regclass ORDER BY 1, 2",
        half.table()
    ))?;
    let pair = |row: Vec<Option<String>>| {
        let mut values = row.into_iter().flatten();
        values.next().zip(values.next())
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// Writes all rows of these ids to the backup, then deletes them. Gives the id for each row of another table.
fn delete(
    change: &Transaction<'_>,
    half: Half,
    ids: &[i64],
    backup: &mut Backup,
) -> Result<Vec<i64>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let chosen = list(ids);
    let references = references(change, half)?;
    let own = (half.table().to_string(), "id".to_string());
    let tables: Vec<_> = references.into_iter().chain([own]).collect();
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    for (table, column) in &tables {
        let found = change.query(&format!(
            "SELECT {column}, row_to_json(t)::text FROM {table} t WHERE {column} IN ({chosen})"
        ))?;
        for row in found {
            let mut values = row.into_iter();
            let id: Option<i64> = values.next().flatten().and_then(|id| id.parse().ok());
            others.extend(id.filter(|_| table != half.table()));
            rows.push(BackupRow {
                table_name: table.clone(),
                ebook_id: id.filter(|_| half == Half::Ebook),
                source_id: id.filter(|_| half == Half::Source),
                row: values.next().flatten().unwrap_or_default(),
                at: now(),
            });
        }
    }
    backup.keep(&rows)?;
    for (table, column) in &tables {
        change.query(&format!("DELETE FROM {table} WHERE {column} IN ({chosen})"))?;
    }
    Ok(others)
}

fn write(
    out: &Writer,
    counts: &mut Counts,
    half: Half,
    input: &Record,
    outcome: Outcome,
) -> io::Result<()> {
    let (name, why, count) = match outcome {
        Outcome::Removed(others) => (
            "removed",
            format!("it has no file; {others} rows of other tables went with it"),
            &mut counts.removed,
        ),
        Outcome::Kept(why) => ("kept", why.into(), &mut counts.kept),
        Outcome::Failed(why) => ("failed", why, &mut counts.failed),
    };
    *count += 1;
    let mut line = Line::of(&Removal {
        // An ebook without a file has no path.
        path: input.text("path").unwrap_or_default().into_owned(),
        outcome: name.into(),
        why: why.clone(),
        ebook_id: input.get("ebook_id"),
        ..Removal::default()
    });
    line.inherit(input);
    match name {
        "failed" => out.fail_as(
            &line,
            &format!("{} {}", half.table(), half.id(input)),
            "remove",
            &why,
        ),
        _ => out.write(&line),
    }
}
