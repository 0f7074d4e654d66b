use std::{fs, os::unix::fs::PermissionsExt};

use harness::cluster::{Auth, Options};

use crate::Server;

fn asking_for_passwords() -> Server {
    let server = Server::with(&Options {
        auth: Auth::Scram,
        ..Options::default()
    });
    server.add(1..=2);
    server
}

fn url(server: &Server) -> String {
    format!(
        "postgresql://reader@127.0.0.1:{}/ebooks",
        server.database.server().port()
    )
}

#[test]
fn libpq_s_environment_leads_to_the_database() {
    let server = asking_for_passwords();
    let port = server.database.server().port().to_string();
    let run = || {
        server
            .work
            .tool("mbs-hashes")
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", &port)
            .env("PGDATABASE", "ebooks")
            .env("PGUSER", "reader")
            .env("PGPASSWORD", "pa:ss")
    };
    assert_eq!(run().ok().records().len(), 3);
    run()
        .env("PGPASSWORD", "wrong")
        .code(255)
        .one_line(&["password authentication failed for user \"reader\""]);
    run()
        .env("PGUSER", "nobody")
        .code(255)
        .one_line(&["\"nobody\""]);
    run()
        .env("PGDATABASE", "nosuch")
        .code(255)
        .one_line(&["/nosuch: connect: database \"nosuch\" does not exist"]);
    run().env("PGPORT", "x").code(2).one_line(&["port"]);
    run()
        .env("PGSERVICE", "x")
        .code(2)
        .one_line(&["service is not supported"]);
    // The flag is above the variables, and MBS_DB between them.
    assert_eq!(
        run()
            .env("PGDATABASE", "nosuch")
            .env("MBS_DB", "dbname=ebooks")
            .ok()
            .records()
            .len(),
        3
    );
    run()
        .env("MBS_DB", "dbname=ebooks")
        .args(["--db", "nosuch"])
        .code(255)
        .one_line(&["/nosuch"]);
    // A folder is a Unix socket, which trusts here.
    let folder = server.database.server().socket_dir();
    assert_eq!(
        run()
            .env("PGHOST", folder)
            .env("PGPASSWORD", "")
            .ok()
            .records()
            .len(),
        3
    );
}

#[test]
fn without_any_setting_the_account_s_own_database_is_asked_for() {
    let server = asking_for_passwords();
    let account = server.work.command("id").arg("-un").ok().stdout();
    let ran = server
        .work
        .tool("mbs-hashes")
        .env("PGHOST", server.database.server().socket_dir())
        .env("PGPORT", server.database.server().port().to_string())
        .code(255);
    ran.one_line(&[&format!("/{}: connect: ", account.trim()), "does not exist"]);
}

#[test]
fn the_password_file_is_read_as_libpq_reads_it() {
    let server = asking_for_passwords();
    let port = server.database.server().port();
    let home = server.work.join("home");
    fs::create_dir(&home).unwrap();
    let file = server.work.write(
        "home/.pgpass",
        format!("# a comment\n127.0.0.1:{port}:other:*:wrong\n127.0.0.1:{port}:ebooks:reader:pa\\:ss\n*:*:*:*:wrong\n"),
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = || {
        server
            .work
            .tool("mbs-hashes")
            .args(["--db", &url(&server)])
            .env("HOME", &home)
    };
    let ran = run().ok();
    assert_eq!((ran.records().len(), ran.stderr().as_str()), (3, ""));
    // psql and we agree on what the file means.
    let psql = server
        .work
        .command("psql")
        .args(["-w", "-Atc", "select count(*) from source", &url(&server)])
        .env("HOME", &home)
        .ok();
    assert_eq!(psql.stdout().trim(), "2");
    let elsewhere = server.work.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    assert_eq!(run().env("PGPASSFILE", &elsewhere).ok().records().len(), 3);
    let ran = run().code(255);
    ran.one_line(&["the server asks for a password and none is given"]);
}

#[test]
fn a_password_file_that_others_may_read_is_not_used() {
    let server = asking_for_passwords();
    let file = server.work.write("pass", "*:*:*:*:pa\\:ss\n");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ran = server
            .work
            .tool("mbs-hashes")
            .args(["--db", &url(&server)])
            .env("PGPASSFILE", &file)
            .code(255);
        assert!(
            ran.stderr().contains("may be read by others"),
            "{}",
            ran.report()
        );
        assert!(
            ran.stderr()
                .contains("asks for a password and none is given"),
            "{}",
            ran.report()
        );
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url(&server)])
        .env("PGPASSFILE", &file)
        .ok();
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url(&server)])
        .env("PGPASSFILE", server.work.path())
        .code(255);
    assert!(
        ran.stderr().contains("is not a plain file"),
        "{}",
        ran.report()
    );
}

#[test]
fn bug_f_a_password_on_the_command_line_is_refused() {
    let server = asking_for_passwords();
    let with_password = url(&server).replace("reader@", "reader:pa%3Ass@");
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--db", &with_password])
        .code(2);
    ran.one_line(&["--db", "command line", ".pgpass"]);
    assert!(!ran.stderr().contains("pa%3Ass") && !ran.stderr().contains("pa:ss"));
    assert_eq!(ran.stdout(), "");
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--db", "host=h password=hush"])
        .code(2);
    assert!(!ran.stderr().contains("hush"));
    // The environment is not seen by other accounts.
    assert_eq!(
        server
            .work
            .tool("mbs-hashes")
            .env("MBS_DB", &with_password)
            .ok()
            .records()
            .len(),
        3
    );
}

#[test]
fn the_next_host_is_tried_where_one_does_not_answer() {
    let server = Server::own();
    server.add(1..=1);
    let port = server.database.server().port();
    let url = format!("postgresql://reader@127.0.0.1:1,127.0.0.1:{port}/ebooks");
    let ran = server.work.tool("mbs-hashes").args(["--db", &url]).ok();
    assert_eq!((ran.records().len(), ran.stderr().as_str()), (2, ""));
    let by_address =
        format!("host=db.invalid hostaddr=127.0.0.1 port={port} user=reader dbname=ebooks");
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &by_address])
        .ok();
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--db", "postgresql://u@db.invalid/d"])
        .code(255);
    assert!(
        ran.stderr().contains("db.invalid:5432/d: connect: "),
        "{}",
        ran.report()
    );
}

#[test]
fn another_database_is_a_mistake_in_the_settings() {
    let server = Server::own();
    let ran = server
        .mbs_hashes()
        .args(["--db", &format!("{} dbname=postgres", server.db())])
        .code(2);
    ran.one_line(&[
        "/postgres: connect: no tables source, ebook and format: is this MyBookshelf2's database?",
    ]);
}

/// psql and we come to the same database, or both to none.
#[test]
fn connection_strings_mean_what_they_mean_to_psql() {
    let server = Server::own();
    server.add(1..=1);
    server.sql("create role \"a b\" login; grant select on source, format to \"a b\"");
    let port = server.database.server().port();
    let folder = server.database.server().socket_dir().display().to_string();
    let escaped = folder.replace('/', "%2F");
    let at = format!("127.0.0.1:{port}");
    for text in [
        format!("postgresql://reader@{at}/ebooks"),
        format!("postgres://reader@{at}/ebooks?"),
        format!("postgresql://{at}/ebooks?user=reader"),
        format!("postgresql://a%20b@{at}/ebooks"),
        format!("postgresql://reader@{escaped}:{port}/ebooks"),
        format!("postgresql:///ebooks?host={folder}&port={port}&user=reader"),
        format!("postgresql://reader@/ebooks?host={folder}&port={port}"),
        format!("postgresql://reader@:{port}/ebooks?hostaddr=127.0.0.1"),
        format!("postgresql://reader@localhost:%3{port}/ebooks"),
        format!("postgresql://reader@127.0.0.1:1,{at}/ebooks"),
        format!("postgresql://reader@127.0.0.1,[::1]/ebooks?port={port}"),
        format!("postgresql://reader@{at},{at}/ebooks?target_session_attrs=read-write"),
        format!("postgresql://reader@{at},{at}/ebooks?target_session_attrs=standby"),
        format!("postgresql://reader@{at}/ebooks?target_session_attrs=prefer-standby"),
        format!("postgresql://reader@{at}/ebooks?target_session_attrs=read-only"),
        format!(
            "postgresql://reader@{at}/ebooks?target_session_attrs=read-only&options=-cdefault_transaction_read_only%3Don"
        ),
        format!("postgresql://reader@{at}/ebooks?sslmode=prefer&gssencmode=disable"),
        format!("postgresql://reader@{at}/ebooks?sslmod=prefer"),
        format!("postgresql://reader@{at}/ebooks?connect_timeout=5=5"),
        format!("postgresql://reader@{at}/ebooks?channel_binding=require"),
        format!("postgresql://reader@{at}/ebooks?application_name"),
        format!("postgresql://reader@[]:{port}/ebooks"),
        "postgresql://reader@[127.0.0.1/ebooks".to_string(),
        "postgresql://reader@127.0.0.1:x/ebooks".to_string(),
        format!("host=127.0.0.1 port={port} user=reader dbname=ebooks"),
        format!("host = '127.0.0.1'  port= {port} user='a b' dbname =ebooks"),
        format!("host=127.0.0.1 port={port} user=a\\ b dbname=ebooks"),
        format!("host=127.0.0.1 port={port} user='reader dbname=ebooks"),
        format!("host=127.0.0.1 port={port} user=reader dbname=ebooks dbname=nosuch"),
        format!("host=db.invalid hostaddr=127.0.0.1 port={port} user=reader dbname=ebooks"),
        format!("host=127.0.0.1,127.0.0.1 port=1,{port} user=reader dbname=ebooks"),
        format!("host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,{port} user=reader dbname=ebooks"),
        format!("host={folder} port={port} user=reader dbname=ebooks sslmode=require"),
        format!("host=127.0.0.1 port={port} user=reader dbname=ebooks sslmode=require"),
        format!(
            "host=127.0.0.1 port={port} user=reader dbname=ebooks keepalives=0 tcp_user_timeout=0"
        ),
        format!("host=127.0.0.1 port={port} user=reader dbname=ebooks keepalives_idle=soon"),
        format!("host=127.0.0.1 port={port} user=reader dbname"),
        format!("host=127.0.0.1 port={port} user=reader dbname=ebooks nonsense=1"),
    ] {
        let psql = server.work.command("psql").env("HOME", server.work.path());
        let psql = psql
            .args(["-w", "-XAtc", "select count(*) from source", &text])
            .run();
        let ours = server
            .work
            .tool("mbs-hashes")
            .env("HOME", server.work.path());
        let ours = ours.args(["--db-timeout", "3s", "--db", &text]).run();
        let [theirs, ours_went] = [&psql, &ours].map(|ran| ran.status.success());
        assert_eq!(
            theirs,
            ours_went,
            "{text}\n{}\n{}",
            psql.report(),
            ours.report()
        );
    }
}
