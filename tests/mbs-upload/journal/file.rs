use super::*;
use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

#[test]
fn a_torn_last_line_is_cut_off() {
    let bench = Bench::new();
    let books = bench.books(3);
    bench.journaled(&books[..2]).args(["-j", "1"]).ok();
    let whole = fs::read(bench.journal()).unwrap();
    let half = whole.len() - 40;
    fs::write(bench.journal(), &whole[..half]).unwrap();
    let ran = bench.journaled(&books).ok();
    assert_eq!(outcome(&ran, &books[0])["by"], "journal");
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    let after = fs::read(bench.journal()).unwrap();
    let lines = 1 + whole[..half]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap();
    assert!(after.starts_with(&whole[..lines]));
    for line in after.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
        serde_json::from_slice::<Value>(line).unwrap();
    }
    bench.holds(&books);
}

#[test]
fn a_torn_header_and_the_zeros_of_a_power_cut_are_passed_by() {
    let bench = Bench::new();
    let books = bench.books(2);
    for start in [
        "{\"type\":\"jour",
        "{\"type\":\"journal\",\"tool\":\"mbs",
        "",
        "\0\0\0",
    ] {
        bench.dir.write("state/journal", start);
        let ran = bench.journaled(&books).ok();
        assert_eq!(ran.of_type("upload").len(), 2);
    }
    let mut file = OpenOptions::new()
        .append(true)
        .open(bench.journal())
        .unwrap();
    file.write_all(&[0; 100_000]).unwrap();
    let ran = bench.journaled(&books).ok();
    assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
}

#[test]
fn bug_c7_a_second_process_is_refused() {
    let bench = Bench::new();
    let books = bench.books(1);
    bench.fault(json!({"on": "POST /api/upload/check", "kind": "delay", "millis": 2000}));
    let mut command = bench.journaled(&[]).into_command();
    let mut first = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = first.stdin.take().unwrap();
    input.write_all(&lines(&books)).unwrap();
    harness::wait_for("the first run's header", DEADLINE, || {
        fs::metadata(bench.journal())
            .ok()
            .filter(|file| file.len() > 0)
    });
    bench
        .journaled(&books)
        .code(3)
        .one_line(&["state/journal", "another process"]);
    // A look at it is allowed.
    bench.journaled(&books).arg("--dry-run").ok();
    drop(input);
    let printed = BufReader::new(first.stdout.take().unwrap()).lines().count();
    assert_eq!((printed, first.wait().unwrap().code()), (2, Some(0)));
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let bench = Bench::new();
    let books = bench.books(1);
    let hashed = bench.dir.write("hashed.ndjson", lines(&books));
    let wrong = bench.tool(&books).arg("--journal").arg(&hashed).code(2);
    wrong.one_line(&["hashed.ndjson", "no journal"]);
    assert_eq!(fs::read(&hashed).unwrap(), lines(&books));
    bench
        .tool(&books)
        .args(["--journal", "/dev/full"])
        .code(2)
        .one_line(&["/dev/full"]);
    bench
        .tool(&books)
        .args(["--journal", "/dev/full", "--dry-run"])
        .code(2);
    bench
        .tool(&books)
        .arg("--journal")
        .arg(bench.dir.path())
        .code(2);
    bench.tool(&books).arg("--new-server").code(2);
    assert_eq!(bench.posts(), [0; 4]);
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_the_journal_whole() {
    let bench = Bench::new();
    let books = bench.books(40);
    bench.journaled(&books[..4]).ok();
    let before = fs::read(bench.journal()).unwrap();
    // A limit on the size of files is a disk that is full, also for root.
    let limit = before.len() / 1024 + 8;
    let input = bench.dir.write("input", lines(&books));
    let script = format!(
        "trap '' XFSZ; ulimit -f {limit}; exec mbs-upload --journal '{}' -j 4 --retry-wait 40ms <'{}'",
        bench.journal().display(),
        input.display()
    );
    let run = bench
        .dir
        .shell(&script)
        .env("MBS_API", bench.server.api())
        .env("MBS_WS", bench.server.ws())
        .env("MBS_USER", "user")
        .env("MBS_PASSWORD_FILE", bench.server.password_file("user"));
    let ran = run.code(255);
    let told = ran.stderr();
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("state/journal: write: File too large") && last.contains("not"),
        "{}",
        ran.report()
    );
    let after = fs::read(bench.journal()).unwrap();
    assert!(after.starts_with(&before) && after.ends_with(b"}\n"));
    assert!(
        after
            .split(|&b| b == b'\n')
            .all(|line| line.is_empty() || serde_json::from_slice::<Value>(line).is_ok())
    );
    // What was printed as done is in the journal; what was in flight is whole on the server.
    let done = ends(&bench.journal());
    let is_done = |r: &Value| {
        done.iter()
            .any(|end| end["sha1"] == r["sha1"] && end["outcome"] == "uploaded")
    };
    for record in ran.of_type("upload") {
        let printed = record["outcome"] != "failed";
        assert_eq!(printed, is_done(&record), "{record}");
    }
    assert_eq!(
        bench.number("select count(*) from ebook where id not in (select ebook_id from source)"),
        0
    );
    let rest = bench.journaled(&books).ok();
    assert!(counts(&rest)["uploaded"] > 10);
    bench.holds(&books);
}
