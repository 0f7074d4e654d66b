//! A file that may go, as it was found: a question, never an order.

use std::path::{Component, Path, PathBuf};

use hash_files::Stamp;
use wire::{Record, path::decode, records::Finding};

use super::proof::{Answer, Class};
use crate::needs;

/// A file that may go.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its path relative to the library; empty where it is not below it.
    pub relative: PathBuf,
    /// Its class, which must be proven again.
    pub class: Class,
    /// What was found of it.
    pub identity: Identity,
    /// Calibre's number of the book, of a tracked file.
    pub book_id: Option<i64>,
    /// The format in lower case, of a tracked file.
    pub format: Option<String>,
}

/// What tells that a file is still the one that was found. A field that is missing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
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
pub fn class(record: &Record) -> Option<Class> {
    Class::named(&record.text("class")?)
}

impl Candidate {
    /// Reads a finding of one of the classes that may go, in a library that has these names.
    ///
    /// # Errors
    /// One line of reason: it names no path, or no class that may go.
    pub fn read(record: &Record, library: &[&Path]) -> Result<Candidate, String> {
        let finding: Finding = record.decode()?;
        let path = decode(&finding.path, finding.path_b64.as_deref())?;
        if finding.path.is_empty() {
            return Err("the record has no path".into());
        }
        Ok(Candidate {
            relative: relative(&path, library).unwrap_or_default(),
            path,
            class: Class::named(&finding.class).ok_or("its class is none that may be removed")?,
            identity: Identity {
                dev: number(finding.dev.as_deref()),
                inode: number(finding.inode.as_deref()),
                size: finding.size,
                mtime: finding.mtime,
                sha1: finding.sha1.filter(|sha1| is_sha1(sha1)),
            },
            book_id: finding.book_id,
            format: finding.format,
        })
    }

    /// Bytes, as far as is known.
    pub fn size(&self) -> u64 {
        self.identity.size.unwrap_or(0)
    }

    /// Is this the record by which the file is tracked: of its book and format?
    pub(super) fn is_of(&self, record: &needs::Record) -> bool {
        Some(record.book_id) == self.book_id
            && Some(record.format.as_slice()) == self.format.as_deref().map(str::as_bytes)
    }
}

/// A number that is written as text, for it may be larger than JSON's.
pub(super) fn number(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

/// Forty lower-case hex digits?
pub(super) fn is_sha1(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Identity {
    /// Is the file that is there now the one that was found?
    pub(super) fn same(&self, now: &Stamp) -> Answer {
        let (Some(dev), Some(inode), Some(size), Some(mtime)) =
            (self.dev, self.inode, self.size, self.mtime.as_deref())
        else {
            return Answer::Unknown(
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
            return Answer::Yes(format!(
                "same dev {dev}, inode {inode}, size {size}, mtime {mtime}"
            ));
        };
        Answer::No(format!("{differs}; scan again"))
    }

    /// Are the bytes, read again, those that were found?
    pub(super) fn same_bytes(&self, sha1: &str, class: Class) -> Answer {
        match &self.sha1 {
            Some(then) if then == sha1 => Answer::Yes(format!("sha1 {sha1} read again")),
            Some(_) => Answer::No("its bytes have changed since the scan (sha1)".into()),
            // It goes where it can be fetched back from, and was never said to be elsewhere.
            None if class == Class::Untracked => Answer::Yes(format!("sha1 {sha1} read")),
            None => Answer::Unknown("the finding has no sha1".into()),
        }
    }
}

/// The path of a file relative to the library, which may be known by two names.
pub(super) fn relative(path: &Path, roots: &[&Path]) -> Option<PathBuf> {
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

    fn found() -> Identity {
        Identity {
            dev: Some(1),
            inode: Some(2),
            size: Some(3),
            mtime: Some(NOW.mtime_text()),
            sha1: Some("a".repeat(40)),
        }
    }

    #[test]
    fn a_file_is_the_same_only_when_all_is_the_same() {
        assert!(found().same(&NOW).yes());
        for now in [
            Stamp { dev: 9, ..NOW },
            Stamp { inode: 9, ..NOW },
            Stamp { size: 9, ..NOW },
            Stamp {
                mtime: NOW.mtime + 1,
                ..NOW
            },
        ] {
            assert!(matches!(found().same(&now), Answer::No(_)), "{now:?}");
        }
        let lacks: [fn(&mut Identity); 4] = [
            |identity| identity.dev = None,
            |identity| identity.inode = None,
            |identity| identity.size = None,
            |identity| identity.mtime = None,
        ];
        for lack in lacks {
            let mut identity = found();
            lack(&mut identity);
            assert!(
                matches!(identity.same(&NOW), Answer::Unknown(_)),
                "{identity:?}"
            );
        }
    }

    #[test]
    fn bytes_that_nobody_hashed_before_are_only_for_the_trash() {
        let none = Identity::default();
        let same = |identity: &Identity, class| identity.same_bytes(&"a".repeat(40), class).yes();
        assert!(same(&found(), Class::UntrackedOnServer));
        assert!(!same(&none, Class::UntrackedOnServer));
        assert!(!same(&none, Class::DuplicateOfServer));
        assert!(same(&none, Class::Untracked));
        assert!(!found().same_bytes(&"b".repeat(40), Class::Untracked).yes());
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
