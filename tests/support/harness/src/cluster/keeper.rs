//! The small shell under which a server runs. It stops the server and removes the folder when the
//! server is no longer needed, also after a `kill -9` of the tests. If the shell itself is killed,
//! the server gets a parent-death signal.
//!
//! The test cannot be that parent: the signal follows the thread that started the server, and a
//! test thread ends long before the process does.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::place::Place;

/// How long a start may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server given as arguments, prints its process id, and obeys one word on standard
/// input. `fast` and `crash` stop the server and leave the files; the end of the input stops it
/// too, by signal $2, and removes folder $1.
const SCRIPT: &str = r#"
scratch=$1 last=$2; shift 2
"$@" >>"$scratch/server.log" 2>&1 </dev/null &
pid=$!
echo $pid
word=; read -r word
case $word in
    fast) kill -INT $pid ;;
    crash) kill -QUIT $pid ;;
    *) kill -"$last" $pid ;;
esac 2>/dev/null
wait $pid
test -n "$word" || rm -rf "$scratch"
"#;

/// Runs the server in the same way until nobody has locked file $2 for as many seconds as $3 says.
/// It holds the lock while it stops the server, so that nobody begins to use it then.
const SHARED_SCRIPT: &str = r#"
scratch=$1 lock=$2 idle=$3; shift 3
"$@" >>"$scratch/server.log" 2>&1 </dev/null &
pid=$!
echo $pid
exec >/dev/null 9>>"$lock"
unused=0
while kill -0 $pid 2>/dev/null; do
    sleep 1
    if flock -n 9; then
        unused=$((unused + 1))
        test $unused -ge $idle && break
        flock -u 9
    else
        unused=0
    fi
done
kill -QUIT $pid 2>/dev/null
wait $pid
rm -rf "$scratch"
"#;

/// When a server ends.
#[derive(Clone, Debug)]
pub(super) enum Until {
    /// When this process lets go of it, by the signal `last`.
    Dropped {
        /// Name of the signal.
        last: &'static str,
    },
    /// When no process has locked the file for some seconds.
    Unused {
        /// The file.
        lock: PathBuf,
        /// The seconds.
        idle: u32,
    },
}

/// A keeper with its server.
#[derive(Debug)]
pub(super) struct Keeper(Child);

impl Keeper {
    /// Starts the server of this place and waits until it takes connections.
    pub(super) fn start(place: &Place, port: u16, until: &Until) -> Result<Self, String> {
        let log = place.scratch.join("server.log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new("sh");
        match until {
            Until::Dropped { last } => command
                .args(["-c", SCRIPT, "keeper"])
                .arg(&place.scratch)
                .arg(last),
            Until::Unused { lock, idle } => command
                .args(["-c", SHARED_SCRIPT, "keeper"])
                .arg(&place.scratch)
                .arg(lock)
                .arg(idle.to_string()),
        };
        command
            .args(place.as_server("postgres"))
            .arg("-D")
            .arg(&place.data);
        command.args(["-p", &port.to_string()]);
        // Its own process group: Ctrl-C must not reach the keeper before the pipe closes.
        command.current_dir(&place.scratch).process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = command.spawn();
        let mut keeper = Self(child.map_err(|e| format!("postgresql: sh: start: {e}"))?);
        let pid = keeper.server();
        let deadline = Instant::now() + PATIENCE;
        while !place.is_ready(&pid) {
            if !is_alive(&pid) || Instant::now() > deadline {
                keeper.end("crash\n");
                let said = fs::read_to_string(&log).unwrap_or_default();
                let said = said.trim().replace('\n', " | ");
                return Err(format!(
                    "postgresql: {}: start: {said}",
                    place.data.display()
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(keeper)
    }

    /// The server's process id.
    fn server(&mut self) -> String {
        let mut pid = String::new();
        if let Some(stdout) = self.0.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut pid);
        }
        pid.trim().to_owned()
    }

    /// Ends the server in the way that the word says, or by silence, and waits for it.
    pub(super) fn end(mut self, word: &str) {
        if let Some(mut stdin) = self.0.stdin.take() {
            let _ = stdin.write_all(word.as_bytes());
        }
        let _ = self.0.wait();
    }
}

/// Whether the process runs; one that ended and waits for its parent does not count.
pub(super) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default();
    !state.is_empty() && !state.starts_with(" Z")
}
