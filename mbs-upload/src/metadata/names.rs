//! Authors' names in two halves. Calibre's sort form says where the last name is, but anybody may
//! have typed anything there: it is believed only where its words are the name's own.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::metadata::{book::Author, naming};

/// No name that is looked into is longer; comparing words takes the square of it.
const LONGEST: usize = 1000;
/// What Calibre leaves out of a sort form.
const TITLES: [&str; 5] = ["mr", "mrs", "ms", "dr", "prof"];
/// What follows a last name and is none.
const SUFFIXES: [&str; 13] = [
    "jr", "sr", "inc", "phd", "ph d", "md", "m d", "i", "ii", "iii", "iv", "junior", "senior",
];

/// Names beside their sort forms; a sort form that was not believed is noted.
pub fn authors(names: &[String], sorts: &[String], notes: &mut Vec<String>) -> Vec<Author> {
    let sorts = sorts
        .iter()
        .map(|sort| sort.trim())
        .chain(std::iter::repeat(""));
    let one = |(name, sort): (&String, &str)| {
        let name = name.trim();
        // A name that is no text leaves nothing to compare with.
        if sort.is_empty() || name.is_empty() {
            return by_itself(if name.is_empty() { sort } else { name });
        }
        by_sort(name, sort).unwrap_or_else(|| {
            notes.push(format!(
                "author {name:?}: its sort {sort:?} is not this name, left out"
            ));
            by_itself(name)
        })
    };
    names.iter().zip(sorts).map(one).collect()
}

/// The name split where its sort form says, if that is this name's.
fn by_sort(name: &str, sort: &str) -> Option<Author> {
    if name.len().max(sort.len()) > LONGEST {
        return None;
    }
    let Some((last, first)) = sort.split_once(',') else {
        return (joined(name) == joined(sort)).then(|| in_one_piece(name));
    };
    let has = folded(name);
    // A title, a place or a rank may be appended: `Tolkien, J. R. R., Sir`.
    let ends = first.match_indices(',').map(|(at, _)| at);
    let mut heads = std::iter::once(first.len())
        .chain(ends)
        .map(|end| &first[..end]);
    if heads.any(|first| is_all_of(&has, name, last, first)) {
        let own = |half: &str| spelled(half, name);
        return Some(halves(own(last), own(first)));
    }
    by_last_name(name, last, first)
}

/// Are these two halves this name?
fn is_all_of(has: &[String], name: &str, last: &str, first: &str) -> bool {
    let mut words = [folded(last), folded(first)].concat();
    words.sort_unstable();
    let mut plain = folded(&without_brackets(name));
    let sorted = |mut words: Vec<String>| {
        words.sort_unstable();
        words
    };
    let is_title = |word: &String| TITLES.contains(&word.as_str());
    if words == sorted(has.to_vec()) || words == sorted(plain.clone()) {
        return true;
    }
    let titles = plain.iter().take_while(|word| is_title(word)).count();
    plain.drain(..titles);
    // Words may be parted otherwise: `JRR`, `O’Hara`, and all of `村上春樹`.
    let (whole, last, first) = (plain.concat(), joined(last), joined(first));
    !whole.is_empty()
        && (words == sorted(plain)
            || whole == format!("{first}{last}")
            || whole == format!("{last}{first}"))
}

/// The name split before or behind this last name, where the rest differs by initials alone.
fn by_last_name(name: &str, last: &str, first: &str) -> Option<Author> {
    let tokens: Vec<&str> = name.split_whitespace().collect();
    let words: Vec<Vec<String>> = tokens.iter().map(|token| folded(token)).collect();
    let (last, first) = (folded(last), folded(first));
    (1..tokens.len()).find_map(|at| {
        let (front, back) = (..at, at..);
        let is_last = |words: &[Vec<String>]| words.iter().flatten().eq(&last);
        let fits = |words: &[Vec<String>]| initials_fit(words.iter().flatten(), &first);
        if is_last(&words[back.clone()]) && fits(&words[front]) {
            Some(halves(tokens[back].join(" "), tokens[front].join(" ")))
        } else if is_last(&words[front]) && fits(&words[back.clone()]) {
            Some(halves(tokens[front].join(" "), tokens[back].join(" ")))
        } else {
            None
        }
    })
}

fn initials_fit<'a>(mut ours: impl Iterator<Item = &'a String>, theirs: &[String]) -> bool {
    let fit = |(a, b): (&String, &String)| {
        let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
        short == long || short.chars().count() == 1 && long.starts_with(short.as_str())
    };
    ours.by_ref().zip(theirs).filter(|&pair| fit(pair)).count() == theirs.len()
        && ours.next().is_none()
}

/// A name taken apart as the server does it, but that `Jr.` is nobody's last name.
fn by_itself(name: &str) -> Author {
    let mut end = name.trim_end().len();
    while let Some(at) = name[..end].rfind([' ', ',', '\t', '\u{a0}']) {
        if !SUFFIXES.contains(&folded(&name[at..end]).join(" ").as_str()) {
            break;
        }
        end = name[..at]
            .trim_end_matches([' ', ',', '\t', '\u{a0}'])
            .len();
    }
    let (own, suffix) = name.split_at(end);
    let split = own.split_once(',').or_else(|| {
        let parted = own.trim().rsplit_once(char::is_whitespace);
        parted.map(|(first, last)| (last, first))
    });
    match split {
        Some((last, first)) => halves(last.into(), format!("{}{suffix}", first.trim())),
        None => in_one_piece(name),
    }
}

fn halves(last: String, first: String) -> Author {
    Author {
        last: last.trim().into(),
        first: Some(first.trim().into()),
    }
}

fn in_one_piece(name: &str) -> Author {
    Author {
        last: name.trim().into(),
        first: None,
    }
}

/// A sort form's words as the name writes them: marks, case and form are the name's own.
fn spelled(half: &str, name: &str) -> String {
    let own = |token: &str| {
        let word = token.trim_end_matches(',');
        let same = |other: &&str| joined(other) == joined(word);
        let found = name
            .split_whitespace()
            .map(|own| own.trim_matches(','))
            .find(same);
        let found = found.filter(|_| !joined(word).is_empty());
        format!("{}{}", found.unwrap_or(word), &token[word.len()..])
    };
    half.split_whitespace()
        .map(own)
        .collect::<Vec<_>>()
        .join(" ")
}

fn without_brackets(name: &str) -> String {
    let mut depth = 0_u32;
    let mut plain = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// The words of a name: small letters without marks.
fn folded(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text
        .to_lowercase()
        .nfkd()
        .filter(|&c| !is_combining_mark(c))
    {
        match naming::letter(c) {
            _ if c == 'ß' => plain.push_str("ss"),
            _ if c == 'ς' => plain.push('σ'),
            Some(letters) => plain.push_str(letters),
            None if c.is_alphanumeric() => plain.push(c),
            None => plain.push(' '),
        }
    }
    plain.split_whitespace().map(String::from).collect()
}

fn joined(text: &str) -> String {
    folded(text).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str, sort: &str) -> (String, String, bool) {
        let mut notes = Vec::new();
        let author = authors(&[name.into()], &[sort.into()], &mut notes).remove(0);
        (
            author.last,
            author.first.unwrap_or_default(),
            !notes.is_empty(),
        )
    }

    #[test]
    fn another_s_name_in_the_sort_does_not_replace_the_author() {
        for (name, sort, last, first) in [
            ("Richard Bachman", "King, Stephen", "Bachman", "Richard"),
            ("Richard Bachman", "King", "Bachman", "Richard"),
            ("Richard Bachman", "Bachman, Stephen", "Bachman", "Richard"),
            ("Richard Bachman", "Bachman", "Bachman", "Richard"),
            ("Ann Lee", "Lee, Ann Bo", "Lee", "Ann"),
            ("Ann Lee", "Lee, Bo, Ann", "Lee", "Ann"),
            ("Ann Bo Lee", "Lee, Ann", "Lee", "Ann Bo"),
            ("Ann Ann Lee", "Lee, Ann", "Lee", "Ann Ann"),
            ("John Smith III", "Smith, John", "Smith", "John III"),
            ("Martin King, Jr.", "Queen, M.", "King", "Martin, Jr."),
            ("Homer", "Homer, Simpson", "Homer", ""),
            ("Лев Толстой", "Tolstoy, Leo", "Толстой", "Лев"),
            ("Ann Lee", ",", "Lee", "Ann"),
        ] {
            let expected = (last.into(), first.into(), true);
            assert_eq!(split(name, sort), expected, "{name} / {sort}");
        }
    }

    #[test]
    fn a_sort_of_the_name_s_own_words_says_where_to_split() {
        for (name, sort, last, first) in [
            ("Karel Čapek", "Čapek, Karel", "Čapek", "Karel"),
            ("Karel Čapek", "C\u{30c}apek, Karel", "Čapek", "Karel"),
            ("Karel Čapek", "CAPEK, KAREL", "Čapek", "Karel"),
            ("Homer", "Homer", "Homer", ""),
            (
                "World Health Organization",
                "World Health Organization",
                "World Health Organization",
                "",
            ),
            (
                "J. R. R. Tolkien",
                "Tolkien, J. R. R., Sir",
                "Tolkien",
                "J. R. R., Sir",
            ),
            ("J.R.R. Tolkien", "Tolkien, J. R. R.", "Tolkien", "J. R. R."),
            ("JRR Tolkien", "Tolkien, J. R. R.", "Tolkien", "J. R. R."),
            ("Zhu Xi", "Zhu, Xi, of Song", "Zhu", "Xi, of Song"),
            (
                "Martin Luther King Jr.",
                "King, Martin Luther, Jr.",
                "King",
                "Martin Luther, Jr.",
            ),
            (
                "Martin Luther King, Jr.",
                "King, Martin Luther Jr.",
                "King",
                "Martin Luther Jr.",
            ),
            (
                "Ludwig van Beethoven",
                "Beethoven, Ludwig van",
                "Beethoven",
                "Ludwig van",
            ),
            (
                "Ludwig van Beethoven",
                "van Beethoven, Ludwig",
                "van Beethoven",
                "Ludwig",
            ),
            (
                "Ursula K. Le Guin",
                "Le Guin, Ursula Kroeber",
                "Le Guin",
                "Ursula K.",
            ),
            (
                "Ursula Kroeber Le Guin",
                "Le Guin, U. K.",
                "Le Guin",
                "Ursula Kroeber",
            ),
            (
                "Gabriel García Márquez",
                "Garcia Marquez, Gabriel",
                "García Márquez",
                "Gabriel",
            ),
            (
                "Dr. Jane Smith (Translator)",
                "Smith, Jane",
                "Smith",
                "Jane",
            ),
            ("Smith, John", "Smith, John", "Smith", "John"),
            ("Sinéad O’Hara", "O'Hara, Sinéad", "O’Hara", "Sinéad"),
            (
                "Jean-Paul Sartre",
                "Sartre, Jean Paul",
                "Sartre",
                "Jean Paul",
            ),
            ("村上春樹", "村上, 春樹", "村上", "春樹"),
            ("Ødegård Łukasz", "Odegard, Lukasz", "Ødegård", "Łukasz"),
            ("Homer", "Homer,", "Homer", ""),
            ("Ann Lee", "", "Lee", "Ann"),
            ("John Smith III", "", "Smith", "John III"),
            ("Henry IV", "", "Henry IV", ""),
        ] {
            let expected = (last.into(), first.into(), false);
            assert_eq!(split(name, sort), expected, "{name} / {sort}");
        }
    }
}
