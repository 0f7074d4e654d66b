//! Part 7: names on disk.

use std::path::Path;

use sandbox::Settings;
use serde_json::{Value, json};

use crate::client::{Server, sandbox_only, server, unique};
use crate::socket::uploaded;

/// Creates the book, adds a file and gives its location. The ebook is removed again.
fn location(server: &Server, body: Value) -> String {
    let book = server.ebook(body);
    add(server, book.id);
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    let location = read["sources"][0]["location"].as_str().unwrap().to_owned();
    if let Some(sandbox) = &server.sandbox {
        let file = sandbox.data_dir().join("books").join(&location);
        assert!(file.is_file(), "{}", file.display());
    }
    location
}

fn add(server: &Server, ebook: i64) {
    let upload = uploaded(server, json!({ "title": "x" }));
    server
        .post(
            &format!("/api/ebooks/{ebook}/add-upload"),
            json!({ "upload_id": upload }),
        )
        .ok();
}

fn body(
    title: &str,
    language: i64,
    authors: &[(&str, &str)],
    series: Option<(&str, i64)>,
) -> Value {
    let author = |(last, first): &(&str, &str)| match *first {
        "" => json!({ "last_name": last }),
        first => json!({ "last_name": last, "first_name": first }),
    };
    let authors: Vec<Value> = authors.iter().map(author).collect();
    let mut body = json!({ "title": title, "language": { "id": language }, "authors": authors });
    if let Some((title, index)) = series {
        body["series"] = json!({ "title": title });
        body["series_index"] = index.into();
    }
    body
}

#[test]
fn authors_title_language_and_series_make_the_name() {
    let server = server();
    let w = unique();
    let check = |body: Value, expected: String| assert_eq!(location(&server, body), expected);
    let simple = format!("Simple Title {w}");
    check(
        body(&simple, 2, &[("Novák", "Jan")], None),
        format!("Novak Jan/{simple}(en)/Novak Jan - {simple}.epub"),
    );
    let two = format!("Two Authors {w}");
    check(
        body(&two, 1, &[("Čapek", "Karel"), ("Čapek", "Josef")], None),
        format!("Capek K, Capek J/{two}(cs)/Capek K, Capek J - {two}.epub"),
    );
    let five = format!("Five Authors {w}");
    let names = [
        ("A1", "X"),
        ("A2", "Y"),
        ("A3", "Z"),
        ("A4", "U"),
        ("A5", "V"),
    ];
    let line = "A1 X, A2 Y, A3 Z and others";
    check(
        body(&five, 2, &names, None),
        format!("{line}/{five}(en)/{line} - {five}.epub"),
    );
    let series = format!("Zaklínač {w}");
    let plain = format!("Zaklinac {w}");
    check(
        body(
            "In Series",
            1,
            &[("Sapkowski", "Andrzej")],
            Some((&series, 3)),
        ),
        format!(
            "Sapkowski Andrzej/{plain}/{plain} 3 - In Series(cs)/Sapkowski Andrzej - {plain} 3 - In Series.epub"
        ),
    );
    let none = format!("No One {w}");
    check(
        body(&none, 2, &[], None),
        format!("No Authors/{none}(en)/No Authors - {none}.epub"),
    );
    let last = format!("Last{w}");
    check(
        body("T", 2, &[(&last, "")], None),
        format!("{last}/T(en)/{last} - T.epub"),
    );
    let mut indexless = body("T", 2, &[(&last, "Eve")], Some((&series, 0)));
    indexless.as_object_mut().unwrap().remove("series_index");
    check(
        indexless,
        format!("{last} Eve/{plain}/{plain} 0 - T(en)/{last} Eve - {plain} 0 - T.epub"),
    );
}

#[test]
fn signs_and_letters_beyond_ascii() {
    let server = server();
    let w = unique();
    let check = |body: Value, expected: String| assert_eq!(location(&server, body), expected);
    let slashes = body(
        "AC/DC: Live / Part 1",
        2,
        &[("Slash-Name", "A/B")],
        Some((&format!("S/lash {w}"), 1)),
    );
    check(
        slashes,
        format!(
            "Slash-Name A-B/S-lash {w}/S-lash {w} 1 - AC-DC Live - Part 1(en)/Slash-Name A-B - S-lash {w} 1 - AC-DC Live - Part 1.epub"
        ),
    );
    let letters = format!("Straße Łódź Ørsted Æther ﬁn {w}");
    let plain = format!("Strase Lodz Orsted AEther fin {w}");
    check(
        body(&letters, 2, &[("Þór", "Ðæ")], None),
        format!("Thor Dae/{plain}(en)/Thor Dae - {plain}.epub"),
    );
    let dropped = format!("a:b*c%d|e\"f<g>h?i\\j {w}");
    let left = format!("abcdefghij {w}");
    check(
        body(&dropped, 2, &[("A", "")], None),
        format!("A/{left}(en)/A - {left}.epub"),
    );
    let kept = format!("{w}\ttab\nline. ");
    check(
        body(&kept, 2, &[("A", "")], None),
        format!("A/{kept}(en)/A - {kept}.epub"),
    );
    let solidus = format!("a\u{ff0f}{w}");
    let found = location(&server, body(&solidus, 2, &[("A", "")], None));
    assert_eq!(
        found,
        format!("A/a/{w}(en)/A - a/{w}.epub"),
        "a wide slash makes a folder"
    );
}

#[test]
fn cyrillic_names_are_blanks_and_share_folders() {
    let server = server();
    let first = server.ebook(body("Война и мир", 4, &[("Толстой", "Лев")], None));
    let second = server.ebook(body("Отцы и дети", 4, &[("Тургене", "Ива")], None));
    let dir = format!("{b:11}/{b:11}(ru)/", b = "");
    for book in [first, second] {
        add(&server, book.id);
        let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
        let location = read["sources"][0]["location"].as_str().unwrap();
        assert!(location.starts_with(&dir), "{location:?}");
        let name = location.strip_prefix(&dir).unwrap();
        assert!(
            name.starts_with(&format!("{b:11} - ", b = "")) && name.ends_with(".epub"),
            "{name:?}"
        );
    }
}

#[test]
fn a_name_that_is_taken_gets_marks_that_add_up() {
    let server = server();
    let title = unique();
    let book = server.ebook(body(&title, 2, &[("A", "")], None));
    for _ in 0..3 {
        add(&server, book.id);
    }
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    let mut names: Vec<&str> = read["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["location"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let dir = format!("A/{title}(en)/A - {title}");
    assert_eq!(
        names,
        [
            format!("{dir}(1)(2).epub"),
            format!("{dir}(1).epub"),
            format!("{dir}.epub")
        ]
    );
}

#[test]
fn dots_lead_out_of_the_store() {
    let Some(server) = sandbox_only(Settings::default(), "a file outside data/books") else {
        return;
    };
    let books = server.sandbox.as_ref().unwrap().data_dir().join("books");
    let book = server.ebook(body(".hidden", 2, &[("..", "")], None));
    add(&server, book.id);
    let read = server.get(&format!("/api/ebooks/{}", book.id)).ok();
    assert_eq!(
        read["sources"][0]["location"],
        "../.hidden(en)/.. - .hidden.epub"
    );
    assert!(books.join("../.hidden(en)/.. - .hidden.epub").exists());
    assert!(
        Path::new(&books)
            .parent()
            .unwrap()
            .join(".hidden(en)")
            .exists()
    );
}

#[test]
fn names_too_long_for_the_disk_fail_when_the_file_is_added() {
    let server = server();
    let title = |length: usize| format!("{}{}", unique(), "t".repeat(length - 14));
    location(&server, body(&title(200), 2, &[("Title", "Long")], None));
    let (a, b) = (title(150), title(150));
    let (last, first) = (title(128), title(128));
    for body in [
        body(&title(240), 2, &[("Title", "Long")], None),
        body(&title(256), 2, &[("Title", "Long")], None),
        body(&a, 2, &[("Title", "Long")], Some((&b, 1))),
        body("short", 2, &[(&last, &first)], None),
    ] {
        let book = server.ebook(body);
        let upload = uploaded(&server, json!({ "title": "x" }));
        let path = format!("/api/ebooks/{}/add-upload", book.id);
        server
            .post(&path, json!({ "upload_id": upload }))
            .is_page(500, "");
        // Both rows stay.
        server.get(&format!("/api/uploads-meta/{upload}")).ok();
        assert_eq!(
            server.get(&format!("/api/ebooks/{}", book.id)).ok()["sources"],
            json!([])
        );
    }
}
