//! A file that the server shows, to tell by it whether others are of the same server.

/// A file as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleFile {
    /// Its row.
    pub source: i64,
    /// Its ebook.
    pub ebook: i64,
    /// Its size in bytes.
    pub size: i64,
    /// Its format, an extension.
    pub format: String,
    /// Its path below the server's books, where it is shown.
    pub location: String,
}
