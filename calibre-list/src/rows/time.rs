//! Times: Calibre writes `2024-05-06 07:08:09.123456+00:00`, records say it in RFC 3339.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// A time of the database in RFC 3339, UTC; `None` when it is no time. Without an offset it is UTC.
pub(crate) fn rfc3339(text: &str) -> Option<String> {
    if let Some(plain) = utc(text) {
        return Some(plain);
    }
    let text = text.trim();
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => text
            .parse::<DateTime>()
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()?
            .timestamp(),
    };
    // RFC 3339 has years of four digits.
    let shown = at.to_string();
    shown
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(shown)
}

/// Is this Calibre's way to say that no date is known? It uses the year 101; time zones may turn
/// that into the last day of 100.
pub(crate) fn is_unknown(time: &str) -> bool {
    time.get(..4).is_none_or(|year| year <= "0101")
}

/// The common form only changes its separator and loses its zeros: a million times quicker is
/// worth it.
fn utc(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 25
        && bytes[..19]
            .iter()
            .enumerate()
            .all(|(place, byte)| match place {
                4 | 7 => *byte == b'-',
                10 => *byte == b' ' || *byte == b'T',
                13 | 16 => *byte == b':',
                _ => byte.is_ascii_digit(),
            });
    let middle = text.strip_suffix("+00:00").filter(|_| shape)?.get(19..)?;
    let number = |range: std::ops::Range<usize>| text[range].parse::<u8>().unwrap_or(u8::MAX);
    // Days beyond the 28th depend on the month, and leap seconds on the day: jiff knows.
    let valid = (1..=12).contains(&number(5..7))
        && (1..=28).contains(&number(8..10))
        && number(11..13) < 24
        && number(14..16) < 60
        && number(17..19) < 60;
    let fraction = match middle.strip_prefix('.') {
        _ if middle.is_empty() => "",
        Some(digits)
            if (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            middle.trim_end_matches('0').trim_end_matches('.')
        }
        _ => return None,
    };
    valid.then(|| [&text[..10], "T", &text[11..19], fraction, "Z"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_equals_the_thorough_one() {
        for text in [
            "2024-05-06 07:08:09.123456+00:00",
            "2024-05-06T07:08:09+00:00",
            "2024-05-06 07:08:09.100000+00:00",
            "2024-05-06 07:08:09.000000+00:00",
            "0101-01-01 00:00:00+00:00",
            "1999-12-28 23:59:59.000001+00:00",
        ] {
            let thorough = text.parse::<Timestamp>().unwrap().to_string();
            assert_eq!(utc(text).as_deref(), Some(thorough.as_str()), "{text}");
        }
    }

    #[test]
    fn odd_times_are_understood_or_left_out() {
        let known = [
            ("2024-05-06 07:08:09+02:00", "2024-05-06T05:08:09Z"),
            ("2024-02-29 00:00:00+00:00", "2024-02-29T00:00:00Z"),
            ("2024-05-06 07:08:09", "2024-05-06T07:08:09Z"),
            ("2024-05-06", "2024-05-06T00:00:00Z"),
            (" 2024-05-06 07:08:09.5Z ", "2024-05-06T07:08:09.5Z"),
        ];
        for (text, shown) in known {
            assert_eq!(rfc3339(text).as_deref(), Some(shown));
        }
        for text in [
            "",
            "yesterday",
            "2024-13-01 00:00:00+00:00",
            "2023-02-29 00:00:00+00:00",
            "1",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        assert!(is_unknown("0101-01-01T00:00:00Z") && is_unknown("0100-12-31T22:00:00Z"));
        assert!(!is_unknown("0102-01-01T00:00:00Z"));
    }
}
