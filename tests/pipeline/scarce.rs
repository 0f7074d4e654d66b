//! Threads and memory that are not to be had.

use super::*;

/// A user who has no processes yet, so that a limit on their number is a limit on our threads; root has
/// none.
const USER: &str = "54321";

/// Ended within a minute, with a code that the README has, and with one line where it gave up.
fn ended_well(ran: &Ran, most: i32) {
    let code = ran.status.code();
    let well = code.is_some_and(|code| (0..=most).contains(&code) || code == 255);
    assert!(well, "{}", ran.report());
    let stderr = ran.stderr();
    assert!(!stderr.contains("RUST_BACKTRACE"), "{}", ran.report());
    if code == Some(255) {
        // Why it gave up, after what it warned of before.
        assert!(
            (1..=3).contains(&stderr.lines().count()),
            "{}",
            ran.report()
        );
    }
}

fn open_to_all(dir: &Workdir) {
    dir.shell("chmod -R a+rX .; mkdir -m 1777 tmp").ok();
}

#[test]
fn where_threads_cannot_be_started_fewer_do_it_or_one_line_says_so() {
    let dir = sample();
    dir.write("password", "admin\n");
    open_to_all(&dir);
    let server = Sandbox::start(Settings::default());
    let named = |address: &str| address.replace("127.0.0.1", "localhost");
    dir.shell("calibre-list 'Calibre Library' >list; tar -cf x.tar 'Calibre Library'")
        .ok();
    dir.shell("hash-files <list >hashed").run();
    let mut done = 0;
    for tool in [
        "calibre-list 'Calibre Library'",
        "hash-files --ordered <list",
        "hash-files --tar x.tar",
        "hash-files -j 100000 -r 'Calibre Library'",
        "orphan-scan --tracked hashed --partial 'Calibre Library'",
        "mbs-hashes",
        "mbs-stats",
        "mbs-upload --dry-run --default-language en --outage 0 --retries 0 <hashed",
        "mbs-upload -j 64 --default-language en --outage 0 --retries 0 <hashed",
    ] {
        for threads in [1, 2, 3, 4, 6, 9, 14] {
            let alone = format!("ulimit -u {threads}; exec timeout -s KILL 60 {tool}");
            let as_user = format!(
                "exec timeout -s KILL 60 setpriv --reuid {USER} --clear-groups bash -c \"ulimit -u {threads}; exec \\\"\\$@\\\"\" - {tool}"
            );
            let script = if rustix::process::geteuid().is_root() {
                as_user
            } else {
                alone
            };
            let ran = with_server(dir.shell(&script), &server)
                .env("TMPDIR", dir.join("tmp"))
                .env("HOME", dir.join("tmp"))
                .env("MBS_API", named(&server.api()))
                .env("MBS_DB", named(server.db_url()))
                .env("MBS_PASSWORD_FILE", dir.join("password"))
                .run();
            ended_well(&ran, 1);
            done += usize::from(ran.status.code() < Some(2));
        }
    }
    assert!(done > 20, "{done} runs only went to their end");
}

#[test]
fn where_there_is_no_memory_it_ends_with_one_line_and_255() {
    let dir = sample();
    dir.shell("calibre-list 'Calibre Library' >list").ok();
    dir.shell("hash-files <list >hashed").run();
    let mut done = 0;
    for tool in [
        "calibre-list 'Calibre Library'",
        "hash-files -j 100000 --io-threads 100000 <list",
        "orphan-scan --tracked hashed --partial 'Calibre Library'",
    ] {
        for kib in [40_000, 60_000, 90_000, 150_000, 300_000, 1_000_000] {
            let script = format!("ulimit -v {kib}; exec timeout -s KILL 60 {tool}");
            let ran = dir.shell(&script).run();
            ended_well(&ran, 1);
            done += usize::from(ran.status.code() < Some(2));
        }
    }
    assert!(done > 6, "{done} runs only went to their end");
}
