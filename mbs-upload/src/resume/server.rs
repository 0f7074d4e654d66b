//! What the journal asks of the server that it is about.

use crate::{known::Content, model::failure::Failure};

/// The server, by REST or any other way; each question is asked again while that may help.
pub trait Server {
    /// Its address, for messages.
    fn address(&self) -> &str;
    /// Our user's id there.
    fn user_id(&self) -> Option<i64>;
    /// Has it this content, in this file of that ebook where the two are known?
    fn has(&self, content: &Content, ids: Option<(i64, i64)>) -> Result<bool, Failure>;
    /// Would it refuse any file of this size and extension?
    fn refuses(&self, size: u64, extension: &str) -> Result<bool, Failure>;
    /// Some of its ebooks, at most so many.
    fn some_ebooks(&self, most: usize) -> Result<Vec<i64>, Failure>;
    /// When an ebook was made, in the server's words.
    fn created(&self, ebook: i64) -> Result<Option<String>, Failure>;
    /// The file of that ebook that has this content.
    fn file_in(
        &self,
        ebook: i64,
        content: &Content,
        extension: &str,
    ) -> Result<Option<i64>, Failure>;
}
