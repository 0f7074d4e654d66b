//! libpq's password file: `hostname:port:database:username:password`, one a line, the first line
//! that fits wins. `*` fits anything, `\:` and `\\` stand for `:` and `\`, `#` starts a comment.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

/// What a password is looked up for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Host name, or folder of the Unix socket.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: &'a str,
    /// Role.
    pub user: &'a str,
}

/// Reads a password file; one that does not exist is empty.
///
/// # Errors
/// One line of reason why libpq would not use it either: it is no plain file, others may read it,
/// or it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    if !about.is_file() {
        return Err(format!("{shown} is not a plain file"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(format!(
            "{shown} may be read by others, so it is not used: chmod 0600 it"
        ));
    }
    fs::read(path).map_err(|error| format!("{shown}: {error}"))
}

/// The password that the file's content holds for this target.
pub fn find(content: &[u8], target: Target<'_>) -> Option<Vec<u8>> {
    let port = target.port.to_string();
    let host = if is_default_socket(target.host) {
        "localhost"
    } else {
        target.host
    };
    content
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty() && line[0] != b'#')
        .find_map(|line| {
            let rest = field(line, host)?;
            let rest = field(rest, &port)?;
            let rest = field(rest, target.database)?;
            field(rest, target.user)
        })
        .map(unescape)
}

/// libpq takes `localhost` for its default socket folder. Debian's is the first, upstream's `/tmp`.
fn is_default_socket(host: &str) -> bool {
    ["/var/run/postgresql", "/run/postgresql", "/tmp"].contains(&host.trim_end_matches('/'))
}

/// What follows the line's first field and its colon, when that field fits `value`.
fn field<'a>(line: &'a [u8], value: &str) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut wanted = std::ffi::OsStr::new(value).as_bytes();
    let mut rest = line;
    loop {
        match (rest, wanted) {
            ([b':', tail @ ..], []) => return Some(tail),
            ([b'\\', c, tail @ ..], [want, more @ ..]) if c == want => {
                (rest, wanted) = (tail, more);
            }
            ([b'\\', ..], _) => return None,
            ([c, tail @ ..], [want, more @ ..]) if c == want => (rest, wanted) = (tail, more),
            _ => return None,
        }
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut password = Vec::with_capacity(text.len());
    let mut rest = text;
    // A fifth field would be a comment: libpq ends the password at the next colon, too.
    while let [b'\\', c, tail @ ..] | [c, tail @ ..] = rest
        && rest[0] != b':'
    {
        password.push(*c);
        rest = tail;
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str, host: &str, user: &str) -> Option<String> {
        let target = Target {
            host,
            port: 5432,
            database: "ebooks",
            user,
        };
        find(content.as_bytes(), target).map(|password| String::from_utf8(password).unwrap())
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let content = "# h:5432:ebooks:u:comment\n\nh:1:ebooks:u:port\nh:5432:other:u:db\n\
                       h:5432:ebooks:v:user\nhh:5432:ebooks:u:host\nh:5432:ebooks:u:right\r\n*:*:*:*:any\n";
        assert_eq!(found(content, "h", "u").unwrap(), "right");
        assert_eq!(found(content, "x", "u").unwrap(), "any");
        assert_eq!(found("h:5432:ebooks:u", "h", "u"), None);
        assert_eq!(found("", "h", "u"), None);
    }

    #[test]
    fn wildcards_and_escapes() {
        assert_eq!(
            found(r"*:*:*:a\:b\\c:p\:q\\r:s", "h", r"a:b\c").unwrap(),
            r"p:q\r"
        );
        assert_eq!(found(r"::1:5432:ebooks:u:x", "::1", "u").unwrap(), "x");
        assert_eq!(found(r"\h:5432:ebooks:u:x", "h", "u").unwrap(), "x");
        assert_eq!(found(r"\\h:5432:ebooks:u:x", "h", "u"), None);
        assert_eq!(found(r"\:\:1:5432:ebooks:u:x", "::1", "u").unwrap(), "x");
        assert_eq!(found(r"*x:5432:ebooks:u:x", "h", "u"), None);
        assert_eq!(found("h:*:*:*:end\\", "h", "u").unwrap(), "end\\");
    }

    #[test]
    fn localhost_is_the_default_socket_too() {
        assert_eq!(
            found("localhost:*:*:*:x", "/var/run/postgresql", "u").unwrap(),
            "x"
        );
        assert_eq!(found("localhost:*:*:*:x", "localhost", "u").unwrap(), "x");
        assert_eq!(found("localhost:*:*:*:x", "/elsewhere", "u"), None);
        assert_eq!(found("/elsewhere:*:*:*:x", "/elsewhere", "u").unwrap(), "x");
    }
}
