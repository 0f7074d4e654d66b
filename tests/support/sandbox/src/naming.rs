//! The names under which the server stores its books.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What of an ebook goes into its names.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Last name and first name, in order.
    pub authors: Vec<(String, Option<String>)>,
    /// Title as given.
    pub title: String,
    /// The server's language code.
    pub language: String,
    /// Title of the series and index in it.
    pub series: Option<(String, i32)>,
}

impl Book {
    /// Folder below `data/books`; it may hold `..` and nothing but blanks.
    #[must_use]
    pub fn base_dir(&self) -> String {
        split(&self.full_name("")).0.to_owned()
    }

    /// Name of a stored file with this extension.
    #[must_use]
    pub fn file_name(&self, extension: &str) -> String {
        split(&self.full_name(extension)).1.to_owned()
    }

    fn full_name(&self, extension: &str) -> String {
        let authors = without_slash(&self.authors_line());
        let title = without_slash(&self.title);
        let language = &self.language;
        let name = match &self.series {
            Some((series, index)) => {
                let series = without_slash(series);
                format!(
                    "{authors}/{series}/{series} {index} - {title}({language})/\
                     {authors} - {series} {index} - {title}"
                )
            }
            None => format!("{authors}/{title}({language})/{authors} - {title}"),
        };
        let mut name = ascii(&name);
        name.retain(|c| !r#":*%|"<>?\"#.contains(c));
        format!("{name}.{extension}")
    }

    /// One author in full, several with initials, three at most.
    #[must_use]
    pub fn authors_line(&self) -> String {
        let given = |first: &Option<String>| first.clone().filter(|first| !first.is_empty());
        match self.authors.as_slice() {
            [] => "No Authors".to_owned(),
            [(last, first)] => match given(first) {
                Some(first) => format!("{last} {first}"),
                None => last.clone(),
            },
            several => {
                let short = |(last, first): &(String, Option<String>)| match given(first) {
                    Some(first) => format!("{last} {}", initials(&first)),
                    None => last.clone(),
                };
                let line = several
                    .iter()
                    .take(3)
                    .map(short)
                    .collect::<Vec<_>>()
                    .join(", ");
                if several.len() > 3 {
                    line + " and others"
                } else {
                    line
                }
            }
        }
    }
}

/// The name to try when `location` is taken for the `round`th time (from 1). The marks add up:
/// `X(1).epub`, then `X(1)(2).epub`.
#[must_use]
pub fn next_name(location: &str, round: u32) -> String {
    let (dir, file) = split(location);
    let (stem, extension) = match file.rfind('.') {
        Some(dot) if !file[..dot].trim_start_matches('.').is_empty() => file.split_at(dot),
        _ => (file, ""),
    };
    let name = format!("{stem}({round}){extension}");
    if dir.is_empty() {
        name
    } else {
        format!("{dir}/{name}")
    }
}

/// The name under which an uploaded file is kept: ASCII letters, digits, `_`, `-` and `.`. A
/// Cyrillic name leaves its extension only, without the dot.
#[must_use]
pub fn uploaded_name(given: &str) -> String {
    let plain: String = given.nfkd().filter(char::is_ascii).collect();
    let joined = plain
        .replace('/', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("_");
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let kept: String = joined.chars().filter(allowed).collect();
    kept.trim_matches(['.', '_']).to_owned()
}

/// Splits at the last slash, as Python's `os.path.split`.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn without_slash(text: &str) -> String {
    text.replace('/', "-")
}

fn initials(names: &str) -> String {
    let first = |name: &str| name.chars().next().map(|c| c.to_uppercase().to_string());
    names
        .split_whitespace()
        .filter_map(first)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Marks go, some letters are spelled out, any other character outside ASCII becomes a blank.
/// A character that decomposes into a slash makes a folder: the server does so too.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text
        .nfkd()
        .filter(|c| c.general_category() != GeneralCategory::NonspacingMark)
    {
        match c {
            'Æ' => out.push_str("AE"),
            'æ' => out.push_str("ae"),
            'Þ' => out.push_str("Th"),
            'þ' => out.push_str("th"),
            'Œ' => out.push_str("Oe"),
            'œ' => out.push_str("oe"),
            'Ð' | 'Đ' => out.push('D'),
            'ð' | 'đ' => out.push('d'),
            'Ø' => out.push('O'),
            'ø' => out.push('o'),
            'Ħ' => out.push('H'),
            'ħ' => out.push('h'),
            'Ł' => out.push('L'),
            'ł' => out.push('l'),
            'Ŋ' => out.push('N'),
            'ŋ' => out.push('n'),
            'Ŧ' => out.push('T'),
            'ŧ' => out.push('t'),
            'ß' => out.push('s'),
            'ı' => out.push('i'),
            'ĸ' => out.push('k'),
            c if c.is_ascii() => out.push(c),
            _ => out.push(' '),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(
        title: &str,
        authors: &[(&str, &str)],
        lang: &str,
        series: Option<(&str, i32)>,
    ) -> String {
        let author = |(last, first): &(&str, &str)| {
            (
                last.to_string(),
                Some(first.to_string()).filter(|first| !first.is_empty()),
            )
        };
        let book = Book {
            authors: authors.iter().map(author).collect(),
            title: title.into(),
            language: lang.into(),
            series: series.map(|(title, index)| (title.to_owned(), index)),
        };
        format!("{}/{}", book.base_dir(), book.file_name("epub"))
    }

    #[test]
    fn names_are_those_of_the_real_server() {
        assert_eq!(
            location("Simple Title", &[("Novák", "Jan")], "en", None),
            "Novak Jan/Simple Title(en)/Novak Jan - Simple Title.epub"
        );
        assert_eq!(
            location(
                "Two Authors",
                &[("Čapek", "Karel"), ("Čapek", "Josef")],
                "cs",
                None
            ),
            "Capek K, Capek J/Two Authors(cs)/Capek K, Capek J - Two Authors.epub"
        );
        let five = [
            ("A1", "X"),
            ("A2", "Y"),
            ("A3", "Z"),
            ("A4", "U"),
            ("A5", "V"),
        ];
        assert_eq!(
            location("Five Authors", &five, "en", None),
            "A1 X, A2 Y, A3 Z and others/Five Authors(en)/A1 X, A2 Y, A3 Z and others - Five Authors.epub"
        );
        assert_eq!(
            location(
                "In Series",
                &[("Sapkowski", "Andrzej")],
                "cs",
                Some(("Zaklínač", 3))
            ),
            "Sapkowski Andrzej/Zaklinac/Zaklinac 3 - In Series(cs)/Sapkowski Andrzej - Zaklinac 3 - In Series.epub"
        );
        assert_eq!(
            location(
                "AC/DC: Live / Part 1",
                &[("Slash-Name", "A/B")],
                "en",
                Some(("S/lash Series", 1))
            ),
            "Slash-Name A-B/S-lash Series/S-lash Series 1 - AC-DC Live - Part 1(en)/Slash-Name A-B - S-lash Series 1 - AC-DC Live - Part 1.epub"
        );
        assert_eq!(
            location("Straße Łódź Ørsted Æther ﬁn", &[("Þór", "Ðæ")], "en", None),
            "Thor Dae/Strase Lodz Orsted AEther fin(en)/Thor Dae - Strase Lodz Orsted AEther fin.epub"
        );
        assert_eq!(
            location("Война и мир", &[("Толстой", "Лев")], "ru", None),
            "           /           (ru)/            -            .epub"
        );
        assert_eq!(
            location(".hidden", &[("..", "")], "en", None),
            "../.hidden(en)/.. - .hidden.epub"
        );
        assert_eq!(
            location("x", &[], "en", None),
            "No Authors/x(en)/No Authors - x.epub"
        );
    }

    #[test]
    fn marks_of_taken_names_add_up() {
        assert_eq!(next_name("a b/X.epub", 1), "a b/X(1).epub");
        assert_eq!(next_name("a b/X(1).epub", 2), "a b/X(1)(2).epub");
    }

    #[test]
    fn uploaded_names_lose_what_is_not_ascii() {
        assert_eq!(
            uploaded_name("Čapek – Válka s mloky/ #1.epub"),
            "Capek_Valka_s_mloky_1.epub"
        );
        assert_eq!(uploaded_name("../../etc/x.epub"), "etc_x.epub");
        assert_eq!(uploaded_name("Война и мир.epub"), "epub");
        assert_eq!(uploaded_name("Война"), "");
    }
}
