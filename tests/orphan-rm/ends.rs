use std::{
    collections::BTreeSet, fs, os::unix::process::ExitStatusExt, process::Command, thread,
    time::Duration,
};

use harness::wait_for;
use serde_json::Value;

use crate::{
    stepper::{DEADLINE, Stepper},
    world::{World, files_below, stream},
};

pub(crate) fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Many small orphans of one content, of which the server has a copy.
pub(crate) fn many(world: &World, count: usize) -> Vec<Value> {
    world.stored("Stored/copy.epub", b"copy");
    (0..count)
        .map(|i| {
            let path = world.stray(&format!("A{}/x{i}.epub", i % 7), b"copy");
            world.finding(&path, "untracked_on_server")
        })
        .collect()
}

/// Every file is in its place or in the quarantine, whole, and what is in the quarantine is announced in
/// a journal.
fn all_there(world: &World, count: usize) {
    let library = files_below(&world.lib(""));
    let orphans = library.into_iter().filter(|(path, _)| path.contains("/x"));
    let trash = world.trash();
    let announced: BTreeSet<String> = world
        .journals()
        .iter()
        .flat_map(|journal| {
            let text = fs::read_to_string(journal).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let paths = whole
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            let relative = paths.filter_map(|line| Some(line["relative"].as_str()?.to_string()));
            relative.collect::<Vec<_>>()
        })
        .collect();
    for (path, _) in &trash {
        assert!(announced.contains(path), "{path} is in no journal");
    }
    let mut names: Vec<String> = Vec::new();
    for (path, bytes) in orphans.chain(trash) {
        assert_eq!(bytes, b"copy", "{path}");
        names.push(path);
    }
    names.sort();
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!((names.len(), different.len()), (count, count));
}

#[test]
fn a_run_killed_at_any_moment_loses_nothing() {
    let world = World::new();
    let count = 300;
    let findings = many(&world, count);
    let kills = number("ORPHAN_RM_KILLS", 40);
    let mut killed = 0;
    for round in 0..kills {
        // Where nothing is left to move away, or at times, what is away is put back, killed as well.
        let journals = world.journals();
        let undo = round % 4 == 3 || world.trash().len() > count * 3 / 4;
        let mut child = if undo && !journals.is_empty() {
            let newest = &journals[journals.len() - 1 - round % journals.len().min(3)];
            world.work.tool("orphan-restore").arg(newest).start()
        } else {
            let from = round * 13 % count;
            let some: Vec<Value> = findings[from..].iter().take(60).cloned().collect();
            let there = |finding: &Value| fs::metadata(finding["path"].as_str().unwrap()).is_ok();
            let some: Vec<Value> = some.into_iter().filter(there).collect();
            world.rm(&some).arg("--apply").start()
        };
        // Once it is at work: a line of its own in a journal, or a few milliseconds more or less.
        let sizes = || -> u64 {
            let journals = world.journals();
            journals
                .iter()
                .map(|journal| fs::metadata(journal).unwrap().len())
                .sum()
        };
        let before = sizes();
        let mut waited = 0;
        while child.try_wait().unwrap().is_none() && sizes() <= before + 500 && waited < 2000 {
            thread::sleep(Duration::from_millis(1));
            waited += 1;
        }
        thread::sleep(Duration::from_micros((round as u64 * 7919) % 12_000));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        if round % 10 == 9 {
            all_there(&world, count);
        }
    }
    assert!(
        killed > kills / 4,
        "only {killed} of {kills} were killed at work"
    );
    all_there(&world, count);
    for journal in world.journals() {
        let ran = world.work.tool("orphan-restore").arg(&journal).run();
        assert!(ran.status.success(), "{}", ran.report());
    }
    assert!(world.trash().is_empty());
    all_there(&world, count);
}

#[test]
fn a_signal_ends_after_the_file_at_hand() {
    let world = World::new();
    let findings = many(&world, 3);
    let mut stepper = Stepper::new(&world);
    let child = world.rm(&findings).arg("--apply").start();
    stepper.until("age(source.xmin)");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.signal(), Some(15), "{}", ran.report());
    assert_eq!(ran.summary()["complete"], false, "{}", ran.report());
    all_there(&world, 3);
}

#[test]
fn a_full_disk_of_the_journal_ends_the_run_before_the_next_move() {
    let world = World::new();
    let findings = many(&world, 40);
    // A file larger than the limit cannot be written; the tool must not die of the signal for it.
    let journal = world.work.join("journal.ndjson");
    let file = world.work.write("findings", stream(&findings));
    let mut stepper = Stepper::new(&world);
    let child = world
        .work
        .shell(&format!(
            "trap '' XFSZ; exec orphan-rm --library library --store data --apply \
             --max-percent 100 --journal {} < {}",
            journal.display(),
            file.display()
        ))
        .env("MBS_DB", world.db())
        .start();
    stepper.until("age(source.xmin)");
    let room = fs::metadata(&journal).unwrap().len() + 5000;
    let full = Command::new("prlimit")
        .arg(format!("--pid={}", child.id()))
        .arg(format!("--fsize={room}"))
        .status();
    assert!(full.unwrap().success());
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    assert!(
        ran.stderr().contains("journal.ndjson: write"),
        "{}",
        ran.report()
    );
    let text = fs::read_to_string(&journal).unwrap();
    let moved = world.trash().len();
    assert!(moved > 0 && moved < 40, "{moved}\n{}", ran.report());
    assert!(text.matches("\"removing\"").count() >= moved);
    let ran = world.work.tool("orphan-restore").arg(&journal).ok();
    assert_eq!(ran.summary()["restored"], moved, "{}", ran.report());
    assert!(world.trash().is_empty());
}

#[test]
fn a_reader_that_goes_away_ends_the_run_with_everything_journalled() {
    let world = World::new();
    let findings = many(&world, 30);
    let run = world.rm(&findings).args(["--apply", "--batch", "1"]);
    let mut child = run.start();
    drop(child.stdout.take());
    let mut stderr = child.stderr.take().unwrap();
    let status = wait_for("the end", DEADLINE, || child.try_wait().unwrap());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
    assert_eq!(status.code(), Some(255), "{text}");
    let journal = &world.journals()[0];
    let announced = fs::read_to_string(journal)
        .unwrap()
        .matches("\"step\":\"removed\"")
        .count();
    assert_eq!(world.trash().len(), announced);
    assert!(announced < 30, "all of them went");
}

#[test]
fn what_is_linked_meanwhile_is_put_back_even_if_nobody_reads() {
    let world = World::new();
    let findings = many(&world, 20);
    let mut stepper = Stepper::new(&world);
    let mut child = world.rm(&findings).arg("--apply").start();
    stepper.until("age(source.xmin)");
    drop(child.stdout.take());
    let last = findings[19]["path"].as_str().unwrap();
    world.link_only("Late/x.epub", last.as_ref());
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    assert!(fs::metadata(last).is_ok(), "{}", ran.report());
    assert_eq!(world.trash().len(), 19);
}

/// The batch ended with an error, and what it had moved was not looked at again.
#[test]
fn what_was_moved_before_an_error_is_looked_at_again() {
    let world = World::new();
    let first = many(&world, 1).remove(0);
    let path = first["path"].as_str().unwrap().to_string();
    // Said to be there many times over, so that there is much to tell in mid-batch.
    let findings = vec![first; 40];
    let mut stepper = Stepper::new(&world);
    let mut child = world
        .rm(&findings)
        .args(["--apply", "--max-percent", "100"])
        .start();
    stepper.until("age(source.xmin)");
    drop(child.stdout.take());
    world.link_only("Late/x.epub", path.as_ref());
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    let journal = fs::read_to_string(&world.journals()[0]).unwrap();
    assert!(journal.contains("\"removed\""), "{journal}");
    assert!(fs::metadata(&path).is_ok(), "{}", ran.report());
}

/// A file that a link leads to was left in the quarantine, for its way back could not be written down.
#[test]
fn what_is_linked_meanwhile_is_put_back_even_if_the_journal_is_full() {
    let world = World::new();
    let findings = many(&world, 2);
    let journal = world.work.join("journal.ndjson");
    let file = world.work.write("run.sh", "trap '' XFSZ; exec \"$@\"");
    let shell = world.work.command("sh").arg(file);
    let run = world.dressed(shell.arg(harness::run::tool("orphan-rm")));
    let run = run.args(["--apply", "--max-percent", "100", "--journal"]);
    let mut stepper = Stepper::new(&world);
    let child = run.arg(&journal).stdin(stream(&findings)).start();
    // The second one is announced, and nothing more finds room.
    stepper.after(&["age(source.xmin)", "age(source.xmin)", "age(source.xmin)"]);
    let full = Command::new("prlimit")
        .arg(format!("--pid={}", child.id()))
        .arg(format!("--fsize={}", fs::metadata(&journal).unwrap().len()))
        .status();
    assert!(full.unwrap().success());
    let first = findings[0]["path"].as_str().unwrap();
    assert!(!fs::exists(first).unwrap());
    world.link_only("Late/x.epub", first.as_ref());
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    assert!(
        ran.stderr().contains("journal.ndjson: write"),
        "{}",
        ran.report()
    );
    assert!(fs::exists(first).unwrap(), "{}", ran.report());
    let back = world.work.tool("orphan-restore").arg(&journal).ok();
    assert_eq!(back.summary()["restored"], 1, "{}", back.report());
    assert!(world.trash().is_empty());
}

#[test]
fn each_move_waits_until_the_journal_that_announces_it_is_on_disk() {
    let world = World::new();
    if !world.may_trace() {
        return;
    }
    let findings = many(&world, 5);
    let trace = world.work.join("trace");
    let traced = |tool| {
        let run = world.work.command("strace");
        let run = run.args(["--seccomp-bpf", "-f", "-y", "-qq", "-s", "200"]);
        let run = run.args(["-e", "trace=write,fdatasync,renameat2,unlinkat", "-o"]);
        run.arg(&trace).arg(harness::run::tool(tool))
    };
    let moves = || {
        let trace = fs::read_to_string(&trace).unwrap();
        let (mut moves, mut announced, mut lasting) = (0, false, false);
        for line in trace.lines() {
            let of_journal = line.contains("journal.ndjson>");
            if of_journal && line.contains(" write(") {
                let steps = ["removing", "returning", "restoring", "purging"];
                announced = steps.iter().any(|step| line.contains(step));
                lasting = false;
            } else if of_journal && line.contains(" fdatasync(") {
                lasting = true;
            } else if (line.contains(" renameat2(") || line.contains(" unlinkat("))
                && line.contains("\"x")
            {
                assert!(announced && lasting, "{line}\n{trace}");
                moves += 1;
            }
        }
        moves
    };
    let run = world.dressed(traced("orphan-rm")).stdin(stream(&findings));
    run.args(["--apply", "--max-percent", "100"]).ok();
    assert_eq!(moves(), 5);
    let journal = &world.journals()[0];
    traced("orphan-restore").arg(journal).ok();
    assert_eq!(moves(), 5);
    let run = world.dressed(traced("orphan-rm")).stdin(stream(&findings));
    let mut stepper = Stepper::new(&world);
    let child = run.args(["--apply", "--max-percent", "100"]).start();
    stepper.until("age(source.xmin)");
    let path = findings[0]["path"].as_str().unwrap();
    world.link_only("Late/x.epub", path.as_ref());
    stepper.go();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.summary()["removed"], 4, "{}", ran.report());
    assert_eq!(moves(), 6);
    let journals = world.journals();
    let second = journals.iter().find(|other| *other != journal).unwrap();
    let purge = world.armed(traced("orphan-purge"));
    let purge = purge.args(["--older-than", "0"]);
    let ran = purge.arg(second).ok();
    assert_eq!(ran.summary()["purged"], 4, "{}", ran.report());
    assert_eq!(moves(), 4);
}
