use std::{fs, os::unix::ffi::OsStrExt, path::PathBuf};

use super::*;
use crate::claims::both;

/// A server that makes links, and our folder, which it sees under a name of its own.
fn fork() -> Bench {
    Bench::with(Settings {
        fork: true,
        ..Settings::default()
    })
}

/// The name under which the server sees our folder.
pub(crate) fn calibre(bench: &Bench) -> String {
    let name = bench.server.data_dir().join("calibre");
    if !name.exists() {
        std::os::unix::fs::symlink(bench.dir.path(), &name).unwrap();
    }
    name.to_str().unwrap().into()
}

/// With links to what the server calls by this name.
pub(crate) fn linking(bench: &Bench, run: Run, server: &str) -> Run {
    let mut map = bench.dir.path().as_os_str().to_os_string();
    map.push("=");
    map.push(server);
    run.args(["--symlink", "--path-map"]).arg(map)
}

fn looking(bench: &Bench, run: Run) -> Run {
    linking(bench, run, &calibre(bench))
        .arg("--store")
        .arg(bench.server.data_dir())
}

/// What each stored file is a link to, or that it is none.
fn targets(bench: &Bench) -> Vec<Option<PathBuf>> {
    let books = bench.server.data_dir().join("books");
    let rows = bench
        .server
        .query("select location from source order by id");
    let target =
        |row: &Vec<Option<String>>| fs::read_link(books.join(row[0].as_deref().unwrap())).ok();
    rows.iter().map(target).collect()
}

#[test]
fn the_server_keeps_links_to_the_files_where_it_sees_them() {
    let bench = fork();
    let books: Vec<Value> = bench.books(6);
    let dry = looking(&bench, bench.tool(&books)).arg("--dry-run").ok();
    assert_eq!(counts(&dry), [("would_upload".into(), 6)].into());
    assert!(outcome(&dry, &books[0])["link"].is_string());
    assert_eq!(bench.ebooks(), 0);
    let ran = looking(&bench, bench.tool(&books)).ok();
    assert_eq!(
        counts(&ran),
        [("uploaded".into(), 6)].into(),
        "{}",
        ran.report()
    );
    let mut expected: Vec<_> = books
        .iter()
        .map(|book| {
            let path = book["path"].as_str().unwrap();
            let link = path.replacen(bench.dir.path().to_str().unwrap(), &calibre(&bench), 1);
            assert_eq!(outcome(&ran, book)["link"], link);
            Some(PathBuf::from(link))
        })
        .collect();
    let mut found = targets(&bench);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    // Hash and size are those of the bytes that were sent.
    assert_eq!(bench.stored().len(), 6);

    let again = looking(&bench, bench.tool(&books)).ok();
    assert_eq!(counts(&again), [("duplicate".into(), 6)].into());
}

/// The predecessor cleaned paths as if they were titles, and then linked to files that do not exist.
#[test]
fn bug_b16_a_path_with_control_characters_is_linked_to_as_it_is() {
    let bench = fork();
    let name = "a\tb\u{1}\u{202e} — “c”.epub";
    let book = bench.file(name, "x", meta("Title", "Jan Novák"));
    looking(&bench, bench.tool(&[book])).ok();
    assert_eq!(
        targets(&bench),
        [Some(PathBuf::from(calibre(&bench)).join(name))]
    );
}

/// Nothing of what cannot be linked to is copied instead.
#[test]
fn what_cannot_be_a_link_is_not_sent() {
    let bench = fork();
    let meta = |n: i32| meta(&format!("Book {n}"), "Jan Novák");
    let good = bench.file("good.epub", "0", meta(0));
    let mut outside = bench.file("lib2/a.epub", "1", meta(1));
    let outer = Workdir::new();
    outside["path"] = outer.write("a.epub", "1").to_str().unwrap().into();
    let mut link = bench.file("b.epub", "2", meta(2));
    bench.dir.shell("ln -s b.epub link.epub").ok();
    link["path"] = bench.dir.join("link.epub").to_str().unwrap().into();
    let mut climbing = bench.file("c.epub", "3", meta(3));
    climbing["path"] = bench.dir.join("lib2/../c.epub").to_str().unwrap().into();
    let odd = std::ffi::OsStr::from_bytes(b"\xff.epub");
    fs::write(bench.dir.join(odd), "4").unwrap();
    let mut no_text = bench.file("d.epub", "4", meta(4));
    let mut line = wire::Line::new("file_hash");
    line.path(&bench.dir.join(odd));
    let encoded: Value = serde_json::from_slice(&[line.open_bytes(), b"}"].concat()).unwrap();
    for field in ["path", "path_b64"] {
        no_text[field] = encoded[field].clone();
    }
    let mut member = bench.file("x.tar", "5", meta(5));
    for (field, value) in [
        ("archive", member["path"].clone()),
        ("member", "m.epub".into()),
        ("offset", 0.into()),
    ] {
        member[field] = value;
    }
    let mut books = vec![good.clone()];
    let reasons = [
        (outside, "no --path-map"),
        (link, "a symbolic link itself"),
        (climbing, "no --path-map"),
        (no_text, "not UTF-8"),
        (member, "a member of an archive"),
    ];
    books.extend(reasons.iter().map(|(book, _)| book.clone()));
    let ran = looking(&bench, bench.tool(&books)).code(1);
    for (book, why) in &reasons {
        let outcome = outcome(&ran, book);
        assert_eq!(outcome["outcome"], "failed");
        let reason = outcome["reason"].as_str().unwrap();
        assert!(
            reason.contains(why) && reason.ends_with("nothing was sent"),
            "{reason}"
        );
    }
    assert_eq!(bench.server.count("POST", "/api/upload"), 1);
    bench.holds_links(1);

    // A path that no link can hold is told of before, too.
    let book = bench.book("Long", "Jan Novák", "epub");
    let long = format!("/{}", "x/".repeat(2040));
    let store = bench.server.data_dir().to_path_buf();
    let ran = linking(&bench, bench.tool(&[book]), &long)
        .arg("--store")
        .arg(store)
        .code(1);
    ran.one_line(&["a link holds 4095", "nothing was sent"]);
    assert_eq!(bench.server.count("POST", "/api/upload"), 1);
}

impl Bench {
    /// Insists that so many files are stored, all of them links.
    fn holds_links(&self, count: usize) {
        let targets = targets(self);
        assert!(
            targets.len() == count && targets.iter().all(Option::is_some),
            "{targets:?}"
        );
    }
}

#[test]
fn a_server_that_ignores_it_makes_one_copy_and_no_second() {
    let bench = Bench::new();
    let books = bench.books(20);
    let ran = looking(&bench, bench.tool(&books))
        .args(["-j", "8"])
        .code(255);
    assert_eq!(targets(&bench), [None]);
    let uploads = ran.of_type("upload");
    let copied: Vec<_> = uploads
        .iter()
        .filter(|u| u["outcome"] == "uploaded")
        .collect();
    assert_eq!(copied.len(), 1, "{}", ran.report());
    assert!(
        copied[0]["notes"][0]
            .as_str()
            .unwrap()
            .contains("not linked: a copy")
    );
    assert!(copied[0].get("link").is_none());
    assert_eq!(ran.summary()["complete"], false);
    let said = ran.stderr();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("is a copy") && last.contains("not tried"),
        "{said}"
    );
    assert_eq!(
        bench.number("select count(*) from ebook where id not in (select ebook_id from source)"),
        0,
        "those that were under way leave nothing behind"
    );
}

#[test]
fn where_the_store_is_not_visible_the_server_must_be_one_that_links() {
    let bench = Bench::new();
    let books = bench.books(2);
    let ran = linking(&bench, bench.tool(&books), &calibre(&bench)).code(3);
    ran.one_line(&["--symlink", "copies", "--store"]);
    assert_eq!(bench.server.count("POST", "/api/upload"), 0);

    let bench = fork();
    let books = bench.books(2);
    let ran = linking(&bench, bench.tool(&books), &calibre(&bench)).ok();
    ran.one_line(&["link", "--store"]);
    assert_eq!(counts(&ran)["uploaded"], 2);
    bench.holds_links(2);
}

#[test]
fn another_server_s_store_is_noticed_at_the_first_file() {
    let bench = fork();
    let books = bench.books(5);
    let other = Workdir::new();
    fs::create_dir(other.join("books")).unwrap();
    let ran = linking(&bench, bench.tool(&books), &calibre(&bench))
        .arg("--store")
        .arg(other.path())
        .code(255);
    assert!(
        ran.stderr().contains("another server's"),
        "{}",
        ran.report()
    );
    bench.holds_links(1);
    let ran = linking(&bench, bench.tool(&books), &calibre(&bench))
        .args(["--store", "/proc"])
        .code(2);
    ran.one_line(&["--store /proc", "books"]);
}

#[test]
fn an_addition_that_was_not_heard_of_is_looked_at_too() {
    let bench = fork();
    let books = bench.books(1);
    bench.fault(json!({"on": "POST /api/ebooks/*/add-upload", "kind": "drop_after_commit"}));
    let ran = looking(&bench, bench.tool(&books)).ok();
    let outcome = outcome(&ran, &books[0]);
    assert_eq!(outcome["outcome"], "uploaded", "{}", ran.report());
    assert!(
        outcome["link"]
            .as_str()
            .unwrap()
            .starts_with(&calibre(&bench))
    );
    bench.holds_links(1);
}

/// What is said when the map leads astray: one line that names the map, and no page.
fn says_what_map_is_wanted(bench: &Bench, ran: &Ran) {
    let said = ran.stderr();
    let last = said.lines().last().unwrap();
    let wanted = format!("--path-map {}=FOLDER", bench.dir.path().display());
    assert!(last.contains(&wanted) && last.contains("mount"), "{said}");
    assert!(
        !said.contains('<') && !said.contains("internal error"),
        "{said}"
    );
}

/// A folder with other files of the same names, as an old copy of the library has them.
fn old_copy(bench: &Bench, books: &[Value], bytes: impl Fn(&[u8]) -> Vec<u8>) -> Workdir {
    let copy = Workdir::new();
    for book in books {
        let path = std::path::Path::new(book["path"].as_str().unwrap());
        let name = path.strip_prefix(bench.dir.path()).unwrap();
        copy.write(name.to_str().unwrap(), bytes(&fs::read(path).unwrap()));
    }
    copy
}

#[test]
fn a_link_to_other_bytes_is_not_uploaded() {
    // By the store, and by the server alone; of another length, and of the same.
    for (store, longer) in [(true, true), (true, false), (false, true), (false, false)] {
        let bench = fork();
        let books = bench.books(6);
        let copy = old_copy(&bench, &books, |bytes| {
            let mut other = bytes.to_vec();
            other[0] ^= 1;
            other.resize(bytes.len() + usize::from(longer), 0);
            other
        });
        let run = linking(&bench, bench.tool(&books), copy.path().to_str().unwrap());
        let run = match store {
            true => run.arg("--store").arg(bench.server.data_dir()),
            false => run,
        };
        let ran = run.args(["-j", "4"]).code(3);
        assert_eq!(
            counts(&ran),
            [("failed".into(), 1)].into(),
            "{}",
            ran.report()
        );
        says_what_map_is_wanted(&bench, &ran);
        assert_eq!(
            bench.server.count("POST", "/api/upload"),
            1,
            "the others are not sent"
        );
        // Nothing is left there that would make it a duplicate of itself.
        assert_eq!(targets(&bench), []);
        assert_eq!(bench.ebooks(), 0);
        let ran = looking(&bench, bench.tool(&books)).ok();
        assert_eq!(counts(&ran)["uploaded"], 6);
        bench.holds_links(6);
    }
}

#[test]
fn one_file_that_differs_where_the_server_sees_it_fails_alone() {
    let bench = fork();
    let books = bench.books(3);
    let copy = old_copy(&bench, &books, <[u8]>::to_vec);
    let stale = std::path::Path::new(books[2]["path"].as_str().unwrap());
    copy.write(
        stale.file_name().unwrap().to_str().unwrap(),
        "an older edition",
    );
    let ran = linking(&bench, bench.tool(&books), copy.path().to_str().unwrap())
        .arg("--store")
        .arg(bench.server.data_dir())
        .args(["-j", "1"])
        .code(1);
    assert_eq!(
        counts(&ran),
        [("failed".into(), 1), ("uploaded".into(), 2)].into(),
        "{}",
        ran.report()
    );
    let reason = outcome(&ran, &books[2])["reason"].to_string();
    assert!(reason.contains("a file of 16 bytes"), "{reason}");
    bench.holds_links(2);
    assert_eq!(bench.ebooks(), 2);
}

#[test]
fn a_library_that_the_server_does_not_see_ends_the_run_with_the_map_that_is_wanted() {
    for links_must_lead in [true, false] {
        let bench = Bench::with(Settings {
            fork: true,
            links_must_lead,
            ..Settings::default()
        });
        let books = bench.books(8);
        let ran = linking(&bench, bench.tool(&books), "/calibre")
            .arg("--store")
            .arg(bench.server.data_dir())
            .args(["-j", "8", "--retries", "1"])
            .code(3);
        says_what_map_is_wanted(&bench, &ran);
        assert_eq!(bench.server.count("POST", "/api/upload"), 1);
        assert_eq!((targets(&bench), bench.ebooks()), (vec![], 0));
        let ran = looking(&bench, bench.tool(&books)).ok();
        assert_eq!(counts(&ran)["uploaded"], 8);
    }
}

#[test]
fn a_link_that_nobody_can_follow_is_not_counted() {
    let bench = fork();
    let books = bench.books(1);
    bench.fault(json!({"on": "GET /api/download/*", "kind": "403", "times": 0}));
    let ran = linking(&bench, bench.tool(&books), &calibre(&bench)).code(1);
    assert!(
        ran.stderr()
            .contains("not seen where its link leads: HTTP 403"),
        "{}",
        ran.report()
    );
}

#[test]
fn contradictions_about_links_are_usage_errors() {
    let bench = fork();
    for wrong in [
        &["--symlink"][..],
        &["--symlink", "--path-map", "/lib"],
        &["--symlink", "--path-map", "lib=/calibre"],
        &["--symlink", "--path-map", "/lib=calibre"],
        &["--symlink", "--path-map", "/lib/..=/calibre"],
    ] {
        let ran = bench.tool(&[]).args(wrong).code(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty());
    }
}

#[test]
fn while_nobody_knows_what_became_of_the_first_file_no_other_is_added() {
    let bench = Bench::new();
    let books = bench.books(6);
    bench.fault(json!({"on": "POST /api/ebooks/*/add-upload", "kind": "drop_after_commit"}));
    let ran = looking(&bench, bench.tool(&books))
        .args(["-j", "6", "--retry-wait", "400ms"])
        .code(255);
    assert_eq!(targets(&bench), [None], "{}", ran.report());
    assert_eq!(counts(&ran)["uploaded"], 1, "{}", ran.report());
}

#[test]
fn two_uploaders_on_one_list_make_one_link_of_each_file() {
    let bench = fork();
    let books = bench.books(16);
    let reversed: Vec<_> = books.iter().rev().cloned().collect();
    let run = |books: &[Value]| looking(&bench, bench.claiming(books));
    let rans = both(run(&books), run(&reversed));
    let uploaded = |ran: &Ran| ran.summary()["uploaded"].as_u64().unwrap();
    assert_eq!(rans.iter().map(uploaded).sum::<u64>(), 16);
    assert_eq!(bench.stored().len(), 16);
    assert_eq!(bench.ebooks(), 16);
    bench.holds_links(16);
}

#[test]
fn a_copy_where_a_link_was_asked_for_ends_an_uploader_that_holds_locks_too() {
    let bench = Bench::new();
    let books = bench.books(8);
    let ran = looking(&bench, bench.claiming(&books)).code(255);
    assert_eq!(targets(&bench), [None], "{}", ran.report());
    // Its locks are free again.
    let ran = bench.claiming(&books).ok();
    assert_eq!(
        counts(&ran),
        [("duplicate".into(), 1), ("uploaded".into(), 7)].into()
    );
    bench.holds(&books);
}
