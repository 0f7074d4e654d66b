//! File names in JSON. A Unix name is bytes; JSON is UTF-8. A name that is UTF-8 is a plain string;
//! any other is shown with U+FFFD, and a twin field `<name>_b64` holds the exact bytes. Tools act on
//! the twin where it is there, so no name is ever acted upon in its lossy form.

use std::{
    borrow::Cow,
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The text to show, and the exact bytes in base64 where the text is not exact.
pub fn encode(path: &Path) -> (Cow<'_, str>, Option<String>) {
    match path.to_str() {
        Some(text) => (Cow::Borrowed(text), None),
        None => (
            path.to_string_lossy(),
            Some(STANDARD.encode(path.as_os_str().as_bytes())),
        ),
    }
}

/// The exact path from its two fields.
///
/// # Errors
/// One line of reason: the twin is not base64, or the path holds a NUL, which no file name can.
pub fn decode(text: &str, base64: Option<&str>) -> Result<PathBuf, String> {
    let bytes = match base64 {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|error| format!("bad base64: {error}"))?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err("the path is empty".into());
    }
    if bytes.contains(&0) {
        return Err("the path holds a NUL".into());
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// One line for a person: control, line-separating and text-direction characters escaped, so that
/// a hostile name cannot rewrite a terminal or fake a second line.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hostile = c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if hostile {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives() {
        for bytes in [
            &b"/plain"[..],
            b"/caf\xc3\xa9",
            b"/\xff\xfe",
            b"/a\nb\"\\\x01",
            b"/\xed\xa0\x80",
        ] {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
            let (text, twin) = encode(path);
            assert_eq!(twin.is_some(), std::str::from_utf8(bytes).is_err());
            assert_eq!(decode(&text, twin.as_deref()).unwrap(), path);
        }
    }

    #[test]
    fn impossible_names_are_refused() {
        assert!(decode("", None).is_err());
        assert!(decode("/a\0b", None).is_err());
        assert!(decode("/a", Some("%%%")).is_err());
    }

    #[test]
    fn a_terminal_is_never_told_what_to_do() {
        assert_eq!(
            printable("a\x1b[2Jb\n\u{202e}c\u{e9}"),
            "a\\u{1b}[2Jb\\n\\u{202e}c\u{e9}"
        );
    }
}
