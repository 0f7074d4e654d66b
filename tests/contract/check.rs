//! Part 2: POST /api/upload/check.

use serde_json::{Value, json};

use crate::client::{server, unique};
use crate::socket::uploaded;

#[test]
fn wanted_and_unwanted_files() {
    let server = server();
    let hash = unique();
    let check = |mime: &str, size: u64, extension: Option<&str>| {
        let mut body = json!({ "mime_type": mime, "size": size, "hash": hash });
        if let Some(extension) = extension {
            body["extension"] = extension.into();
        }
        server.post("/api/upload/check", body).ok()
    };
    let ok = json!({ "result": "ok" });
    let epub = "application/epub+zip";
    assert_eq!(check(epub, 1234, Some("epub")), ok);
    assert_eq!(check(epub, 1234, None), ok);
    assert_eq!(check(epub, 1234, Some("exe")), ok);
    assert_eq!(check("APPLICATION/EPUB+ZIP", 1234, None), ok);
    assert_eq!(check("application/octet-stream", 1234, None), ok);
    for known in [
        "pdf", "txt", "pdb", "rtf", "doc", "mobi", "prc", "epub", "odt", "djvu", "html", "htm",
        "chm", "lit", "fb2", "docx", "azw3",
    ] {
        assert_eq!(check("", 1, Some(known)), ok, "{known}");
    }
    // Three mime types are stored with a blank at the end and never match.
    for mime in ["application/vnd.palm", "application/x-ms-reader"] {
        let error = check(mime, 1, Some(""))["error"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(error, format!("unsupported file type {mime}, extension "));
    }
    let unsupported = |mime, extension| {
        check(mime, 1, extension)["error"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        unsupported("application/x-foo", Some("foo")),
        "unsupported file type application/x-foo, extension foo"
    );
    assert_eq!(
        unsupported("", Some("")),
        "unsupported file type , extension "
    );
    assert_eq!(
        unsupported("", None),
        "unsupported file type , extension None"
    );
    assert_eq!(
        unsupported("application/x-foo", Some("EPUB")),
        "unsupported file type application/x-foo, extension EPUB"
    );
    for unknown in ["azw", "cbz", "cbr", "zip", "docm", "FB2"] {
        assert!(
            unsupported("", Some(unknown)).starts_with("unsupported file type "),
            "{unknown}"
        );
    }
    // The limit itself passes here, and fails at the upload.
    let limit = server.sandbox.as_ref().map_or(100 << 20, |_| 100 << 20);
    assert_eq!(check(epub, limit, Some("epub")), ok);
    assert_eq!(
        check(epub, limit + 1, Some("epub")),
        json!({ "error": "file too big" })
    );
    assert_eq!(
        check("x/y", 1 << 40, None),
        json!({ "error": "file too big" })
    );
}

#[test]
fn what_is_not_a_question() {
    let server = server();
    let post = |body: Value| server.post("/api/upload/check", body);
    let page = |body: Value| post(body).is_page(400, "Invalid schema");
    page(json!({ "mime_type": "", "size": 0, "hash": "x" }));
    page(json!({ "size": 1, "hash": "x" }));
    page(json!({ "mime_type": null, "size": 1, "hash": "x" }));
    page(json!({ "mime_type": "x".repeat(256), "size": 1, "hash": "x" }));
    page(json!({}));
    page(json!([]));
    post(json!({ "mime_type": "", "size": 1 })).is_page(500, "Internal Server Error");
    let unknown = json!({ "mime_type": "", "size": 1, "hash": "x", "name": "y" });
    post(unknown).is_page(500, "Internal Server Error");
    post(json!({ "mime_type": "", "size": "1", "hash": "x" })).is_page(500, "");
    post(json!({ "mime_type": "", "size": 1, "hash": "a\0b", "extension": "epub" }))
        .is_page(500, "");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &server.bearer()),
    ];
    server
        .send("POST", "/api/upload/check", &headers, Some(b"{\"a"))
        .is_page(400, "");
    server.get("/api/upload/check").is_page(405, "");
}

#[test]
fn only_the_same_hash_and_size_of_a_source_counts() {
    let server = server();
    let upload = uploaded(&server, json!({ "title": "x" }));
    let meta = server.get(&format!("/api/uploads-meta/{upload}")).ok();
    let (hash, size) = (
        meta["hash"].as_str().unwrap(),
        meta["size"].as_u64().unwrap(),
    );
    let check = |size: u64| {
        let body = json!({ "mime_type": "", "size": size, "hash": hash, "extension": "epub" });
        server.post("/api/upload/check", body).ok()
    };
    // An upload is not yet a source.
    assert_eq!(check(size), json!({ "result": "ok" }));
    let ebook = server.ebook(json!({ "title": unique(), "language": { "id": 2 } }));
    let added = server.post(
        &format!("/api/ebooks/{}/add-upload", ebook.id),
        json!({ "upload_id": upload }),
    );
    assert!(added.ok()["id"].is_i64());
    assert_eq!(check(size), json!({ "error": "file already exists" }));
    assert_eq!(check(size + 1), json!({ "result": "ok" }));
    let upper =
        json!({ "mime_type": "", "size": size, "hash": hash.to_uppercase(), "extension": "epub" });
    assert_eq!(
        server.post("/api/upload/check", upper).ok(),
        json!({ "result": "ok" })
    );
}
