//! What orphan-scan finds goes to the server: its findings are mbs-upload's input.

use std::{collections::BTreeMap, fs};

use sandbox::{Sandbox, Settings};
use serde_json::Value;

use super::{number, sample, with_server};

const SCAN: &str = "mbs-hashes >known && orphan-scan --tracked hashed --known known --store store \
    'Calibre Library' >findings";
/// As a person would: what the server lacks, of what Calibre tracks and of what nobody does. Of the
/// latter only those are hashed already whose size the server has.
const UPLOAD: &str = "jq -c 'select(.class == \"not_uploaded\" or .class == \"untracked\")' findings \
    | hash-files -q | mbs-upload -q --default-language en";

/// The classes by the file's name.
fn classes(findings: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let pair = |finding: &Value| {
        let path = text(&finding["path"]);
        let name = path.rsplit('/').next().unwrap().to_string();
        (name, text(&finding["class"]))
    };
    findings.iter().map(pair).collect()
}

#[test]
fn what_the_scan_finds_missing_on_the_server_is_uploaded_and_then_found_there() {
    let dir = sample();
    let server = Sandbox::start(Settings::default());
    std::os::unix::fs::symlink(server.data_dir(), dir.join("store")).unwrap();
    dir.shell("calibre-list 'Calibre Library' | (hash-files || test $? -eq 1) >hashed")
        .ok();
    // Half the library is there already.
    let half = "head -20 hashed | mbs-upload -q --default-language en >uploads || test $? -eq 1";
    with_server(dir.shell(half), &server).ok();
    // A book that nobody tracks, and its twin with other bytes of one size.
    let hashed = super::records(&fs::read_to_string(dir.join("hashed")).unwrap());
    let book = hashed
        .iter()
        .find(|record| record["format"] == "epub")
        .unwrap();
    let mut bytes = fs::read(book["path"].as_str().unwrap()).unwrap();
    bytes.push(0);
    dir.write("Calibre Library/Zed/never seen.epub", &bytes);
    bytes.push(0);
    dir.write("Calibre Library/Zed/never seen either.epub", &bytes);

    with_server(dir.shell(SCAN), &server).ok();
    let findings = || {
        let mut all = super::records(&fs::read_to_string(dir.join("findings")).unwrap());
        all.retain(|record| record["type"] == "finding");
        all
    };
    let before = findings();
    let lacking = |findings: &[Value]| {
        let wanted = |f: &&Value| f["class"] == "not_uploaded" || f["class"] == "untracked";
        findings.iter().filter(wanted).cloned().collect::<Vec<_>>()
    };
    let todo = lacking(&before);
    assert!(
        todo.iter()
            .any(|finding| finding["class"] == "not_uploaded")
    );
    assert_eq!(classes(&before)["never seen.epub"], "untracked");
    assert_eq!(classes(&before)["never seen either.epub"], "untracked");

    let ran = with_server(dir.shell(UPLOAD), &server).run();
    assert!(
        ran.status.code().is_some_and(|code| code <= 1),
        "{}",
        ran.report()
    );
    let uploads = ran.of_type("upload");
    // One answer to each finding, which keeps what the scan said.
    let key = |record: &Value| record["path"].as_str().unwrap().to_string();
    let mut asked: Vec<String> = todo.iter().map(key).collect();
    let mut answered: Vec<String> = uploads
        .iter()
        .chain(&ran.of_type("error"))
        .map(key)
        .collect();
    asked.sort();
    answered.sort();
    assert_eq!(answered, asked, "{}", ran.report());
    let uploaded: Vec<&Value> = uploads
        .iter()
        .filter(|u| u["outcome"] == "uploaded")
        .collect();
    for name in ["never seen.epub", "never seen either.epub"] {
        assert!(
            uploaded
                .iter()
                .any(|u| key(u).ends_with(name) && u["class"] == "untracked"),
            "{name}\n{}",
            ran.report()
        );
    }
    assert!(
        uploaded
            .iter()
            .any(|u| u["class"] == "not_uploaded" && u["row"] == u["path"])
    );

    with_server(dir.shell(SCAN), &server).ok();
    let after = findings();
    let now = classes(&after);
    for upload in uploaded {
        let name = key(upload).rsplit('/').next().unwrap().to_string();
        let expected = match upload["class"].as_str().unwrap() {
            "untracked" => "untracked_on_server",
            _ => "duplicate_of_server",
        };
        assert_eq!(now[&name], expected, "{upload}");
    }
    // What is left is what the server does not take.
    let refused = uploads
        .iter()
        .filter(|u| u["outcome"] == "unsupported")
        .count();
    assert_eq!(lacking(&after).len(), refused + ran.of_type("error").len());
    assert_eq!(
        number(
            &server,
            "SELECT count(*) - count(DISTINCT (hash, size)) FROM source"
        ),
        0
    );
}
