//! Part 5: POST /api/ebooks/<id>/add-upload, and what becomes of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::wait_for;
use sandbox::Settings;
use serde_json::{Value, json};

use crate::client::{Made, Server, sandbox_only, server, unique};
use crate::socket::{Socket, uploaded};

fn book(server: &Server) -> Made<'_> {
    server.ebook(json!({
        "title": unique(), "language": { "id": 2 }, "authors": [{ "last_name": unique() }],
    }))
}

fn add(server: &Server, ebook: i64, body: Value) -> crate::client::Reply {
    server.post(&format!("/api/ebooks/{ebook}/add-upload"), body)
}

#[test]
fn an_upload_becomes_a_source_and_is_gone() {
    let server = server();
    let upload = uploaded(&server, json!({ "title": "x" }));
    let meta = server.get(&format!("/api/uploads-meta/{upload}")).ok();
    let book = book(&server);
    let source = add(
        &server,
        book.id,
        json!({ "upload_id": upload, "quality": 4.5 }),
    )
    .ok();
    let source = source["id"].as_i64().unwrap();
    server
        .get(&format!("/api/uploads-meta/{upload}"))
        .is_message(404, "");
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    let stored = &read["sources"][0];
    assert_eq!(
        (&stored["id"], &stored["format"]),
        (&json!(source), &json!("epub"))
    );
    assert_eq!(
        (&stored["size"], &stored["quality"]),
        (&meta["size"], &json!(4.5))
    );
    let keys: Vec<&str> = stored
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "created_by",
            "format",
            "id",
            "location",
            "modified",
            "quality",
            "size"
        ]
    );
    if let Some(sandbox) = &server.sandbox {
        let data = sandbox.data_dir();
        assert!(
            !data
                .join("uploads")
                .join(meta["file"].as_str().unwrap())
                .exists()
        );
        let file = data
            .join("books")
            .join(stored["location"].as_str().unwrap());
        assert!(file.exists());
        assert!(!file.with_file_name(".lock_this_dir").exists());
        server.delete(&format!("/api/sources/{source}")).ok();
        assert!(!file.exists() && file.parent().unwrap().exists());
    } else {
        let gone = server.delete(&format!("/api/sources/{source}")).ok();
        assert_eq!(gone, json!({ "id": source, "success": true }));
    }
    assert_eq!(
        server.get(&format!("/api/ebooks/{}", book.id)).ok()["sources"],
        json!([])
    );
}

#[test]
fn the_same_content_is_refused_at_200_and_the_upload_stays() {
    let server = server();
    let bytes = unique();
    let mut socket = Socket::open(&server);
    // Both pass the check of the upload: only sources count there.
    let files = [(); 2].map(|()| server.upload("a.epub", bytes.as_bytes()));
    let [first, second] = files.map(|file| socket.upload_id(&file, json!({})));
    let book =
        server.ebook(json!({ "title": format!("Ručník {}", unique()), "language": { "id": 2 } }));
    let title = server.get(&format!("/api/ebooks/{}", book.id)).ok()["title"].clone();
    let source = add(&server, book.id, json!({ "upload_id": first })).ok()["id"].clone();
    let answer = add(
        &server,
        book.id,
        json!({ "upload_id": second, "quality": null }),
    )
    .ok();
    let details = format!(
        "Existing source {source} in ebook {}({})",
        title.as_str().unwrap(),
        book.id
    );
    assert_eq!(
        answer,
        json!({ "error": "File already exists", "error_details": details })
    );
    server.get(&format!("/api/uploads-meta/{second}")).ok();
}

#[test]
fn what_cannot_be_added() {
    let server = server();
    let book = book(&server);
    let upload = uploaded(&server, json!({}));
    add(&server, 999_999_999, json!({ "upload_id": upload })).is_page(404, "");
    add(&server, book.id, json!({ "upload_id": 999_999_999 })).is_page(404, "");
    add(&server, book.id, json!({})).is_page(400, "Invalid request");
    add(&server, book.id, json!({ "upload_id": null })).is_page(400, "Invalid request");
    add(&server, book.id, json!({ "upload_id": "x" })).is_page(500, "");
    add(
        &server,
        book.id,
        json!({ "upload_id": upload, "quality": "x" }),
    )
    .is_page(500, "");
    add(&server, book.id, json!([])).is_page(500, "");
    let path = format!("/api/ebooks/{}/add-upload", book.id);
    let headers = [
        ("Content-Type", "text/plain"),
        ("Authorization", &server.bearer()),
    ];
    server
        .send("POST", &path, &headers, Some(b"x"))
        .is_page(500, "");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &server.bearer()),
    ];
    server
        .send("POST", &path, &headers, Some(b"{\"a"))
        .is_page(400, "");
    server.get(&format!("/api/uploads-meta/{upload}")).ok();
}

#[test]
fn anybody_may_use_an_upload() {
    let server = server();
    let Some(user) = server.token_of("user") else {
        return;
    };
    let upload = uploaded(&server, json!({}));
    let book = book(&server);
    let bearer = format!("Bearer {user}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = json!({ "upload_id": upload }).to_string();
    let path = format!("/api/ebooks/{}/add-upload", book.id);
    server
        .send("POST", &path, &headers, Some(body.as_bytes()))
        .ok();
}

#[test]
fn two_at_once_add_the_same_content_twice() {
    let settings = Settings {
        lock_millis: 60_000,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a folder that is locked") else {
        return;
    };
    let sandbox = server.sandbox.as_ref().unwrap();
    let mut socket = Socket::open(&server);
    let uploads = [(); 2].map(|()| socket.upload_id(&server.upload("a.epub", b"x"), json!({})));
    let book = server.ebook(json!({ "title": "T", "language": { "id": 2 } }));
    // Whoever waits for the lock has looked for the same content already, and found none.
    let folder = sandbox.data_dir().join("books/No Authors/T(en)");
    fs::create_dir_all(&folder).unwrap();
    let lock = folder.join(".lock_this_dir");
    fs::write(&lock, "").unwrap();
    std::thread::scope(|scope| {
        let server = &server;
        let adders = uploads.map(|upload| {
            scope.spawn(move || add(server, book.id, json!({ "upload_id": upload })).status)
        });
        let waiting = "select 1 from pg_stat_activity where datname = current_database()
            and query like '%from source join ebook%'
            and pid <> pg_backend_pid()";
        wait_for("both at the lock", Duration::from_secs(40), || {
            (sandbox.query(waiting).len() == 2).then_some(())
        });
        fs::remove_file(&lock).unwrap();
        for adder in adders {
            assert_eq!(adder.join().unwrap(), 200);
        }
    });
    assert_eq!(sandbox.query("select hash from source").len(), 2);
}

#[test]
fn a_lock_that_stays_ends_in_500() {
    let settings = Settings {
        lock_millis: 100,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a folder that is locked") else {
        return;
    };
    let folder = server
        .sandbox
        .as_ref()
        .unwrap()
        .data_dir()
        .join("books/No Authors/T(en)");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".lock_this_dir"), "").unwrap();
    let book = server.ebook(json!({ "title": "T", "language": { "id": 2 } }));
    let upload = uploaded(&server, json!({}));
    add(&server, book.id, json!({ "upload_id": upload })).is_page(500, "");
    server.get(&format!("/api/uploads-meta/{upload}")).ok();
}

#[test]
fn ebooks_of_one_folder_share_a_cover() {
    let folder = tempfile::tempdir().unwrap();
    let tool = cover_tool(folder.path());
    let settings = Settings {
        ebook_meta: Some(tool),
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a cover of our own") else {
        return;
    };
    let sandbox = server.sandbox.as_ref().unwrap();
    let body = json!({ "title": "T", "language": { "id": 2 }, "authors": [{ "last_name": "A" }] });
    let books = [(); 2].map(|()| server.ebook(body.clone()));
    for (book, cover) in books.iter().zip(["first cover", "second cover"]) {
        let mut socket = Socket::open(&server);
        let upload = socket.upload_id(&server.upload("a.epub", cover.as_bytes()), json!({}));
        assert_eq!(
            server.get(&format!("/api/uploads-meta/{upload}")).ok()["cover"],
            true
        );
        add(&server, book.id, json!({ "upload_id": upload })).ok();
        assert_eq!(
            server.get(&format!("/api/ebooks/{}", book.id)).ok()["cover"],
            true
        );
        let shared = sandbox.data_dir().join("books/A/T(en)/cover.jpg");
        assert_eq!(fs::read_to_string(shared).unwrap(), cover);
    }
    let locations = sandbox.query(
        "select location, (select cover from ebook where id = ebook_id) from source order by id",
    );
    let cover = Some("A/T(en)/cover.jpg".to_owned());
    assert_eq!(
        locations[0],
        [Some("A/T(en)/A - T.epub".to_owned()), cover.clone()]
    );
    assert_eq!(
        locations[1],
        [Some("A/T(en)/A - T(1).epub".to_owned()), cover]
    );
}

/// An ebook-meta that takes the book's own bytes for its cover.
fn cover_tool(folder: &Path) -> PathBuf {
    let tool = folder.join("ebook-meta");
    let script = "#!/bin/sh\ncp \"$2\" \"${1#--get-cover=}\"\necho 'Title : T'\n";
    fs::write(&tool, script).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    tool
}
