use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::*;
use harness::run::Ran;

const PASSWORD: &str = "pä<ss \"wörd\"/\\+%1";
const TOKEN: &str = "aGVhZA.eyJpZCI6MX0.c2lnbmF0dXJl";
const REFRESH: &str = "cmVmcmVzaA.eyJpZCI6MX0.b2YgaXQ";

/// An API that says what it likes: `answer` is given each request and writes to its connection.
fn api(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, mut stream) = (Arc::clone(&answer), stream.unwrap());
            thread::spawn(move || answer(&request(&mut stream), &mut stream));
        }
    });
    address
}

/// A request with its body.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return whole;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return whole,
            Ok(count) => text.extend(&buffer[..count]),
        }
    }
}

fn say(stream: &mut TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // Whoever has heard enough may have hung up.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}

fn login(stream: &mut TcpStream) {
    let tokens = json!({"access_token": TOKEN, "refresh_token": REFRESH});
    say(stream, "200 OK", &tokens.to_string());
}

fn ask(dir: &Workdir, api: &str) -> Run {
    dir.tool("mbs-upload")
        .env("MBS_API", api)
        .env("MBS_WS", "ws://127.0.0.1:9/ws")
        .env("MBS_USER", "me")
        .env("MBS_PASSWORD", PASSWORD)
        .args(["--retries", "0", "--outage", "0s", "--stall", "2s"])
        .stdin(lines(&[]))
}

/// It gave up with some lines that a person can read.
fn fine(ran: &Ran, what: &str) {
    let said = ran.stderr();
    assert!(
        said.len() < 4000 && !said.contains("panicked"),
        "{what}: {} bytes: {said:.4000}",
        said.len()
    );
    assert!(
        !said.chars().any(|c| c.is_control() && c != '\n'),
        "{what}: {said:?}"
    );
    assert!(said.lines().count() <= 3, "{what}: {said}");
}

#[test]
fn c7_what_the_server_repeats_of_passwords_and_tokens_is_masked() {
    let dir = Workdir::new();
    let percent = |text: &str| -> String { text.bytes().map(|b| format!("%{b:02X}")).collect() };
    let escaped: String = mbs_upload::api::rest::segment(PASSWORD);
    assert_ne!(escaped, percent(PASSWORD));
    let html = PASSWORD.replace('<', "&lt;").replace('"', "&#34;");
    for form in [
        PASSWORD,
        &escaped,
        &escaped.to_lowercase(),
        &html,
        TOKEN,
        REFRESH,
    ] {
        for (status, about) in [
            ("200 OK", "json"),
            ("400 BAD REQUEST", "page"),
            ("500 X", "json"),
            ("302 FOUND", "page"),
        ] {
            let body = match about {
                "json" => {
                    json!({"error": format!("no: {form}"), "error_details": form}).to_string()
                }
                _ => format!("<p>wrong: {form}"),
            };
            let text = form.to_string();
            let address = api(
                move |asked, stream| match asked.starts_with("POST /login") {
                    // A password is repeated at the login, a token after it.
                    true if text != TOKEN && text != REFRESH => say(stream, status, &body),
                    true => login(stream),
                    false if status.starts_with('3') => {
                        let head =
                            format!("{status}\r\nLocation: http://127.0.0.1:9/?token={text}");
                        say(stream, &head, "");
                    }
                    false => say(stream, status, &body),
                },
            );
            let ran = ask(&dir, &address).run();
            fine(&ran, form);
            let all = ran.stderr() + &ran.stdout();
            assert!(!all.contains(form), "{status}: {all}");
            let says_it = all.contains("***") || status.starts_with('3');
            assert!(says_it, "it was repeated, and nothing is seen of it: {all}");
        }
    }
}

#[test]
fn c7_no_answer_is_too_long_too_deep_or_too_slow() {
    let dir = Workdir::new();
    type Answer = fn(&mut TcpStream);
    let cases: [(&str, Answer); 9] = [
        ("3 MB", |to| {
            say(
                to,
                "200 OK",
                &json!({"error": "x".repeat(3 << 20)}).to_string(),
            )
        }),
        ("3 MB of page", |to| {
            say(to, "400 NO", &"<p>x y".repeat(500_000))
        }),
        ("control characters", |to| {
            say(
                to,
                "200 OK",
                r#"{"error":"a\u001b[2J\u202eb\nmbs-upload: all is well"}"#,
            )
        }),
        ("deep", |to| say(to, "200 OK", &"[".repeat(1 << 20))),
        ("a huge number", |to| {
            say(to, "200 OK", r#"{"access_token":"a.b.c","id":1e99999}"#)
        }),
        ("a token for two headers", |to| {
            say(to, "200 OK", r#"{"access_token":"a\r\nX: b"}"#)
        }),
        ("headers without end", |to| {
            let _ = to.write_all(b"HTTP/1.1 200 OK\r\n");
            while to.write_all(b"X-More: and more of it\r\n").is_ok() {}
        }),
        ("a body without end", |to| {
            let _ = to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
            while to.write_all(&[b' '; 4096]).is_ok() {}
        }),
        ("a drop now and then", |to| {
            let _ = to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while to.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }),
    ];
    for (what, answer) in cases {
        let address = api(move |_, stream| answer(stream));
        let begun = Instant::now();
        let ran = ask(&dir, &address).code(255);
        fine(&ran, what);
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
    }
}

#[test]
fn c7_a_redirect_takes_no_token_elsewhere() {
    let dir = Workdir::new();
    let visits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&visits);
    let other = api(move |_, _| {
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let address = api(
        move |asked, stream| match asked.starts_with("POST /login") {
            true => login(stream),
            false => say(
                stream,
                &format!("307 GO\r\nLocation: {other}/api/languages"),
                "",
            ),
        },
    );
    ask(&dir, &address).code(255);
    assert_eq!(visits.load(Ordering::Relaxed), 0);
}

/// An engine that takes the connection and then says what `speak` has it say.
pub(crate) fn engine(
    speak: impl Fn(tungstenite::WebSocket<TcpStream>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ws://{}/ws", listener.local_addr().unwrap());
    let speak = Arc::new(speak);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let speak = Arc::clone(&speak);
            thread::spawn(move || {
                if let Ok(socket) = tungstenite::accept(stream.unwrap()) {
                    speak(socket);
                }
            });
        }
    });
    address
}

#[test]
fn c7_a_flood_on_the_websocket_fills_no_memory_and_holds_nothing_up() {
    let bench = Bench::new();
    for word in [
        r#"["m",1,{"status":"progress"}]"#,
        r#"["m",77,{"status":"success","result":1}]"#,
        r#"["m",1,{"status":"started"}]"#,
        "noise",
    ] {
        let address = engine(
            move |mut socket| {
                while socket.write(tungstenite::Message::text(word)).is_ok() {}
            },
        );
        let child = bench
            .tool(&bench.books(1))
            .env("MBS_WS", address)
            .args(["--retries", "0", "--max-time", "3s", "--stall", "2s"])
            .start();
        let status = format!("/proc/{}/status", child.id());
        let watched = thread::spawn(move || {
            let mut peak = 0;
            while let Ok(text) = std::fs::read_to_string(&status) {
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let Some(line) = line else { break };
                peak = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
                thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        let ran = Ran::of(child);
        let peak = watched.join().unwrap();
        assert_eq!(
            counts(&ran),
            [("failed".into(), 1)].into(),
            "{}",
            ran.report()
        );
        assert!(peak < 60_000, "{word}: {peak} kB");
    }
}

#[test]
fn c7_a_message_of_megabytes_from_the_engine_is_no_message() {
    let bench = Bench::new();
    let address = engine(|mut socket| {
        let word = format!(
            r#"["m",1,{{"status":"error","error":"{}"}}]"#,
            "x".repeat(3 << 20)
        );
        let _ = socket.read();
        let _ = socket.send(tungstenite::Message::text(word));
        let _ = socket.read();
    });
    let ran = bench
        .tool(&bench.books(1))
        .env("MBS_WS", address)
        .args([
            "--retries",
            "0",
            "--max-time",
            "3s",
            "--stall",
            "1s",
            "--outage",
            "2s",
        ])
        .run();
    fine(&ran, "3 MB");
    assert!(ran.stdout().len() < 10_000);
}
