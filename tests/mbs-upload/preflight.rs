use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::{
    claims::pooled,
    links::{calibre, linking},
    *,
};

/// What was found by one check.
fn finding(ran: &Ran, check: &str) -> Value {
    let all = ran.of_type("preflight");
    let found: Vec<_> = all
        .iter()
        .filter(|record| record["check"] == check)
        .collect();
    assert_eq!(found.len(), 1, "{check}\n{}", ran.report());
    found[0].clone()
}

fn result(ran: &Ran, check: &str) -> String {
    finding(ran, check)["result"].as_str().unwrap().to_string()
}

impl Bench {
    fn preflight(&self, input: impl Into<Vec<u8>>) -> Run {
        self.tool(&[]).arg("--check").stdin(input)
    }

    /// All that a preflight must leave as it is.
    fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.server.query(
            "select (select count(*) from upload), (select count(*) from ebook), \
             (select count(*) from source), (select last_value from upload_id_seq)",
        )
    }
}

#[test]
fn a_server_that_is_all_there_is_told_and_not_changed() {
    let bench = Bench::new();
    bench.tool(&bench.books(1)).ok();
    let files = || {
        std::fs::read_dir(bench.server.data_dir().join("uploads"))
            .unwrap()
            .count()
    };
    let before = (bench.rows(), files());
    let ran = bench
        .preflight("")
        .arg("--db")
        .arg(bench.server.db_url())
        .arg("--store")
        .arg(bench.server.data_dir())
        .ok();
    for check in [
        "login",
        "websocket",
        "one_server",
        "limit",
        "languages",
        "database",
        "store",
        "space",
    ] {
        assert_eq!(result(&ran, check), "ok", "{check}");
    }
    assert_eq!(finding(&ran, "limit")["max_size"], 100 << 20);
    assert_eq!(
        finding(&ran, "languages")["languages"],
        json!(["cs", "en", "ru", "sk"])
    );
    let formats = finding(&ran, "formats");
    let has = |name: &str| {
        formats["formats"]
            .as_array()
            .unwrap()
            .contains(&json!(name))
    };
    assert!(has("epub") && has("chm") && !has("cbz"), "{formats}");
    // The engine of this one cannot convert it.
    assert!(!has("doc") && formats["message"].as_str().unwrap().contains("LibreOffice"));
    let index = finding(&ran, "index");
    assert_eq!(index["result"], "warning");
    assert!(finding(&ran, "space")["free"].as_u64() > Some(0));
    assert_eq!((bench.rows(), files()), before);
    // The statement does what it says.
    let statement = index["statement"].as_str().unwrap();
    assert!(bench.server.query(statement).is_empty());
    let ran = bench
        .preflight("")
        .arg("--db")
        .arg(bench.server.db_url())
        .ok();
    assert_eq!(result(&ran, "index"), "ok");
}

#[test]
fn the_limit_is_the_fork_s_or_any_other() {
    for (fork, given, limit) in [(true, None, 500 << 20), (false, Some(12_345), 12_345)] {
        let bench = Bench::with(Settings {
            fork,
            max_content_length: given,
            ..Settings::default()
        });
        let ran = bench.preflight("").ok();
        assert_eq!(finding(&ran, "limit")["max_size"], limit);
    }
}

#[test]
fn files_that_can_never_get_there_are_named_with_the_reason() {
    let bench = Bench::with(Settings {
        max_content_length: Some(5000),
        ..Settings::default()
    });
    let good = bench.book("Good", "A", "epub");
    let mut german = bench.book("Gut", "A", "epub");
    german["languages"] = json!(["deu"]);
    let mut gone = bench.book("Gone", "A", "epub");
    gone["path"] = json!("/nowhere/gone.epub");
    let mut hashless = bench.book("Hashless", "A", "epub");
    hashless.as_object_mut().unwrap().remove("sha1");
    hashless["type"] = json!("book_file");
    let comic = bench.book("Comic", "A", "cbz");
    // With the form around it, it is too large.
    let big = bench.file("big.epub", vec![b'x'; 4990], meta("Big", "A"));
    let empty = bench.file("empty.epub", "", meta("Empty", "A"));
    let records = [good.clone(), german, gone, hashless, comic, big, empty];
    let ran = bench.preflight(lines(&records)).code(1);
    let of = |record: &Value| {
        let all = ran.records();
        let found = all.iter().find(|r| r["path"] == record["path"]).cloned();
        found.unwrap_or_default()
    };
    let outcome = |i: usize| of(&records[i])["outcome"].as_str().unwrap().to_string();
    assert_eq!(of(&good), Value::Null);
    assert_eq!(
        [1, 2, 4, 5, 6].map(outcome),
        [
            "unsupported",
            "failed",
            "unsupported",
            "too_big",
            "unsupported"
        ]
    );
    assert!(of(&records[1])["message"].as_str().unwrap().contains("deu"));
    assert!(
        of(&records[2])["message"]
            .as_str()
            .unwrap()
            .contains("open")
    );
    assert_eq!(of(&records[2])["title"], "Gone");
    assert_eq!(of(&records[3])["type"], "error");
    assert!(
        of(&records[3])["message"]
            .as_str()
            .unwrap()
            .contains("hash-files")
    );
    // What is no failure of a run is none of its preflight.
    bench
        .preflight(lines(&[records[1].clone(), records[5].clone()]))
        .ok();
}

#[test]
fn a_server_out_of_reach_and_a_wrong_password_give_up() {
    let bench = Bench::new();
    let ran = bench
        .preflight("")
        .args(["--retries", "0", "--api", "http://127.0.0.1:1"])
        .code(255);
    assert_eq!(result(&ran, "login"), "failed");
    let wrong = bench.dir.write("wrong", "wrong");
    let ran = bench
        .preflight("")
        .env("MBS_PASSWORD_FILE", wrong)
        .code(255);
    assert_eq!(result(&ran, "login"), "failed");
    let ran = bench
        .preflight("")
        .args(["--retries", "0", "--ws", "ws://127.0.0.1:1/ws"])
        .code(255);
    assert_eq!(
        (result(&ran, "websocket"), result(&ran, "limit")),
        ("failed".into(), "ok".into())
    );
}

#[test]
fn an_engine_or_a_database_of_another_server_is_seen() {
    let [bench, other] = [Bench::new(), Bench::new()];
    bench.tool(&bench.books(2)).ok();
    // Both accept the token: sandboxes share their secret, as servers from one recipe do.
    let ran = bench
        .preflight("")
        .env("MBS_WS", other.server.ws())
        .arg("--db")
        .arg(other.server.db_url())
        .code(1);
    assert_eq!(result(&ran, "one_server"), "failed");
    assert_eq!(result(&ran, "database"), "failed");
    // Where there is nothing yet, nothing is claimed.
    let ran = other.preflight("").ok();
    assert_eq!(result(&ran, "one_server"), "warning");
}

/// A proxy that answers 413 to what is announced as larger than it takes, as nginx does.
#[test]
fn a_proxy_s_limit_is_found_without_sending_anything() {
    let bench = Bench::new();
    let server = bench.server.api();
    let inside = server.strip_prefix("http://").unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, inside) = (client.unwrap(), inside.clone());
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n > 0) {
                    head.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&head).to_lowercase();
                let length: Option<u64> = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
                if length.is_some_and(|length| length > 1 << 20) {
                    let _ = client.write_all(b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                    return;
                }
                if text.contains("expect: 100-continue") {
                    let _ = client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                // One request a connection, passed on whole.
                let mut body = vec![0; length.unwrap_or(0) as usize];
                if client.read_exact(&mut body).is_err() {
                    return;
                }
                let head = String::from_utf8(head)
                    .unwrap()
                    .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
                let mut server = std::net::TcpStream::connect(inside).unwrap();
                server.write_all(head.as_bytes()).unwrap();
                server.write_all(&body).unwrap();
                let mut answer = Vec::new();
                let _ = server.read_to_end(&mut answer);
                let _ = client.write_all(&answer);
            });
        }
    });
    let ran = bench
        .preflight("")
        .env("MBS_API", format!("http://127.0.0.1:{door}"))
        .ok();
    let limit = finding(&ran, "limit");
    assert_eq!(limit["max_size"], 1 << 20, "{limit}");
    assert!(limit["message"].as_str().unwrap().contains("proxy"));
}

/// Without --db nothing keeps two apart; but it shows.
#[test]
fn a_second_uploader_is_noticed_once_and_one_alone_is_not() {
    let bench = Bench::new();
    let books = bench.books(8);
    let ran = bench.tool(&books).ok();
    assert!(
        !ran.stderr().contains("another uploader"),
        "{}",
        ran.report()
    );
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 60, "times": 0}));
    let many = |author: &str| -> Vec<Value> {
        (0..20)
            .map(|i| bench.book(&format!("{author} {i}"), author, "epub"))
            .collect()
    };
    let [ours, theirs] = ["A", "B"].map(many);
    let [first, second] = [bench.tool(&ours), bench.tool(&theirs)];
    let other = thread::spawn(move || second.ok());
    let ran = first.ok();
    other.join().unwrap();
    assert_eq!(
        ran.stderr().matches("another uploader may double").count(),
        1,
        "{}",
        ran.report()
    );
}

/// The finding about one file of the input, if there is any.
fn about(ran: &Ran, record: &Value) -> Value {
    let all = ran.of_type("preflight");
    let found = all.iter().find(|found| found["path"] == record["path"]);
    found.cloned().unwrap_or_default()
}

fn says(finding: &Value, what: &str) {
    let message = finding["message"].as_str().unwrap_or_default();
    assert!(message.contains(what), "{finding}");
}

#[test]
fn links_asked_of_a_server_that_makes_none_are_told_before() {
    let official = Bench::new();
    let ask = |bench: &Bench, run: Run| linking(bench, run, &calibre(bench));
    // The run is refused.
    let ran = ask(&official, official.preflight("")).code(1);
    assert_eq!(result(&ran, "links"), "failed");
    says(&finding(&ran, "links"), "makes copies");
    // The run finds out by its first file.
    let store = |bench: &Bench| bench.server.data_dir().to_path_buf();
    let run = ask(&official, official.preflight("")).arg("--store");
    let ran = run.arg(store(&official)).ok();
    assert_eq!(result(&ran, "links"), "warning");
    says(&finding(&ran, "links"), "makes copies");

    let fork = Bench::with(Settings {
        fork: true,
        ..Settings::default()
    });
    let ran = ask(&fork, fork.preflight("")).ok();
    assert_eq!(result(&ran, "links"), "warning");
    says(&finding(&ran, "links"), "--store");
    let good = fork.book("Good", "A", "epub");
    let outside = {
        let mut book = fork.book("Outside", "A", "epub");
        book["path"] = official
            .dir
            .write("a.epub", "Outside\nA\nepub\n")
            .to_str()
            .into();
        book
    };
    let records = lines(&[good.clone(), outside.clone()]);
    let run = ask(&fork, fork.preflight(records)).arg("--store");
    let ran = run.arg(store(&fork)).code(1);
    assert_eq!(result(&ran, "links"), "ok");
    assert_eq!(about(&ran, &good), Value::Null);
    assert_eq!(about(&ran, &outside)["outcome"], "failed");
    says(&about(&ran, &outside), "no --path-map");
    assert_eq!(fork.ebooks() + official.ebooks(), 0);
}

#[test]
fn a_store_of_another_server_is_seen() {
    let [bench, other] = [Bench::new(), Bench::new()];
    let check = |store: &Bench| {
        bench
            .preflight("")
            .arg("--store")
            .arg(store.server.data_dir())
    };
    // Where there is nothing yet, nothing is claimed.
    assert_eq!(result(&check(&bench).ok(), "store"), "warning");
    bench.tool(&bench.books(1)).ok();
    assert_eq!(result(&check(&bench).ok(), "store"), "ok");
    let ran = check(&other).code(1);
    assert_eq!(result(&ran, "store"), "failed");
    says(&finding(&ran, "store"), "another server");
    // A book that both have, in another edition.
    let location = &bench.server.query("select location from source")[0][0];
    let stored = other
        .server
        .data_dir()
        .join("books")
        .join(location.as_ref().unwrap());
    std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
    std::fs::write(&stored, "another edition").unwrap();
    assert_eq!(result(&check(&other).code(1), "store"), "failed");
    // A server that keeps links has them in its store, wherever they lead from here.
    std::fs::remove_file(&stored).unwrap();
    std::os::unix::fs::symlink("/only/there.epub", &stored).unwrap();
    assert_eq!(result(&check(&other).ok(), "store"), "ok");
}

#[test]
fn a_doc_without_its_converter_is_no_surprise_in_the_run() {
    let bench = Bench::new();
    let books = [
        bench.book("Old", "A", "doc"),
        bench.book("New", "A", "epub"),
    ];
    let ran = bench.preflight(lines(&books)).ok();
    assert_eq!(about(&ran, &books[0])["outcome"], "unsupported");
    says(&about(&ran, &books[0]), "LibreOffice");
    assert_eq!(about(&ran, &books[1]), Value::Null);
    let ran = bench.tool(&books).ok();
    assert_eq!(outcome(&ran, &books[0])["outcome"], "unsupported");

    // That it is there, nothing shows before a file is sent.
    let bench = Bench::with(Settings {
        office: true,
        ..Settings::default()
    });
    let books = [
        bench.book("Old", "A", "doc"),
        bench.book("New", "A", "epub"),
    ];
    let ran = bench.preflight(lines(&books)).ok();
    assert_eq!(about(&ran, &books[0]), Value::Null);
    says(&finding(&ran, "converter"), "1 doc file");
    let ran = bench.preflight(lines(&books[1..])).ok();
    assert!(
        ran.of_type("preflight")
            .iter()
            .all(|found| found["check"] != "converter")
    );
}

#[test]
fn what_will_be_cut_of_a_book_is_told_before() {
    let bench = Bench::new();
    let long = "x".repeat(300);
    let books = [
        bench.book("Short", "A", "epub"),
        bench.book(&long, "A", "epub"),
    ];
    let ran = bench.preflight(lines(&books)).ok();
    assert_eq!(about(&ran, &books[0]), Value::Null);
    let found = about(&ran, &books[1]);
    assert_eq!(
        (&found["check"], &found["result"]),
        (&json!("metadata"), &json!("warning"))
    );
    assert_eq!(
        (&found["title"], found.get("outcome")),
        (&json!(long), None)
    );
    says(&found, "title cut to 256 characters");
    // Word for word what the run notes.
    let ran = bench.tool(&books).ok();
    let notes: Vec<_> = outcome(&ran, &books[1])["notes"]
        .as_array()
        .unwrap()
        .clone();
    for note in notes {
        says(&found, note.as_str().unwrap());
    }
}

#[test]
fn a_pooled_database_is_told_before_and_the_rest_looked_at() {
    let bench = Bench::new();
    let pooler = pooled(&bench, "transaction", &["default_pool_size = 20"]);
    let url = pooler.url("web", bench.server.database().name());
    let mut empty = bench.file("empty.epub", "", meta("Empty", "A"));
    empty["sha1"] = sha1(b"").into();
    let ran = bench
        .preflight(lines(&[empty.clone()]))
        .args(["--db", &url])
        .code(1);
    assert_eq!(result(&ran, "database"), "failed");
    says(&finding(&ran, "database"), "a pooler is in the way");
    assert_eq!(about(&ran, &empty)["outcome"], "unsupported");
    assert_eq!(bench.advisory_locks("true"), 0);
    // The run says so, too, and ends.
    bench.tool(&[]).args(["--db", &url]).code(3);
}

#[test]
fn a_journal_is_read_and_left_as_it_is_even_in_use() {
    let bench = Bench::new();
    let file = bench.dir.join("journal");
    let new = bench.dir.join("new/journal");
    let done = bench.book("Done", "A", "epub");
    bench
        .tool(std::slice::from_ref(&done))
        .arg("--journal")
        .arg(&file)
        .ok();
    let before = std::fs::read(&file).unwrap();
    let mut gone = done.clone();
    gone["path"] = json!("/nowhere/gone.epub");
    let comic = bench.book("Comic", "A", "cbz");
    let records = lines(&[gone.clone(), comic.clone()]);
    let check = |records: &[u8], file: &std::path::Path| {
        bench.preflight(records).arg("--journal").arg(file)
    };
    // A running uploader has it.
    let uploader = std::fs::File::open(&file).unwrap();
    uploader.lock().unwrap();
    let ran = check(&records, &file).ok();
    assert_eq!(result(&ran, "journal"), "ok");
    // What is done is not sent again, wherever its file went.
    assert_eq!(about(&ran, &gone), Value::Null);
    assert_eq!(about(&ran, &comic)["outcome"], "unsupported");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // None is made.
    assert_eq!(result(&check(&records, &new).code(1), "journal"), "ok");
    assert!(!new.parent().unwrap().exists());
    // Another server's.
    let other = Bench::new();
    let ran = other.preflight(records).arg("--journal").arg(&file).code(1);
    assert_eq!(result(&ran, "journal"), "failed");
    says(&finding(&ran, "journal"), "another server");
    assert_eq!(about(&ran, &gone)["outcome"], "failed");
    let ran = other
        .preflight("")
        .args(["--new-server", "--journal"])
        .arg(&file)
        .ok();
    assert_eq!(result(&ran, "journal"), "ok");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // Nobody knows: the ebook is shown for the engine's sake, and then no more.
    bench.fault(json!({"on": "GET /api/ebooks/*", "kind": "403", "nth": 2, "times": 0}));
    let ran = check(b"", &file).code(255);
    assert_eq!(result(&ran, "journal"), "failed");
    says(&finding(&ran, "journal"), "403");
}
