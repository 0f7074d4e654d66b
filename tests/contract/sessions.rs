//! Part 4: whose connection it is, and what is kept for the one who returns.

use std::time::{Duration, Instant};

use harness::wait_for;
use sandbox::{Sandbox, Settings};
use serde_json::json;

use crate::client::{sandbox_only, server, unique};
use crate::socket::Socket;

#[test]
fn a_second_connection_takes_the_session_over() {
    let server = server();
    let session = unique();
    let mut first = Socket::with(&server, &server.token, Some(&session)).unwrap();
    let mut second = Socket::with(&server, &server.token, Some(&session)).unwrap();
    assert_eq!(first.closed(), Some((1000, String::new())));
    assert!(
        second
            .error("none/x.epub", json!({}))
            .contains("does not exists")
    );
}

#[test]
fn sessions_without_an_id_do_not_disturb_each_other() {
    let server = server();
    let mut first = Socket::open(&server);
    let mut second = Socket::open(&server);
    assert!(
        second
            .error("none/x.epub", json!({}))
            .contains("does not exists")
    );
    assert!(
        first
            .error("none/x.epub", json!({}))
            .contains("does not exists")
    );
    let Some(other) = server.token_of("user") else {
        return;
    };
    let session = unique();
    let mut mine = Socket::with(&server, &server.token, Some(&session)).unwrap();
    let mut other = Socket::with(&server, &other, Some(&session)).unwrap();
    assert!(
        other
            .error("none/x.epub", json!({}))
            .contains("does not exists")
    );
    assert!(
        mine.error("none/x.epub", json!({}))
            .contains("does not exists")
    );
}

#[test]
fn running_tasks_report_to_the_connection_that_took_over() {
    let settings = Settings {
        task_millis: 300,
        ..Default::default()
    };
    let server = sandbox_only(settings, "a slow task").unwrap_or_else(server);
    let session = unique();
    let file = server.upload("a.epub", unique().as_bytes());
    let mut first = Socket::with(&server, &server.token, Some(&session)).unwrap();
    first.call(1, &file, json!({}));
    assert_eq!(first.next()[0], "r");
    assert_eq!(first.next()[2]["status"], "started");
    let mut second = Socket::with(&server, &server.token, Some(&session)).unwrap();
    let heard = second.until_end(1);
    assert_eq!(heard.last().unwrap()[2]["status"], "success", "{heard:?}");
}

#[test]
fn updates_wait_for_the_return_of_their_session() {
    let server = server();
    // The real engine notices at once that we are gone; its task takes half a second.
    if let Some(sandbox) = &server.sandbox {
        sandbox.fault(&json!({ "on": "TASK metadata", "kind": "drop_ws" }));
    }
    let session = unique();
    let file = server.upload("a.epub", unique().as_bytes());
    let mut first = Socket::with(&server, &server.token, Some(&session)).unwrap();
    first.call(1, &file, json!({}));
    assert_eq!(first.next()[0], "r");
    if let Some(sandbox) = &server.sandbox {
        assert_eq!(first.closed(), None);
        wait_for_the_task(sandbox);
    }
    drop(first);
    let mut second = Socket::with(&server, &server.token, Some(&session)).unwrap();
    let heard = second.until_end(1);
    assert_eq!(heard.last().unwrap()[2]["status"], "success", "{heard:?}");
}

#[test]
fn unsent_updates_are_forgotten_in_time() {
    let settings = Settings {
        unsent_millis: 50,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a short memory") else {
        return;
    };
    let sandbox = server.sandbox.as_ref().unwrap();
    sandbox.fault(&json!({ "on": "TASK metadata", "kind": "drop_ws" }));
    let file = server.upload("a.epub", b"x");
    let mut first = Socket::with(&server, &server.token, Some("s")).unwrap();
    first.call(1, &file, json!({}));
    assert_eq!(first.closed(), None);
    wait_for_the_task(sandbox);
    let done = Instant::now();
    wait_for("the end of memory", Duration::from_secs(5), || {
        (done.elapsed() > Duration::from_millis(100)).then_some(())
    });
    let mut second = Socket::with(&server, &server.token, Some("s")).unwrap();
    second.say(r#"[9,"nonsense",{}]"#);
    assert_eq!(second.next()[1], 9, "nothing of the first call is left");
}

/// Waits until the only task is done, whether anybody heard of it or not.
fn wait_for_the_task(sandbox: &Sandbox) {
    wait_for("the task's end", Duration::from_secs(30), || {
        sandbox
            .log()
            .into_iter()
            .find(|entry| entry.method == "TASK")?
            .end
    });
}

#[test]
fn close_is_answered_with_1000() {
    let server = server();
    let mut socket = Socket::open(&server);
    let code = tungstenite::protocol::frame::coding::CloseCode::Normal;
    let frame = tungstenite::protocol::CloseFrame {
        code,
        reason: "".into(),
    };
    socket.0.close(Some(frame)).unwrap();
    assert_eq!(socket.closed(), Some((1000, String::new())));
}

#[test]
fn pings_are_answered() {
    let server = server();
    let mut socket = Socket::open(&server);
    socket
        .0
        .send(tungstenite::Message::Ping(b"x".to_vec().into()))
        .unwrap();
    match socket.0.read().unwrap() {
        tungstenite::Message::Pong(payload) => assert_eq!(&payload[..], b"x"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_paths_are_not_found() {
    let server = server();
    let ws = server.ws.replace("/ws", "/other");
    match tungstenite::connect(format!("{ws}?token={}", server.token)) {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 404),
        other => panic!("{:?}", other.err()),
    }
}
