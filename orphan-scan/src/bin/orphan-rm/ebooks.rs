//! Ebooks of the server that have no file. Each batch is one transaction: the ebooks are locked, so that
//! no file can be added to them, tested again, written to the backup, and only then deleted.
//!
//! An ebook's rows in other tables go with it (`source` excepted: an ebook that has one stays).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use mbs_hashes::{Failure, Session, session::Transaction};
use wire::{
    Exit, Fatal, Line, Record, Writer,
    records::{BackupRow, Removal, Summary},
};

use crate::journal::now;

/// Ebooks of one transaction.
pub(crate) const BATCH: usize = 500;

/// What became of one ebook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Gone, with so many rows of other tables.
    Removed(usize),
    /// All is so that it would go.
    WouldRemove,
    /// It stays, and why.
    Kept(String),
}

/// A file of rows, on disk before they are deleted.
#[derive(Debug)]
pub(crate) struct Backup(File);

impl Backup {
    /// A new file.
    ///
    /// # Errors
    /// It is there already (3), or cannot be made (255).
    pub(crate) fn create(path: &Path) -> Result<Backup, Fatal> {
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
pub(crate) enum Error {
    /// The database.
    #[error("{0}")]
    Database(#[from] Failure),
    /// The backup cannot be written.
    #[error("backup: {0}")]
    Backup(#[from] io::Error),
}

/// A column of another table that names an ebook.
type Reference = (String, String);

/// The tables that refer to ebooks, but for `source`, as PostgreSQL quotes them. One whose own rows
/// others refer to is of a newer server, and nobody knows what it means.
fn references(session: &Transaction<'_>) -> Result<Vec<Reference>, Failure> {
    let rows = session.query(
        "SELECT conrelid::regclass::text, quote_ident(attname) FROM pg_constraint \
         JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] \
         WHERE contype = 'f' AND confrelid = 'ebook'::regclass AND array_length(conkey, 1) = 1 \
           AND conrelid <> 'source'::regclass ORDER BY 1, 2",
    )?;
    let pair = |row: Vec<Option<String>>| {
        let mut values = row.into_iter().flatten();
        values.next().zip(values.next())
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// Removes those of these ebooks that still have no file and are old enough; without a backup only says
/// which would go.
///
/// # Errors
/// The database or the backup; then nothing of this batch was deleted, unless the connection broke while
/// the end of the transaction was on its way.
pub(crate) fn batch(
    session: &Session,
    ids: &[i64],
    min_age: Duration,
    backup: Option<&mut Backup>,
) -> Result<Vec<(i64, End)>, Error> {
    match backup {
        Some(backup) => session.change(|change| in_transaction(change, ids, min_age, Some(backup))),
        None => session.read(|now| in_transaction(now, ids, min_age, None)),
    }
}

fn in_transaction(
    session: &Transaction<'_>,
    ids: &[i64],
    min_age: Duration,
    backup: Option<&mut Backup>,
) -> Result<Vec<(i64, End)>, Error> {
    let list = |ids: &[i64]| {
        let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
        texts.join(",")
    };
    let read_ids = |sql: &str| -> Result<Vec<i64>, Failure> {
        let rows = session.query(sql)?;
        let id = |row: Vec<Option<String>>| row.into_iter().next()??.parse().ok();
        Ok(rows.into_iter().filter_map(id).collect())
    };
    let written = backup.is_some();
    // Who adds a file to an ebook holds a key share of it until the end of its transaction: this waits
    // for that, and the next statement sees the file.
    let lock = backup.as_ref().map_or("", |_| "FOR UPDATE");
    let there = read_ids(&format!(
        "SELECT id FROM ebook WHERE id IN ({}) ORDER BY id {lock}",
        list(ids)
    ))?;
    let mut free = Vec::new();
    if !there.is_empty() {
        free = read_ids(&format!(
            "SELECT id FROM ebook WHERE id IN ({}) \
             AND NOT EXISTS (SELECT FROM source WHERE source.ebook_id = ebook.id)",
            list(&there)
        ))?;
    }
    let mut old = Vec::new();
    if !free.is_empty() {
        // The server writes times of its own clock, without a zone. One in the future is not old.
        old = read_ids(&format!(
            "SELECT id FROM ebook WHERE id IN ({}) \
             AND created <= least(now()::timestamp, now() AT TIME ZONE 'UTC') - interval '{} seconds'",
            list(&free),
            min_age.as_secs()
        ))?;
    }
    let mut rows = Vec::new();
    let references = references(session)?;
    if let (Some(backup), false) = (backup, old.is_empty()) {
        let tables = references
            .iter()
            .map(|(table, column)| (table.as_str(), column.as_str()));
        let tables: Vec<_> = tables.chain([("ebook", "id")]).collect();
        let chosen = list(&old);
        for (table, column) in &tables {
            let found = session.query(&format!(
                "SELECT {column}, row_to_json(t)::text FROM {table} t WHERE {column} IN ({chosen})"
            ))?;
            for row in found {
                let mut values = row.into_iter();
                let id = values.next().flatten().and_then(|id| id.parse().ok());
                rows.push(BackupRow {
                    table_name: (*table).into(),
                    ebook_id: id.unwrap_or_default(),
                    row: values.next().flatten().unwrap_or_default(),
                    at: now(),
                });
            }
        }
        backup.keep(&rows)?;
        for (table, column) in &tables {
            session.query(&format!("DELETE FROM {table} WHERE {column} IN ({chosen})"))?;
        }
    }
    let end = |&id: &i64| {
        let end = if !there.contains(&id) {
            End::Kept("there is no such ebook any more".into())
        } else if !free.contains(&id) {
            End::Kept("it has a file now".into())
        } else if !old.contains(&id) {
            End::Kept(format!("it was made less than {} s ago", min_age.as_secs()))
        } else if written {
            let others = rows
                .iter()
                .filter(|row| row.ebook_id == id && row.table_name != "ebook");
            End::Removed(others.count())
        } else {
            End::WouldRemove
        };
        (id, end)
    };
    Ok(ids.iter().map(end).collect())
}

/// Counts of a run: removed, would be, kept, failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    removed: u64,
    would_remove: u64,
    kept: u64,
    failed: u64,
}

impl Counts {
    /// Puts those that there are into a summary.
    pub(crate) fn fill(&self, summary: &mut Summary) {
        let some = |count: u64| Some(count).filter(|&count| count > 0);
        summary.removed = some(self.removed);
        summary.would_remove = some(self.would_remove);
        summary.kept = some(self.kept);
        summary.removal_failed = some(self.failed);
    }
}

/// Writes what became of one ebook.
///
/// # Errors
/// As [`Writer::write`].
pub(crate) fn write(
    out: &Writer,
    counts: &mut Counts,
    input: &Record,
    end: Result<End, String>,
) -> io::Result<()> {
    let (outcome, why, count) = match end {
        Ok(End::Removed(others)) => (
            "removed",
            format!("it has no file; {others} rows of other tables went with it"),
            &mut counts.removed,
        ),
        Ok(End::WouldRemove) => (
            "would_remove",
            "it has no file".into(),
            &mut counts.would_remove,
        ),
        Ok(End::Kept(why)) => ("kept", why, &mut counts.kept),
        Err(why) => ("failed", why, &mut counts.failed),
    };
    *count += 1;
    let id: Option<i64> = input.get("ebook_id");
    let mut line = Line::of(&Removal {
        // An ebook without a file has no path.
        path: input.text("path").unwrap_or_default().into_owned(),
        outcome: outcome.into(),
        why: why.clone(),
        ebook_id: id,
        ..Removal::default()
    });
    line.inherit(input);
    match outcome {
        "failed" => out.fail_as(
            &line,
            &format!("ebook {}", id.unwrap_or_default()),
            "remove",
            &why,
        ),
        _ => out.write(&line),
    }
}
