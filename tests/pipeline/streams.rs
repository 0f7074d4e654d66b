//! Standard streams that are closed, full, or have a reader that had enough.

use super::*;

/// One of each tool that reads; each has more to say than a pipe holds at once.
fn readers() -> (Workdir, [&'static str; 4]) {
    let dir = sample();
    for n in 0..1500 {
        dir.write(format!("Calibre Library/many/{n}"), n.to_string());
    }
    dir.shell("calibre-list 'Calibre Library' >list").ok();
    let row = |n| format!("{n},{n},{n:040x},{n},l,epub,1499\n");
    let rows: String = (1..1500).map(row).collect();
    dir.write(
        "export.csv",
        format!("source_id,ebook_id,sha1,size,location,format,rows\n{rows}"),
    );
    dir.shell("hash-files -r 'Calibre Library' >hashed").ok();
    let tools = [
        "calibre-list 'Calibre Library'",
        "hash-files <hashed",
        "mbs-hashes --from-csv export.csv",
        "orphan-scan --tracked list 'Calibre Library'",
    ];
    (dir, tools)
}

#[test]
fn a_reader_that_has_enough_ends_a_reading_tool_quietly() {
    let (dir, tools) = readers();
    for tool in tools {
        let ran = dir.shell(&format!("{tool} | head -1")).ok();
        assert_eq!(
            (ran.stdout().lines().count(), ran.stderr().as_str()),
            (1, ""),
            "{tool}"
        );
        let ran = dir.shell(&format!("{tool} >/dev/full")).code(255);
        ran.one_line(&["stdout: write: No space left"]);
    }
    for tool in ["mbs-upload", "orphan-rm", "stall-pool"] {
        dir.shell(&format!("{tool} --schema duckdb | true")).ok();
    }
}

#[test]
fn what_goes_to_a_closed_stdout_is_not_lost_in_silence() {
    let (dir, tools) = readers();
    let schema = ["mbs-upload --schema json", "orphan-rm --schema json"];
    for tool in tools.into_iter().chain(schema) {
        for closed in ["", "<&-", "2>/dev/null <&-"] {
            let ran = dir.shell(&format!("{tool} {closed} >&-"));
            let ran = ran.code(255);
            if !closed.contains('2') {
                ran.one_line(&["stdout: write: it is closed"]);
            }
        }
    }
    for tool in tools {
        let out = dir.shell(&format!("{tool} -o out >&- 2>/dev/null")).run();
        assert!(out.status.code() < Some(2), "{}", out.report());
        assert!(dir.join("out").metadata().unwrap().len() > 4096, "{tool}");
        // Somebody's decision, and no accident.
        for nowhere in [">/dev/null", "1<>/dev/null", "2>&- >/dev/null"] {
            let ran = dir.shell(&format!("{tool} {nowhere}")).run();
            assert!(
                ran.status.code() < Some(2),
                "{tool} {nowhere}\n{}",
                ran.report()
            );
        }
    }
    dir.shell("hash-files <&-")
        .code(255)
        .one_line(&["stdin: read: "]);
}
