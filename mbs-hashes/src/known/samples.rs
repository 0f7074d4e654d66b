//! A few of many rows, by which it is found out whether a server still has all of them: one that was set
//! back to a backup lacks the newest, one in which somebody removed ebooks lacks some in the middle,
//! and another server has none. Pure.

use std::{collections::VecDeque, ops::Range};

/// The newest rows that are kept.
const NEWEST: usize = 16;
/// At least so many are kept of the rest, and at most twice as many, spread evenly over it.
const SPREAD: usize = 24;

/// Rows taken as they come, of which a few are kept, evenly spread, and all of the newest.
#[derive(Clone, Debug)]
pub struct Samples<T> {
    spread: Vec<(u64, T)>,
    newest: VecDeque<(u64, T)>,
    seen: u64,
    stride: u64,
}

impl<T> Default for Samples<T> {
    fn default() -> Samples<T> {
        Samples {
            spread: Vec::new(),
            newest: VecDeque::new(),
            seen: 0,
            stride: 1,
        }
    }
}

impl<T: Clone> Samples<T> {
    /// The next row.
    pub fn push(&mut self, row: T) {
        let number = self.seen;
        self.seen += 1;
        if number.is_multiple_of(self.stride) {
            if self.spread.len() == 2 * SPREAD {
                self.stride *= 2;
                let stride = self.stride;
                self.spread.retain(|(number, _)| number % stride == 0);
            }
            if number.is_multiple_of(self.stride) {
                self.spread.push((number, row.clone()));
            }
        }
        if self.newest.len() == NEWEST {
            self.newest.pop_front();
        }
        self.newest.push_back((number, row));
    }

    /// Those that were kept, the oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &T> {
        let first = self.newest.front().map_or(0, |(number, _)| *number);
        let older = self
            .spread
            .iter()
            .filter(move |(number, _)| *number < first);
        older.chain(&self.newest).map(|(_, row)| row)
    }

    /// Was there no row?
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }
}

/// A sample by its place, and whether the server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// What stands before this was there before the server got the sample.
    pub from: u64,
    /// Its own place.
    pub at: u64,
    /// The server has it.
    pub there: bool,
}

/// The places within `all` at which nothing is to be believed: wherever the next sample on one side or the
/// other is not there. `samples` are in the order of their places.
pub fn doubtful(samples: &[Sampled], all: Range<u64>) -> Vec<Range<u64>> {
    let mut doubtful = Vec::new();
    let mut before: Option<&Sampled> = None;
    let mut missing = false;
    let mut doubt = |before: Option<&Sampled>, end: u64| match before {
        // What was under way together with it may have come after it.
        Some(before) => doubtful.extend([before.from..before.at, before.at + 1..end]),
        None => doubtful.push(all.start..end),
    };
    for sample in samples {
        if !sample.there {
            missing = true;
            continue;
        }
        if std::mem::take(&mut missing) {
            doubt(before, sample.at);
        }
        before = Some(sample);
    }
    if missing {
        doubt(before, all.end);
    }
    doubtful.retain(|range| !range.is_empty());
    doubtful
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rows: u64) -> Vec<u64> {
        let mut samples = Samples::default();
        (0..rows).for_each(|row| samples.push(row));
        samples.kept().copied().collect()
    }

    #[test]
    fn few_rows_are_all_kept_and_many_evenly_with_the_newest() {
        for rows in [0, 1, 16, 17, 48] {
            assert_eq!(kept(rows), (0..rows).collect::<Vec<_>>(), "{rows}");
        }
        for rows in [49, 1000, 1_000_000] {
            let kept = kept(rows);
            assert_eq!(kept[0], 0);
            assert!((SPREAD..=NEWEST + 2 * SPREAD).contains(&kept.len()));
            assert!(kept.ends_with(&(rows - 16..rows).collect::<Vec<_>>()));
            let widest = kept.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(widest <= rows.div_ceil(SPREAD as u64), "{rows}: {widest}");
        }
    }

    fn in_doubt(there: &[bool]) -> Vec<(u64, u64)> {
        // One in ten places is sampled.
        let place = |(i, &there): (usize, &bool)| {
            let at = 10 * (i as u64 + 1);
            Sampled {
                from: at,
                at,
                there,
            }
        };
        let samples: Vec<_> = there.iter().enumerate().map(place).collect();
        let ranges = doubtful(&samples, 0..100);
        ranges.into_iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn a_missing_sample_puts_in_doubt_all_up_to_the_next_that_is_there() {
        assert_eq!(in_doubt(&[true, true, true]), []);
        assert_eq!(in_doubt(&[]), []);
        assert_eq!(in_doubt(&[true, true, false]), [(21, 100)]);
        assert_eq!(in_doubt(&[true, false, false]), [(11, 100)]);
        assert_eq!(in_doubt(&[true, false, true]), [(11, 30)]);
        assert_eq!(in_doubt(&[false, true, true]), [(0, 20)]);
        assert_eq!(in_doubt(&[false, false, false]), [(0, 100)]);
        assert_eq!(in_doubt(&[false, true, false]), [(0, 20), (21, 100)]);
    }

    #[test]
    fn what_was_under_way_with_the_newest_that_is_there_is_in_doubt_too() {
        let samples = [(1, 4, true), (5, 9, true), (7, 12, false)];
        let samples = samples.map(|(from, at, there)| Sampled { from, at, there });
        assert_eq!(doubtful(&samples, 0..20), [5..9, 10..20]);
    }
}
