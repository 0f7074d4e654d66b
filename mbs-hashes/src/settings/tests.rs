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
        assert_eq!(password, Some(Secret(b"hush".to_vec())));
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
    ] {
        let said = resolve(Some(text), &[]).unwrap_err();
        assert!(said.contains(word), "{said}");
    }
}
