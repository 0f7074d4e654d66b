use super::*;

#[test]
fn a_hash_keeps_all_that_its_record_had() {
    let work = Workdir::new();
    let path = work.write("a.epub", "hello");
    let more = r#","book_id":12,"title":"\u041c\u0438\u0440 \"x\"","authors":["A","B"],"series_index":1.50,"future":{"n":123456789012345678901},"sha1":"stale","size":-1"#;
    let ran = work
        .tool("hash-files")
        .stdin(record("book_file", &path, more) + &whole(1))
        .ok();
    let line = ran.stdout();
    let line = line.lines().next().unwrap();
    let start = format!(
        r#"{{"type":"file_hash","path":"{}","sha1":"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d","size":5,"mtime":""#,
        path.display()
    );
    assert!(line.starts_with(&start), "{line}");
    let kept = r#"Z","book_id":12,"title":"\u041c\u0438\u0440 \"x\"","authors":["A","B"],"series_index":1.50,"future":{"n":123456789012345678901}}"#;
    assert!(line.ends_with(kept), "{line}");
}

#[test]
fn records_without_a_path_and_errors_pass_untouched() {
    let work = Workdir::new();
    let path = work.write("a", "hello");
    let passing = [
        r#"{"type":"known_hash","sha1":"x", "size":1}"#,
        r#"{"new":1.0,"type":"from_the_future"}"#,
        &format!(
            r#"{{"type":"error","was":"book_file","path":"{}","tool":"calibre-list","op":"x","message":"y","retry":false}}"#,
            path.display()
        ),
    ];
    let input = passing.map(|line| format!("{line}\n")).concat() + &whole(3);
    let ran = work
        .tool("hash-files")
        .arg("--ordered")
        .stdin(input)
        .code(1);
    let lines: Vec<_> = ran.stdout().lines().map(String::from).collect();
    assert_eq!(lines[..3], passing);
    assert_eq!(ran.summary()["records"], 3);
    assert_eq!(
        ran.summary()["failed"],
        1,
        "it failed elsewhere, but it failed: so says the exit code"
    );
    assert_eq!(ran.summary()["complete"], true);
}

#[test]
fn every_record_is_answered_once_duplicates_too() {
    let work = Workdir::new();
    let path = work.write("a", "hello");
    let input: String = (0..500)
        .map(|n| record("book_file", &path, &format!(",\"n\":{n}")))
        .collect();
    let ran = work.tool("hash-files").stdin(input + &whole(500)).ok();
    let mut seen: Vec<_> = ran
        .of_type("file_hash")
        .iter()
        .map(|r| r["n"].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..500));
}

#[test]
fn ordered_means_the_order_of_the_input() {
    let work = Workdir::new();
    // The first takes longest, and more follow than the pool looks ahead.
    std::fs::File::create(work.join("big"))
        .unwrap()
        .set_len(60_000_000)
        .unwrap();
    let mut input = record("book_file", work.join("big"), ",\"n\":0");
    let files: Vec<_> = (0..50)
        .map(|n| work.write(format!("d/{n}"), vec![b'x'; n * 1000]))
        .collect();
    for n in 1..6000 {
        let path = match n % 3 {
            0 => &work.join("missing"),
            _ => &files[n % 50],
        };
        input += &match n % 10 {
            7 => format!("{{\"type\":\"other\",\"n\":{n}}}\n"),
            _ => record("book_file", path, &format!(",\"n\":{n}")),
        };
    }
    let ran = work
        .tool("hash-files")
        .args(["--ordered", "-q"])
        .stdin(input + &whole(6000))
        .code(1);
    let order: Vec<_> = ran
        .records()
        .iter()
        .filter_map(|record| record["n"].as_u64())
        .collect();
    assert!(order.into_iter().eq(0..6000));
}

#[test]
fn an_ordered_walk_is_sorted_by_name() {
    let work = Workdir::new();
    for n in (0..300).rev() {
        work.write(format!("d/{:02}/{n:03}", n % 20), "x");
    }
    let ran = work.tool("hash-files").args(["-r", "--ordered", "d"]).ok();
    let paths: Vec<_> = ran
        .of_type("file_hash")
        .iter()
        .map(|r| r["path"].to_string())
        .collect();
    assert!(paths.is_sorted(), "{paths:?}");
    assert_eq!(paths.len(), 300);
}

#[test]
fn lines_that_are_no_records_are_errors_of_their_own() {
    let work = Workdir::new();
    let path = work.write("a", "x");
    let good = record("book_file", &path, "");
    let input = format!("{good}nonsense\n{{\"no\":\"type\"}}\n{good}{}", whole(4));
    let ran = work
        .tool("hash-files")
        .arg("--ordered")
        .stdin(input)
        .code(1);
    assert_eq!(ran.of_type("file_hash").len(), 2);
    let stderr = ran.stderr();
    assert!(
        stderr.contains("hash-files: stdin:2: read: not a JSON record"),
        "{stderr}"
    );
    assert!(
        stderr.contains("hash-files: stdin:3: read: a JSON object without a type"),
        "{stderr}"
    );
    assert_eq!(ran.summary()["complete"], false);
    assert_eq!(ran.summary()["records"], 4);
}

#[test]
fn paths_that_cannot_be_are_errors_and_keep_the_record() {
    let work = Workdir::new();
    work.write("a", "x");
    let input = [
        r#"{"type":"book_file","path":"a","n":1}"#,
        r#"{"type":"book_file","path":"","n":2}"#,
        r#"{"type":"book_file","path":"/a\u0000b","n":3}"#,
        r#"{"type":"book_file","path":"/a","path_b64":"%%%","n":4}"#,
    ];
    let ran = work
        .tool("hash-files")
        .arg("--ordered")
        .stdin(input.map(|line| format!("{line}\n")).concat() + &whole(4))
        .code(1);
    let why = ["not absolute", "empty", "NUL", "base64"];
    for (n, (error, why)) in ran.of_type("error").iter().zip(why).enumerate() {
        assert_eq!(error["n"], n + 1);
        assert_eq!(error["was"], "book_file");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
    }
    assert_eq!(ran.summary()["failed"], 4);
}

#[test]
fn a_list_cut_by_head_is_not_called_complete() {
    let work = Workdir::new();
    let path = work.write("a", "x");
    let input = record("book_file", &path, "").repeat(200) + &whole(200);
    work.write("tracked.ndjson", &input);
    let ran = work.shell("head -100 tracked.ndjson | hash-files").ok();
    assert_eq!(ran.summary()["complete"], false);
    assert_eq!(ran.summary()["records"], 100);
    ran.one_line(&["hash-files: stdin: check: ", "cut short"]);

    let ran = work.shell("tail -n +3 tracked.ndjson | hash-files").ok();
    assert_eq!(ran.summary()["complete"], false);
    ran.one_line(&["198", "200"]);

    let ran = work.shell("hash-files < tracked.ndjson").ok();
    assert_eq!(ran.summary()["complete"], true);
    assert_eq!(ran.summary()["library"], "u-1");
    assert_eq!(ran.stderr(), "");
}

#[test]
fn shards_joined_by_cat_are_whole_only_together() {
    let work = Workdir::new();
    let path = work.write("a", "x");
    for k in 1..=3 {
        let summary = format!(
            "{{\"type\":\"summary\",\"tool\":\"calibre-list\",\"records\":2,\"failed\":0,\
             \"complete\":true,\"library\":\"u-1\",\"shard\":\"{k}/3\"}}\n"
        );
        work.write(
            format!("{k}"),
            record("book_file", &path, "").repeat(2) + &summary,
        );
    }
    let all = work
        .shell("for k in 1 2 3; do hash-files < $k; done | hash-files")
        .ok();
    assert_eq!(all.summary()["complete"], true, "{}", all.report());
    assert_eq!(all.summary()["records"], 6);
    assert!(all.summary().get("shard").is_none());

    let one = work.shell("hash-files < 2").ok();
    assert_eq!(one.summary()["shard"], "2/3");

    let some = work.shell("cat 1 3 | hash-files").ok();
    assert_eq!(some.summary()["complete"], false);
    some.one_line(&["shard 2/3 is missing"]);
}

#[test]
fn names_that_are_none_are_told_by_number() {
    let work = Workdir::new();
    work.write("a", "x");
    let ran = work
        .tool("hash-files")
        .args(["-0", "--ordered"])
        .stdin("a\0\0a")
        .code(1);
    assert_eq!(ran.of_type("file_hash").len(), 2);
    ran.one_line(&["stdin:2: read: an empty name"]);

    let ran = work.tool("hash-files").args(["-r", "-0"]).stdin(".\0").ok();
    assert_eq!(ran.of_type("file_hash").len(), 1);
}

#[test]
fn an_answer_does_not_wait_for_the_next_question() {
    use std::io::{BufRead, BufReader, Write};
    let work = Workdir::new();
    let path = work.write("a", "x");
    for flags in [&[][..], &["--ordered"]] {
        let mut child = work.tool("hash-files").args(flags).spawn();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for n in 0..3 {
            stdin
                .write_all(record("book_file", &path, &format!(",\"n\":{n}")).as_bytes())
                .unwrap();
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert!(line.contains(&format!("\"n\":{n}")), "{line}");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}
