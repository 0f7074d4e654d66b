//! What can go wrong between this machine and the server, sorted by what it means for the
//! next step: was the request done, may it be repeated, is the run over?

use std::time::Duration;

use thiserror::Error;

/// One failed step.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Failure {
    /// No connection came about: the server did nothing.
    #[error("{0}")]
    NotReached(String),
    /// What answers there is no server for us: no certificate that we trust, no engine. It did nothing.
    #[error("{0}")]
    Unusable(String),
    /// The connection broke or stayed silent: the server may have done it or not.
    #[error("{0}")]
    NoAnswer(String),
    /// The engine's connection broke, and is back, but the task's end was not heard of.
    #[error("{0}")]
    Interrupted(String),
    /// The server is busy (408, 429, a full queue); it did nothing.
    #[error("{message}")]
    Busy {
        /// How long it asks to wait.
        after: Option<Duration>,
        /// What it said.
        message: String,
    },
    /// 5xx: done or not, nobody knows.
    #[error("{0}")]
    Down(String),
    /// An answer that cannot be read: done or not, nobody knows.
    #[error("{0}")]
    Server(String),
    /// 404: the thing named is not there.
    #[error("{0}")]
    NotFound(String),
    /// 413, from the server or a proxy before it.
    #[error("{0}")]
    TooLarge(String),
    /// Another 4xx: asking again would give the same.
    #[error("{0}")]
    Refused(String),
    /// HTTP 200 with an error in it, as this server answers most of the time.
    #[error("{}", said(.error, .details))]
    Said {
        /// The key `error`.
        error: String,
        /// The key `error_details`, as text.
        details: String,
    },
    /// The token is not accepted, not even a fresh one.
    #[error("{0}")]
    Denied(String),
    /// The task engine is out of reach, after all the tries to get it back.
    #[error("engine: {0}")]
    NoEngine(String),
    /// The database that keeps uploaders apart is out of reach, after all the tries to get it back.
    #[error("{0}")]
    NoDatabase(String),
    /// The metadata task ended with an error; it stored nothing.
    #[error("metadata task: {0}")]
    Task(String),
    /// The file on this machine cannot be read, or is not the one that was hashed.
    #[error("{0}")]
    Local(String),
}

fn said(error: &str, details: &str) -> String {
    match details {
        "" => error.into(),
        _ => format!("{error}: {details}"),
    }
}

impl Failure {
    /// May the same step succeed later?
    pub fn may_pass(&self) -> bool {
        use Failure::*;
        match self {
            NotReached(_) | Unusable(_) | NoAnswer(_) | Interrupted(_) => true,
            Busy { .. } | Down(_) | Server(_) | Task(_) => true,
            NotFound(_) | TooLarge(_) | Refused(_) | Said { .. } | Denied(_) => false,
            NoEngine(_) | NoDatabase(_) => false,
            Local(_) => false,
        }
    }

    /// Is it unknown whether the server did what it was asked?
    pub fn is_unconfirmed(&self) -> bool {
        use Failure::*;
        matches!(self, NoAnswer(_) | Interrupted(_) | Down(_) | Server(_))
    }

    /// Does it tell of a server with too much to do?
    pub fn is_strain(&self) -> bool {
        use Failure::*;
        matches!(self, NoAnswer(_) | Busy { .. } | Down(_) | Server(_))
    }

    /// Could it mean that the server is away for all?
    pub fn may_mean_absence(&self) -> bool {
        use Failure::*;
        // A proxy before a server that is down, or a server without its database, answers 5xx; an
        // engine without it fails each task.
        matches!(
            self,
            NotReached(_)
                | Unusable(_)
                | NoAnswer(_)
                | Denied(_)
                | NoEngine(_)
                | NoDatabase(_)
                | Down(_)
                | Server(_)
                | Task(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_been_done_is_in_doubt() {
        let no_answer = Failure::NoAnswer("reset".into());
        let refused = Failure::NotReached("refused".into());
        assert!(no_answer.is_unconfirmed() && no_answer.may_pass());
        assert!(!refused.is_unconfirmed() && refused.may_pass());
        assert!(
            !Failure::Said {
                error: "x".into(),
                details: String::new()
            }
            .may_pass()
        );
    }
}
