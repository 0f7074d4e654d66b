//! Calibre's languages to the server's.

use isolang::Language as Iso;

/// A language that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// Its row.
    pub id: i64,
    /// Its code, usually ISO 639-1.
    pub code: String,
}

/// The languages that the server has.
#[derive(Clone, Debug, Default)]
pub struct Languages {
    /// All of them.
    pub offered: Vec<Language>,
    /// The one of books that name none.
    pub default: Option<Language>,
}

/// What a record's languages come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The server has it.
    Found(&'a Language),
    /// The record names languages, none of which the server has.
    Lacking,
    /// The record names none.
    None,
}

/// The first of a book's languages that the server has.
pub fn choose<'a>(wanted: &[String], offered: &'a [Language]) -> Choice<'a> {
    let mut named = wanted.iter().filter(|code| is_language(code)).peekable();
    if named.peek().is_none() {
        return Choice::None;
    }
    named
        .find_map(|code| find(code, offered))
        .map_or(Choice::Lacking, Choice::Found)
}

/// The language of a book: the default one only for a book that names none.
pub fn settle<'a>(
    wanted: &[String],
    offered: &'a [Language],
    default: Option<&'a Language>,
) -> Option<&'a Language> {
    match choose(wanted, offered) {
        Choice::Found(language) => Some(language),
        Choice::Lacking => None,
        Choice::None => default,
    }
}

/// The language that a code stands for: the server's own code, or ISO 639 in two or three letters.
pub fn find<'a>(code: &str, offered: &'a [Language]) -> Option<&'a Language> {
    let code = code.trim();
    let same = |language: &&Language| language.code.eq_ignore_ascii_case(code);
    offered.iter().find(same).or_else(|| {
        let wanted = iso(code)?;
        offered
            .iter()
            .find(|language| iso(&language.code) == Some(wanted))
    })
}

/// Does a code name a language? Undetermined, uncoded, several and none do not.
pub fn is_language(code: &str) -> bool {
    !matches!(
        code.trim().to_ascii_lowercase().as_str(),
        "" | "und" | "mis" | "mul" | "zxx"
    )
}

fn iso(code: &str) -> Option<Iso> {
    let code = code.split(['-', '_']).next()?.to_ascii_lowercase();
    match code.len() {
        2 => Iso::from_639_1(&code),
        3 => Iso::from_639_3(&code).or_else(|| Iso::from_639_3(bibliographic(&code)?)),
        _ => None,
    }
}

/// The twenty languages that have a second code of three letters, for libraries (ISO 639-2/B).
fn bibliographic(code: &str) -> Option<&'static str> {
    Some(match code {
        "alb" => "sqi",
        "arm" => "hye",
        "baq" => "eus",
        "bur" => "mya",
        "chi" => "zho",
        "cze" => "ces",
        "dut" => "nld",
        "fre" => "fra",
        "geo" => "kat",
        "ger" => "deu",
        "gre" => "ell",
        "ice" => "isl",
        "mac" => "mkd",
        "mao" => "mri",
        "may" => "msa",
        "per" => "fas",
        "rum" => "ron",
        "slo" => "slk",
        "tib" => "bod",
        "wel" => "cym",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> Vec<Language> {
        [(1, "cs"), (2, "en"), (3, "sk"), (9, "deu")]
            .map(|(id, code)| Language {
                id,
                code: code.into(),
            })
            .into()
    }

    fn id(wanted: &[&str]) -> Option<i64> {
        let wanted: Vec<String> = wanted.iter().map(|&code| code.into()).collect();
        match choose(&wanted, &offered()) {
            Choice::Found(language) => Some(language.id),
            _ => None,
        }
    }

    #[test]
    fn three_letters_find_two_and_back() {
        for (code, expected) in [
            ("ces", 1),
            ("cze", 1),
            ("eng", 2),
            ("EN", 2),
            ("en-GB", 2),
            ("slo", 3),
            ("de", 9),
            ("ger", 9),
        ] {
            assert_eq!(id(&[code]), Some(expected), "{code}");
        }
        assert_eq!(id(&["jpn", "slk"]), Some(3));
    }

    #[test]
    fn the_default_is_not_for_a_book_in_a_language_that_the_server_lacks() {
        let offered = offered();
        let settled = |codes: &[&str]| {
            let codes: Vec<String> = codes.iter().map(|&code| code.into()).collect();
            settle(&codes, &offered, offered.get(1)).map(|language| language.id)
        };
        assert_eq!(settled(&["jpn"]), None);
        assert_eq!((settled(&["und"]), settled(&[])), (Some(2), Some(2)));
        assert_eq!(settled(&["jpn", "cs"]), Some(1));
    }

    #[test]
    fn lacking_is_not_the_same_as_none() {
        let choose = |code: &str| choose(&[code.into()], &offered()) == Choice::Lacking;
        assert!(choose("jpn") && choose("nonsense"));
        assert!(!choose("und") && !choose("") && !choose("mul"));
        assert_eq!(super::choose(&[], &offered()), Choice::None);
    }
}
