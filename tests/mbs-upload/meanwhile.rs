use super::*;

/// Puts a file's content on the server behind the tool's back.
fn slip_in(bench: &Bench, record: &Value) {
    let (sha1, size) = (record["sha1"].as_str().unwrap(), &record["size"]);
    let statements = format!(
        "with e as (insert into ebook (version_id, created, modified, title, language_id, base_dir)
           values (1, now(), now(), 'Other', 2, 'other') returning id)
         insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
           select 1, now(), now(), id, 'other', 8, {size}, '{sha1}' from e returning id"
    );
    assert_eq!(bench.server.query(&statements).len(), 1);
}

#[test]
fn a_file_that_comes_in_meanwhile_is_a_duplicate_and_leaves_no_empty_ebook() {
    for (step, by) in [
        ("/api/upload", "upload"),
        ("/api/ebooks/*/add-upload", "add"),
    ] {
        let bench = Bench::new();
        let book = bench.book("T", "A", "epub");
        bench.fault(json!({"on": format!("POST {step}"), "kind": "delay", "millis": 1500}));
        let tool = bench.tool(std::slice::from_ref(&book));
        let ran = std::thread::scope(|scope| {
            let ran = scope.spawn(|| tool.ok());
            harness::wait_for("the request", DEADLINE, || {
                (bench.server.count("POST", step) == 1).then_some(())
            });
            slip_in(&bench, &book);
            ran.join().unwrap()
        });
        let upload = outcome(&ran, &book);
        assert_eq!(
            (&upload["outcome"], &upload["by"]),
            (&json!("duplicate"), &json!(by))
        );
        assert_eq!(bench.stored().values().sum::<usize>(), 1);
        assert_eq!(bench.ebooks(), 1);
        if by == "add" {
            assert!(
                upload["ebook_id"].is_i64() && upload["source_id"].is_i64(),
                "{upload}"
            );
            assert_eq!(bench.server.count("DELETE", "/api/ebooks/*"), 1);
        }
    }
}

#[test]
fn an_ebook_that_got_a_file_meanwhile_is_not_removed() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(
        json!({"on": "POST /api/ebooks/*/add-upload", "kind": "delay", "millis": 1500, "times": 0}),
    );
    let tool = bench.tool(std::slice::from_ref(&book));
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| tool.ok());
        harness::wait_for("the request", DEADLINE, || {
            (bench.server.count("POST", "/api/ebooks/*/add-upload") == 1).then_some(())
        });
        slip_in(&bench, &book);
        // Somebody else's file in the ebook that the tool has just made.
        assert_eq!(
            bench.server.query(
                "insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
                 select 1, now(), now(), id, 'else', 1, 5, 'else' from ebook where title = 'T' returning id"
            ).len(),
            1
        );
        ran.join().unwrap()
    });
    assert_eq!(outcome(&ran, &book)["by"], "add");
    assert_eq!(bench.server.count("DELETE", "/api/ebooks/*"), 0);
    assert_eq!(bench.ebooks(), 2);
}

/// The server removes the uploaded file before it commits.
#[test]
fn a_file_that_the_server_lost_over_an_addition_is_sent_again() {
    let bench = Bench::new();
    let books = bench.books(1);
    let once = "create sequence once;
        create function fail_once() returns trigger language plpgsql security definer as
        'begin if nextval(''once'') = 1 then raise exception ''no''; end if; return old; end';
        create trigger fail_once before delete on upload for each row execute function fail_once()";
    bench.server.execute(once);
    let ran = bench.tool(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
    assert_eq!(bench.server.count("POST", "/api/upload"), 2);
    bench.holds(&books);
}
