//! The sandbox's own knobs: faults on request, the log, outages.

use std::time::{Duration, Instant};

use harness::wait_for;
use sandbox::{Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::{Server, sandbox_only, unique};
use crate::socket::Socket;

fn faulty(order: Value) -> Option<Server> {
    let server = sandbox_only(Settings::default(), "a fault on request")?;
    server.sandbox.as_ref().unwrap().fault(&order);
    Some(server)
}

fn sandbox(server: &Server) -> &Sandbox {
    server.sandbox.as_ref().unwrap()
}

const QUESTION: &str = r#"{"mime_type":"","size":1,"hash":"h1","extension":"epub"}"#;

fn check(server: &Server) -> Result<u16, ureq::Error> {
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*server.bearer()),
    ];
    let reply = server.try_send(
        "POST",
        "/api/upload/check",
        &headers,
        Some(QUESTION.as_bytes()),
    )?;
    Ok(reply.status)
}

#[test]
fn the_nth_request_meets_the_status() {
    let Some(server) =
        faulty(json!({ "on": "POST /api/upload/check", "kind": 503, "nth": 2, "times": 2 }))
    else {
        return;
    };
    let seen: Vec<u16> = (0..5).map(|_| check(&server).unwrap()).collect();
    assert_eq!(seen, [200, 503, 503, 200, 200]);
    let order =
        json!({ "on": "POST /api/upload/check", "kind": "status", "status": 429, "times": 0 });
    let headers = [("Content-Type", "application/json")];
    server
        .send(
            "POST",
            "/_fault",
            &headers,
            Some(order.to_string().as_bytes()),
        )
        .ok();
    assert_eq!([(); 3].map(|()| check(&server).unwrap()), [429; 3]);
    server.send("DELETE", "/_fault", &[], None).ok();
    assert_eq!(check(&server).unwrap(), 200);
    let wrong = server.send(
        "POST",
        "/_fault",
        &headers,
        Some(br#"{"on":"x","kind":"y"}"#),
    );
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_dropped_request_does_no_work_and_one_dropped_after_commit_does() {
    let Some(server) = faulty(json!({ "on": "POST /api/ebooks", "kind": "drop" })) else {
        return;
    };
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*server.bearer()),
    ];
    let body = json!({ "title": "T", "language": { "id": 2 } }).to_string();
    let post = || server.try_send("POST", "/api/ebooks", &headers, Some(body.as_bytes()));
    let books = || sandbox(&server).query("select 1 from ebook").len();
    assert!(post().is_err());
    assert_eq!(books(), 0);
    sandbox(&server).fault(&json!({ "on": "POST /api/ebooks", "kind": "drop_after_commit" }));
    assert!(post().is_err());
    assert_eq!(books(), 1);
    sandbox(&server)
        .fault(&json!({ "on": "POST /api/ebooks", "kind": "status_after_commit", "status": 502 }));
    assert_eq!(post().unwrap().status, 502);
    assert_eq!(books(), 2);
    assert_eq!(post().unwrap().status, 200);
    let log = sandbox(&server).log();
    let posts: Vec<_> = log
        .iter()
        .filter(|e| e.method == "POST" && e.path == "/api/ebooks")
        .collect();
    let statuses: Vec<_> = posts.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [None, None, Some(502), Some(200)]);
    let faults: Vec<_> = posts
        .iter()
        .map(|entry| entry.fault.as_deref().unwrap_or(""))
        .collect();
    assert_eq!(faults, ["Drop", "DropAfterCommit", "StatusAfterCommit", ""]);
    assert_eq!(sandbox(&server).count("POST", "/api/ebooks"), 4);
}

#[test]
fn an_upload_can_break_in_the_middle() {
    let order = json!({ "on": "POST /api/upload", "kind": "drop", "bytes": 100_000 });
    let Some(server) = faulty(order) else { return };
    let bytes = vec![7; 5 << 20];
    let (kind, body) = crate::client::multipart("name=\"file\"; filename=\"a.epub\"", "", &bytes);
    let headers = [
        ("Content-Type", kind.as_str()),
        ("Authorization", &*server.bearer()),
    ];
    assert!(
        server
            .try_send("POST", "/api/upload", &headers, Some(&body))
            .is_err()
    );
    assert_eq!(
        std::fs::read_dir(sandbox(&server).data_dir().join("uploads"))
            .unwrap()
            .count(),
        0
    );
    let again = server
        .try_send("POST", "/api/upload", &headers, Some(&body))
        .unwrap();
    assert_eq!(again.ok()["result"], "ok");
}

#[test]
fn delays_and_garbage() {
    let Some(server) = faulty(json!({ "on": "GET /api/languages", "kind": "garbage" })) else {
        return;
    };
    assert!(server.get("/api/languages").text.contains("<html>"));
    for kind in ["delay", "delay_answer"] {
        sandbox(&server).fault(&json!({ "on": "GET /api/languages", "kind": kind, "millis": 200 }));
        let begun = Instant::now();
        server.get("/api/languages").ok();
        assert!(begun.elapsed() >= Duration::from_millis(200), "{kind}");
    }
}

#[test]
fn faults_of_the_engine() {
    let Some(server) = faulty(json!({ "on": "CALL metadata", "kind": "queue_full" })) else {
        return;
    };
    let file = server.upload("a.epub", unique().as_bytes());
    let uploads = || sandbox(&server).query("select 1 from upload").len();
    let order = |on: &str, kind: &str| sandbox(&server).fault(&json!({ "on": on, "kind": kind }));
    let mut socket = Socket::open(&server);
    socket.call(1, &file, json!({}));
    assert_eq!(socket.next()[2], "QueueFull()");
    socket.upload_id(&file, json!({}));
    assert_eq!(uploads(), 1);

    order("TASK metadata", "error");
    assert_eq!(socket.error(&file, json!({})), "Fault on request");
    order("CALL metadata", "drop");
    socket.call(1, &file, json!({}));
    assert_eq!(socket.closed(), None, "cut without a close frame");
    assert_eq!(uploads(), 1);

    order("TASK metadata", "lost_result");
    let mut socket = Socket::with(&server, &server.token, Some("s")).unwrap();
    socket.call(1, &file, json!({}));
    assert_eq!(socket.next()[0], "r");
    assert_eq!(socket.next()[2]["status"], "started");
    assert_eq!(socket.closed(), None);
    assert_eq!(uploads(), 2, "the row is made though nobody hears of it");
    let mut socket = Socket::with(&server, &server.token, Some("s")).unwrap();
    order("TASK metadata", "drop_ws");
    socket.call(2, &file, json!({}));
    assert_eq!(socket.closed(), None);
    let mut socket = Socket::with(&server, &server.token, Some("s")).unwrap();
    assert_eq!(socket.until_end(2).last().unwrap()[2]["status"], "success");

    // Two that nobody hears of; the second one is done all the same.
    order("TASK metadata", "lost");
    socket.call(5, &file, json!({}));
    assert_eq!(socket.next()[0], "r");
    assert_eq!(uploads(), 3);
    order("CALL metadata", "no_reply");
    socket.call(6, &file, json!({}));
    socket.call(7, &file, json!({}));
    assert!(socket.until_end(7).iter().all(|message| message[1] == 7));
    wait_for("the silent task's row", Duration::from_secs(20), || {
        (uploads() == 5).then_some(())
    });

    order("TASK metadata", "hang");
    socket.call(3, &file, json!({}));
    assert_eq!(socket.next()[0], "r");
    assert_eq!(socket.next()[2]["status"], "started");
    order("engine", "restart");
    assert_eq!(socket.closed(), None);
    let mut socket = Socket::with(&server, &server.token, Some("s")).unwrap();
    socket.upload_id(&file, json!({}));
    order("engine", "drop_all");
    assert_eq!(socket.closed(), None);
    order("GET /ws", "status");
    assert!(Socket::with(&server, &server.token, None).is_err());
    assert!(Socket::with(&server, &server.token, None).is_ok());
}

#[test]
fn the_log_tells_what_was_in_flight_together() {
    let order =
        json!({ "on": "POST /api/upload/check", "kind": "delay", "millis": 300, "times": 2 });
    let Some(server) = faulty(order) else { return };
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| check(&server).unwrap()));
        for one in both {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    check(&server).unwrap();
    let most = sandbox(&server).high_water();
    assert_eq!(most["POST /api/upload/check"], 2);
    assert_eq!(most["hash:h1"], 2);
    let log = server.send("GET", "/_log", &[], None).ok();
    assert_eq!(log["high_water"]["hash:h1"], 2);
    let checks = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["hash"] == "h1")
        .count();
    assert_eq!(checks, 3);
}

#[test]
fn outages_of_server_and_database() {
    let own_cluster = Settings {
        own_cluster: true,
        ..Settings::default()
    };
    let Some(mut server) = sandbox_only(own_cluster, "an outage") else {
        return;
    };
    check(&server).unwrap();
    let mut sandbox = server.sandbox.take().unwrap();
    sandbox.stop();
    assert!(check(&server).is_err());
    sandbox.resume();
    assert_eq!(check(&server).unwrap(), 200);
    sandbox.cluster().stop();
    assert_eq!(check(&server).unwrap(), 500);
    sandbox.cluster().resume();
    assert_eq!(check(&server).unwrap(), 200);
}
