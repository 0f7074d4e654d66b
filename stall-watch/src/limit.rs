//! How people write a length of time.

use std::time::Duration;

/// Reads `10s`, `1m30s`, `0.1s`; a bare number is seconds. At least a millisecond.
///
/// # Errors
/// It is none; the text says how to write one.
pub fn duration(text: &str) -> Result<Duration, String> {
    let plain = text.parse::<f64>().ok();
    let parsed = match plain {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok()),
    };
    parsed
        .filter(|duration| *duration >= Duration::from_millis(1))
        .ok_or_else(|| "write a time as 10s, 1m30s or 0.1s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("10s").unwrap(), Duration::from_secs(10));
        assert_eq!(duration("0.1s").unwrap(), Duration::from_millis(100));
        assert_eq!(duration("1.5").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        for text in ["", "0", "-1", "x", "1 parsec", "nan", "inf"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
