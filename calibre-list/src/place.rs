//! Where a book's file is. A name from the database goes into a path only when the path stays
//! below the library: what is tracked elsewhere must not be read, let alone be removed.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// The folder of a book.
///
/// # Errors
/// One line of reason why `path`, the column of `books`, is unsafe.
pub fn folder(root: &Path, path: &[u8]) -> Result<PathBuf, String> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    if path.contains(&0) {
        return Err(format!("the book's path {:?} holds a NUL", shown()));
    }
    let relative = Path::new(OsStr::from_bytes(path));
    if relative.is_absolute() {
        return Err(format!("the book's path {:?} is absolute", shown()));
    }
    let mut deep = false;
    for component in relative.components() {
        match component {
            Component::ParentDir => {
                return Err(format!("the book's path {:?} goes up with ..", shown()));
            }
            Component::Normal(_) => deep = true,
            _ => {}
        }
    }
    if !deep {
        return Err(format!("the book's path {:?} is empty", shown()));
    }
    Ok(root.join(relative))
}

/// The name of a format's file: the column `name`, a dot, the format in lower case.
///
/// # Errors
/// One line of reason why the name is unsafe.
pub fn file_name(name: &[u8], format: &[u8]) -> Result<Vec<u8>, String> {
    for (what, bytes) in [("name", name), ("format", format)] {
        let flaw = if bytes.is_empty() {
            "is empty"
        } else if bytes.contains(&0) {
            "holds a NUL"
        } else if bytes.contains(&b'/') {
            "holds a /"
        } else {
            continue;
        };
        let shown = String::from_utf8_lossy(bytes);
        return Err(format!("the file's {what} {shown:?} {flaw}"));
    }
    // Neither is empty, so this is never `.` or `..`.
    Ok([name, b".", lower(format).as_slice()].concat())
}

/// A format in lower case, as file names have it.
pub fn lower(format: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(format) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => format.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_below_the_library() {
        let root = Path::new("/library");
        for unsafe_path in [
            "",
            ".",
            "./",
            "/etc",
            "..",
            "a/..",
            "a/../../b",
            "../library/a",
            "a\0",
        ] {
            assert!(
                folder(root, unsafe_path.as_bytes()).is_err(),
                "{unsafe_path:?}"
            );
        }
        for safe in ["a", "a/b (1)", "a/..b", "a/b..", " ", "a\n/\\..\\b", "~"] {
            let place = folder(root, safe.as_bytes()).unwrap();
            assert_eq!(place, Path::new("/library").join(safe));
        }
    }

    #[test]
    fn a_file_name_is_one_component() {
        for (name, format) in [
            ("", "EPUB"),
            ("a", ""),
            ("a/b", "EPUB"),
            ("a", "E/PUB"),
            ("a\0", "X"),
        ] {
            assert!(file_name(name.as_bytes(), format.as_bytes()).is_err());
        }
        assert_eq!(
            file_name(b"a\xff", b"ORIGINAL_EPUB").unwrap(),
            b"a\xff.original_epub"
        );
        assert_eq!(file_name(b"..", b".").unwrap(), b"....");
        assert_eq!(file_name(b".", b"\xd0\x96").unwrap(), b"..\xd0\xb6");
    }
}
