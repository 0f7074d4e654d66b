//! All rows that are there, then the new ones as they come.

use std::{
    collections::HashSet,
    io, iter,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use mbs_hashes::{Failure, Session, source::Source};
use rustix::fs::{FileType, fstat};
use wire::{Exit, Line, Writer, records::CaughtUp, stop};

use crate::{
    args::Pass,
    commit_gaps::OpenTransactions,
    first::{enter, summary, unless_stopped},
    pass,
    query_order::{self, Queries},
    records::RowWriter,
};

/// The longest pause between two tries to reach a database that went away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Streams the table and what is added to it, until a signal or the reader ends it.
///
/// # Errors
/// As [`first::stream`](crate::first::stream); a database that goes away later is waited for.
pub(crate) fn stream(pass: &Pass, interval: Duration, out: Writer) -> anyhow::Result<Exit> {
    let mut session = enter(pass, &out)?;
    warn_of_standby(&session, pass, &out);
    let mut known = RowWriter::new(&out);
    let mut gaps = None;
    let after = pass.after_id.unwrap_or(i64::MIN);
    let mut write = |row: &Source<'_>| Ok(known.write(row)?);
    let caught_up = query_order::first(&mut Database(&session), after, &mut gaps, &mut write)
        .and_then(|()| Ok(out.write(&caught_up(&known, pass))?));
    unless_stopped(caught_up, pass)?;
    out.flush()?;
    while let Some(gaps) = &mut gaps {
        match wait(interval)? {
            Woken::Time => {}
            Woken::Stop => break,
            Woken::ReaderGone => return Ok(Exit::Done),
        }
        let mut write = |row: &Source<'_>| Ok(known.write(row)?);
        let read = query_order::next(&mut Database(&session), gaps, &mut write);
        match read.map_err(anyhow::Error::downcast::<Failure>) {
            Err(Ok(failure)) if failure.may_pass() => {
                match reconnect(pass, &out, &failure)? {
                    Some(new) => session = new,
                    None => continue,
                };
            }
            Err(Ok(failure)) => unless_stopped(Err(failure.into()), pass)?,
            Err(Err(error)) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(out.finish(summary(pass))?)
}

/// A standby replays what the primary did and shows the primary's transactions only once they wrote.
fn warn_of_standby(session: &Session, pass: &Pass, out: &Writer) {
    if session.is_standby() {
        let reason = "a standby cannot tell every open transaction, so a late row may be missed: follow the primary";
        out.warn(&pass.settings.to_string(), "follow", reason);
    }
}

/// The real database.
struct Database<'a>(&'a Session);

impl Queries for Database<'_> {
    fn highest(&mut self) -> anyhow::Result<Option<i64>> {
        Ok(self.0.number("SELECT max(id) FROM source")?)
    }

    fn open_transactions(&mut self) -> anyhow::Result<OpenTransactions> {
        open_transactions(self.0)
    }

    fn rows(
        &mut self,
        top: Option<i64>,
        gaps: &[(i64, i64)],
        each: &mut dyn FnMut(&Source<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let gaps = (!gaps.is_empty()).then(|| pass::within(gaps.iter().copied()));
        let parts: Vec<String> = iter::once(pass::above(top)).chain(gaps).collect();
        pass::read(self.0, &parts, each)
    }
}

/// The transactions that are open now, queried outside of the pass's own snapshot.
fn open_transactions(session: &Session) -> anyhow::Result<OpenTransactions> {
    let rows = session.query(
        "SELECT txid_snapshot_xmin(now), txid_snapshot_xmax(now), virtualtransaction \
         FROM txid_current_snapshot() AS now \
         LEFT JOIN (SELECT DISTINCT virtualtransaction FROM pg_locks \
         WHERE pid IS DISTINCT FROM pg_backend_pid()) AS open ON true",
    )?;
    let number = |column: usize| {
        let text = rows.first().and_then(|row| row.get(column)?.as_deref());
        text.and_then(|text| text.parse().ok())
            .ok_or(Failure::Protocol(
                "the server does not say which transactions are open",
            ))
    };
    Ok(OpenTransactions {
        oldest: number(0)?,
        next: number(1)?,
        open: rows
            .iter()
            .filter_map(|row| row.get(2)?.clone())
            .collect::<HashSet<_>>(),
    })
}

/// Waits for a database that went away, as long as it takes; a follower runs for days. Returns nothing
/// after a stop request.
fn reconnect(pass: &Pass, out: &Writer, lost: &Failure) -> anyhow::Result<Option<Session>> {
    let object = pass.settings.to_string();
    out.warn(
        &object,
        "follow",
        &format!("{lost}; trying again until it is back"),
    );
    let mut pause = Duration::from_secs(1);
    loop {
        match wait(pause)? {
            Woken::Time => {}
            Woken::Stop | Woken::ReaderGone => return Ok(None),
        }
        match Session::open(&pass.settings, pass.terms) {
            Ok(session) => {
                out.warn(&object, "follow", "connected again");
                return Ok(Some(session));
            }
            Err(failure) if failure.may_pass() => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                let next = format!("{failure}; again in {} s", pause.as_secs());
                out.verbose(&object, "connect", &next);
            }
            Err(Failure::Stopped) => return Ok(None),
            Err(failure) => return Err(failure.fatal(&object, "connect").into()),
        }
    }
}

enum Woken {
    Time,
    Stop,
    ReaderGone,
}

/// Pauses, but no longer than until a stop is requested or the reader of our pipe is gone: without
/// new rows nothing would be written that could tell.
fn wait(time: Duration) -> io::Result<Woken> {
    let _waiting = wire::waiting::announce("the next look for new rows", time);
    let stdout = io::stdout();
    let piped = fstat(stdout.as_fd())
        .is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Fifo);
    if !piped {
        return Ok(if stop::sleep(time) {
            Woken::Stop
        } else {
            Woken::Time
        });
    }
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // The writing end of a pipe is never readable; what wakes us is the error that it has.
        let gone = stop::wait_readable(stdout.as_fd(), Some(left))?;
        if stop::requested() {
            return Ok(Woken::Stop);
        }
        if gone {
            return Ok(Woken::ReaderGone);
        }
        if left.is_zero() {
            return Ok(Woken::Time);
        }
    }
}

fn caught_up(known: &RowWriter<'_>, pass: &Pass) -> Line {
    Line::of(&CaughtUp {
        last_id: known.last_id.unwrap_or(pass.after_id.unwrap_or(0)),
        rows: known.rows,
        as_of: jiff::Timestamp::now().to_string(),
    })
}
