//! Part 3: POST /api/upload.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::wait_for;
use sandbox::Settings;
use serde_json::json;

use crate::client::{Server, multipart, sandbox_only, server, unique};
use crate::socket::uploaded;

/// Name under which the server keeps a file that is sent with this filename.
fn kept_as(server: &Server, filename: &str) -> String {
    let part = format!("name=\"file\"; filename=\"{filename}\"");
    let answer = server
        .upload_typed(&part, "application/epub+zip", unique().as_bytes())
        .ok();
    assert_eq!(answer["result"], "ok", "{answer}");
    let file = answer["file"].as_str().unwrap();
    let (folder, name) = file.split_once('/').unwrap();
    assert!(folder.starts_with("tmp") && folder.len() == 11, "{file}");
    name.to_owned()
}

#[test]
fn names_are_made_safe() {
    let server = server();
    assert_eq!(kept_as(&server, "a2.epub"), "a2.epub");
    assert_eq!(
        kept_as(&server, "Čapek – Válka s mloky/ #1.epub"),
        "Capek_Valka_s_mloky_1.epub"
    );
    assert_eq!(kept_as(&server, "../../etc/x.epub"), "etc_x.epub");
    assert_eq!(kept_as(&server, "Война и мир.epub"), "epub");
    let both = "name=\"file\"; filename=\"plain.epub\"; filename*=utf-8''%C4%8D.epub";
    let answer = server
        .upload_typed(both, "application/epub+zip", unique().as_bytes())
        .ok();
    assert!(
        answer["file"].as_str().unwrap().ends_with("/plain.epub"),
        "{answer}"
    );
}

#[test]
fn refusals() {
    let server = server();
    let bytes = unique();
    let foo = server.upload_typed(
        "name=\"file\"; filename=\"a.foo\"",
        "application/x-foo",
        bytes.as_bytes(),
    );
    let error = "unsupported file type application/x-foo, extension foo";
    assert_eq!(foo.ok(), json!({ "error": error }));
    assert_eq!(
        server
            .upload_part("name=\"file\"; filename=\"\"", b"x")
            .ok(),
        json!({ "error": "no file" })
    );
    server
        .upload_part("name=\"file\"; filename=\"a.epub\"", b"")
        .is_page(500, "");
    server
        .upload_part("name=\"other\"; filename=\"a.epub\"", b"x")
        .is_page(400, "");
    server.upload_part("name=\"file\"", b"x").is_page(400, "");
    server
        .upload_part("name=\"file\"; filename*=utf-8''a.epub", b"x")
        .is_page(400, "");
    let long = format!("name=\"file\"; filename=\"{}.epub\"", "x".repeat(295));
    server.upload_part(&long, b"x").is_page(500, "");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &server.bearer()),
    ];
    server
        .send("POST", "/api/upload", &headers, Some(b"{}"))
        .is_page(400, "");
    let (kind, body) = multipart("name=\"file\"; filename=\"a.epub\"", "", b"x");
    let headers = [("Content-Type", kind.as_str())];
    server
        .send("POST", "/api/upload", &headers, Some(&body))
        .is_page(401, "Access denied");
}

#[test]
fn what_is_a_source_already_is_refused() {
    let server = server();
    let bytes = unique();
    let file = server.upload("a.epub", bytes.as_bytes());
    let upload = crate::socket::Socket::open(&server).upload_id(&file, json!({ "title": "x" }));
    let ebook = server.ebook(json!({ "title": unique(), "language": { "id": 2 } }));
    server
        .post(
            &format!("/api/ebooks/{}/add-upload", ebook.id),
            json!({ "upload_id": upload }),
        )
        .ok();
    let again = server
        .upload_part("name=\"file\"; filename=\"b.epub\"", bytes.as_bytes())
        .ok();
    assert_eq!(again, json!({ "error": "file already exists" }));
}

/// Sends these bytes and gives the status line of the answer.
fn raw(server: &Server, request: &[u8]) -> String {
    let address = server.api.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(2).any(|pair| pair == b"\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&chunk[..n]),
        }
    }
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn too_long_a_body_is_refused_by_its_announced_length() {
    let server = server();
    let request = |length: u64| {
        format!(
            "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: \
             multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n--b\r\n",
            server.bearer()
        )
    };
    let line = raw(&server, request((100 << 20) + 1).as_bytes());
    assert!(line.contains(" 413 "), "{line}");
}

#[test]
fn the_limit_counts_the_whole_body() {
    let settings = Settings {
        max_content_length: Some(1000),
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a small limit") else {
        return;
    };
    let part = "name=\"file\"; filename=\"a.epub\"";
    let overhead = multipart(part, "application/octet-stream", b"").1.len();
    let bytes = |size: usize| {
        unique()
            .into_bytes()
            .into_iter()
            .cycle()
            .take(size)
            .collect::<Vec<_>>()
    };
    server.upload_part(part, &bytes(1000 - overhead)).ok();
    server
        .upload_part(part, &bytes(1001 - overhead))
        .is_page(413, "");
    let check = |size: u64| {
        let body = json!({ "mime_type": "", "size": size, "hash": "x", "extension": "epub" });
        server.post("/api/upload/check", body).ok()
    };
    assert_eq!(check(1000), json!({ "result": "ok" }));
    assert_eq!(check(1001), json!({ "error": "file too big" }));
}

#[test]
fn slow_uploads_starve_all_others() {
    let settings = Settings {
        pool_millis: 300,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a small patience") else {
        return;
    };
    let address = server.api.strip_prefix("http://").unwrap();
    let head = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: \
         multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n",
        server.bearer()
    );
    let slow: Vec<TcpStream> = (0..15)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let becomes = |status| (server.get("/api/languages").status == status).then_some(());
    wait_for("starving", Duration::from_secs(20), || becomes(500));
    drop(slow);
    wait_for("recovering", Duration::from_secs(20), || becomes(200));
}

#[test]
fn connections_close_where_no_proxy_keeps_them() {
    for keep_alive in [true, false] {
        let settings = Settings {
            keep_alive,
            ..Settings::default()
        };
        let Some(server) = sandbox_only(settings, "a choice of connections") else {
            return;
        };
        let mut stream = TcpStream::connect(server.api.strip_prefix("http://").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        stream
            .write_all(b"GET /api/languages HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let ended = stream.read_to_end(&mut Vec::new()).is_ok();
        assert_eq!(ended, !keep_alive);
    }
}

#[test]
fn chunked_bodies_are_not_understood() {
    let server = server();
    let request = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: \
         multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n--b\r\n\r\n0\r\n\r\n",
        server.bearer()
    );
    let line = raw(&server, request.as_bytes());
    assert!(line.contains(" 400 "), "{line}");
}

#[test]
fn files_of_refused_and_taken_uploads() {
    let Some(server) = sandbox_only(Settings::default(), "a look into data/uploads") else {
        return;
    };
    let uploads = server.sandbox.as_ref().unwrap().data_dir().join("uploads");
    let files = || {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(&uploads).unwrap() {
            let inside = std::fs::read_dir(folder.unwrap().path()).unwrap();
            found.push(
                inside
                    .map(|file| file.unwrap().file_name())
                    .collect::<Vec<_>>(),
            );
        }
        found
    };
    let file = server.upload("a.epub", b"x");
    assert!(uploads.join(&file).exists());
    // A refused file goes, its folder stays; an empty one stays with its folder.
    server
        .upload_part("name=\"file\"; filename=\"a.foo\"", b"x")
        .ok();
    std::fs::remove_dir_all(uploads.join(&file).parent().unwrap()).unwrap();
    assert_eq!(files().len(), 1, "octet-stream is taken whatever the name");
    let foo = server
        .upload_typed("name=\"file\"; filename=\"b.foo\"", "x/y", b"x")
        .ok();
    assert!(foo["error"].is_string());
    server
        .upload_part("name=\"file\"; filename=\"c.epub\"", b"")
        .is_page(500, "");
    let mut found = files();
    found.sort();
    assert_eq!(
        found,
        [vec![], vec!["a.foo".into()], vec!["c.epub".into()]] as [Vec<std::ffi::OsString>; 3]
    );
    assert!(uploaded(&server, json!({})) > 0);
}
