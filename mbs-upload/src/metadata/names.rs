//! Authors' names, split into last and first name. Calibre's sort form says where the last name is,
//! but anybody may have typed anything there: it is used only where its words are the name's own.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::metadata::{book::Author, naming};

/// What Calibre leaves out of a sort form, beside what stands in brackets
/// (`author_to_author_sort` in its `metadata/__init__.py`).
const TITLES: [&str; 5] = ["mr", "mrs", "ms", "dr", "prof"];

/// Names beside their sort forms; a sort form that is not the name's is noted, not used.
pub fn authors(names: &[String], sorts: &[String], notes: &mut Vec<String>) -> Vec<Author> {
    let sorts = sorts.iter().map(|sort| sort.trim());
    let one = |(name, sort): (&String, &str)| match (name.trim(), sort) {
        // A name that is no text leaves nothing to compare with.
        ("", sort) => by_itself(sort),
        (name, "") => by_itself(name),
        (name, sort) => by_sort(name, sort).unwrap_or_else(|| {
            notes.push(format!(
                "author {name:?}: its sort {sort:?} is not this name, left out"
            ));
            by_itself(name)
        }),
    };
    let sorts = sorts.chain(std::iter::repeat(""));
    names.iter().zip(sorts).map(one).collect()
}

/// The name split where its sort form says, if that is this name's.
fn by_sort(name: &str, sort: &str) -> Option<Author> {
    let Some((last, first)) = sort.split_once(',') else {
        return (joined(name) == joined(sort)).then(|| in_one_piece(name));
    };
    let (is_last, is_first) = (joined(last), joined(first));
    // The name's own spelling is kept: a sort form may lack its marks or its case.
    for (at, _) in name.match_indices(char::is_whitespace) {
        let (front, back) = name.split_at(at);
        let ends = (joined(front), joined(back));
        if ends == (is_first.clone(), is_last.clone()) {
            return Some(author(back, front));
        } else if ends == (is_last.clone(), is_first.clone()) {
            return Some(author(front.trim_end_matches(','), back));
        }
    }
    let plain = without_titles(name);
    let same = |words: &[String]| {
        let whole = words.concat();
        sorted(words) == sorted(&words_of(sort))
            || whole == format!("{is_first}{is_last}")
            || whole == format!("{is_last}{is_first}")
    };
    (same(&words_of(name)) || same(&plain)).then(|| author(last, first))
}

/// A name split as the server does it: at its first comma, else before its last word.
fn by_itself(name: &str) -> Author {
    if let Some((last, first)) = name.split_once(',') {
        return author(last, first);
    }
    match name.trim().rsplit_once(char::is_whitespace) {
        Some((first, last)) => author(last, first),
        None => in_one_piece(name),
    }
}

fn author(last: &str, first: &str) -> Author {
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

/// The words of a name without titles before it and without what stands in brackets.
fn without_titles(name: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let outside = |&c: &char| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    let plain: String = name.chars().filter(outside).collect();
    let words = words_of(&plain).into_iter();
    words
        .skip_while(|word| TITLES.contains(&word.as_str()))
        .collect()
}

/// The words of a name: small letters without marks.
fn words_of(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.nfkd().filter(|&c| !is_combining_mark(c)) {
        match naming::letter(c) {
            Some(letters) => plain.push_str(letters),
            None if c.is_alphanumeric() => plain.push(c),
            None => plain.push(' '),
        }
    }
    let plain = plain.to_lowercase();
    plain.split_whitespace().map(String::from).collect()
}

fn joined(text: &str) -> String {
    words_of(text).concat()
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words
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
            ("Tolkien, Sir", "King, Stephen", "Tolkien", "Sir"),
            (
                "J. R. R. Tolkien",
                "Tolkien, J. R. R., Sir",
                "Tolkien",
                "J. R. R.",
            ),
            (
                "Ursula K. Le Guin",
                "Le Guin, Ursula Kroeber",
                "Guin",
                "Ursula K. Le",
            ),
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
            ("J.R.R. Tolkien", "Tolkien, J. R. R.", "Tolkien", "J.R.R."),
            ("JRR Tolkien", "Tolkien, J. R. R.", "Tolkien", "JRR"),
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
                "Ursula Kroeber Le Guin",
                "Le Guin, Ursula Kroeber",
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
                "Jean-Paul",
            ),
            ("村上春樹", "村上, 春樹", "村上", "春樹"),
            ("Ødegård Łukasz", "Odegard, Lukasz", "Ødegård", "Łukasz"),
            ("Homer", "Homer,", "Homer", ""),
            ("Ann Lee", "", "Lee", "Ann"),
            ("Smith, John", "", "Smith", "John"),
            ("Homer", "", "Homer", ""),
        ] {
            let expected = (last.into(), first.into(), false);
            assert_eq!(split(name, sort), expected, "{name} / {sort}");
        }
    }
}
