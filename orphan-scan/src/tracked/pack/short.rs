//! What need not be kept: a name that is made of its folder's, the spelling of a uuid.

/// `author/title (7)` in two; the number left out.
pub(super) fn author_and_title(folder: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = folder.iter().rposition(|&byte| byte == b'/')?;
    let (above, last) = (&folder[..slash], &folder[slash + 1..]);
    let author = above.rsplit(|&byte| byte == b'/').next()?;
    let open = last.windows(2).rposition(|pair| pair == b" (")?;
    Some((author, &last[..open]))
}

/// How much of the title and of the author a name is made of: `title - author.format`.
pub(super) fn derive(folder: &[u8], name: &[u8], format: &str) -> Option<(u8, u8)> {
    let (author, title) = author_and_title(folder)?;
    let stem = name.strip_suffix(format.as_bytes())?.strip_suffix(b".")?;
    let mut parts = (0..stem.len()).filter(|&at| stem[at..].starts_with(b" - "));
    let at =
        parts.find(|&at| title.starts_with(&stem[..at]) && author.starts_with(&stem[at + 3..]))?;
    Some((
        u8::try_from(at).ok()?,
        u8::try_from(stem.len() - at - 3).ok()?,
    ))
}

pub(super) fn derived(folder: &[u8], (from_title, from_author): (u8, u8), format: &str) -> Vec<u8> {
    let (author, title) = author_and_title(folder).unwrap_or_default();
    let title = title.get(..from_title.into()).unwrap_or_default();
    let author = author.get(..from_author.into()).unwrap_or_default();
    [title, b" - ", author, b".", format.as_bytes()].concat()
}

/// A uuid in the usual spelling, and only that.
pub(super) fn short_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut number = 0;
    for (at, byte) in text.bytes().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number)
}

pub(super) fn long_uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    let part = |from, to| &digits[from..to];
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

/// The number at the end of a folder's name, `title (7)`, where it is written as we would.
pub(super) fn id_of(folder: &[u8]) -> Option<i64> {
    let inner = folder.strip_suffix(b")")?;
    let open = inner.iter().rposition(|&byte| byte == b'(')?;
    let digits = std::str::from_utf8(&inner[open + 1..]).ok()?;
    digits.parse().ok()
}
