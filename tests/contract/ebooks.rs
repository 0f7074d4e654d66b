//! Part 5: POST, GET and DELETE of ebooks, languages and genres.

use serde_json::{Value, json};

use crate::client::{server, unique};

#[test]
fn languages_and_genres() {
    let server = server();
    let languages = server.get("/api/languages").ok();
    let codes: Vec<&str> = languages
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["cs", "en", "ru", "sk"]);
    assert_eq!(
        languages[1],
        json!({ "id": 2, "code": "en", "name": "English" })
    );
    let genres = server.get("/api/genres").ok();
    assert_eq!(genres.as_array().unwrap().len(), 57);
    assert!(
        genres
            .as_array()
            .unwrap()
            .contains(&json!({ "id": 14, "name": "Humor/Satire" }))
    );
    server
        .get("/api/formats")
        .is_page(404, "The requested URL was not found");
}

#[test]
fn what_is_posted_is_what_is_read() {
    let server = server();
    let (title, last, series) = (unique(), unique(), unique());
    let body = json!({
        "title": title, "language": { "id": 2 }, "series_index": 4, "series": { "title": series },
        "authors": [{ "last_name": last, "first_name": "Jan" }, { "last_name": last }],
        "genres": [{ "id": 14, "name": "ignored" }], "nonsense": 5, "rating": 3,
    });
    let book = server.ebook(body);
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    assert_eq!(read["id"], book.id);
    assert_eq!(
        (&read["title"], &read["series_index"]),
        (&json!(title), &json!(4))
    );
    assert_eq!(
        read["language"],
        json!({ "id": 2, "code": "en", "name": "English" })
    );
    assert_eq!(read["series"]["title"], series.as_str());
    assert_eq!(read["authors"].as_array().unwrap().len(), 2);
    assert_eq!(
        read["authors"][1].as_object().unwrap().len(),
        2,
        "no first_name: {read}"
    );
    assert_eq!(
        read["genres"],
        json!([{ "id": 14, "name": "Humor/Satire" }])
    );
    assert_eq!(
        (&read["cover"], &read["sources"]),
        (&json!(false), &json!([]))
    );
    let keys: Vec<&str> = read
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "authors",
        "cover",
        "created",
        "created_by",
        "genres",
        "id",
        "language",
        "modified",
        "modified_by",
        "series",
        "series_index",
        "sources",
        "title",
        "version_id",
    ];
    assert_eq!(keys, expected);

    // Exact names are taken up again; the same title and author make a second ebook.
    let again = json!({
        "title": title, "language": { "id": 2 }, "series": { "title": series },
        "authors": [{ "last_name": last, "first_name": "Jan" }],
    });
    let second = server.ebook(again);
    assert_ne!(second.id, book.id);
    let second = server.get(&format!("/api/ebooks/{}", second.id)).ok();
    assert_eq!(second["series"], read["series"]);
    assert!(
        read["authors"]
            .as_array()
            .unwrap()
            .contains(&second["authors"][0])
    );
    let known = json!({
        "title": unique(), "language": { "id": 2 }, "authors": [second["authors"][0]],
        "series": { "id": second["series"]["id"] },
    });
    let third = server.ebook(known);
    let third = server.get(&format!("/api/ebooks/{}", third.id)).ok();
    assert_eq!(
        (&third["authors"], &third["series"]),
        (&second["authors"], &second["series"])
    );
}

#[test]
fn empty_titles_and_no_authors_are_taken() {
    let server = server();
    let book = server.ebook(json!({ "title": "", "language": { "id": 2 } }));
    assert_eq!(
        server.get(&format!("/api/ebooks/{}", book.id)).ok()["title"],
        ""
    );
    let twice = json!([{ "last_name": unique() }]);
    let twice = json!([twice[0], twice[0], null, {}]);
    let book = server.ebook(json!({ "title": "x", "language": { "id": 2 }, "authors": twice }));
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    assert_eq!(read["authors"].as_array().unwrap().len(), 1);
    let cut = json!({ "title": "x", "language": { "id": "2" }, "series_index": 3.9 });
    let book = server.ebook(cut);
    assert_eq!(
        server.get(&format!("/api/ebooks/{}", book.id)).ok()["series_index"],
        3
    );
}

#[test]
fn invalid_data_is_200_with_details() {
    let server = server();
    let details = |body: Value| {
        let answer = server.post("/api/ebooks", body).ok();
        assert_eq!(answer["error"], "Invalid data", "{answer}");
        answer["error_details"].clone()
    };
    let missing = json!(["Missing data for required field."]);
    let en = json!({ "id": 2 });
    let no_language = json!({ "language": { "code": missing, "name": missing } });
    assert_eq!(details(json!({ "title": "x" })), no_language);
    assert_eq!(
        details(json!({ "language": en })),
        json!({ "title": missing })
    );
    let nothing = json!(["Field may not be null."]);
    assert_eq!(
        details(json!({ "title": null, "language": en })),
        json!({ "title": nothing })
    );
    assert_eq!(
        details(json!({ "title": "x", "language": null })),
        json!({ "language": nothing })
    );
    assert_eq!(
        details(json!({ "title": "x", "language": {} })),
        json!({ "language": nothing })
    );
    let text = json!(["Not a valid string."]);
    assert_eq!(
        details(json!({ "title": 5, "language": en })),
        json!({ "title": text })
    );
    let whole = json!({ "series_index": ["Not a valid integer."] });
    assert_eq!(
        details(json!({ "title": "x", "language": en, "series_index": "a" })),
        whole
    );
    let all = json!({
        "title": "x".repeat(257), "language": en, "series": { "title": "x".repeat(257) },
        "authors": [{ "last_name": "x" }, { "last_name": "x".repeat(129), "first_name": "é".repeat(129) }],
    });
    let longer = |most| json!([format!("Longer than maximum length {most}.")]);
    let expected = json!({
        "title": longer(256), "series": { "title": longer(256) },
        "authors": { "1": { "last_name": longer(128), "first_name": longer(128) } },
    });
    assert_eq!(details(all), expected);
    let entity = "This entity {'name': 'Nonsense'} must have id";
    let genre = json!({ "title": "x", "language": en, "genres": [{ "name": "Nonsense" }] });
    assert_eq!(details(genre), entity);
    assert_eq!(
        details(json!({ "title": "x", "language": { "name": "Nonsense" } })),
        entity
    );
    assert_eq!(
        details(json!({ "title": "x", "language": en, "genres": 5 })),
        "Value must be list"
    );
    assert_eq!(details(json!([1])), "Invalid data type");
}

#[test]
fn what_the_database_refuses_is_200_and_what_python_refuses_is_500() {
    let server = server();
    let en = json!({ "id": 2 });
    let details = |body: Value| {
        let answer = server.post("/api/ebooks", body).ok();
        assert_eq!(answer["error"], "Database error", "{answer}");
        answer["error_details"].as_str().unwrap().to_owned()
    };
    let broken = "(psycopg2.IntegrityError) null value in column";
    assert!(details(json!({ "title": "x", "language": { "id": 999 } })).starts_with(broken));
    let nobody = json!({ "title": "x", "language": en, "authors": [{ "first_name": "A" }] });
    assert!(details(nobody).starts_with(broken));
    let genre = json!({ "title": "x", "language": en, "genres": [{ "id": 9999 }] });
    assert!(details(genre).starts_with(broken));
    let nul = details(json!({ "title": "a\0b", "language": en }));
    assert_eq!(
        nul,
        "A string literal cannot contain NUL (0x00) characters."
    );
    let big = json!({ "title": "x", "language": en, "series_index": 99_999_999_999_u64 });
    assert!(details(big).starts_with("(psycopg2.DataError) integer out of range"));
    // The base_dir of long names does not fit into 512 characters.
    let long = json!({
        "title": "t", "language": en, "series": { "title": "s".repeat(250) },
        "authors": [{ "last_name": "l".repeat(128), "first_name": "f".repeat(128) }],
    });
    assert!(details(long).starts_with("(psycopg2.DataError) value too long"));

    let fails = |body: Value| {
        server
            .post("/api/ebooks", body)
            .is_message(500, "Internal Server Error")
    };
    fails(json!({ "title": "x", "language": en, "authors": [{ "id": 999_999_999 }] }));
    fails(json!({ "title": "x", "language": en, "series": { "id": 999_999_999 } }));
    fails(json!({ "title": "x", "language": en, "series": { "foo": "x" } }));
    fails(json!({ "title": "x", "language": en, "series": "x" }));
    fails(json!({ "title": "x", "language": "en" }));
    fails(json!({ "title": "x", "language": en, "authors": [{ "last_name": "a\0b" }] }));
    fails(json!({ "title": "x", "language": en, "series": { "title": "a\0b" } }));
    for body in [json!([]), json!({})] {
        server
            .post("/api/ebooks", body)
            .is_message(400, "could not understand");
    }
}

#[test]
fn lists_have_totals_and_pages() {
    let server = server();
    let _books =
        [(); 3].map(|()| server.ebook(json!({ "title": unique(), "language": { "id": 2 } })));
    let first = server.get("/api/ebooks?page_size=2&sort=-created").ok();
    assert_eq!(
        (&first["page"], &first["page_size"]),
        (&json!(1), &json!(2))
    );
    assert!(first["total"].as_i64().unwrap() >= 3, "{first}");
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let keys: Vec<&str> = first["items"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["authors", "cover", "id", "language", "title"]);
    assert_eq!(server.get("/api/ebooks").ok()["page_size"], 10);
    server
        .get("/api/ebooks?page=99999999")
        .is_message(404, "The requested URL was not found");
    server
        .get("/api/ebooks?page_size=101")
        .is_message(400, "Page size bigger then maximum");
    server
        .get("/api/ebooks?page=0")
        .is_message(400, "Not positive number page");
    server
        .get("/api/ebooks?page=x")
        .is_message(400, "Invalid number for page");
    server
        .get("/api/ebooks?sort=x")
        .is_message(400, "Invalid sort key x");
}

#[test]
fn deletion_is_for_owners_and_superusers() {
    let server = server();
    let book = server.ebook(json!({ "title": unique(), "language": { "id": 2 } }));
    let path = format!("/api/ebooks/{}", book.id);
    if let Some(user) = server.token_of("user") {
        let bearer = format!("Bearer {user}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        server
            .send("DELETE", &path, &headers[..1], None)
            .is_message(403, "Access denied");
        let body = json!({ "title": unique(), "language": { "id": 2 } }).to_string();
        let own = server
            .send("POST", "/api/ebooks", &headers, Some(body.as_bytes()))
            .ok();
        let own = format!("/api/ebooks/{}", own["id"]);
        server.send("DELETE", &own, &headers[..1], None).ok();
    }
    assert_eq!(
        server.delete(&path).ok(),
        json!({ "id": book.id, "success": true })
    );
    server
        .delete(&path)
        .is_message(404, "The requested URL was not found");
    server
        .get(&path)
        .is_message(404, "The requested URL was not found");
    server
        .delete("/api/sources/999999999")
        .is_message(404, "The requested URL was not found");
    let headers = [("Authorization", &*server.bearer())];
    server
        .send("PUT", &path, &headers, Some(b""))
        .is_message(405, "not allowed");
}
