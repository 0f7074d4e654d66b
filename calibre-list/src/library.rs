//! Which library: its folder, and the database that may lie elsewhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Error;

/// A library that is there.
#[derive(Clone, Debug)]
pub struct Library {
    /// The folder below which the books are, absolute. Symbolic links in it are left as they are,
    /// so that the paths of the records are those that the user knows.
    pub root: PathBuf,
    /// Its `metadata.db`, absolute.
    pub database: PathBuf,
}

impl Library {
    /// Finds a library.
    ///
    /// `root` is its folder, by default the one that `database` is in. `database` is where the
    /// database is if not in the folder, as with Calibre's CALIBRE_OVERRIDE_DATABASE_PATH.
    ///
    /// # Errors
    /// There is no such folder or no database.
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
        let database = match database {
            Some(given) => absolute(given)?,
            None => root.join("metadata.db"),
        };
        match fs::metadata(&database) {
            Ok(found) if found.is_file() => Ok(Library { root, database }),
            Ok(_) => Err(Error::NotSqlite(database)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if database.parent() == Some(&root) && database.ends_with("metadata.db") {
                    Err(Error::NoDatabase(root))
                } else {
                    Err(Error::Folder(database, error))
                }
            }
            Err(error) => Err(Error::Read(database, error)),
        }
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
