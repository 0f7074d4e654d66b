//! Every setting that libpq's manual names, and what becomes of it here: it is heeded, or it says what we
//! do anyway, or it is refused. What libpq does not know is refused, too: to leave out `sslmod=verify-full`
//! in silence would be to connect unchecked.

use crate::conninfo::Params;

/// What a setting may say.
#[derive(Clone, Copy, Debug)]
enum May {
    /// It is read where the settings are made.
    Anything,
    /// Only what we do anyway.
    Only(&'static [&'static str]),
    /// Nothing: we cannot do it.
    Nothing,
}
use May::{Anything, Nothing, Only};

/// Name, name in the environment, what it may say.
const KEYS: &[(&str, &str, May)] = &[
    ("host", "PGHOST", Anything),
    ("hostaddr", "PGHOSTADDR", Anything),
    ("port", "PGPORT", Anything),
    ("dbname", "PGDATABASE", Anything),
    ("user", "PGUSER", Anything),
    ("password", "PGPASSWORD", Anything),
    ("passfile", "PGPASSFILE", Anything),
    ("sslmode", "PGSSLMODE", Anything),
    ("sslrootcert", "PGSSLROOTCERT", Anything),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Anything),
    ("application_name", "PGAPPNAME", Anything),
    ("fallback_application_name", "", Anything),
    ("options", "PGOPTIONS", Anything),
    ("channel_binding", "PGCHANNELBINDING", Anything),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Anything),
    ("keepalives", "", Anything),
    ("keepalives_idle", "", Anything),
    ("keepalives_interval", "", Anything),
    ("keepalives_count", "", Anything),
    ("tcp_user_timeout", "", Anything),
    (
        "client_encoding",
        "PGCLIENTENCODING",
        Only(&["auto", "UTF8", "utf8", "UTF-8", "utf-8"]),
    ),
    ("gssencmode", "PGGSSENCMODE", Only(&["disable", "prefer"])),
    ("gssdelegation", "PGGSSDELEGATION", Only(&["0"])),
    ("sslcompression", "PGSSLCOMPRESSION", Only(&["0"])),
    ("sslnegotiation", "PGSSLNEGOTIATION", Only(&["postgres"])),
    ("sslsni", "PGSSLSNI", Only(&["1"])),
    ("sslcertmode", "PGSSLCERTMODE", Only(&["allow", "disable"])),
    (
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        Only(&["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ),
    (
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        Only(&["TLSv1.3"]),
    ),
    (
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        Only(&["3.0"]),
    ),
    (
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        Only(&["3.0", "latest"]),
    ),
    (
        "load_balance_hosts",
        "PGLOADBALANCEHOSTS",
        Only(&["disable"]),
    ),
    ("replication", "", Only(&["false", "off", "no", "0"])),
    ("requiressl", "PGREQUIRESSL", Nothing),
    ("sslcert", "PGSSLCERT", Nothing),
    ("sslkey", "PGSSLKEY", Nothing),
    ("sslpassword", "", Nothing),
    ("sslcrl", "PGSSLCRL", Nothing),
    ("sslcrldir", "PGSSLCRLDIR", Nothing),
    ("sslkeylogfile", "", Nothing),
    ("requirepeer", "PGREQUIREPEER", Nothing),
    ("require_auth", "PGREQUIREAUTH", Nothing),
    ("krbsrvname", "PGKRBSRVNAME", Nothing),
    ("gsslib", "PGGSSLIB", Nothing),
    ("service", "PGSERVICE", Nothing),
    ("servicefile", "", Nothing),
    ("scram_client_key", "", Nothing),
    ("scram_server_key", "", Nothing),
    ("oauth_issuer", "", Nothing),
    ("oauth_client_id", "", Nothing),
    ("oauth_client_secret", "", Nothing),
    ("oauth_scope", "", Nothing),
];

/// Adds what the environment says where the connection string says nothing.
pub(super) fn complete(params: &mut Params, env: impl Fn(&str) -> Option<String>) {
    for (key, name, _) in KEYS.iter().filter(|(_, name, _)| !name.is_empty()) {
        if let Some(value) = env(name) {
            params.entry((*key).into()).or_insert(value);
        }
    }
}

/// Refuses what we do not heed.
///
/// # Errors
/// One line of reason, without a value: it may be a secret.
pub(super) fn check(params: &Params) -> Result<(), String> {
    for (key, value) in params {
        match KEYS.iter().find(|(known, _, _)| known == key) {
            Some((_, _, Anything)) => {}
            _ if key.bytes().any(|c| !matches!(c, b'a'..=b'z' | b'_')) => {
                return Err("one of the names is none that libpq knows".into());
            }
            None => return Err(format!("{key} is no setting that libpq knows")),
            Some(_) if value.is_empty() => {}
            Some((_, _, Only(values))) if values.contains(&value.as_str()) => {}
            Some((_, _, Only(values))) => {
                return Err(format!(
                    "{key} is not supported but as {}",
                    values.join(", ")
                ));
            }
            Some((_, _, Nothing)) => return Err(format!("{key} is not supported")),
        }
    }
    Ok(())
}
