//! From the snapshot to records: two threads read and make lines, this one writes them in order.

use std::{
    ops::{ControlFlow, RangeInclusive},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use calibre_list::{
    Book, Error, Library, Snapshot, place,
    rows::{Custom, Format, Found, Names, Scan},
};
use rusqlite::Connection;
use wire::{Line, Record, Writer, records::Summary, stop, write::Trouble};

use crate::{fit, record, select::Selection, status};

/// What to list and how.
pub(crate) struct Plan {
    pub selection: Selection,
    pub all_fields: bool,
    pub stat: bool,
}

impl Plan {
    /// The summary of a whole listing; the writer counts.
    pub(crate) fn summary(&self, snapshot: &Snapshot) -> Summary {
        let selection = self.selection.text();
        Summary {
            complete: selection.is_none(),
            library: snapshot.library_id(),
            selection,
            shard: self.selection.shard.map(|shard| shard.to_string()),
            snapshot_ms: Some(snapshot.took.as_millis() as u64),
            ..Summary::default()
        }
    }
}

/// Books in a piece of work, and lines in a message: a piece fits into the channel, so that one
/// thread can be a piece ahead of the other.
const PIECE: u64 = 1024;
const BATCH: usize = 64;
const BATCHES: usize = 32;

enum Message {
    Lines(Vec<Item>),
    EndOfPiece,
    Failed(rusqlite::Error),
}

enum Item {
    File(Line),
    /// A row that is not to be trusted: what is known of it, and why.
    Unsafe {
        object: String,
        known: Line,
        why: String,
    },
    /// A folder that cannot be read.
    Warning {
        folder: PathBuf,
        why: String,
    },
    EndOfBook,
}

/// Writes the records of `library`. Says whether it came to the end of what was selected.
///
/// # Errors
/// The database is damaged, or stdout is closed.
pub(crate) fn list(
    out: &Writer,
    library: &Library,
    snapshot: Snapshot,
    plan: &Plan,
) -> anyhow::Result<()> {
    let damaged = |error| Error::Damaged(library.database.clone(), error);
    let mut readers = snapshot.readers;
    let first = &readers[0];
    let names = Names::read(first, &snapshot.schema, plan.all_fields).map_err(damaged)?;
    let custom = match plan.all_fields {
        true => Some(Custom::read_all(first, &snapshot.schema).map_err(damaged)?),
        false => None,
    };
    let pieces = pieces(first, &plan.selection).map_err(damaged)?;
    if plan.selection.limit.is_some() {
        // Whoever wants few books does not want two threads to run ahead.
        readers.truncate(1);
    }
    let workers = readers.len();
    thread::scope(|scope| {
        let (pieces, names, schema) = (&pieces, &names, &snapshot.schema);
        let custom = custom.as_deref();
        let mut channels = Vec::new();
        for (number, reader) in readers.into_iter().enumerate() {
            let (send, receive) = sync_channel(BATCHES);
            channels.push(receive);
            scope.spawn(move || {
                let own = pieces.iter().skip(number).step_by(workers);
                let nowhere = number == pieces.len() % workers && plan.selection.takes_nowhere();
                let worked = Scan::new(&reader, schema, names, custom).and_then(|scan| {
                    Worker {
                        root: &library.root,
                        plan,
                        send: &send,
                        batch: Vec::new(),
                    }
                    .work(scan, own, nowhere)
                });
                if let Err(error) = worked {
                    // The writer may have gone already, and then it is not interested.
                    let _ = send.send(Message::Failed(error));
                }
            });
        }
        let extra = usize::from(plan.selection.takes_nowhere());
        let written = write(out, &channels, pieces.len() + extra, plan.selection.limit);
        // Dropping the channels stops the workers.
        drop(channels);
        match written? {
            Some(error) => Err(damaged(error).into()),
            None => Ok(()),
        }
    })
}

/// Cuts the selected ids into pieces of about equal numbers of books, if ids are spread evenly.
fn pieces(
    reader: &Connection,
    selection: &Selection,
) -> rusqlite::Result<Vec<RangeInclusive<i64>>> {
    let (first, last, count): (Option<i64>, Option<i64>, i64) =
        reader.query_row("SELECT (SELECT min(id) FROM books), (SELECT max(id) FROM books), (SELECT count(*) FROM books)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    let span = last.abs_diff(first) / (count.max(1) as u64) + 1;
    let width = span.saturating_mul(PIECE);
    let mut pieces = Vec::new();
    for range in selection.ranges() {
        // Rows of books beyond the ends are looked for too: they are strays.
        let mut start = *range.start();
        let mut end = first.saturating_add_unsigned(width - 1);
        while end < last && end < *range.end() {
            if end >= start {
                pieces.push(start..=end);
                start = end + 1;
            }
            end = end.saturating_add_unsigned(width);
        }
        if start <= *range.end() {
            pieces.push(start..=*range.end());
        }
    }
    Ok(pieces)
}

/// Writes what the workers send, piece by piece in turn.
fn write(
    out: &Writer,
    channels: &[Receiver<Message>],
    pieces: usize,
    limit: Option<u64>,
) -> anyhow::Result<Option<rusqlite::Error>> {
    let mut books = 0;
    for piece in 0..pieces {
        loop {
            if stop::requested() || limit == Some(books) {
                return Ok(None);
            }
            let items = match channels[piece % channels.len()].recv() {
                Ok(Message::Lines(items)) => items,
                Ok(Message::Failed(error)) => return Ok(Some(error)),
                Ok(Message::EndOfPiece) | Err(_) => break,
            };
            for item in items {
                match item {
                    Item::File(line) => out.write(&line)?,
                    Item::Unsafe { object, known, why } => {
                        let line = [known.open_bytes(), b"}"].concat();
                        let input = Record::parse(line).map_err(anyhow::Error::msg)?;
                        let trouble = Trouble {
                            op: "list",
                            message: &why,
                            retry: false,
                        };
                        out.fail(&input, &object, trouble)?;
                    }
                    Item::Warning { folder, why } => {
                        out.warn(&folder.display().to_string(), "read", &why);
                    }
                    Item::EndOfBook => books += 1,
                }
                if limit == Some(books) {
                    return Ok(None);
                }
            }
        }
    }
    Ok(None)
}

struct Worker<'w> {
    root: &'w Path,
    plan: &'w Plan,
    send: &'w SyncSender<Message>,
    batch: Vec<Item>,
}

impl Worker<'_> {
    fn work<'p>(
        mut self,
        mut scan: Scan<'_>,
        pieces: impl Iterator<Item = &'p RangeInclusive<i64>>,
        nowhere: bool,
    ) -> rusqlite::Result<()> {
        let selection = &self.plan.selection;
        for piece in pieces {
            let end = scan.range(
                piece,
                |id| selection.takes_book(id),
                |found| self.take(found),
            )?;
            if end.is_break() || self.end_piece().is_break() {
                return Ok(());
            }
        }
        if nowhere {
            scan.nowhere(|found| self.take(found))?;
            let _ = self.end_piece();
        }
        Ok(())
    }

    fn end_piece(&mut self) -> ControlFlow<()> {
        self.flush()?;
        gone(self.send.send(Message::EndOfPiece))
    }

    fn flush(&mut self) -> ControlFlow<()> {
        match std::mem::take(&mut self.batch) {
            empty if empty.is_empty() => ControlFlow::Continue(()),
            batch => gone(self.send.send(Message::Lines(batch))),
        }
    }

    fn take(&mut self, found: Found<'_, '_>) -> ControlFlow<()> {
        match found {
            Found::Book(book) => self.book(book),
            Found::Stray(book_id, format) => self.stray(book_id, format),
        }
        if self.batch.len() >= BATCH {
            self.flush()
        } else {
            ControlFlow::Continue(())
        }
    }

    fn stray(&mut self, book_id: Option<i64>, format: &Format) {
        if !self.plan.selection.takes_format(&format.shown()) {
            return;
        }
        let shown = book_id.map_or_else(|| "no number".into(), |id| id.to_string());
        self.batch.push(Item::Unsafe {
            object: format!("book {shown}, {}", record::short(&format.shown())),
            known: record::known(book_id, format, None),
            why: "the file is on record for a book that is not".into(),
        });
        self.batch.push(Item::EndOfBook);
    }

    fn book(&mut self, book: &Book<'_>) {
        let selection = &self.plan.selection;
        let wanted: Vec<&Format> = book
            .formats
            .iter()
            .filter(|format| selection.takes_format(&format.shown()))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let folder = place::folder(self.root, &book.path);
        let fields = record::fields(book);
        let cover = folder
            .as_ref()
            .ok()
            .filter(|_| book.has_cover)
            .map(|folder| folder.join("cover.jpg"));
        let seen = match &folder {
            Ok(folder) if self.plan.stat => self.look(folder, book),
            _ => None,
        };
        for format in wanted {
            let name = place::file_name(&format.name, &format.format);
            match (&folder, &name) {
                (Ok(folder), Ok(name)) => {
                    let status = seen
                        .as_ref()
                        .map(|(names, tracked)| status::status(names, name, tracked));
                    let path = folder.join(as_path(name));
                    let head = || record::book_file(&path, book, format, cover.as_deref(), status);
                    let mut line = head();
                    record::put(&mut line, &fields);
                    if line.len() > fit::LIMIT {
                        line = head();
                        fit::put_fitting(&mut line, &fields, fit::LIMIT);
                    }
                    self.batch.push(Item::File(line));
                }
                (Err(why), _) | (Ok(_), Err(why)) => {
                    let mut known = record::known(Some(book.id), format, cover.as_deref());
                    let why = record::short(why).into_owned();
                    // Room for what an error says beside it.
                    fit::put_fitting(&mut known, &fields, fit::LIMIT - 200 - 2 * why.len());
                    let object = format!("book {}, {}", book.id, record::short(&format.shown()));
                    self.batch.push(Item::Unsafe { object, known, why });
                }
            }
        }
        self.batch.push(Item::EndOfBook);
    }

    /// The names in a book's folder, and those that are on record.
    fn look(
        &mut self,
        folder: &Path,
        book: &Book<'_>,
    ) -> Option<(Vec<std::ffi::OsString>, Vec<Vec<u8>>)> {
        match status::names(folder) {
            Ok(names) => {
                let formats = book.formats.iter();
                let tracked =
                    formats.filter_map(|one| place::file_name(&one.name, &one.format).ok());
                Some((names, tracked.collect()))
            }
            Err(error) => {
                self.batch.push(Item::Warning {
                    folder: folder.into(),
                    why: error.to_string(),
                });
                None
            }
        }
    }
}

fn as_path(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
}

/// A send fails when the writer has gone: then there is nothing left to do.
fn gone<E>(sent: Result<(), E>) -> ControlFlow<()> {
    match sent {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}
