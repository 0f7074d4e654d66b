//! `--shard K/N`: a part of the library by its folders at the top.

use orphan_scan::names;
use wire::value::Shard;

/// Does this path, relative to the library, belong to the part? All spellings of a top-level folder that
/// differ by case or normalisation are in one part, since Calibre may take them for one.
pub(crate) fn holds(shard: Shard, path: &[u8]) -> bool {
    let top = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    // FNV-1a: the parts of one library are made on many machines, so this must stay as it is.
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = names::folded(top).iter().fold(0xcbf2_9ce4_8422_2325, mix);
    shard.holds(hash >> 32)
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
                    let holding = parts.filter(|shard| holds(*shard, path.as_bytes()));
                    holding.map(|shard| shard.part).collect::<Vec<_>>()
                };
                assert_eq!(holders(top).len(), 1);
                assert_eq!(holders(top), holders(&below));
                assert_eq!(holders(top), holders(&upper));
            }
        }
    }
}
