use super::*;
use sandbox::{Ports, Store};

/// A server that can be started again with other settings.
fn bench_in(dir: &Path, settings: Settings) -> Bench {
    let store = Store {
        data: Some(dir.into()),
        db: None,
    };
    let server = Sandbox::try_start(settings, &store, Ports::default()).unwrap();
    Bench {
        dir: Workdir::new(),
        server,
    }
}

#[test]
fn a_raised_limit_makes_large_files_possible() {
    let data = Workdir::new();
    let limit = |bytes| Settings {
        max_content_length: Some(bytes),
        ..Settings::default()
    };
    let bench = bench_in(data.path(), limit(4000));
    let mut books = bench.books(2);
    books.push(bench.file("large.epub", [b'x'; 5000], meta("Large", "A")));
    books.push(bench.file("larger.epub", [b'x'; 9000], meta("Larger", "A")));
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["too_big"], 2);
    let asked = bench.posts();
    let again = bench.journaled(&books).ok();
    assert_eq!(outcome(&again, &books[2])["outcome"], "too_big");
    assert_eq!(outcome(&again, &books[2])["by"], "journal");
    // One question about the limit, not one for each file, and one for each of the two samples.
    assert_eq!(bench.posts()[0], asked[0] + 1 + 2);
    let (journal, dir) = (bench.journal(), bench.dir);
    drop(bench.server);
    let raised = Bench {
        dir,
        server: bench_in(data.path(), limit(8000)).server,
    };
    assert_eq!(raised.journal(), journal);
    let ran = raised.journaled(&books).ok();
    assert_eq!(
        outcome(&ran, &books[2])["outcome"],
        "uploaded",
        "{}",
        ran.report()
    );
    assert_eq!(outcome(&ran, &books[3])["outcome"], "too_big");
    raised.holds(&books[..3]);
}

#[test]
fn an_added_language_makes_its_books_possible() {
    let bench = Bench::new();
    let mut book = bench.book("T", "A", "epub");
    book["languages"] = json!(["deu"]);
    let books = [book];
    let first = bench.journaled(&books).ok();
    assert_eq!(counts(&first)["unsupported"], 1);
    let asked = bench.posts();
    let again = bench.journaled(&books).ok();
    assert_eq!(outcome(&again, &books[0])["by"], "journal");
    assert_eq!(bench.posts(), asked);
    let sql = "insert into language (version_id, code, name) values (1, 'de', 'German')";
    bench.server.execute(sql);
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1);
}

#[test]
fn a_default_language_given_later_is_taken() {
    let bench = Bench::new();
    let mut book = bench.book("T", "A", "epub");
    book["languages"] = json!([]);
    let books = [book];
    assert_eq!(counts(&bench.journaled(&books).ok())["unsupported"], 1);
    let sent = bench.posts()[1];
    let again = bench.journaled(&books).ok();
    assert_eq!(outcome(&again, &books[0])["by"], "journal");
    assert_eq!(bench.posts()[1], sent);
    let ran = bench
        .journaled(&books)
        .args(["--default-language", "en"])
        .ok();
    assert_eq!(counts(&ran)["uploaded"], 1);
}

#[test]
fn an_added_format_makes_its_files_possible() {
    let bench = Bench::new();
    let books = [bench.book("T", "A", "azw"), bench.book("U", "A", "cbz")];
    assert_eq!(counts(&bench.journaled(&books).ok())["unsupported"], 2);
    let again = bench.journaled(&books).ok();
    assert!(again.of_type("upload").iter().all(|r| r["by"] == "journal"));
    let sql = "insert into format (version_id, mime_type, name, extension)
        values (1, 'application/vnd.amazon.ebook', 'Kindle', 'azw')";
    bench.server.execute(sql);
    let ran = bench.journaled(&books).ok();
    assert_eq!(
        outcome(&ran, &books[0])["outcome"],
        "uploaded",
        "{}",
        ran.report()
    );
    assert_eq!(outcome(&ran, &books[1])["by"], "journal");
}

#[test]
fn a_format_that_the_engine_lacks_is_tried_once_a_run() {
    let data = Workdir::new();
    let bench = bench_in(data.path(), Settings::default());
    let books: Vec<_> = (0..4)
        .map(|i| bench.book(&format!("T {i}"), "A", "doc"))
        .collect();
    let run = |bench: &Bench| bench.journaled(&books).args(["-j", "1"]).ok();
    assert_eq!(counts(&run(&bench))["unsupported"], 4);
    assert_eq!(bench.posts()[1], 4);
    let again = run(&bench);
    assert_eq!(counts(&again)["unsupported"], 4);
    assert_eq!(bench.posts()[1], 5, "{}", again.report());
    let dir = bench.dir;
    drop(bench.server);
    let office = Settings {
        office: true,
        ..Settings::default()
    };
    let bench = Bench {
        dir,
        server: bench_in(data.path(), office).server,
    };
    assert_eq!(counts(&run(&bench))["uploaded"], 4);
}

#[test]
fn equal_bytes_refused_under_one_name_are_taken_under_another() {
    let bench = Bench::new();
    let azw = bench.file("a.azw", "same", meta("T", "A"));
    let azw3 = bench.file("a.azw3", "same", meta("T", "A"));
    bench.journaled(std::slice::from_ref(&azw)).ok();
    let ran = bench.journaled(&[azw.clone(), azw3.clone()]).ok();
    assert_eq!(outcome(&ran, &azw)["outcome"], "unsupported");
    assert_eq!(outcome(&ran, &azw3)["outcome"], "uploaded");
}
