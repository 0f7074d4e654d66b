//! A link to its end, each step translated to what this machine calls its target.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{
    Store,
    targets::{Places, lexical, places},
};

/// Where a link leads in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a file, or a folder, that is there.
    File(PathBuf),
    /// To a place of which is known that there is nothing.
    Nothing(PathBuf),
    /// To a place that is not known here; why.
    Lost(PathBuf, String),
}

/// A chain of this many links is a ring.
const LONGEST_CHAIN: usize = 40;

impl Store {
    /// Follows a path to its end, and tells whether the end is sure to be the one that is meant: the
    /// server may call something else by that name.
    ///
    /// # Errors
    /// One line of reason: what may be gone at the next try.
    pub(crate) fn trace(&self, path: &Path) -> Result<(Target, bool), String> {
        let mut at = path.to_path_buf();
        let (mut known, mut sure) = (true, true);
        for _ in 0..LONGEST_CHAIN {
            let shown = |act: &str, error: io::Error| format!("{}: {act}: {error}", at.display());
            let is_link = match fs::symlink_metadata(&at) {
                Ok(seen) => seen.is_symlink(),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::NOENT | Errno::NOTDIR) if known => {
                        return Ok((Target::Nothing(at), sure));
                    }
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {
                        let why = error.to_string();
                        return Ok((Target::Lost(at, why), false));
                    }
                    _ => return Err(shown("look at it", error)),
                },
            };
            if !is_link {
                return Ok((Target::File(at), sure));
            }
            let to = fs::read_link(&at).map_err(|error| shown("read the link", error))?;
            let folder = at.parent().unwrap_or(Path::new("/"));
            let places = places(folder, &to, &self.map);
            // What a relative one climbs out of the store to is another place in a container, too.
            known = (known || to.is_absolute()) && (places.mapped || self.is_ours(&places));
            sure &= known && !(places.climbs && to.is_absolute());
            let there = |place: &&PathBuf| fs::symlink_metadata(place).is_ok();
            let place = places.places.iter().find(there);
            at = match place.or(places.places.first()) {
                Some(place) => place.clone(),
                None => folder.join(to),
            };
        }
        let why = "too many links in a row".to_string();
        Ok((Target::Lost(at, why), false))
    }

    /// Is it below a folder that the server names as we do, as far as its own links say?
    fn is_ours(&self, places: &Places) -> bool {
        let ours = |place: &PathBuf| {
            let place = lexical(place);
            place.starts_with(&self.books)
                || self
                    .library
                    .iter()
                    .any(|library| place.starts_with(library))
        };
        !places.mapped && places.places.iter().all(ours)
    }
}
