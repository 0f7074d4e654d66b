//! mbs-upload, the real binary against the sandbox server.

// Helpers may fail a test like the test itself.
#![allow(clippy::unwrap_used)]

/// Every outcome, and that nothing is sent twice.
mod outcomes;

/// What a server does not take, and where its limits are.
mod limits;

/// Others who put things on the server at the same time.
mod meanwhile;

/// The ebook that a book is, found again.
mod matching;

/// Metadata: mapped, cleaned, matched; one ebook for a book.
mod books;

/// Metadata made to break things: cut or cleaned, told, never outside the store.
mod hostile;

/// What the API can do to a client: nothing lost, nothing doubled.
mod faults;

/// The same for the task engine.
mod engine;

/// How a run begins and ends.
mod ends;

/// What stands still, and what only waits.
mod stalls;

/// A server that goes away in the middle of a run.
mod outages;

/// A signal, and what is under way then.
mod grace;

/// What stands between a client and a server: TLS, and proxies that let go of one end.
mod between;

/// Connections that break at any byte, to the server and to its database.
mod cuts;

/// What is known before it is asked about, and a known set that grows while running.
mod known;

/// Several uploaders at a time, kept apart by locks in the server's database.
mod claims;

/// Authors and series that are made along with ebooks, each once.
mod names;

/// Progress, slow files, figures for Prometheus.
mod pace;

/// --check: what can be known before anything is sent.
mod preflight;

/// How the predecessor left books out.
mod omissions;

/// Members of tar archives.
mod archives;

/// What one run did, the next one knows.
mod journal;

/// Links in place of copies.
mod links;

/// A server that says too much.
mod bounds;

use std::{collections::BTreeMap, time::Duration};

use harness::{
    Workdir,
    run::{Ran, Run},
};
use sandbox::{Sandbox, Settings};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The title of ebooks that the server has for no other reason than that it has them.
const HAD: &str = "Had";

/// A server and a folder with files.
struct Bench {
    dir: Workdir,
    server: Sandbox,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Settings::default())
    }

    fn with(settings: Settings) -> Bench {
        Bench {
            dir: Workdir::new(),
            server: Sandbox::start(settings),
        }
    }

    /// Writes a file and gives its record, with `fields` for its metadata.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>, fields: Value) -> Value {
        let path = self.dir.write(name, &bytes);
        let mut record = json!({
            "type": "file_hash",
            "path": path.to_str().unwrap(),
            "sha1": sha1(bytes.as_ref()),
            "size": bytes.as_ref().len(),
            "mtime": "2026-01-01T00:00:00.000000000Z",
        });
        for (name, value) in fields.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    }

    /// A file of a book by title and author; its bytes are like no other's.
    fn book(&self, title: &str, author: &str, extension: &str) -> Value {
        let name = format!(
            "{}.{extension}",
            sha1(format!("{title}/{author}").as_bytes())
        );
        let bytes = format!("{title}\n{author}\n{extension}\n");
        self.file(&name, bytes, meta(title, author))
    }

    /// A file of the Calibre book of that number; all of them have one title, author and language.
    fn equal(&self, id: u64, extension: &str) -> Value {
        let mut fields = meta("The Same Title", "A Writer");
        fields["book_id"] = json!(id);
        let name = format!("{id}.{extension}");
        self.file(&name, format!("bytes of {name}"), fields)
    }

    fn books(&self, count: usize) -> Vec<Value> {
        (0..count)
            .map(|i| self.book(&format!("Book {i}"), "Jan Novák", "epub"))
            .collect()
    }

    /// The tool, about to be run on these records.
    fn tool(&self, records: &[Value]) -> Run {
        self.dir
            .tool("mbs-upload")
            .env("MBS_API", self.server.api())
            .env("MBS_WS", self.server.ws())
            .env("MBS_USER", "user")
            .env("MBS_PASSWORD_FILE", self.server.password_file("user"))
            .args(["--retry-wait", "40ms"])
            .stdin(lines(records))
    }

    /// Gives the server rows with these contents, each in an ebook of its own, but no files; and the
    /// records of mbs-hashes about them.
    fn has(&self, records: &[Value]) -> Vec<Value> {
        let list = |text: &dyn Fn(&Value) -> String| {
            records.iter().map(text).collect::<Vec<_>>().join(",")
        };
        let hashes = list(&|r| r["sha1"].as_str().unwrap().into());
        let sizes = list(&|r| r["size"].to_string());
        let sql = format!(
            "with wanted as (
               select nextval('ebook_id_seq') as ebook, nextval('source_id_seq') as source, hash, size
               from unnest(string_to_array('{hashes}', ','), '{{{sizes}}}'::int[]) as t(hash, size)
             ), made as (
               insert into ebook (id, version_id, created, modified, title, language_id, base_dir)
               select ebook, 1, now(), now(), '{HAD}', 2, 'x' from wanted
             )
             insert into source (id, version_id, created, modified, ebook_id, location, format_id, size, hash)
             select source, 1, now(), now(), ebook, 'x', 8, size, hash from wanted
             returning id, ebook_id, hash, size"
        );
        let rows = self.server.query(&sql).into_iter();
        let number = |text: &Option<String>| text.as_ref().unwrap().parse::<i64>().unwrap();
        let known = rows.map(|row| {
            json!({"type": "known_hash", "sha1": row[2], "size": number(&row[3]),
                "source_id": number(&row[0]), "ebook_id": number(&row[1]), "location": "x",
                "format": "epub"})
        });
        known.collect()
    }

    /// All files of the server but those of [`Bench::has`]: how often each content is there.
    fn stored(&self) -> BTreeMap<String, usize> {
        let sql = format!(
            "select f.hash || ' ' || f.size from source f join ebook e on e.id = f.ebook_id
             where e.title <> '{HAD}'"
        );
        let rows = self.server.query(&sql);
        let mut stored = BTreeMap::new();
        for row in rows {
            *stored.entry(row[0].clone().unwrap()).or_default() += 1;
        }
        stored
    }

    /// Insists that just these files are on the server, each once, and that no ebook is empty.
    fn holds(&self, records: &[Value]) {
        let key = |r: &Value| format!("{} {}", r["sha1"].as_str().unwrap(), r["size"]);
        let expected: BTreeMap<_, _> = records.iter().map(|r| (key(r), 1)).collect();
        assert_eq!(self.stored(), expected);
        assert_eq!(
            self.number("select count(*) from ebook where id not in (select ebook_id from source)"),
            0
        );
        let locations = self
            .server
            .query("select location from source where location <> 'x'");
        for row in locations {
            let path = self
                .server
                .data_dir()
                .join("books")
                .join(row[0].as_deref().unwrap());
            assert!(path.is_file(), "{}", path.display());
        }
    }

    /// Title, authors, language, series and index of the ebook that holds this file.
    fn shelf(&self, record: &Value) -> Vec<Option<String>> {
        let sha1 = record["sha1"].as_str().unwrap();
        let sql = format!(
            "select e.title,
               (select string_agg(a.last_name || ',' || coalesce(a.first_name, '-'), ';' order by a.last_name)
                  from author a join ebook_authors x on x.author_id = a.id where x.ebook_id = e.id),
               l.code, s.title, e.series_index::text
             from source f join ebook e on e.id = f.ebook_id join language l on l.id = e.language_id
             left join series s on s.id = e.series_id where f.hash = '{sha1}'"
        );
        let mut rows = self.server.query(&sql);
        assert_eq!(rows.len(), 1, "{record}");
        rows.remove(0)
    }

    fn number(&self, sql: &str) -> i64 {
        self.server.query(sql)[0][0]
            .as_deref()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn ebooks(&self) -> i64 {
        self.number("select count(*) from ebook")
    }

    fn fault(&self, order: Value) {
        self.server.fault(&order);
    }
}

/// What calibre-list says of a book in English.
fn meta(title: &str, author: &str) -> Value {
    json!({
        "book_id": 1, "title": title, "authors": [author], "author_sorts": [sort(author)],
        "languages": ["eng"], "tags": [],
    })
}

fn sort(author: &str) -> String {
    match author.rsplit_once(' ') {
        Some((first, last)) => format!("{last}, {first}"),
        None => author.into(),
    }
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Records as a whole stream.
fn lines(records: &[Value]) -> Vec<u8> {
    let mut text: String = records.iter().map(|record| format!("{record}\n")).collect();
    let n = records.len();
    text += &format!(
        r#"{{"type":"summary","tool":"hash-files","records":{n},"failed":0,"complete":true}}"#
    );
    text.push('\n');
    text.into_bytes()
}

/// The one upload record that this input record became.
fn outcome(ran: &Ran, record: &Value) -> Value {
    let same = |upload: &&Value| upload["path"] == record["path"];
    let all = ran.of_type("upload");
    let found: Vec<_> = all.iter().filter(same).collect();
    assert_eq!(found.len(), 1, "{}", ran.report());
    found[0].clone()
}

/// How many records have each outcome.
fn counts(ran: &Ran) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in ran.of_type("upload") {
        *counts
            .entry(record["outcome"].as_str().unwrap().to_string())
            .or_default() += 1;
    }
    counts
}
