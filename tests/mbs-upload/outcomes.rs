use super::*;
use std::fs;

#[test]
fn files_arrive_once_and_a_second_run_sends_nothing() {
    let bench = Bench::new();
    let books = bench.books(12);
    let ran = bench.tool(&books).ok();
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 12);
    assert_eq!(ran.summary()["uploaded"], 12);
    assert_eq!(ran.summary()["complete"], true);
    for book in &books {
        let upload = outcome(&ran, book);
        assert_eq!(
            (&upload["outcome"], &upload["attempts"]),
            (&json!("uploaded"), &json!(1))
        );
        assert!(upload["ebook_id"].is_i64() && upload["source_id"].is_i64());
        // What the tool does not know flows through.
        assert_eq!(
            (&upload["book_id"], &upload["title"]),
            (&book["book_id"], &book["title"])
        );
    }
    let sent = bench.server.count("POST", "/api/upload");
    let again = bench.tool(&books).ok();
    assert_eq!(counts(&again)["duplicate"], 12);
    assert!(
        again
            .of_type("upload")
            .iter()
            .all(|upload| upload["by"] == "check")
    );
    assert_eq!(bench.server.count("POST", "/api/upload"), sent);
    bench.holds(&books);
}

#[test]
fn an_upload_takes_no_more_requests_than_it_must() {
    let bench = Bench::new();
    let books = bench.books(5);
    bench.tool(&books).ok();
    let log = bench.server.log();
    let of = |method: &str| log.iter().filter(|entry| entry.method == method).count();
    // Login, languages, genres; one probe for check-batch; then check, upload, index, create, add.
    assert_eq!(of("POST"), 1 + 1 + 5 * 4, "{log:#?}");
    // The handshake of the WebSocket is a GET, too.
    assert_eq!(of("GET"), 2 + 5 + 1);
    assert_eq!(of("WS"), 1);
}

#[test]
fn what_is_known_is_not_even_asked_for() {
    let bench = Bench::new();
    let books = bench.books(4);
    let mut other_size = books[2].clone();
    other_size["size"] = json!(1);
    let known = bench.has(&[books[0].clone(), books[1].clone(), other_size]);
    let first = bench.dir.write("one.ndjson", lines(&known[..1]));
    // Cut short: used as it is, and told.
    let second = format!("{}\n{}\n", known[1], known[2]);
    let second = bench.dir.write("two.ndjson", second);
    let ran = bench
        .tool(&books)
        .arg("--known")
        .arg(&first)
        .arg("--known")
        .arg(&second)
        .ok();
    ran.one_line(&["two.ndjson", "no summary", "the server decides"]);
    for (i, by) in [(0, json!("known")), (1, json!("known"))] {
        let upload = outcome(&ran, &books[i]);
        assert_eq!((&upload["by"], &upload["attempts"]), (&by, &json!(0)));
    }
    bench.holds(&books[2..]);
    // Two files, and three samples of what is known.
    assert_eq!(bench.server.count("POST", "/api/upload/check"), 2 + 3);
}

#[test]
fn equal_bytes_go_once_whatever_they_are_called() {
    let bench = Bench::new();
    let mut records = vec![];
    for (i, title) in ["One", "Two", "Three"].iter().enumerate() {
        records.push(bench.file(&format!("{i}.epub"), "the same bytes", meta(title, "A B")));
        records.push(bench.file(
            &format!("{i}-b.epub"),
            format!("others {}", i / 2),
            meta(title, "A B"),
        ));
    }
    bench
        .server
        .fault(&json!({"on": "TASK metadata", "kind": "delay", "millis": 100, "times": 0}));
    let ran = bench.tool(&records).args(["-j", "8"]).ok();
    assert_eq!(
        counts(&ran),
        BTreeMap::from([("duplicate".into(), 3), ("uploaded".into(), 3)])
    );
    bench.holds(&[records[0].clone(), records[1].clone(), records[5].clone()]);
    for (what, most) in bench.server.high_water() {
        assert!(
            !what.starts_with("hash:") || most == 1,
            "{what}: {most} in flight"
        );
    }
    assert_eq!(bench.server.count("POST", "/api/upload"), 3);
}

#[test]
fn files_that_changed_or_vanished_fail_and_nothing_of_them_arrives() {
    let bench = Bench::new();
    let books = bench.books(5);
    let path = |i: usize| books[i]["path"].as_str().unwrap().to_string();
    let size = fs::metadata(path(0)).unwrap().len() as usize;
    fs::write(path(0), "x".repeat(size)).unwrap();
    fs::write(
        path(1),
        "longer than before, by quite a bit, so that the size tells",
    )
    .unwrap();
    fs::remove_file(path(2)).unwrap();
    fs::remove_file(path(3)).unwrap();
    fs::create_dir(path(3)).unwrap();
    let ran = bench.tool(&books).code(1);
    for (i, reason) in [
        (0, "changed since hashed"),
        (1, "changed since hashed"),
        (2, "No such file"),
        (3, "not a regular file"),
    ] {
        let upload = outcome(&ran, &books[i]);
        assert_eq!(upload["outcome"], "failed", "{upload}");
        assert!(
            upload["reason"].as_str().unwrap().contains(reason),
            "{upload}"
        );
    }
    assert_eq!(ran.stderr().lines().count(), 4, "{}", ran.report());
    assert_eq!(
        (&ran.summary()["failed"], &ran.summary()["complete"]),
        (&json!(4), &json!(true))
    );
    bench.holds(&books[4..]);
    assert_eq!(bench.number("select count(*) from upload"), 0);
}

#[test]
fn the_fork_is_asked_about_many_files_at_once() {
    let bench = Bench::with(Settings {
        fork: true,
        ..Settings::default()
    });
    let books = bench.books(20);
    bench.tool(&books).ok();
    bench.holds(&books);
    let before = bench.server.count("POST", "/api/upload/check");
    let ran = bench.tool(&books).ok();
    assert_eq!(counts(&ran)["duplicate"], 20);
    assert!(bench.server.count("POST", "/api/upload/check-batch") < 20);
    assert!(bench.server.count("POST", "/api/upload/check") - before < 20);
}

#[test]
fn bug_b1_a_file_without_a_hash_does_not_stand_for_all_others() {
    let bench = Bench::new();
    let mut records = bench.books(5);
    for (i, sha1) in [json!(null), json!("None"), json!("")]
        .into_iter()
        .enumerate()
    {
        records[i]["sha1"] = sha1;
    }
    let ran = bench.tool(&records).code(1);
    assert_eq!(ran.of_type("error").len(), 3);
    bench.holds(&records[3..]);
}

#[test]
fn bug_b6_files_of_equal_size_are_not_equal_files() {
    let bench = Bench::with(Settings {
        fork: true,
        ..Settings::default()
    });
    let books: Vec<_> = (0..5)
        .map(|i| {
            bench.file(
                &format!("{i}.epub"),
                format!("bytes {i}"),
                meta(&format!("T{i}"), "A"),
            )
        })
        .collect();
    bench.tool(&books[..2]).ok();
    let ran = bench.tool(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 3);
    bench.holds(&books);
}

#[test]
fn bug_a_cyrillic_file_name_keeps_its_extension() {
    let bench = Bench::new();
    let mut book = bench.file(
        "Война и мир.epub",
        "war",
        meta("Война и мир", "Лев Толстой"),
    );
    book["languages"] = json!(["rus"]);
    let ran = bench.tool(std::slice::from_ref(&book)).ok();
    assert_eq!(outcome(&ran, &book)["attempts"], 1);
    bench.holds(&[book]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let bench = Bench::new();
    let books = bench.books(3);
    bench.tool(&books[..1]).ok();
    let tables =
        "select (select count(*) from ebook) || ' ' || (select count(*) from source) || ' '
        || (select count(*) from upload) || ' ' || (select count(*) from author)";
    let before = (
        bench.server.query(tables),
        bench.server.count("POST", "/api/upload"),
    );
    let ran = bench.tool(&books).arg("--dry-run").ok();
    assert_eq!(
        counts(&ran),
        BTreeMap::from([("duplicate".into(), 1), ("would_upload".into(), 2)])
    );
    assert_eq!(ran.summary()["would_upload"], 2);
    assert_eq!(
        (
            bench.server.query(tables),
            bench.server.count("POST", "/api/upload")
        ),
        before
    );
    assert_eq!(bench.server.count("GET", "/ws"), 1);
}
