//! Part 5: search and index.

use serde_json::{Value, json};

use crate::client::{Server, server, unique};

fn ids(answer: &Value) -> Vec<i64> {
    answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_i64().unwrap())
        .collect()
}

fn search(server: &Server, words: &str) -> Vec<i64> {
    let words = words
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('(', "%28");
    ids(&server.get(&format!("/api/search/{words}")).ok())
}

#[test]
fn all_words_of_names_title_and_series_match() {
    let server = server();
    let (word, last, series) = (unique(), unique(), unique());
    let book = server.ebook(json!({
        "title": format!("Running Skřítek {word}"), "language": { "id": 1 }, "series_index": 7,
        "authors": [{ "last_name": format!("Č{last}"), "first_name": "Karel" }],
        "series": { "title": format!("Großes {series}") },
    }));
    let found = |words: &str| search(&server, words) == [book.id];
    assert!(found(&word) && found(&word.to_uppercase()) && found(&word[..12]));
    assert!(found(&format!("karel c{last}")) && found(&format!("skritek {word}")));
    assert!(
        found(&format!("{series} 7")),
        "the index of the series is in it"
    );
    assert!(
        found(&format!("run {word}")) && found(&format!("runs {word}")),
        "stems"
    );
    assert!(
        !found(&format!("{word} {last}")),
        "the author begins with another letter"
    );
    assert!(found(&format!("{word}: (c{last})")), "signs are taken out");
    assert!(search(&server, &format!("{word} {}", unique())).is_empty());
    assert!(search(&server, "the").is_empty(), "nothing but a stop word");
    let item = &server
        .get(&format!("/api/search/{word}?page=1&page_size=5"))
        .ok()["items"][0];
    let keys: Vec<&str> = item
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "authors",
        "cover",
        "id",
        "language",
        "series",
        "series_index",
        "title",
    ];
    assert_eq!(keys, expected);
    assert_eq!(item["authors"][0].as_object().unwrap().len(), 3, "{item}");
}

#[test]
fn pages_of_a_search() {
    let server = server();
    let word = unique();
    let title = |n: i32| json!({ "title": format!("{word} {n}"), "language": { "id": 2 } });
    let books: Vec<_> = (0..3).map(|n| server.ebook(title(n))).collect();
    let mut all = Vec::new();
    for page in 1..=2 {
        let answer = server
            .get(&format!("/api/search/{word}?page={page}&page_size=2"))
            .ok();
        assert_eq!(
            (&answer["page"], &answer["total"]),
            (&json!(page), &json!(3))
        );
        all.extend(ids(&answer));
    }
    all.sort_unstable();
    assert_eq!(all, books.iter().map(|book| book.id).collect::<Vec<_>>());
    server
        .get(&format!("/api/search/{word}?page=3&page_size=2"))
        .is_message(404, "not found");
    let none = server.get(&format!("/api/search/{}", unique())).ok();
    assert_eq!(
        none,
        json!({ "page": 1, "page_size": 10, "total": 0, "items": [] })
    );
    server
        .get("/api/search/x?page_size=101")
        .is_message(400, "Page size bigger then maximum");
    server
        .get("/api/search/x?page=0")
        .is_message(400, "Not positive number page");
    server
        .get("/api/search/x?sort=title")
        .is_message(400, "Sorting not supported");
    server.get("/api/search/a%2Fb").is_page(404, "not found");
}

#[test]
fn odd_characters_find_nothing_and_break_nothing() {
    let server = server();
    for odd in [
        "%00",
        "%0A",
        "%FF",
        "%20",
        "%25",
        "%5C",
        "%27",
        "%3C-%3E",
        "%F0%9F%98%80",
        "_",
        "+",
    ] {
        let answer = server.get(&format!("/api/search/{}{odd}", unique())).ok();
        assert_eq!(answer["total"], 0, "{odd}");
    }
    server.get("/api/ebooks/index/%00").is_page(500, "");
    server.get("/api/search/").is_page(404, "not found");
}

#[test]
fn more_than_32_signs_break_a_query() {
    let server = server();
    let blanks = "a%20".repeat(31);
    server.get(&format!("/api/search/{blanks}%28")).ok();
    let blanks = "a%20".repeat(32);
    server
        .get(&format!("/api/search/{blanks}%28"))
        .is_message(500, "Internal Server Error");
    server.get(&format!("/api/search/{blanks}a%20a%20a")).ok();
}

#[test]
fn the_index_compares_beginnings() {
    let server = server();
    let word = unique();
    let book = server.ebook(json!({ "title": format!("Ž{word} one"), "language": { "id": 1 } }));
    let index = |start: &str| server.get(&format!("/api/ebooks/index/{start}")).ok();
    assert_eq!(ids(&index(&format!("z{word}"))), [book.id]);
    assert_eq!(
        ids(&index(&format!("Z{}%20ONE", word.to_uppercase()))),
        [book.id]
    );
    assert_eq!(
        ids(&index(&format!("z{word}%20o%25e"))),
        [book.id],
        "% is a wildcard"
    );
    assert_eq!(ids(&index(&format!("_{word}"))), [book.id], "_ is one too");
    assert!(ids(&index(&word)).is_empty());
    assert!(
        ids(&index(&format!("z{word}+one"))).is_empty(),
        "a plus is a plus"
    );
    let answer = index(&format!("z{word}"));
    assert_eq!(answer["total"], 1);
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
}

#[test]
fn the_index_ends_at_100() {
    let server = server();
    let word = unique();
    let title = |n: i32| json!({ "title": format!("{word} {n}"), "language": { "id": 2 } });
    let _books: Vec<_> = (0..101).map(|n| server.ebook(title(n))).collect();
    let answer = server.get(&format!("/api/ebooks/index/{word}")).ok();
    assert_eq!(
        (answer["total"].as_i64(), ids(&answer).len()),
        (Some(101), 100)
    );
}

#[test]
fn series_have_an_index_too() {
    let server = server();
    let (word, title) = (unique(), unique());
    let series = format!("Ž{word} s");
    let _book = server.ebook(json!({"title": title, "language": { "id": 1 },
        "series": { "title": series }, "series_index": 1}));
    let answer = server.get(&format!("/api/series/index/z{word}")).ok();
    assert_eq!(answer["total"], 1);
    assert_eq!(answer["items"][0]["title"], series);
    assert!(answer["items"][0]["id"].is_i64());
}
