//! The library of `make demo`: small, real, and one of everything that a migration meets.

use std::path::Path;

use anyhow::Result;

use crate::{Book, Shelf, epub::epub, epub::xml, jpeg};

/// Title, author, language, series with place.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, f64)>,
);

const BOOKS: [Row; 30] = [
    ("The Time Machine", "H. G. Wells", "eng", None),
    ("The War of the Worlds", "H. G. Wells", "eng", None),
    ("The Island of Doctor Moreau", "H. G. Wells", "eng", None),
    (
        "A Princess of Mars",
        "Edgar Rice Burroughs",
        "eng",
        Some(("Barsoom", 1.0)),
    ),
    (
        "The Gods of Mars",
        "Edgar Rice Burroughs",
        "eng",
        Some(("Barsoom", 2.0)),
    ),
    (
        "The Warlord of Mars",
        "Edgar Rice Burroughs",
        "eng",
        Some(("Barsoom", 3.0)),
    ),
    (
        "A Study in Scarlet",
        "Arthur Conan Doyle",
        "eng",
        Some(("Sherlock Holmes", 1.0)),
    ),
    (
        "The Sign of the Four",
        "Arthur Conan Doyle",
        "eng",
        Some(("Sherlock Holmes", 2.0)),
    ),
    (
        "The Field Bazaar",
        "Arthur Conan Doyle",
        "eng",
        Some(("Sherlock Holmes", 2.5)),
    ),
    ("Pride & Prejudice", "Jane Austen", "eng", None),
    ("Emma", "Jane Austen", "eng", None),
    ("Moby-Dick; or, The Whale", "Herman Melville", "eng", None),
    ("\"Wuthering Heights\"", "Emily Brontë", "eng", None),
    ("R.U.R.", "Karel Čapek", "ces", None),
    ("Válka s mloky", "Karel Čapek", "ces", None),
    ("Krakatit", "Karel Čapek", "ces", None),
    ("Babička", "Božena Němcová", "ces", None),
    (
        "Osudy dobrého vojáka Švejka",
        "Jaroslav Hašek",
        "ces",
        Some(("Švejk", 1.0)),
    ),
    ("Na frontě", "Jaroslav Hašek", "ces", Some(("Švejk", 2.0))),
    ("Война и мир", "Лев Толстой", "rus", None),
    ("Анна Каренина", "Лев Толстой", "rus", None),
    ("Преступление и наказание", "Фёдор Достоевский", "rus", None),
    ("Вишнёвый сад", "Антон Чехов", "rus", None),
    ("Мёртвые души", "Николай Гоголь", "rus", None),
    ("Rysavá jalovica", "Martin Kukučín", "slk", None),
    ("Dom v stráni", "Martin Kukučín", "slk", None),
    ("Marína", "Andrej Sládkovič", "slk", None),
    ("Die Verwandlung", "Franz Kafka", "deu", None),
    ("紅樓夢 (The Story of the Stone)", "曹雪芹", "eng", None),
    ("雪国 Snow Country", "川端康成", "eng", None),
];

/// Makes the demonstration library.
///
/// # Errors
/// There is a library in `root` already, or it cannot be written to.
pub fn make(root: &Path) -> Result<()> {
    let shelf = Shelf::create(root)?;
    shelf.all_or_nothing(|shelf| {
        for (place, row) in BOOKS.iter().enumerate() {
            shelf.add(&plain(place, row)?)?;
        }
        odd_ones(shelf)
    })
}

/// A book as most are: an EPUB with its cover, some with a second format.
fn plain(place: usize, &(title, author, language, series): &Row) -> Result<Book> {
    let mut book = Book::new(title)
        .by(author)
        .language(language)
        .tags(&["Fiction"]);
    book.series = series.map(|(name, index)| (name.into(), index));
    book.publisher = Some("Demonstration Press".into());
    book.rating = Some(2 * (place as i64 % 6));
    book.pubdate = Some(format!("{}-03-01 00:00:00+00:00", 1890 + place));
    book.cover = Some(jpeg::grey(300, 400, (place * 8) as u8));
    book.identifiers = vec![("isbn".into(), format!("97800000{place:05}"))];
    if place.is_multiple_of(5) {
        book = book.tags(&["Sci-Fi", "A tag that the server does not know"]);
    }
    let text = format!("{title}, by {author}.\nThis is a sample, made for a demonstration.");
    let file = epub(&book, &text)?;
    if place.is_multiple_of(6) {
        book = book.file("TXT", text.clone());
    }
    if place == 1 {
        let fb2 = fb2(&book, &text);
        book = book.file("FB2", fb2);
    }
    Ok(book.file("EPUB", file))
}

/// What a migration must tell apart.
fn odd_ones(shelf: &Shelf) -> Result<()> {
    // One content under two books: the server keeps it once.
    let twin = Book::new("The Invisible Man")
        .by("H. G. Wells")
        .language("eng");
    let bytes = epub(&twin, "The same bytes, twice.")?;
    shelf.add(&twin.file("EPUB", bytes.clone()))?;
    let other = Book::new("The Invisible Man (another edition)").by("H. G. Wells");
    shelf.add(&other.language("eng").file("EPUB", bytes))?;
    // Several authors, one with a comma in the name.
    let mut shared = Book::new("The Gilded Age").by("Mark Twain").language("eng");
    shared
        .authors
        .push(("Warner, Jr., Charles".into(), "Warner, Charles, Jr.".into()));
    let bytes = epub(&shared, "Two authors.")?;
    shelf.add(&shared.file("EPUB", bytes))?;
    // A format that the server does not know, beside one that it does.
    let comic = Book::new("Little Nemo").by("Winsor McCay").language("eng");
    let bytes = epub(&comic, "A picture book.")?;
    let pictures = epub(&comic, "Pictures only.")?;
    shelf.add(&comic.file("CBZ", pictures).file("EPUB", bytes))?;
    // No bytes at all, and no language.
    let empty = Book::new("An Empty File").by("Nobody").language("eng");
    shelf.add(&empty.file("EPUB", []))?;
    let mute = Book::new("No Language Given").by("Anonymous");
    let bytes = epub(&mute, "Which language is this?")?;
    shelf.add(&mute.file("EPUB", bytes))?;
    Ok(())
}

fn fb2(book: &Book, text: &str) -> String {
    let (name, _) = book.authors.first().cloned().unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <FictionBook xmlns=\"http://www.gribuser.ru/xml/fictionbook/2.0\"><description>\
         <title-info><genre>prose</genre><author><nickname>{}</nickname></author>\
         <book-title>{}</book-title><lang>en</lang></title-info></description>\
         <body><section><p>{}</p></section></body></FictionBook>\n",
        xml(&name),
        xml(&book.title),
        xml(text)
    )
}
