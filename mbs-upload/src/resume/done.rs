//! The contents that the server has, as a journal tells, and where it tells so: there it says the rest.

use std::ops::Range;

use crate::known::Content;

/// Where a line begins, in bytes from the journal's start.
pub type Place = u64;

/// A content that is done, and the place of a line about its end. 34 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    content: Content,
    /// The place's last 6 bytes, the highest first: a journal stays below 256 TB.
    place: [u8; 6],
}

impl One {
    fn new(content: Content, place: Place) -> One {
        let [_, _, place @ ..] = place.to_be_bytes();
        One { content, place }
    }

    fn place(&self) -> Place {
        let [a, b, c, d, e, f] = self.place;
        Place::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// Contents that are done, each once for each end that it came to.
#[derive(Debug, Default)]
pub struct Done {
    /// In order, once [`Done::sort`] was called.
    all: Vec<One>,
    /// Where nothing is believed.
    doubtful: Vec<Range<Place>>,
}

impl Done {
    /// Takes in one of many; call [`Done::sort`] after the last of them.
    pub fn push(&mut self, content: Content, place: Place) {
        if self.all.len() == self.all.capacity() {
            // Doubling would cost twice the memory just after it.
            self.all.reserve_exact(1024 + self.all.len() / 4);
        }
        self.all.push(One::new(content, place));
    }

    /// Makes what was pushed ready to be asked for.
    pub fn sort(&mut self) {
        self.all.sort_unstable();
        self.all.shrink_to_fit();
    }

    /// Takes in one more, at any time.
    pub fn add(&mut self, content: Content, place: Place) {
        let one = One::new(content, place);
        let at = self.all.partition_point(|other| *other < one);
        self.all.insert(at, one);
    }

    /// From now on nothing is believed that stands there.
    pub fn doubt(&mut self, places: Vec<Range<Place>>) {
        self.doubtful.extend(places);
    }

    /// Has the server this content? Its newest end decides.
    pub fn has(&self, content: &Content) -> bool {
        let newest = self.ends(content).next();
        newest.is_some_and(|place| self.is_believed(place))
    }

    /// Where it stands how its way ended, the newest first.
    pub fn ends(&self, content: &Content) -> impl Iterator<Item = Place> + '_ {
        let from = self.all.partition_point(|one| one.content < *content);
        let to = self.all.partition_point(|one| one.content <= *content);
        self.all[from..to].iter().rev().map(One::place)
    }

    /// Is nothing newer told of the content whose end stands there?
    pub fn is_newest(&self, content: &Content, place: Place) -> bool {
        self.ends(content).next() == Some(place)
    }

    /// How many contents are believed to be there, and how many are in unconfirmed.
    pub fn count(&self) -> (usize, usize) {
        let newest = self.all.chunk_by(|a, b| a.content == b.content);
        let newest = newest.filter_map(<[One]>::last);
        newest.fold((0, 0), |(believed, doubtful), one| {
            match self.is_believed(one.place()) {
                true => (believed + 1, doubtful),
                false => (believed, doubtful + 1),
            }
        })
    }

    fn is_believed(&self, place: Place) -> bool {
        !self.doubtful.iter().any(|range| range.contains(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size: u64) -> Content {
        Content::new(&"a".repeat(40), size).unwrap()
    }

    #[test]
    fn the_newest_end_of_a_content_decides_and_none_is_believed_where_all_is_in_doubt() {
        let mut done = Done::default();
        for (size, place) in [(7, 300), (7, 5 << 33), (8, 20), (9, 300)] {
            done.push(content(size), place);
        }
        done.sort();
        done.add(content(8), 10);
        assert!((7..10).all(|size| done.has(&content(size))) && !done.has(&content(6)));
        assert_eq!(done.ends(&content(7)).collect::<Vec<_>>(), [5 << 33, 300]);
        assert_eq!(done.ends(&content(8)).collect::<Vec<_>>(), [20, 10]);
        done.doubt(vec![20..21, 301..Place::MAX]);
        assert!(!done.has(&content(7)) && !done.has(&content(8)) && done.has(&content(9)));
        assert_eq!(done.count(), (1, 2));
        assert!(done.is_newest(&content(8), 20) && !done.is_newest(&content(8), 10));
    }
}
