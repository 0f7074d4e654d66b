//! Connection strings in the two forms that libpq takes: `postgresql://user@host:port/db?key=value`
//! and `host=… port=… dbname=…`. A string that is neither is the name of a database.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The settings of a connection string by libpq's names. Lists of hosts and ports are still joined
/// by commas.
pub type Params = BTreeMap<String, String>;

/// Takes a connection string apart.
///
/// # Errors
/// One line of reason, which never repeats the string: it may hold a password.
pub fn parse(text: &str) -> Result<Params, String> {
    let url = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => parse_url(rest),
        None if text.contains("://") => {
            Err("a database URL starts with postgresql:// or postgres://".into())
        }
        None if text.contains('=') => parse_pairs(text),
        None => Ok(Params::from([("dbname".into(), text.into())])),
    }
}

fn parse_url(rest: &str) -> Result<Params, String> {
    let mut params = Params::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = match authority.split_once('@') {
        Some((user, hosts)) => {
            let (user, password) = match user.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (user, None),
            };
            put(&mut params, "user", unescape(user)?);
            if let Some(password) = password {
                put(&mut params, "password", unescape(password)?);
            }
            hosts
        }
        None => authority,
    };
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = split_port(host)?;
        names.push(unescape(name)?);
        ports.push(unescape(port)?);
    }
    put(&mut params, "host", names.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        put(&mut params, "port", ports.join(","));
    }
    put(&mut params, "dbname", unescape(dbname)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or("a URL's parameter has no value")?;
        if value.contains('=') {
            return Err("a URL's parameter has more than one =".into());
        }
        let (key, value) = (unescape(key)?, unescape(value)?);
        match (key.as_str(), value.as_str()) {
            // As JDBC writes it.
            ("ssl", "true") => put(&mut params, "sslmode", "require".into()),
            _ => drop(params.insert(key, value)),
        }
    }
    Ok(params)
}

/// A part of a URL that is empty is not there; a parameter that is empty is.
fn put(params: &mut Params, key: &str, value: String) {
    if !value.is_empty() {
        params.insert(key.into(), value);
    }
}

fn split_port(host: &str) -> Result<(&str, &str), String> {
    match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or("an IPv6 address lacks its ]")?;
            match port.strip_prefix(':') {
                _ if name.is_empty() => Err("an IPv6 address is empty".into()),
                Some(port) => Ok((name, port)),
                None if port.is_empty() => Ok((name, "")),
                None => Err("after ] comes : and the port".into()),
            }
        }
        None => Ok(host.split_once(':').unwrap_or((host, ""))),
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let is_escape = |after: &[u8]| match after.get(..2) {
        Some(digits) => digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00",
        None => false,
    };
    if !text
        .split('%')
        .skip(1)
        .all(|after| is_escape(after.as_bytes()))
    {
        return Err("a % in a URL is followed by two hex digits, not 00".into());
    }
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| "the URL is not UTF-8")?.into_owned())
}

fn parse_pairs(text: &str) -> Result<Params, String> {
    let mut params = Params::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        if key.is_empty() && chars.peek().is_none() {
            return Ok(params);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if key.is_empty() || chars.next() != Some('=') {
            return Err("settings are written as key=value".into());
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        let mut closed = !quoted;
        while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '\\' => value.extend(chars.next()),
                '\'' if quoted => {
                    closed = true;
                    break;
                }
                _ => value.push(c),
            }
        }
        if !closed {
            return Err("a quoted value lacks its closing quote".into());
        }
        params.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(params) => params.iter().map(|(k, v)| format!("{k}={v};")).collect(),
            Err(reason) => format!("error: {reason}"),
        }
    }

    #[test]
    fn urls_as_libpq_reads_them() {
        for (text, want) in [
            ("postgresql://", ""),
            ("postgres://h", "host=h;"),
            (
                "postgresql://u@h:5433/d",
                "dbname=d;host=h;port=5433;user=u;",
            ),
            (
                "postgresql://u:p%40:w@h/d",
                "dbname=d;host=h;password=p@:w;user=u;",
            ),
            (
                "postgresql:///d?host=/run/pg&port=1",
                "dbname=d;host=/run/pg;port=1;",
            ),
            ("postgresql://%2Frun%2Fpg/d", "dbname=d;host=/run/pg;"),
            ("postgresql://[::1]:5/d", "dbname=d;host=::1;port=5;"),
            ("postgresql://a:1,b/d", "dbname=d;host=a,b;port=1,;"),
            (
                "postgresql://h/d?ssl=true",
                "dbname=d;host=h;sslmode=require;",
            ),
            ("postgresql://h?password=x", "host=h;password=x;"),
            ("postgresql://:5433/d", "dbname=d;port=5433;"),
            ("postgresql://h:%35433?user=", "host=h;port=5433;user=;"),
            (
                "postgresql://h/d?options=-c%20geqo%3Doff",
                "dbname=d;host=h;options=-c geqo=off;",
            ),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn pairs_as_libpq_reads_them() {
        for (text, want) in [
            ("host=h port=5", "host=h;port=5;"),
            ("host = 'a b' user='it\\'s' ", "host=a b;user=it's;"),
            ("password=a\\ b", "password=a b;"),
            ("host='' dbname=d", "dbname=d;host=;"),
            ("ebooks", "dbname=ebooks;"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_told_without_repeating_it() {
        for text in [
            "mysql://secret@h",
            "postgresql://h/%zzsecret",
            "postgresql://h/%00",
            "postgresql://[::1/d",
            "postgresql://h?secret",
            "postgresql://h?options=-c geqo=secret",
            "postgresql://[]/secret",
            "host='secret",
            "host=h secret",
            "=secret",
        ] {
            let said = shown(text);
            assert!(
                said.starts_with("error: ") && !said.contains("secret"),
                "{text}: {said}"
            );
        }
    }
}
