//! Reports: text, JSON, a page.

use std::fs;

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn the_three_forms_tell_the_same() {
    let mut stage = Stage::new();
    stage.put("Zed/stray.epub", "a stray");
    stage.put(
        "<script>alert(1)</script>/\"><img src=x onerror=alert(1)>.epub",
        "hostile",
    );
    stage.stored("A/1.epub", "first epub");
    stage.list();
    let reports = [
        "--report", "r.txt", "--report", "r.json", "--report", "r.html",
    ];
    let ran = stage.full().args(reports).ok();
    let read = |name: &str| fs::read_to_string(stage.dir.join(name)).unwrap();

    let json: Value = serde_json::from_str(&read("r.json")).unwrap();
    let summary = ran.summary();
    assert_eq!(
        (&json["files"], &json["bytes"]),
        (&summary["walked"], &summary["walked_bytes"])
    );
    for class in json["classes"].as_array().unwrap() {
        let name = class["name"].as_str().unwrap();
        assert_eq!(class["files"], summary[name], "{name}");
        if name != "missing" {
            assert_eq!(class["bytes"], summary[format!("{name}_bytes")], "{name}");
        }
    }
    assert_eq!(json["removable"]["files"], 1);
    assert_eq!(json["complete"], true);
    let of = |list: &str| {
        json[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["files"].as_u64().unwrap())
    };
    assert_eq!(Value::from(of("formats").sum::<u64>()), summary["walked"]);
    assert_eq!(Value::from(of("authors").sum::<u64>()), summary["walked"]);

    let text = read("r.txt");
    for said in [
        "duplicate_of_server",
        "Zed/stray.epub",
        "the ledger balances",
        "orphan-rm",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert_strict(&stage, "r.html");
    assert_in_a_browser(&stage);
}

/// What a browser makes of the page: the same elements and no other. `tests/setup test` installs one
/// where that is possible, and says so where it is not.
#[expect(
    clippy::print_stderr,
    reason = "what was not tested must not look as if it was"
)]
fn assert_in_a_browser(stage: &Stage) {
    let find = "command -v chromium-headless-shell || command -v chromium";
    let found = stage.dir.shell(find).run();
    if !found.status.success() {
        eprintln!("NOT TESTED: no chromium, so nobody has looked at the page in a browser");
        return;
    }
    let browser = found.stdout().trim().to_string();
    let page = format!("file://{}", stage.dir.join("r.html").display());
    let profile = format!("--user-data-dir={}", stage.dir.join("profile").display());
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"];
    let run = stage
        .dir
        .command("timeout")
        .args(["60", &browser, &profile]);
    let dom = run.args(flags).arg(&page).ok().stdout();
    // A browser names the parts of a table or a picture as it likes, but makes no new ones.
    stage.dir.write("dom.html", dom);
    assert_strict(stage, "dom.html");
}

/// A strict look at the page: elements are closed in order, nothing is fetched or run.
fn assert_strict(stage: &Stage, page: &str) {
    const CHECK: &str = r#"
import sys
from html.parser import HTMLParser
void = {"meta", "rect", "br", "link", "img"}
allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li",
           "code", "svg", "g", "text", "rect"}
class Strict(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.svgs, self.text = [], 0, ""
    def handle_starttag(self, tag, attrs):
        assert tag in allowed, tag
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("src", "href"), (tag, name)
        self.svgs += tag == "svg"
        if tag not in void:
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        assert tag in void, tag
    def handle_endtag(self, tag):
        # A browser closes these, too.
        if tag in void:
            return
        assert self.open and self.open.pop() == tag, tag
    def handle_data(self, data):
        self.text += data
    def handle_comment(self, data):
        raise AssertionError("a comment: " + data)
parser = Strict()
parser.feed(open(sys.argv[1], encoding="utf-8").read())
parser.close()
assert parser.open == [], parser.open
assert parser.svgs == 3, parser.svgs
assert "<script>alert(1)</script>" in parser.text
"#;
    stage.dir.write("strict.py", CHECK);
    stage.dir.command("python3").args(["strict.py", page]).ok();
}

#[test]
fn a_report_replaces_the_old_one_at_once_or_not_at_all() {
    let stage = Stage::new();
    stage.list();
    stage.dir.write("r.txt", "the old one");
    stage.plain().args(["--report", "r.txt"]).ok();
    assert!(
        fs::read_to_string(stage.dir.join("r.txt"))
            .unwrap()
            .contains("orphan-scan of")
    );
}
