//! Libraries made by the real Calibre, from the e-books that come with it.
//!
//! Calibre's programs exclude each other by a lock that is the user's, not the library's. Where the
//! kernel allows it each run gets a network of its own, in which it finds nobody; elsewhere runs
//! take turns.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail};

/// Calibre's own short books, one file a language.
const GUIDES: &str = "/usr/share/calibre/quick_start";

/// Runs `calibredb` on a library and gives what it printed.
///
/// # Errors
/// Calibre is not installed, or says no.
pub fn calibredb<A: AsRef<OsStr>>(
    library: &Path,
    args: impl IntoIterator<Item = A>,
) -> Result<String> {
    let mut command = program("calibredb")?;
    let output = command.args(args).arg("--with-library").arg(library);
    let turn = turn()?;
    let output = output.output().context("calibredb")?;
    drop(turn);
    text_of(output)
}

/// A command that runs one of Calibre's programs, with settings of its own.
///
/// # Errors
/// Calibre is not installed.
pub fn program(name: &str) -> Result<Command> {
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    });
    let Some(path) = found else {
        bail!("{name} is not installed: apt install calibre");
    };
    let mut command = match alone() {
        Some(unshare) => {
            let mut command = Command::new("unshare");
            command.args(unshare).arg(path);
            command
        }
        None => Command::new(path),
    };
    let settings = cache()?.join("settings");
    fs::create_dir_all(&settings)?;
    command
        .env("CALIBRE_CONFIG_DIRECTORY", settings)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    for name in [
        "CALIBRE_OVERRIDE_DATABASE_PATH",
        "CALIBRE_LIBRARY_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    Ok(command)
}

/// An empty library made by Calibre in `root`; the first one is kept and copied afterwards.
///
/// # Errors
/// Calibre is not installed.
pub fn empty(root: &Path) -> Result<()> {
    let kept = cache()?.join("empty.db");
    if !kept.exists() {
        let fresh = fresh("empty")?;
        fs::create_dir_all(&fresh)?;
        calibredb(&fresh, ["list"])?;
        fs::rename(fresh.join("metadata.db"), &kept)?;
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(root)?;
    fs::copy(kept, root.join("metadata.db"))?;
    Ok(())
}

/// A name in the cache that nobody else uses, not even another test in this process.
fn fresh(stem: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok(cache()?.join(format!("{stem}-{}-{number}", std::process::id())))
}

/// Calibre's quick start guide in all languages that it comes in.
///
/// # Errors
/// Calibre is not installed.
pub fn guides() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(GUIDES).with_context(|| format!("{GUIDES}: apt install calibre"))?;
    let mut guides: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    guides.sort();
    Ok(guides)
}

/// A real book of another format (`mobi`, `azw3`, `fb2`, `txt`…): a guide converted by Calibre, kept
/// for the next run.
///
/// # Errors
/// Calibre is not installed or cannot make that format.
pub fn converted(guide: &Path, format: &str) -> Result<PathBuf> {
    let stem = guide.file_stem().unwrap_or_default().to_string_lossy();
    let kept = cache()?.join(format!("{stem}.{format}"));
    if !kept.exists() {
        let fresh = fresh(&stem)?.with_extension(format);
        text_of(program("ebook-convert")?.arg(guide).arg(&fresh).output()?)?;
        fs::rename(fresh, &kept)?;
    }
    Ok(kept)
}

/// A library of guides as a user would have it: several formats, covers, series, authors, tags,
/// identifiers, and columns of the user's own. The first one is kept and copied afterwards.
///
/// # Errors
/// Calibre is not installed.
pub fn library(root: &Path) -> Result<()> {
    // The number changes with what is made below.
    let kept = cache()?.join("guides-3");
    if !kept.exists() {
        let fresh = fresh("guides")?;
        make(&fresh)?;
        // Another test may have been quicker.
        if fs::rename(&fresh, &kept).is_err() {
            fs::remove_dir_all(&fresh)?;
        }
    }
    copy_tree(&kept, root)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn make(root: &Path) -> Result<()> {
    empty(root)?;
    let guides = guides()?;
    let Some(first) = guides.first() else {
        bail!("{GUIDES} is empty: apt install calibre")
    };
    let files = guides.iter().map(|guide| guide.as_os_str());
    calibredb(
        root,
        ["add", "--duplicates"]
            .map(OsStr::new)
            .into_iter()
            .chain(files),
    )?;
    for format in ["mobi", "fb2", "txt"] {
        let file = converted(first, format)?;
        calibredb(
            root,
            [OsStr::new("add_format"), OsStr::new("1"), file.as_os_str()],
        )?;
    }
    let columns = [
        ("words", "int"),
        ("score", "float"),
        ("read", "bool"),
        ("when", "datetime"),
        ("shelf", "text"),
        ("cycle", "series"),
        ("stars", "rating"),
        ("notes", "comments"),
    ];
    for (label, kind) in columns {
        calibredb(root, ["add_custom_column", label, label, kind])?;
    }
    calibredb(
        root,
        [
            "add_custom_column",
            "--is-multiple",
            "moods",
            "Moods",
            "text",
        ],
    )?;
    let composite = r#"{"composite_template": "{title}"}"#;
    calibredb(
        root,
        [
            "add_custom_column",
            "--display",
            composite,
            "made",
            "Made",
            "composite",
        ],
    )?;
    let first = [
        "authors:Zoë Last & First, Jr. & Zoë Last",
        "series:The Guides",
        "series_index:1.25",
        "tags:zebra,apple,Middle Tag",
        "identifiers:isbn:9780000000002,doi:10.1000/182",
        "languages:deu,eng",
        "publisher:Kovid & Co.",
        "rating:4",
        "#words:1234",
        "#score:2.5",
        "#read:true",
        "#when:2020-01-02T03:04:05+00:00",
        "#shelf:Left, upper",
        "#cycle:A Cycle",
        "#cycle_index:3.5",
        "#stars:3",
        "#notes:<p>Fine</p>",
        "#moods:dark,light",
    ];
    let second = [
        "title:Война и мир: \"{quoted}\" / slash",
        "pubdate:1869-03-01",
    ];
    for (book, fields) in [("1", first.as_slice()), ("2", second.as_slice())] {
        let fields = fields.iter().flat_map(|field| ["--field", *field]);
        calibredb(root, ["set_metadata", book].into_iter().chain(fields))?;
    }
    Ok(())
}

fn text_of(output: Output) -> Result<String> {
    if !output.status.success() {
        bail!(
            "{}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The arguments of `unshare` that give a command a network of its own, where that is allowed.
fn alone() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["-n", "--"], &["-r", "-n", "--"]];
    ways.into_iter().find(|way| {
        let mut command = Command::new("unshare");
        command.args(*way).arg("true").stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Where runs exclude each other, waits for this one's turn, which lasts until the file is closed.
fn turn() -> Result<Option<File>> {
    if alone().is_some() {
        return Ok(None);
    }
    let turn = File::create(cache()?.join("turn"))?;
    turn.lock()?;
    Ok(Some(turn))
}

/// What is kept between runs: below the target folder that this program was built into.
fn cache() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let cache = match target {
        Some(target) => target.join("tmp/library"),
        None => std::env::temp_dir().join("library-cache"),
    };
    fs::create_dir_all(&cache)?;
    Ok(cache)
}
