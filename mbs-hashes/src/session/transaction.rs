//! Transactions, the only way to ask: whatever they set ends with them. Behind a pooler the next
//! statement of this connection may run in another session, and the session in which this one ran
//! goes to the web server.

use std::pin::pin;

use futures_util::{FutureExt, StreamExt};

use tokio_postgres::{binary_copy::BinaryCopyOutStream, types::Type};

use super::{Rows, Session, wait};
use crate::{Failure, tuples::Tuple};

/// What a transaction may do, and what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reads; each statement sees what is committed by then.
    Question,
    /// Reads; all statements see one moment.
    Snapshot,
    /// Writes.
    Change,
}

impl Kind {
    pub(super) fn begin(self) -> &'static str {
        match self {
            Kind::Question => "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY",
            Kind::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Kind::Change => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
        }
    }
}

/// A transaction that is open.
pub struct Transaction<'a>(&'a Session);

impl Session {
    /// Runs statements that only read, in a transaction of their own, and gives the rows of all of
    /// them, each value as text.
    ///
    /// # Errors
    /// What the server says, or its silence.
    pub fn query(&self, sql: &str) -> Result<Rows, Failure> {
        // One message: one round trip, and a pooler that forbids transactions of several is content.
        let whole = format!("{}; {sql}; COMMIT", self.opening(Kind::Question));
        self.raw(&whole).inspect_err(|_| self.roll_back())
    }

    /// The first value of a query as a whole number; nothing for NULL.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub fn number(&self, sql: &str) -> Result<Option<i64>, Failure> {
        let first = self.query(sql)?.into_iter().flatten().next().flatten();
        Ok(first.and_then(|text| text.parse().ok()))
    }

    /// Reads what was committed at one moment.
    ///
    /// # Errors
    /// Those of `work`, and as [`Session::query`].
    pub fn read<T, E: From<Failure>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(Kind::Snapshot, work)
    }

    /// Changes something; when `work` fails, nothing is changed.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub fn change<T, E: From<Failure>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(Kind::Change, work)
    }

    fn transact<T, E: From<Failure>>(
        &self,
        kind: Kind,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.raw(&self.opening(kind));
        opened.inspect_err(|_| self.roll_back())?;
        let done = work(&Transaction(self)).inspect_err(|_| self.roll_back())?;
        self.raw("COMMIT")?;
        Ok(done)
    }

    /// Ends a transaction that failed. The error is what counts; where this fails, too, the
    /// transaction ends with the connection.
    fn roll_back(&self) {
        if !self.broken.get() && self.raw("ROLLBACK").is_err() {
            self.broken.set(true);
        }
    }
}

impl Transaction<'_> {
    /// As [`Session::query`], within this transaction.
    ///
    /// # Errors
    /// As there.
    pub fn query(&self, sql: &str) -> Result<Rows, Failure> {
        self.0.raw(sql)
    }

    /// As [`Session::text`].
    pub fn text(&self, column: &str) -> String {
        self.0.text(column)
    }

    /// Streams the rows of a query of `N` columns in constant memory. Time in which `each` is busy
    /// does not count as the server's silence.
    ///
    /// # Errors
    /// Those of `each`; what the server says, its silence, a stream that ends before its end mark.
    pub fn copy<const N: usize, E: From<Failure>>(
        &self,
        query: &str,
        each: impl FnMut(Tuple<'_, N>) -> Result<(), E>,
    ) -> Result<(), E> {
        let session = self.0;
        // The statement that the library prepares for this is closed before the transaction ends.
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        // A stream that is left in its middle leaves the connection of no use.
        session.broken.set(true);
        let done = session.stream(&statement, each);
        match &done {
            Ok(()) => session.broken.set(false),
            Err(Stopped::Server(failure)) => session.broken.set(failure.ends_session()),
            Err(Stopped::Reader(_)) => {}
        }
        done.map_err(|stopped| match stopped {
            Stopped::Server(failure) => failure.into(),
            Stopped::Reader(error) => error,
        })
    }
}

/// Why a stream ended before its end.
enum Stopped<E> {
    Server(Failure),
    Reader(E),
}

impl<E> From<Failure> for Stopped<E> {
    fn from(failure: Failure) -> Stopped<E> {
        Stopped::Server(failure)
    }
}

impl Session {
    fn stream<const N: usize, E>(
        &self,
        statement: &str,
        mut each: impl FnMut(Tuple<'_, N>) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        self.runtime.block_on(async {
            let stream = wait(self.patience, self.client.copy_out(statement)).await?;
            // The bytes of every field as they are, whatever its type.
            let fields = [Type::BYTEA; N];
            let rows = BinaryCopyOutStream::new(stream.map_err(Failure::from)?, &fields);
            let mut rows = pin!(rows);
            loop {
                // Most rows are there already; a timer for each would cost more than the row.
                let next = match rows.next().now_or_never() {
                    Some(next) => next,
                    None => wait(self.patience, rows.next()).await?,
                };
                let Some(row) = next else { return Ok(()) };
                let row = row.map_err(Failure::from)?;
                each(Tuple(&row)).map_err(Stopped::Reader)?;
            }
        })
    }
}
