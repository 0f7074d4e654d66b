use super::*;
use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    process::Child,
    thread,
    time::{Instant, SystemTime},
};

const BOOKS: usize = 300;
const KILLS: usize = 200;

/// Reproducible chance: xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most.max(1)
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Waits for the end of the run or for a moment that is chosen by chance: when the journal has grown
/// by `grown`, and a little later.
fn at_a_moment(child: &mut Child, journal: &Path, grown: u64, later: Duration) {
    let (from, start) = (length(journal), Instant::now());
    while length(journal) < from + grown && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < DEADLINE, "no progress");
        thread::sleep(Duration::from_micros(300));
    }
    thread::sleep(later);
}

#[test]
fn killed_200_times_each_file_is_there_once_and_no_ebook_is_empty() {
    let seed = match std::env::var("MBS_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64,
    };
    println!("MBS_TEST_SEED={seed}");
    let mut chance = Chance(seed | 1);
    let bench = Bench::new();
    // Every third book has a second format, and every tenth stands in a series.
    let books: Vec<_> = (0..BOOKS)
        .map(|i| {
            let (number, extension) = match i % 4 {
                3 => (i - 1, "pdf"),
                _ => (i, "epub"),
            };
            let mut book = bench.book(&format!("Book {number}"), "Jan Novák", extension);
            if number % 10 == 0 {
                book["series"] = format!("Series {}", number / 100).into();
                book["series_index"] = json!(number % 100);
            }
            book
        })
        .collect();
    let titles: HashSet<_> = books.iter().map(|book| book["title"].to_string()).collect();
    let input = bench.dir.write("input", lines(&books));
    let (output, journal) = (bench.dir.join("output"), bench.journal());
    let start = || {
        let mut command = bench.journaled(&[]).into_command();
        let appended = |path: &Path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
        };
        command
            .stdin(File::open(&input).unwrap())
            .stdout(appended(&output))
            .stderr(appended(&bench.dir.join("messages")))
            .spawn()
            .unwrap()
    };
    let (mut kills, mut lives) = (0, 0);
    while kills < KILLS {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        let done = text.matches("\"journal_end\"").count();
        assert!(lives < KILLS * 2, "only {kills} kills met a run at work");
        lives += 1;
        // Spread over the whole run: a file takes about 1,400 bytes of the journal.
        let share = (BOOKS - done) as u64 * 1400 / (KILLS - kills) as u64;
        let (grown, later) = (chance.below(2 * share), chance.below(4000));
        let mut child = start();
        at_a_moment(&mut child, &journal, grown, Duration::from_micros(later));
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().code().is_none());
    }
    let messages = || fs::read_to_string(bench.dir.join("messages")).unwrap();
    assert_eq!(
        start().wait().unwrap().code(),
        Some(0),
        "seed {seed}: {}",
        messages()
    );
    let twice = "select count(*) from (select 1 from ebook group by title having count(*) > 1) t";
    assert_eq!(bench.number(twice), 0, "seed {seed}");
    bench.holds(&books);
    assert_eq!(bench.ebooks(), titles.len() as i64, "seed {seed}");
    // Nothing was printed that is not in the journal.
    let printed = fs::read_to_string(&output).unwrap();
    let journaled: HashSet<_> = ends(&journal)
        .iter()
        .map(|end| end["sha1"].to_string())
        .collect();
    let mut checked = 0;
    for line in printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        if line["outcome"] == "uploaded" {
            assert!(
                journaled.contains(&line["sha1"].to_string()),
                "seed {seed}: {line}"
            );
            checked += 1;
        }
    }
    assert!(checked > 0, "{checked} uploads were printed");
}
