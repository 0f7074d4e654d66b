//! What format a book is in. Its name says so, as it does for Calibre and the server; where the name
//! says nothing, its first bytes do.

/// Extensions that are believed whatever the bytes say: formats of books, and what holds them.
const KNOWN: &[&str] = &[
    "azw", "azw1", "azw3", "azw4", "cb7", "cbc", "cbr", "cbz", "chm", "djv", "djvu", "doc", "docm",
    "docx", "epub", "fb2", "fbz", "htm", "html", "htmlz", "kepub", "kfx", "lit", "lrf", "lrx",
    "md", "mobi", "odt", "opf", "pdb", "pdf", "pml", "pobi", "prc", "rar", "rb", "rtf", "snb",
    "tcr", "txt", "txtz", "xhtml", "xml", "zip",
];

/// The format of a file of this name that begins with these bytes (64 KiB of them are enough), in
/// lower case; nothing, where neither tells. What macOS keeps beside a file is `appledouble`.
pub fn format(name: &[u8], begin: &[u8]) -> Option<String> {
    let base = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    if base.starts_with(b"._") && begin.starts_with(b"\0\x05\x16\x07") {
        return Some("appledouble".into());
    }
    let extension = extension(base);
    if let Some(known) = extension.as_deref().filter(|e| KNOWN.contains(e)) {
        return Some(known.into());
    }
    // `War and Peace. Vol` ends like a name with an extension, but is one of a book. A text, a page
    // or a folder of pictures may be anything, so there the name counts.
    sure(begin)
        .map(String::from)
        .or(extension)
        .or_else(|| likely(begin).map(String::from))
}

/// What stands behind the last dot, if it could be an extension.
fn extension(base: &[u8]) -> Option<String> {
    let dot = base.iter().rposition(|&byte| byte == b'.')?;
    let (stem, extension) = (&base[..dot], &base[dot + 1..]);
    let fits = !stem.is_empty()
        && (1..=16).contains(&extension.len())
        && extension
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || b == b'_')
        && extension.iter().any(u8::is_ascii_alphabetic);
    fits.then(|| String::from_utf8_lossy(extension).to_lowercase())
}

/// Formats that nothing else looks like.
fn sure(begin: &[u8]) -> Option<&'static str> {
    let at = |place: usize, magic: &[u8]| begin.get(place..).is_some_and(|b| b.starts_with(magic));
    let first = |bytes: usize| &begin[..begin.len().min(bytes)];
    if at(0, b"PK\x03\x04") {
        return if at(30, b"mimetypeapplication/epub+zip") || has(begin, b"META-INF/container.xml") {
            Some("epub")
        } else if at(30, b"[Content_Types].xml") && has(begin, b"word/") {
            Some("docx")
        } else {
            None
        };
    }
    if at(60, b"BOOKMOBI") {
        return Some(if is_kf8(begin) { "azw3" } else { "mobi" });
    }
    if at(0, b"AT&TFORM") && (at(12, b"DJV")) {
        return Some("djvu");
    }
    if at(0, b"{\\rtf") {
        return Some("rtf");
    }
    if has(first(1024), b"%PDF-") {
        return Some("pdf");
    }
    (begins_with_tag(begin, b"<?xml") || begins_with_tag(begin, b"<fictionbook"))
        .then(|| has(first(4096), b"<FictionBook"))
        .filter(|&it_is| it_is)
        .map(|_| "fb2")
}

/// Formats that other files look like, too.
fn likely(begin: &[u8]) -> Option<&'static str> {
    if begin.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some("doc");
    }
    if begin.starts_with(b"PK\x03\x04") {
        return first_is_picture(begin).then_some("cbz");
    }
    if [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| begins_with_tag(begin, tag))
        || begins_with_tag(begin, b"<?xml") && has(begin, b"<html")
    {
        return Some("html");
    }
    let text = |&b: &u8| b >= b' ' && b != 0x7f || b"\t\n\r\x0c\x1a\x1b".contains(&b);
    (!begin.is_empty() && begin.iter().all(text)).then_some("txt")
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Is this, in any case, the first thing after a byte order mark and blanks?
fn begins_with_tag(begin: &[u8], tag: &[u8]) -> bool {
    let text = begin
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(begin)
        .trim_ascii_start();
    text.len() >= tag.len() && text[..tag.len()].eq_ignore_ascii_case(tag)
}

/// A file of Kindle format 8: its first record says version 8. One that holds both forms begins with
/// the older.
fn is_kf8(begin: &[u8]) -> bool {
    let number = |place: usize| {
        let bytes = begin.get(place..place + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let record = number(78).map_or(usize::MAX, |record| record as usize);
    record.checked_add(36).and_then(number) == Some(8)
}

/// Is the first file in this ZIP file a picture? Its folder may come before it.
fn first_is_picture(begin: &[u8]) -> bool {
    let mut at = 0;
    while begin
        .get(at..)
        .is_some_and(|b| b.starts_with(b"PK\x03\x04") && b.len() > 30)
    {
        let length =
            |place: usize| usize::from(begin[at + place]) | usize::from(begin[at + place + 1]) << 8;
        let Some(name) = begin.get(at + 30..at + 30 + length(26)) else {
            return false;
        };
        if !name.ends_with(b"/") {
            let extension = extension(name.rsplit(|&b| b == b'/').next().unwrap_or(name));
            let pictures = ["jpg", "jpeg", "png", "gif", "webp", "avif"];
            return extension.is_some_and(|e| pictures.contains(&e.as_str()));
        }
        at += 30 + length(26) + length(28);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, begin: &[u8]) -> Option<String> {
        format(name.as_bytes(), begin)
    }

    fn zip(name: &str, content: &[u8]) -> Vec<u8> {
        let length = [name.len() as u8, 0, 0, 0];
        [
            b"PK\x03\x04",
            &[0; 22][..],
            &length,
            name.as_bytes(),
            content,
        ]
        .concat()
    }

    fn kindle(version: u8) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        bytes[60..68].copy_from_slice(b"BOOKMOBI");
        bytes[78..82].copy_from_slice(&100_u32.to_be_bytes());
        bytes[139] = version;
        bytes
    }

    #[test]
    fn the_name_says_it() {
        assert_eq!(told("a/b.EPUB", b"whatever").as_deref(), Some("epub"));
        assert_eq!(told("a.b/c.pdf", b"").as_deref(), Some("pdf"));
        assert_eq!(told("cover.jpg", b"some text").as_deref(), Some("jpg"));
        assert_eq!(told("style.css", b"p { }").as_deref(), Some("css"));
        assert_eq!(
            told("a.original_epub", b"").as_deref(),
            Some("original_epub")
        );
        assert_eq!(told(".epub", b""), None);
    }

    #[test]
    fn the_bytes_say_it_where_the_name_does_not() {
        let page = "\u{feff}  <!DOCTYPE html><p>";
        let book = "<?xml version='1.0' encoding='windows-1251'?>\n<FictionBook xmlns=''>";
        let docx = [
            zip("[Content_Types].xml", b""),
            zip("word/document.xml", b""),
        ]
        .concat();
        let pages = [zip("p/", b""), zip("p/01.JPG", b"")].concat();
        for (expected, bytes) in [
            ("epub", zip("mimetype", b"application/epub+zip")),
            ("epub", zip("META-INF/container.xml", b"")),
            ("docx", docx),
            ("cbz", pages),
            ("mobi", kindle(6)),
            ("azw3", kindle(8)),
            ("pdf", b"\n%PDF-1.4".to_vec()),
            ("djvu", b"AT&TFORM\0\0\0\0DJVMDIRM".to_vec()),
            ("rtf", b"{\\rtf1\\ansi".to_vec()),
            ("doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec()),
            ("fb2", book.into()),
            ("html", page.into()),
            ("txt", "Было время".into()),
            ("txt", b"\xc1\xfb\xeb\xee \xe2\xf0\xe5\xec\xff\r\n".to_vec()),
        ] {
            for name in ["War and Peace", "Mr. Smith goes", "Vol. 2", "v1.2"] {
                assert_eq!(told(name, &bytes).as_deref(), Some(expected), "{name}");
            }
        }
        assert_eq!(told("x", b"\0\x01\x02"), None);
        assert_eq!(told("x", b""), None);
    }

    #[test]
    fn a_title_that_ends_like_a_name_with_an_extension_is_seen_through() {
        let epub = zip("mimetype", b"application/epub+zip");
        assert_eq!(told("Dr.No", &epub).as_deref(), Some("epub"));
        assert_eq!(
            told("photos.zip", &zip("1.jpg", b"")).as_deref(),
            Some("zip")
        );
        assert_eq!(
            told("sheet.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").as_deref(),
            Some("xls")
        );
        let sheet = [zip("[Content_Types].xml", b""), zip("xl/workbook.xml", b"")].concat();
        assert_eq!(told("sheet.xlsx", &sheet).as_deref(), Some("xlsx"));
    }

    #[test]
    fn what_macos_keeps_beside_a_book_is_no_book() {
        let double = b"\0\x05\x16\x07\0\x02\0\0Mac OS X";
        assert_eq!(told("a/._b.epub", double).as_deref(), Some("appledouble"));
        assert_eq!(told("a/._b.epub", b"PK").as_deref(), Some("epub"));
        assert_eq!(told("a/b.epub", double).as_deref(), Some("epub"));
    }
}
