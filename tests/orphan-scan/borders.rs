//! Links, other libraries and file systems, unreadable folders, entries that are no files, names of any
//! bytes.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
};

use harness::run::Run;
use library::Book;

use crate::stage::{FIRST, SECOND, Stage, balance};

/// However few descriptors there are, none of the tracked files is called missing.
#[test]
fn too_few_descriptors_make_no_file_missing() {
    let stage = Stage::new();
    for i in 0..20 {
        stage.add(
            Book::new(format!("B{i}"))
                .by(&format!("A{i}"))
                .file("EPUB", "x"),
        );
    }
    stage.list();
    let tool = harness::run::tool("orphan-scan");
    let mut blind = 0;
    for limit in 6..40 {
        let script = format!(
            "ulimit -n {limit}; exec {} --tracked tracked lib",
            tool.display()
        );
        let ran = stage.dir.shell(&script).run();
        assert!(
            !ran.stdout().contains("\"class\":\"missing\""),
            "{}",
            ran.report()
        );
        if ran.status.code() == Some(1) {
            blind += 1;
            balance(&ran);
            assert_eq!(ran.summary()["complete"], false, "{}", ran.report());
        }
    }
    assert!(blind > 0, "the walk never lacked a descriptor");
}

/// The scan as a user who may not read everything: as root, `nobody`.
fn as_nobody(stage: &Stage, args: &str) -> Run {
    let tool = harness::run::tool("orphan-scan");
    let scan = format!("{} --tracked tracked {args} lib", tool.display());
    stage.dir.shell(&format!(
        "if [ $(id -u) = 0 ]; then chmod 755 . && exec setpriv --reuid 65534 --clear-groups {scan}; \
         else exec {scan}; fi"
    ))
}

#[test]
fn links_are_not_followed() {
    let stage = Stage::new();
    stage
        .dir
        .write("elsewhere/Carl/Third (3)/x.epub", "not in the library");
    stage.list();
    symlink(stage.dir.join("elsewhere/Carl"), stage.lib("Carl")).unwrap();
    symlink(stage.lib("."), stage.lib("Bob Writer/loop")).unwrap();
    symlink("nowhere", stage.lib("dangling.epub")).unwrap();
    symlink(stage.lib(FIRST), stage.lib("second name.epub")).unwrap();
    // A tracked file may be a link.
    let away = stage.dir.join("away.epub");
    fs::rename(stage.lib(SECOND), &away).unwrap();
    symlink(&away, stage.lib(SECOND)).unwrap();
    let classes = stage.classes(&stage.plain().ok());
    for link in [
        "Carl",
        "Bob Writer/loop",
        "dangling.epub",
        "second name.epub",
    ] {
        assert_eq!(classes[link], "foreign", "{link}");
    }
    assert_eq!(classes[SECOND], "tracked");
    assert_eq!(classes.len(), 7);
}

#[test]
fn a_tracked_link_is_no_duplicate() {
    let mut stage = Stage::new();
    stage.stored("B/second.epub", "second epub");
    let away = stage.dir.join("away.epub");
    fs::rename(stage.lib(SECOND), &away).unwrap();
    symlink(&away, stage.lib(SECOND)).unwrap();
    stage.list();
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings[SECOND]["class"], "unknown");
}

#[test]
fn a_link_in_the_place_of_a_folder_hides_no_tracked_file() {
    let stage = Stage::new();
    stage.list();
    fs::rename(stage.lib("Bob Writer"), stage.dir.join("moved")).unwrap();
    symlink(stage.dir.join("moved"), stage.lib("Bob Writer")).unwrap();
    let findings = stage.findings(&stage.plain().ok());
    assert_eq!(findings["Bob Writer"]["class"], "foreign");
    assert_eq!(findings[SECOND]["class"], "unknown");
    let why = findings[SECOND]["why"].as_str().unwrap();
    assert!(why.contains("it is there"), "{why}");
}

#[test]
fn another_library_within_is_not_entered() {
    let stage = Stage::new();
    stage.put("Inner/metadata.db", "another library's");
    stage.put("Inner/Dan/Fourth (1)/x.epub", "another library's book");
    stage.put(
        "Ann Author/metadata.db",
        "it begins at the same folder as one of our authors",
    );
    stage.put("Ann Author/Not Ours (7)/y.epub", "that one's");
    stage.list();
    let ran = stage.plain().ok();
    let classes = stage.classes(&ran);
    assert_eq!(classes["Inner"], "foreign");
    assert!(!classes.contains_key("Inner/metadata.db"));
    // Ours reaches into that one: what is tracked is, the rest is the other's.
    assert_eq!(classes[FIRST], "tracked");
    assert_eq!(classes["Ann Author/metadata.db"], "foreign");
    assert_eq!(classes["Ann Author/Not Ours (7)/y.epub"], "foreign");
    assert_eq!(ran.summary()["missing"], 0);
}

/// The log lies beside the link's target, and so do rows that are nowhere else.
#[test]
fn a_database_behind_a_link_is_read_with_its_log_and_is_the_library_s_own() {
    let stage = Stage::new();
    stage.sql("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    stage.add(Book::new("Third").by("Carl").file("EPUB", "in the log"));
    for side in ["", "-wal"] {
        let to = stage.put(&format!("A/books.sqlite{side}"), "");
        fs::copy(stage.lib(&format!("metadata.db{side}")), to).unwrap();
        fs::remove_file(stage.lib(&format!("metadata.db{side}"))).unwrap();
    }
    symlink("A/books.sqlite", stage.lib("metadata.db")).unwrap();
    let classes = stage.classes(&stage.list().plain().ok());
    assert_eq!(classes["Carl/Third (3)/Third - Carl.epub"], "tracked");
    // Nor is it an orphan because of its name.
    assert_eq!(classes.len(), 4, "{classes:?}");
}

#[test]
fn what_is_mounted_is_not_entered() {
    let stage = Stage::new();
    stage.list();
    stage.dir.write("disk/x.epub", "on another disk");
    stage.put("Bound/hidden.epub", "under the mount");
    stage.put("file.epub", "under a mounted file");
    let mounts = "mount --bind disk lib/Bound && mount --bind disk/x.epub lib/file.epub";
    let allowed = stage
        .dir
        .command("unshare")
        .args(["-rm", "bash", "-c", mounts])
        .run();
    if !allowed.status.success() {
        // Not every container may mount; the same code tells other devices.
        return;
    }
    let tool = harness::run::tool("orphan-scan");
    let script = format!("{mounts} && exec {} --tracked tracked lib", tool.display());
    let ran = stage
        .dir
        .command("unshare")
        .args(["-rm", "bash", "-c", &script])
        .ok();
    let findings = stage.findings(&ran);
    for path in ["Bound", "file.epub"] {
        assert_eq!(findings[path]["class"], "foreign", "{path}");
        let why = findings[path]["why"].as_str().unwrap();
        assert!(why.contains("mounted"), "{why}");
    }
    assert!(!findings.contains_key("Bound/x.epub"));
}

#[test]
fn what_may_not_be_read_is_told_and_its_rows_are_not_called_gone() {
    let stage = Stage::new();
    stage.list();
    stage.put("secret.epub", "not for everybody");
    stage.put("Hidden/x.epub", "a stray that nobody sees");
    stage.put("lost+found/x", "");
    let closed = ["secret.epub", "Hidden", "Bob Writer", "lost+found"];
    for name in closed {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        fs::set_permissions(stage.lib(name), mode).unwrap();
    }
    let ran = as_nobody(&stage, "").code(1);
    let findings = stage.findings(&ran);
    for name in ["secret.epub", "Hidden", "Bob Writer"] {
        assert_eq!(
            findings[name]["class"],
            "unreadable",
            "{name}\n{}",
            ran.report()
        );
        assert_eq!(findings[name]["removable"], "unknown");
    }
    assert_eq!(findings["lost+found"]["class"], "foreign");
    assert_eq!(findings[SECOND]["class"], "unknown");
    let why = findings[SECOND]["why"].as_str().unwrap();
    assert!(why.contains("not known"), "{why}");
    assert_eq!(ran.summary()["complete"], false);
    assert!(ran.stderr().contains("Hidden") && ran.stderr().contains("Permission denied"));
    let mode = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    for name in closed {
        fs::set_permissions(stage.lib(name), mode()).unwrap();
    }
}

#[test]
fn what_is_no_file_is_never_opened() {
    let mut stage = Stage::new();
    stage.stored("A/empty.epub", "");
    stage.list();
    stage.dir.command("mkfifo").arg(stage.lib("pipe.epub")).ok();
    let _socket = UnixListener::bind(stage.lib("socket.epub")).unwrap();
    let classes = stage.classes(&stage.full().ok());
    assert_eq!(classes["pipe.epub"], "foreign");
    assert_eq!(classes["socket.epub"], "foreign");
}

#[test]
fn names_may_be_of_any_bytes() {
    let stage = Stage::new();
    let names: [&[u8]; 5] = [
        b"caf\xe9.epub",
        b"new\nline.epub",
        b"\x1b[31m\"'<b>.epub",
        b" .epub",
        b"\xff\xfe",
    ];
    for name in names {
        fs::write(stage.lib("Bob Writer").join(OsStr::from_bytes(name)), name).unwrap();
    }
    stage.add(Book::new("Third").by("Carl").file("EPUB", "third"));
    stage.sql("UPDATE data SET name = CAST(x'e9ff' AS TEXT) WHERE book = 3");
    fs::rename(
        stage.lib("Carl/Third (3)/Third - Carl.epub"),
        stage
            .lib("Carl/Third (3)")
            .join(OsStr::from_bytes(b"\xe9\xff.epub")),
    )
    .unwrap();
    stage.list();
    let ran = stage.plain().ok();
    balance(&ran);
    let exact = |finding: &serde_json::Value| {
        let decode = |name: &str| {
            let run = stage.dir.command("base64").arg("-d");
            run.stdin(name.as_bytes()).ok().stdout
        };
        match finding["path_b64"].as_str() {
            Some(bytes) => decode(bytes),
            None => finding["path"].as_str().unwrap().into(),
        }
    };
    let findings = ran.of_type("finding");
    for name in names {
        let path = stage.lib("Bob Writer").join(OsStr::from_bytes(name));
        let found = findings
            .iter()
            .find(|f| Path::new(OsStr::from_bytes(&exact(f))) == path);
        assert_eq!(
            found.unwrap()["class"],
            "untracked",
            "{}",
            name.escape_ascii()
        );
    }
    let third = findings
        .iter()
        .find(|finding| finding["book_id"] == 3)
        .unwrap();
    assert_eq!(third["class"], "tracked");
    assert_eq!(third["row_b64"], third["path_b64"]);
    assert!(third["row_b64"].is_string());
}

#[test]
fn a_path_longer_than_the_system_takes_is_walked() {
    let stage = Stage::new();
    stage.list();
    let script = "cd lib; for i in $(seq 30); do n=$(printf 'x%.0s' $(seq 200)); mkdir $n; cd $n; \
                  done; echo deep >deep.epub";
    stage.dir.shell(script).ok();
    let ran = stage.plain().ok();
    let deep = ran.of_type("finding").into_iter().find(|finding| {
        finding["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("deep.epub"))
    });
    assert_eq!(deep.unwrap()["class"], "untracked");
    stage.dir.shell("rm -r lib/xxx*").ok();
}

#[test]
fn each_name_of_a_file_is_an_entry() {
    let stage = Stage::new();
    stage.list();
    fs::hard_link(stage.lib(FIRST), stage.lib("again.epub")).unwrap();
    let findings = stage.findings(&stage.plain().ok());
    let (first, again) = (&findings[FIRST], &findings["again.epub"]);
    assert_eq!((&first["nlink"], &again["nlink"]), (&2.into(), &2.into()));
    assert_eq!(first["inode"], again["inode"]);
    assert_eq!(
        (&first["class"], &again["class"]),
        (&"tracked".into(), &"tracked".into())
    );
}

#[test]
fn a_file_that_comes_after_the_list_is_no_stray() {
    let stage = Stage::new();
    let mut child = stage
        .dir
        .tool("orphan-scan")
        .args(["--tracked", "-", "lib"])
        .spawn();
    // It has read the database when it waits for the list.
    let waits = || {
        let fds = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let calls = fds.filter_map(|task| fs::read_to_string(task.ok()?.path().join("wchan")).ok());
        calls
            .into_iter()
            .any(|call| call.contains("poll"))
            .then_some(())
    };
    harness::wait_for(
        "the wait for the list",
        std::time::Duration::from_secs(20),
        waits,
    );
    stage.put("Zed/new.epub", "Calibre may have just added it");
    let list = stage.list_only().dir.shell("cat tracked").ok();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &list.stdout).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let new = text.lines().find(|line| line.contains("new.epub"));
    assert!(new.unwrap().contains("\"class\":\"unknown\""), "{text}");
}

#[test]
fn a_library_that_changes_during_the_walk_still_balances() {
    let stage = Stage::new();
    stage.list();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let folder = stage.lib("Churn");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0u64.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let below = folder.join(format!("{}", i % 50));
                fs::create_dir_all(&below).unwrap();
                fs::write(below.join(format!("{i}.epub")), "short-lived").unwrap();
                if i % 50 == 49 {
                    fs::remove_dir_all(&folder).unwrap();
                }
            }
        });
        for _ in 0..10 {
            let ran = stage.plain().run();
            stop_unless(&ran, &stop);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Checks a run, and lets the other thread end before it fails.
fn stop_unless(ran: &harness::run::Ran, stop: &std::sync::atomic::AtomicBool) {
    let checked = std::panic::catch_unwind(|| {
        assert_eq!(ran.status.code(), Some(0), "{}", ran.report());
        balance(ran);
        assert_eq!(ran.summary()["tracked"], 3);
    });
    if let Err(panic) = checked {
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        std::panic::resume_unwind(panic);
    }
}
