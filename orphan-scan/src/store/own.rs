//! Are stored bytes the server's own? Only such are a proof that a file of the library may go: not those
//! of the library itself or of what was put aside from it, by whatever name they are reached, nor those
//! that the server may not even see.

use std::{
    fs, io,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{Store, Target};

/// Whose bytes they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The server's own; where they are.
    Server(PathBuf),
    /// They go with the library, or are not there at all; why.
    NotServer(String),
    /// Nobody could tell; why.
    Unknown(String),
}

/// Whose bytes are no proof.
#[derive(Debug)]
pub struct Others {
    /// The library's folder, without links.
    library: PathBuf,
    /// The device of the library's folder.
    device: u64,
    /// Folders of files that were put aside from the library.
    quarantines: Vec<PathBuf>,
}

impl Others {
    /// The library in this folder, and what was put aside from it.
    ///
    /// # Errors
    /// The library's folder cannot be looked at.
    pub fn of(library: &Path, quarantines: Vec<PathBuf>) -> io::Result<Others> {
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        Ok(Others {
            device: fs::metadata(library)?.dev(),
            library: library.canonicalize()?,
            quarantines: quarantines.into_iter().map(real).collect(),
        })
    }

    /// Why what is at this place, a path without links, belongs to them.
    fn hold(&self, real: &Path, mounts: &Mounts) -> Option<String> {
        let below = |folder: &PathBuf| real.starts_with(folder);
        // Whatever name a run's folder has: its files are beside its journal.
        let put_aside = |folder: &Path| {
            let run = folder.parent().filter(|_| folder.ends_with("files"));
            run.is_some_and(|run| run.join("journal.ndjson").symlink_metadata().is_ok())
        };
        if self.quarantines.iter().any(below) || real.ancestors().any(put_aside) {
            Some("it is in a quarantine of the library".into())
        } else if below(&self.library) {
            Some("it is in the library itself".into())
        } else if mounts.share(real, &self.library) {
            Some("it is in the library itself, by another mount".into())
        } else {
            None
        }
    }
}

impl Store {
    /// Whose bytes a stored file has. Its place is one below the folder of books.
    pub fn owner(&self, place: &Path, others: &Others) -> Owner {
        let (at, sure) = match self.trace(place) {
            Ok((Target::File(at), sure)) => (at, sure),
            Ok((Target::Nothing(_), _)) => return Owner::NotServer("it is not there".into()),
            Ok((Target::Lost(_, why), _)) | Err(why) => return Owner::Unknown(why),
        };
        let looked =
            (|| Ok::<_, io::Error>((at.canonicalize()?, at.metadata()?, Mounts::read()?)))();
        let (real, seen, mounts) = match looked {
            Ok(looked) => looked,
            Err(error) => return Owner::Unknown(error.to_string()),
        };
        if let Some(why) = others.hold(&real, &mounts) {
            return Owner::NotServer(why);
        }
        let books = self.books.canonicalize();
        let books = books.as_deref().unwrap_or(&self.books);
        let is_library = |folder: &Path| folder.join("metadata.db").symlink_metadata().is_ok();
        let outside = real.ancestors().take_while(|at| !books.starts_with(at));
        // A mount of another kind (overlay, FUSE, NFS) has a device of its own.
        if outside.skip(1).any(is_library) {
            let why = "it is in a Calibre library, perhaps in this one by another mount";
            return Owner::Unknown(why.into());
        }
        let names = [place, &at, &real];
        if let Some(back) = names.into_iter().find_map(|name| self.led_elsewhere(name)) {
            let shown = back.display();
            return Owner::Unknown(format!(
                "by --path-map the server sees {shown} in its place"
            ));
        }
        if !sure || !self.may_hold(&real) {
            let shown = at.display();
            return Owner::Unknown(format!(
                "it is {shown}, outside of store, library and path maps, where the server may see \
                 another file, or none: name that folder by --path-map HOST=SERVER"
            ));
        }
        if seen.nlink() > 1 && seen.dev() == others.device {
            let why = "it has other names (hard links), and one may be in the library";
            return Owner::Unknown(why.into());
        }
        Owner::Server(real)
    }

    /// Is a place, a path without links, in the store, or in a folder that the user named?
    fn may_hold(&self, real: &Path) -> bool {
        let holds = |folder: &Path| {
            let folder = folder.canonicalize();
            folder.is_ok_and(|folder| real.starts_with(folder))
        };
        holds(&self.books) || self.map.hosts().any(holds)
    }

    /// Another file of ours that the server sees under the name that this one has for it.
    fn led_elsewhere(&self, path: &Path) -> Option<PathBuf> {
        let names = [self.map.to_server(path), Some(path.into())];
        let led = |name: PathBuf| {
            let back = self.map.to_host(&name)?;
            let same = match (back.canonicalize(), path.canonicalize()) {
                (Ok(back), Ok(path)) => back == path,
                _ => back == path,
            };
            (!same).then_some(back)
        };
        names.into_iter().flatten().find_map(led)
    }
}

/// A place on a file system, whatever it is mounted as: the file system, and the path there.
type Inner = (Vec<u8>, PathBuf);

/// What is mounted where.
#[derive(Debug)]
struct Mounts(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    id: u64,
    /// The mount on which it is.
    parent: u64,
    system: Vec<u8>,
    /// What of the file system is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

impl Mounts {
    fn read() -> io::Result<Mounts> {
        fs::read("/proc/self/mountinfo").map(|table| Mounts::parse(&table))
    }

    fn parse(table: &[u8]) -> Mounts {
        let mount = |line: &[u8]| {
            let mut fields = line.split(|&byte| byte == b' ');
            let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
            let (id, parent) = (number()?, number()?);
            let system = fields.next()?.to_vec();
            let (root, point) = (fields.next()?, fields.next()?);
            Some(Mount {
                id,
                parent,
                system,
                root: unescaped(root),
                point: unescaped(point),
            })
        };
        let lines = table.split(|&byte| byte == b'\n');
        Mounts(lines.filter_map(mount).collect())
    }

    /// Where a path without links is.
    fn inner(&self, real: &Path) -> Option<Inner> {
        let is_top = |mount: &&Mount| {
            let parents = self.0.iter().filter(|other| other.id != mount.id);
            !parents.into_iter().any(|other| other.id == mount.parent)
        };
        let mut mount = first_crossed(real, self.0.iter().filter(is_top))?;
        // From mount to mount, as the kernel goes: what is mounted later above a mount hides it.
        for _ in &self.0 {
            let on_it = |other: &&Mount| other.parent == mount.id && other.id != mount.id;
            match first_crossed(real, self.0.iter().filter(on_it)) {
                Some(next) => mount = next,
                None => break,
            }
        }
        let rest = real.strip_prefix(&mount.point).ok()?;
        Some((mount.system.clone(), mount.root.join(rest)))
    }

    /// Is a file also in this folder, or in what is mounted in it?
    fn share(&self, real: &Path, folder: &Path) -> bool {
        let Some((system, path)) = self.inner(real) else {
            return true;
        };
        let mounted = self
            .0
            .iter()
            .filter(|mount| mount.point.starts_with(folder));
        let mounted = mounted.map(|mount| (mount.system.clone(), mount.root.clone()));
        let mut areas = mounted.chain(self.inner(folder));
        areas.any(|(of, area)| of == system && path.starts_with(area))
    }
}

/// The mount that a path leads to first, of those on one other mount; of two at one point the later one.
fn first_crossed<'m>(real: &Path, mounts: impl Iterator<Item = &'m Mount>) -> Option<&'m Mount> {
    let depth = |mount: &&Mount| std::cmp::Reverse(mount.point.components().count());
    let held = mounts.filter(|mount| real.starts_with(&mount.point));
    held.max_by_key(depth)
}

/// A field of the table, in which blanks are written as `\040`.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while let Some(&byte) = field.get(at) {
        let octal = field.get(at + 1..at + 4).filter(|_| byte == b'\\');
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(byte));
        at += if code.is_some() { 4 } else { 1 };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 8:2 / /disk rw shared:1 - ext4 /dev/sda2 rw
31 22 8:2 /books/Ann\\040Author /srv/with\\040blank rw - ext4 /dev/sda2 rw
32 22 8:2 /other /srv/other rw - ext4 /dev/sda2 rw
33 30 8:3 /sub /disk/books/Mounted rw - ext4 /dev/sdb1 rw
34 22 8:3 / /srv/third rw - ext4 /dev/sdb1 rw
";

    #[test]
    fn a_file_of_the_library_is_one_by_any_mount() {
        let mounts = Mounts::parse(TABLE);
        let share = |path: &str| mounts.share(Path::new(path), Path::new("/disk/books"));
        for path in [
            "/disk/books/x",
            "/srv/with blank/x",
            "/disk/books/Mounted/x",
            "/srv/third/sub/x",
        ] {
            assert!(share(path), "{path}");
        }
        for path in ["/disk/other/x", "/srv/other/x", "/srv/third/x", "/books/x"] {
            assert!(!share(path), "{path}");
        }
        // What is hidden below a later mount is not what a path leads to.
        let hidden = b"35 22 8:4 / /srv/store rw - ext4 /dev/sdc1 rw
36 22 8:2 /books /srv rw - ext4 /dev/sda2 rw
37 36 8:5 / /srv/over rw - ext4 /dev/sdd1 rw
38 37 8:2 /books /srv/over rw - ext4 /dev/sda2 rw
";
        let mounts = Mounts::parse(&[TABLE, hidden].concat());
        for path in ["/srv/store/x", "/srv/x", "/srv/over/x"] {
            let share = mounts.share(Path::new(path), Path::new("/disk/books"));
            assert!(share, "{path}");
        }
        // Where nothing is known of mounts, nothing is known of the file.
        assert!(Mounts::parse(b"").share(Path::new("/a"), Path::new("/b")));
    }
}
