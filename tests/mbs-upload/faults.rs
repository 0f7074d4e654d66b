use super::*;

/// Runs through faults, one after another on one server.
struct Runs {
    bench: Bench,
    sent: Vec<Value>,
    number: usize,
}

impl Runs {
    fn new() -> Runs {
        Runs {
            bench: Bench::new(),
            sent: vec![],
            number: 0,
        }
    }

    /// A run through a fault: all files arrive, each once, and nothing is left over.
    fn survive(&mut self, order: Value) -> Ran {
        self.number += 1;
        let title = |i| format!("Book {} {i}", self.number);
        let mut books: Vec<_> = (0..4)
            .map(|i| self.bench.book(&title(i), "Jan Novák", "epub"))
            .collect();
        books.push(self.bench.book(&title(2), "Jan Novák", "pdf"));
        self.bench.server.clear_faults();
        self.bench.fault(order.clone());
        let ran = self.bench.tool(&books).ok();
        assert_eq!(counts(&ran)["uploaded"], 5, "{order}\n{}", ran.report());
        self.sent.extend(books);
        self.bench.holds(&self.sent);
        assert_eq!(
            self.bench.ebooks(),
            4 * self.number as i64,
            "{order}\n{}",
            ran.report()
        );
        ran
    }

    /// Each way in which a request can go wrong, early and late in the run.
    fn survive_all(&mut self, on: &str) {
        for kind in [
            "status",
            "status_after_commit",
            "drop",
            "drop_after_commit",
            "garbage",
        ] {
            for nth in [1, 3] {
                self.survive(json!({"on": on, "kind": kind, "nth": nth}));
            }
        }
        self.survive(json!({"on": on, "kind": "drop_after_commit", "nth": 2, "times": 3}));
        self.survive(json!({"on": on, "kind": 503, "nth": 1, "times": 2}));
    }
}

#[test]
fn a_check_that_goes_wrong() {
    Runs::new().survive_all("POST /api/upload/check");
}

#[test]
fn an_upload_that_goes_wrong() {
    let mut runs = Runs::new();
    runs.survive_all("POST /api/upload");
    runs.survive(json!({"on": "POST /api/upload", "kind": "drop", "bytes": 300}));
}

#[test]
fn an_ebook_whose_creation_goes_wrong() {
    Runs::new().survive_all("POST /api/ebooks");
}

#[test]
fn an_addition_that_goes_wrong() {
    Runs::new().survive_all("POST /api/ebooks/*/add-upload");
}

#[test]
fn what_was_done_unheard_is_asked_for_and_not_done_again() {
    for kind in ["status_after_commit", "drop_after_commit"] {
        for on in ["/api/ebooks", "/api/ebooks/*/add-upload"] {
            let bench = Bench::new();
            let books = bench.books(3);
            // 504: a proxy gave up on a request that the server then finished.
            let order = json!({"on": format!("POST {on}"), "kind": kind, "status": 504, "nth": 2});
            bench.fault(order);
            bench.tool(&books).ok();
            bench.holds(&books);
            assert_eq!(bench.server.count("POST", on), 3, "{on}: {kind}");
        }
    }
}

#[test]
fn a_look_up_that_goes_wrong() {
    let mut runs = Runs::new();
    for kind in ["status", "drop", "garbage"] {
        let title = format!("/api/ebooks/index/Book%20{}%201", runs.number + 1);
        runs.survive(json!({"on": format!("GET {title}"), "kind": kind}));
    }
    // Create, lose the answer, and then fail to ask.
    let bench = Bench::new();
    let books = bench.books(2);
    bench.fault(json!({"on": "POST /api/ebooks", "kind": "drop_after_commit"}));
    bench.fault(json!({"on": "GET /api/ebooks/*", "kind": "drop", "times": 2}));
    bench.tool(&books).ok();
    bench.holds(&books);
}

#[test]
fn a_server_that_is_busy_is_waited_for() {
    let mut runs = Runs::new();
    for status in [408, 429] {
        let ran = runs.survive(json!({"on": "POST /api/upload", "kind": status, "times": 3}));
        assert!(
            ran.of_type("upload")
                .iter()
                .any(|upload| upload["attempts"].as_u64() > Some(1))
        );
    }
}

#[test]
fn a_refusal_is_not_asked_for_twice() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(json!({"on": "POST /api/upload/check", "kind": 400, "times": 0}));
    let ran = bench.tool(std::slice::from_ref(&book)).code(1);
    assert_eq!(outcome(&ran, &book)["attempts"], 1);
    assert_eq!(bench.server.count("POST", "/api/upload/check"), 1);
}

#[test]
fn bug_b9_a_file_that_failed_is_tried_again_by_the_next_run() {
    let bench = Bench::new();
    let books = bench.books(5);
    bench.fault(json!({"on": "POST /api/upload", "kind": 500, "nth": 2, "times": 8}));
    let ran = bench.tool(&books).args(["-j", "1"]).code(1);
    assert_eq!(
        counts(&ran),
        BTreeMap::from([("failed".into(), 2), ("uploaded".into(), 3)])
    );
    let failed: Vec<_> = ran
        .of_type("upload")
        .into_iter()
        .filter(|u| u["outcome"] == "failed")
        .collect();
    assert!(failed.iter().all(|upload| upload["attempts"] == 4
        && upload["reason"] == "HTTP 500: Fault on request"
        || upload["reason"].as_str().unwrap().contains("500")));
    assert_eq!(
        (&ran.summary()["failed"], &ran.summary()["complete"]),
        (&json!(2), &json!(true))
    );
    let again = bench.tool(&books).ok();
    assert_eq!(
        counts(&again),
        BTreeMap::from([("duplicate".into(), 3), ("uploaded".into(), 2)])
    );
    bench.holds(&books);
}

#[test]
fn an_ebook_is_removed_again_when_its_file_cannot_be_added() {
    // After two that the server failed itself, it is sent the bytes again.
    for (kind, times) in [("status", 6), ("drop", 4), ("garbage", 6)] {
        let bench = Bench::new();
        let books = bench.books(3);
        bench.fault(json!({"on": "POST /api/ebooks/*/add-upload", "kind": kind, "times": times}));
        let ran = bench.tool(&books).args(["-j", "1"]).code(1);
        assert_eq!(
            outcome(&ran, &books[0])["outcome"],
            "failed",
            "{}",
            ran.report()
        );
        bench.holds(&books[1..]);
        assert_eq!(bench.server.count("DELETE", "/api/ebooks/*"), 1);
    }
}

#[test]
fn an_addition_whose_every_answer_is_lost_is_a_success() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(
        json!({"on": "POST /api/ebooks/*/add-upload", "kind": "drop_after_commit", "times": 0}),
    );
    let ran = bench
        .tool(std::slice::from_ref(&book))
        .args(["--retries", "0"])
        .ok();
    assert_eq!(outcome(&ran, &book)["outcome"], "uploaded");
    assert_eq!(bench.server.count("POST", "/api/ebooks/*/add-upload"), 1);
    bench.holds(&[book]);
}

#[test]
fn an_ebook_whose_creation_was_not_heard_of_is_not_left_behind() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(json!({"on": "POST /api/ebooks", "kind": "drop_after_commit", "times": 0}));
    let ran = bench
        .tool(std::slice::from_ref(&book))
        .args(["--retries", "0"])
        .code(1);
    assert_eq!(outcome(&ran, &book)["outcome"], "failed");
    bench.holds(&[]);
    assert_eq!(bench.ebooks(), 0);
}

#[test]
fn an_ebook_removed_by_somebody_else_is_made_again() {
    let bench = Bench::new();
    let books = [bench.book("T", "A", "epub"), bench.book("T", "A", "pdf")];
    // Between the first format and the second.
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "nth": 2, "millis": 1500}));
    let tool = bench.tool(&books);
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| tool.ok());
        harness::wait_for("the second task", DEADLINE, || {
            (bench.server.count("TASK", "metadata") == 2).then_some(())
        });
        assert_eq!(
            bench.server.query("delete from ebook returning id").len(),
            1
        );
        ran.join().unwrap();
    });
    bench.holds(&books[1..]);
}

#[test]
fn a_413_is_too_big_even_when_it_breaks_the_pipe() {
    let bench = Bench::new();
    let small = bench.file("small.epub", "small", meta("Small", "A"));
    let large = bench.file("large.epub", vec![b'x'; 3 << 20], meta("Large", "A"));
    bench.fault(json!({"on": "POST /api/upload", "kind": 413, "times": 0}));
    let ran = bench.tool(&[small.clone(), large.clone()]).ok();
    for record in [&small, &large] {
        let upload = outcome(&ran, record);
        assert_eq!(upload["outcome"], "too_big", "{upload}");
        assert!(
            upload["reason"].as_str().unwrap().contains("413"),
            "{upload}"
        );
    }
}

#[test]
fn a_token_that_ends_is_renewed() {
    let bench = Bench::with(Settings {
        token_seconds: 2,
        task_millis: 250,
        ..Settings::default()
    });
    let books = bench.books(24);
    let ran = bench.tool(&books).args(["-j", "2"]).ok();
    bench.holds(&books);
    assert!(bench.server.count("POST", "/login") >= 2);
    assert!(
        ran.of_type("upload")
            .iter()
            .all(|upload| upload["attempts"] == 1),
        "{}",
        ran.report()
    );
}

#[test]
fn a_token_refused_before_its_time_is_renewed_once() {
    // Not the upload: there the answer may come before the body was read and be lost with it.
    for on in ["POST /api/upload/check", "POST /api/ebooks", "GET /ws"] {
        let bench = Bench::new();
        let books = bench.books(2);
        bench.fault(json!({"on": on, "kind": 401, "times": 1}));
        let ran = bench.tool(&books).args(["-j", "1"]).ok();
        bench.holds(&books);
        assert_eq!(bench.server.count("POST", "/login"), 2, "{on}");
        assert!(
            ran.of_type("upload")
                .iter()
                .all(|upload| upload["attempts"] == 1)
        );
    }
}

#[test]
fn a_storm_of_faults_loses_and_doubles_nothing() {
    let bench = Bench::new();
    let mut books = bench.books(30);
    books.extend(
        (0..30)
            .step_by(3)
            .map(|i| bench.book(&format!("Book {i}"), "Jan Novák", "mobi")),
    );
    for (i, on) in [
        "POST /api/upload/check",
        "POST /api/upload",
        "POST /api/ebooks",
        "POST /api/ebooks/*/add-upload",
        "GET /api/uploads-meta/*",
    ]
    .iter()
    .enumerate()
    {
        for (j, kind) in [
            "drop",
            "drop_after_commit",
            "status",
            "status_after_commit",
            "garbage",
        ]
        .iter()
        .enumerate()
        {
            for k in 0..3 {
                bench.fault(json!({"on": on, "kind": kind, "nth": 2 + i + 4 * j + 13 * k}));
            }
        }
    }
    for nth in [3, 11, 19] {
        bench.fault(json!({"on": "TASK metadata", "kind": "lost_result", "nth": nth}));
        bench.fault(json!({"on": "TASK metadata", "kind": "drop_ws", "nth": nth + 4}));
    }
    let ran = bench.tool(&books).args(["-j", "6", "--retries", "9"]).ok();
    assert_eq!(counts(&ran)["uploaded"], books.len(), "{}", ran.report());
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 30);
}

#[test]
fn a_search_of_many_questions_comes_to_its_end_on_a_line_that_breaks_again_and_again() {
    let bench = Bench::new();
    let books = bench.books(2);
    // Its row is looked for in vain, by more questions than the file has tries.
    bench.fault(json!({"on": "TASK metadata", "kind": "lost", "nth": 2}));
    for i in 0..60 {
        let nth = 2 + 3 * i;
        bench.fault(json!({"on": "GET /api/uploads-meta/*", "kind": "drop", "nth": nth}));
    }
    let ran = bench.tool(&books).args(["-j", "1", "--stall", "1s"]).ok();
    assert_eq!(outcome(&ran, &books[1])["attempts"], 2, "{}", ran.report());
    bench.holds(&books);
}
