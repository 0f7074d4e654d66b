//! One of the threads that read books and make their lines.

use std::{
    ffi::{OsStr, OsString},
    ops::{ControlFlow, RangeInclusive},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::mpsc::SyncSender,
};

use calibre_list::{
    Book, place,
    rows::{Format, Found, Scan},
};
use wire::Line;

use crate::{fit, list::Plan, record, status};

/// Items in a message.
const BATCH: usize = 64;

/// What a worker sends.
pub(crate) enum Message {
    Lines(Vec<Item>),
    EndOfPiece,
    Failed(rusqlite::Error),
}

/// What goes out, in order.
pub(crate) enum Item {
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

/// Reads its pieces one after another and sends what it makes of them.
pub(crate) struct Worker<'w> {
    pub root: &'w Path,
    pub plan: &'w Plan,
    pub send: &'w SyncSender<Message>,
    pub batch: Vec<Item>,
}

impl Worker<'_> {
    /// Does all pieces, and then, where it falls to this worker, the files of no book.
    pub(crate) fn work<'p>(
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
        // A folder on a slow disk must not hold back the books before it.
        if self.batch.len() >= BATCH || self.plan.stat {
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
    fn look(&mut self, folder: &Path, book: &Book<'_>) -> Option<(Vec<OsString>, Vec<Vec<u8>>)> {
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
    Path::new(OsStr::from_bytes(name))
}

/// A send fails when the writer has gone: then there is nothing left to do.
fn gone<E>(sent: Result<(), E>) -> ControlFlow<()> {
    match sent {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}
