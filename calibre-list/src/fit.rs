//! Keeps a line within the limit that every reader can count on: the longest texts and lists are
//! cut, and `truncated` names them.

use wire::Line;

use crate::record::{Field, Value, put};

/// The most that a `book_file` line takes, its newline included, so that later tools can add their
/// own fields and still write a line to a pipe in one piece.
pub(crate) const LIMIT: usize = 3072;
/// What a text keeps even if the path alone is longer than the limit.
const LEAST: usize = 64;

/// Puts the fields into a line that has its path and format already, cut as needed.
pub(crate) fn put_fitting(line: &mut Line, fields: &[Field<'_>], limit: usize) {
    let sizes: Vec<usize> = fields
        .iter()
        .map(|(name, value)| name.len() + 4 + size(value))
        .collect();
    if line.len() + sizes.iter().sum::<usize>() <= limit {
        return put(line, fields);
    }
    // Only what is longer than a level is cut, and down to that level: the short fields, which say
    // most, stay whole.
    let cuttable = |index: usize| {
        !matches!(
            fields[index].1,
            Value::Int(_) | Value::Float(_) | Value::Flag(_)
        )
    };
    let fixed: usize = (0..fields.len())
        .filter(|at| !cuttable(*at))
        .map(|at| sizes[at])
        .sum();
    let fits = |level: usize| {
        // The second name is for an author list that is cut since the one beside it is.
        let mut needed = line.len() + fixed + ",\"truncated\":[\"author_sorts\",]".len();
        for (at, (name, _)) in fields.iter().enumerate().filter(|(at, _)| cuttable(*at)) {
            needed += sizes[at].min(name.len() + 4 + level);
            if sizes[at] > name.len() + 4 + level {
                needed += name.len() + 3;
            }
        }
        needed <= limit
    };
    // With very many long fields less is left of each, down to `""` and `[]`.
    let mut level = if fits(LEAST) { LEAST } else { 2 };
    while level < limit && fits(level + 1) {
        level += 1;
    }
    let cut: Vec<Field<'_>> = fields
        .iter()
        .map(|(name, value)| match size(value) <= level {
            true => (*name, copy(value)),
            false => (*name, cut_value(value, level)),
        })
        .collect();
    let cut = pair_authors(cut);
    put(line, &cut);
    let shorter = cut
        .iter()
        .zip(fields)
        .filter(|((_, now), (_, before))| size(now) < size(before));
    line.list("truncated", shorter.map(|((name, _), _)| name));
}

/// `authors` and `author_sorts` stand beside each other, so they are equally long.
fn pair_authors(mut fields: Vec<Field<'_>>) -> Vec<Field<'_>> {
    let length = |value: &Value<'_>| match value {
        Value::Names(list) => list.len(),
        Value::Cut(list) => list.len(),
        _ => usize::MAX,
    };
    let is_author = |name: &str| name == "authors" || name == "author_sorts";
    let pair = fields.iter().filter(|(name, _)| is_author(name));
    let least = pair.map(|(_, value)| length(value)).min().unwrap_or(0);
    for (_, value) in fields.iter_mut().filter(|(name, _)| is_author(name)) {
        match value {
            Value::Names(list) => *list = &list[..least],
            Value::Cut(list) => list.truncate(least),
            _ => {}
        }
    }
    fields
}

fn copy<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::Text(text),
        Value::Names(list) => Value::Names(list),
        Value::Strings(list) => Value::Strings(list),
        Value::Cut(list) => Value::Cut(list.clone()),
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Flag(flag) => Value::Flag(*flag),
    }
}

/// The value cut so that its JSON takes at most `most` bytes.
fn cut_value<'a>(value: &Value<'a>, most: usize) -> Value<'a> {
    match value {
        Value::Text(text) => Value::Text(cut_text(text, most)),
        Value::Names(list) => Value::Cut(cut_list(list.iter().copied(), most)),
        Value::Strings(list) => Value::Cut(cut_list(list.iter().map(String::as_str), most)),
        other => copy(other),
    }
}

fn cut_list<'a>(list: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut left = most.saturating_sub(2);
    for item in list {
        let whole = text_size(item) + 1;
        if whole <= left {
            kept.push(item);
            left -= whole;
            continue;
        }
        if kept.is_empty() {
            kept.push(cut_text(item, left.saturating_sub(1)));
        }
        break;
    }
    kept
}

/// The beginning of a text whose JSON, quotes included, takes at most `most` bytes.
fn cut_text(text: &str, most: usize) -> &str {
    let mut left = most.saturating_sub(2);
    for (at, c) in text.char_indices() {
        let size = char_size(c);
        if size > left {
            return &text[..at];
        }
        left -= size;
    }
    text
}

/// How many bytes a value's JSON takes.
fn size(value: &Value<'_>) -> usize {
    fn list<'a>(items: impl Iterator<Item = &'a str>) -> usize {
        2 + items.map(|item| text_size(item) + 1).sum::<usize>()
    }
    match value {
        Value::Text(text) => text_size(text),
        Value::Names(names) => list(names.iter().copied()),
        Value::Strings(strings) => list(strings.iter().map(String::as_str)),
        Value::Cut(items) => list(items.iter().copied()),
        // The longest of each.
        Value::Int(_) => 20,
        Value::Float(_) => 25,
        Value::Flag(_) => 5,
    }
}

fn text_size(text: &str) -> usize {
    let escapes = text
        .bytes()
        .filter(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    2 + text.len()
        + escapes
            .map(|byte| char_size(byte.into()) - 1)
            .sum::<usize>()
}

/// How many bytes a character takes in JSON.
fn char_size(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(fields: &[Field<'_>], limit: usize) -> (usize, String) {
        let mut line = Line::new("book_file");
        put_fitting(&mut line, fields, limit);
        (
            line.len(),
            String::from_utf8(line.open_bytes().to_vec()).unwrap(),
        )
    }

    #[test]
    fn sizes_are_those_of_the_json() {
        for text in [
            "",
            "a\"b\\",
            "\0\u{1}\u{1f}\n\t\r\u{8}\u{c}\u{7f}",
            "žluť 漢字 😀",
        ] {
            let mut json = Vec::new();
            wire::line::escape(&mut json, text);
            assert_eq!(text_size(text), json.len(), "{text:?}");
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let (_, text) = line_of(&[("title", Value::Text("short"))], LIMIT);
        assert_eq!(text, r#"{"type":"book_file","title":"short""#);
    }

    #[test]
    fn the_longest_are_cut_and_named() {
        let long = "\u{1}ž".repeat(5000);
        let many: Vec<String> = (0..500).map(|n| format!("tag {n}")).collect();
        let fields = [
            ("title", Value::Text(&long)),
            ("series", Value::Text("whole")),
            ("tags", Value::Strings(&many)),
        ];
        let (length, text) = line_of(&fields, LIMIT);
        assert!((LIMIT - 40..=LIMIT).contains(&length), "{length}");
        assert!(text.contains(r#""series":"whole""#));
        assert!(text.ends_with(r#","truncated":["title","tags"]"#));
    }

    #[test]
    fn authors_and_their_sorts_stay_beside_each_other() {
        let names = vec!["A rather long name"; 200];
        let sorts = vec!["s"; 200];
        let fields = [
            ("authors", Value::Names(&names)),
            ("author_sorts", Value::Names(&sorts)),
        ];
        let (_, text) = line_of(&fields, 1000);
        assert_eq!(
            text.matches("A rather").count(),
            text.matches("\"s\"").count()
        );
    }
}
