//! When a file's way has come to a stand. Pure: events and times are given.

use std::time::Duration;

/// A time as a person says it.
pub fn spell(time: Duration) -> String {
    let (seconds, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    match (seconds, tenths) {
        (0..10, 1..) => format!("{seconds}.{tenths}s"),
        _ => format!(
            "{:#}",
            jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_they_are_given() {
        let spell = |millis| spell(Duration::from_millis(millis));
        assert_eq!(spell(240_000), "4m");
        assert_eq!(spell(1_800_000), "30m");
        assert_eq!(spell(603_400), "10m 3s");
        assert_eq!(spell(1_500), "1.5s");
        assert_eq!(spell(2_000), "2s");
    }
}
