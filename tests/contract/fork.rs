//! What the fork adds, and that upstream has none of it.

use sandbox::Settings;
use serde_json::{Value, json};

use crate::client::{sandbox_only, server, unique};
use crate::socket::{Socket, uploaded};

#[test]
fn upstream_knows_neither_batches_nor_links() {
    let server = server();
    let batch = server.post("/api/upload/check-batch", json!([]));
    if server.sandbox.is_none() && batch.status != 404 {
        println!("skipped: {} is the fork", server.api);
        return;
    }
    batch.is_page(404, "not found");
    let upload = uploaded(
        &server,
        json!({ "use_symlink": true, "original_file_path": "/nowhere" }),
    );
    let book = server.ebook(json!({ "title": unique(), "language": { "id": 2 } }));
    let body =
        json!({ "upload_id": upload, "use_symlink": true, "original_file_path": "/nowhere" });
    server
        .post(&format!("/api/ebooks/{}/add-upload", book.id), body)
        .ok();
    if let Some(sandbox) = &server.sandbox {
        let location = sandbox
            .query("select location from source")
            .remove(0)
            .remove(0)
            .unwrap();
        assert!(!sandbox.data_dir().join("books").join(location).is_symlink());
    }
}

#[test]
fn the_fork_checks_many_and_links() {
    let settings = Settings {
        fork: true,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "the fork") else {
        return;
    };
    let sandbox = server.sandbox.as_ref().unwrap();
    let original = sandbox.data_dir().join("original.epub");
    std::fs::write(&original, "same").unwrap();
    let book = server.ebook(json!({ "title": "T", "language": { "id": 2 } }));
    let add = |upload: i64, more: Value| {
        let mut body = json!({ "upload_id": upload });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server
            .post(&format!("/api/ebooks/{}/add-upload", book.id), body)
            .ok()
    };
    let wish = json!({ "use_symlink": true, "original_file_path": original });
    let mut socket = Socket::open(&server);
    let file = server.upload("a.epub", b"same");
    add(socket.upload_id(&file, json!({})), wish.clone());
    let file = server.upload("b.epub", b"other");
    add(socket.upload_id(&file, wish), json!({}));
    for row in sandbox.query("select location from source") {
        let link = sandbox
            .data_dir()
            .join("books")
            .join(row[0].as_ref().unwrap());
        assert_eq!(std::fs::read_link(link).unwrap(), original);
    }

    let ask = |size: u64, hash: &str| json!({ "mime_type": "", "extension": "epub", "size": size, "hash": hash });
    let same = "94eba5a4a45d9b0b4c4a4a8d0cb31a2a2cbd4dd2";
    let hash = sandbox
        .query("select hash from source order by id")
        .remove(0)
        .remove(0)
        .unwrap();
    let mut no_hash = ask(4, "");
    no_hash.as_object_mut().unwrap().remove("hash");
    let answer = server.post(
        "/api/upload/check-batch",
        json!([ask(4, &hash), ask(4, same), no_hash, ask(600 << 20, same)]),
    );
    let exists = json!({ "error": "file already exists" });
    let expected =
        json!({ "results": [exists, { "result": "ok" }, exists, { "error": "file too big" }] });
    assert_eq!(answer.ok(), expected);
    let many = vec![ask(1, same); 201];
    assert_eq!(
        server.post("/api/upload/check-batch", json!(many)).status,
        400
    );
    assert_eq!(
        server.post("/api/upload/check", ask(500 << 20, same)).ok(),
        json!({ "result": "ok" })
    );
}
