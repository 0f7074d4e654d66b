use serde_json::{Value, json};

/// A book's fields, its title on the server (nothing: as given), and what the notes must speak of.
pub(super) type Case = (Value, Option<&'static str>, &'static [&'static str]);

/// Stands for half a surrogate pair, which no Rust string can hold.
pub(super) const HALF: &str = "HALF-A-PAIR";

const SLASH: &str = "decomposes to a slash";
const CONTROL: &str = "control characters";
const DISK: &str = "file name would be too long";
const UNKNOWN: &str = "sent as Unknown";

pub(super) fn cases() -> Vec<Case> {
    let many = |n: usize| -> Vec<String> { (0..n).map(|i| format!("First{i} Last{i}")).collect() };
    let long = |n: usize| -> Vec<String> {
        let name = |i| format!("{i}{} {}", "ž".repeat(200), "x".repeat(200));
        (0..n).map(name).collect()
    };
    let mixed = json!([5, "Real Name", null]);
    vec![
        // NUL and other control characters.
        (
            json!({"title": "a\u{0}b\u{1b}c\nd", "authors": ["x\u{0}y"], "tags": ["a\u{0}b", "\u{0}", "\u{0}Fantasy"]}),
            Some("abc d"),
            &[CONTROL, "no genres left out: ab"],
        ),
        (
            json!({"title": "\u{0}\u{7f}\u{85}", "authors": ["\u{0}"]}),
            Some("file 1 %"),
            &["no title", "without a name"],
        ),
        (
            json!({"title": "c1", "authors": ["A\u{9b}31m B"], "series": "\u{1b}]0;x\u{7}", "series_index": 1}),
            None,
            &[CONTROL],
        ),
        // Too long.
        (
            json!({"title": "ž".repeat(10_000), "authors": ["Author With A Name"]}),
            Some("ž"),
            &["title cut to 256", DISK],
        ),
        (
            json!({"title": "T".repeat(256), "authors": ["Title Long"]}),
            Some("TTT"),
            &[DISK],
        ),
        (
            json!({"title": "\\".repeat(10_000), "authors": ["A B"]}),
            Some("\\\\\\"),
            &["title cut to 256"],
        ),
        (
            json!({"title": "S".repeat(150), "authors": ["A B"], "series": "R".repeat(1000), "series_index": 1}),
            Some("S"),
            &["series cut to 256", DISK],
        ),
        (
            json!({"title": "%".repeat(400), "authors": ["A B"], "series": "_".repeat(256), "series_index": 1}),
            Some("%"),
            &["title cut", "series cut"],
        ),
        (
            json!({"title": "L", "authors": long(1)}),
            None,
            &["author cut to 128", "authors cut"],
        ),
        (
            json!({"title": "ﷺ".repeat(256), "authors": ["ﷺ".repeat(128)], "languages": ["rus"]}),
            Some("ﷺ"),
            &["title cut", "authors cut"],
        ),
        // Too many.
        (
            json!({"title": "many", "authors": many(510)}),
            None,
            &["authors after the first 500"],
        ),
        (
            json!({"title": "many and long", "authors": long(60)}),
            None,
            &["authors cut"],
        ),
        (
            json!({"title": "/no index", "authors": many(60)}),
            None,
            &[],
        ),
        (
            json!({"title": "one 500 times", "authors": vec!["A B"; 500]}),
            None,
            &[],
        ),
        (
            json!({"title": "tags", "authors": ["A B"], "tags": many(300).into_iter().chain(["t".repeat(10_000)]).collect::<Vec<_>>()}),
            None,
            &["tags after the first 100", "no genres left out"],
        ),
        (
            json!({"title": "a long tag", "authors": ["A B"], "tags": ["t".repeat(10_000), "Fantasy"]}),
            None,
            &["tags of more than 512"],
        ),
        // Folders that climb, end or vanish.
        (
            json!({"title": ".hidden", "authors": [".."]}),
            None,
            &[UNKNOWN],
        ),
        (
            json!({"title": "..", "authors": ["%..", ".", "A B"]}),
            None,
            &[UNKNOWN],
        ),
        (
            json!({"title": "up", "authors": ["‥"], "series": "..", "series_index": 1}),
            None,
            &[UNKNOWN, "left out: no folder"],
        ),
        (
            json!({"title": "root", "authors": ["??? "]}),
            None,
            &[UNKNOWN],
        ),
        (
            json!({"title": "／etc／passwd", "authors": ["．．／．．／x"], "series": "／a", "series_index": 1}),
            Some("-etc-passwd"),
            &[SLASH],
        ),
        (
            json!({"title": "℀℅", "authors": ["℀"]}),
            Some("a-cc-o"),
            &[SLASH],
        ),
        (
            json!({"title": "../../../../tmp/x", "authors": ["/etc"]}),
            None,
            &[],
        ),
        (json!({"title": "/", "authors": ["/"]}), None, &[]),
        (
            json!({"title": "C:\\Windows\\..\\x", "authors": ["\\\\host\\share"]}),
            None,
            &[],
        ),
        (
            json!({"title": "-rf ~ $(id) `id` ; '", "authors": ["A'; drop table ebook; --"]}),
            None,
            &[],
        ),
        // Blank.
        (
            json!({"title": "  ", "authors": ["Blank Title"]}),
            Some("file 26 %"),
            &["no title"],
        ),
        (
            json!({"title": "", "authors": ["", " ", "\t"]}),
            Some("file 27 %"),
            &["no title", "without a name"],
        ),
        (
            json!({"title": "\u{200b}\u{feff}", "authors": ["\u{2060}"], "series": "\u{ad}"}),
            Some("file 28 %"),
            &["no title", "without a name", "series"],
        ),
        (json!({"title": "no authors", "authors": []}), None, &[]),
        (
            json!({"title": "commas", "authors": [","], "author_sorts": [" , "]}),
            None,
            &["without a name"],
        ),
        // Signs that mean something to Python, to LIKE, to the search.
        (
            json!({"title": "100% %s %(title)s %d", "authors": ["%"]}),
            None,
            &[UNKNOWN],
        ),
        (
            json!({"title": "%d%s%", "authors": ["%(author)s"]}),
            None,
            &[],
        ),
        (json!({"title": "_\\_%\\", "authors": ["_ _"]}), None, &[]),
        (
            json!({"title": "( ) & | ! : ' < a:b ".repeat(10), "authors": ["& !"]}),
            Some("( ) & | ! : ' < a:b ( )"),
            &[],
        ),
        (
            json!({"title": "<script>alert(1)</script>", "authors": ["&amp; <b>"]}),
            None,
            &[],
        ),
        // Unicode.
        (
            json!({"title": "\u{202e}bidi\u{2066}\u{200f}", "authors": ["\u{202e}txt.exe"]}),
            Some("bidi"),
            &[],
        ),
        (
            json!({"title": "\u{301}", "authors": ["\u{301}"]}),
            None,
            &[UNKNOWN],
        ),
        (
            json!({"title": format!("z{}", "\u{301}".repeat(255)), "authors": ["A B"]}),
            None,
            &[],
        ),
        (
            json!({"title": "\u{fffe}\u{10ffff}\u{e000}\u{2028}", "authors": ["\u{fdd0}"]}),
            Some("\u{fffe}\u{10ffff}\u{e000}"),
            &[],
        ),
        (
            json!({"title": "戦争と平和", "authors": ["𝕿𝖊𝖘𝖙"]}),
            None,
            &[],
        ),
        (
            json!({"title": "👩‍👩‍👧‍👦".repeat(30), "authors": ["👾"]}),
            None,
            &[],
        ),
        // What is no Unicode at all, as Python writes it.
        (
            json!({"title": format!("caf{HALF}"), "authors": [format!("{HALF} Name"), "Second Name"]}),
            Some("caf\u{fffd}"),
            &["surrogate"],
        ),
        (
            json!({"title": HALF, "authors": [HALF], "series": HALF, "tags": [HALF, "Fantasy"]}),
            Some("\u{fffd}"),
            &["surrogate"],
        ),
        // Other types than agreed upon.
        (
            json!({"title": "mixed", "authors": mixed, "tags": "Fantasy"}),
            None,
            &["authors: what is no text", "tags left out"],
        ),
        (
            json!({"title": "index", "authors": ["A B"], "series": "S", "series_index": 1e300}),
            None,
            &["index left out: too large"],
        ),
        (
            json!({"title": "minus", "authors": ["A B"], "series": "S", "series_index": -3}),
            None,
            &[],
        ),
        (
            json!({"title": "text", "authors": ["A B"], "series": "S", "series_index": "3"}),
            None,
            &["index left out: it is no number"],
        ),
    ]
}
