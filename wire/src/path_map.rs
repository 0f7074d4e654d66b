//! What a path on this machine is called where the server runs: in its container, or on another
//! machine with the same disk.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Component, Path, PathBuf},
};

/// One folder under both its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    host: PathBuf,
    server: PathBuf,
}

/// All folders that the server can see.
#[derive(Clone, Debug, Default)]
pub struct PathMap(Vec<Mapping>);

impl Mapping {
    /// From `HOST=SERVER`. A name may hold `=`, so the two are parted where the second one begins.
    ///
    /// # Errors
    /// One line of reason: they are not two absolute paths, or there is more than one way to part
    /// them.
    pub fn parse(text: OsString) -> Result<Mapping, String> {
        let bytes = text.into_vec();
        let mut parts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"=/"));
        let (Some(at), None) = (parts.next(), parts.next()) else {
            return Err("must be two absolute paths, HOST=SERVER".into());
        };
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.into()));
        let (host, server) = (path(&bytes[..at]), path(&bytes[at + 1..]));
        if !host.is_absolute() {
            return Err("must be two absolute paths, HOST=SERVER".into());
        }
        if climbs(&host) || climbs(&server) {
            return Err("a path with `..` in it says nothing of where it is".into());
        }
        Ok(Mapping { host, server })
    }
}

impl PathMap {
    /// Of these folders. Of those that hold a path, the innermost counts.
    pub fn new(mut folders: Vec<Mapping>) -> PathMap {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.host.components().count()));
        PathMap(folders)
    }

    /// Our names of all folders.
    pub fn hosts(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|folder| &*folder.host)
    }

    /// The server's name of a file of ours; nothing, where no folder holds it, or its path climbs.
    pub fn to_server(&self, path: &Path) -> Option<PathBuf> {
        if climbs(path) {
            return None;
        }
        self.0.iter().find_map(|folder| {
            let rest = path.strip_prefix(&folder.host).ok()?;
            Some(folder.server.join(rest))
        })
    }

    /// The folder by which [`PathMap::to_server`] names a file of ours.
    pub fn host_of(&self, path: &Path) -> Option<&Path> {
        let holding = |folder: &&Mapping| path.starts_with(&folder.host);
        self.0
            .iter()
            .find(holding)
            .map(|folder| folder.host.as_path())
    }

    /// Our name of a file of the server's; nothing, where no folder holds it, or its path climbs.
    pub fn to_host(&self, path: &Path) -> Option<PathBuf> {
        if climbs(path) {
            return None;
        }
        let holding = self.0.iter().filter_map(|folder| {
            let rest = path.strip_prefix(&folder.server).ok()?;
            Some((folder.server.components().count(), &folder.host, rest))
        });
        let (_, host, rest) = holding.max_by_key(|(length, ..)| *length)?;
        Some(host.join(rest))
    }
}

/// Does the path leave a folder again? Then, with symbolic links, its names do not tell where it is.
fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[&str]) -> PathMap {
        PathMap::new(
            pairs
                .iter()
                .map(|pair| Mapping::parse(pair.into()).unwrap())
                .collect(),
        )
    }

    #[test]
    fn the_innermost_folder_counts_and_ends_at_a_slash() {
        let map = map(&["/lib=/data/lib", "/lib/new/=/new", "/=/host"]);
        let server = |path: &str| map.to_server(Path::new(path)).unwrap();
        assert_eq!(server("/lib/a.epub"), Path::new("/data/lib/a.epub"));
        assert_eq!(server("/lib/new/a.epub"), Path::new("/new/a.epub"));
        assert_eq!(
            server("/lib/newer/a.epub"),
            Path::new("/data/lib/newer/a.epub")
        );
        assert_eq!(server("/library/a.epub"), Path::new("/host/library/a.epub"));
        assert_eq!(server("/lib/new"), Path::new("/new"));
    }

    #[test]
    fn the_way_back_goes_by_the_server_s_innermost_folder() {
        let map = map(&["/lib=/data/lib", "/new=/data/lib/new", "/x=/"]);
        let host = |path: &str| map.to_host(Path::new(path)).unwrap();
        assert_eq!(host("/data/lib/a.epub"), Path::new("/lib/a.epub"));
        assert_eq!(host("/data/lib/new/a.epub"), Path::new("/new/a.epub"));
        assert_eq!(host("/data/lib/newer/a"), Path::new("/lib/newer/a"));
        assert_eq!(host("/data/library/a"), Path::new("/x/data/library/a"));
        assert_eq!(map.to_host(Path::new("/data/lib/../a")), None);
    }

    #[test]
    fn what_no_folder_holds_or_what_climbs_has_no_name() {
        let map = map(&["/lib=/l"]);
        for path in ["/library/a", "/a", "/lib/../etc/passwd", "lib/a"] {
            assert_eq!(map.to_server(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn names_are_bytes_and_stay_as_they_are() {
        let mapping = |bytes: &[u8]| Mapping::parse(OsString::from_vec(bytes.into()));
        let map = PathMap::new(vec![mapping(b"/a=b\xff=/c=d").unwrap()]);
        let path = PathBuf::from(OsString::from_vec(b"/a=b\xff/x\n\x01\xfe".into()));
        let server = map.to_server(&path).unwrap();
        assert_eq!(server.into_os_string().into_vec(), b"/c=d/x\n\x01\xfe");
        for wrong in [
            &b"/a"[..],
            b"/a=b",
            b"a=/b",
            b"/a=/b=/c",
            b"=/b",
            b"/a/../b=/c",
            b"",
        ] {
            assert!(mapping(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
