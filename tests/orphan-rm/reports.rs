use std::fs;

use serde_json::Value;

use crate::world::World;

const ALL: [&str; 6] = [
    "--report", "r.txt", "--report", "r.json", "--report", "r.html",
];

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.work.join(name)).unwrap()
}

fn json(world: &World) -> Value {
    serde_json::from_str(&read(world, "r.json")).unwrap()
}

/// Files and bytes of an outcome, or of an outcome for a reason.
fn outcome(report: &Value, name: &str) -> Option<(u64, u64)> {
    let all = report["outcomes"].as_array().unwrap();
    let found = all.iter().find(|outcome| outcome["name"] == name)?;
    Some((
        found["files"].as_u64().unwrap(),
        found["bytes"].as_u64().unwrap(),
    ))
}

#[test]
fn the_report_tells_what_went_what_stayed_and_why_and_how_to_undo_it() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"a longer copy"),
        world.orphan("B/linked.epub", b"linked here"),
        world.orphan("B/rotten.epub", b"rotten"),
        world.orphan("B/gone.epub", b"gone"),
        world.orphan("C/gone, too.epub", b"gone, too"),
    ];
    world.link_only("Other/x.epub", &world.lib("B/linked.epub"));
    fs::write(world.books("Stored/B-rotten.epub"), b"ROTTEN").unwrap();
    world.sql("delete from source where location like 'Stored/%gone%'");

    world.rm(&findings).args(ALL).ok();
    let dry = json(&world);
    assert_eq!(outcome(&dry, "would_remove"), Some((2, 17)), "{dry:#}");
    assert!(read(&world, "r.txt").contains("nothing was changed"));

    let ran = world.rm(&findings).arg("--apply").args(ALL).ok();
    let report = json(&world);
    assert_eq!(report["complete"], true, "{report:#}");
    assert_eq!(outcome(&report, "removed"), Some((2, 17)), "{report:#}");
    assert_eq!(outcome(&report, "kept"), Some((4, 30)), "{report:#}");
    for (reason, sum) in [
        ("kept: the server has no row of it", (2, 13)),
        ("kept: the server has no copy of its own", (1, 6)),
        ("kept: a link of the store leads to it", (1, 11)),
    ] {
        assert_eq!(outcome(&report, reason), Some(sum), "{reason}: {report:#}");
    }
    // The reasons of an outcome come to the outcome, and all outcomes to all files.
    let summary = ran.summary();
    assert_eq!(
        (&summary["removed"], &summary["kept"]),
        (&2.into(), &4.into())
    );
    assert_eq!(
        (&report["files"], &report["bytes"]),
        (&6.into(), &47.into())
    );

    let journal = world.journals()[0].display().to_string();
    for name in ["r.txt", "r.json", "r.html"] {
        let text = read(&world, name).replace("&#39;", "'");
        for said in [
            &journal,
            &format!("orphan-restore '{journal}'"),
            "orphan-purge frees the space",
        ] {
            assert!(text.contains(said), "{name}: {said}\n{text}");
        }
    }
    assert!(read(&world, "r.txt").contains("A/x.epub"), "samples");

    // The command that it names undoes the run, and has its own report.
    world
        .work
        .shell(&format!("orphan-restore '{journal}' --report r.json"))
        .ok();
    assert_eq!(outcome(&json(&world), "restored"), Some((2, 17)));
    assert!(world.trash().is_empty());
}

#[test]
fn the_report_of_a_purge_tells_what_is_free_and_what_is_kept() {
    let world = World::new();
    let sole = world.stray("A/sole.epub", b"sole copy");
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.finding(&sole, "untracked"),
    ];
    let classes = ["--classes", "untracked_on_server,untracked"];
    world.rm(&findings).arg("--apply").args(classes).ok();
    let purge = world.purger().arg(&world.journals()[0]);
    purge.args(["--older-than", "0"]).args(ALL).ok();
    let report = json(&world);
    assert_eq!(outcome(&report, "purged"), Some((1, 4)), "{report:#}");
    let kept = outcome(&report, "kept: it may be the only copy");
    assert_eq!(kept, Some((1, 9)), "{report:#}");
}

#[test]
fn a_run_that_gives_up_reports_what_it_did_until_then() {
    let world = World::new();
    let findings = [world.orphan("A/x.epub", b"copy")];
    let mut stepper = crate::stepper::Stepper::new(&world);
    let run = world.rm(&findings).args(["--apply", "--db-timeout", "1s"]);
    let child = run.args(ALL).start();
    stepper.until("age(source.xmin)");
    world.shut();
    let ran = harness::run::Ran::of(child);
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    let report = json(&world);
    assert_eq!(report["complete"], false, "{report:#}");
    assert_eq!(outcome(&report, "kept"), Some((1, 4)), "{report:#}");
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("the database does not answer"),
        "{report:#}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_first_removal() {
    let world = World::new();
    let findings = [world.orphan("A/x.epub", b"copy")];
    for (file, why) in [
        ("nowhere/r.txt", "nowhere/r.txt: write"),
        ("r.pdf", ".html"),
    ] {
        let run = world.rm(&findings).args(["--apply", "--report", file]);
        let ran = run.code(2);
        assert!(ran.stderr().contains(why), "{}", ran.report());
    }
    assert!(world.lib("A/x.epub").exists() && world.trash().is_empty());
}
