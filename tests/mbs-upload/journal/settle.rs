use super::*;

/// Runs until the server has had `count` requests of a kind, whose answers do not come, and kills
/// the run there; then the server goes on as if nothing had been.
fn killed_at(bench: &Bench, records: &[Value], method: &str, path: &str, answer: &str) {
    let on = format!("{method} {path}");
    bench.fault(json!({"on": on, "kind": answer, "millis": 60_000}));
    let before = bench.server.count(method, path);
    let work = rows(bench, path);
    let mut child = bench.journaled(&[]).spawn();
    let input = bench.dir.write("input", lines(records));
    std::io::copy(
        &mut fs::File::open(input).unwrap(),
        &mut child.stdin.take().unwrap(),
    )
    .unwrap();
    harness::wait_for("the request", DEADLINE, || {
        (bench.server.count(method, path) > before).then_some(())
    });
    let worked = || answer == "hang" || work.is_none_or(|before| rows(bench, path) > Some(before));
    harness::wait_for("its work", DEADLINE, || worked().then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    bench.server.clear_faults();
}

/// What such requests add to.
fn rows(bench: &Bench, path: &str) -> Option<i64> {
    match path {
        "/api/ebooks" => Some(bench.ebooks()),
        "/api/ebooks/*/add-upload" => Some(bench.number("select count(*) from source")),
        _ => None,
    }
}

#[test]
fn a_run_killed_after_adding_has_added() {
    let bench = Bench::new();
    let mut books = bench.books(1);
    books[0]["tags"] = json!(["No genre"]);
    killed_at(
        &bench,
        &books,
        "POST",
        "/api/ebooks/*/add-upload",
        "delay_answer",
    );
    for _ in 0..2 {
        let ran = bench.journaled(&books).ok();
        let told = outcome(&ran, &books[0]);
        assert_eq!(told["by"], "journal", "{}", ran.report());
        let [ebook, source, notes] = place(&told);
        assert_eq!((ebook, source), (json!(1), json!(1)));
        assert!(notes[0].as_str().unwrap().contains("No genre"), "{told}");
    }
    assert_eq!(ends(&bench.journal())[0]["outcome"], "uploaded");
    assert_eq!(bench.posts()[1], 1);
    bench.holds(&books);
}

#[test]
fn an_ebook_made_by_a_killed_run_is_filled_by_the_next() {
    let bench = Bench::new();
    let books = bench.books(1);
    killed_at(&bench, &books, "POST", "/api/ebooks", "delay_answer");
    // Without the file nothing is done about it: it might be anybody's.
    bench.journaled(&[]).ok();
    assert_eq!(bench.ebooks(), 1);
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    bench.holds(&books);
    assert_eq!((bench.ebooks(), bench.posts()[1]), (1, 1));
}

#[test]
fn bytes_that_were_sent_are_not_sent_again() {
    let bench = Bench::new();
    let books = bench.books(1);
    killed_at(&bench, &books, "POST", "/api/ebooks", "hang");
    let tasks = bench.number("select last_value from upload_id_seq");
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    assert_eq!(bench.posts()[1], 1, "{}", ran.report());
    assert_eq!(bench.number("select last_value from upload_id_seq"), tasks);
    bench.holds(&books);
}

#[test]
fn a_run_killed_while_the_engine_works_goes_on_with_the_same_bytes() {
    let bench = Bench::new();
    let books = bench.books(1);
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 500}));
    let mut child = bench.journaled(&[]).spawn();
    let input = bench.dir.write("input", lines(&books));
    std::io::copy(
        &mut fs::File::open(input).unwrap(),
        &mut child.stdin.take().unwrap(),
    )
    .unwrap();
    harness::wait_for("the task", DEADLINE, || {
        (bench
            .server
            .log()
            .iter()
            .any(|entry| entry.method == "TASK"))
        .then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    assert_eq!(bench.posts()[1], 1);
    bench.holds(&books);
}

#[test]
fn a_stored_file_that_was_cleaned_up_is_sent_again() {
    let bench = Bench::new();
    let books = bench.books(1);
    let lines = [
        head(),
        step("claimed", &books[0], json!({"format": "epub"})),
        step(
            "sent",
            &books[0],
            json!({"file": "tmpgone/x.epub", "since": 3}),
        ),
        step("row", &books[0], json!({"upload_id": 4})),
    ];
    bench.write_journal(&lines);
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    bench.holds(&books);
}

#[test]
fn a_row_that_is_another_file_s_by_now_is_not_taken() {
    let bench = Bench::new();
    let books = bench.books(2);
    // The other file's row is there, and will stay: its addition fails.
    bench.fault(json!({"on": "POST /api/ebooks/*/add-upload", "kind": "status", "status": 400}));
    bench.tool(&books[..1]).code(1);
    let row = bench.number("select max(id) from upload");
    bench.write_journal(&[head(), step("row", &books[1], json!({"upload_id": row}))]);
    bench.journaled(&books[1..]).ok();
    bench.holds(&books[1..]);
}

#[test]
fn an_ebook_made_late_by_a_killed_run_is_no_second_one() {
    let bench = Bench::new();
    let books = bench.books(1);
    // The request is still at work when the next run starts.
    bench.fault(json!({"on": "POST /api/ebooks", "kind": "delay", "millis": 1200}));
    let mut child = bench.journaled(&[]).spawn();
    let input = bench.dir.write("input", lines(&books));
    std::io::copy(
        &mut fs::File::open(input).unwrap(),
        &mut child.stdin.take().unwrap(),
    )
    .unwrap();
    harness::wait_for("the request", DEADLINE, || {
        bench
            .server
            .log()
            .iter()
            .any(|e| e.method == "POST" && e.path == "/api/ebooks")
            .then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = bench
        .journaled(&books)
        .args(["--retry-wait", "1800ms"])
        .ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    harness::wait_for("the late ebook", DEADLINE, || {
        let late = |e: &sandbox::Entry| e.path == "/api/ebooks" && e.end.is_none();
        (!bench.server.log().iter().any(late)).then_some(())
    });
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 1);
}

fn joined(told: &Value) -> bool {
    told["notes"]
        .to_string()
        .contains("joined the ebook of book 17,")
}

#[test]
fn a_later_run_says_which_book_of_an_earlier_one_it_joins() {
    let bench = Bench::new();
    let first = bench.equal(17, "epub");
    bench.journaled(std::slice::from_ref(&first)).ok();
    // The joining book comes first, and the other is but known: the journal tells of it.
    let records = [bench.equal(18, "epub"), bench.equal(17, "pdf"), first];
    for by in [Value::Null, json!("journal")] {
        let ran = bench.journaled(&records).ok();
        let told = outcome(&ran, &records[0]);
        assert_eq!(told["by"], by, "{told}");
        assert!(joined(&told), "{told}");
        for record in &records[1..] {
            assert_eq!(outcome(&ran, record)["notes"], json!([]));
        }
    }
    assert_eq!(bench.ebooks(), 1);
}

#[test]
fn whose_ebook_a_killed_run_filled_or_joined_is_not_forgotten() {
    let bench = Bench::new();
    let add = "/api/ebooks/*/add-upload";
    let mut records = vec![bench.equal(17, "epub")];
    killed_at(&bench, &records, "POST", add, "delay_answer");
    records.insert(0, bench.equal(18, "epub"));
    let ran = bench.journaled(&records).ok();
    assert_eq!(outcome(&ran, &records[0])["outcome"], "uploaded");
    assert!(joined(&outcome(&ran, &records[0])), "{}", ran.report());
    // Killed while it joins: the next run tells what the killed one could not.
    records.insert(0, bench.equal(19, "epub"));
    killed_at(&bench, &records[..1], "POST", add, "delay_answer");
    let ran = bench.journaled(&records).ok();
    assert_eq!(outcome(&ran, &records[0])["by"], "journal");
    assert!(joined(&outcome(&ran, &records[0])), "{}", ran.report());
    bench.holds(&records);
}
