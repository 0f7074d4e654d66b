use harness::{Pooler, cluster::Options};

use crate::{Server, ids};

/// One backend, so that every client gets the session that another one had before.
const ONE: &[&str] = &["default_pool_size = 1", "max_client_conn = 50"];

fn server(rows: i64) -> Server {
    let server = Server::with(&Options {
        conf: vec!["log_statement = 'all'".into()],
        ..Options::default()
    });
    server.add(1..=rows);
    server.sql(
        "create role web login; grant all on all tables in schema public to web, reader;
         grant all on all sequences in schema public to web;
         select setval('source_id_seq', 100000)",
    );
    server
}

fn url(pooler: &Pooler) -> String {
    pooler.url("web", "ebooks")
}

/// The web server: whatever it does through the same pool must go on as before.
fn assert_the_web_server_can_work(pooler: &Pooler) {
    let mut web = postgres::Client::connect(&url(pooler), postgres::NoTls).unwrap();
    let rows = web
        .simple_query(
            "select name, setting from pg_settings where source = 'session'
             and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')",
        )
        .unwrap();
    let set: Vec<String> = rows
        .into_iter()
        .filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(format!("{:?}", row.get(0))),
            _ => None,
        })
        .collect();
    assert_eq!(set, Vec::<String>::new());
    let count = |sql: &str, web: &mut postgres::Client| match &web.simple_query(sql).unwrap()[..] {
        [_, postgres::SimpleQueryMessage::Row(row), ..] => row.get(0).unwrap().to_string(),
        other => panic!("{other:?}"),
    };
    for left in [
        "select count(*) from pg_prepared_statements where name <> ''",
        "select count(*) from pg_cursors where is_holdable",
        "select count(*) from pg_listening_channels()",
        "select count(*) from pg_class where relpersistence = 't'",
        "select count(*) from pg_locks where locktype = 'advisory'",
    ] {
        assert_eq!(count(left, &mut web), "0", "{left}");
    }
    web.simple_query(crate::NEXT).unwrap();
}

#[test]
fn nothing_is_left_behind_in_a_pool_that_the_web_server_shares() {
    let server = server(2000);
    let pooler = Pooler::start(server.database.server(), "transaction", ONE);
    for round in 0..2 {
        let ran = server
            .work
            .tool("mbs-hashes")
            .args(["--db", &url(&pooler)])
            .ok();
        assert_eq!(ids(&ran.records()).len(), 2000 + round, "{}", ran.report());
        assert_the_web_server_can_work(&pooler);
    }
    server
        .work
        .tool("mbs-stats")
        .args(["--db", &url(&pooler)])
        .ok();
    assert_the_web_server_can_work(&pooler);
    let log =
        std::fs::read_to_string(server.database.server().socket_dir().join("server.log")).unwrap();
    let settings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("SET ") || line.contains("set_config"))
        .flat_map(|line| line.split(';'))
        .filter(|part| {
            let part = part.trim().to_uppercase();
            // What the pooler itself sets is what each of its clients brought along.
            part.starts_with("SET ")
                && !part.starts_with("SET LOCAL")
                && !part.contains("APPLICATION_NAME")
        })
        .collect();
    assert_eq!(settings, Vec::<&str>::new());
}

#[test]
fn a_failure_in_the_middle_leaves_nothing_behind_either() {
    let server = server(10);
    let pooler = Pooler::start(server.database.server(), "transaction", ONE);
    server.sql("revoke select on format from web");
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url(&pooler)])
        .code(255)
        .one_line(&["read: permission denied for table format"]);
    server.sql("grant select on format to web; revoke select on source from web");
    server
        .work
        .tool("mbs-stats")
        .args(["--db", &url(&pooler)])
        .code(1);
    server.sql("grant select on source to web");
    assert_the_web_server_can_work(&pooler);
    // Whose reader ends it early.
    server.add(11..=60_000);
    let shell = "mbs-hashes --db \"$URL\" | head -1 >/dev/null";
    server
        .work
        .shell(shell)
        .env("URL", url(&pooler))
        .env("PATH", path())
        .ok();
    assert_the_web_server_can_work(&pooler);
}

fn path() -> String {
    let tools = std::path::Path::new(env!("CARGO_BIN_EXE_mbs-hashes"));
    format!("{}:/usr/bin:/bin", tools.parent().unwrap().display())
}

#[test]
fn a_follower_sees_late_rows_through_a_pool() {
    let server = server(5);
    let pooler = Pooler::start(
        server.database.server(),
        "transaction",
        &["default_pool_size = 3"],
    );
    let mut follower = crate::follow::Follower::start(
        server.work.tool("mbs-hashes").args(["--db", &url(&pooler)]),
    );
    follower.until("caught_up");
    let (mut late, mut client) = (server.client(), server.client());
    let mut open = late.transaction().unwrap();
    open.batch_execute(crate::NEXT).unwrap();
    client.batch_execute(crate::NEXT).unwrap();
    follower.until_row(100_002);
    follower.looks_again(&mut client);
    open.commit().unwrap();
    follower.until_row(100_001);
    crate::follow::assert_each_once(&server, &follower.end());
}

#[test]
fn a_pool_by_session_serves_and_one_by_statement_is_told_of() {
    let server = server(3);
    let session = Pooler::start(server.database.server(), "session", ONE);
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url(&session)])
        .ok();
    assert_the_web_server_can_work(&session);
    let statement = Pooler::start(server.database.server(), "statement", ONE);
    let ran = server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url(&statement)])
        .code(255);
    ran.one_line(&["statement pooling mode"]);
    assert_the_web_server_can_work(&statement);
}
