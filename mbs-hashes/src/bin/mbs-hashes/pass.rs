//! One pass over the table, in one snapshot of the database.

use mbs_hashes::{
    Failure, Session,
    source::{self, Formats, Source},
};
use wire::stop;

/// Hands over each row that `parts` select; each part is what follows FROM.
///
/// # Errors
/// A [`Failure`] of the database, [`Failure::Stopped`] among them, or the error of `each`.
pub(crate) fn read(
    session: &Session,
    parts: &[String],
    mut each: impl FnMut(&Source<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    session.read(|now| {
        let formats = Formats::read(now)?;
        for part in parts {
            source::stream(now, &formats, part, |row: Source<'_>| {
                if stop::requested() {
                    return Err(Failure::Stopped.into());
                }
                each(&row)
            })?;
        }
        Ok(())
    })
}

/// The rows above an id, in the order of their ids: an index scan, unless the table is so shuffled
/// that the server prefers to sort it.
pub(crate) fn above(id: Option<i64>) -> String {
    match id {
        Some(id) => format!("source WHERE source.id > {id} ORDER BY source.id"),
        None => "source ORDER BY source.id".into(),
    }
}

/// The rows within ranges of ids, one index look-up for each.
pub(crate) fn within(ranges: impl Iterator<Item = (i64, i64)>) -> String {
    let (first, last): (Vec<String>, Vec<String>) = ranges
        .map(|(first, last)| (first.to_string(), last.to_string()))
        .unzip();
    format!(
        "unnest('{{{}}}'::bigint[], '{{{}}}'::bigint[]) AS gap (first, last) \
         JOIN source ON source.id BETWEEN gap.first AND gap.last",
        first.join(","),
        last.join(",")
    )
}
