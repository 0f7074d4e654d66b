//! The rows of a list, parsed on a thread of their own: a second core halves the wait for a long one.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use mbs_hashes::known::Content;
use wire::{Exit, Fatal, Item, OrFatal, Reader, Record, completeness};

/// Rows that are handed over at a time, and batches that may wait.
const BATCH: usize = 512;
const AHEAD: usize = 4;

/// What a list tells of a book's file.
#[derive(Debug)]
pub(super) struct Row {
    /// The file; nothing where the list's path cannot be one.
    pub(super) path: Option<PathBuf>,
    pub(super) book_id: Option<i64>,
    pub(super) format: String,
    pub(super) uuid: String,
    /// The content, and the time of last change that it belongs to.
    pub(super) content: Option<(Content, i64)>,
}

/// Reads the list at `file` (`-` is standard input), hands each row of Calibre's to `each`, and says what
/// the list's summaries say. A row that leads nowhere in Calibre's own eyes is handed over as nothing.
///
/// # Errors
/// It cannot be read, or what `each` fails with.
pub(super) fn read(
    file: &Path,
    mut each: impl FnMut(Option<Row>) -> Result<(), Fatal>,
) -> Result<completeness::StreamReport, Fatal> {
    let shown = file.display().to_string();
    let source: Box<dyn Read + Send> = match file.as_os_str().as_bytes() {
        b"-" => Box::new(wire::stop::stdin()),
        _ => Box::new(File::open(file).or_fatal(Exit::Usage, format_args!("{shown}: open"))?),
    };
    let (rows, parsed) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let parser = thread::Builder::new().spawn_scoped(scope, move || parse(source, &rows));
        let parser = parser.or_fatal(Exit::GaveUp, "threads: start one")?;
        let taken = take(parsed, &mut each);
        let report = match parser.join() {
            Ok(read) => read.or_fatal(Exit::GaveUp, format_args!("{shown}: read"))?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        taken.map(|()| report)
    })
}

fn take(
    parsed: Receiver<Vec<Option<Row>>>,
    each: &mut impl FnMut(Option<Row>) -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    parsed.into_iter().flatten().try_for_each(each)
}

fn parse(
    source: impl Read,
    rows: &SyncSender<Vec<Option<Row>>>,
) -> io::Result<completeness::StreamReport> {
    let mut reader = Reader::new(BufReader::with_capacity(1 << 16, source));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let item = reader.next_item()?;
        let more = item.is_some();
        // A line that is no record makes the list incomplete, which its summaries show.
        if let Some(Item::Record(record)) = item
            && is_row(&record)
        {
            batch.push(Row::of(&record));
        }
        if (batch.len() == BATCH || !more)
            && rows
                .send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                .is_err()
        {
            // Whoever takes them has failed, and says so.
            break;
        }
        if !more {
            break;
        }
    }
    Ok(reader.completeness().report())
}

impl Row {
    /// Nothing where Calibre's row leads nowhere: then nothing in the folder can be it.
    fn of(record: &Record) -> Option<Row> {
        let path = record.path_of("path", "path_b64")?.ok();
        let text = |name| record.text(name).unwrap_or_default().into_owned();
        Some(Row {
            path,
            book_id: record.get("book_id"),
            format: text("format"),
            uuid: text("uuid"),
            content: content(record),
        })
    }
}

/// Is it a row of Calibre's: a book file, what a later tool made of one, or the error that became of
/// it? A member of an archive is none.
fn is_row(record: &Record) -> bool {
    let made_of_one = |kind: &str| matches!(kind, "book_file" | "file_hash" | "upload");
    let kind = match record.kind() {
        "error" => record.text("was").is_some_and(|was| made_of_one(&was)),
        kind => made_of_one(kind),
    };
    kind && record.text("member").is_none()
}

fn content(record: &Record) -> Option<(Content, i64)> {
    let content = Content::new(&record.text("sha1")?, record.get("size")?)?;
    let mtime: jiff::Timestamp = record.text("mtime")?.parse().ok()?;
    Some((content, i64::try_from(mtime.as_nanosecond()).ok()?))
}
