//! Is Calibre at work in this very library? Its programs hold a socket per user, whichever library they
//! have open; so who holds it is looked at, and every other program that has metadata.db open counts as
//! well: a Calibre in a container has its sockets elsewhere. A holder that cannot be looked into counts,
//! and so does one that was started with this library: its server opens a library when it is first asked.
//!
//! The socket's name: `calibre-singleinstance-<user>-db`, abstract (calibre/utils/lock.py).

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use calibre_list::Library;

/// Who has the library open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calibre {
    /// Nobody.
    Away,
    /// Somebody has, or may have; who.
    Here(String),
}

/// Device and inode.
type Id = (u64, u64);

/// What a descriptor leads to, and which file that is, where it is one.
type Descriptor = (PathBuf, Option<Id>);

/// A process that could be looked into, or not.
struct Process {
    pid: u32,
    /// Nothing where we may not know.
    open: Option<Vec<Descriptor>>,
    command: String,
    /// Is it a program of Calibre's that was started with this library?
    meant: bool,
}

/// Looks through all processes.
pub fn look(library: &Library) -> Calibre {
    let id = |path: &Path| {
        let seen = fs::metadata(path).ok()?;
        Some((seen.dev(), seen.ino()))
    };
    let files = library.ids();
    let found = (|| {
        let before = sockets()?;
        let processes = processes(id(&library.root)).map_err(|error| format!("/proc: {error}"))?;
        Ok((still_there(before, &sockets()?), processes))
    })();
    match found {
        Ok((sockets, processes)) => judge(&files, &sockets, &processes),
        Err(why) => Calibre::Here(why),
    }
}

/// The sockets whose holders were there to be found: those that went meanwhile ended with theirs.
fn still_there(mut before: Vec<String>, after: &[String]) -> Vec<String> {
    before.retain(|socket| after.contains(socket));
    before
}

fn judge(files: &[Id], sockets: &[String], processes: &[Process]) -> Calibre {
    let who = |process: &Process| format!("{} (process {})", process.command, process.pid);
    let mut unseen: Vec<&String> = sockets.iter().collect();
    for process in processes {
        let Some(open) = &process.open else {
            if process.command.contains("calibre") {
                return Calibre::Here(format!("{}, which cannot be looked into", who(process)));
            }
            continue;
        };
        if process.meant {
            return Calibre::Here(format!("{} was started with it", who(process)));
        }
        if open
            .iter()
            .any(|(_, id)| id.is_some_and(|id| files.contains(&id)))
        {
            return Calibre::Here(format!("{} has metadata.db open", who(process)));
        }
        unseen.retain(|socket| !open.iter().any(|(to, _)| to.as_os_str() == socket.as_str()));
    }
    match unseen.is_empty() {
        true => Calibre::Away,
        false => Calibre::Here("a Calibre whose process cannot be looked into".into()),
    }
}

/// The sockets of Calibre's programs, as descriptors name them.
fn sockets() -> Result<Vec<String>, String> {
    match fs::read_to_string("/proc/net/unix") {
        Ok(table) => Ok(of_calibre(&table)),
        Err(error) => Err(format!("/proc/net/unix: {error}")),
    }
}

fn of_calibre(table: &str) -> Vec<String> {
    let socket = |line: &str| {
        let mut columns = line.split_whitespace().skip(6);
        let (inode, name) = (columns.next()?, columns.next()?);
        let user = name.strip_prefix("@calibre-singleinstance-")?;
        user.strip_suffix("-db")?;
        Some(format!("socket:[{inode}]"))
    };
    table.lines().filter_map(socket).collect()
}

fn processes(library: Option<Id>) -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = pid.filter(|&pid| pid != own) else {
            continue;
        };
        let Ok(command) = fs::read(entry.path().join("cmdline")) else {
            // It has ended.
            continue;
        };
        let words: Vec<&[u8]> = command.split(|&byte| byte == 0).collect();
        let first = words.iter().take(2);
        let shown: Vec<_> = first.map(|word| String::from_utf8_lossy(word)).collect();
        let named = |word: &&[u8]| library.is_some() && place(&entry.path(), word) == library;
        processes.push(Process {
            pid,
            open: descriptors(&entry.path().join("fd")),
            command: shown.join(" ").trim().to_string(),
            meant: words.iter().take(2).any(is_program) && words.iter().any(named),
        });
    }
    Ok(processes)
}

/// Is this, the program or the script that it runs, one of Calibre's that open libraries?
fn is_program(word: &&[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [
        b"calibre",
        b"calibre-server",
        b"calibredb",
        b"calibre-debug",
    ];
    let name = word.rsplit(|&byte| byte == b'/').next();
    name.is_some_and(|name| NAMES.contains(&name))
}

/// What a word of a process's command line leads to, as that process sees it: `/books`, `books` or
/// `--with-library=/books`.
fn place(process: &Path, word: &[u8]) -> Option<Id> {
    let value = word.splitn(2, |&byte| byte == b'=').last()?;
    let path = Path::new(OsStr::from_bytes(match word.starts_with(b"-") {
        true => value,
        false => word,
    }));
    let seen = match path.strip_prefix("/") {
        Ok(below) => fs::metadata(process.join("root").join(below)),
        Err(_) if path.as_os_str().is_empty() => return None,
        Err(_) => fs::metadata(process.join("cwd").join(path)),
    };
    seen.ok().map(|seen| (seen.dev(), seen.ino()))
}

fn descriptors(folder: &Path) -> Option<Vec<Descriptor>> {
    looked_into(list(folder))
}

/// What a listing comes to: a process that has ended has nothing open, and of one that cannot be looked
/// into nobody knows.
fn looked_into(listed: io::Result<Vec<Descriptor>>) -> Option<Vec<Descriptor>> {
    match listed {
        Ok(open) => Some(open),
        Err(error) if has_ended(&error) => Some(Vec::new()),
        Err(_) => None,
    }
}

fn has_ended(error: &io::Error) -> bool {
    let no_process = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(no_process)
}

fn list(folder: &Path) -> io::Result<Vec<Descriptor>> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder)? {
        let at = entry?.path();
        let to = match fs::read_link(&at) {
            // It was closed meanwhile.
            Err(error) if has_ended(&error) => continue,
            to => to?,
        };
        let id = match fs::metadata(&at) {
            Ok(seen) if to.is_absolute() => Some((seen.dev(), seen.ino())),
            Ok(_) => None,
            Err(error) if has_ended(&error) => None,
            Err(error) => return Err(error),
        };
        open.push((to, id));
    }
    Ok(open)
}

/// Looks, and with `wait` again until it is away. `say` hears once who is waited for.
pub fn away(library: &Library, wait: bool, mut say: impl FnMut(&str)) -> Calibre {
    let mut said = false;
    loop {
        let found = look(library);
        let Calibre::Here(who) = &found else {
            return found;
        };
        if !wait {
            return found;
        }
        if !said {
            say(who);
            said = true;
        }
        // Until a person closes it; whoever watches us knows how long that may take.
        let _waiting = wire::waiting::announce(who, Duration::MAX);
        if wire::stop::sleep(Duration::from_millis(500)) {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/x
0000000000000000: 00000002 00000000 00000000 0001 01 4712 @calibre-singleinstance-1000-db
0000000000000000: 00000002 00000000 00000000 0001 01 4713 @calibre-singleinstance-1000-GUI
0000000000000000: 00000003 00000000 00000000 0001 03 4714
";

    fn process(command: &str, open: Option<&[(&str, Option<Id>)]>) -> Process {
        let owned = |&(to, id): &(&str, Option<Id>)| (PathBuf::from(to), id);
        Process {
            pid: 1,
            open: open.map(|open| open.iter().map(owned).collect()),
            command: command.into(),
            meant: false,
        }
    }

    fn is_here(sockets: &[String], processes: &[Process]) -> bool {
        judge(&[(1, 2)], sockets, processes) != Calibre::Away
    }

    #[test]
    fn the_socket_alone_is_another_library_s_where_its_holder_says_so() {
        let sockets = of_calibre(TABLE);
        assert_eq!(sockets, ["socket:[4712]"]);
        let other = process(
            "calibre",
            Some(&[("socket:[4712]", None), ("/o/metadata.db", Some((1, 3)))]),
        );
        assert!(!is_here(&sockets, &[other]));
        let this = process(
            "calibre",
            Some(&[("socket:[4712]", None), ("/l/metadata.db", Some((1, 2)))]),
        );
        assert!(is_here(&sockets, &[this]));
    }

    #[test]
    fn a_calibre_that_ends_while_it_is_looked_for_is_none_that_hides() {
        let before = of_calibre(TABLE);
        assert!(!is_here(&still_there(before.clone(), &[]), &[]));
        assert!(is_here(&still_there(before.clone(), &before), &[]));
    }

    #[test]
    fn a_holder_that_cannot_be_looked_into_counts() {
        let sockets = of_calibre(TABLE);
        assert!(is_here(&sockets, &[process("init", None)]));
        assert!(is_here(&[], &[process("/usr/bin/calibre-server", None)]));
        assert!(!is_here(&[], &[process("init", None)]));
    }

    #[test]
    fn what_may_not_be_listed_is_not_taken_for_nothing_open() {
        let failed = |kind: io::ErrorKind| looked_into(Err(kind.into()));
        assert_eq!(failed(io::ErrorKind::NotFound), Some(Vec::new()));
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::OutOfMemory] {
            assert_eq!(failed(kind), None);
        }
        let ended = io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error());
        assert_eq!(looked_into(Err(ended)), Some(Vec::new()));
    }

    #[test]
    fn a_calibre_without_a_socket_that_is_seen_is_known_by_its_open_database() {
        let open = [("/somewhere/metadata.db", Some((1, 2)))];
        assert!(is_here(&[], &[process("python3", Some(&open))]));
    }
}
