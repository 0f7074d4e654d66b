//! What a link's target is called on this machine: text alone, the disk is not asked.

use std::path::{Component, Path, PathBuf};

use wire::path_map::PathMap;

/// Where a target may be, the likeliest first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) places: Vec<PathBuf>,
    /// A folder that the user named holds the first.
    pub(super) mapped: bool,
    /// It has `..` in it, and a link on the way may lead it elsewhere.
    pub(super) climbs: bool,
}

/// The places of `target`, which stands in a link in `folder`, a folder by its name here.
pub(super) fn places(folder: &Path, target: &Path, map: &PathMap) -> Places {
    let climbs = target.components().any(|part| part == Component::ParentDir);
    if target.is_absolute() {
        let target = lexical(target);
        let here = map.to_host(&target);
        return Places {
            mapped: here.is_some(),
            climbs,
            places: vec![here.unwrap_or(target)],
        };
    }
    let there = map
        .to_server(folder)
        .map(|server| lexical(&server.join(target)));
    let mapped = there.and_then(|there| map.to_host(&there));
    Places {
        mapped: mapped.is_some(),
        climbs,
        places: mapped.into_iter().chain([folder.join(target)]).collect(),
    }
}

/// A path without `.`, `..` and doubled slashes, as text alone tells.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut clean: Vec<Component<'_>> = Vec::new();
    for component in path.components() {
        match (component, clean.last()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                clean.pop();
            }
            _ => clean.push(component),
        }
    }
    clean.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use wire::path_map::Mapping;

    use super::*;

    fn maps(texts: &[&str]) -> PathMap {
        let map = |text: &&str| Mapping::parse(text.into()).unwrap();
        PathMap::new(texts.iter().map(map).collect())
    }

    fn of(folder: &str, target: &str, map: &PathMap) -> (Vec<String>, bool) {
        let found = places(Path::new(folder), Path::new(target), map);
        let shown = |place: &PathBuf| place.display().to_string();
        (found.places.iter().map(shown).collect(), found.mapped)
    }

    #[test]
    fn a_target_is_found_by_the_server_s_names() {
        let map = maps(&["/mnt/calibre=/calibre_library", "/srv/mbs=/data"]);
        let one = |place: &str, mapped| (vec![place.to_string()], mapped);
        assert_eq!(
            of("/srv/mbs/books/A", "/calibre_library/A/x.epub", &map),
            one("/mnt/calibre/A/x.epub", true)
        );
        assert_eq!(
            of("/srv/mbs/books/A", "/calibre_library/B/../A//./x", &map),
            one("/mnt/calibre/A/x", true)
        );
        assert_eq!(
            of("/srv/mbs/books/A", "/other/x", &map),
            one("/other/x", false)
        );
        assert_eq!(of("/s", "/other/x", &maps(&[])), one("/other/x", false));
        // Up and out of the store, which is elsewhere on the server.
        let (places, _) = of("/srv/mbs/books/A", "../../../calibre_library/x", &map);
        assert_eq!(places[0], "/mnt/calibre/x");
        assert_eq!(of("/s/A", "../B/x", &maps(&[])).0, ["/s/A/../B/x"]);
    }
}
