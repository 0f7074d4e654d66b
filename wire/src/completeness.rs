//! Is a stream whole? `head`, a full disk or a killed tool can cut one between two lines, where no
//! parser notices. So every stream ends with a summary, and every reader checks it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{records::Summary, value::Shard};

/// What was read, and what the summaries in it say.
#[derive(Debug, Default)]
pub struct Completeness {
    records: u64,
    unusable: u64,
    summaries: Vec<Summary>,
    /// It was not read to its end: its end cannot be judged.
    unread: bool,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamReport {
    /// Everything that the sources saw is here.
    pub complete: bool,
    /// Why not, for a person.
    pub why: Option<String>,
    /// The library, where it is one.
    pub library: Option<String>,
    /// What was selected.
    pub selection: Option<String>,
    /// The shard, where the stream is one; all shards together are none.
    pub shard: Option<String>,
}

impl StreamReport {
    /// The summary of a filter over this input, its counts still to be filled in by the writer.
    pub fn summary(&self) -> Summary {
        Summary {
            complete: self.complete,
            library: self.library.clone(),
            selection: self.selection.clone(),
            shard: self.shard.clone(),
            ..Summary::default()
        }
    }
}

impl Completeness {
    /// One more record was read.
    pub fn count(&mut self) {
        self.records += 1;
    }

    /// One more line was read that is no record.
    pub fn count_unusable(&mut self) {
        self.unusable += 1;
    }

    /// There was more, or may have been, that nobody read.
    pub(crate) fn end_unread(&mut self) {
        self.unread = true;
    }

    /// A summary was read.
    pub fn add_summary(&mut self, summary: Summary) {
        self.summaries.push(summary);
    }

    /// Judges the stream as it stands, that is, at its end.
    ///
    /// Streams may be joined (`cat`, `xargs -P`), even interleaved, so only the sum of their counts
    /// can be checked. Shards must be there each once, all of them, and of one library.
    pub fn report(&self) -> StreamReport {
        let same = |field: fn(&Summary) -> &Option<String>| {
            let mut values = self.summaries.iter().map(field);
            let first = values.next()?.clone()?;
            values
                .all(|value| value.as_ref() == Some(&first))
                .then_some(first)
        };
        let lone_shard = match self.summaries.as_slice() {
            [one] => one.shard.clone(),
            _ => None,
        };
        // Whoever stopped reading knows why it did.
        let why = self.flaw().filter(|_| !self.unread);
        StreamReport {
            complete: why.is_none() && !self.unread,
            why,
            library: same(|summary| &summary.library),
            selection: same(|summary| &summary.selection),
            shard: lone_shard,
        }
    }

    fn flaw(&self) -> Option<String> {
        if self.summaries.is_empty() {
            return Some("the input has no summary: it may be cut short".into());
        }
        if let Some(partial) = self.summaries.iter().find(|summary| !summary.complete) {
            return Some(match &partial.selection {
                Some(selection) => format!("the input is a selection ({selection})"),
                None => format!("{} says that its output is not complete", partial.tool),
            });
        }
        if self.unusable > 0 {
            return Some(format!(
                "{} lines of the input are no records",
                self.unusable
            ));
        }
        let announced: u64 = self.summaries.iter().map(|summary| summary.records).sum();
        if announced != self.records {
            return Some(format!(
                "the input has {} records where its summaries announce {announced}",
                self.records
            ));
        }
        if self.summaries.len() > 1 {
            self.missing_shard()
        } else {
            None
        }
    }

    fn missing_shard(&self) -> Option<String> {
        let mut libraries: BTreeMap<_, BTreeMap<u32, BTreeSet<u32>>> = BTreeMap::new();
        let mut whole = BTreeSet::new();
        for summary in &self.summaries {
            let Some(shard) = &summary.shard else {
                let again = !whole.insert((&summary.library, &summary.tool));
                if again && summary.library.is_some() {
                    return Some("one library is there twice".into());
                }
                continue;
            };
            let Ok(Shard { part, of }) = shard.parse() else {
                return Some(format!("{shard:?} is no shard"));
            };
            let seen = libraries
                .entry(&summary.library)
                .or_default()
                .entry(of)
                .or_default();
            if !seen.insert(part) {
                return Some(format!("shard {shard} is there twice"));
            }
        }
        for (library, cuts) in &libraries {
            if library.is_some() && whole.iter().any(|(other, _)| other == library) {
                return Some("a library is there whole and in shards".into());
            }
            if cuts.len() > 1 {
                return Some("shards of different cuts are mixed".into());
            }
            for (n, seen) in cuts {
                if let Some(k) = (1..=*n).find(|k| !seen.contains(k)) {
                    return Some(format!("shard {k}/{n} is missing"));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(records: u64, parts: &[(u64, Option<&str>)]) -> StreamReport {
        let mut completeness = Completeness {
            records,
            ..Completeness::default()
        };
        for (records, shard) in parts {
            completeness.add_summary(Summary {
                tool: "t".into(),
                records: *records,
                complete: true,
                library: Some("u".into()),
                shard: shard.map(Into::into),
                ..Summary::default()
            });
        }
        completeness.report()
    }

    #[test]
    fn whole_streams_are_whole() {
        assert!(stream(0, &[(0, None)]).complete);
        assert_eq!(stream(3, &[(3, Some("1/2"))]).shard.as_deref(), Some("1/2"));
        let joined = stream(7, &[(3, Some("2/2")), (4, Some("1/2"))]);
        assert!(joined.complete && joined.shard.is_none() && joined.library.is_some());
    }

    #[test]
    fn what_is_cut_mixed_or_missing_is_told() {
        assert!(stream(5, &[]).why.unwrap().contains("no summary"));
        assert!(stream(4, &[(5, None)]).why.unwrap().contains("announce 5"));
        assert!(
            stream(7, &[(3, Some("1/3")), (4, Some("2/3"))])
                .why
                .unwrap()
                .contains("3/3")
        );
        assert!(
            stream(6, &[(3, Some("1/2")), (3, Some("1/2"))])
                .why
                .unwrap()
                .contains("twice")
        );
        assert!(
            stream(6, &[(3, Some("1/2")), (3, Some("2/3"))])
                .why
                .is_some()
        );
    }

    #[test]
    fn a_library_that_is_there_twice_is_no_whole() {
        assert!(
            stream(6, &[(3, None), (3, None)])
                .why
                .unwrap()
                .contains("twice")
        );
        assert!(
            stream(6, &[(3, None), (1, Some("1/2")), (2, Some("2/2"))])
                .why
                .is_some()
        );
        let mut completeness = Completeness::default();
        for library in ["a", "b"] {
            completeness.add_summary(Summary {
                complete: true,
                library: Some(library.into()),
                ..Summary::default()
            });
        }
        assert!(completeness.report().complete);
    }

    #[test]
    fn a_selection_stays_a_selection() {
        let mut completeness = Completeness::default();
        completeness.add_summary(Summary {
            selection: Some("--limit 3".into()),
            ..Summary::default()
        });
        let report = completeness.report();
        assert!(!report.complete);
        assert_eq!(report.summary().selection.as_deref(), Some("--limit 3"));
    }
}
