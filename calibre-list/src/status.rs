//! `--stat`: is the file there? Each book's folder is read once.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

/// The names in a book's folder; empty when there is no folder.
///
/// # Errors
/// The folder cannot be read, so nothing is known.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

/// What a file of this name is. `tracked` are the names of all formats of the book.
///
/// A file that only has the right extension is what Calibre would rename into place when it looks
/// for the missing one: the exact extension, no AppleDouble file (calibre.md, C1).
pub(crate) fn status(names: &[OsString], name: &[u8], tracked: &[Vec<u8>]) -> &'static str {
    let there = |wanted: &dyn Fn(&[u8]) -> bool| names.iter().any(|name| wanted(name.as_bytes()));
    if there(&|found| found == name) {
        return "ok";
    }
    let lower = lower(name);
    if there(&|found| self::lower(found) == lower && !tracked.iter().any(|other| other == found)) {
        return "case_mismatch";
    }
    let dot = name.iter().rposition(|byte| *byte == b'.').unwrap_or(0);
    let heals = |found: &[u8]| {
        found.ends_with(&name[dot..])
            && !found.starts_with(b"._")
            && !tracked.iter().any(|other| other == found)
    };
    if there(&heals) {
        "heal_candidate"
    } else {
        "missing"
    }
}

fn lower(name: &[u8]) -> Vec<u8> {
    match OsString::from_vec(name.to_vec()).to_str() {
        Some(text) => text.to_lowercase().into_bytes(),
        None => name.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_told_apart() {
        let names: Vec<OsString> = [
            "T - A.epub",
            "T - a.MOBI",
            "._T - A.pdf",
            "Old - A.azw3",
            "T - A.txt",
        ]
        .map(Into::into)
        .into();
        let tracked: Vec<Vec<u8>> = [
            "T - A.epub",
            "T - A.mobi",
            "T - A.pdf",
            "T - A.azw3",
            "U - A.txt",
            "T - A.txt",
        ]
        .map(|name| name.as_bytes().to_vec())
        .into();
        let is = |name: &str| status(&names, name.as_bytes(), &tracked);
        assert_eq!(is("T - A.epub"), "ok");
        assert_eq!(is("T - A.mobi"), "case_mismatch");
        assert_eq!(is("T - A.pdf"), "missing");
        assert_eq!(is("T - A.azw3"), "heal_candidate");
        // The only text file is another row's own.
        assert_eq!(is("U - A.txt"), "missing");
    }
}
