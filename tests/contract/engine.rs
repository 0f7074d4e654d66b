//! Part 4: calls, updates, errors and the queue.

use serde_json::{Value, json};

use crate::client::{sandbox_only, server, unique};
use crate::socket::Socket;

#[test]
fn a_call_is_answered_verbatim() {
    let server = server();
    let file = server.upload("a2.epub", unique().as_bytes());
    let mut socket = Socket::open(&server);
    socket.call(1, &file, json!({}));
    let reply = socket.text();
    let task = reply
        .strip_prefix("[\"r\",1,\"")
        .unwrap()
        .strip_suffix("\"]")
        .unwrap();
    assert!(
        task.len() == 32 && task.bytes().all(|b| b.is_ascii_hexdigit()),
        "{reply}"
    );
    let started = socket.next();
    assert_eq!(
        started,
        json!(["m", 1, { "status": "started", "task_id": task }])
    );
    let end = socket.next();
    assert_eq!((&end[0], &end[1]), (&json!("m"), &json!(1)));
    let update = end[2].as_object().unwrap();
    assert_eq!(update["status"], "success");
    assert_eq!(update["task_id"], task);
    assert!(
        update["result"].is_i64() && update["duration"].is_f64(),
        "{end}"
    );
    assert_eq!(update.len(), 4, "{end}");
}

#[test]
fn call_ids_are_echoed() {
    let server = server();
    let mut socket = Socket::open(&server);
    for id in [json!("a/b č"), json!(7), json!(2.5)] {
        socket.say(&json!([id, "metadata", { "args": ["none/x.epub"] }]).to_string());
        assert_eq!(socket.next()[1], id);
        assert_eq!(socket.next()[2]["status"], "started");
        assert_eq!(socket.next()[2]["status"], "error");
    }
    socket.say(r#"["a/b","nonsense",{}]"#);
    assert!(socket.text().starts_with(r#"["e","a\/b","#));
}

#[test]
fn errors_of_tasks_are_updates() {
    let server = server();
    let mut socket = Socket::open(&server);
    let error = socket.error("tmpnope/x.epub", json!({}));
    assert!(
        error.starts_with("('File %s does not exists or is not readable', '"),
        "{error}"
    );
    assert!(error.ends_with("/uploads/tmpnope/x.epub')"), "{error}");

    socket.say(r#"[1,"metadata",{}]"#);
    let heard = socket.until_end(1);
    assert_eq!(heard.len(), 3, "{heard:?}");
    let end = &heard[2][2];
    assert_eq!(end["error"], "tuple index out of range");
    assert_eq!(end["duration"], Value::Null);

    let part = "name=\"file\"; filename=\"Война.epub\"";
    let answer = server
        .upload_typed(part, "application/epub+zip", unique().as_bytes())
        .ok();
    let error = socket.error(answer["file"].as_str().unwrap(), json!({}));
    let expected =
        "null value in column \"format_id\" of relation \"upload\" violates not-null constraint";
    assert!(
        error.starts_with(expected) && error.contains("\nDETAIL:"),
        "{error}"
    );
}

#[test]
fn a_doc_needs_an_office() {
    let server = server();
    let file = server.upload("a.doc", unique().as_bytes());
    let mut socket = Socket::open(&server);
    socket.call(1, &file, json!({}));
    let heard = socket.until_end(1);
    let end = &heard.last().unwrap()[2];
    if server.sandbox.is_none() && end["status"] == "success" {
        println!("skipped: the server has LibreOffice");
        return;
    }
    let path = "'/usr/bin/soffice'";
    assert_eq!(
        end["error"],
        format!("[Errno 2] No such file or directory: {path}: {path}")
    );
    assert_eq!(end["duration"], Value::Null);
}

#[test]
fn calls_that_cannot_be_scheduled_get_an_e() {
    let server = server();
    let mut socket = Socket::open(&server);
    socket.say(r#"[9,"nonsense",{}]"#);
    let message = socket.next();
    assert_eq!((&message[0], &message[1]), (&json!("e"), &json!(9)));
    assert_eq!(message[2], "No task with name nonsense");
    assert!(
        message[3].as_str().unwrap().starts_with("Traceback"),
        "{message}"
    );
    socket.say("[11]");
    let error = "not enough values to unpack (expected 3, got 1)";
    assert_eq!(socket.next(), json!(["e", 11, error, null]));
    socket.say(r#"[12,"metadata",{},4]"#);
    assert_eq!(
        socket.next(),
        json!(["e", 12, "too many values to unpack (expected 3)", null])
    );
    socket.say(r#"[13,"metadata",[]]"#);
    assert_eq!(
        socket.next(),
        json!(["e", 13, "'list' object has no attribute 'get'", null])
    );
}

#[test]
fn what_is_no_call_gets_no_answer() {
    let server = server();
    let mut socket = Socket::open(&server);
    socket.say("this is not JSON");
    socket.say(r#"{"a":1}"#);
    socket.say("[]");
    socket
        .0
        .send(tungstenite::Message::binary(b"[1]".to_vec()))
        .unwrap();
    socket.say(r#"[5,"nonsense",{}]"#);
    assert_eq!(socket.next()[1], 5);
}

#[test]
fn the_queue_is_first_in_first_out() {
    let server = server();
    let mut socket = Socket::open(&server);
    let files: Vec<String> = (0..6)
        .map(|i| server.upload(&format!("f{i}.txt"), unique().as_bytes()))
        .collect();
    for (id, file) in files.iter().enumerate() {
        socket.call(id as i64, file, json!({}));
    }
    let (mut replies, mut started, mut ended) = (vec![], vec![], 0);
    while ended < files.len() {
        let message = socket.next();
        let id = message[1].as_i64().unwrap();
        match message[2]["status"].as_str() {
            None => replies.push(id),
            Some("started") => {
                assert!(replies.contains(&id), "started before its reply: {message}");
                started.push(id);
            }
            Some("success") => ended += 1,
            _ => panic!("{message}"),
        }
    }
    assert_eq!(started, [0, 1, 2, 3, 4, 5]);
    assert_eq!(replies, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn tasks_wait_when_others_run_and_the_queue_has_an_end() {
    let settings = sandbox::Settings {
        tasks: 1,
        queue_limit: 2,
        ..Default::default()
    };
    let Some(server) = sandbox_only(settings, "a small queue") else {
        return;
    };
    let sandbox = server.sandbox.as_ref().unwrap();
    sandbox.fault(&json!({ "on": "TASK metadata", "kind": "hang" }));
    let mut socket = Socket::open(&server);
    let file = server.upload("a.epub", b"x");
    for id in 1..=4 {
        socket.call(id, &file, json!({}));
    }
    let heard: Vec<Value> = (0..5).map(|_| socket.next()).collect();
    assert_eq!(heard[0][0], "r");
    assert_eq!(heard[1][2]["status"], "started");
    assert_eq!((&heard[2][0], &heard[3][0]), (&json!("r"), &json!("r")));
    let full = &heard[4];
    assert_eq!(
        (&full[0], &full[1], &full[2]),
        (&json!("e"), &json!(4), &json!("QueueFull()"))
    );
    assert!(full[3].as_str().unwrap().starts_with("Traceback"), "{full}");
}

#[test]
fn the_same_upload_may_be_read_again() {
    let server = server();
    let file = server.upload("a.epub", unique().as_bytes());
    let mut socket = Socket::open(&server);
    let first = socket.upload_id(&file, json!({}));
    assert_ne!(first, socket.upload_id(&file, json!({})));
}
