//! The record, with what is not known left out.

use wire::{
    Exit, Line, Writer,
    records::{MbsStats, Summary},
};

use crate::count::Counts;

/// Writes the counts. Those that could not be had are one failed item.
///
/// # Errors
/// stdout's own.
pub(crate) fn write(counts: &Counts, out: Writer) -> anyhow::Result<Exit> {
    let [ebooks, sources, without] = counts.each.each_ref().map(|(_, count)| count.clone().ok());
    let line = Line::of(&MbsStats {
        ebooks,
        sources,
        ebooks_without_source: without,
        via: counts.via.into(),
        as_of: jiff::Timestamp::now().to_string(),
    });
    let missing = missing(counts);
    let complete = missing.is_none();
    match missing {
        None => out.write(&line)?,
        Some((names, reason)) => out.fail_as(&line, &names, "count", &reason)?,
    }
    Ok(out.finish(Summary {
        complete,
        ..Summary::default()
    })?)
}

/// The counts that could not be had, and why, each reason once.
fn missing(counts: &Counts) -> Option<(String, String)> {
    let (mut names, mut reasons) = (Vec::new(), Vec::new());
    for (name, count) in &counts.each {
        if let Err(reason) = count {
            names.push(*name);
            if !reasons.contains(&reason.as_str()) {
                reasons.push(reason);
            }
        }
    }
    (!names.is_empty()).then(|| (names.join(", "), reasons.join("; ")))
}
