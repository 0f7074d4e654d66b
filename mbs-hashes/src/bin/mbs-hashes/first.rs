//! All rows that are there, once.

use mbs_hashes::{Failure, Session, session::connect};
use wire::{Exit, Fatal, Writer, records::Summary};

use crate::{args::Pass, pass, records::RowWriter};

/// Streams the table.
///
/// # Errors
/// A [`Fatal`] when the database is out of reach or lost, or stdout's own.
pub(crate) fn stream(pass: &Pass, out: Writer) -> anyhow::Result<Exit> {
    let session = enter(pass, &out)?;
    let mut known = RowWriter::new(&out);
    let read = expect(&session, &out).and_then(|()| {
        pass::read(&session, &[pass::above(pass.after_id)], |row| {
            Ok(known.write(row)?)
        })
    });
    unless_stopped(read, pass)?;
    Ok(out.finish(summary(pass))?)
}

/// Connects.
pub(crate) fn enter(pass: &Pass, out: &Writer) -> Result<Session, Fatal> {
    if let Some(oddity) = &pass.settings.oddity {
        out.warn("password file", "read", oddity);
    }
    let object = pass.settings.to_string();
    let tried = |reason: &str| out.verbose(&object, "connect", reason);
    connect(&pass.settings, pass.terms, tried).map_err(|failure| failure.fatal(&object, "connect"))
}

/// Tells the progress bar how many rows there are, as far as the server knows without counting.
fn expect(session: &Session, out: &Writer) -> anyhow::Result<()> {
    let sql = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'source'::regclass";
    let rows = session
        .number(sql)?
        .and_then(|rows| u64::try_from(rows).ok());
    if let Some(rows) = rows.filter(|&rows| rows > 0) {
        out.progress().expect(rows);
    }
    Ok(())
}

/// A stop is no error: what was read is handed over, with a summary that says that it is not all.
pub(crate) fn unless_stopped(read: anyhow::Result<()>, pass: &Pass) -> anyhow::Result<()> {
    match read {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast::<Failure>()? {
            Failure::Stopped => Ok(()),
            failure => Err(failure.fatal(&pass.settings, "read").into()),
        },
    }
}

/// What the stream is when all went well.
pub(crate) fn summary(pass: &Pass) -> Summary {
    Summary {
        complete: pass.after_id.is_none(),
        selection: pass.after_id.map(|id| format!("--after-id {id}")),
        ..Summary::default()
    }
}
