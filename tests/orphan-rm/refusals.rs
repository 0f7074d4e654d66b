use std::{
    fs,
    io::{Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process::Child,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use harness::{
    cluster::{Cluster, Options},
    wait_for,
};

use crate::{
    stepper::DEADLINE,
    world::{World, only, stream},
};

/// Nothing was changed, not even a folder made.
fn untouched(world: &World) {
    assert!(world.lib("A/x.epub").exists());
    assert!(!world.work.join("library.orphans").exists());
}

#[test]
fn a_limit_is_met_before_the_first_removal() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"copy2"),
    ];
    for limit in [
        ["--max-count", "1"],
        ["--max-bytes", "8"],
        ["--max-percent", "10"],
    ] {
        let ran = world.rm(&findings).arg("--apply").args(limit).code(3);
        assert!(ran.stderr().contains(limit[0]), "{}", ran.report());
        untouched(&world);
        // A dry run says that it would be refused, and goes on.
        let ran = world.rm(&findings).args(limit).ok();
        assert!(
            ran.stderr().contains("--apply would be refused"),
            "{}",
            ran.report()
        );
    }
    let limits = ["--max-count", "2", "--max-bytes", "9"];
    world.rm(&findings).arg("--apply").args(limits).ok();
    assert_eq!(world.trash().len(), 2);
}

/// A removal of two files, `flag` given, that asks on a terminal, and what stands there.
fn asked(world: &World, flag: &str) -> (Child, Arc<Mutex<String>>) {
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"copy2"),
    ];
    world.work.write("findings", stream(&findings));
    let tool = "exec orphan-rm --library library --store data --max-percent 100 --apply \
                --confirm-threshold 2 FLAG <findings >removals";
    world.work.write("ask.sh", tool.replace("FLAG", flag));
    // What the caller ignores would be ignored on this terminal, too.
    let run = "exec env --default-signal=INT,TERM script -qefc 'exec sh ask.sh' /dev/null";
    let run = world.work.shell(run).env("MBS_DB", world.db());
    let mut child = run.spawn();
    let shown = Arc::new(Mutex::new(String::new()));
    let (mut output, all) = (child.stdout.take().unwrap(), Arc::clone(&shown));
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            *all.lock().unwrap() += &String::from_utf8_lossy(&piece[..length]);
        }
    });
    wait_for("the question", DEADLINE, || {
        let question = "Type DELETE 2 to go on: ";
        shown.lock().unwrap().ends_with(question).then_some(())
    });
    (child, shown)
}

/// A bar was drawn over it.
#[test]
fn the_question_stands_until_it_is_answered() {
    let world = World::new();
    let (mut child, shown) = asked(&world, "");
    let before = shown.lock().unwrap().clone();
    assert_eq!(before.matches("at most 2").count(), 1, "{before}");
    // Longer than a bar takes to be drawn again.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(*shown.lock().unwrap(), before);
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(b"DELETE 2\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.trash().len(), 2);
}

/// The first one did nothing, and what was typed next was taken for the answer.
#[test]
fn control_c_at_the_question_ends_it_and_nothing_is_changed() {
    let world = World::new();
    // --quiet hides no plan from whoever is asked.
    let (mut child, shown) = asked(&world, "--quiet");
    assert_eq!(shown.lock().unwrap().matches("at most 2").count(), 1);
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    // Once the terminal is gone, the tool is, too.
    let ended = wait_for("its end", DEADLINE, || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(130));
    untouched(&world);
}

#[test]
fn the_exact_number_must_be_typed_from_the_threshold_on() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"copy2"),
    ];
    let apply = ["--apply", "--confirm-threshold", "2"];
    // Without a terminal: `setsid` takes away the one that the tests may have.
    let alone = |args: &[&str]| {
        let setsid = world.work.command("setsid").arg("-w");
        let run = world.dressed(setsid.arg(harness::run::tool("orphan-rm")));
        let run = run.args(["--max-percent", "100"]).args(apply).args(args);
        run.stdin(stream(&findings))
    };
    let ran = alone(&[]).code(3);
    assert!(ran.stderr().contains("DELETE 2"), "{}", ran.report());
    for wrong in ["DELETE 1", "yes", "delete 2"] {
        alone(&["--confirm", wrong]).code(3);
    }
    untouched(&world);
    // One that is given must be right below the threshold as well.
    world
        .rm(&findings)
        .args(["--apply", "--confirm", "DELETE 3"])
        .code(3);
    untouched(&world);
    alone(&["--confirm", "DELETE 2"]).ok();
    assert_eq!(world.trash().len(), 2);
}

#[test]
fn on_a_terminal_the_number_is_typed() {
    for (typed, code, gone) in [("DELETE 2", 0, 2), ("DELETE 3", 3, 0), ("", 3, 0)] {
        let world = World::new();
        let findings = [
            world.orphan("A/x.epub", b"copy"),
            world.orphan("A/y.epub", b"copy2"),
        ];
        let file = world.work.write("findings", stream(&findings));
        let tool = harness::run::tool("orphan-rm");
        let (tool, file) = (tool.display(), file.display());
        let (library, data) = (world.work.join("library"), world.work.join("data"));
        let command = format!(
            "{tool} --library {} --store {} --max-percent 100 --apply --confirm-threshold 2 < {file}",
            library.display(),
            data.display()
        );
        let ran = world
            .work
            .command("script")
            .args(["-qec", &command, "/dev/null"])
            .env("MBS_DB", world.db())
            .stdin(format!("{typed}\n"))
            .run();
        assert_eq!(ran.status.code(), Some(code), "{}", ran.report());
        assert!(ran.stdout().contains("Type DELETE 2"), "{}", ran.report());
        assert_eq!(world.trash().len(), gone);
    }
}

#[test]
fn a_quarantine_in_the_library_or_on_another_file_system_is_refused() {
    let world = World::new();
    let finding = [world.orphan("A/x.epub", b"copy")];
    let ran = world
        .rm(&finding)
        .arg("--apply")
        .arg("--trash")
        .arg(world.lib("trash"))
        .code(3);
    assert!(ran.stderr().contains("in the library"), "{}", ran.report());
    let ran = world
        .rm(&finding)
        .args(["--apply", "--trash", "/dev/shm/orphan-rm-test"])
        .code(3);
    assert!(
        ran.stderr().contains("another file system"),
        "{}",
        ran.report()
    );
    untouched(&world);
    assert!(!world.lib("trash").exists());
    let journal = world.work.write("old.ndjson", "an older journal");
    world
        .rm(&finding)
        .args(["--apply", "--journal"])
        .arg(&journal)
        .code(3);
    assert_eq!(fs::read(journal).unwrap(), b"an older journal");
    assert!(world.lib("A/x.epub").exists());
}

#[test]
fn findings_of_another_library_are_refused() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let summary = r#"{"type":"summary","tool":"orphan-scan","records":1,"failed":0,"complete":true,"library":"another"}"#;
    let ran = world
        .base()
        .arg("--apply")
        .stdin(format!("{finding}\n{summary}\n"))
        .code(3);
    assert!(ran.stderr().contains("another library"), "{}", ran.report());
    untouched(&world);
}

#[test]
fn a_library_that_is_open_elsewhere_is_left_alone_or_waited_for() {
    let world = World::new();
    let finding = [world.orphan("A/x.epub", b"copy")];
    let open = fs::File::open(world.lib("metadata.db")).unwrap();
    let ran = world.rm(&finding).arg("--apply").code(3);
    assert!(
        ran.stderr().contains("--wait-for-calibre"),
        "{}",
        ran.report()
    );
    untouched(&world);
    let ran = world.rm(&finding).ok();
    assert_eq!(only(&ran)["outcome"], "would_remove", "{}", ran.report());
    let waiting = world
        .rm(&finding)
        .args(["--apply", "--wait-for-calibre"])
        .start();
    let pid = waiting.id();
    wait_for("the tool to wait", DEADLINE, || {
        // It sleeps in poll, and nothing is made.
        let state = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        (state.contains("poll") || state == "0").then_some(())
    });
    untouched(&world);
    drop(open);
    let ran = harness::run::Ran::of(waiting);
    assert_eq!(only(&ran)["outcome"], "removed", "{}", ran.report());
}

#[test]
fn calibre_s_socket_counts_only_with_this_library_or_a_holder_nobody_can_see() {
    let world = World::new();
    let finding = [world.orphan("A/x.epub", b"copy")];
    // Held by this process, which has no metadata.db open. A user number that no other test takes.
    let name = format!("calibre-singleinstance-{}-db", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let socket = UnixListener::bind_addr(&address).unwrap();
    let ran = world.rm(&finding).arg("--apply").ok();
    assert_eq!(only(&ran)["outcome"], "removed", "{}", ran.report());
    drop(socket);
}

/// It may still show a row that the primary has deleted.
#[test]
fn a_standby_proves_nothing() {
    let folder = harness::Workdir::new();
    let data = folder.join("postgres");
    let options = Options {
        keep_in: Some(data.clone()),
        conf: vec!["wal_level = replica".into()],
        ..Options::default()
    };
    let primary = Cluster::start_with(&options);
    let world = World::on(&primary);
    let findings = [world.orphan("A/x.epub", b"copy")];
    let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    fs::write(data.join("standby.signal"), "").unwrap();
    let pid = rustix::process::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::INT).unwrap();
    wait_for("the primary's end", DEADLINE, || {
        (!data.join("postmaster.pid").exists()).then_some(())
    });
    let standby = Cluster::start_with(&options);
    let run = world.rm(&findings).env("MBS_DB", standby.url("ebooks"));
    let ran = run.arg("--apply").code(3);
    assert!(ran.stderr().contains("standby"), "{}", ran.report());
    untouched(&world);
}
