use super::*;

/// A file larger than all that the two systems hold back between client and server.
fn large(bench: &Bench, title: &str, bytes: usize) -> Value {
    let mut content = title.as_bytes().to_vec();
    content.resize(bytes, b'.');
    bench.file(&format!("{title}.epub"), content, meta(title, "A"))
}

/// One book through a fault that is there for one try: it arrives at the second.
fn survives(order: Value, args: &[&str]) -> (Bench, Ran) {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(order);
    let ran = bench.tool(std::slice::from_ref(&book)).args(args).ok();
    assert_eq!(outcome(&ran, &book)["attempts"], 2, "{}", ran.report());
    bench.holds(&[book]);
    assert_eq!(bench.ebooks(), 1);
    (bench, ran)
}

/// One book through a fault that stays: it fails, and says what it was waiting for.
fn fails(order: Value, args: &[&str], reason: &str) -> Bench {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(order);
    let tool = bench.tool(std::slice::from_ref(&book));
    let ran = tool.args(["--retries", "1"]).args(args).code(1);
    let upload = outcome(&ran, &book);
    assert_eq!(
        (&upload["outcome"], &upload["attempts"]),
        (&json!("failed"), &json!(2))
    );
    let told = upload["reason"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
    assert_eq!(bench.ebooks(), 0);
    bench
}

#[test]
fn an_upload_that_stands_still_half_way_is_sent_again() {
    let bench = Bench::new();
    let book = large(&bench, "T", 12 << 20);
    bench.fault(json!({"on": "POST /api/upload", "kind": "hang", "bytes": 100_000}));
    let ran = bench
        .tool(std::slice::from_ref(&book))
        .args(["--stall", "1s"])
        .ok();
    assert_eq!(outcome(&ran, &book)["attempts"], 2, "{}", ran.report());
    bench.fault(json!({"on": "POST /api/upload", "kind": "hang", "bytes": 100_000, "times": 0}));
    let other = large(&bench, "U", 12 << 20);
    let tool = bench.tool(std::slice::from_ref(&other));
    let ran = tool.args(["--stall", "1s", "--retries", "0"]).code(1);
    ran.one_line(&["stalled while sending: the server took no byte for 1s"]);
    bench.holds(&[book]);
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let stall = ["--stall", "1s"];
    for on in ["POST /api/upload/check", "POST /api/upload"] {
        survives(json!({"on": on, "kind": "hang", "bytes": 1 << 20}), &stall);
    }
    // Done, but the answer comes too late: not done again.
    for on in ["/api/ebooks", "/api/ebooks/*/add-upload"] {
        let order = json!({"on": format!("POST {on}"), "kind": "delay_answer", "millis": 2500});
        let (bench, _) = survives(order, &stall);
        assert_eq!(bench.server.count("POST", on), 1);
    }
    let order = json!({"on": "POST /api/upload", "kind": "hang", "bytes": 1 << 20, "times": 0});
    fails(
        order,
        &stall,
        "stalled: all was sent, but no answer came for 1s",
    );
    let order = json!({"on": "POST /api/ebooks", "kind": "hang", "times": 0});
    fails(
        order,
        &stall,
        "stalled: no answer to POST /api/ebooks for 1s",
    );
}

#[test]
fn bug_d3_an_upload_that_is_slow_but_moves_is_left_alone() {
    let bench = Bench::new();
    let book = large(&bench, "T", 12 << 20);
    bench.fault(
        json!({"on": "POST /api/upload", "kind": "trickle", "bytes": 512 << 10, "millis": 120}),
    );
    let tool = bench.tool(std::slice::from_ref(&book));
    let ran = tool.args(["--stall", "1500ms"]).ok();
    let upload = outcome(&ran, &book);
    assert_eq!(upload["attempts"], 1, "{}", ran.report());
    assert!(upload["seconds"].as_f64() > Some(2.0), "{upload}");
    bench.holds(&[book]);
}

#[test]
fn an_upload_that_moves_for_too_long_ends_by_max_time() {
    let bench = Bench::new();
    let book = large(&bench, "T", 12 << 20);
    let slow = json!({"on": "POST /api/upload", "kind": "trickle", "bytes": 512 << 10, "millis": 250, "times": 0});
    bench.fault(slow);
    let tool = bench.tool(std::slice::from_ref(&book));
    let ran = tool.args(["--max-time", "1s", "--retries", "0"]).code(1);
    ran.one_line(&["not sent within --max-time 1s"]);
}

#[test]
fn bug_d4_a_task_that_never_ends_is_left_alone_and_made_again() {
    let stall = ["--stall", "1s"];
    let (bench, _) = survives(json!({"on": "TASK metadata", "kind": "hang"}), &stall);
    assert_eq!(bench.server.count("POST", "/api/upload"), 1);
    let reason = "the metadata task started, and nothing was heard of it for 1s";
    fails(
        json!({"on": "TASK metadata", "kind": "hang", "times": 0}),
        &stall,
        reason,
    );
    let reason = "not done within --max-time 1s: the metadata task was at work";
    let order = json!({"on": "TASK metadata", "kind": "hang", "times": 0});
    fails(order, &["--max-time", "1s"], reason);
}

#[test]
fn a_task_that_ends_after_it_was_given_up_confuses_nobody() {
    let bench = Bench::new();
    let books = bench.books(6);
    bench.fault(
        json!({"on": "TASK metadata", "kind": "delay", "millis": 2500, "nth": 2, "times": 2}),
    );
    let ran = bench.tool(&books).args(["--stall", "1s", "-j", "2"]).ok();
    assert_eq!(counts(&ran)["uploaded"], 6, "{}", ran.report());
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 6);
}

#[test]
fn waiting_in_the_queue_is_no_stall_and_no_time_spent() {
    let bench = Bench::with(Settings {
        tasks: 1,
        task_millis: 700,
        ..Settings::default()
    });
    let books = bench.books(6);
    // The last one waits for 3.5 s.
    let limits = ["--stall", "1500ms", "--max-time", "3s", "-j", "6"];
    let ran = bench.tool(&books).args(limits).ok();
    for book in &books {
        assert_eq!(outcome(&ran, book)["attempts"], 1, "{}", ran.report());
    }
    bench.holds(&books);
    // Each of them once, and what sounded the queue.
    let failed = |e: &&sandbox::Entry| e.method == "TASK" && e.status == Some(500);
    let log = bench.server.log();
    let sounded = log.iter().filter(failed).count();
    assert_eq!(bench.server.count("TASK", "metadata"), 6 + sounded);
    assert!((1..=6).contains(&sounded), "{sounded}");
}

#[test]
fn the_last_task_of_all_is_not_lost_unnoticed() {
    // Nobody comes after it to show that the queue moves.
    let (bench, _) = survives(
        json!({"on": "TASK metadata", "kind": "lost"}),
        &["--stall", "1s"],
    );
    assert_eq!(bench.server.count("POST", "/api/upload"), 1);
}

#[test]
fn a_start_that_is_not_heard_of_does_no_harm() {
    let bench = Bench::with(Settings {
        task_millis: 600,
        ..Settings::default()
    });
    let books = bench.books(4);
    bench.fault(json!({"on": "TASK metadata", "kind": "no_started", "times": 0}));
    bench.tool(&books).args(["--stall", "2s"]).ok();
    bench.holds(&books);
}

#[test]
fn one_that_is_tried_again_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let books = bench.books(12);
    bench.fault(json!({"on": "POST /api/upload", "kind": "hang", "bytes": 1 << 20}));
    let ran = bench.tool(&books).args(["--stall", "2s", "-j", "2"]).ok();
    // The second worker went on: if it had waited, it would have done at most one of the others.
    let uploads = ran.of_type("upload");
    let place = uploads.iter().position(|upload| upload["attempts"] == 2);
    assert!(place > Some(1), "{}", ran.report());
    bench.holds(&books);
}

#[test]
fn a_step_for_which_no_time_was_left_is_not_in_doubt() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    for on in ["POST /api/upload", "GET /api/ebooks/index/T"] {
        bench.fault(json!({"on": on, "kind": "delay_answer", "millis": 1100}));
    }
    let tool = bench.tool(std::slice::from_ref(&book));
    let ran = tool.args(["--max-time", "2s", "--retries", "0"]).code(1);
    ran.one_line(&["not done within --max-time 2s"]);
    // No ebook was made, and none is looked for, nor said to be left.
    assert!(!ran.report().contains("left"), "{}", ran.report());
    assert_eq!(bench.server.count("GET", "/api/ebooks/index/T"), 1);
    assert_eq!(bench.server.count("POST", "/api/ebooks"), 0);
}
