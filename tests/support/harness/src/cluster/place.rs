//! Where a cluster lives, and as whom its programs run.

use std::ffi::OsString;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io::Write};

use super::template;

/// The account that Debian's package makes; PostgreSQL refuses to run as root.
const ACCOUNT: &str = "postgres";

/// The mode bit by which a folder like /tmp is known.
const STICKY: u32 = 0o1000;

/// The folders of one cluster.
#[derive(Debug)]
pub(super) struct Place {
    /// Folder of the server's programs.
    bin: PathBuf,
    /// Removed in any case at the end: the socket and the log, and the data unless kept.
    pub(super) scratch: PathBuf,
    /// The data folder.
    pub(super) data: PathBuf,
}

impl Place {
    /// Makes the folders and, unless `keep_in` holds one already, an empty cluster in them.
    pub(super) fn make(keep_in: Option<&Path>) -> Result<Self, String> {
        let bin = programs()?;
        let scratch = scratch_folder()?;
        let data = keep_in.map_or_else(|| scratch.join("data"), Path::to_path_buf);
        let place = Self { bin, scratch, data };
        if let Err(reason) = place.fill(keep_in.is_some()) {
            let _ = fs::remove_dir_all(&place.scratch);
            return Err(reason);
        }
        Ok(place)
    }

    fn fill(&self, kept: bool) -> Result<(), String> {
        if is_root() {
            run(Command::new("chown")
                .arg(format!("{ACCOUNT}:"))
                .arg(&self.scratch))?;
        }
        if kept && !self.data.exists() {
            fs::create_dir_all(&self.data).map_err(|e| describe(&self.data, "create", &e))?;
        }
        if kept && is_root() {
            run(Command::new("chown")
                .arg(format!("{ACCOUNT}:"))
                .arg(&self.data))?;
            self.open_way()?;
        }
        if !self.data.join("PG_VERSION").exists() {
            template::fill(self)?;
        }
        if is_root() {
            run(Command::new("chown")
                .arg("-R")
                .arg(format!("{ACCOUNT}:"))
                .arg(&self.data))?;
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.data, private).map_err(|e| describe(&self.data, "chmod", &e))
    }

    /// Lets the server's account pass through to the data, where all that is in the way are folders
    /// below /tmp or its like: those of `mktemp -d` are closed to all but their owner.
    fn open_way(&self) -> Result<(), String> {
        let reachable = || {
            let mut test = Command::new("setpriv");
            test.args(drop_to_account())
                .args(["test", "-x"])
                .arg(&self.data);
            test.current_dir("/")
                .status()
                .is_ok_and(|status| status.success())
        };
        if reachable() {
            return Ok(());
        }
        let data = self
            .data
            .canonicalize()
            .map_err(|e| describe(&self.data, "find", &e))?;
        let mut closed = Vec::new();
        for folder in data.ancestors().skip(1) {
            let about = fs::metadata(folder).map_err(|e| describe(folder, "look", &e))?;
            let mode = about.permissions().mode();
            if mode & STICKY != 0 {
                for (folder, mode) in closed {
                    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o011));
                }
                break;
            }
            closed.push((folder, mode));
        }
        if reachable() {
            return Ok(());
        }
        let reason = "a folder above it is closed: choose one below /tmp or /var/tmp";
        Err(describe(&self.data, "enter as user postgres", &reason))
    }

    /// The command line of a PostgreSQL program, run as somebody it accepts, until its parent ends.
    pub(super) fn as_server(&self, program: &str) -> Vec<OsString> {
        let mut line: Vec<OsString> = ["setpriv", "--pdeathsig=QUIT"].map(Into::into).into();
        if is_root() {
            line.extend(drop_to_account().into_iter().map(OsString::from));
        }
        line.push(self.bin.join(program).into());
        line
    }

    /// What `postgres --version` prints, fit for a file name.
    pub(super) fn version(&self) -> Result<String, String> {
        let output = Command::new(self.bin.join("postgres"))
            .arg("--version")
            .output();
        let output = output.map_err(|e| describe(&self.bin, "postgres --version", &e))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text
            .split_whitespace()
            .nth(2)
            .unwrap_or("unknown")
            .replace('/', "-"))
    }

    /// Copies a file into the data folder, closed to all others, as a TLS key has to be.
    pub(super) fn take_in(&self, from: &Path, name: &str) -> Result<(), String> {
        let content = fs::read(from).map_err(|e| describe(from, "read", &e))?;
        self.write_bytes(name, &content)
    }

    /// Replaces a file of the data folder.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), String> {
        self.write_bytes(name, content.as_bytes())
    }

    fn write_bytes(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let path = self.data.join(name);
        let _ = fs::remove_file(&path);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let written = file.and_then(|mut file| file.write_all(content));
        written.map_err(|e| describe(&path, "write", &e))?;
        if is_root() {
            run(Command::new("chown").arg(format!("{ACCOUNT}:")).arg(&path))?;
        }
        Ok(())
    }

    /// Whether the server with this process id says in its pid file that it takes connections.
    pub(super) fn is_ready(&self, pid: &str) -> bool {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(pid) && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }
}

/// Runs a command to its end; an error holds what it said.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "postgresql: {name}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(e) => Err(format!("postgresql: {name}: start: {e}")),
    }
}

pub(super) fn describe(path: &Path, act: &str, reason: &dyn std::fmt::Display) -> String {
    format!("postgresql: {}: {act}: {reason}", path.display())
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn drop_to_account() -> [String; 3] {
    let account = |what: &str| format!("--{what}={ACCOUNT}");
    [account("reuid"), account("regid"), "--init-groups".into()]
}

/// The newest PostgreSQL of this machine: PATH first, then where Debian and Ubuntu put it.
fn programs() -> Result<PathBuf, String> {
    let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(dir) = env::split_paths(&path).find(complete) {
        return Ok(dir);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
    {
        let version: u32 = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        found.push((version, entry.path().join("bin")));
    }
    found.retain(|(_, dir)| complete(dir));
    found.sort();
    found.pop().map(|(_, dir)| dir).ok_or_else(|| {
        "postgresql: initdb: find: not in PATH nor /usr/lib/postgresql: install the package \
         postgresql (apt-get install postgresql)"
            .into()
    })
}

/// A new folder with a name short enough for a socket's path (107 bytes).
fn scratch_folder() -> Result<PathBuf, String> {
    let make = |parent: &Path| {
        tempfile::Builder::new()
            .prefix("mbs-pg-")
            .tempdir_in(parent)
    };
    let preferred = env::temp_dir();
    let parent = if preferred.as_os_str().len() > 60 {
        Path::new("/tmp")
    } else {
        &preferred
    };
    let folder = make(parent).map_err(|e| describe(parent, "create folder", &e))?;
    Ok(folder.keep())
}
