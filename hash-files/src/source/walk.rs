//! All files in a folder and the folders in it. Nothing is left out for its name, hidden or not.

use std::{io, ops::ControlFlow, path::Path};

use walkdir::{DirEntry, WalkDir};

use crate::{
    feed::Feed,
    task::{Failure, Task},
};

/// Which files of a folder are wanted, and in which order they come.
pub(crate) struct Walk {
    extensions: Vec<String>,
    sorted: bool,
}

impl Walk {
    /// Files with one of these extensions (all, when there is none), by name if `sorted`.
    pub(crate) fn new(extensions: &[String], sorted: bool) -> Walk {
        let bare = |extension: &String| extension.trim().trim_start_matches('.').to_lowercase();
        Walk {
            extensions: extensions
                .iter()
                .map(bare)
                .filter(|e| !e.is_empty())
                .collect(),
            sorted,
        }
    }

    /// What the summary says was selected.
    pub(crate) fn selection(&self) -> Option<String> {
        (!self.extensions.is_empty()).then(|| format!("--ext {}", self.extensions.join(",")))
    }

    fn wants(&self, path: &Path) -> bool {
        self.extensions.is_empty()
            || path.extension().is_some_and(|extension| {
                let extension = extension.to_string_lossy().to_lowercase();
                self.extensions.contains(&extension)
            })
    }

    /// Feeds the files below `folder`. One that cannot be read is a failure of its own, turns
    /// `whole` false, and does not stop the walk.
    pub(crate) fn folder(
        &self,
        folder: &Path,
        whole: &mut bool,
        feed: &Feed<'_, '_, '_>,
    ) -> ControlFlow<()> {
        let mut walk = WalkDir::new(folder);
        if self.sorted {
            walk = walk.sort_by_file_name();
        }
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() && self.wants(entry.path()) => {
                    feed.push(Task::Hash(DirEntry::into_path(entry), None))?;
                }
                Ok(_) => {}
                Err(error) => {
                    *whole = false;
                    feed.push(Task::Fail(failure(folder, &error)))?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn failure(folder: &Path, error: &walkdir::Error) -> Failure {
    let path = error.path().unwrap_or(folder);
    let why = error
        .io_error()
        .map_or_else(|| error.to_string(), io::Error::to_string);
    Failure::of_path(path, "list", format!("{why}; what is in it is not hashed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_told_as_people_write_them() {
        let walk = Walk::new(&["epub".into(), ".PDF".into(), " fb2 ".into()], false);
        for name in ["a.epub", "a.EPUB", "b.pdf", "c.fb2", "d.tar.Pdf"] {
            assert!(walk.wants(Path::new(name)), "{name}");
        }
        for name in ["epub", ".epub", "a.epub2", "a", "a.pdf~", "a.kepub.mobi"] {
            assert!(!walk.wants(Path::new(name)), "{name}");
        }
        assert!(Walk::new(&[], false).wants(Path::new("a")));
        assert_eq!(walk.selection().as_deref(), Some("--ext epub,pdf,fb2"));
    }
}
