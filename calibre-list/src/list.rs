//! From the snapshot to records: two threads read and make lines, this one writes them in order.

use std::{
    ops::RangeInclusive,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread,
};

use calibre_list::{
    Error, Library, Snapshot,
    rows::{Custom, Names, Scan},
};
use rusqlite::Connection;
use wire::{Exit, Lines, OrFatal, Record, Writer, crash, records::Summary, stop, write::ItemError};

use crate::{
    select::Selection,
    worker::{Message, Worker},
};

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
            library: snapshot.library.clone(),
            selection,
            shard: self.selection.shard.map(|shard| shard.to_string()),
            snapshot_ms: Some(snapshot.took.as_millis() as u64),
            ..Summary::default()
        }
    }
}

/// Books in a piece of work, and messages that wait: about a piece, so that one thread can be a
/// piece ahead of the other.
const PIECE: u64 = 1024;
const BATCHES: usize = 32;

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
    let failed = |error| Error::sqlite(&library.database, error);
    let mut readers = snapshot.readers;
    let first = &readers[0];
    let names = Names::read(first, &snapshot.schema, plan.all_fields).map_err(failed)?;
    let custom = match plan.all_fields {
        true => Some(Custom::read_all(first, &snapshot.schema).map_err(failed)?),
        false => None,
    };
    let pieces = pieces(first, snapshot.schema.from("books"), &plan.selection).map_err(failed)?;
    if plan.selection.limit.is_some() {
        // Whoever wants few books does not want two threads to run ahead.
        readers.truncate(1);
    }
    readers.truncate(crash::affordable_threads(readers.len()));
    let workers = readers.len();
    thread::scope(|scope| {
        let (pieces, names, schema) = (&pieces, &names, &snapshot.schema);
        let custom = custom.as_deref();
        let mut channels = Vec::new();
        for (number, reader) in readers.into_iter().enumerate() {
            let (send, receive) = sync_channel(BATCHES);
            let (give_back, empties) = channel();
            channels.push((receive, give_back));
            let thread = thread::Builder::new().spawn_scoped(scope, move || {
                let own = pieces.iter().skip(number).step_by(workers);
                let strays = number == pieces.len() % workers && plan.selection.takes_strays();
                let worked = Scan::new(&reader, schema, names, custom).and_then(|scan| {
                    Worker::new(&library.root, plan, &send, &empties).work(scan, own, strays)
                });
                if let Err(error) = worked {
                    // The writer may have gone already, and then it is not interested.
                    let _ = send.send(Message::Failed(error));
                }
            });
            thread.or_fatal(Exit::GaveUp, "threads: start one")?;
        }
        let extra = usize::from(plan.selection.takes_strays());
        let written = write(out, &channels, pieces.len() + extra);
        // Dropping the channels stops the workers.
        drop(channels);
        match written? {
            Some(error) => Err(failed(error).into()),
            None => Ok(()),
        }
    })
}

/// Cuts the selected ids into pieces of about equal numbers of books, if ids are spread evenly.
fn pieces(
    reader: &Connection,
    books: &str,
    selection: &Selection,
) -> rusqlite::Result<Vec<RangeInclusive<i64>>> {
    let (first, last, count): (Option<i64>, Option<i64>, i64) =
        reader.query_row(&format!("SELECT (SELECT min(id) FROM {books}), (SELECT max(id) FROM {books}), (SELECT count(*) FROM {books})"), [], |row| {
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

/// Writes what the workers send, piece by piece in turn, and gives them their buffers back.
fn write(
    out: &Writer,
    channels: &[(Receiver<Message>, Sender<Lines>)],
    pieces: usize,
) -> anyhow::Result<Option<rusqlite::Error>> {
    for piece in 0..pieces {
        let (messages, give_back) = &channels[piece % channels.len()];
        loop {
            if stop::requested() {
                return Ok(None);
            }
            match messages.recv() {
                Ok(Message::Lines(lines)) => {
                    out.write_lines(&lines)?;
                    // The worker may have come to its end.
                    let _ = give_back.send(lines);
                }
                Ok(Message::Unsafe { object, known, why }) => {
                    let line = [known.open_bytes(), b"}"].concat();
                    let input = Record::parse(line).map_err(anyhow::Error::msg)?;
                    let item_error = ItemError {
                        op: "list",
                        message: &why,
                        retry: false,
                    };
                    out.fail(&input, &object, item_error)?;
                }
                Ok(Message::Warning { folder, why }) => {
                    out.warn(&folder.display().to_string(), "read", &why);
                }
                Ok(Message::Failed(error)) => return Ok(Some(error)),
                Ok(Message::EndOfPiece) | Err(_) => break,
            }
        }
    }
    Ok(None)
}
