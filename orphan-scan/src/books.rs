//! The extensions that e-books have: those that Calibre takes for books (its `BOOK_EXTENSIONS`, the
//! same from 6.13 to 9.13).

const EXTENSIONS: [&str; 62] = [
    "azw", "azw1", "azw3", "azw4", "book", "cb7", "cbc", "cbr", "cbz", "chm", "djv", "djvu", "doc",
    "docm", "docx", "epub", "fb2", "fbz", "htm", "html", "htmlz", "iba", "ibook", "ibooks", "imp",
    "kepub", "kfx", "kpf", "lit", "lrf", "lrx", "markdown", "mbp", "md", "mobi", "odt", "oebzip",
    "oxps", "pdb", "pdf", "pdr", "pml", "pmlz", "pobi", "prc", "ps", "rar", "rb", "rtf", "snb",
    "tan", "text", "textile", "tpz", "txt", "txtz", "updb", "xhtm", "xhtml", "xps", "zbf", "zip",
];

/// Has a file of this name an e-book's extension, in any case? `original_epub` counts as `epub`.
pub fn is_book(name: &[u8]) -> bool {
    let Some(extension) = extension(name) else {
        return false;
    };
    let lower = extension.to_ascii_lowercase();
    let plain = lower.strip_prefix(b"original_").unwrap_or(&lower);
    std::str::from_utf8(plain).is_ok_and(|text| EXTENSIONS.binary_search(&text).is_ok())
}

/// What follows the last dot; nothing where there is none, or only one at the start.
pub fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0).then(|| &name[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_told_from_other_files() {
        assert!(EXTENSIONS.is_sorted());
        for name in [
            "a.epub",
            "a.EPUB",
            "a.b.Pdf",
            "a.original_mobi",
            "\u{e9}.cbz",
        ] {
            assert!(is_book(name.as_bytes()), "{name}");
        }
        for name in ["a", "epub", ".epub", "a.epub~", "a.jpg", "a.opf", "a."] {
            assert!(!is_book(name.as_bytes()), "{name}");
        }
        assert!(is_book(b"a\xff.pdf") && !is_book(b"a.pd\xff"));
    }
}
