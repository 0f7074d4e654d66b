use super::*;

fn resolve(flag: Option<&str>, vars: &[(&str, &str)]) -> Result<Settings, String> {
    let vars = [vars, &[("PGPASSFILE", "/nonexistent")]].concat();
    let env = |name: &str| {
        vars.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_string())
    };
    Settings::resolve(flag, env).map_err(|fatal| {
        assert_eq!(fatal.exit, Exit::Usage);
        fatal.message
    })
}

#[test]
fn flag_beats_environment_beats_default() {
    let vars = [
        ("MBS_DB", "host=m"),
        ("PGHOST", "p"),
        ("PGPORT", "7"),
        ("PGUSER", "u"),
    ];
    assert_eq!(resolve(Some("host=f"), &vars).unwrap().to_string(), "f:7/u");
    assert_eq!(resolve(None, &vars).unwrap().to_string(), "m:7/u");
    assert_eq!(resolve(None, &vars[1..]).unwrap().to_string(), "p:7/u");
    let bare = resolve(None, &[("PGUSER", "u")]).unwrap();
    assert_eq!(bare.to_string(), "/var/run/postgresql:5432/u");
    assert!(bare.endpoints[0].is_socket());
    let by_account = resolve(None, &[]).unwrap();
    assert_eq!(by_account.dbname, by_account.user);
}

#[test]
fn several_hosts_keep_their_ports() {
    let settings = resolve(Some("postgresql://u@a:1,b,[::1]:3/d"), &[]).unwrap();
    assert_eq!(settings.to_string(), "a:1,b:5432,::1:3/d");
    let one_port = resolve(Some("host=a,b port=9 user=u"), &[]).unwrap();
    assert_eq!(one_port.to_string(), "a:9,b:9/u");
}

#[test]
fn a_password_may_come_from_the_environment_only() {
    for url in [
        "postgresql://u:hush@h/d",
        "postgresql://h?password=hush",
        "password=hush",
    ] {
        let said = resolve(Some(url), &[]).unwrap_err();
        assert!(said.contains(".pgpass") && !said.contains("hush"), "{said}");
        let settings = resolve(None, &[("MBS_DB", url)]).unwrap();
        let password = settings.password(&settings.endpoints[0]);
        assert_eq!(password, Some(Secret::new("hush")));
        assert!(!format!("{settings:?} {settings}").contains("hush"));
    }
}

#[test]
fn nonsense_is_told() {
    for (text, word) in [
        ("port=x", "port"),
        ("host=a,b port=1,2,3", "number"),
        ("hostaddr=h", "hostaddr"),
        ("sslmode=perhaps", "sslmode"),
        ("connect_timeout=soon", "connect_timeout"),
        ("sslkey=x", "sslkey"),
        (
            "sslmod=verify-full",
            "sslmod is no setting that libpq knows",
        ),
        ("postgresql://h/d?sslmod=verify-full", "sslmod"),
        ("postgresql://h/d?ssl=false", "ssl is no setting"),
        ("requiressl=1", "requiressl is not supported"),
        ("service=books", "service is not supported"),
        ("require_auth=scram-sha-256", "require_auth"),
        (
            "gssencmode=require",
            "gssencmode is not supported but as disable, prefer",
        ),
        ("sslnegotiation=direct", "sslnegotiation"),
        (
            "ssl_min_protocol_version=TLSv1.3",
            "ssl_min_protocol_version",
        ),
        ("load_balance_hosts=random", "load_balance_hosts"),
        ("replication=database", "replication"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("channel_binding=always", "channel_binding"),
        ("target_session_attrs=master", "target_session_attrs"),
        ("keepalives_idle=x", "keepalives_idle"),
        ("sslrootcert=system sslmode=require", "verify-full"),
        ("host=@abstract", "socket"),
    ] {
        let said = resolve(Some(text), &[]).unwrap_err();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn what_we_do_anyway_may_be_said() {
    let text = "gssencmode=prefer sslnegotiation=postgres sslsni=1 sslcompression=0 sslcertmode=allow \
        ssl_min_protocol_version=TLSv1.2 load_balance_hosts=disable replication=0 client_encoding=UTF8 \
        keepalives=1 keepalives_idle=5 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=9000 \
        channel_binding=require target_session_attrs=read-write sslkey='' fallback_application_name=x";
    let settings = resolve(Some(text), &[("PGUSER", "u")]).unwrap();
    assert_eq!(settings.attrs, Attrs::ReadWrite);
    assert_eq!(settings.channel_binding, ChannelBinding::Require);
    assert_eq!(settings.keepalives_count, Some(3));
    assert_eq!(settings.tcp_user_timeout, Some(Duration::from_secs(9)));
    assert_eq!(settings.application_name.as_deref(), Some("x"));
    let settings = resolve(Some("sslrootcert=system"), &[("PGUSER", "u")]).unwrap();
    assert_eq!(
        (settings.mode, settings.roots),
        (Mode::VerifyFull, Roots::System)
    );
}

#[test]
fn the_environment_is_heeded_or_refused_as_well() {
    for (name, value) in [
        ("PGSERVICE", "x"),
        ("PGREQUIREAUTH", "none"),
        ("PGSSLCERT", "x"),
        ("PGGSSENCMODE", "require"),
        ("PGTARGETSESSIONATTRS", "x"),
        ("PGCHANNELBINDING", "x"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGREQUIREPEER", "postgres"),
    ] {
        assert!(resolve(Some("host=h"), &[(name, value)]).is_err(), "{name}");
    }
    // What the string says empty is the default, not the environment's.
    let vars = [("PGHOST", "p"), ("PGUSER", "u"), ("PGPORT", "7")];
    let settings = resolve(Some("host='' port=''"), &vars).unwrap();
    assert_eq!(settings.to_string(), "/var/run/postgresql:5432/u");
    let settings = resolve(Some("postgresql:///d"), &vars).unwrap();
    assert_eq!(settings.to_string(), "p:7/d");
}
