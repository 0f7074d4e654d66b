//! Making and reading records, ours against serde_json's usual way, in turn in one process.
//! Prints what `paired` prints.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{hint::black_box, io::Write, path::Path, time::Instant};

use wire::{
    Line, Record,
    records::{FileHash, RecordType},
};

const RECORDS: usize = 200_000;
const ROUNDS: usize = 9;

fn main() {
    // Cargo also runs benchmarks as tests, with other arguments: only a real `cargo bench` counts.
    if std::env::args().any(|arg| arg == "--bench") {
        let (ours, peer) = writing();
        show("wire write, 229 bytes", ours, peer, 1.2);
        let (ours, peer) = reading();
        show("wire read, 700 bytes", ours, peer, 0.5);
    }
}

fn show(name: &str, ours: f64, peer: f64, limit: f64) {
    let ratio = ours / peer;
    let verdict = if ratio <= limit { "ok" } else { "slow" };
    let [ours, peer] = [ours, peer].map(|seconds| seconds * 1e3);
    println!("{name}\t{ours:.1}\t{peer:.1}\t{ratio:.2}\t{limit}\t{verdict}");
}

/// The medians of alternating runs, in seconds.
fn paired(mut ours: impl FnMut(), mut peer: impl FnMut()) -> (f64, f64) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let runs: [&mut dyn FnMut(); 2] = [&mut ours, &mut peer];
        for (run, times) in runs.into_iter().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let [ours, peer] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    (ours, peer)
}

fn writing() -> (f64, f64) {
    let path = "/srv/books/Karel Capek/Valka s mloky (12345)/Valka s mloky - Karel Capek.epub";
    let record = FileHash {
        path: path.into(),
        sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709".into(),
        size: 1_234_567,
        mtime: "2026-11-22T08:22:47.147492000Z".into(),
        ..FileHash::default()
    };
    let ours = || {
        let mut out = Vec::with_capacity(64 << 10);
        let mut line = Line::default();
        for _ in 0..RECORDS {
            line.reset(FileHash::KIND.name);
            line.path(Path::new(path)).text("sha1", &record.sha1);
            line.int("size", record.size).text("mtime", &record.mtime);
            flush_at(&mut out, line.open_bytes());
            out.extend_from_slice(b"}\n");
        }
        black_box(out);
    };
    let peer = || {
        let mut out = Vec::with_capacity(64 << 10);
        for _ in 0..RECORDS {
            flush_at(&mut out, b"");
            serde_json::to_writer(&mut out, black_box(&record)).unwrap();
            out.write_all(b"\n").unwrap();
        }
        black_box(out);
    };
    paired(ours, peer)
}

fn flush_at(out: &mut Vec<u8>, line: &[u8]) {
    if out.len() + line.len() > 60 << 10 {
        black_box(&*out);
        out.clear();
    }
    out.extend_from_slice(line);
}

fn reading() -> (f64, f64) {
    let line = br#"{"type":"book_file","path":"/srv/books/Karel Capek/Valka s mloky (12345)/Valka s mloky - Karel Capek.epub","book_id":12345,"format":"epub","title":"V\u00e1lka s mloky","authors":["Karel \u010capek"],"author_sorts":["Capek, Karel"],"languages":["ces"],"tags":["Science Fiction","Satire","Classics"],"identifiers":["isbn:9788073882143","goodreads:1181"],"publisher":"Fr. Borov\u00fd","rating":8,"uuid":"0b0b1a5c-95c1-4a70-8d8f-0d0f1c8a2f11","pubdate":"1936-01-01T00:00:00Z","last_modified":"2024-05-06T07:08:09Z","recorded_size":1234567,"cover":"/srv/books/Karel Capek/Valka s mloky (12345)/cover.jpg","series":"Spisy","series_index":3.0}"#;
    let ours = || {
        for _ in 0..RECORDS {
            let record = Record::parse(line.to_vec()).unwrap();
            black_box(record.path().unwrap());
            black_box(record);
        }
    };
    let peer = || {
        for _ in 0..RECORDS {
            let value: serde_json::Value = serde_json::from_slice(black_box(line)).unwrap();
            black_box(value["path"].as_str().map(Path::new));
            black_box(value);
        }
    };
    paired(ours, peer)
}
