use super::*;

fn row(texts: [&str; 5]) -> Vec<Option<String>> {
    texts
        .map(|text| Some(text.to_string()).filter(|text| !text.is_empty()))
        .into()
}

#[test]
fn formats_of_one_book_land_on_one_ebook() {
    let bench = Bench::new();
    let mut records = vec![];
    for title in ["One", "Two", "Three", "Four"] {
        for extension in ["epub", "pdf", "mobi", "txt"] {
            records.push(bench.book(title, "Karel Čapek", extension));
        }
    }
    bench
        .server
        .fault(&json!({"on": "TASK metadata", "kind": "delay", "millis": 30, "times": 0}));
    let ran = bench.tool(&records).args(["-j", "8"]).ok();
    assert_eq!(counts(&ran)["uploaded"], 16);
    bench.holds(&records);
    assert_eq!(bench.ebooks(), 4);
    // The plan knows the ebook of the formats after the first.
    let log = bench.server.log();
    let looked = log
        .iter()
        .filter(|entry| entry.path.starts_with("/api/ebooks/index/"))
        .count();
    assert_eq!(looked, 4);
    for (what, most) in bench.server.high_water() {
        assert!(
            !what.starts_with("book:") || most == 1,
            "{what}: {most} in flight"
        );
    }
}

#[test]
fn books_of_one_title_and_author_in_flight_together_make_one_ebook() {
    let bench = Bench::new();
    let records: Vec<_> = (0..8)
        .map(|i| {
            bench.file(
                &format!("{i}.epub"),
                format!("bytes {i}"),
                meta("The Same Title", "A Writer"),
            )
        })
        .collect();
    bench
        .server
        .fault(&json!({"on": "POST /api/ebooks", "kind": "delay", "millis": 50, "times": 0}));
    bench.tool(&records).args(["-j", "8"]).ok();
    bench.holds(&records);
    assert_eq!(bench.ebooks(), 1);
}

#[test]
fn metadata_arrives_as_calibre_has_it() {
    let bench = Bench::new();
    let mut book = bench.file("n.epub", "n", json!({
        "title": "Šedé oči: \"díl 1\"", "authors": ["Karel Čapek", "Homer", "Zhu Xi of Song"],
        "author_sorts": ["Čapek, Karel", "Homer", "Zhu, Xi, of Song"], "languages": ["ces", "eng"],
        "series": "Škola hrou", "series_index": 2.5, "tags": ["Sci-Fi", "humor", "Weird", "Satire", "Fantasy"],
    }));
    let ran = bench.tool(std::slice::from_ref(&book)).ok();
    assert_eq!(
        bench.shelf(&book),
        row([
            "Šedé oči: \"díl 1\"",
            "Homer,-;Zhu,Xi of Song;Čapek,Karel",
            "cs",
            "Škola hrou",
            "2"
        ])
    );
    let genres = bench
        .server
        .query("select g.name from genre g join ebook_genres x on x.genre_id = g.id order by 1");
    let genres: Vec<_> = genres
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(genres, ["Fantasy", "Humor/Satire", "Science Fiction"]);
    let notes = outcome(&ran, &book)["notes"].clone();
    assert_eq!(
        notes,
        json!([
            "series index 2.5 cut to 2",
            "tags that are no genres left out: Weird"
        ])
    );
    // The next volume, its series written in other letters, joins the same series.
    book = bench.file(
        "m.epub",
        "m",
        json!({
            "title": "Druhý díl", "authors": ["Karel Čapek"], "author_sorts": ["Čapek, Karel"],
            "languages": ["cze"], "series": "ŠKOLA hrou", "series_index": 3, "tags": ["sci-fi"],
        }),
    );
    bench.tool(std::slice::from_ref(&book)).ok();
    assert_eq!(
        bench.shelf(&book),
        row(["Druhý díl", "Čapek,Karel", "cs", "Škola hrou", "3"])
    );
    assert_eq!(bench.number("select count(*) from series"), 1);
    assert_eq!(
        bench.number("select count(*) from author where last_name = 'Čapek'"),
        1
    );
}

#[test]
fn volumes_and_translations_of_one_title_stay_apart() {
    let bench = Bench::new();
    let book = |name: &str, language: &str, index: f64| {
        let mut record = bench.file(&format!("{name}.epub"), name, meta("Saga", "A Writer"));
        (
            record["languages"],
            record["series"],
            record["series_index"],
        ) = (json!([language]), json!("Sagas"), json!(index));
        record
    };
    let records = [
        book("a", "eng", 1.0),
        book("b", "eng", 2.0),
        book("c", "ces", 1.0),
        book("d", "eng", 1.0),
    ];
    bench.tool(&records).args(["-j", "8"]).ok();
    assert_eq!(bench.ebooks(), 3);
    for record in &records {
        let index = record["series_index"].as_f64().unwrap().to_string();
        let language = if record["languages"][0] == "ces" {
            "cs"
        } else {
            "en"
        };
        assert_eq!(
            bench.shelf(record),
            row(["Saga", "Writer,A", language, "Sagas", &index])
        );
    }
}

#[test]
fn languages_are_mapped_and_missing_ones_given() {
    let bench = Bench::new();
    let book = |name: &str, languages: Value| {
        let mut record = bench.file(&format!("{name}.epub"), name, meta(name, "A"));
        record["languages"] = languages;
        record
    };
    let records = [
        book("a", json!(["rus"])),
        book("b", json!(["slo"])),
        book("c", json!(["jpn", "eng"])),
        book("d", json!([])),
        book("e", json!(["und"])),
        book("f", json!(["deu"])),
    ];
    let ran = bench
        .tool(&records)
        .args(["--default-language", "ces"])
        .ok();
    for (record, code) in records.iter().zip(["ru", "sk", "en", "cs", "cs"]) {
        assert_eq!(bench.shelf(record)[2].as_deref(), Some(code));
    }
    assert_eq!(outcome(&ran, &records[5])["outcome"], "unsupported");
    let none = book("g", json!([]));
    let ran = bench.tool(std::slice::from_ref(&none)).ok();
    let upload = outcome(&ran, &none);
    assert!(
        upload["reason"]
            .as_str()
            .unwrap()
            .contains("--default-language"),
        "{upload}"
    );
    let wrong = bench.tool(&[]).args(["--default-language", "xx"]).code(2);
    wrong.one_line(&["--default-language xx"]);
}

#[test]
fn a_file_without_metadata_gets_what_the_server_finds_in_it() {
    let bench = Bench::new();
    let bare = bench.file("Můj spis.epub", "nothing in it", json!({}));
    let ran = bench
        .tool(std::slice::from_ref(&bare))
        .args(["--default-language", "en"])
        .ok();
    assert_eq!(
        bench.shelf(&bare),
        row(["Můj spis", "Unknown,-", "en", "", ""])
    );
    assert_eq!(
        outcome(&ran, &bare)["notes"],
        json!(["no title: the file's name taken"])
    );
    // Two of them with one name are one book, even in flight together.
    let twins: Vec<_> = (0..6)
        .map(|i| bench.file(&format!("{i}/Twin.epub"), format!("{i}"), json!({})))
        .collect();
    bench
        .server
        .fault(&json!({"on": "POST /api/ebooks", "kind": "delay", "millis": 50, "times": 0}));
    bench
        .tool(&twins)
        .args(["--default-language", "en", "-j", "6"])
        .ok();
    assert_eq!(
        bench.number("select count(*) from ebook where title = 'Twin'"),
        1
    );
}

#[test]
fn bug_f_names_that_are_not_utf_8_are_opened_by_their_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    let path = bench.dir.join(std::ffi::OsStr::from_bytes(b"caf\xe9.epub"));
    std::fs::write(&path, "latin").unwrap();
    let mut line = wire::Line::new("file_hash");
    line.path(&path)
        .text("sha1", &sha1(b"latin"))
        .int("size", 5)
        .text("mtime", "x")
        .text("title", "T");
    line.list("authors", ["A"]).list("languages", ["eng"]);
    let input = [line.open_bytes(), b"}\n"].concat();
    let ran = bench.tool(&[]).stdin(input).ok();
    let upload = &ran.of_type("upload")[0];
    assert_eq!(upload["outcome"], "uploaded");
    let record = wire::Record::parse(upload.to_string().into_bytes()).unwrap();
    assert_eq!(record.path().unwrap(), path);
}

#[test]
fn formats_of_a_book_with_a_cut_title_stay_one_ebook_and_its_second_part_another() {
    let bench = Bench::new();
    let long = "Proceedings of the Society ".repeat(10);
    let part =
        |part: &str, extension: &str| bench.book(&format!("{long}{part}"), "Jan Novák", extension);
    let books = [
        part("I", "epub"),
        part("I", "pdf"),
        part("II", "pdf"),
        part("II", "docx"),
    ];
    let ran = bench.tool(&books).ok();
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 2, "{}", ran.report());
    let ebook = |i: usize| outcome(&ran, &books[i])["ebook_id"].clone();
    assert_eq!((ebook(0), ebook(2)), (ebook(1), ebook(3)));
    // And so it is in the next run, which knows nothing of this one.
    bench.tool(&[part("I", "mobi"), part("II", "azw3")]).ok();
    assert_eq!(bench.ebooks(), 2);
}

#[test]
fn the_language_that_a_file_states_comes_before_the_default() {
    let bench = Bench::with(Settings {
        ebook_meta: Some("/usr/bin/ebook-meta".into()),
        ..Settings::default()
    });
    let guide = std::fs::read("/usr/share/calibre/quick_start/eng.epub")
        .expect("apt-get install --no-install-recommends calibre");
    let bare = bench.file("guide.epub", guide, json!({}));
    let silent = bench.file("silent.txt", "no language anywhere", json!({}));
    let books = [bare, silent];
    bench.tool(&books).args(["--default-language", "cs"]).ok();
    bench.holds(&books);
    let language = |title: &str| {
        bench.server.query(&format!(
            "select code from language join ebook on language.id = language_id where title = '{title}'"
        ))[0][0]
            .clone()
    };
    assert_eq!(language("Quick Start Guide").as_deref(), Some("en"));
    assert_eq!(language("silent").as_deref(), Some("cs"));
}

fn joined(id: u64) -> Value {
    let why = "which has the same title, author and language: The Same Title";
    json!([format!("joined the ebook of book {id}, {why}")])
}

#[test]
fn equal_calibre_books_do_not_become_one_ebook_without_a_word() {
    let bench = Bench::new();
    let [a, b] = [17, 18].map(|id| ["epub", "pdf"].map(|format| bench.equal(id, format)));
    let records = [a[0].clone(), b[0].clone(), b[1].clone(), a[1].clone()];
    let ran = bench.tool(&records).args(["-j", "8"]).ok();
    bench.holds(&records);
    assert_eq!(bench.ebooks(), 1);
    for format in 0..2 {
        assert_eq!(outcome(&ran, &a[format])["notes"], json!([]));
        assert_eq!(outcome(&ran, &b[format])["notes"], joined(17));
    }
}

#[test]
fn separate_keeps_equal_calibre_books_apart_also_when_a_run_goes_on() {
    let bench = Bench::new();
    let [a, b] = [17, 18].map(|id| ["epub", "pdf"].map(|format| bench.equal(id, format)));
    let journal = bench.dir.join("journal");
    let run = |records: &[Value]| {
        let tool = bench.tool(records).arg("--separate").arg("--journal");
        tool.arg(&journal).args(["-j", "8"]).ok()
    };
    // The first run ended after one file of each.
    run(&[a[0].clone(), b[0].clone()]);
    let all = [a[0].clone(), b[0].clone(), b[1].clone(), a[1].clone()];
    let ran = run(&all);
    bench.holds(&all);
    assert_eq!(bench.ebooks(), 2);
    for format in 0..2 {
        let title = |record| bench.shelf(record)[0].clone().unwrap();
        assert_eq!(title(&a[format]), "The Same Title");
        assert_eq!(title(&b[format]), "The Same Title (18)");
    }
    let why = "titled by its book_id: an earlier book has the same names";
    assert_eq!(outcome(&ran, &b[1])["notes"], json!([why]));
    assert_eq!(outcome(&ran, &a[1])["notes"], json!([]));
}

#[test]
fn many_notes_do_not_crowd_out_whose_ebook_was_joined() {
    let bench = Bench::new();
    let mut records = [17, 18].map(|id| bench.equal(id, "epub"));
    records[1]["tags"] = json!(["y".repeat(200), "z".repeat(600)]);
    records[1]["truncated"] = json!(["title", "authors", "series", "tags"]);
    let ran = bench.tool(&records).ok();
    let notes = outcome(&ran, &records[1])["notes"].clone();
    assert_eq!((&notes[0], &notes[3]), (&joined(17)[0], &json!("…")));
}

#[test]
fn the_same_number_in_another_library_is_another_book() {
    let bench = Bench::new();
    let mut records = ["epub", "pdf", "mobi"].map(|format| bench.equal(17, format));
    for (record, uuid) in records.iter_mut().zip(["ours", "ours", "theirs"]) {
        record["uuid"] = json!(uuid);
    }
    let ran = bench.tool(&records).ok();
    for (record, notes) in records.iter().zip([json!([]), json!([]), joined(17)]) {
        assert_eq!(outcome(&ran, record)["notes"], notes);
    }
}

#[test]
fn a_bare_file_joins_a_book_and_is_joined_by_one_without_a_note() {
    let bench = Bench::new();
    let bare = |extension| {
        let mut record = bench.equal(0, extension);
        record.as_object_mut().unwrap().remove("book_id");
        record
    };
    let records = [bare("epub"), bench.equal(17, "epub"), bare("pdf")];
    let ran = bench.tool(&records).ok();
    assert_eq!(bench.ebooks(), 1);
    for record in &records {
        assert_eq!(outcome(&ran, record)["notes"], json!([]));
    }
}
