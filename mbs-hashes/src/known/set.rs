//! A set of contents that is small rather than quick to add to: 28 bytes each, sorted, and an index
//! of 1 to 2 bytes each that leads a question to the few contents that begin alike.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hash, Hasher},
    ops::Range,
};

use super::Content;

/// What was added later stays beside the sorted part until it is so many, or an eighth of it.
const LATER: usize = 1 << 16;

/// A set of contents.
#[derive(Debug)]
pub struct Set {
    sorted: Vec<Content>,
    /// Where in `sorted` each beginning begins, and its end; empty until [`Set::seal`].
    starts: Vec<u32>,
    /// How far to shift the first 64 bits of a hash to get its beginning.
    shift: u32,
    later: HashSet<Content, BuildHasherDefault<First>>,
}

impl Default for Set {
    fn default() -> Set {
        Set {
            sorted: Vec::new(),
            starts: Vec::new(),
            shift: u64::BITS - 1,
            later: HashSet::default(),
        }
    }
}

impl Set {
    /// Takes in one of many; call [`Set::seal`] after the last of them.
    pub fn push(&mut self, content: Content) {
        if self.sorted.len() == self.sorted.capacity() {
            // Doubling would cost twice the memory just after it.
            self.sorted.reserve_exact(1024 + self.sorted.len() / 4);
        }
        self.sorted.push(content);
    }

    /// How many were pushed, before [`Set::seal`].
    pub fn pushed(&self) -> u64 {
        self.sorted.len() as u64
    }

    /// Takes out again what was pushed at these places, which are in order; before [`Set::seal`].
    pub fn take_out(&mut self, places: &[Range<u64>]) {
        for places in places.iter().rev() {
            let end = self.sorted.len().min(places.end as usize);
            self.sorted.drain(end.min(places.start as usize)..end);
        }
    }

    /// Makes what was pushed ready to be asked for.
    pub fn seal(&mut self) {
        self.sorted.sort_unstable();
        self.sorted.dedup();
        self.sorted.shrink_to_fit();
        // Two to four contents a beginning: then the index costs least for what it saves.
        let bits = (self.sorted.len() / 2).max(2).ilog2();
        self.shift = u64::BITS - bits;
        self.starts = Vec::with_capacity((1 << bits) + 1);
        for (at, content) in self.sorted.iter().enumerate() {
            while self.starts.len() <= beginning(content, self.shift) {
                // Four thousand million contents would take 120 GB.
                self.starts.push(at as u32);
            }
        }
        self.starts
            .resize((1 << bits) + 1, self.sorted.len() as u32);
    }

    /// Is it in the set?
    pub fn has(&self, content: &Content) -> bool {
        (!self.later.is_empty() && self.later.contains(content)) || self.find(content).is_some()
    }

    /// The place of a content among those that were there when the set was last sealed.
    pub fn find(&self, content: &Content) -> Option<u32> {
        let at = beginning(content, self.shift);
        let ends = self.starts.get(at..at + 2)?;
        let alike = &self.sorted[ends[0] as usize..ends[1] as usize];
        let place = alike.iter().position(|one| one == content)?;
        Some(ends[0] + place as u32)
    }

    /// Those that were there when the set was last sealed, sorted; [`Set::find`] gives places here.
    pub fn sorted(&self) -> &[Content] {
        &self.sorted
    }

    /// Takes in one more, at any time.
    pub fn add(&mut self, content: Content) {
        self.later.insert(content);
        if self.later.len() >= LATER.max(self.sorted.len() / 8) {
            self.sorted.reserve_exact(self.later.len());
            self.sorted.extend(std::mem::take(&mut self.later));
            self.seal();
        }
    }
}

fn beginning(content: &Content, shift: u32) -> usize {
    (first(content) >> shift) as usize
}

fn first(content: &Content) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&content.bytes[..8]);
    u64::from_be_bytes(first)
}

/// Who could choose SHA-1s that begin alike could choose other ones; the first bits of a SHA-1 are
/// as good as any hash of it.
#[derive(Debug, Default)]
struct First(u64);

impl Hasher for First {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_be_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(first(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spread over all beginnings, as hashes are.
    fn content(i: u64) -> Content {
        let sha1 = format!("{:016x}{:024x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i);
        Content::new(&sha1, i).unwrap()
    }

    #[test]
    fn each_is_found_and_no_other_whatever_their_number() {
        for count in [0, 1, 2, 3, 5, 1000, 4099] {
            let mut set = Set::default();
            assert!(!set.has(&content(0)));
            (0..count).for_each(|i| set.push(content(i)));
            (0..count).for_each(|i| set.push(content(i)));
            set.seal();
            assert!((0..count).all(|i| set.has(&content(i))), "{count}");
            assert!(
                !(count..2 * count + 9).any(|i| set.has(&content(i))),
                "{count}"
            );
            assert_eq!(set.sorted.len() as u64, count);
        }
    }

    #[test]
    fn what_is_taken_out_again_is_not_there_and_all_else_is() {
        let mut set = Set::default();
        (0..10).for_each(|i| set.push(content(i)));
        set.take_out(&[2..4, 7..99, 99..120]);
        set.seal();
        let there: Vec<_> = (0..10).filter(|&i| set.has(&content(i))).collect();
        assert_eq!(there, [0, 1, 4, 5, 6]);
    }

    #[test]
    fn the_first_and_the_last_beginning_are_found() {
        let mut set = Set::default();
        let ends = ["0", "f"].map(|digit| Content::new(&digit.repeat(40), 1).unwrap());
        ends.iter().for_each(|&content| set.push(content));
        (0..100).for_each(|i| set.push(content(i)));
        set.seal();
        assert!(ends.iter().all(|content| set.has(content)));
    }

    #[test]
    fn what_comes_later_is_found_before_and_after_it_is_sorted_in() {
        let mut set = Set::default();
        set.push(content(0));
        set.seal();
        let many = LATER as u64 + 10;
        for i in 1..many {
            set.add(content(i));
            assert!(set.has(&content(i)));
        }
        assert!((0..many).all(|i| set.has(&content(i))));
        assert!(!set.has(&content(many)));
        assert_eq!(set.later.len(), 9);
    }
}
