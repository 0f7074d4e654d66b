//! Parts 4 and 5: what the metadata task makes, read back through uploads-meta.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sandbox::Settings;
use serde_json::{Value, json};

use crate::client::{Server, sandbox_only, server, unique};
use crate::socket::{Socket, uploaded};

fn meta_of(server: &Server, upload: i64) -> Value {
    server.get(&format!("/api/uploads-meta/{upload}")).ok()
}

#[test]
fn files_that_cannot_be_read_are_a_success() {
    let server = server();
    let mut socket = Socket::open(&server);
    for extension in ["epub", "pdf", "mobi", "txt", "docx", "djvu", "fb2", "azw3"] {
        let bytes = format!("\u{1}\u{2} {}", unique());
        let file = server.upload(&format!("Some_Name.{extension}"), bytes.as_bytes());
        let row = meta_of(&server, socket.upload_id(&file, json!({})));
        // Any text is a readable plain text; in all other names blanks come back.
        let title = if extension == "txt" {
            "Some_Name"
        } else {
            "Some Name"
        };
        let expected = json!({ "title": title, "authors": [{ "last_name": "Unknown" }] });
        let mut meta = row["meta"].clone();
        // Somebody may have stored a book by Unknown.
        meta["authors"][0].as_object_mut().unwrap().remove("id");
        assert_eq!(meta, expected, "{extension}");
        assert_eq!(row["size"], bytes.len());
        assert_eq!(row["file"], file);
        assert_eq!(row["load_source"], format!("Some_Name.{extension}"));
    }
}

#[test]
fn a_dash_in_an_unreadable_file_s_name_divides_title_and_author() {
    let server = server();
    let (title, last) = (unique(), unique());
    let file = server.upload(
        &format!("A - {title} - Eve {last}.epub"),
        unique().as_bytes(),
    );
    assert!(
        file.ends_with(&format!("/A_-_{title}_-_Eve_{last}.epub")),
        "{file}"
    );
    let row = meta_of(&server, Socket::open(&server).upload_id(&file, json!({})));
    assert_eq!(row["meta"]["title"], format!("A - {title}"));
    let author = json!({ "last_name": last, "first_name": "Eve" });
    assert_eq!(row["meta"]["authors"], json!([author]));
}

#[test]
fn proposed_keys_replace_and_known_things_get_ids() {
    let server = server();
    let (last, series) = (unique(), unique());
    let body = json!({
        "title": unique(), "language": { "id": 1 },
        "authors": [{ "last_name": last, "first_name": "Jan" }],
        "series": { "title": format!("Škola {series}") },
    });
    let _book = server.ebook(body);
    let proposed = json!({
        "title": "Proposed Title",
        "authors": [{ "last_name": last, "first_name": "Jan" }, { "last_name": unique() }],
        "genres": [{ "name": "satire" }, { "name": "science fiction" }, { "name": unique() }],
        "language": { "code": "ces" },
        "series": { "title": format!("ŠKOLA {series}") },
        "series_index": 3,
        "quality": 5,
    });
    let row = meta_of(&server, uploaded(&server, proposed.clone()));
    let meta = &row["meta"];
    assert_eq!(meta["title"], "Proposed Title");
    assert!(meta["authors"][0]["id"].is_i64(), "{meta}");
    assert_eq!(meta["authors"][1], proposed["authors"][1]);
    assert_eq!(meta["genres"][0]["name"], "Humor/Satire");
    assert_eq!(meta["genres"][0]["id"], 14);
    assert_eq!(meta["genres"][1]["name"], "Science Fiction");
    assert!(meta["genres"][1]["id"].is_i64(), "{meta}");
    assert_eq!(meta["genres"][2], proposed["genres"][2]);
    assert_eq!(
        meta["language"],
        json!({ "id": 1, "code": "cs", "name": "Czech" })
    );
    assert_eq!(meta["series"]["title"], format!("Škola {series}"));
    assert!(meta["series"]["id"].is_i64(), "{meta}");
    assert_eq!(
        (&meta["series_index"], &meta["quality"]),
        (&json!(3), &json!(5))
    );
    assert_eq!((&row["format"], &row["cover"]), (&json!(8), &json!(false)));
    assert_eq!(row["hash"].as_str().unwrap().len(), 40);
    assert!(
        row["created"].as_str().unwrap().ends_with("+00:00"),
        "{row}"
    );
    assert_eq!(row["created_by"], row["modified_by"]);

    let unknown =
        json!({ "title": "t", "authors": [{ "last_name": last }], "language": { "code": "de" } });
    let meta = meta_of(&server, uploaded(&server, unknown))["meta"].clone();
    assert_eq!(
        meta["authors"],
        json!([{ "last_name": last }]),
        "first names count"
    );
    assert_eq!(meta["language"], json!({ "code": "de" }));
}

#[test]
fn a_book_that_can_be_read_tells_title_author_language_and_cover() {
    let (tool, guide) = (
        "/usr/bin/ebook-meta",
        "/usr/share/calibre/quick_start/eng.epub",
    );
    if !Path::new(tool).exists() || !Path::new(guide).exists() {
        println!("skipped: no Calibre here");
        return;
    }
    let settings = Settings {
        ebook_meta: Some(tool.into()),
        ..Settings::default()
    };
    let server = sandbox_only(settings, "ebook-meta").unwrap_or_else(server);
    // Bytes after the archive's end make a book of our own that reads the same.
    let mut bytes = std::fs::read(guide).unwrap();
    bytes.extend_from_slice(unique().as_bytes());
    let file = server.upload("guide.epub", &bytes);
    let row = meta_of(&server, Socket::open(&server).upload_id(&file, json!({})));
    let meta = &row["meta"];
    assert_eq!(meta["title"], "Quick Start Guide");
    assert_eq!(meta["authors"][0]["last_name"], "Schember");
    assert_eq!(meta["authors"][0]["first_name"], "John");
    assert_eq!(
        meta["language"],
        json!({ "id": 2, "code": "en", "name": "English" })
    );
    assert_eq!(row["cover"], true);
    assert_eq!(row["size"], bytes.len());
    if let Some(sandbox) = &server.sandbox {
        let folder = sandbox
            .data_dir()
            .join("uploads")
            .join(&file)
            .with_file_name("");
        assert!(folder.join("cover.jpg").exists() && !folder.join("cover_tmp.jpg").exists());
    }
}

#[test]
fn a_tool_that_hangs_or_fails_ends_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("tool");
    let script = |text: &str| {
        std::fs::write(&tool, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("exec sleep 600");
    let settings = Settings {
        ebook_meta: Some(tool.clone()),
        task_limit: 1,
        ..Settings::default()
    };
    let Some(server) = sandbox_only(settings, "a tool that hangs") else {
        return;
    };
    let file = server.upload("a.epub", unique().as_bytes());
    let mut socket = Socket::open(&server);
    assert_eq!(socket.error(&file, json!({})), "Timeout after 1.000000");
    script("echo no >&2; exit 3");
    let error = socket.error(&file, json!({}));
    assert!(error.contains("failed with return code 3"), "{error}");
}

#[test]
fn proposals_that_are_none() {
    let server = server();
    let mut socket = Socket::open(&server);
    let file = server.upload("a.epub", unique().as_bytes());
    assert_eq!(
        socket.error(&file, json!(null)),
        "'NoneType' object is not iterable"
    );
    let error = socket.error(&file, json!({ "language": "cs" }));
    assert_eq!(error, "'str' object has no attribute 'get'");
    assert_eq!(
        socket.error(&file, json!({ "authors": [{ "first_name": "A" }] })),
        "'last_name'"
    );
    assert_eq!(socket.error(&file, json!({ "series": {} })), "'title'");
    let error = socket.error(&file, json!({ "series": null }));
    assert_eq!(error, "'NoneType' object is not subscriptable");
    let error = socket.error(&file, json!({ "genres": null }));
    assert_eq!(error, "'NoneType' object is not iterable");
    let error = socket.error(&file, json!({ "authors": [{ "last_name": "a\0b" }] }));
    assert_eq!(
        error,
        "A string literal cannot contain NUL (0x00) characters."
    );
    // Where nothing is looked up, a NUL passes this step.
    let upload = socket.upload_id(&file, json!({ "title": "a\0b" }));
    assert_eq!(meta_of(&server, upload)["meta"]["title"], "a\0b");
}

#[test]
fn unknown_uploads_are_not_found() {
    let server = server();
    server
        .get("/api/uploads-meta/999999999")
        .is_message(404, "The requested URL was not found");
    server
        .get("/api/uploads-meta/x")
        .is_page(404, "The requested URL was not found");
}
