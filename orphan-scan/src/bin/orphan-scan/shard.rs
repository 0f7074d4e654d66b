//! `--shard K/N`: a part of the library by its folders at the top.

use std::{fmt, str::FromStr};

use orphan_scan::names;

/// One of several parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    part: u32,
    of: u32,
}

impl Shard {
    /// Is what is at this path, relative to the library, in this part? All spellings of a folder at the
    /// top that differ by case or normalisation are in one part, for they may be one to Calibre.
    pub(crate) fn holds(self, path: &[u8]) -> bool {
        let top = path.split(|&byte| byte == b'/').next().unwrap_or_default();
        // FNV-1a: the parts of one library are made on many machines, so this must stay as it is.
        let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = names::folded(top).iter().fold(0xcbf2_9ce4_8422_2325, mix);
        (hash >> 32) % u64::from(self.of) == u64::from(self.part - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err("give K/N with K from 1 to N, like 2/4".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_in_one_part_in_all_its_spellings() {
        for of in [1, 2, 7, 100] {
            for top in ["a", "Caf\u{e9}", "x.epub", ""] {
                let below = format!("{top}/b/c");
                let upper = top.to_uppercase().replace('\u{c9}', "E\u{301}");
                let holders = |path: &str| {
                    let parts = (1..=of).map(|part| Shard { part, of });
                    let holding = parts.filter(|shard| shard.holds(path.as_bytes()));
                    holding.map(|shard| shard.part).collect::<Vec<_>>()
                };
                assert_eq!(holders(top).len(), 1);
                assert_eq!(holders(top), holders(&below));
                assert_eq!(holders(top), holders(&upper));
            }
        }
        for wrong in ["0/2", "3/2", "1", "/", "1/0", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
