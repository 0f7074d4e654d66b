//! A database of any number of books, without their files: for speed, memory and locks.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::{schema, shelf::uuid};

/// How many different names there are for `books` books.
struct Sizes {
    authors: u64,
    tags: u64,
    series: u64,
    publishers: u64,
}

const WORDS: [&str; 32] = [
    "shadow", "river", "winter", "letters", "house", "garden", "stone", "silent", "history",
    "light", "journey", "night", "ocean", "empire", "mirror", "clock", "forest", "memory",
    "island", "crown", "thread", "bridge", "harvest", "voyage", "lantern", "archive", "orchard",
    "signal", "marble", "chapter", "horizon", "lesson",
];

/// Makes `metadata.db` in `root` with this many books: 1.29 formats, 1.3 authors, 2.5 tags a book,
/// a third of them in a series.
///
/// # Errors
/// There is a library in `root` already, or it cannot be written to.
pub fn make(root: &Path, books: u64) -> Result<()> {
    std::fs::create_dir_all(root)?;
    let path = root.join("metadata.db");
    anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    let db = Connection::open(&path)?;
    db.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000",
    )?;
    schema::create(&db, "0b1e5f0a-7d2c-4c55-9a6e-3f2f6f0c9d11")?;
    let sizes = Sizes {
        authors: books / 4 + 1,
        tags: books / 200 + 10,
        series: books / 20 + 1,
        publishers: books / 300 + 5,
    };
    let transaction = db.unchecked_transaction()?;
    names(&db, &sizes)?;
    for id in 1..=books {
        book(&db, id as i64, &sizes)?;
    }
    transaction.commit()?;
    schema::add_indexes(&db)?;
    // A library in use has statistics only where its owner asked for them: none here.
    Ok(())
}

fn names(db: &Connection, sizes: &Sizes) -> Result<()> {
    let mut dice = Dice(7);
    let mut author = db.prepare("INSERT INTO authors(id, name, sort) VALUES (?1, ?2, ?3)")?;
    for id in 1..=sizes.authors {
        let (first, last) = (dice.word(), dice.word());
        author.execute(params![
            id as i64,
            format!("{first} {last} {id}"),
            format!("{last} {id}, {first}")
        ])?;
    }
    for (table, column, count) in [
        ("tags", "name", sizes.tags),
        ("series", "name", sizes.series),
        ("publishers", "name", sizes.publishers),
    ] {
        let mut name = db.prepare(&format!(
            "INSERT INTO {table}(id, {column}) VALUES (?1, ?2)"
        ))?;
        for id in 1..=count {
            name.execute(params![
                id as i64,
                format!("{} {} {id}", dice.word(), dice.word())
            ])?;
        }
    }
    for (id, code) in ["eng", "rus", "ces", "deu", "slk"].into_iter().enumerate() {
        db.execute(
            "INSERT INTO languages(id, lang_code) VALUES (?1, ?2)",
            params![id as i64 + 1, code],
        )?;
    }
    for rating in 0..=10 {
        db.execute(
            "INSERT INTO ratings(id, rating) VALUES (?1, ?2)",
            [rating + 1, rating],
        )?;
    }
    Ok(())
}

/// One book, its rows next to each other as they are when books are added one by one.
fn book(db: &Connection, id: i64, sizes: &Sizes) -> Result<()> {
    let mut dice = Dice(id as u64);
    let title: Vec<&str> = (0..3 + dice.below(5)).map(|_| dice.word()).collect();
    let title = format!("The {} {id}", title.join(" "));
    let author = 1 + dice.below(sizes.authors) as i64;
    let series = dice.below(3) == 0;
    let at = format!(
        "20{:02}-{:02}-{:02} 10:20:30.{:06}+00:00",
        id % 24,
        1 + id % 12,
        1 + id % 28,
        id % 999_983
    );
    db.prepare_cached(
        "INSERT INTO books(id, title, sort, timestamp, pubdate, series_index, author_sort, path, uuid, \
         has_cover, last_modified) VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?3)",
    )?
    .execute(params![
        id,
        title,
        at,
        if series { dice.below(40) as f64 / 2.0 } else { 1.0 },
        format!("Author Number {author}"),
        format!("Author Number {author}/{title} ({id})"),
        uuid(id),
        dice.below(10) < 8,
    ])?;
    link(db, "authors", "author", id, author)?;
    if dice.below(10) < 3 {
        link(
            db,
            "authors",
            "author",
            id,
            1 + dice.below(sizes.authors) as i64,
        )?;
    }
    for _ in 0..dice.below(6) {
        link(db, "tags", "tag", id, 1 + dice.below(sizes.tags) as i64)?;
    }
    if series {
        link(
            db,
            "series",
            "series",
            id,
            1 + dice.below(sizes.series) as i64,
        )?;
    }
    if dice.below(10) < 7 {
        link(
            db,
            "publishers",
            "publisher",
            id,
            1 + dice.below(sizes.publishers) as i64,
        )?;
    }
    if dice.below(10) < 2 {
        link(db, "ratings", "rating", id, 1 + dice.below(11) as i64)?;
    }
    link(db, "languages", "lang_code", id, 1 + dice.below(5) as i64)?;
    if dice.below(2) == 0 {
        db.prepare_cached("INSERT INTO identifiers(book, type, val) VALUES (?1, 'isbn', ?2)")?
            .execute(params![id, format!("978{id:010}")])?;
    }
    for format in ["EPUB", "MOBI"]
        .iter()
        .take(1 + usize::from(dice.below(100) < 29))
    {
        db.prepare_cached(
            "INSERT INTO data(book, format, uncompressed_size, name) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            id,
            format,
            20_000 + dice.below(3_000_000) as i64,
            format!("{title} - Author Number {author}"),
        ])?;
    }
    Ok(())
}

fn link(db: &Connection, table: &str, column: &str, book: i64, name: i64) -> Result<()> {
    db.prepare_cached(&format!(
        "INSERT OR IGNORE INTO books_{table}_link(book, {column}) VALUES (?1, ?2)"
    ))?
    .execute([book, name])?;
    Ok(())
}

/// A generator of numbers that is the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len() as u64) as usize]
    }
}
