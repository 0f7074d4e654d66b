//! Whether the server would take a file: the question and its answer.

use crate::known::Content;

/// What the server says to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckAnswer {
    /// It would take it.
    Wanted,
    /// It has these bytes.
    Exists,
    /// It takes no file as large.
    TooBig(String),
    /// It does not know the format.
    Unsupported(String),
}

/// A file as the server is asked about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Its identity; without a hash the server compares sizes alone, so there is always one.
    pub content: Content,
    /// Its extension in lower case, without a dot.
    pub extension: String,
}
