//! Signals: asked from outside, in a container, blocked, ignored.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStderr},
    time::Duration,
};

use harness::wait_for;
use rustix::process::{Pid, Signal, kill_process};

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

/// Tools that wait for ever: for their input, or for a server that says nothing.
const TOOLS: [(&str, &[&str]); 6] = [
    ("hash-files", &[]),
    ("mbs-hashes", &[]),
    ("mbs-stats", &[]),
    ("mbs-upload", &[]),
    ("orphan-scan", &["--tracked", "-", "Calibre Library"]),
    (
        "orphan-rm",
        &["--library", "Calibre Library", "--store", "."],
    ),
];

struct Room {
    dir: Workdir,
    silent: TcpListener,
}

impl Room {
    fn new() -> Room {
        Room {
            dir: sample(),
            silent: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// Starts a tool by way of another program, and waits until it has taken over its signals.
    fn start(&self, way: &[&str], (tool, args): (&str, &[&str])) -> Waiting {
        let address = self.silent.local_addr().unwrap();
        let (first, rest) = way.split_first().unwrap();
        let run = self.dir.command(first).args(rest);
        let run = run.arg(tools().join(tool)).args(args);
        let mut child = run
            .env("MBS_DB", format!("postgresql://u@{address}/d"))
            .env("MBS_API", format!("http://{address}"))
            .env("MBS_WS", format!("ws://{address}/ws"))
            .env("MBS_USER", "admin")
            .env("MBS_PASSWORD", "admin")
            .spawn();
        let pid = wait_for("its signals taken over", DEADLINE, || {
            let pid = match children(child.id()).first() {
                Some(&inner) => inner,
                None => child.id(),
            };
            let name = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            (name.ends_with(tool) && catches(pid, Signal::TERM)).then_some(pid)
        });
        Waiting {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            pid: Pid::from_raw(pid as i32).unwrap(),
        }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = line.map_or(0, |line| u64::from_str_radix(line.trim(), 16).unwrap());
    caught >> (signal.as_raw() - 1) & 1 == 1
}

struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pid: Pid,
}

impl Waiting {
    fn send(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// It lives, and says how far it is.
    fn answers(&mut self) {
        self.send(Signal::USR1);
        let mut line = String::new();
        while !line.contains(" done, ") {
            line.clear();
            let length = self.stderr.read_line(&mut line).unwrap();
            assert!(length > 0, "it is gone");
        }
    }

    fn ended(mut self) -> std::process::ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

#[test]
fn as_the_first_process_of_a_container_every_tool_ends_by_its_signal_and_not_by_a_fault() {
    let room = Room::new();
    let container = [
        "unshare",
        "--user",
        "--map-root-user",
        "-pf",
        "--kill-child",
    ];
    for tool in TOOLS {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let waiting = room.start(&container, tool);
            waiting.send(signal);
            assert_eq!(waiting.ended().code(), Some(code), "{tool:?}");
        }
    }
}

#[test]
fn usr1_is_answered_by_every_tool_and_kills_none_and_hup_and_quit_end_them_in_order() {
    let room = Room::new();
    for tool in TOOLS {
        for signal in [Signal::HUP, Signal::QUIT] {
            let mut waiting = room.start(&["env"], tool);
            waiting.answers();
            waiting.answers();
            waiting.send(signal);
            let status = waiting.ended();
            assert_eq!(status.signal(), Some(signal.as_raw()), "{tool:?}");
            assert!(!status.core_dumped(), "{tool:?}");
        }
    }
}

#[test]
fn what_came_blocked_is_heeded_and_what_came_ignored_stays_ignored() {
    let room = Room::new();
    let script = "import os, signal, sys\n\
        signal.signal(signal.SIGINT, signal.SIG_IGN)\n\
        signal.signal(signal.SIGHUP, signal.SIG_IGN)\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    for tool in TOOLS {
        let mut waiting = room.start(&["python3", "-c", script], tool);
        waiting.send(Signal::INT);
        waiting.send(Signal::HUP);
        waiting.answers();
        waiting.send(Signal::TERM);
        assert_eq!(waiting.ended().signal(), Some(15), "{tool:?}");
    }
}
