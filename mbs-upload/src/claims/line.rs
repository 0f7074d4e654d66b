//! The connection that holds the locks, statement by statement.

use std::time::Duration;

use mbs_hashes::{
    Failure, Session, Settings,
    session::{Terms, connect},
};

use super::There;
use crate::{claims::claim::Claim, known::Content};

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
    /// Connects, with a few tries.
    pub(super) fn first(settings: &Settings, mut warn: impl FnMut(&str)) -> Result<Line, Failure> {
        for tries in 1.. {
            let session = connect(settings, TERMS, &mut warn)?;
            match Line::prepare(session, None) {
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
        // A machine that dies must not hold its locks for hours, nor may silence end them.
        session.query(
            "SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '30' \
             WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '3' \
             ELSE '0' END, false) FROM pg_settings WHERE name IN ('tcp_keepalives_idle', \
             'tcp_keepalives_interval', 'tcp_keepalives_count', 'idle_session_timeout')",
        )?;
        let about = session.query(
            "SELECT pg_backend_pid(), pg_is_in_recovery()::int, \
             (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())",
        )?;
        let value = |column: usize| about.first().and_then(|row| row.get(column)?.clone());
        if value(1).as_deref() != Some("0") {
            return Err(Failure::Protocol(
                "a standby: locks taken there hold for nobody else: name the primary",
            ));
        }
        let nobody = Failure::Protocol("the server does not say who we are");
        let backend = Backend {
            pid: value(0).ok_or(nobody)?,
            since: value(2).unwrap_or_default(),
        };
        if let Some(Backend { pid, since }) = before.filter(|before| !before.since.is_empty()) {
            session.query(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE pid = {pid} AND backend_start = '{since}' AND usename = current_user",
            ))?;
        }
        Ok(Line { session, backend })
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
            return Err(Failure::Protocol(
                "a pooler lends another session to each statement, so no lock holds: name the server itself",
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
