use std::{
    io::{BufRead, Read},
    process::Child,
    thread,
};

use harness::Pooler;

use mbs_upload::{
    known::Content,
    locks::{self, LockState, Locks},
    model::claim,
};
use postgres::Client;

use super::*;

impl Bench {
    /// The tool, kept apart from other uploaders by the server's own database.
    pub(crate) fn claiming(&self, records: &[Value]) -> Run {
        self.tool(records).arg("--db").arg(self.server.db_url())
    }

    /// Ends the sessions that hold the uploaders' locks; says how many.
    pub(crate) fn cut_locks(&self) -> usize {
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name = 'mbs-upload'";
        self.server.query(cut).len()
    }

    /// How many advisory locks in the server's database are like this.
    pub(crate) fn advisory_locks(&self, like: &str) -> i64 {
        self.number(&format!(
            "select count(*) from pg_locks join pg_database d on d.oid = database
             where datname = current_database() and locktype = 'advisory' and {like}"
        ))
    }

    /// Another uploader's session, as far as locks go.
    pub(crate) fn rival(&self) -> Client {
        Client::connect(self.server.db_url(), postgres::NoTls).unwrap()
    }
}

pub(crate) fn lock(rival: &mut Client, claim: claim::Claim) {
    let locked = rival.query_one("select pg_try_advisory_lock($1)", &[&(claim as i64)]);
    assert!(locked.unwrap().get::<_, bool>(0));
}

fn content(record: &Value) -> Content {
    Content::new(
        record["sha1"].as_str().unwrap(),
        record["size"].as_u64().unwrap(),
    )
    .unwrap()
}

/// Books of two formats each.
fn pairs(bench: &Bench, count: usize) -> Vec<Value> {
    (0..count)
        .flat_map(|i| {
            let title = format!("Book {i}");
            ["epub", "pdf"].map(|extension| bench.book(&title, "Jan Novák", extension))
        })
        .collect()
}

fn reversed(records: &[Value]) -> Vec<Value> {
    records.iter().rev().cloned().collect()
}

/// Both at once, each to its end.
pub(crate) fn both(first: Run, second: Run) -> [Ran; 2] {
    let other = thread::spawn(move || second.ok());
    let ran = first.ok();
    [ran, other.join().unwrap()]
}

/// Each content sent once, each book one ebook, and each file in both outputs.
fn once_each(bench: &Bench, records: &[Value], rans: &[Ran]) {
    bench.holds(records);
    assert_eq!(bench.server.count("POST", "/api/upload"), records.len());
    assert_eq!(bench.server.count("POST", "/api/ebooks"), records.len() / 2);
    assert_eq!(bench.ebooks(), records.len() as i64 / 2);
    for ran in rans {
        assert_eq!(
            ran.of_type("upload").len(),
            records.len(),
            "{}",
            ran.report()
        );
    }
    let uploaded = |ran: &Ran| ran.summary()["uploaded"].as_u64().unwrap();
    assert_eq!(rans.iter().map(uploaded).sum::<u64>(), records.len() as u64);
}

#[test]
fn two_uploaders_on_one_list_in_opposite_order_send_each_content_once() {
    let bench = Bench::new();
    let books = pairs(&bench, 30);
    let rans = both(bench.claiming(&books), bench.claiming(&reversed(&books)));
    once_each(&bench, &books, &rans);
}

#[test]
fn two_uploaders_on_one_list_in_the_same_order_share_the_work() {
    let bench = Bench::new();
    let books = pairs(&bench, 20);
    let rans = both(bench.claiming(&books), bench.claiming(&books));
    once_each(&bench, &books, &rans);
    for ran in &rans {
        assert!(
            ran.summary()["uploaded"].as_u64() > Some(0),
            "{}",
            ran.report()
        );
    }
}

#[test]
fn books_that_only_the_server_can_name_are_one_ebook_for_two_uploaders() {
    let bench = Bench::new();
    // Without metadata the title is the file's name, and the engine knows no author.
    let files: Vec<Value> = (0..12)
        .map(|i| {
            let name = format!("{}/Same {}.epub", i % 2, i / 2);
            bench.file(&name, format!("bytes {i}"), json!({}))
        })
        .collect();
    let run = |files: &[Value]| bench.claiming(files).args(["--default-language", "en"]);
    let rans = both(run(&files), run(&reversed(&files)));
    bench.holds(&files);
    assert_eq!(
        bench.ebooks(),
        6,
        "{}{}",
        rans[0].report(),
        rans[1].report()
    );
}

#[test]
fn a_lost_lock_connection_is_made_again_and_nothing_is_doubled() {
    let bench = Bench::new();
    let books = pairs(&bench, 16);
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 60, "times": 0}));
    thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            // Each time something is on its way.
            for sent in [2, 9, 17, 25] {
                let there = || bench.server.count("POST", "/api/upload") >= sent;
                harness::wait_for("uploads", DEADLINE, || there().then_some(()));
                bench.cut_locks();
            }
        });
        let rans = both(bench.claiming(&books), bench.claiming(&reversed(&books)));
        cutter.join().unwrap();
        bench.holds(&books);
        assert_eq!(bench.ebooks(), 16);
        for ran in rans {
            let said = ran.stderr();
            assert!(
                said.contains("locks: ") && said.contains("until the connection is back"),
                "{said}"
            );
            assert!(said.contains("locks: connected again"), "{said}");
        }
    });
}

/// A tool that runs until the test has done something.
pub(crate) fn started(run: Run, records: &[Value]) -> Child {
    fed(run.spawn(), records)
}

fn fed(mut child: Child, records: &[Value]) -> Child {
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &lines(records)).unwrap();
    child
}

pub(crate) fn ended(child: Child) -> Vec<Value> {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_another_uploader_holds_is_left_for_later() {
    let bench = Bench::new();
    let books = bench.books(5);
    let mut rival = bench.rival();
    lock(&mut rival, claim::book("Book 0", "Novák"));
    lock(&mut rival, claim::content(&content(&books[1])));
    let tool = started(bench.claiming(&books).args(["-j", "1"]), &books);
    harness::wait_for("the others", DEADLINE, || {
        (bench.stored().len() == 3).then_some(())
    });
    // What the rival does meanwhile is seen.
    bench.tool(&books[1..2]).ok();
    assert_eq!(bench.stored().len(), 4);
    drop(rival);
    let records = ended(tool);
    let of = |book: &Value| records.iter().find(|r| r["path"] == book["path"]).unwrap();
    assert_eq!(of(&books[0])["outcome"], "uploaded");
    assert_eq!(of(&books[1])["by"], "check");
    let there = bench.server.query(&format!(
        "select ebook_id, id from source where hash = '{}'",
        books[1]["sha1"].as_str().unwrap()
    ));
    let id = |i: usize| there[0][i].as_ref().unwrap().parse::<i64>().unwrap();
    assert_eq!(
        (
            of(&books[1])["ebook_id"].as_i64(),
            of(&books[1])["source_id"].as_i64()
        ),
        (Some(id(0)), Some(id(1)))
    );
    bench.holds(&books);
}

#[test]
fn what_was_held_is_asked_about_again_after_the_locks_were_lost() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let task = || {
        bench.server.count("TASK", "metadata")
            + bench
                .server
                .high_water()
                .get("TASK metadata")
                .copied()
                .unwrap_or(0)
    };
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 2500}));
    let mut tool = started(
        bench.claiming(std::slice::from_ref(&book)),
        std::slice::from_ref(&book),
    );
    harness::wait_for("the task", DEADLINE, || (task() > 0).then_some(()));
    // The rival waits for the lock already, or the tool might have it back before.
    let mut rival = bench.rival();
    let waiting = thread::spawn(move || {
        let key = claim::book("T", "A") as i64;
        let lock = "select 1 from pg_advisory_lock($1)";
        rival.query_one(lock, &[&key]).unwrap();
        rival
    });
    harness::wait_for("the rival", DEADLINE, || {
        let waits = "select 1 from pg_stat_activity where datname = current_database()
            and wait_event = 'advisory'";
        (!bench.server.query(waits).is_empty()).then_some(())
    });
    assert_eq!(bench.cut_locks(), 1);
    let rival = waiting.join().unwrap();
    // It goes the whole way in the time that was lost.
    bench.tool(std::slice::from_ref(&book)).ok();
    assert_eq!(bench.server.count("POST", "/api/ebooks"), 1);
    drop(rival);
    // Whether it came back before the rival had ended or after that, it asked again.
    let mut said = tool.stderr.take().unwrap();
    let records = ended(tool);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("locks: connected again"), "{text}");
    assert_eq!(
        (&records[0]["outcome"], &records[0]["by"]),
        (&json!("duplicate"), &json!("add"))
    );
    assert_eq!(bench.server.count("POST", "/api/ebooks"), 1);
    bench.holds(&[book]);
}

#[test]
fn the_database_of_another_server_is_refused() {
    let [bench, other] = [Bench::new(), Bench::new()];
    bench.tool(&bench.books(1)).ok();
    let books = bench.books(2);
    let foreign = |books: &[Value]| bench.tool(books).arg("--db").arg(other.server.db_url());
    foreign(&books)
        .code(3)
        .one_line(&["not the database of", &bench.server.api()]);
    // Nor is one refused that has nothing to compare by, but a database that has more is.
    bench.claiming(&books).ok();
    let empty = Bench::new();
    let ran = empty
        .tool(&books)
        .arg("--db")
        .arg(bench.server.db_url())
        .code(3);
    ran.one_line(&["the API shows no files"]);
    assert_eq!(bench.server.count("POST", "/api/upload"), 2);
}

#[test]
fn bug_f_a_password_for_the_database_is_not_taken_from_the_command_line() {
    let bench = Bench::new();
    let ran = bench
        .tool(&[])
        .args(["--db", "postgresql://u:hush@h/d"])
        .code(2);
    ran.one_line(&["--db", ".pgpass"]);
    assert!(!ran.report().replace("u:hush@h", "").contains("hush"));
}

#[test]
fn an_ebook_whose_locks_were_lost_is_not_removed_from_under_another_uploader() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    // The addition stands still on the server until it is let go, and fails.
    let stop = "create function stop() returns trigger language plpgsql as
        'begin perform pg_advisory_lock(42); raise exception ''no''; end';
        create trigger stop before insert on source execute function stop()";
    bench.server.execute(stop);
    let mut rival = bench.rival();
    lock(&mut rival, 42);
    let run = || {
        bench
            .claiming(&[])
            .arg("--journal")
            .arg(bench.dir.join("journal"))
    };
    let tool = run().args(["--retries", "0"]).spawn();
    let tool = fed(tool, std::slice::from_ref(&book));
    harness::wait_for("the addition", DEADLINE, || {
        (bench.advisory_locks("not granted") > 0).then_some(())
    });
    assert_eq!(bench.cut_locks(), 1);
    harness::wait_for("the lock", DEADLINE, || {
        let locked = rival.query_one(
            "select pg_try_advisory_lock($1)",
            &[&(claim::book("T", "A") as i64)],
        );
        locked.unwrap().get::<_, bool>(0).then_some(())
    });
    rival.execute("select pg_advisory_unlock(42)", &[]).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another uploader is at work"), "{said}");
    assert_eq!(bench.ebooks(), 1);
    // The next run fills it, once nobody holds it.
    drop(rival);
    let go = "drop trigger stop on source";
    bench.server.execute(go);
    let records = std::slice::from_ref(&book);
    let next = bench.claiming(records).arg("--journal");
    next.arg(bench.dir.join("journal")).ok();
    bench.holds(records);
    assert_eq!(bench.ebooks(), 1);
}

/// A pool of one user, as the web server has it.
pub(crate) fn pooled(bench: &Bench, mode: &str, more: &[&str]) -> Pooler {
    let users =
        "do $$ begin create role web superuser login; exception when others then null; end $$";
    bench.server.execute(users);
    Pooler::start(bench.server.database().server(), mode, more)
}

#[test]
fn locks_that_hold_for_nobody_behind_a_pooler_are_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let books = bench.books(2);
    for (mode, more, why) in [
        (
            "transaction",
            "default_pool_size = 1",
            "two connections share one session",
        ),
        (
            "transaction",
            "default_pool_size = 20",
            "a pooler is in the way",
        ),
        (
            "transaction",
            "server_round_robin = 1",
            "a pooler is in the way",
        ),
        (
            "statement",
            "default_pool_size = 20",
            "a pooler is in the way",
        ),
        // The session, and its locks, outlive the client.
        (
            "session",
            "server_reset_query =",
            "a closed connection's lock stays held",
        ),
    ] {
        let pooler = pooled(&bench, mode, &[more]);
        let url = pooler.url("web", bench.server.database().name());
        let run = |records: &[Value]| bench.tool(records).args(["--db", &url]);
        for _ in 0..2 {
            let ran = run(&books).code(3);
            ran.one_line(&["connect: ", why, "name the server itself"]);
            assert_eq!(ran.of_type("upload").len(), 0, "{mode} {more}");
        }
        // Nor is a session left in the pool that the web server could stumble over.
        if mode == "transaction" {
            assert_eq!(bench.advisory_locks("true"), 0, "{mode} {more}");
        }
    }
    assert_eq!(bench.server.count("POST", "/api/upload"), 0);
    let session = pooled(&bench, "session", &[]);
    let url = session.url("web", bench.server.database().name());
    bench.tool(&books).args(["--db", &url]).ok();
    bench.holds(&books);
}

#[test]
fn who_is_waited_for_is_told_after_ten_seconds() {
    let bench = Bench::new();
    let books = bench.books(2);
    let mut rival = bench.rival();
    lock(&mut rival, claim::book("Book 0", "Novák"));
    lock(&mut rival, claim::content(&content(&books[1])));
    let pid: i32 = rival
        .query_one("select pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let mut tool = started(bench.claiming(&books), &books);
    let mut said = std::io::BufReader::new(tool.stderr.take().unwrap());
    let mut lines = Vec::new();
    // The tool ends after the lines, or never: a test that hangs is ended by its runner.
    while lines.len() < 2 {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "{lines:?}");
        if line.contains("is locked by") {
            lines.push(line);
        }
    }
    lines.sort();
    let end =
        format!("is locked by session {pid} (without an application_name, connected since 20");
    let names = [
        "its book, \"Book 0\", ".to_string(),
        format!("its content, {}, ", books[1]["sha1"].as_str().unwrap()),
    ];
    for name in names {
        let told = |line: &&String| {
            line.contains(&format!("wait: {name}{end}")) && line.contains("idle since")
        };
        assert_eq!(lines.iter().filter(told).count(), 1, "{name}: {lines:?}");
    }
    drop(rival);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("is locked by"), "{rest}");
    ended(tool);
    bench.holds(&books);
}

#[test]
fn a_book_that_only_the_engine_could_name_is_locked_before_it_is_made() {
    let bench = Bench::new();
    let file = bench.file("Same.epub", "bytes", json!({}));
    let mut rival = bench.rival();
    lock(&mut rival, claim::book("Same", ""));
    lock(&mut rival, claim::book("Same", "Unknown"));
    let run = bench.claiming(&[]).args(["--default-language", "en"]);
    let mut tool = started(run, std::slice::from_ref(&file));
    let mut said = std::io::BufReader::new(tool.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("is locked by") {
        line.clear();
        // Who did not want the lock comes to an end without a word of it.
        assert!(said.read_line(&mut line).unwrap() > 0, "{:?}", ended(tool));
    }
    assert_eq!(bench.ebooks(), 0);
    drop(rival);
    ended(tool);
    bench.holds(&[file]);
}

/// Locks on a database, with `work` to be done with them.
fn with_claims(bench: &Bench, work: impl FnOnce(&Locks)) {
    let tool = wire::Tool {
        name: "mbs-upload",
        emits: &[],
        acts: true,
    };
    let output = wire::Output {
        out: None,
        schema: None,
        csv: false,
        progress: Default::default(),
        quiet: false,
        verbose: false,
    };
    tool.run(&output, |out| -> anyhow::Result<wire::Exit> {
        let url = bench.server.db_url();
        let settings = mbs_hashes::Settings::resolve(Some(url), |_| None)?;
        let halt = mbs_upload::retry::shutdown::Shutdown::new()?;
        let claims = Locks::open(settings, DEADLINE, &halt, out.diagnostics())?;
        work(&claims);
        Ok(wire::Exit::Done)
    });
}

#[test]
fn locks_of_a_connection_that_is_lost_are_not_taken_for_held() {
    let bench = Bench::new();
    let mut rival = bench.rival();
    let mut done = 0;
    with_claims(&bench, |claims| {
        let file = |letter: &str| Content::new(&letter.repeat(40), 7).unwrap();
        let hold = |key: u64| claims.take(&[key]).unwrap().unwrap();
        let mut free = |key: u64| {
            let sql = "select pg_try_advisory_lock($1), pg_advisory_unlock($1)";
            let row = rival.query_one(sql, &[&(key as i64)]).unwrap();
            row.get::<_, bool>(0)
        };
        let mut guard = hold(1);
        assert_eq!(guard.confirm(&file("a")).unwrap(), LockState::Held);
        assert!(guard.is_held().unwrap() && !free(1));
        // Lost and had again: what others did meanwhile has to be looked for.
        bench.cut_locks();
        assert_eq!(guard.confirm(&file("a")).unwrap(), LockState::Regained);
        assert_eq!(guard.confirm(&file("a")).unwrap(), LockState::Held);
        assert!(!free(1));
        bench.cut_locks();
        assert!(guard.is_held().unwrap() && !free(1));
        // Further ones, taken on another connection than the first: none is held then.
        bench.cut_locks();
        guard.extend_by(&[2]).unwrap();
        assert!(free(1) && free(2));
        assert!(guard.confirm(&file("a")).unwrap() == LockState::Regained && !free(1) && !free(2));
        // One that is another's: none is held either.
        let mut other = bench.rival();
        lock(&mut other, 3);
        guard.extend_by(&[3]).unwrap();
        assert!(free(1) && free(2));
        assert!(!guard.is_held().unwrap() && free(1));
        // Two grips, of which one was taken before the loss and one after it.
        let names = hold(4);
        let mut book = hold(5);
        assert!(book.is_with(&names));
        bench.cut_locks();
        assert!(book.is_held().unwrap() && !book.is_with(&names));
        // What a lost connection held is not given back on the next: it is another's there.
        let again = hold(4);
        drop(names);
        assert!(!free(4));
        drop((again, book, other));
        assert!(free(4) && free(5));
        // The database notices a closed connection in its own time.
        harness::wait_for("the other's lock", DEADLINE, || free(3).then_some(()));
        done += 1;
    });
    assert_eq!(done, 1);
}

#[test]
fn a_table_without_an_index_is_told_of_once() {
    let bench = Bench::new();
    let ran = bench.claiming(&bench.books(3)).ok();
    ran.one_line(&["source(hash) has no index", locks::INDEX]);
    bench.server.execute(locks::INDEX);
    let ran = bench.claiming(&bench.books(3)).ok();
    assert!(ran.stderr.is_empty(), "{}", ran.report());
}

#[test]
fn files_of_one_book_that_only_the_engine_can_name_go_one_after_another_in_a_run() {
    let bench = Bench::new();
    let file = |folder: &str| bench.file(&format!("{folder}/Same.epub"), folder, json!({}));
    let files = [file("a"), file("b")];
    // While one makes the ebook, the other has all the time to look for it in vain.
    bench.fault(json!({"on": "POST /api/ebooks", "kind": "delay", "millis": 1500}));
    let run = bench.tool(&files);
    run.args(["--default-language", "en", "-j", "2"]).ok();
    bench.holds(&files);
    assert_eq!(bench.ebooks(), 1);
}

#[test]
fn a_file_of_equal_hash_and_another_size_is_another_one_in_the_database_too() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let mut other = book.clone();
    other["size"] = json!(book["size"].as_u64().unwrap() + 1);
    bench.has(&[other]);
    let ran = bench.claiming(std::slice::from_ref(&book)).ok();
    assert_eq!(
        outcome(&ran, &book)["outcome"],
        "uploaded",
        "{}",
        ran.report()
    );
    bench.holds(&[book]);
}
