//! Symbolic links in place of copies, by servers that can make them. The bytes are sent all the same,
//! for the server looks into them; what it keeps is a link to the file where it sees it.
//!
//! A server that knows nothing of links makes copies without a word, and may fill its disk with them.
//! So, where its store is visible here, each file is looked at after it was added: a server that made
//! one copy makes no second. Where the store is not visible, the server must at least be one that is
//! known to make links. And a path map may lead to another file, or to none: what a link leads to is
//! read before it counts, the first one before any other file is sent.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use thiserror::Error;
use wire::{Exit, Fatal};

use crate::{input::bytes, known::Content, model::origin::Origin, path_map::PathMap};

/// Bytes in the target of a link on Linux, `PATH_MAX` without its NUL. The server keeps the path
/// nowhere else; its columns hold only names of its own.
const LONGEST: usize = 4095;

/// How links are made, and what is known of the server's making them.
#[derive(Debug)]
pub struct Links {
    map: PathMap,
    store: Option<PathBuf>,
    state: Mutex<State>,
    /// Held by whose file is under way while it is not known what the server makes of one.
    first: Mutex<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Works,
    /// Why no more files may be added, and how the run ends.
    Refused(String, Exit),
}

/// Why there can be no link to a file.
#[derive(Debug, Error)]
pub enum NoLink {
    /// It is a part of another file.
    #[error("a member of an archive cannot be linked to: unpack it, or send it without --symlink")]
    Member,
    /// It is a link.
    #[error("a symbolic link itself: name the file that it leads to")]
    Link,
    /// It cannot be looked at.
    #[error("stat: {0}")]
    Stat(#[from] io::Error),
    /// No --path-map covers it.
    #[error("no --path-map tells where the server sees it")]
    Unmapped,
    /// Its path has so many bytes.
    #[error("the server's path has {0} bytes, and a link holds {LONGEST}")]
    Long(usize),
    /// Its path cannot be sent.
    #[error("the server's path is not UTF-8, and no request can hold it")]
    NotUtf8,
}

/// Whether a file may be sent now.
#[derive(Debug)]
pub enum Turn<'a> {
    /// Links work.
    Open,
    /// It is the first one: nobody else sends while this is held.
    First(MutexGuard<'a, ()>),
    /// Another one is the first.
    Theirs,
    /// None may any more.
    Never,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the bytes that it stands for.
    Here,
    /// To something else: what.
    Elsewhere(String),
    /// To no file.
    Nowhere,
    /// Nobody can say, and why.
    Unseen(String),
}

/// What the server made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// The link that was asked for, as far as can be seen.
    Link,
    /// Something else: what.
    Other(String),
}

impl Links {
    /// Links to files under the names that `map` gives, looked at in `store`, the server's data
    /// folder.
    pub fn new(map: PathMap, store: Option<PathBuf>) -> Links {
        Links {
            map,
            store,
            state: Mutex::new(State::Unknown),
            first: Mutex::default(),
        }
    }

    /// What to say of a server that shows no sign of making links: only the fork that answers many
    /// checks at once does.
    pub fn unlikely() -> Fatal {
        let why = "it makes copies, as far as is known; where its store is visible, --store DIR looks \
                   at the first file";
        Fatal::new(Exit::Refused, format!("--symlink: ask the server: {why}"))
    }

    /// The path that the server is to link to.
    ///
    /// # Errors
    /// There can be no link to this file.
    pub fn target(&self, origin: &Origin) -> Result<String, NoLink> {
        if origin.member.is_some() {
            return Err(NoLink::Member);
        }
        // On the server a link may lead elsewhere, or nowhere.
        if fs::symlink_metadata(&origin.file)?.is_symlink() {
            return Err(NoLink::Link);
        }
        let server = self.map.to_server(&origin.file).ok_or(NoLink::Unmapped)?;
        let length = server.as_os_str().len();
        if length > LONGEST {
            return Err(NoLink::Long(length));
        }
        let text = server.into_os_string().into_string();
        text.map_err(|_| NoLink::NotUtf8)
    }

    /// May a file be sent now? Nobody waits for the first one: who holds a book would wait in a circle.
    pub fn turn(&self) -> Turn<'_> {
        match self.state() {
            State::Refused(..) => return Turn::Never,
            State::Works => return Turn::Open,
            State::Unknown => {}
        }
        match self.first.try_lock() {
            Ok(first) => Turn::First(first),
            Err(TryLockError::Poisoned(first)) => Turn::First(first.into_inner()),
            Err(TryLockError::WouldBlock) => Turn::Theirs,
        }
    }

    /// Has none been seen to work yet?
    pub fn are_untried(&self) -> bool {
        self.state() == State::Unknown
    }

    /// One was seen to work.
    pub fn work(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Unknown {
            *state = State::Works;
        }
    }

    /// The server does not see `target` as we do: no more files are sent. Says what is wanted.
    pub fn astray(&self, origin: &Origin, target: &str, why: &str) -> String {
        let host = self.map.host_of(&origin.file).unwrap_or(Path::new("/"));
        let why = format!(
            "--symlink: the server cannot link to {target}: {why}; mount the library where it runs, or name \
             the folder that it has there: --path-map {}=FOLDER",
            host.display()
        );
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let exit = match *state {
            State::Unknown => Exit::Refused,
            _ => Exit::GaveUp,
        };
        if !matches!(*state, State::Refused(..)) {
            *state = State::Refused(why.clone(), exit);
        }
        why
    }

    /// Where the stored file at `location` leads, followed from here; nothing where it cannot be.
    pub fn follow(&self, location: &str, content: &Content) -> Option<Leads> {
        let stored = self.store.as_ref()?.join("books").join(location);
        bytes::differs(&stored, content).map(|differs| match differs {
            None => Leads::Here,
            Some(what) => Leads::Elsewhere(what),
        })
    }

    /// Is the store visible here?
    pub fn sees(&self) -> bool {
        self.store.is_some()
    }

    /// Looks at what the server made, at `location` below its books, of a file that was to become a
    /// link to `target`. What is no such link ends the run.
    pub fn look(&self, location: &str, target: &str) -> Made {
        let Some(store) = &self.store else {
            return Made::Link;
        };
        let made = made(&store.join("books").join(location), target);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match (&made, &*state) {
            (Made::Link, State::Unknown) => *state = State::Works,
            (Made::Other(what), State::Unknown | State::Works) => {
                let why = format!("a file was to be linked to and is {what}; no more are added");
                *state = State::Refused(why, Exit::GaveUp);
            }
            _ => {}
        }
        made
    }

    /// Why no more files may be added, and how the run ends, if so.
    pub fn refused(&self) -> Option<(String, Exit)> {
        match self.state() {
            State::Refused(why, exit) => Some((why, exit)),
            State::Unknown | State::Works => None,
        }
    }

    fn state(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn made(stored: &Path, target: &str) -> Made {
    let other = |what: &str| Made::Other(what.into());
    match fs::symlink_metadata(stored) {
        Ok(metadata) if metadata.is_symlink() => match fs::read_link(stored) {
            Ok(to) if to.as_os_str().as_bytes() == target.as_bytes() => Made::Link,
            Ok(to) => Made::Other(format!("a link to {}", to.display())),
            Err(error) => Made::Other(format!("a link that cannot be read: {error}")),
        },
        Ok(_) => other("a copy, which the server makes when it knows nothing of links"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            other("not in --store, which then is another server's")
        }
        Err(error) => Made::Other(format!("not to be seen in --store: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_map::Mapping;

    fn links(store: Option<&Path>) -> Links {
        let map = PathMap::new(vec![Mapping::parse("/=/host".into()).unwrap()]);
        Links::new(map, store.map(Into::into))
    }

    fn origin(file: &Path) -> Origin {
        Origin {
            file: file.into(),
            member: None,
        }
    }

    #[test]
    fn a_target_is_the_path_as_it_is_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a\n\u{1}b.epub");
        fs::write(&file, "").unwrap();
        let target = links(None).target(&origin(&file)).unwrap();
        assert_eq!(target, format!("/host{}", file.display()));
        let link = dir.path().join("link.epub");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(
            links(None)
                .target(&origin(&link))
                .unwrap_err()
                .to_string()
                .contains("symbolic link")
        );
        let longer = Mapping::parse(format!("/=/{}", "x/".repeat(2040)).into()).unwrap();
        let longer = Links::new(PathMap::new(vec![longer]), None);
        assert!(
            longer
                .target(&origin(&file))
                .unwrap_err()
                .to_string()
                .contains("4095")
        );
    }

    #[test]
    fn after_one_copy_no_more_are_added() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("books")).unwrap();
        let links = links(Some(dir.path()));
        std::os::unix::fs::symlink("/host/a", dir.path().join("books/a")).unwrap();
        fs::write(dir.path().join("books/b"), "").unwrap();
        let first = links.turn();
        assert!(matches!(first, Turn::First(_)) && matches!(links.turn(), Turn::Theirs));
        assert_eq!(links.look("a", "/host/a"), Made::Link);
        assert!(matches!(links.turn(), Turn::Open));
        assert!(links.refused().is_none());
        assert!(matches!(links.look("b", "/host/b"), Made::Other(_)));
        assert!(links.refused().unwrap().0.contains("a copy"));
        assert!(matches!(links.turn(), Turn::Never));
    }

    #[test]
    fn what_stands_in_the_store_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let stored = dir.path().join("a");
        assert!(
            matches!(made(&stored, "/b"), Made::Other(what) if what.contains("not in --store"))
        );
        std::os::unix::fs::symlink("/c", &stored).unwrap();
        assert!(matches!(made(&stored, "/b"), Made::Other(what) if what == "a link to /c"));
        assert_eq!(made(&stored, "/c"), Made::Link);
    }
}
