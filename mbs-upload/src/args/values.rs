//! The values of flags, as people write them.

use std::time::Duration;

use wire::{Exit, Fatal};

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>().map(|size| size.as_u64())
}

/// A time, in seconds or with its unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = match text.parse::<f64>() {
        Ok(seconds) => jiff::SignedDuration::try_from_secs_f64(seconds),
        Err(_) => text.parse(),
    }
    .map_err(|error| error.to_string())?;
    Duration::try_from(time).map_err(|_| "a time cannot be negative".into())
}

/// A time that limits something: none at all would let nothing pass.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing is done in no time".into()),
        time => Ok(time),
    }
}

/// A URL of one of these schemes. The refused address is not repeated: it may hold the password.
pub(super) fn address<'a>(flag: &str, url: &'a str, schemes: [&str; 2]) -> Result<&'a str, Fatal> {
    let usage = |message: String| Err(Fatal::new(Exit::Usage, message));
    let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return usage(format!(
            "{flag}: begins with neither {} nor {}",
            schemes[0], schemes[1]
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return usage(format!(
            "{flag}: has a user or a password in it: use --user and --password-file"
        ));
    }
    if host.is_empty() || url.contains(char::is_whitespace) {
        return usage(format!("{flag}: is no URL"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        assert_eq!(size("100MiB"), Ok(104_857_600));
        assert_eq!(size("104857600"), Ok(104_857_600));
        assert!(size("many").is_err());
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("100ms"), Ok(Duration::from_millis(100)));
        assert!(time("-1s").is_err() && time("soon").is_err());
        assert!(some_time("0").is_err() && some_time("10m").is_ok());
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let refused =
            address("--api", "http://me:secret@host/", ["http://", "https://"]).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(!refused.message.contains("secret"));
        assert!(address("--ws", "http://host", ["ws://", "wss://"]).is_err());
        assert!(address("--api", "http://[::1]:6006", ["http://", "https://"]).is_ok());
    }
}
