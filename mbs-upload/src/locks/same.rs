//! Is this database the server's own? Locks in another one would keep nobody apart, and what it
//! has would be left out here as if the server had it.

use crate::{
    locks::Locks,
    model::{failure::Failure, sample::SampleFile},
};

/// Whether API and database are of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Same {
    /// A file that the API shows is there, too.
    Yes,
    /// What they show differs.
    No(String),
    /// There is nothing to compare.
    Unknown(&'static str),
}

/// Asks the API for one of its newest files.
pub type Sample<'a> = &'a dyn Fn() -> Result<Option<SampleFile>, Failure>;

/// Compares one of the newest files that the API shows with the database.
pub fn same(sample: Sample<'_>, locks: &Locks) -> Result<Same, Failure> {
    let mut verdict = compare(sample, locks)?;
    if matches!(verdict, Same::No(_)) {
        // Just then it may have been removed.
        verdict = compare(sample, locks)?;
    }
    Ok(verdict)
}

fn compare(sample: Sample<'_>, locks: &Locks) -> Result<Same, Failure> {
    let rows = |sql: &str| locks.ask(|line| line.query(sql)).map(|(rows, _)| rows);
    let Some(shown) = sample()? else {
        return Ok(match rows("SELECT 1 FROM source LIMIT 1")?.is_empty() {
            true => Same::Unknown("the server has no files to compare by"),
            false => Same::No("the API shows no files, and the database has some".into()),
        });
    };
    let SampleFile {
        source,
        ebook,
        size,
        ..
    } = shown;
    let there = rows(&format!(
        "SELECT 1 FROM source WHERE id = {source} AND ebook_id = {ebook} AND size = {size}"
    ))?;
    Ok(match there.is_empty() {
        false => Same::Yes,
        true => Same::No(format!(
            "file {source} of ebook {ebook}, {size} bytes, is in the API and not in the database"
        )),
    })
}
