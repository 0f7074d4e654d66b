//! The values of flags, in one grammar for all tools.
//!
//! | value | how it is written |
//! | --- | --- |
//! | duration | `500ms`, `30s`, `1m30s`, `1.5h`, `2d`, `1w`; a bare number is seconds, a day 24 hours |
//! | size | `4096`, `100MB`, `1.5G` (powers of 1000), `100MiB`, `1.5Gi` (powers of 1024) |
//! | count | a whole number, at least 1 |
//! | percentage | a number from 0 to 100 |
//! | shard | `K/N`: the K-th of N parts, K from 1 to N |
//! | URL | `SCHEME://HOST…` without a user or a password in it |
//! | secret | the first line of a file, or an environment variable; never an argument |
//!
//! An error says what was expected, with examples: `not a duration; write 500ms, 30s, 1m30s or 2d`.

use std::{fmt, fs, num::NonZeroUsize, path::Path, str::FromStr, time::Duration};

use jiff::{Span, SpanRelativeTo};

use crate::{Exit, Fatal, secret};

/// A length of time; zero is one.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => from_units(text),
    };
    parsed.ok_or_else(|| "not a duration; write 500ms, 30s, 1m30s or 2d".into())
}

fn from_units(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let days = SpanRelativeTo::days_are_24_hours();
    span.to_duration(days).ok()?.try_into().ok()
}

/// A length of time that limits something: at least a millisecond.
///
/// # Errors
/// It is none, or too short.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_millis(1) => Err("must be above zero, at least 1ms".into()),
        time => Ok(time),
    }
}

/// A number of bytes.
///
/// # Errors
/// It is none.
pub fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64())
        .map_err(|_| "not a size; write 500MB, 1.5GiB or a number of bytes".into())
}

/// A whole number above zero.
///
/// # Errors
/// It is none.
pub fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "not a count; write a whole number, at least 1".into())
}

/// A part of a hundred.
///
/// # Errors
/// It is none.
pub fn percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    number
        .ok()
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| "not a percentage; write a number from 0 to 100".into())
}

/// One of several parts that together are the whole, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub part: u32,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// Does what has this hash belong to the part?
    pub fn holds(self, hash: u64) -> bool {
        hash % u64::from(self.of) == u64::from(self.part - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(part, of)| Some((part.trim().parse().ok()?, of.trim().parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err("not a shard; write K/N with K from 1 to N, like 2/4".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

/// A URL of one of these schemes, given by `flag`. The message does not repeat it: it may hold a password.
///
/// # Errors
/// Usage: it is none, or has a user or a password in it.
pub fn url<'a>(flag: &str, url: &'a str, schemes: [&str; 2]) -> Result<&'a str, Fatal> {
    let usage = |why: &str| Err(Fatal::new(Exit::Usage, format_args!("{flag}: {why}")));
    let [plain, secure] = schemes;
    let rest = schemes
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme)?.strip_prefix("://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        Some(host) if host.contains('@') => {
            usage("a URL must not hold a user or a password; use --user and --password-file")
        }
        Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => Ok(url),
        _ => usage(&format!(
            "not a URL; write {plain}://HOST or {secure}://HOST"
        )),
    }
}

/// A secret: it is shown nowhere, and masked in what a server says.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// From now on these bytes are masked in messages.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        let bytes = bytes.into();
        secret::register(&bytes);
        Secret(bytes)
    }

    /// The password from the first line of `file`, as `--password-file` names it, else from the variable.
    ///
    /// # Errors
    /// Usage: there is none, it is empty, or the file cannot be read.
    pub fn password(file: Option<&Path>, variable: &str) -> Result<Secret, Fatal> {
        let usage = |why: fmt::Arguments<'_>| Fatal::new(Exit::Usage, why);
        let (source, bytes) = match file {
            Some(file) => {
                let shown = file.display();
                let read = fs::read(file);
                let read = read.map_err(|error| usage(format_args!("{shown}: read: {error}")))?;
                (shown.to_string(), read)
            }
            None => match std::env::var_os(variable) {
                Some(value) => (variable.to_string(), value.into_encoded_bytes()),
                None => {
                    let why =
                        format_args!("password: not given; use --password-file or {variable}");
                    return Err(usage(why));
                }
            },
        };
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.is_empty() {
            true => Err(usage(format_args!("{source}: the password is empty"))),
            false => Ok(Secret::new(line)),
        }
    }

    /// The bytes, to be handed to whoever asks for them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("0.5", 500),
            ("90", 90_000),
            ("50ms", 50),
            ("0.1s", 100),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("1.5h", 5_400_000),
            ("36h", 129_600_000),
            ("2d", 172_800_000),
            ("1d12h", 129_600_000),
            ("1w", 604_800_000),
            ("PT1M", 60_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "", "s", "-1", "-1s", "ten", "1 parsec", "nan", "inf", "1e300", "1month", "1y", "5x",
        ] {
            let why = duration(text).expect_err(text);
            assert!(why.starts_with("not a duration; write "), "{text}: {why}");
        }
    }

    #[test]
    fn a_limit_of_no_time_is_refused() {
        for text in ["0", "0s", "0.0001"] {
            assert!(positive_duration(text).is_err(), "{text}");
        }
        assert_eq!(positive_duration("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("104857600", 104_857_600),
            ("100MiB", 104_857_600),
            ("100 MiB", 104_857_600),
            ("10MB", 10_000_000),
            ("10mb", 10_000_000),
            ("1.5G", 1_500_000_000),
            ("1.5Gi", 1_610_612_736),
            ("10k", 10_000),
            ("10B", 10),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "many", "-1", "1XB", "1.5.5M", "nan"] {
            let why = size(text).expect_err(text);
            assert!(why.starts_with("not a size; write "), "{text}: {why}");
        }
    }

    #[test]
    fn counts_and_percentages_have_bounds() {
        assert_eq!(count("4").map(NonZeroUsize::get), Ok(4));
        for text in ["0", "-1", "1.5", "", "four", "99999999999999999999999"] {
            assert!(
                count(text).unwrap_err().starts_with("not a count"),
                "{text}"
            );
        }
        assert_eq!(percentage("25"), Ok(25.0));
        assert_eq!(percentage("0.5%"), Ok(0.5));
        for text in ["nan", "-1", "100.1", "inf", "", "all"] {
            assert!(percentage(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_hash_is_in_exactly_one_shard() {
        for of in [1, 2, 7, 1000] {
            for hash in [0, 1, 999, 1000, u64::MAX] {
                let parts = (1..=of).map(|part| Shard { part, of });
                assert_eq!(parts.filter(|shard| shard.holds(hash)).count(), 1);
            }
        }
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        for wrong in ["0/2", "3/2", "1", "/", "1/0", "a/b", "1/2/3", "-1/2"] {
            let why = wrong.parse::<Shard>().expect_err(wrong);
            assert!(why.starts_with("not a shard; write "), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let api = |text| url("--api", text, ["http", "https"]);
        assert_eq!(api("https://[::1]:6006/x").unwrap(), "https://[::1]:6006/x");
        for wrong in [
            "http://me:secret@host/",
            "ftp://secret",
            "http://",
            "secret",
            "http://a secret",
        ] {
            let refused = api(wrong).expect_err(wrong);
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.message.starts_with("--api: "), "{wrong}");
            assert!(!refused.message.contains("secret"), "{wrong}");
        }
        assert!(url("--ws", "http://host", ["ws", "wss"]).is_err());
    }

    #[test]
    fn a_password_is_the_line_of_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        for (held, password) in [
            ("pw-in-a-file\r\n", "pw-in-a-file"),
            (" a b", " a b"),
            ("a\n\n", "a\n"),
        ] {
            fs::write(&file, held).unwrap();
            let secret = Secret::password(Some(&file), "NONE").unwrap();
            assert_eq!(secret.expose(), password.as_bytes());
            assert_eq!(format!("{secret:?}"), "Secret");
        }
        assert_eq!(secret::redact("not pw-in-a-file"), "not ***");
        fs::write(&file, "\n").unwrap();
        let missing = folder.path().join("missing");
        for file in [Some(&*file), Some(&*missing), None] {
            let refused = Secret::password(file, "NO_SUCH_VARIABLE").unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
        }
    }
}
