//! Durations as people write them on a command line.

use std::time::Duration;

/// Reads `10s`, `1m30s`, `500ms`; a bare number is seconds.
///
/// # Errors
/// One line of reason: not a duration, or none above zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok()),
    };
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "write a duration as 10s, 1m30s or 500ms".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("10s").unwrap(), Duration::from_secs(10));
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1m 30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("50ms").unwrap(), Duration::from_millis(50));
        for text in ["", "0", "0s", "-1s", "s", "ten"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
