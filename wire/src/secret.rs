//! What no message may hold: passwords and tokens, in all the forms in which a server may repeat them.
//! What a server says is masked and cut here before it becomes part of one.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Characters of a server's words that a message may hold.
const MOST: usize = 1000;
/// Bytes of them that are looked at; no secret is so long that it could be cut here and shown there.
const LOOKED_AT: usize = 64 << 10;
/// Forms remembered; tokens come anew every few hours.
const REMEMBERED: usize = 500;
/// What is shorter says nothing, and would mask half of each message.
const SHORTEST: usize = 3;

static FORMS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// From now on [`redact`] masks this secret.
pub fn register(secret: &[u8]) {
    let mut kept = FORMS.lock().unwrap_or_else(PoisonError::into_inner);
    for form in forms(secret) {
        if !kept.contains(&form) {
            kept.push_back(form);
        }
    }
    while kept.len() > REMEMBERED {
        kept.pop_front();
    }
}

/// A server's words for a message: secrets masked, and no longer than a message may be.
pub fn redact(text: &str) -> String {
    let looked_at = &text[..text.floor_char_boundary(LOOKED_AT)];
    let kept = FORMS.lock().unwrap_or_else(PoisonError::into_inner);
    let masked = mask(looked_at, kept.iter());
    drop(kept);
    match masked.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &masked[..end]),
        None => masked,
    }
}

fn mask<'a>(text: &str, forms: impl Iterator<Item = &'a String>) -> String {
    let mut forms: Vec<&String> = forms.filter(|form| text.contains(form.as_str())).collect();
    // One may be a part of another.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    let mut masked = text.to_string();
    for form in forms {
        masked = masked.replace(form.as_str(), "***");
    }
    masked
}

/// As it is, escaped for JSON, HTML and URLs, in hexadecimal, and in base64 wherever it stands in what
/// was encoded.
fn forms(secret: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(secret);
    let mut forms = vec![text.to_string()];
    let mut json = Vec::new();
    crate::line::escape(&mut json, &text);
    let json = String::from_utf8_lossy(&json).trim_matches('"').to_string();
    forms.push(json.replace('/', "\\/"));
    forms.push(ascii_only(&json));
    forms.push(json);
    let debug = format!("{text:?}");
    forms.push(debug[1..debug.len() - 1].to_string());
    for (apostrophe, quote) in [("&#39;", "&#34;"), ("&#x27;", "&quot;")] {
        let html = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        forms.push(html.replace('\'', apostrophe).replace('"', quote));
    }
    let percent = |unreserved: &[u8], upper: bool| {
        let one = |&byte: &u8| match byte {
            byte if byte.is_ascii_alphanumeric() || unreserved.contains(&byte) => {
                char::from(byte).to_string()
            }
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        secret.iter().map(one).collect::<String>()
    };
    for upper in [true, false] {
        for unreserved in [&b"-._~"[..], b"-._~/", b"-._", b"-._~!$&'()*+,;=:@"] {
            let encoded = percent(unreserved, upper);
            forms.push(encoded.replace("%20", "+"));
            forms.push(encoded);
        }
    }
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.to_uppercase());
    forms.push(hex);
    for shift in 0..3 {
        let shifted = [&[0; 2][..shift], secret].concat();
        // The first and the last letter hold bits of the neighbours.
        let (first, whole) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [
            STANDARD_NO_PAD.encode(&shifted),
            URL_SAFE_NO_PAD.encode(&shifted),
        ] {
            forms.extend(encoded.get(first..whole).map(String::from));
        }
    }
    // A few letters of base64 or hexadecimal stand in any text.
    let plain = text.chars().count();
    forms.retain(|form| form.len() >= SHORTEST.max(plain.min(6)));
    forms.sort();
    forms.dedup();
    forms
}

/// As Python's json writes it.
fn ascii_only(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_ascii() {
            true => escaped.push(c),
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secret: &str, text: &str) -> bool {
        let masked = mask(text, forms(secret.as_bytes()).iter());
        masked.contains("***") && !masked.contains(secret)
    }

    #[test]
    fn a_secret_is_masked_in_every_form_in_which_it_may_be_repeated() {
        let secret = r#"pä<ss "wörd"/\+%1 & 'so'"#;
        let percent = |byte: u8| format!("%{byte:02X}");
        let all: String = secret
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    char::from(b).to_string()
                } else {
                    percent(b)
                }
            })
            .collect();
        let basic = STANDARD_NO_PAD.encode(format!("user:{secret}"));
        for text in [
            format!("wrong password {secret} for me"),
            serde_json::to_string(secret).unwrap(),
            ascii_only(&serde_json::to_string(secret).unwrap()),
            format!("{secret:?}"),
            format!("?password={all}&x"),
            format!("?password={}", all.to_lowercase().replace("%20", "+")),
            format!("Basic {basic}=="),
            URL_SAFE_NO_PAD.encode(format!("a{secret}b")),
            URL_SAFE_NO_PAD.encode(format!("ab{secret}")),
        ] {
            assert!(hidden(secret, &text), "{text}");
        }
        assert!(hidden("secret", "736563726574"));
        assert!(!hidden("ab", "about"), "it would mask half of each message");
    }

    #[test]
    fn a_message_of_megabytes_is_cut_and_no_half_of_a_secret_left() {
        register(b"kept-in-this-test");
        let long = format!("{}kept-in-this-test", "é".repeat(MOST - 5));
        let cut = redact(&long.repeat(3000));
        assert_eq!(cut.chars().count(), MOST - 5 + 3 + 2 + 1);
        assert!(!cut.contains("kept"));
        assert_eq!(redact("short"), "short");
    }
}
