//! Which books and formats: decided from the flags alone.

use std::{ops::RangeInclusive, str::FromStr};

use wire::value::Shard;

/// What the flags select.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// In lower case.
    pub formats: Option<Vec<String>>,
    pub after_id: Option<i64>,
    pub ids: Option<Ids>,
    pub shard: Option<Shard>,
    pub limit: Option<u64>,
}

/// Ranges of book ids, sorted, apart from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids(Vec<RangeInclusive<i64>>);

impl Selection {
    /// The ranges of ids to look at.
    pub(crate) fn ranges(&self) -> Vec<RangeInclusive<i64>> {
        let first = match self.after_id {
            Some(i64::MAX) => return Vec::new(),
            Some(after) => after + 1,
            None => i64::MIN,
        };
        let all = Ids(vec![i64::MIN..=i64::MAX]);
        let given = self.ids.as_ref().unwrap_or(&all).0.iter();
        given
            .map(|range| first.max(*range.start())..=*range.end())
            .filter(|range| !range.is_empty())
            .collect()
    }

    /// Is this book in the shard?
    pub(crate) fn takes_book(&self, id: i64) -> bool {
        self.shard.is_none_or(|shard| holds(shard, id))
    }

    /// Is this format, in lower case, asked for?
    pub(crate) fn takes_format(&self, format: &str) -> bool {
        self.formats
            .as_ref()
            .is_none_or(|formats| formats.iter().any(|one| one == format))
    }

    /// Are files of no book at all looked for? They have no id that could be selected.
    pub(crate) fn takes_strays(&self) -> bool {
        self.after_id.is_none()
            && self.ids.is_none()
            && self.limit.is_none()
            && self.shard.is_none_or(|shard| shard.part == 1)
    }

    /// The flags that leave something out, as they could be typed; a shard is not among them.
    pub(crate) fn text(&self) -> Option<String> {
        let mut flags = Vec::new();
        if let Some(formats) = &self.formats {
            flags.push(format!("--formats {}", formats.join(",")));
        }
        if let Some(after) = self.after_id {
            flags.push(format!("--after-id {after}"));
        }
        if let Some(Ids(ranges)) = &self.ids {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| match (range.start(), range.end()) {
                    (start, end) if start == end => start.to_string(),
                    (start, end) => format!("{start}-{end}"),
                })
                .collect();
            flags.push(format!("--ids {}", ranges.join(",")));
        }
        if let Some(limit) = self.limit {
            flags.push(format!("--limit {limit}"));
        }
        (!flags.is_empty()).then(|| flags.join(" "))
    }
}

/// Formats as they are compared: lower case, without a dot before them.
pub(crate) fn formats(list: &[String]) -> Vec<String> {
    let trimmed = list
        .iter()
        .map(|format| format.trim().trim_start_matches('.'));
    trimmed
        .filter(|format| !format.is_empty())
        .map(str::to_lowercase)
        .collect()
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(list: &str) -> Result<Ids, String> {
        let mut ranges = Vec::new();
        for item in list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let number = |text: &str| {
                text.trim()
                    .parse::<i64>()
                    .map_err(|_| format!("{item:?} is not like 7 or 5-9"))
            };
            let range = match item.split_once('-') {
                Some((first, last)) => number(first)?..=number(last)?,
                None => number(item)?..=number(item)?,
            };
            if range.is_empty() {
                return Err(format!("{item:?} ends before it begins"));
            }
            ranges.push(range);
        }
        if ranges.is_empty() {
            return Err("no id is given".into());
        }
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut apart: Vec<RangeInclusive<i64>> = Vec::new();
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start() <= &last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => apart.push(range),
            }
        }
        Ok(Ids(apart))
    }
}

/// Is this book in the part?
fn holds(shard: Shard, id: i64) -> bool {
    // Mixed first: ids may all be even, or every third book may be a large one. Shards are
    // listed on many machines, so this must stay as it is.
    shard.holds((id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_merged() {
        let ids: Ids = "9, 1,5-7,6-8".parse().unwrap();
        assert_eq!(ids.0, [1..=1, 5..=9]);
        for wrong in ["", ",", "a", "5-", "9-5", "1.5", "-3"] {
            assert!(wrong.parse::<Ids>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_narrow_each_other() {
        let selection = Selection {
            after_id: Some(5),
            ids: Some("1-3,5-9".parse().unwrap()),
            ..Selection::default()
        };
        assert_eq!(selection.ranges(), [6..=9]);
        assert_eq!(selection.text().unwrap(), "--after-id 5 --ids 1-3,5-9");
        let none = Selection {
            after_id: Some(i64::MAX),
            ..Selection::default()
        };
        assert!(none.ranges().is_empty());
    }

    #[test]
    fn every_id_is_in_exactly_one_shard() {
        for id in [i64::MIN, -1, 0, 1, 7, 1_000_000, i64::MAX] {
            for of in [1, 2, 7, 1000] {
                let holders = (1..=of).filter(|part| holds(Shard { part: *part, of }, id));
                assert_eq!(holders.count(), 1);
            }
        }
    }
}
