//! What can go wrong with a database, in one line each, and whether it may pass.

use std::{error::Error, io, time::Duration};

use tokio_postgres::error::{Severity, SqlState};
use wire::{Exit, Fatal, secret::redact as masked};

use crate::tls::{self, cause};

/// Why the database does not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Refused, broken, or an error that the server itself reports.
    #[error("{}", describe(.0))]
    Database(#[from] tokio_postgres::Error),
    /// The server is there but has not said anything for this long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// A signal asked this process to stop.
    #[error("interrupted")]
    Stopped,
    /// The certificates to check with cannot be had.
    #[error("{0}")]
    Certificates(String),
    /// The answer is not what was asked for.
    #[error("{0}")]
    Protocol(&'static str),
    /// None of the servers is what target_session_attrs asks for.
    #[error("{0}, and target_session_attrs wants another")]
    Unsuited(&'static str),
    /// The tables are not the server's own, or it cannot be told which are.
    #[error("{0}")]
    NotTheServers(String),
    /// It would not be safe to go on with this database.
    #[error("{0}")]
    Unsafe(String),
    /// This process could not get what it needs from its own system.
    #[error("{0}")]
    Local(#[from] io::Error),
}

impl Failure {
    /// May it be gone a few seconds later? A refused connection, a server that starts or restarts:
    /// yes. A wrong password, an unknown database, a certificate: no.
    pub fn may_pass(&self) -> bool {
        match self {
            Failure::Silent(_) => true,
            Failure::Database(error) => match error.code() {
                // Connections, conflicts with recovery, locks, resources, shutdown and start.
                Some(code) => ["08", "40", "53", "55", "57"]
                    .iter()
                    .any(|class| code.code().starts_with(class)),
                None => error.is_closed() || cause::<io::Error>(error).is_some_and(passes),
            },
            _ => false,
        }
    }

    /// Is the connection of no more use? A statement that the server refused leaves it whole.
    pub fn ends_session(&self) -> bool {
        match self {
            Failure::Database(error) => error.as_db_error().is_none_or(|said| {
                said.severity() != "ERROR" && said.parsed_severity() != Some(Severity::Error)
            }),
            _ => true,
        }
    }

    /// Is the server refusing this kind of connection, so that one with or without encryption may
    /// do better? (No fitting line in pg_hba.conf, or TLS failed.)
    pub(crate) fn depends_on_encryption(&self) -> bool {
        let Failure::Database(error) = self else {
            return false;
        };
        error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
            || error.to_string().contains("TLS")
    }

    /// The exit code that this means for a run that depends on it: a database that is not the
    /// server's is a mistake in the settings, everything else is a database out of reach.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Certificates(_) | Failure::NotTheServers(_) => Exit::Usage,
            Failure::Unsafe(_) => Exit::Refused,
            Failure::Database(error)
                if matches!(
                    error.code(),
                    Some(&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN)
                ) =>
            {
                Exit::Usage
            }
            _ => Exit::GaveUp,
        }
    }

    /// Ends the run: `database: act: reason`.
    pub fn fatal(&self, database: impl std::fmt::Display, act: &str) -> Fatal {
        Fatal::new(self.exit(), format_args!("{database}: {act}: {self}"))
    }
}

fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, NetworkUnreachable, NotFound, TimedOut, UnexpectedEof,
    };
    // NotFound is a Unix socket whose server does not run. A name server that is away for a moment
    // has no kind of its own.
    matches!(
        error.kind(),
        AddrNotAvailable
            | BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | NotFound
            | TimedOut
            | UnexpectedEof
    ) || error.to_string().contains("Temporary failure")
}

fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return match *said.code() {
            SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => {
                format!(
                    "{}: is this MyBookshelf2's database?",
                    masked(said.message())
                )
            }
            _ => masked(said.message()),
        };
    }
    if let Some(error) = cause::<rustls::Error>(error) {
        return format!("TLS: {}", tls::explain(error, "sslrootcert"));
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.to_string().as_str() {
        "connection closed" => "the server closed the connection".into(),
        "password missing" => {
            "the server asks for a password and none is given (PGPASSWORD, ~/.pgpass)".into()
        }
        text => match cause::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => format!("no server has its socket there: {text}"),
            _ => text.to_string(),
        },
    }
}
