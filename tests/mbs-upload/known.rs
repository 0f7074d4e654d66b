use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command},
    time::Instant,
};

use super::*;

const CAUGHT_UP: &str =
    "{\"type\":\"caught_up\",\"last_id\":1,\"rows\":1,\"as_of\":\"2026-01-01T00:00:00Z\"}\n";

/// A row of mbs-hashes for this file, which the server has from now on.
fn row(bench: &Bench, record: &Value) -> String {
    format!("{}\n", bench.has(std::slice::from_ref(record))[0])
}

fn fifo(bench: &Bench) -> PathBuf {
    let path = bench.dir.join("known.fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

/// The tool, fed and heard record by record.
struct Live {
    child: Child,
    out: BufReader<ChildStdout>,
    fed: usize,
}

impl Live {
    fn start(run: Run) -> Live {
        let mut child = run.spawn();
        let out = BufReader::new(child.stdout.take().unwrap());
        Live { child, out, fed: 0 }
    }

    fn feed(&mut self, record: &Value) {
        self.fed += 1;
        let line = format!("{record}\n");
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// What becomes of this record.
    fn ask(&mut self, record: &Value) -> Value {
        self.feed(record);
        let heard = self.hear();
        assert_eq!(heard["path"], record["path"]);
        heard
    }

    /// Waits until the tool takes this content for known.
    fn knows(&mut self, record: &Value) {
        let mut gone = record.clone();
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            // What is not known fails, since there is no such file.
            gone["path"] = json!(format!("/nowhere/{}.epub", self.fed));
            if self.ask(&gone)["by"] == "known" {
                return;
            }
        }
        panic!("the row is not taken in");
    }

    /// Ends the input as a whole stream does; gives the summary, stderr and the exit code.
    fn end(mut self) -> (Value, String, Option<i32>) {
        let count = self.fed;
        self.feed(
            &json!({"type": "summary", "tool": "hash-files", "records": count, "failed": 0,
            "complete": true}),
        );
        drop(self.child.stdin.take());
        let summary = self.hear();
        let ended = self.child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        (summary, said, ended.status.code())
    }
}

/// Opens the writing end, which waits for the reader.
fn writer(path: &PathBuf) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn rows_that_come_while_running_are_taken_in_and_the_end_waits_for_no_pipe() {
    let bench = Bench::new();
    let books = bench.books(3);
    let path = fifo(&bench);
    let mut live = Live::start(bench.tool(&[]).arg("--known").arg(&path));
    live.feed(&books[0]);
    let mut pipe = writer(&path);
    pipe.write_all(row(&bench, &books[0]).as_bytes()).unwrap();
    // Whatever is sent before this would have been sent in ignorance.
    assert_eq!(bench.server.count("POST", "/api/upload/check"), 0);
    pipe.write_all(CAUGHT_UP.as_bytes()).unwrap();
    assert_eq!(live.hear()["by"], "known");
    assert_eq!(live.ask(&books[1])["outcome"], "uploaded");
    pipe.write_all(row(&bench, &books[2]).as_bytes()).unwrap();
    live.knows(&books[2]);
    // The pipe is still open.
    let (summary, said, _) = live.end();
    drop(pipe);
    assert!(!said.contains("known.fifo"), "{said}");
    assert_eq!(summary["uploaded"], 1);
    bench.holds(&books[1..2]);
}

#[test]
fn a_pipe_that_dies_is_told_of_and_the_run_goes_on() {
    let bench = Bench::new();
    let books = bench.books(2);
    let path = fifo(&bench);
    let mut live = Live::start(bench.tool(&[]).arg("--known").arg(&path));
    let mut pipe = writer(&path);
    pipe.write_all(format!("{CAUGHT_UP}{}", row(&bench, &books[0])).as_bytes())
        .unwrap();
    live.knows(&books[0]);
    pipe.write_all(b"{\"type\":\"known_h").unwrap();
    drop(pipe);
    assert_eq!(live.ask(&books[1])["outcome"], "uploaded");
    let (_, said, _) = live.end();
    assert!(
        said.contains("known.fifo: follow: ended after 1 contents"),
        "{said}"
    );
    assert!(said.contains("left to the server's check"), "{said}");
}

#[test]
fn a_pipe_that_ends_before_it_has_caught_up_is_used_as_far_as_it_goes() {
    let bench = Bench::new();
    let books = bench.books(2);
    let path = fifo(&bench);
    let mut live = Live::start(bench.tool(&[]).arg("--known").arg(&path));
    writer(&path)
        .write_all(row(&bench, &books[0]).as_bytes())
        .unwrap();
    assert_eq!(live.ask(&books[0])["by"], "known");
    assert_eq!(live.ask(&books[1])["outcome"], "uploaded");
    let (summary, said, code) = live.end();
    assert!(said.contains("known.fifo: read: "), "{said}");
    assert_eq!((code, summary["failed"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn waiting_for_the_writer_of_a_pipe_ends_with_a_signal() {
    let bench = Bench::new();
    let path = fifo(&bench);
    let tool = bench.tool(&[]).arg("--known").arg(&path).spawn();
    let pid = tool.id().to_string();
    let opened = || {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let known = |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|to| to == path);
        open.flatten().any(|fd| known(&fd)).then_some(())
    };
    harness::wait_for("the pipe to be opened", DEADLINE, opened);
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let ended = tool.wait_with_output().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ended.status),
        Some(15)
    );
}

/// As mbs-hashes writes it, on the server's own database.
#[test]
fn the_known_set_follows_mbs_hashes() {
    let bench = Bench::new();
    let books = bench.books(6);
    bench.tool(&books[..2]).ok();
    let input = bench.dir.write("in.ndjson", lines(&books[..4]));
    let script = format!(
        "mbs-upload --known <(mbs-hashes --follow --interval 50ms --db '{}') <'{}'",
        bench.server.db_url(),
        input.display()
    );
    let settings = [
        ("MBS_API", bench.server.api()),
        ("MBS_WS", bench.server.ws()),
        ("MBS_USER", "user".into()),
        ("MBS_PASSWORD", "user".into()),
        ("PGPASSWORD", "ebooks".into()),
    ];
    let run = settings
        .iter()
        .fold(bench.dir.shell(&script), |run, (name, value)| {
            run.env(name, value)
        });
    let ran = run.ok();
    assert_eq!(ran.summary()["duplicate_known"], 2, "{}", ran.report());
    assert_eq!(ran.summary()["uploaded"], 2);
    bench.holds(&books[..4]);
}

/// What was done eight times over in the predecessor: to know what is there before it is sent.
#[test]
fn of_20_000_known_files_and_10_new_ones_just_10_are_sent() {
    let bench = Bench::new();
    let record = |i: usize| {
        let mut record = meta(&format!("Known {i}"), "A");
        record["type"] = json!("file_hash");
        record["path"] = json!(format!("/nowhere/{i}.epub"));
        (record["sha1"], record["size"]) = (json!(format!("{i:040x}")), json!(7));
        record
    };
    let mut records: Vec<Value> = (0..20_000).map(record).collect();
    let file = bench.dir.write("known.ndjson", lines(&bench.has(&records)));
    let new = bench.books(10);
    for (i, book) in new.iter().enumerate() {
        records.insert(i * 2_000, book.clone());
    }
    let ran = bench.tool(&records).arg("--known").arg(file).ok();
    let summary = ran.summary();
    assert_eq!(
        (&summary["uploaded"], &summary["failed"]),
        (&json!(10), &json!(0))
    );
    assert_eq!(summary["duplicate_known"], 20_000);
    // And a few samples of what is known.
    assert!(bench.server.count("POST", "/api/upload/check") <= 10 + 64);
    for path in ["/api/upload", "/api/ebooks/*/add-upload"] {
        assert_eq!(bench.server.count("POST", path), 10, "{path}");
    }
    bench.holds(&new);
}

#[test]
fn duplicates_are_counted_by_who_told_of_them() {
    let bench = Bench::new();
    let books = bench.books(3);
    bench.tool(&books[..1]).ok();
    // Sent twice under two names: the second is known from the first.
    let twice = bench.file(
        "again.epub",
        "Book 1\nJan Novák\nepub\n",
        meta("Other", "Else"),
    );
    let ran = bench
        .tool(&[books[0].clone(), books[1].clone(), twice])
        .ok();
    let summary = ran.summary();
    let by = |name: &str| summary[format!("duplicate_{name}")].as_u64();
    assert_eq!(
        (by("check"), by("known"), by("add")),
        (Some(1), Some(1), Some(0))
    );
    assert_eq!((by("upload"), by("journal")), (Some(0), Some(0)));
    assert_eq!(summary["duplicate"], 2);
}

#[test]
fn what_is_known_of_another_server_or_of_another_time_is_not_believed() {
    let [bench, other] = [Bench::new(), Bench::new()];
    let books = bench.books(40);
    // Both have some of the files, under other ids.
    assert_eq!(other.number("select setval('ebook_id_seq', 1000)"), 1000);
    let foreign = bench.dir.write("foreign", lines(&other.has(&books)));
    let rows = bench.has(&books[..30]);
    let known = bench.dir.write("known", lines(&rows));
    let ran = bench.tool(&books).arg("--known").arg(foreign).ok();
    ran.one_line(&["foreign", "40 are not there", "another server"]);
    assert_eq!(ran.summary()["duplicate_known"], 0);
    bench.holds(&books[30..]);
    // Set back since: the newest are gone, and one in the middle; their ids may be given again.
    let gone = "delete from source where hash in";
    let hash = |i: usize| format!("'{}'", books[i]["sha1"].as_str().unwrap());
    for i in (25..30).chain([10]) {
        let sql = format!("{gone} ({}) returning ebook_id", hash(i));
        assert_eq!(bench.server.query(&sql).len(), 1);
    }
    let ran = bench.tool(&books[..30]).arg("--known").arg(known).ok();
    ran.one_line(&["known", "6 are not there", "6 of its contents"]);
    let summary = ran.summary();
    assert_eq!(
        (&summary["duplicate_known"], &summary["uploaded"]),
        (&json!(24), &json!(6))
    );
}
