//! The connection that holds the locks, statement by statement.

use std::time::Duration;

use mbs_hashes::{
    Failure, Session, Settings,
    session::{Terms, connect},
};

use crate::{
    known::Content,
    locks::{There, probe::probe},
    model::claim::Claim,
};

const TERMS: Terms = Terms {
    tool: "mbs-upload",
    // Without an index the server reads its whole table for one answer.
    patience: Duration::from_secs(120),
    statement: None,
    // What is under way when a stop is requested is still finished.
    heeds_stop: false,
};

/// Connections at the start that may be lost before they are of use.
const TRIES: u32 = 3;

/// A session of the server's own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pid: String,
    since: String,
}

/// A session that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) claim: Claim,
    pub(super) pid: String,
    /// Its application_name.
    pub(super) name: String,
    /// Since when it is connected, where we may know that.
    pub(super) since: Option<String>,
    /// Since when it does nothing.
    pub(super) idle: Option<String>,
}

/// The connection.
pub(super) struct Line {
    session: Session,
    pub(super) backend: Backend,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.backend.fmt(f)
    }
}

impl Line {
    /// Connects, with a few tries, and makes sure that locks hold there.
    pub(super) fn first(settings: &Settings, mut warn: impl FnMut(&str)) -> Result<Line, Failure> {
        for tries in 1.. {
            let session = connect(settings, TERMS, &mut warn)?;
            let sound = || -> Result<Line, Failure> {
                let line = Line::prepare(session, None)?;
                probe(&line.session, || Session::open(settings, TERMS))?;
                Ok(line)
            };
            match sound() {
                Err(failure) if failure.may_pass() && tries < TRIES => warn(&failure.to_string()),
                other => return other,
            }
        }
        unreachable!("the tries come to an end")
    }

    /// Connects, and ends the session `before`: where the network broke, the server may not have
    /// noticed yet, and would keep our own locks from us.
    pub(super) fn open(settings: &Settings, before: &Backend) -> Result<Line, Failure> {
        Line::prepare(Session::open(settings, TERMS)?, Some(before))
    }

    fn prepare(session: Session, before: Option<&Backend>) -> Result<Line, Failure> {
        if session.is_standby() {
            return Err(Failure::Unsafe(
                "a standby: locks taken there hold for nobody else: name the primary".into(),
            ));
        }
        let about = session.query(
            "SELECT pg_backend_pid(), \
             (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())",
        )?;
        let value = |column: usize| about.first().and_then(|row| row.get(column)?.clone());
        let nobody = Failure::Protocol("the server does not say who we are");
        let backend = Backend {
            pid: value(0).ok_or(nobody)?,
            since: value(1).unwrap_or_default(),
        };
        if let Some(Backend { pid, since }) = before.filter(|before| !before.since.is_empty()) {
            session.query(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE pid = {pid} AND backend_start = '{since}' AND usename = current_user \
                 AND application_name = current_setting('application_name')",
            ))?;
        }
        Ok(Line { session, backend })
    }

    /// Who else holds which of these locks.
    pub(super) fn holders(&mut self, claims: &[Claim]) -> Result<Vec<Holder>, Failure> {
        let time = |column: &str| {
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        };
        let rows = self.session.query(&format!(
            "SELECT claim, lock.pid, application_name, {}, \
             CASE WHEN state LIKE 'idle%' THEN {} END \
             FROM {} AS claim JOIN pg_locks AS lock \
             ON locktype = 'advisory' AND granted AND objsubid = 1 AND lock.pid <> pg_backend_pid() \
             AND (classid::bigint << 32) | objid::bigint = claim \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             LEFT JOIN pg_stat_activity AS session ON session.pid = lock.pid",
            time("backend_start"),
            time("state_change"),
            list(claims)
        ))?;
        let holder = |row: Vec<Option<String>>| {
            let mut values = row.into_iter();
            Some(Holder {
                claim: values.next()??.parse::<i64>().ok()? as Claim,
                pid: values.next()??,
                name: values.next().flatten().unwrap_or_default(),
                since: values.next().flatten(),
                idle: values.next().flatten(),
            })
        };
        Ok(rows.into_iter().filter_map(holder).collect())
    }

    /// Takes all these locks or none; says whether it did.
    pub(super) fn take(&mut self, claims: &[Claim]) -> Result<bool, Failure> {
        let answer = self.session.query(&format!(
            "SELECT claim, pg_try_advisory_lock(claim), pg_backend_pid() FROM {} AS claim",
            list(claims)
        ));
        if answer
            .as_ref()
            .is_err_and(|failure| !failure.ends_session())
        {
            // A statement that fails half-way keeps the locks that it had got.
            self.release(claims)?;
        }
        let rows = answer?;
        let granted =
            |row: &&Vec<Option<String>>| row.get(1).is_some_and(|v| v.as_deref() == Some("t"));
        let taken: Vec<Claim> = rows
            .iter()
            .filter(granted)
            .filter_map(|row| row.first()?.as_ref()?.parse::<i64>().ok())
            .map(|claim| claim as Claim)
            .collect();
        let elsewhere = rows
            .iter()
            .any(|row| row.get(2).and_then(Option::as_ref) != Some(&self.backend.pid));
        if elsewhere {
            return Err(Failure::Unsafe(
                "a pooler lends another session to each statement, so no lock holds: name the server itself".into(),
            ));
        }
        if taken.len() < claims.len() {
            self.release(&taken)?;
        }
        Ok(taken.len() == claims.len())
    }

    /// Gives locks back.
    pub(super) fn release(&mut self, claims: &[Claim]) -> Result<(), Failure> {
        if claims.is_empty() {
            return Ok(());
        }
        let unlock = format!(
            "SELECT pg_advisory_unlock(claim) FROM {} AS claim",
            list(claims)
        );
        self.session.query(&unlock).map(drop)
    }

    /// Looks a content up.
    pub(super) fn there(&mut self, content: &Content) -> Result<Option<There>, Failure> {
        let rows = self.session.query(&format!(
            "SELECT id, ebook_id FROM source WHERE hash = '{}' AND size = {} ORDER BY id LIMIT 1",
            content.sha1(),
            content.size()
        ))?;
        let number = |value: &Option<String>| value.as_ref()?.parse().ok();
        Ok(rows.first().map(|row| There {
            source: row.first().and_then(number),
            ebook: row.get(1).and_then(number),
        }))
    }

    /// Runs a query that only reads.
    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        self.session.query(sql)
    }
}

fn list(claims: &[Claim]) -> String {
    let numbers: Vec<String> = claims
        .iter()
        .map(|&claim| (claim as i64).to_string())
        .collect();
    format!("unnest('{{{}}}'::bigint[])", numbers.join(","))
}
