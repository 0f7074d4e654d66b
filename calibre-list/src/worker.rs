//! One of the threads that read books and make their lines.

use std::{
    ffi::{OsStr, OsString},
    ops::{ControlFlow, RangeInclusive},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender},
};

use calibre_list::{
    Book, place,
    rows::{Format, Found, Scan},
};
use wire::{Line, Lines};

use crate::{fit, list::Plan, record, status};

/// Lines in a message.
const BATCH: usize = 64;

/// What a worker sends, in order.
pub(crate) enum Message {
    /// Records, in a buffer that the worker would like to have back.
    Lines(Lines),
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
    EndOfPiece,
    Failed(rusqlite::Error),
}

/// The names in a book's folder, and those that are on record.
type FolderNames = (Vec<OsString>, Vec<Vec<u8>>);

/// Reads its pieces one after another and sends what it makes of them.
pub(crate) struct Worker<'w> {
    root: &'w Path,
    plan: &'w Plan,
    send: &'w SyncSender<Message>,
    /// Buffers that have been written.
    empties: &'w Receiver<Lines>,
    batch: Lines,
    line: Line,
    /// Books that have had a message.
    books: u64,
}

impl<'w> Worker<'w> {
    /// One that has sent nothing yet.
    pub(crate) fn new(
        root: &'w Path,
        plan: &'w Plan,
        send: &'w SyncSender<Message>,
        empties: &'w Receiver<Lines>,
    ) -> Worker<'w> {
        Worker {
            root,
            plan,
            send,
            empties,
            batch: Lines::default(),
            line: Line::default(),
            books: 0,
        }
    }

    /// Does all pieces, and then, where it falls to this worker, the files of no book. With a limit
    /// there is one worker only.
    pub(crate) fn work<'p>(
        mut self,
        mut scan: Scan<'_>,
        pieces: impl Iterator<Item = &'p RangeInclusive<i64>>,
        strays: bool,
    ) -> rusqlite::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let selection = &self.plan.selection;
        for piece in pieces {
            let end = scan.range(
                piece,
                |id| selection.takes_book(id),
                |found| self.take(found),
            )?;
            if end.is_break() || self.end_piece().is_break() {
                let _ = self.flush();
                return Ok(());
            }
        }
        if strays {
            scan.strays(|found| self.take(found))?;
            let _ = self.end_piece();
        }
        Ok(())
    }

    fn end_piece(&mut self) -> ControlFlow<()> {
        self.flush()?;
        gone(self.send.send(Message::EndOfPiece))
    }

    fn flush(&mut self) -> ControlFlow<()> {
        if self.batch.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut empty = self.empties.try_recv().unwrap_or_default();
        empty.clear();
        let full = std::mem::replace(&mut self.batch, empty);
        gone(self.send.send(Message::Lines(full)))
    }

    /// Sends what is no line, after the lines before it.
    fn send(&mut self, message: Message) -> ControlFlow<()> {
        self.flush()?;
        gone(self.send.send(message))
    }

    fn take(&mut self, found: Found<'_, '_>) -> ControlFlow<()> {
        match found {
            Found::Book(book) => self.book(book)?,
            Found::Stray(book_id, format) => self.stray(book_id, format)?,
        }
        // A folder on a slow disk must not hold back the books before it.
        if self.batch.len() >= BATCH || self.plan.stat {
            self.flush()?;
        }
        match self.is_full() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Were there as many books as were asked for?
    fn is_full(&self) -> bool {
        self.plan
            .selection
            .limit
            .is_some_and(|most| self.books >= most)
    }

    fn stray(&mut self, book_id: Option<i64>, format: &Format) -> ControlFlow<()> {
        if !self.plan.selection.takes_format(&format.shown()) {
            return ControlFlow::Continue(());
        }
        let shown = book_id.map_or_else(|| "no number".into(), |id| id.to_string());
        self.books += 1;
        self.send(Message::Unsafe {
            object: format!("book {shown}, {}", record::short(&format.shown())),
            known: record::known(book_id, format, None),
            why: "the file is on record for a book that is not".into(),
        })
    }

    fn book(&mut self, book: &Book<'_>) -> ControlFlow<()> {
        let selection = &self.plan.selection;
        let wanted: Vec<&Format> = book
            .formats
            .iter()
            .filter(|format| selection.takes_format(&format.shown()))
            .collect();
        if wanted.is_empty() {
            return ControlFlow::Continue(());
        }
        self.books += 1;
        let folder = place::folder(self.root, &book.path);
        let fields = record::fields(book);
        let cover = folder
            .as_ref()
            .ok()
            .filter(|_| book.has_cover)
            .map(|folder| folder.join("cover.jpg"));
        let seen = match &folder {
            Ok(folder) if self.plan.stat => self.look(folder, book)?,
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
                    let line = &mut self.line;
                    record::book_file(line, &path, book, format, cover.as_deref(), status);
                    record::put(line, &fields);
                    if line.len() > fit::LIMIT {
                        record::book_file(line, &path, book, format, cover.as_deref(), status);
                        fit::put_fitting(line, &fields, fit::LIMIT);
                    }
                    self.batch.push(line);
                }
                (Err(why), _) | (Ok(_), Err(why)) => {
                    let mut known = record::known(Some(book.id), format, cover.as_deref());
                    let why = record::short(why).into_owned();
                    // Room for what an error says beside it.
                    fit::put_fitting(&mut known, &fields, fit::LIMIT - 200 - 2 * why.len());
                    let object = format!("book {}, {}", book.id, record::short(&format.shown()));
                    self.send(Message::Unsafe { object, known, why })?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn look(&mut self, folder: &Path, book: &Book<'_>) -> ControlFlow<(), Option<FolderNames>> {
        ControlFlow::Continue(match status::names(folder) {
            Ok(names) => {
                let formats = book.formats.iter();
                let tracked =
                    formats.filter_map(|one| place::file_name(&one.name, &one.format).ok());
                Some((names, tracked.collect()))
            }
            Err(error) => {
                self.send(Message::Warning {
                    folder: folder.into(),
                    why: error.to_string(),
                })?;
                None
            }
        })
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
