//! Which library: its folder, and the database that may lie elsewhere.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::Error;

/// A library that is there.
#[derive(Clone, Debug)]
pub struct Library {
    /// The folder below which the books are, absolute. Symbolic links in it are left as they are,
    /// so that the paths of the records are those that the user knows.
    pub root: PathBuf,
    /// Its `metadata.db`, absolute and free of links: SQLite follows a link before it looks for the
    /// files beside the database.
    pub database: PathBuf,
    /// The database as it was named, absolute.
    pub named: PathBuf,
}

/// What SQLite keeps beside a database. The database's own name is the first, empty one.
pub const SIDES: [&str; 4] = ["", "-wal", "-journal", "-shm"];

impl Library {
    /// Finds a library.
    ///
    /// `root` is its folder, by default the one that `database` is in. `database` is where the
    /// database is if not in the folder, as with Calibre's CALIBRE_OVERRIDE_DATABASE_PATH.
    ///
    /// # Errors
    /// There is no such folder or no database, or there are two databases.
    pub fn find(root: Option<&Path>, database: Option<&Path>) -> Result<Library, Error> {
        let root = match (root, database.and_then(Path::parent)) {
            (Some(root), _) => root,
            (None, Some(parent)) if !parent.as_os_str().is_empty() => parent,
            (None, _) => Path::new("."),
        };
        let root = absolute(root)?;
        if !fs::metadata(&root)
            .map_err(|error| Error::Folder(root.clone(), error))?
            .is_dir()
        {
            return Err(Error::Folder(root, io::ErrorKind::NotADirectory.into()));
        }
        let own = root.join("metadata.db");
        let named = match database {
            Some(given) => absolute(given)?,
            None => own.clone(),
        };
        let database = match fs::canonicalize(&named) {
            Ok(database) => database,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Read(named, error));
            }
            Err(_) if fs::symlink_metadata(&named).is_ok() => return Err(Error::Dangling(named)),
            Err(_) if named == own => return Err(Error::NoDatabase(root)),
            Err(error) => return Err(Error::Folder(named, error)),
        };
        let about = fs::metadata(&database).map_err(|error| Error::Read(named.clone(), error))?;
        if !about.is_file() {
            return Err(Error::NotAFile(named));
        }
        // Which of two has all the books nobody can tell. One that cannot be looked at is one, too.
        if named != own
            && !is_absent(&own)
            && fs::canonicalize(&own).ok().as_ref() != Some(&database)
        {
            return Err(Error::TwoDatabases(own, named));
        }
        Ok(Library {
            root,
            database,
            named,
        })
    }

    /// Finds it again: nobody has put another database in its place, or a second one beside it.
    ///
    /// # Errors
    /// It is another one now, or none.
    pub fn still(&self) -> Result<(), Error> {
        match Library::find(Some(&self.root), Some(&self.named))?.database == self.database {
            true => Ok(()),
            false => Err(Error::Replaced(self.named.clone())),
        }
    }

    /// The files that the database consists of, there or not.
    pub fn files(&self) -> [PathBuf; 4] {
        SIDES.map(|suffix| beside(&self.database, suffix))
    }

    /// Device and inode of those that are there: by whatever name one is met, it is Calibre's.
    pub fn ids(&self) -> Vec<(u64, u64)> {
        let about = self.files().into_iter().flat_map(fs::metadata);
        about.map(|about| (about.dev(), about.ino())).collect()
    }

    /// Calls a file system that is reached over a network by its name: SQLite's locks cannot be
    /// trusted there, and Calibre's makers advise against it.
    pub fn network(&self) -> Option<&'static str> {
        // Magic numbers from linux/magic.h and statfs(2).
        match rustix::fs::statfs(&self.database).ok()?.f_type as u32 {
            0x6969 => Some("NFS"),
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
            0x6573_5546 => Some("FUSE"),
            0x0102_1997 => Some("9p"),
            0x00c3_6400 => Some("Ceph"),
            _ => None,
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(|error| Error::Folder(path.into(), error))?;
    // Collecting the components drops a slash at the end.
    Ok(absolute.components().collect())
}

/// Is there certainly nothing of this name?
fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The path of a file beside a database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
