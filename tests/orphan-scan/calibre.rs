//! The same findings as Calibre's own check, on a copy, for Calibre vacuums what it checks.
//!
//! The differences, each on purpose:
//!
//! | Calibre | we |
//! | --- | --- |
//! | `metadata.db-wal`, `._x`, `.DS_Store`: an extra file or author | internal, foreign |
//! | `merge conflict/x`: an extra file, by its folder | internal |
//! | `X.EPUB` beside `x.epub`: an extra format | case_mismatch |
//! | `x.epub` in place of `X.epub`: a missing and an extra format | case_mismatch, which accounts for the row |
//! | a link that leads nowhere in a format's place: nothing | tracked; with `--known` unknown |
//! | 6.13, which knows no `data` folders: an unknown file | extra_data, each file in it |
//! | a renamed book: a missing and an extra format | missing, and heal_candidate |

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use library::calibre::{self, calibredb};

use crate::stage::{Stage, balance};

#[test]
fn what_calibre_reports_is_what_is_found() {
    let stage = Stage::new();
    let root = stage.dir.join("cal");
    calibre::library(&root).unwrap();
    let listed = stage.dir.tool("calibre-list").arg("cal").ok();
    let books = listed.of_type("book_file");
    let path = |at: usize| books[at]["path"].as_str().unwrap();
    let beside = |at: usize, name: &str| std::path::Path::new(path(at)).with_file_name(name);
    fs::remove_file(path(0)).unwrap();
    let last = books.len() - 1;
    fs::rename(path(last), beside(last, "Old Name.epub")).unwrap();
    fs::write(beside(5, "stray.docx"), "an extra format").unwrap();
    fs::write(beside(5, "notes.nfo"), "an extra file").unwrap();
    fs::create_dir(beside(6, "data")).unwrap();
    fs::write(beside(6, "data/scan.pdf"), "extra data").unwrap();
    let upper = path(7).to_uppercase();
    let upper = upper.rsplit('/').next().unwrap();
    fs::write(beside(7, upper), "a twin in upper case").unwrap();
    let below = |path: &str| path.split_once("/cal/").unwrap().1.to_string();
    let (other_case, dangling) = (below(path(3)), below(path(4)));
    // Of another case alone, on a file system that tells case apart.
    let lower = path(3).rsplit('/').next().unwrap().to_lowercase();
    fs::rename(path(3), beside(3, &lower)).unwrap();
    // A link that leads nowhere.
    fs::remove_file(path(4)).unwrap();
    std::os::unix::fs::symlink("/nowhere", path(4)).unwrap();
    stage
        .dir
        .shell("calibre-list cal >tracked; cp -a cal copy")
        .ok();

    let ran = stage
        .dir
        .tool("orphan-scan")
        .args(["--tracked", "tracked", "cal"])
        .ok();
    balance(&ran);
    let mut ours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in ran.of_type("finding") {
        let below = finding["path"]
            .as_str()
            .unwrap()
            .split_once("/cal/")
            .unwrap()
            .1;
        let class = finding["class"].as_str().unwrap().to_string();
        ours.entry(class).or_default().insert(below.to_string());
    }

    let csv = calibredb(&stage.dir.join("copy"), ["check_library", "--csv"]).unwrap();
    let mut theirs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv.as_bytes());
    for row in rows.records() {
        let row = row.unwrap();
        // It also says what it is about to do.
        if row.len() < 3 {
            continue;
        }
        let kind = theirs.entry(row[0].to_string()).or_default();
        kind.insert(row[2].to_string());
    }
    let of = |kind: &str| theirs.get(kind).cloned().unwrap_or_default();
    let in_class = |class: &str| ours.get(class).cloned().unwrap_or_default();
    let reported = |kind: &str| {
        let found = of(kind);
        assert!(!found.is_empty(), "{kind} in {csv}");
        found
    };
    // Calibre tells the path of the file that it misses.
    let mut missing: BTreeSet<String> = reported("Missing book formats");
    let other_case = |path: &String| path.to_lowercase() == other_case.to_lowercase();
    let accounted: Vec<String> = missing.extract_if(.., |path| other_case(path)).collect();
    assert_eq!(accounted.len(), 1, "{csv}");
    assert_eq!(missing, in_class("missing"), "{csv}");
    assert!(in_class("tracked").contains(&dangling));
    let may_be: BTreeSet<String> = ["untracked", "heal_candidate", "case_mismatch"]
        .iter()
        .flat_map(|class| in_class(class))
        .collect();
    let extra: BTreeSet<String> = reported("Extra book formats")
        .into_iter()
        .chain(reported("Unknown files in books"))
        .filter(|path| !path.ends_with("/data"))
        .collect();
    assert_eq!(extra, may_be, "{csv}");
    assert_eq!(in_class("case_mismatch").len(), 2);
    assert_eq!(in_class("extra_data").len(), 1);
}
