//! A finding that asks for a file to be removed, read as a question, never as an order.

use std::path::{Component, Path, PathBuf};

use hash_files::Stamp;
use wire::Record;

use crate::proof::{Class, Told};

/// A file that may go, as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its class, which must be proven again.
    pub class: Class,
    /// What was found of it.
    pub seen: Seen,
    /// Calibre's number of the book, of a tracked file.
    pub book_id: Option<i64>,
    /// The format in lower case, of a tracked file.
    pub format: Option<String>,
}

/// What tells that a file is still the one that was found. A field that is missing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The device.
    pub dev: Option<u64>,
    /// Its number there.
    pub inode: Option<u64>,
    /// Bytes.
    pub size: Option<u64>,
    /// Last change of its bytes, as records have it.
    pub mtime: Option<String>,
    /// SHA-1 in lower-case hex.
    pub sha1: Option<String>,
}

/// The class of a finding; nothing where it is not one that may go.
pub(crate) fn class(record: &Record) -> Option<Class> {
    Class::named(&record.text("class")?)
}

impl Candidate {
    /// Reads a finding of one of the classes that may go.
    ///
    /// # Errors
    /// One line of reason: it names no path, or no class that may go.
    pub(crate) fn read(record: &Record) -> Result<Candidate, String> {
        let number = |name| record.text(name).and_then(|text| text.parse().ok());
        let sha1 = record.text("sha1").map(|text| text.into_owned());
        Ok(Candidate {
            path: record.path()?,
            class: class(record).ok_or("its class is none that may be removed")?,
            seen: Seen {
                dev: number("dev"),
                inode: number("inode"),
                size: record.get("size"),
                mtime: record.text("mtime").map(|text| text.into_owned()),
                sha1: sha1.filter(|sha1| is_sha1(sha1)),
            },
            book_id: record.get("book_id"),
            format: record.text("format").map(|text| text.into_owned()),
        })
    }
}

/// Forty lower-case hex digits?
pub(crate) fn is_sha1(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Seen {
    /// Is the file that is there now the one that was found?
    pub(crate) fn same(&self, now: &Stamp) -> Told {
        let (Some(dev), Some(inode), Some(size), Some(mtime)) =
            (self.dev, self.inode, self.size, self.mtime.as_deref())
        else {
            return Told::Unknown(
                "the finding lacks dev, inode, size or mtime; scan again with orphan-scan".into(),
            );
        };
        let same_time = mtime.parse::<jiff::Timestamp>().is_ok_and(|then| {
            // A time out of the calendar's range is shown as its nearest end.
            then.as_nanosecond() == now.mtime || mtime == now.mtime_text()
        });
        let differs = if (dev, inode) != (now.dev, now.inode) {
            "it is another file now (dev or inode)"
        } else if size != now.size {
            "its size has changed since the scan"
        } else if !same_time {
            "it was written to since the scan (mtime)"
        } else {
            return Told::Yes(format!(
                "same dev {dev}, inode {inode}, size {size}, mtime {mtime}"
            ));
        };
        Told::No(format!("{differs}; scan again"))
    }

    /// Are the bytes, read again, those that were found?
    pub(crate) fn same_bytes(&self, sha1: &str, class: Class) -> Told {
        match &self.sha1 {
            Some(then) if then == sha1 => Told::Yes(format!("sha1 {sha1} read again")),
            Some(_) => Told::No("its bytes have changed since the scan (sha1)".into()),
            // It goes where it can be fetched back from, and was never said to be elsewhere.
            None if class == Class::Untracked => Told::Yes(format!("sha1 {sha1} read")),
            None => Told::Unknown("the finding has no sha1".into()),
        }
    }
}

/// The path of a file relative to the library, which may be known by two names.
pub(crate) fn relative(path: &Path, roots: &[&Path]) -> Option<PathBuf> {
    let relative = roots.iter().find_map(|root| path.strip_prefix(root).ok())?;
    let plain = |part| matches!(part, Component::Normal(_));
    // Collected again, so that no doubled slash is left.
    let clean: PathBuf = relative.components().collect();
    (clean.components().next().is_some() && clean.components().all(plain)).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp {
        dev: 1,
        inode: 2,
        size: 3,
        mtime: 1_700_000_000_123_456_789,
        ctime: 0,
    };

    fn seen() -> Seen {
        Seen {
            dev: Some(1),
            inode: Some(2),
            size: Some(3),
            mtime: Some(NOW.mtime_text()),
            sha1: Some("a".repeat(40)),
        }
    }

    #[test]
    fn a_file_is_the_same_only_when_all_is_the_same() {
        assert!(seen().same(&NOW).yes());
        for now in [
            Stamp { dev: 9, ..NOW },
            Stamp { inode: 9, ..NOW },
            Stamp { size: 9, ..NOW },
            Stamp {
                mtime: NOW.mtime + 1,
                ..NOW
            },
        ] {
            assert!(matches!(seen().same(&now), Told::No(_)), "{now:?}");
        }
        let lacks: [fn(&mut Seen); 4] = [
            |seen| seen.dev = None,
            |seen| seen.inode = None,
            |seen| seen.size = None,
            |seen| seen.mtime = None,
        ];
        for lack in lacks {
            let mut seen = seen();
            lack(&mut seen);
            assert!(matches!(seen.same(&NOW), Told::Unknown(_)), "{seen:?}");
        }
    }

    #[test]
    fn bytes_that_nobody_hashed_before_are_only_for_the_trash() {
        let none = Seen::default();
        let same = |seen: &Seen, class| seen.same_bytes(&"a".repeat(40), class).yes();
        assert!(same(&seen(), Class::UntrackedOnServer));
        assert!(!same(&none, Class::UntrackedOnServer));
        assert!(!same(&none, Class::DuplicateOfServer));
        assert!(same(&none, Class::Untracked));
        assert!(!seen().same_bytes(&"b".repeat(40), Class::Untracked).yes());
    }

    #[test]
    fn a_path_that_leaves_the_library_is_none_of_it() {
        let relative =
            |path: &str| relative(Path::new(path), &[Path::new("/l"), Path::new("/m/l")]);
        assert_eq!(relative("/l/a/b"), Some("a/b".into()));
        assert_eq!(relative("/m/l/a//./b"), Some("a/b".into()));
        for outside in ["/l", "/l/", "/l/../x", "/l/a/../../x", "/lx/a", "a", "/"] {
            assert_eq!(relative(outside), None, "{outside}");
        }
    }
}
