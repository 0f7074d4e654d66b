//! A library, the server's list and store beside it, and a scan of them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use harness::{
    Workdir,
    run::{Ran, Run},
};
use library::{Book, Shelf};
use serde_json::{Value, json};

/// Where everything is.
pub(crate) struct Stage {
    pub(crate) dir: Workdir,
    shelf: Shelf,
    known: Vec<Value>,
}

/// The findings by their path below the library.
pub(crate) type Findings = BTreeMap<String, Value>;

impl Stage {
    /// A library with two books: `Ann Author/First (1)` as epub and pdf, `Bob Writer/Second (2)` as
    /// epub.
    pub(crate) fn new() -> Stage {
        let dir = Workdir::new();
        let shelf = Shelf::create(&dir.join("lib")).unwrap();
        let stage = Stage {
            dir,
            shelf,
            known: Vec::new(),
        };
        let first = Book::new("First").by("Ann Author");
        stage.add(first.file("EPUB", "first epub").file("PDF", "first pdf"));
        stage.add(
            Book::new("Second")
                .by("Bob Writer")
                .file("EPUB", "second epub"),
        );
        stage
    }

    pub(crate) fn add(&self, book: Book) -> i64 {
        self.shelf.add(&book).unwrap()
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.shelf.db().execute_batch(sql).unwrap();
    }

    pub(crate) fn lib(&self, name: &str) -> PathBuf {
        self.dir.join("lib").join(name)
    }

    /// Writes a file into the library.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.dir.write(Path::new("lib").join(name), bytes)
    }

    /// The server has these bytes, in a file of its own.
    pub(crate) fn stored(&mut self, location: &str, bytes: &str) {
        self.dir
            .write(Path::new("store/books").join(location), bytes);
        self.on_record(location, bytes);
    }

    /// The server has these bytes, as a link to `target`.
    pub(crate) fn linked(&mut self, location: &str, bytes: &str, target: impl AsRef<Path>) {
        let link = self.dir.join("store/books").join(location);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
        self.on_record(location, bytes);
    }

    /// The server's database says that it has these bytes.
    pub(crate) fn on_record(&mut self, location: &str, bytes: &str) {
        let file = self.dir.write("bytes", bytes);
        let hashed = self.dir.tool("hash-files").arg(&file).ok();
        let id = self.known.len() + 1;
        self.known.push(json!({
            "type": "known_hash", "sha1": hashed.of_type("file_hash")[0]["sha1"], "size": bytes.len(),
            "source_id": id, "ebook_id": id, "location": location, "format": "epub",
        }));
    }

    /// Lists the library into `tracked`, with hashes.
    pub(crate) fn list(&self) -> &Stage {
        self.dir
            .shell("(calibre-list lib || test $? -eq 1) | (hash-files || test $? -eq 1) >tracked")
            .ok();
        self
    }

    /// Lists the library into `tracked` without looking at the files.
    pub(crate) fn list_only(&self) -> &Stage {
        self.dir
            .shell("calibre-list lib >tracked || test $? -eq 1")
            .ok();
        self
    }

    /// Writes `known` as mbs-hashes would.
    pub(crate) fn write_known(&self) {
        let mut text: String = self
            .known
            .iter()
            .map(|record| format!("{record}\n"))
            .collect();
        let summary = json!({
            "type": "summary", "tool": "mbs-hashes", "records": self.known.len(), "failed": 0,
            "complete": true,
        });
        text.push_str(&format!("{summary}\n"));
        self.dir.write("known", text);
    }

    /// A scan with `--tracked` alone.
    pub(crate) fn plain(&self) -> Run {
        self.dir
            .tool("orphan-scan")
            .args(["--tracked", "tracked", "lib"])
    }

    /// A scan that asks the server's list, too.
    pub(crate) fn asking(&self) -> Run {
        self.write_known();
        self.plain().args(["--known", "known"])
    }

    /// A scan with all that can be asked.
    pub(crate) fn full(&self) -> Run {
        fs::create_dir_all(self.dir.join("store/books")).unwrap();
        self.asking().args(["--store", "store"])
    }

    /// The findings of a run by their path below the library, each path once, and a ledger that
    /// balances.
    pub(crate) fn findings(&self, ran: &Ran) -> Findings {
        let root = format!("{}/", self.dir.join("lib").display());
        let mut findings = Findings::new();
        for finding in ran.of_type("finding") {
            let path = finding["path"].as_str().unwrap();
            let below = path.strip_prefix(&root).unwrap_or(path).to_string();
            let double = findings.insert(below, finding);
            assert_eq!(double, None, "two findings of one entry\n{}", ran.report());
        }
        balance(ran);
        findings
    }

    /// The classes of a run by path, all but `internal`.
    pub(crate) fn classes(&self, ran: &Ran) -> BTreeMap<String, String> {
        let findings = self.findings(ran).into_iter();
        findings
            .map(|(path, finding)| (path, finding["class"].as_str().unwrap().to_string()))
            .filter(|(_, class)| class != "internal")
            .collect()
    }
}

/// The summary's counts are those of the findings, and both sides of the ledger are alike.
pub(crate) fn balance(ran: &Ran) {
    let summary = ran.summary();
    let count = |name: &str| summary[name].as_u64().unwrap_or(0);
    let mut files = BTreeMap::new();
    for finding in ran.of_type("finding") {
        let sum: &mut (u64, u64) = files
            .entry(finding["class"].as_str().unwrap().to_string())
            .or_default();
        sum.0 += 1;
        sum.1 += finding["size"].as_u64().unwrap_or(0);
    }
    let mut all = (0, 0);
    for (class, (number, bytes)) in &files {
        assert_eq!(count(class), *number, "{class}\n{}", ran.report());
        if class != "missing" {
            assert_eq!(
                count(&format!("{class}_bytes")),
                *bytes,
                "{class}\n{}",
                ran.report()
            );
            all = (all.0 + number, all.1 + bytes);
        }
    }
    assert_eq!(
        (
            count("walked") + count("rows_unknown"),
            count("walked_bytes")
        ),
        all,
        "{}",
        ran.report()
    );
    assert_eq!(
        count("rows"),
        count("rows_found") + count("missing") + count("rows_unknown"),
        "{}",
        ran.report()
    );
    let known = count("known_matched") + count("known_unmatched");
    assert_eq!(count("known"), known, "{}", ran.report());
}

/// `path: class` pairs as a map.
pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(path, class): &(&str, &str)| ((*path).into(), (*class).into());
    pairs.iter().map(owned).collect()
}

pub(crate) const FIRST: &str = "Ann Author/First (1)/First - Ann Author.epub";
pub(crate) const PDF: &str = "Ann Author/First (1)/First - Ann Author.pdf";
pub(crate) const SECOND: &str = "Bob Writer/Second (2)/Second - Bob Writer.epub";
