//! Killed at every single system call that writes, moves, links, unlinks or syncs: nothing is lost, nothing
//! is told to be, and what comes next brings all to its end.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use harness::run::{Ran, Run};
use serde_json::Value;

use crate::world::{World, files_below, stream};

/// All that changes a disk.
const CALLS: &str = "write,pwrite64,ftruncate,fsync,fdatasync,renameat2,linkat,unlink,unlinkat,mkdir,\
                     mkdirat,rmdir,utimensat";

/// Two orphans with a copy each on the server.
struct Stage {
    world: World,
    findings: Vec<Value>,
    /// Does the file system lack `renameat2`?
    links: bool,
}

impl Stage {
    fn new(links: bool) -> Stage {
        let world = World::new();
        let findings = vec![
            world.orphan("A/x.epub", b"copy"),
            world.orphan("B/y.epub", b"more"),
        ];
        Stage {
            world,
            findings,
            links,
        }
    }

    fn journal(&self) -> PathBuf {
        self.world.work.join("removals.ndjson")
    }

    /// The tool, killed as it enters the `nth` of these calls.
    fn killed(&self, tool: &str, nth: usize) -> Run {
        let calls = match self.links {
            true => CALLS.replace("renameat2,", ""),
            false => CALLS.into(),
        };
        let run = self.world.work.command("strace");
        // Not with --seccomp-bpf, which injects no signals.
        let run = run.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        let run = run.arg(format!("trace={calls},renameat2"));
        let run = run.args(["-e", &format!("inject={calls}:signal=KILL:when={nth}")]);
        let run = match self.links {
            true => run.args(["-e", "inject=renameat2:error=EINVAL"]),
            false => run,
        };
        run.arg(harness::run::tool(tool))
    }

    fn tool(&self, name: &str) -> Run {
        self.world.work.tool(name)
    }

    fn removal(&self, run: Run) -> Run {
        let run = self
            .world
            .dressed(run)
            .args(["--apply", "--max-percent", "100", "--journal"]);
        run.arg(self.journal()).stdin(stream(&self.findings))
    }

    fn restore(&self, run: Run) -> Run {
        run.arg(self.journal())
    }

    fn purge(&self, run: Run) -> Run {
        let run = self.world.armed(run).args(["--older-than", "0"]);
        run.arg(self.journal())
    }

    /// The files' contents, each in its place or in the quarantine, sorted; two names of one file are one.
    fn contents(&self) -> Vec<Vec<u8>> {
        let mut seen = std::collections::BTreeMap::new();
        for root in [self.world.lib(""), self.world.work.join("library.orphans")] {
            for (path, bytes) in files_below(&root) {
                if path.ends_with("x.epub") || path.ends_with("y.epub") {
                    seen.insert(fs::metadata(root.join(path)).unwrap().ino(), bytes);
                }
            }
        }
        let mut contents: Vec<_> = seen.into_values().collect();
        contents.sort();
        contents
    }

    fn all_there(&self, after: &str) {
        let contents = self.contents();
        assert_eq!(contents, [b"copy".to_vec(), b"more".to_vec()], "{after}");
    }

    /// Both are in their places again, and nowhere else.
    fn all_back(&self, after: &str) {
        for (name, bytes) in [("A/x.epub", b"copy"), ("B/y.epub", b"more")] {
            let path = self.world.lib(name);
            assert_eq!(fs::read(&path).unwrap(), bytes, "{after}");
            assert_eq!(fs::metadata(&path).unwrap().nlink(), 1, "{after}");
        }
        assert!(self.world.trash().is_empty(), "{after}");
    }

    /// As if nothing had ever been removed.
    fn clear(&self) {
        let _ = fs::remove_file(self.journal());
        let _ = fs::remove_dir_all(self.world.work.join("library.orphans"));
    }
}

/// Nothing failed, and nothing was said to be lost.
fn calm(ran: &Ran, after: &str) {
    let report = ran.report();
    assert_eq!(ran.status.code(), Some(0), "{after}: {report}");
    for alarm in ["neither", "another file", "cannot be read"] {
        assert!(!ran.stderr().contains(alarm), "{after}: {report}");
    }
    assert_eq!(ran.summary()["failed"], 0, "{after}: {report}");
}

/// Kills at each call, one after the other, until one run comes to its end. Gives how many there were.
fn at_each(mut one: impl FnMut(usize, &str) -> Ran) -> usize {
    for nth in 1.. {
        let ran = one(nth, &format!("killed at call {nth}"));
        if ran.status.success() {
            return nth - 1;
        }
        use std::os::unix::process::ExitStatusExt;
        let killed = ran.status.signal() == Some(9) || ran.status.code() == Some(137);
        assert!(killed, "{}", ran.report());
    }
    unreachable!()
}

fn removal_killed(links: bool) {
    let stage = Stage::new(links);
    if !stage.world.may_trace() {
        return;
    }
    let points = at_each(|nth, after| {
        let ran = stage.removal(stage.killed("orphan-rm", nth)).run();
        stage.all_there(after);
        // Gone on with, or undone at once.
        if nth % 2 == 0 {
            let on = stage.removal(stage.tool("orphan-rm")).run();
            calm(&on, after);
            assert_eq!(on.summary()["removed"], 2, "{after}: {}", on.report());
            assert_eq!(stage.world.trash().len(), 2, "{after}");
            stage.all_there(after);
        }
        let begun = fs::read(stage.journal()).is_ok_and(|bytes| bytes.contains(&b'\n'));
        if begun {
            calm(&stage.restore(stage.tool("orphan-restore")).run(), after);
        }
        stage.all_back(after);
        stage.clear();
        ran
    });
    assert!(points > 10, "{points}");
}

#[test]
fn a_removal_killed_at_any_call_is_gone_on_with_and_undone() {
    removal_killed(false);
}

#[test]
fn a_removal_by_links_killed_at_any_call_is_gone_on_with_and_undone() {
    removal_killed(true);
}

fn restore_killed(links: bool) {
    let stage = Stage::new(links);
    if !stage.world.may_trace() {
        return;
    }
    let points = at_each(|nth, after| {
        calm(&stage.removal(stage.tool("orphan-rm")).run(), after);
        let ran = stage.restore(stage.killed("orphan-restore", nth)).run();
        stage.all_there(after);
        let again = stage.restore(stage.tool("orphan-restore")).run();
        calm(&again, after);
        stage.all_back(after);
        stage.clear();
        ran
    });
    assert!(points > 5, "{points}");
}

#[test]
fn a_restore_killed_at_any_call_is_done_by_the_next() {
    restore_killed(false);
}

#[test]
fn a_restore_by_links_killed_at_any_call_is_done_by_the_next() {
    restore_killed(true);
}

#[test]
fn a_purge_killed_at_any_call_is_done_by_the_next_and_what_is_left_is_restored() {
    let mut stage = Stage::new(false);
    if !stage.world.may_trace() {
        return;
    }
    let names = ["A/x.epub", "B/y.epub"];
    let points = at_each(|nth, after| {
        for (name, bytes) in names.iter().zip([b"copy", b"more"]) {
            stage.world.stray(name, bytes);
        }
        let finding = |name: &&str| stage.world.finding(name, "untracked_on_server");
        stage.findings = names.iter().map(finding).collect();
        calm(&stage.removal(stage.tool("orphan-rm")).run(), after);
        let ran = stage.purge(stage.killed("orphan-purge", nth)).run();
        let left = stage.contents().len();
        if nth % 2 == 0 {
            let back = stage.restore(stage.tool("orphan-restore")).run();
            calm(&back, after);
            let restored = back.of_type("removal");
            let restored = restored.iter().filter(|end| end["outcome"] == "restored");
            assert_eq!(restored.count(), left, "{after}: {}", back.report());
            assert_eq!(stage.contents().len(), left, "{after}");
        } else {
            let again = stage.purge(stage.tool("orphan-purge")).run();
            calm(&again, after);
            assert_eq!(
                again.summary().get("kept"),
                None,
                "{after}: {}",
                again.report()
            );
        }
        assert!(stage.world.trash().is_empty(), "{after}");
        stage.clear();
        ran
    });
    assert!(points > 5, "{points}");
}
