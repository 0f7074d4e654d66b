use super::*;

fn survives(order: Value) -> (Bench, Ran) {
    let bench = Bench::with(Settings {
        task_millis: 60,
        ..Settings::default()
    });
    let books = bench.books(8);
    bench.fault(order.clone());
    let ran = bench.tool(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 8, "{order}\n{}", ran.report());
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 8);
    (bench, ran)
}

#[test]
fn a_lost_connection_is_made_again_under_its_session() {
    let (bench, _) = survives(json!({"on": "TASK metadata", "kind": "drop_ws", "nth": 3}));
    assert_eq!(bench.server.count("GET", "/ws"), 2);
    // The result came over the second connection: nothing was done twice.
    assert_eq!(bench.server.count("TASK", "metadata"), 8);
    assert_eq!(bench.server.count("POST", "/api/upload"), 8);
}

#[test]
fn a_lost_result_is_asked_for_and_the_task_not_repeated() {
    let (bench, _) = survives(json!({"on": "TASK metadata", "kind": "lost_result", "nth": 4}));
    assert_eq!(bench.server.count("TASK", "metadata"), 8);
    assert_eq!(bench.server.count("POST", "/api/upload"), 8);
    assert_eq!(bench.number("select count(*) from upload"), 0);
}

#[test]
fn a_call_that_is_lost_is_made_again() {
    let (bench, _) = survives(json!({"on": "CALL metadata", "kind": "drop", "nth": 3}));
    assert_eq!(bench.server.count("POST", "/api/upload"), 8);
}

#[test]
fn a_task_that_nobody_speaks_of_is_found_or_made_again() {
    for kind in ["no_reply", "lost"] {
        let on = if kind == "lost" {
            "TASK metadata"
        } else {
            "CALL metadata"
        };
        survives(json!({"on": on, "kind": kind, "nth": 3}));
    }
}

#[test]
fn a_full_queue_is_waited_for() {
    let (_, ran) = survives(json!({"on": "CALL metadata", "kind": "queue_full", "times": 3}));
    assert!(
        ran.of_type("upload")
            .iter()
            .any(|upload| upload["attempts"].as_u64() > Some(1))
    );
}

#[test]
fn a_task_that_fails_once_is_tried_again() {
    survives(json!({"on": "TASK metadata", "kind": "error", "message": "Timeout after 60.000000"}));
}

#[test]
fn a_task_that_keeps_failing_fails_one_file() {
    let bench = Bench::new();
    let books = bench.books(3);
    bench.fault(json!({"on": "TASK metadata", "kind": "error", "message": "Timeout after 60.000000", "times": 4}));
    let ran = bench.tool(&books).args(["-j", "1"]).code(1);
    let upload = outcome(&ran, &books[0]);
    assert_eq!(
        (&upload["outcome"], &upload["attempts"]),
        (&json!("failed"), &json!(4))
    );
    assert!(
        upload["reason"]
            .as_str()
            .unwrap()
            .contains("Timeout after 60")
    );
    bench.holds(&books[1..]);
}

#[test]
fn an_upload_that_was_cleaned_up_is_sent_again() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 1000}));
    let tool = bench.tool(std::slice::from_ref(&book));
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| tool.ok());
        harness::wait_for("the task", DEADLINE, || {
            (bench.server.count("TASK", "metadata") == 1).then_some(())
        });
        let uploads = bench.server.data_dir().join("uploads");
        std::fs::remove_dir_all(&uploads).unwrap();
        std::fs::create_dir(&uploads).unwrap();
        ran.join().unwrap();
    });
    assert_eq!(bench.server.count("POST", "/api/upload"), 2);
    bench.holds(&[book]);
}

#[test]
fn a_restart_of_the_engine_is_survived() {
    let bench = Bench::with(Settings {
        task_millis: 300,
        ..Settings::default()
    });
    let books = bench.books(8);
    let tool = bench.tool(&books);
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| tool.ok());
        harness::wait_for("a task", DEADLINE, || {
            (bench.server.count("TASK", "metadata") >= 3).then_some(())
        });
        bench.fault(json!({"on": "engine", "kind": "restart"}));
        ran.join().unwrap()
    });
    assert_eq!(counts(&ran)["uploaded"], 8);
    bench.holds(&books);
}
