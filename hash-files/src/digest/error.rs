//! Why a file has no digest.

use std::io;

use rustix::io::Errno;

/// Why a file has no digest. The text is one line of reason without the path.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It could not be looked at, opened or read.
    #[error("{source}")]
    Io {
        /// What was tried: stat, open or read.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It is no regular file; the text names what it is. It was not opened.
    #[error("{0}, not a regular file")]
    NotRegular(&'static str),
    /// Its bytes, times, size or place changed while it was read.
    #[error("changed while it was read: {0}")]
    Changed(&'static str),
}

impl HashError {
    pub(super) fn io(op: &'static str, errno: Errno) -> HashError {
        HashError::Io {
            op,
            source: errno.into(),
        }
    }

    /// What was tried, in one word.
    pub fn op(&self) -> &'static str {
        match self {
            HashError::Io { op, .. } => op,
            HashError::NotRegular(_) => "open",
            HashError::Changed(_) => "read",
        }
    }

    /// May it succeed when tried again? Not where the file is missing, forbidden or of the wrong
    /// kind: somebody must change that first.
    pub fn retry(&self) -> bool {
        match self {
            HashError::NotRegular(_) => false,
            HashError::Changed(_) => true,
            HashError::Io { source, .. } => matches!(
                Errno::from_io_error(source),
                Some(
                    Errno::IO
                        | Errno::AGAIN
                        | Errno::INTR
                        | Errno::MFILE
                        | Errno::NFILE
                        | Errno::NOMEM
                        | Errno::STALE
                        | Errno::TIMEDOUT
                        | Errno::HOSTDOWN
                        | Errno::HOSTUNREACH
                        | Errno::NOTCONN
                )
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_right_by_itself_is_worth_a_retry() {
        assert!(HashError::io("read", Errno::IO).retry());
        assert!(HashError::Changed("").retry());
        assert!(!HashError::io("stat", Errno::NOENT).retry());
        assert!(!HashError::io("open", Errno::ACCESS).retry());
        assert!(!HashError::NotRegular("a FIFO").retry());
    }
}
