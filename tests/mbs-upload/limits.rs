use super::*;

#[test]
fn what_the_server_lacks_has_a_reason_each() {
    let bench = Bench::with(Settings {
        max_content_length: Some(1000),
        ..Settings::default()
    });
    let kepub = bench.file("a.kepub", "k", meta("K", "A"));
    let binary = bench.file("a.bin", "b", meta("B", "A"));
    let chm = bench.file("a.chm", "chm", meta("C", "A"));
    let empty = bench.file("e.epub", "", meta("E", "A"));
    let bare = bench.file("noextension", "x", meta("N", "A"));
    let doc = bench.file("a.doc", "doc", meta("D", "A"));
    let big = bench.file("big.epub", "x".repeat(1001), meta("Big", "A"));
    let mut japanese = bench.book("J", "A", "epub");
    japanese["languages"] = json!(["jpn"]);
    let records = [kepub, binary, chm, empty, bare, doc, big, japanese];
    let ran = bench.tool(&records).ok();
    for (record, kind, reason) in [
        (&records[0], "unsupported", "extension kepub"),
        (&records[1], "unsupported", "extension bin"),
        (&records[3], "unsupported", "empty"),
        (&records[4], "unsupported", "no extension"),
        (&records[5], "unsupported", "soffice"),
        (&records[6], "too_big", "too big"),
        (
            &records[7],
            "unsupported",
            "language jpn: the server has cs, en, ru, sk",
        ),
    ] {
        let upload = outcome(&ran, record);
        assert_eq!(upload["outcome"], kind, "{upload}");
        assert!(
            upload["reason"].as_str().unwrap().contains(reason),
            "{upload}"
        );
    }
    bench.holds(&records[2..3]);
    assert_eq!(ran.summary()["unsupported"], 6);
    assert_eq!(ran.summary()["too_big"], 1);
}

#[test]
fn a_body_that_only_the_form_makes_too_long_is_not_sent() {
    // The limit is the server's for whole requests: the file fits, the form around it does not.
    let limit = 34 << 20;
    let bench = Bench::with(Settings {
        max_content_length: Some(limit),
        ..Settings::default()
    });
    let size = usize::try_from(limit).unwrap();
    let over = bench.file("over.epub", vec![b'x'; size - 50], meta("Over", "A"));
    let under = bench.file("under.epub", vec![b'x'; size - 400], meta("Under", "A"));
    let ran = bench.tool(&[over.clone(), under.clone()]).ok();
    assert_eq!(outcome(&ran, &over)["outcome"], "too_big");
    assert_eq!(
        outcome(&ran, &under)["outcome"],
        "uploaded",
        "{}",
        ran.report()
    );
    assert_eq!(bench.server.count("POST", "/api/upload"), 1);
    bench.holds(&[under]);
}

#[test]
fn max_size_is_obeyed_without_asking() {
    let bench = Bench::new();
    let books = [
        bench.file("a.epub", "12345", meta("A", "A")),
        bench.file("b.epub", "1234", meta("B", "A")),
    ];
    let ran = bench.tool(&books).args(["--max-size", "4B"]).ok();
    assert_eq!(outcome(&ran, &books[0])["outcome"], "too_big");
    bench.holds(&books[1..]);
}

#[test]
fn equal_bytes_under_two_extensions_are_judged_each_by_its_own() {
    let bench = Bench::with(Settings {
        fork: true,
        ..Settings::default()
    });
    let books: Vec<_> = ["azw", "azw3", "original_epub", "epub"]
        .map(|extension| {
            let bytes = if extension.starts_with("azw") {
                "kindle"
            } else {
                "epub"
            };
            bench.file(&format!("x.{extension}"), bytes, meta("T", "A"))
        })
        .into();
    // The first is asked about with all that wait behind it.
    let other = bench.book("Other", "B", "epub");
    let records: Vec<_> = [&other, &books[1], &books[0], &books[3], &books[2]]
        .map(Value::clone)
        .into();
    let ran = bench.tool(&records).args(["-j", "1"]).ok();
    for book in [&books[1], &books[3]] {
        assert_eq!(
            outcome(&ran, book)["outcome"],
            "uploaded",
            "{}",
            ran.report()
        );
    }
    bench.holds(&[other, books[1].clone(), books[3].clone()]);
}
