use crate::Server;

fn refused(server: &Server, code: i32, words: &[&str]) {
    let ran = server.mbs_hashes().code(code);
    ran.one_line(words);
    assert_eq!(ran.of_type("known_hash").len(), 0, "{}", ran.report());
    assert!(
        !ran.stdout().contains("\"complete\":true"),
        "{}",
        ran.report()
    );
    let ran = server
        .work
        .tool("mbs-stats")
        .env("MBS_DB", server.db())
        .code(code);
    ran.one_line(words);
    assert!(
        !ran.stdout().contains("\"complete\":true"),
        "{}",
        ran.report()
    );
}

#[test]
fn rows_that_row_level_security_hides_are_an_error_and_never_zero_rows() {
    let server = Server::own();
    server.add(1..=40);
    server.sql(
        "grant select on ebook to reader; alter table source enable row level security;
         alter table ebook enable row level security",
    );
    refused(&server, 255, &["row-level security policy for table"]);
    // Some of them is no better than none.
    server.sql(
        "create policy a on source for select to reader using (id < 7);
         create policy b on ebook for select to reader using (false)",
    );
    refused(&server, 255, &["row-level security policy for table"]);
    // Nor does the role's own setting change that.
    server.sql("alter role reader set row_security = on");
    refused(&server, 255, &["row-level security policy for table"]);
    server.sql("alter role reader bypassrls");
    assert_eq!(server.mbs_hashes().ok().of_type("known_hash").len(), 40);
}

#[test]
fn rights_to_some_columns_only_are_an_error() {
    let server = Server::start();
    server.add(1..=4);
    server.sql("revoke select on source from reader; grant select (id, hash) on source to reader");
    server
        .mbs_hashes()
        .code(255)
        .one_line(&["read: permission denied for table source"]);
    server.sql("revoke usage on schema public from public");
    server
        .mbs_hashes()
        .code(2)
        .one_line(&["connect: this role may not use the schema public"]);
}

#[test]
fn an_empty_table_of_the_same_name_does_not_stand_in_for_the_server_s() {
    let server = Server::start();
    server.add(1..=4);
    let rows = |server: &Server| server.mbs_hashes().ok().of_type("known_hash").len();
    server.sql(
        "create schema reader; grant usage on schema reader to reader;
         create table reader.source (like public.source);
         grant select on reader.source to reader",
    );
    assert_eq!(rows(&server), 4);
    server.sql(
        "drop table reader.source; create view reader.source as select * from public.source where id < 2;
         create table reader.ebook (like public.ebook); create table reader.format (like public.format);
         grant select on all tables in schema reader to reader",
    );
    assert_eq!(rows(&server), 4);
    server.sql(
        "drop view reader.source; create table reader.source (like public.source);
         grant select on all tables in schema reader to reader",
    );
    refused(&server, 2, &["the schemas public, reader all have"]);
    let chosen = format!("{} options=-csearch_path=public", server.db());
    let ran = server.mbs_hashes().env("MBS_DB", chosen).ok();
    assert_eq!(ran.of_type("known_hash").len(), 4);
    // A temporary table comes before all others, and in a pool it may be another client's.
    server.sql(&format!(
        "drop schema reader cascade; grant temporary on database {} to reader",
        server.database.name()
    ));
    let mut client = server.client();
    client
        .batch_execute("create temporary table source (like public.source)")
        .unwrap();
    assert_eq!(rows(&server), 4);
}

#[test]
fn tables_that_may_hide_rows_are_named() {
    let server = Server::start();
    server.add(1..=4);
    server.sql(
        "alter table source rename to all_of_them;
         create view source as select * from all_of_them where false;
         grant select on source, ebook to reader",
    );
    refused(&server, 2, &["public.source is a view"]);
    server.sql(
        "drop view source; create table source (like all_of_them) partition by range (id);
         grant select on source to reader",
    );
    refused(&server, 2, &["public.source is a table in parts"]);
    server.sql("drop table source; create table source (like all_of_them); create table child () inherits (source)");
    refused(&server, 2, &["public.source is a table in parts"]);
    server.sql(
        "drop table source cascade; create extension file_fdw; create server files foreign data wrapper file_fdw;
         create foreign table source (id bigint) server files options (filename '/dev/null')",
    );
    refused(&server, 2, &["public.source is a foreign table"]);
}
