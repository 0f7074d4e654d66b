//! What the server's database says, asked again for each file: rows of its table `source`.

use std::time::Duration;

use mbs_hashes::{
    Failure, Session, Settings,
    session::{self, Terms},
    source::{self, Formats},
};

/// One stored file of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceRow {
    /// Its id.
    pub(super) id: i64,
    /// SHA-1 in hex, as the server has it.
    pub sha1: String,
    /// Bytes.
    pub(super) size: i64,
    /// Path below the folder of books, exact bytes.
    pub(super) location: Vec<u8>,
}

/// A moment in the life of the table: what was written after it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    last_id: i64,
    /// The oldest transaction that was still open.
    open: i64,
}

/// Ids are given out before their rows are there for others to see; this many that are lower than the
/// last one seen are looked at again.
const LATE: i64 = 10_000;

/// The database, reached again when it went away.
pub(super) struct Server<'a> {
    settings: &'a Settings,
    patience: Duration,
    session: Option<Session>,
}

impl<'a> Server<'a> {
    /// Connects.
    pub(super) fn connect(
        settings: &'a Settings,
        patience: Duration,
        warn: impl FnMut(&str),
    ) -> Result<Server<'a>, Failure> {
        let mut server = Server {
            settings,
            patience,
            session: None,
        };
        server.session = Some(server.open(warn)?);
        Ok(server)
    }

    fn open(&self, warn: impl FnMut(&str)) -> Result<Session, Failure> {
        let terms = Terms {
            tool: "orphan-rm",
            patience: self.patience,
            statement: None,
            heeds_stop: true,
        };
        let session = session::connect(self.settings, terms, warn)?;
        if session.is_standby() {
            let why = "it is a standby, which may still show what is gone; name the primary";
            return Err(Failure::Unsafe(why.into()));
        }
        Ok(session)
    }

    /// Asks, once more over a new connection where the old one has ended.
    pub(super) fn ask<T>(
        &mut self,
        question: impl Fn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(session) = &self.session {
            match question(session) {
                Err(failure) if failure.ends_session() && !wire::stop::requested() => {
                    self.session = None;
                }
                answer => return answer,
            }
        }
        let session = self.open(|_| ())?;
        let answer = question(&session);
        self.session = Some(session);
        answer
    }

    /// Rows with one of these SHA-1s. One look through the table for many: it has no index on it.
    pub(super) fn of_hashes(&mut self, sha1s: &[&str]) -> Result<Vec<SourceRow>, Failure> {
        let known = |sha1: &&&str| super::candidate::is_sha1(sha1);
        let list: Vec<String> = sha1s
            .iter()
            .filter(known)
            .map(|sha1| format!("'{sha1}'"))
            .collect();
        match list.is_empty() {
            true => Ok(Vec::new()),
            false => self.rows(&format!("source WHERE source.hash IN ({})", list.join(","))),
        }
    }

    /// These rows as they are now.
    pub(super) fn of_ids(&mut self, ids: &[i64]) -> Result<Vec<SourceRow>, Failure> {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        match list.is_empty() {
            true => Ok(Vec::new()),
            false => self.rows(&format!("source WHERE source.id IN ({})", list.join(","))),
        }
    }

    /// The present moment.
    pub(super) fn mark(&mut self) -> Result<Mark, Failure> {
        // In this order: what commits between the two questions is new.
        let open = "SELECT txid_snapshot_xmin(txid_current_snapshot()) % 4294967296";
        let open = self.number(open)?;
        let last_id = self.number("SELECT coalesce(max(id), 0) FROM source")?;
        Ok(Mark { last_id, open })
    }

    /// Rows that were written, or became visible, after a moment.
    pub(super) fn since(&mut self, mark: &Mark) -> Result<Vec<SourceRow>, Failure> {
        self.rows(&format!(
            "source WHERE source.id > {} AND age(source.xmin) <= age('{}'::xid)",
            mark.last_id - LATE,
            mark.open
        ))
    }

    fn number(&mut self, sql: &str) -> Result<i64, Failure> {
        let number = self.ask(|session| session.number(sql))?;
        number.ok_or(Failure::Protocol("the database's answer holds no number"))
    }

    /// The location of every row.
    pub(super) fn locations(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.ask(|session| {
            let mut all = Vec::new();
            session.read(|now| {
                source::stream(now, &Formats::default(), "source", |row| {
                    all.extend(row.location.map(<[u8]>::to_vec));
                    Ok::<(), Failure>(())
                })
            })?;
            Ok(all)
        })
    }

    fn rows(&mut self, rest: &str) -> Result<Vec<SourceRow>, Failure> {
        self.ask(|session| {
            let mut rows = Vec::new();
            session.read(|now| {
                source::stream(now, &Formats::default(), rest, |row| {
                    if let (Some(id), Some(hash), Some(size), Some(location)) =
                        (row.id, row.hash, row.size, row.location)
                    {
                        rows.push(SourceRow {
                            id,
                            sha1: String::from_utf8_lossy(hash).into_owned(),
                            size,
                            location: location.to_vec(),
                        });
                    }
                    Ok::<(), Failure>(())
                })
            })?;
            Ok(rows)
        })
    }
}
