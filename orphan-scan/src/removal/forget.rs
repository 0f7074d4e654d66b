//! The commands by which Calibre forgets a file that is gone. They are run later, by a person: each tests in
//! that moment that neither the file nor another one that Calibre would take for it is there, for
//! `calibredb remove_format` deletes what it finds.

use std::{
    fs, io,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{candidate::Candidate, proof::Class};

/// The file with the commands, in a run's folder.
pub const COMMANDS: &str = "remove_format.sh";

/// A file that Calibre has on record and that is gone, or about to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    /// The book.
    pub book_id: i64,
    /// The format in lower case.
    pub format: String,
    /// The folder that the file was in.
    pub folder: PathBuf,
}

impl Forget {
    /// What Calibre has on record of a file that is gone; nothing of one that nobody has on record.
    pub fn of(file: &Candidate) -> Option<Forget> {
        let tracked = file.class == Class::DuplicateOfServer;
        let known = file.book_id.zip(file.format.clone()).filter(|_| tracked);
        let (book_id, format) = known?;
        Some(Forget {
            book_id,
            format,
            folder: file.path.parent()?.into(),
        })
    }

    /// The command, in one line.
    pub fn command(&self, library: &Path) -> String {
        let (id, format) = (self.book_id, self.format.to_uppercase());
        if format.is_empty() || format.starts_with('-') || format.chars().any(char::is_control) {
            return format!(
                "# book {id}: its format cannot be given to calibredb; remove it in Calibre"
            );
        }
        // Calibre acts on the folder that the book has by then, which another title moves: so all that bear
        // its number are looked into, and where there is none find fails and the record stays.
        format!(
            "if there=$(LC_ALL=C find {} {}/*/*' ({id})'/. -mindepth 1 -maxdepth 1 -iname {} ! -name '._*') && \
             [ -z \"$there\" ]; then calibredb remove_format --with-library {} {id} {}; else echo {} >&2; fi",
            quoted(&self.folder.join(".")),
            quoted(library),
            word(&pattern(&self.format)),
            quoted(library),
            word(&format),
            word(&format!(
                "book {id}, {format}: not forgotten: such a file is there, or its folder cannot be looked into"
            )),
        )
    }
}

/// Adds commands to the file of a run.
///
/// # Errors
/// It cannot be written.
pub fn add(run: &Path, library: &Path, gone: &[Forget]) -> io::Result<()> {
    let commands: String = gone
        .iter()
        .map(|gone| gone.command(library) + "\n")
        .collect();
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(run.join(COMMANDS));
    file?.write_all(commands.as_bytes())
}

/// Takes back all commands of a run.
pub fn withdraw(run: &Path) {
    // Most often there is none.
    let _ = fs::remove_file(run.join(COMMANDS));
}

/// What `find` takes for a name with this extension.
fn pattern(format: &str) -> String {
    let mut pattern = String::from("*.");
    for letter in format.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// A text as a shell takes it.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A path as a shell takes it, whatever its bytes are.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    match path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control))
    {
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => {
            let octal = |byte: &u8| format!("\\{byte:03o}");
            let octal: String = bytes.iter().map(octal).collect();
            // A newline at the end would be taken off.
            let end = if bytes.ends_with(b"\n") { "/." } else { "" };
            format!("\"$(printf '{octal}{end}')\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    /// What calibredb is called with, where it is called.
    fn run(forget: &Forget, library: &Path, bin: &Path) -> Option<Vec<Vec<u8>>> {
        let script = "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"$0.called\"\n";
        let program = bin.join("calibredb");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(forget.command(library))
            .env("PATH", path);
        assert!(shell.output().unwrap().status.success());
        let called = bin.join("calibredb.called");
        let words = fs::read(&called).ok()?;
        fs::remove_file(called).unwrap();
        let words = words.split(|&byte| byte == 0).map(<[u8]>::to_vec);
        Some(words.filter(|word| !word.is_empty()).collect())
    }

    #[test]
    fn a_command_that_is_run_later_removes_no_file_that_came_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("lib/A/T (1)");
        let forget = Forget {
            book_id: 1,
            format: "epub".into(),
            folder: folder.clone(),
        };
        let called = || run(&forget, &dir.path().join("lib"), dir.path()).is_some();
        // A library that is not mounted, or a folder that was moved.
        assert!(!called());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("T - A.pdf"), "another format").unwrap();
        fs::write(folder.join("._T - A.epub"), "what Calibre does not take").unwrap();
        assert!(called());
        for name in [
            "T - A.epub",
            "new.epub",
            "new.EPUB",
            ".new.epub",
            "new.kepub.epub",
        ] {
            fs::write(folder.join(name), "a book").unwrap();
            assert!(!called(), "{name}");
            fs::remove_file(folder.join(name)).unwrap();
        }
        // The book has another title since, and what came lies in its new folder.
        let newer = dir.path().join("lib/A/Newer (1)");
        fs::create_dir_all(&newer).unwrap();
        assert!(called());
        fs::write(newer.join("Newer - A.epub"), "a book").unwrap();
        assert!(!called());
        fs::remove_dir_all(newer).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("new.epub")).unwrap();
        assert!(!called());
    }

    #[test]
    fn every_value_of_a_command_is_one_word_to_the_shell() {
        let dir = tempfile::tempdir().unwrap();
        for (name, format) in [
            (&b"plain"[..], "epub"),
            (b"it's $(touch pwned) `x` \"y\" \\", "epub;>x"),
            (b"caf\xe9\n", "e*[p]?\\b"),
            (b"%s \x1b[31m", "a'b c$d"),
            (b"-n", "\u{436}&"),
        ] {
            let library = dir.path().join(OsStr::from_bytes(name));
            let forget = Forget {
                book_id: 7,
                format: format.into(),
                folder: library.join("A/T (7)"),
            };
            fs::create_dir_all(&forget.folder).unwrap();
            let command = forget.command(&library);
            assert_eq!(command.lines().count(), 1, "{command}");
            let words = run(&forget, &library, dir.path()).unwrap();
            let upper = format.to_uppercase();
            assert_eq!(words[0], b"remove_format");
            let named = Path::new(OsStr::from_bytes(&words[2]));
            assert_eq!(
                named.canonicalize().unwrap(),
                library.canonicalize().unwrap()
            );
            assert_eq!(words[3..], [b"7".to_vec(), upper.into_bytes()], "{command}");
            fs::write(forget.folder.join(format!("x.{format}")), "").unwrap();
            assert_eq!(run(&forget, &library, dir.path()), None, "{command}");
        }
        for format in ["", "-r", "EPUB\n"] {
            let forget = Forget {
                book_id: 7,
                format: format.into(),
                folder: dir.path().into(),
            };
            assert_eq!(run(&forget, dir.path(), dir.path()), None, "{format:?}");
        }
    }
}
