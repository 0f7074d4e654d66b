use std::{fs, path::PathBuf, thread, time::Duration};

use harness::run::{Ran, Run};
use serde_json::Value;

use crate::{
    ends::{many, number},
    stepper::Stepper,
    world::World,
};

fn with_journal(world: &World, findings: &[Value]) -> Run {
    world
        .rm(findings)
        .args(["--apply", "--confirm-threshold", "100000", "--batch", "2"])
        .arg("--journal")
        .arg(journal(world))
}

fn journal(world: &World) -> PathBuf {
    world.work.join("removals.ndjson")
}

fn restore(world: &World) -> Run {
    let run = world.work.tool("orphan-restore");
    run.arg(journal(world))
}

/// Killed when its third file had been moved, and the fourth one was proven.
fn killed(world: &World, findings: &[Value]) {
    let mut stepper = Stepper::new(world);
    let mut child = with_journal(world, findings).start();
    // Before a file is announced and after.
    stepper.after(&["age(source.xmin)"; 2 * 3 + 1]);
    child.kill().unwrap();
    child.wait().unwrap();
    stepper.go();
    assert_eq!(world.trash().len(), 3);
}

fn outcomes(ran: &Ran) -> Vec<(String, String)> {
    let removals = ran.of_type("removal");
    let text = |value: &Value| value.as_str().unwrap().to_string();
    removals
        .iter()
        .map(|removal| (text(&removal["outcome"]), text(&removal["why"])))
        .collect()
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_and_its_links_are_looked_at_again() {
    let world = World::new();
    let findings = many(&world, 6);
    killed(&world, &findings);
    // The server links to the file that no second look had come to, and to one that had its own.
    let at = |n: usize| PathBuf::from(findings[n]["path"].as_str().unwrap());
    for n in [0, 2] {
        world.link_only(&format!("Late/{n}.epub"), &at(n));
    }
    // The share of the library is that of the whole run, not that of its rest.
    let again = with_journal(&world, &findings).args(["--max-percent", "70"]);
    let ran = again.ok();
    let all = outcomes(&ran);
    assert_eq!(all.len(), 6, "{}", ran.report());
    let kept = |(outcome, why): &&(String, String)| outcome == "kept" && why.contains("put back");
    assert_eq!(all.iter().filter(kept).count(), 2, "{}", ran.report());
    let summary = ran.summary();
    assert_eq!(
        (&summary["removed"], &summary["kept"], &summary["records"]),
        (&4.into(), &2.into(), &6.into()),
        "{}",
        ran.report()
    );
    assert!(at(0).exists() && at(2).exists() && !at(1).exists());
    assert_eq!(world.trash().len(), 4);
    // Once more there is nothing left to be done, but all is told again.
    let ran = with_journal(&world, &findings).ok();
    assert_eq!(ran.summary()["removed"], 4, "{}", ran.report());
    restore(&world).ok();
    assert!(findings.iter().enumerate().all(|(n, _)| at(n).exists()));
    assert!(world.trash().is_empty());
}

/// The journal that nobody named is named by the next run.
#[test]
fn a_run_tells_of_an_earlier_one_that_did_not_come_to_its_end() {
    let world = World::new();
    let findings = many(&world, 6);
    let run = |n: usize| world.rm(&findings[n..=n]).arg("--apply");
    let whole = run(0).ok();
    assert!(!whole.stderr().contains("come to its end"));
    let mut stepper = Stepper::new(&world);
    let mut child = world.rm(&findings[1..4]).arg("--apply").start();
    stepper.after(&["age(source.xmin)"; 2 * 2 + 1]);
    child.kill().unwrap();
    child.wait().unwrap();
    stepper.go();
    let unfinished = world.journals()[1].display().to_string();
    let told = format!("--journal '{unfinished}' resumes it");
    let next = run(4).ok();
    assert_eq!(next.stderr().matches("come to its end").count(), 1);
    assert!(next.stderr().contains(&told), "{}", next.report());
    // As it says.
    let on = world.rm(&findings[1..4]).args(["--apply", "--journal"]);
    let on = on.arg(unfinished).ok();
    assert_eq!(on.summary()["removed"], 3, "{}", on.report());
    let last = run(5).ok();
    assert!(
        !last.stderr().contains("come to its end"),
        "{}",
        last.report()
    );
}

#[test]
fn what_was_not_looked_at_again_is_neither_purged_nor_lost() {
    let world = World::new();
    let findings = many(&world, 6);
    killed(&world, &findings);
    let third = findings[2]["path"].as_str().unwrap();
    world.link_only("Late/x.epub", third.as_ref());
    let purge = world.purger().arg(journal(&world));
    let ran = purge.args(["--older-than", "0"]).ok();
    let kept: Vec<Value> = ran
        .of_type("removal")
        .into_iter()
        .filter(|removal| removal["outcome"] == "kept")
        .collect();
    assert_eq!(kept.len(), 1, "{}", ran.report());
    assert_eq!(kept[0]["path"], third);
    assert!(kept[0]["why"].as_str().unwrap().contains("leads here"));
    restore(&world).ok();
    assert_eq!(fs::read(third).unwrap(), b"copy");
}

#[test]
fn a_store_that_is_away_when_a_run_is_gone_on_with_moves_nothing() {
    let world = World::new();
    let findings = many(&world, 6);
    killed(&world, &findings);
    fs::rename(world.books(""), world.work.join("away")).unwrap();
    fs::create_dir(world.books("")).unwrap();
    let ran = with_journal(&world, &findings).ok();
    let told = outcomes(&ran);
    let again = |(outcome, why): &&(String, String)| {
        outcome == "removed" && why.contains("not looked at again")
    };
    assert_eq!(told.iter().filter(again).count(), 3, "{}", ran.report());
    assert_eq!(ran.summary()["kept"], 3, "{}", ran.report());
    assert_eq!(world.trash().len(), 3);
}

#[test]
fn a_quarantine_that_is_away_is_not_taken_for_an_empty_one() {
    let world = World::new();
    let findings = many(&world, 6);
    killed(&world, &findings);
    let (there, away) = (world.work.join("library.orphans"), world.work.join("away"));
    fs::rename(&there, &away).unwrap();
    let before = fs::read(journal(&world)).unwrap();
    let ran = with_journal(&world, &findings).code(3);
    assert!(ran.stderr().contains("No such file"), "{}", ran.report());
    assert_eq!(fs::read(journal(&world)).unwrap(), before);
    assert!(!there.exists());
    fs::rename(&away, &there).unwrap();
    let ran = with_journal(&world, &findings).ok();
    assert_eq!(ran.summary()["removed"], 6, "{}", ran.report());
}

/// Killed again and again, gone on with each time by one journal: in the end all is as if it never was.
#[test]
fn a_run_killed_and_gone_on_with_many_times_comes_to_its_end() {
    let world = World::new();
    let kills = number("ORPHAN_RM_KILLS", 12);
    // So many that there is something left to do for each life.
    let count = 6 * kills;
    let findings = many(&world, count);
    let size = || fs::metadata(journal(&world)).map_or(0, |seen| seen.len());
    let mut killed = 0;
    for round in 0..kills {
        let before = size();
        let mut child = with_journal(&world, &findings).start();
        // Once it is at work, and then a few milliseconds more or less.
        for _ in 0..2000 {
            if child.try_wait().unwrap().is_some() || size() > before {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros((round as u64 * 7919) % 20_000));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(
        killed > kills / 2,
        "only {killed} of {kills} were killed at work"
    );
    let ran = with_journal(&world, &findings).ok();
    assert_eq!(ran.summary()["removed"], count, "{}", ran.report());
    assert_eq!(ran.of_type("removal").len(), count, "{}", ran.report());
    assert_eq!(world.trash().len(), count);
    let back = restore(&world).ok();
    assert_eq!(back.summary()["restored"], count, "{}", back.report());
    for finding in &findings {
        assert_eq!(
            fs::read(finding["path"].as_str().unwrap()).unwrap(),
            b"copy"
        );
    }
    assert!(world.trash().is_empty());
}

#[test]
fn a_first_line_that_was_cut_short_is_begun_again() {
    for cut in [
        "",
        "{\"type\":\"jour",
        "{\"type\":\"journal_run\",\"tool\":\"orp",
    ] {
        let world = World::new();
        let findings = many(&world, 1);
        fs::write(journal(&world), cut).unwrap();
        let ran = with_journal(&world, &findings).ok();
        assert_eq!(ran.summary()["removed"], 1, "{}", ran.report());
        restore(&world).ok();
        assert!(world.trash().is_empty());
    }
}

#[test]
fn a_journal_of_something_else_is_refused_and_says_what_to_do() {
    let world = World::new();
    let findings = many(&world, 2);
    with_journal(&world, &findings).ok();
    // Its quarantine is where it is.
    let other = world.work.join("other");
    let ran = with_journal(&world, &findings).arg("--trash").arg(other);
    let ran = ran.code(3);
    assert!(
        ran.stderr().contains("its quarantine is"),
        "{}",
        ran.report()
    );
    // Another library.
    let text = fs::read_to_string(journal(&world)).unwrap();
    let library = world.work.join("library").display().to_string();
    fs::write(journal(&world), text.replacen(&library, "/elsewhere", 1)).unwrap();
    let ran = with_journal(&world, &findings).code(3);
    assert!(ran.stderr().contains("/elsewhere"), "{}", ran.report());
    fs::write(journal(&world), text).unwrap();
    // What was put back is not a run to go on with.
    restore(&world).ok();
    let before = fs::read(journal(&world)).unwrap();
    let ran = with_journal(&world, &findings).code(3);
    for said in ["put back or purged", "give a new journal"] {
        assert!(ran.stderr().contains(said), "{}", ran.report());
    }
    assert_eq!(fs::read(journal(&world)).unwrap(), before);
    assert!(world.trash().is_empty());
}

#[test]
fn a_run_that_keeps_everything_leaves_no_folder() {
    let world = World::new();
    let findings = many(&world, 2);
    let orphans = world.work.join("library.orphans");
    world.link_only("Whole", &world.lib(""));
    let ran = world.rm(&findings).arg("--apply").ok();
    assert_eq!(ran.summary()["kept"], 2, "{}", ran.report());
    assert!(!orphans.exists());
    // A journal that was asked for stays, and serves the next time.
    with_journal(&world, &findings).ok();
    assert!(!orphans.exists() && journal(&world).exists());
    restore(&world).ok();
    fs::remove_file(world.books("Whole")).unwrap();
    let ran = with_journal(&world, &findings).ok();
    assert_eq!(ran.summary()["removed"], 2, "{}", ran.report());
    restore(&world).ok();
    assert!(world.trash().is_empty());
}

/// A journal that ends where the second of two files was announced, and both of the file's places.
fn announced(world: &World, findings: &[Value]) -> (String, PathBuf, PathBuf) {
    with_journal(world, findings).ok();
    let whole = fs::read_to_string(journal(world)).unwrap();
    let path = PathBuf::from(findings[1]["path"].as_str().unwrap());
    let head: Value = serde_json::from_str(whole.lines().next().unwrap()).unwrap();
    let trash = PathBuf::from(head["trash"].as_str().unwrap()).join("files");
    let in_trash = trash.join(path.strip_prefix(world.lib("")).unwrap());
    let text = whole.split_inclusive('\n').take(4).collect::<String>();
    assert!(text.ends_with("}\n") && text.matches("\"removing\"").count() == 2);
    (text, path, in_trash)
}

/// Between each two lines that a step takes, the file is on the one side or on the other.
#[test]
fn a_step_that_was_cut_short_is_settled_by_where_the_file_is() {
    let world = World::new();
    let findings = many(&world, 2);
    let (announced, path, in_trash) = announced(&world, &findings);
    let whole = fs::read_to_string(journal(&world)).unwrap();
    let returning = whole.clone()
        + "{\"type\":\"journal_move\",\"step\":\"returning\",\"seq\":2,\"at\":\"2026-01-01T00:00:00Z\"}\n";
    for (text, removed, step) in [
        (&announced, true, "removed"),
        (&announced, false, "not_removed"),
        (&returning, true, "removed"),
        (&returning, false, "returned"),
    ] {
        fs::write(journal(&world), text).unwrap();
        if !removed {
            fs::rename(&in_trash, &path).unwrap();
        }
        let ran = with_journal(&world, &findings).ok();
        assert_eq!(ran.summary()["removed"], 2, "{step}: {}", ran.report());
        let after = fs::read_to_string(journal(&world)).unwrap();
        let settled = after[text.len()..].lines().next().unwrap();
        assert!(
            settled.contains(&format!("\"step\":\"{step}\",\"seq\":2")),
            "{settled}"
        );
        assert_eq!(world.trash().len(), 2, "{step}");
    }
    restore(&world).ok();
    assert!(world.trash().is_empty() && path.exists());
}

/// What counts as settled is never put back.
#[test]
fn a_file_that_is_found_nowhere_after_a_kill_stays_open_until_it_is_found() {
    let world = World::new();
    let findings = many(&world, 2);
    let (announced, path, in_trash) = announced(&world, &findings);
    fs::write(journal(&world), &announced).unwrap();
    let elsewhere = world.work.join("elsewhere");
    fs::rename(&in_trash, &elsewhere).unwrap();
    let ran = with_journal(&world, &findings).run();
    let told = "resume: it is neither in the quarantine nor in its place";
    assert!(ran.stderr().contains(told), "{}", ran.report());
    let after = fs::read_to_string(journal(&world)).unwrap();
    let settled = ["\"removed\",\"seq\":2", "\"not_removed\",\"seq\":2"];
    let settled = settled.map(|step| after[announced.len()..].contains(step));
    assert_eq!(settled, [false, false], "{after}");
    fs::rename(&elsewhere, &in_trash).unwrap();
    restore(&world).ok();
    assert!(world.trash().is_empty() && path.exists());
}
