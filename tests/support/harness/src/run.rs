//! Runs the real binaries in a fresh folder; a failure shows command, folder, stdout and stderr.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A fresh folder that is gone after the test, and commands that run in it.
pub struct Workdir {
    folder: TempDir,
}

impl Workdir {
    /// A new empty folder.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Workdir {
        Workdir {
            folder: TempDir::with_prefix("tools-test-").expect("a temporary folder"),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path below it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file below it, its folders made as needed, and gives its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, content).expect("a file");
        path
    }

    /// A run of one of our tools, in this folder and with nothing of ours in the environment.
    pub fn tool(&self, name: &str) -> Run {
        self.command(tool(name))
    }

    /// A run of any program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Run {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("LC_ALL", "C.UTF-8");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["MBS_", "PG", "CALIBRE_", "STALL_", "NO_COLOR"]
                .iter()
                .any(|p| name.starts_with(p))
            {
                command.env_remove(name);
            }
        }
        Run {
            command,
            stdin: None,
        }
    }

    /// A shell pipeline with pipefail; our tools, and what `tests/setup` put into a virtual
    /// environment, come first on its PATH.
    pub fn shell(&self, script: &str) -> Run {
        let tools = tools();
        let extra = tools.with_file_name("venv").join("bin");
        let path = std::env::var("PATH").unwrap_or_default();
        self.command("bash")
            .args(["-eu", "-o", "pipefail", "-c", script])
            .env(
                "PATH",
                format!("{}:{path}:{}", tools.display(), extra.display()),
            )
    }
}

/// Where cargo puts our tools.
pub fn tools() -> PathBuf {
    // A test runs from target/<profile>/deps/.
    let test = std::env::current_exe().expect("the test's own path");
    test.parent()
        .and_then(Path::parent)
        .expect("target/<profile>")
        .to_path_buf()
}

/// The path of one of our tools.
///
/// # Panics
/// When it was not built: run the tests with `make test`, or build the workspace first.
pub fn tool(name: &str) -> PathBuf {
    let path = tools().join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build --workspace",
        path.display()
    );
    path
}

/// A command about to run.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Run {
    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Run {
        self.command.arg(arg);
        self
    }

    /// Several arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Run {
        self.command.args(args);
        self
    }

    /// One environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.command.env(name, value);
        self
    }

    /// What the command reads on stdin; nothing unless given.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Run {
        self.stdin = Some(bytes.into());
        self
    }

    /// The plain command, for tests that drive the process themselves.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Starts it with all three streams piped, for tests that signal or feed it.
    pub fn spawn(mut self) -> Child {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.command))
    }

    /// Starts it and feeds it its stdin, for tests that meet it half-way; [`Ran::of`] has the rest.
    pub fn start(self) -> Child {
        let input = self.stdin.clone().unwrap_or_default();
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().expect("a piped stdin");
        std::thread::spawn(move || {
            // A command that does not read its stdin to the end is no failure.
            let _ = stdin.write_all(&input);
        });
        child
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        let shown = format!("{:?} in {:?}", self.command, self.command.get_current_dir());
        let output = self.start().wait_with_output().expect("output");
        Ran {
            shown,
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Runs it and insists on an exit code.
    pub fn code(self, code: i32) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status.code(), Some(code), "{}", ran.report());
        ran
    }

    /// Runs it and insists on success.
    pub fn ok(self) -> Ran {
        self.code(0)
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to stdout.
    pub stdout: Vec<u8>,
    /// All that it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// What a started command comes to.
    pub fn of(child: Child) -> Ran {
        let shown = format!("process {}", child.id());
        let output = child.wait_with_output().expect("output");
        Ran {
            shown,
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Everything about it, for failure messages.
    pub fn report(&self) -> String {
        format!(
            "{}\n{}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.status,
            self.stdout(),
            self.stderr()
        )
    }

    /// stdout as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stderr as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Each line of stdout as JSON; a line that is none, or none of whole lines, fails the test.
    pub fn records(&self) -> Vec<Value> {
        let text = String::from_utf8(self.stdout.clone()).expect("stdout is UTF-8");
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "a torn last line\n{}",
            self.report()
        );
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The records of one type.
    pub fn of_type(&self, kind: &str) -> Vec<Value> {
        self.records()
            .into_iter()
            .filter(|record| record["type"] == kind)
            .collect()
    }

    /// The summary, which must be the last line and the only one.
    pub fn summary(&self) -> Value {
        let records = self.records();
        assert_eq!(self.of_type("summary").len(), 1, "{}", self.report());
        let last = records.last().cloned().unwrap_or_default();
        assert_eq!(last["type"], "summary", "{}", self.report());
        last
    }

    /// Insists on exactly one line on stderr that holds all these texts.
    pub fn one_line(&self, texts: &[&str]) -> &Ran {
        let stderr = self.stderr();
        assert_eq!(stderr.lines().count(), 1, "{}", self.report());
        for text in texts {
            assert!(
                stderr.contains(text),
                "{text:?} is not said\n{}",
                self.report()
            );
        }
        self
    }
}
