//! Where a file of a journal is: in the quarantine, in its place, in both or in neither. It is known by its
//! number, size and time; a copy of it, made by a backup or by hand, by size and SHA-1.

use hash_files::{Stamp, digest::BUFFER};
use rustix::{fs::FileType, io::Errno};

use super::{JournalFile, Step};
use crate::removal::tree::{Tree, explain, look};

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// In the quarantine.
    Away(Stamp),
    /// In its place in the library.
    Home,
    /// In both, one file with two names: a move by link and unlink was cut short.
    Both,
    /// Nothing of its name is in either.
    Nowhere,
    /// It is in neither, but another file of its name is; in one line.
    Another(String),
}

/// What is found under a file's name in one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    It(Stamp),
    Nothing,
    Another,
}

fn place(away: Found, home: Found) -> Where {
    let id = |stamp: Stamp| (stamp.dev, stamp.inode);
    let another =
        |what| Where::Another(format!("another file of its name is {what}, and it is not"));
    match (away, home) {
        (Found::It(away), Found::It(home)) if id(away) == id(home) => Where::Both,
        (Found::It(away), _) => Where::Away(away),
        (_, Found::It(_)) => Where::Home,
        (Found::Nothing, Found::Nothing) => Where::Nowhere,
        (Found::Another, Found::Nothing) => another("in the quarantine"),
        (Found::Nothing, Found::Another) => another("in its place"),
        (Found::Another, Found::Another) => another("in the quarantine, and one in its place"),
    }
}

/// What a file's last step has come to, by where it is; nothing where it is where that step left it, or
/// nobody knows.
pub fn come_to(step: Step, place: &Where) -> Option<Step> {
    match (step, place) {
        (Step::Removed, Where::Away(_)) => None,
        (_, Where::Away(_)) => Some(Step::Removed),
        (Step::Removing, Where::Home) => Some(Step::NotRemoved),
        (Step::Restoring, Where::Home) => Some(Step::Restored),
        (_, Where::Home) => Some(Step::Returned),
        (Step::Purging, Where::Nowhere) => Some(Step::Purged),
        (_, Where::Both | Where::Nowhere | Where::Another(_)) => None,
    }
}

impl JournalFile {
    /// Where it is.
    ///
    /// # Errors
    /// One line of reason: a place cannot be looked at, or its file not be read.
    pub fn whereabouts(&self, library: &Tree, trash: &Tree) -> Result<Where, String> {
        let away = self.found_in(trash);
        let away = away.map_err(|why| format!("look into the quarantine: {why}"))?;
        let home = self.found_in(library);
        match home {
            Ok(home) => Ok(place(away, home)),
            // Its way back is tried, whatever is there.
            Err(_) if matches!(away, Found::It(_)) => Ok(place(away, Found::Another)),
            Err(why) => Err(format!("look at its place: {why}")),
        }
    }

    /// Is it in this tree for certain?
    pub fn is_in(&self, tree: &Tree) -> bool {
        matches!(self.found_in(tree), Ok(Found::It(_)))
    }

    fn found_in(&self, tree: &Tree) -> Result<Found, String> {
        let name = self.file.relative.file_name().unwrap_or_default();
        let seen = tree.folder_of(&self.file.relative);
        let now = match seen.and_then(|folder| look(folder, name)) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => Stamp::of(&stat),
            // Something that is no file has its name.
            Ok(_) => return Ok(Found::Another),
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(errno) => return Err(explain(errno)),
        };
        // Not the device, which is numbered anew at each start.
        let then = &self.file.identity;
        let same = then.inode == Some(now.inode) && then.mtime == Some(now.mtime_text());
        match then.size == Some(now.size) {
            true if same => Ok(Found::It(now)),
            true => self.read_in(tree),
            false => Ok(Found::Another),
        }
    }

    /// Is the file of its name one of its bytes?
    fn read_in(&self, tree: &Tree) -> Result<Found, String> {
        let entry = tree.entry(&self.file.relative).map_err(explain)?;
        let digest = entry.digest(&mut vec![0; BUFFER]);
        let digest = digest.map_err(|why| why.to_string())?;
        Ok(
            match self.file.identity.sha1.as_deref() == Some(&digest.hex()) {
                true => Found::It(digest.stamp),
                false => Found::Another,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Stamp = Stamp {
        dev: 1,
        inode: 2,
        size: 3,
        mtime: 4,
        ctime: 5,
    };

    #[test]
    fn another_file_of_its_name_is_not_nothing() {
        let copy = Stamp { inode: 9, ..FILE };
        let (it, other) = (Found::It(FILE), Found::It(copy));
        assert_eq!(place(it, it), Where::Both);
        assert_eq!(place(it, other), Where::Away(FILE));
        assert_eq!(place(it, Found::Another), Where::Away(FILE));
        assert_eq!(place(Found::Another, it), Where::Home);
        assert_eq!(place(Found::Nothing, it), Where::Home);
        assert_eq!(place(Found::Nothing, Found::Nothing), Where::Nowhere);
        for (away, home) in [
            (Found::Another, Found::Nothing),
            (Found::Nothing, Found::Another),
            (Found::Another, Found::Another),
        ] {
            assert!(matches!(place(away, home), Where::Another(_)));
        }
    }

    #[test]
    fn a_step_that_was_cut_short_has_come_to_what_the_places_say() {
        let away = Where::Away(FILE);
        assert_eq!(come_to(Step::Removed, &away), None);
        for step in [
            Step::Removing,
            Step::Returning,
            Step::Restoring,
            Step::Purging,
        ] {
            assert_eq!(come_to(step, &away), Some(Step::Removed));
            // Of one file with two names nothing is certain before one of them goes.
            assert_eq!(come_to(step, &Where::Both), None);
            assert_eq!(come_to(step, &Where::Another(String::new())), None);
        }
        assert_eq!(
            come_to(Step::Removing, &Where::Home),
            Some(Step::NotRemoved)
        );
        assert_eq!(come_to(Step::Returning, &Where::Home), Some(Step::Returned));
        assert_eq!(come_to(Step::Removed, &Where::Home), Some(Step::Returned));
        assert_eq!(come_to(Step::Restoring, &Where::Home), Some(Step::Restored));
        assert_eq!(come_to(Step::Purging, &Where::Home), Some(Step::Returned));
        assert_eq!(come_to(Step::Purging, &Where::Nowhere), Some(Step::Purged));
        for step in [Step::Removing, Step::Removed, Step::Restoring] {
            assert_eq!(come_to(step, &Where::Nowhere), None);
        }
    }
}
