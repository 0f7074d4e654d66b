//! mbs-stats, the real binary against real PostgreSQL servers and a few lines of the server's API.

// A test may panic; clippy's own exception does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use harness::{Database, Run, Workdir};
use serde_json::{Value, json};

/// A server with three ebooks, one of them without a source, and four sources.
fn database() -> Database {
    Database::with(&[
        include_str!("../support/sandbox/src/sql/schema.sql"),
        include_str!("../support/sandbox/src/sql/seed.sql"),
        "insert into ebook (version_id, created, modified, title, language_id, base_dir)
         select 1, now(), now(), 'T' || i, 1, 'T' || i from generate_series(1, 3) as i;
         insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
         select 1, now(), now(), 1 + i % 2, 'T' || i, 8, i, md5(i::text) from generate_series(1, 4) as i;
         create role counter login;
         grant select on source, ebook to counter",
    ])
}

/// Nobody listens there.
const NOWHERE: &str = "postgresql://u@127.0.0.1:1/d";

/// The server's two answers that matter here, word for word, over HTTP/1.0 as there.
struct Api {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// `total` is what the list of ebooks says; the password is `pass word`.
    fn start(total: Value) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                log.lock().unwrap().push(answer(stream, &total));
            }
        });
        Api { url, asked }
    }
}

fn answer(mut stream: TcpStream, total: &Value) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = head.lines().next().unwrap().to_string();
    let authorized = head
        .to_lowercase()
        .contains("authorization: bearer the.access.token");
    let (status, kind, text) = if request.starts_with("POST /login ") {
        let login: Value = serde_json::from_slice(&body).unwrap();
        let token = json!({"access_token": "the.access.token", "refresh_token": "r"});
        let good = login == json!({"username": "admin", "password": "pass word"});
        let text = if good {
            token
        } else {
            json!({"error": "Invalid Login"})
        };
        ("200 OK", "application/json", text.to_string())
    } else if request.starts_with("GET /api/ebooks?page=1&page_size=1 ") && authorized {
        let page = json!({"page": 1, "page_size": 1, "total": total, "items": []});
        ("200 OK", "application/json", page.to_string())
    } else {
        ("401 UNAUTHORIZED", "text/html", "Access denied".into())
    };
    let length = text.len();
    let answer = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    request
}

fn with_api(work: &Workdir, api: &Api) -> Run {
    work.tool("mbs-stats")
        .args(["--api", &api.url, "--user", "admin"])
        .env("MBS_PASSWORD", "pass word")
}

#[test]
fn three_counts_from_the_database() {
    let database = database();
    let ran = Workdir::new()
        .tool("mbs-stats")
        .env("MBS_DB", database.settings_for("counter"))
        .ok();
    let mut record = ran.records()[0].clone();
    let as_of = record.as_object_mut().unwrap().remove("as_of").unwrap();
    assert!(as_of.as_str().unwrap().ends_with('Z'));
    let want = json!({"type": "mbs_stats", "ebooks": 3, "sources": 4, "ebooks_without_source": 1, "via": "database"});
    assert_eq!(record, want);
    let want = json!({"type": "summary", "tool": "mbs-stats", "records": 1, "failed": 0, "complete": true});
    assert_eq!(ran.summary(), want);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn zero_is_a_count_like_any_other() {
    let database = database();
    database.execute("delete from source; delete from ebook");
    let ran = Workdir::new()
        .tool("mbs-stats")
        .env("MBS_DB", database.settings_for("counter"))
        .ok();
    let record = &ran.records()[0];
    for name in ["ebooks", "sources", "ebooks_without_source"] {
        assert_eq!(record[name], 0, "{name}");
    }
}

/// The original showed a failed query as 0, and kept that for five minutes.
#[test]
fn failure_is_never_shown_as_0() {
    let database = database();
    database.execute("revoke select on source from counter");
    let ran = Workdir::new()
        .tool("mbs-stats")
        .env("MBS_DB", database.settings_for("counter"))
        .code(1);
    let record = &ran.records()[0];
    assert_eq!(record["ebooks"], 3);
    assert_eq!(record.get("sources"), None);
    // The original took all ebooks for orphaned when only the last query failed.
    assert_eq!(record.get("ebooks_without_source"), None);
    assert_eq!(
        (&ran.summary()["failed"], &ran.summary()["complete"]),
        (&1.into(), &false.into())
    );
    ran.one_line(&[
        "mbs-stats: sources, ebooks_without_source: count: permission denied for table source",
    ]);
}

#[test]
fn a_count_that_takes_too_long_leaves_the_others() {
    let database = database();
    let mut other = database.client();
    let mut holding = other.transaction().unwrap();
    holding.batch_execute("lock table source").unwrap();
    let start = Instant::now();
    let ran = Workdir::new()
        .tool("mbs-stats")
        .env("MBS_DB", database.settings_for("counter"))
        .args(["--db-timeout", "1s"])
        .code(1);
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(ran.records()[0]["ebooks"], 3);
    assert_eq!(ran.records()[0].get("sources"), None);
    ran.one_line(&["canceling statement due to statement timeout"]);
}

/// The original read digits wherever they stood in psql's output and glued them to one number.
#[test]
fn digits_are_not_glued() {
    let database = database();
    database.execute(&format!(
        "alter role counter in database {} set client_min_messages = debug5;
         insert into ebook (version_id, created, modified, title, language_id, base_dir)
         select 1, now(), now(), '12', 1, '34' from generate_series(4, 1234)",
        database.name()
    ));
    let ran = Workdir::new()
        .tool("mbs-stats")
        .env("MBS_DB", database.settings_for("counter"))
        .env("PGOPTIONS", "-c client_min_messages=debug5")
        .ok();
    assert_eq!(ran.records()[0]["ebooks"], 1234);
}

/// The original fell back only on a timeout; any other error of psql gave 0.
#[test]
fn any_error_of_the_database_falls_back_to_the_api() {
    let work = Workdir::new();
    let database = database();
    database.execute("revoke select on source, ebook from counter");
    let no_right = database.settings_for("counter");
    let wrong = format!("{} dbname=postgres", database.settings_for("counter"));
    let missing = format!("{} dbname=nosuch", database.settings_for("counter"));
    for (database, reason) in [
        (NOWHERE, "Connection refused"),
        (&no_right, "permission denied"),
        (&wrong, "is this MyBookshelf2's database?"),
        (&missing, "does not exist"),
    ] {
        let api = Api::start(154_110.into());
        let ran = with_api(&work, &api)
            .args(["--db", database, "--db-timeout", "1s"])
            .code(1);
        let mut record = ran.records()[0].clone();
        record.as_object_mut().unwrap().remove("as_of");
        assert_eq!(
            record,
            json!({"type": "mbs_stats", "ebooks": 154_110, "via": "api"})
        );
        let stderr = ran.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert!(
            lines[0].contains(reason) && lines[0].contains("asking the API"),
            "{stderr}"
        );
        assert!(
            lines[1].contains("sources, ebooks_without_source: count: the API does not tell"),
            "{stderr}"
        );
        let want = [
            "POST /login HTTP/1.1",
            "GET /api/ebooks?page=1&page_size=1 HTTP/1.1",
        ];
        assert_eq!(*api.asked.lock().unwrap(), want);
    }
}

#[test]
fn a_database_that_answers_leaves_the_api_alone() {
    let api = Api::start(1.into());
    let work = Workdir::new();
    let database = database();
    let ran = with_api(&work, &api)
        .args(["--db", &database.settings_for("counter")])
        .ok();
    assert_eq!(ran.records()[0]["via"], "database");
    assert_eq!(api.asked.lock().unwrap().len(), 0);
}

#[test]
fn an_api_alone_is_asked_at_once() {
    let api = Api::start(7.into());
    let ran = with_api(&Workdir::new(), &api).code(1);
    assert_eq!(ran.records()[0]["ebooks"], 7);
    ran.one_line(&["the API does not tell"]);
}

#[test]
fn neither_gives_no_record() {
    let work = Workdir::new();
    let api = Api::start(1.into());
    let both = |ran: &harness::run::Ran, api_says: &str| {
        assert_eq!(ran.stdout(), "", "{}", ran.report());
        let last = ran.stderr().lines().last().unwrap().to_string();
        assert!(
            last.contains("127.0.0.1:1/d: count: Connection refused"),
            "{last}"
        );
        assert!(last.contains(api_says), "{last}");
    };
    let run = |run: Run| run.args(["--db", NOWHERE, "--db-timeout", "1s"]).code(255);
    both(
        &run(with_api(&work, &api).env("MBS_PASSWORD", "wrong")),
        "log in as admin: Invalid Login",
    );
    let odd = Api::start("many".into());
    both(
        &run(with_api(&work, &odd)),
        "count ebooks: the answer is not MyBookshelf2's",
    );
    let gone = Api {
        url: "http://127.0.0.1:1".into(),
        asked: Arc::default(),
    };
    both(&run(with_api(&work, &gone)), "http://127.0.0.1:1: log in: ");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Api {
        url: format!("http://{}", silent.local_addr().unwrap()),
        asked: Arc::default(),
    };
    both(
        &run(with_api(&work, &silent).args(["--api-timeout", "300ms"])),
        "log in: ",
    );
    let ran = work
        .tool("mbs-stats")
        .args(["--db", NOWHERE, "--db-timeout", "1s"])
        .code(255);
    ran.one_line(&["mbs-stats: 127.0.0.1:1/d: count: Connection refused"]);
}

#[test]
fn a_server_that_falls_silent_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://u@{}/d", silent.local_addr().unwrap());
    let ran = Workdir::new()
        .tool("mbs-stats")
        .args(["--db", &url, "--db-timeout", "300ms"])
        .code(255);
    ran.one_line(&["no answer within"]);
}

#[test]
fn the_password_comes_from_a_file_or_the_environment_and_is_never_shown() {
    let work = Workdir::new();
    let file = work.write("password", "pass word\n");
    let crlf = work.write("crlf", "pass word\r\n");
    let api = Api::start(7.into());
    let run = || {
        work.tool("mbs-stats")
            .args(["--api", &format!("{}/", api.url)])
            .env("MBS_USER", "admin")
    };
    for file in [&file, &crlf] {
        let ran = run()
            .arg("--password-file")
            .arg(file)
            .env("MBS_PASSWORD", "wrong")
            .code(1);
        assert_eq!(ran.records()[0]["ebooks"], 7, "{}", ran.report());
        run().env("MBS_PASSWORD_FILE", file).code(1);
    }
    run()
        .args(["--password-file", "nosuch"])
        .code(2)
        .one_line(&["nosuch: read: No such file"]);
    run().code(2).one_line(&["--password-file or MBS_PASSWORD"]);
    work.tool("mbs-stats")
        .args(["--api", &api.url])
        .code(2)
        .one_line(&["--user"]);
    work.tool("mbs-stats")
        .args(["--api", "localhost:6006", "--user", "u"])
        .code(2)
        .one_line(&["http://"]);
    let ran = work
        .tool("mbs-stats")
        .args(["--api", "http://admin:hush@127.0.0.1", "--user", "u"])
        .code(2);
    assert!(!ran.stderr().contains("hush"), "{}", ran.report());
    let help = run()
        .arg("--help")
        .env("MBS_PASSWORD", "hush")
        .env("MBS_API", "http://u:hush@h")
        .ok();
    assert!(!help.stdout().contains("hush"));
}

#[test]
fn a_closed_pipe_and_a_full_disk() {
    let database = database();
    let work = Workdir::new();
    let run = |script: &str| {
        work.shell(script)
            .env("MBS_DB", database.settings_for("counter"))
    };
    run("mbs-stats | head -0").ok();
    run("mbs-stats >/dev/full")
        .code(255)
        .one_line(&["stdout: write: No space left on device"]);
    let ran = run("mbs-stats | jq '.ebooks_without_source // \"not known\"'").ok();
    assert!(ran.stdout().starts_with("1\n"), "{}", ran.report());
}
