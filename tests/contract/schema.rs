//! Parts 6 and 10: the database below, which other tools read and write past the API.

use sandbox::Settings;
use serde_json::json;

use crate::client::{Server, sandbox_only};

fn column(server: &Server, sql: &str) -> Vec<String> {
    let rows = server.sandbox.as_ref().unwrap().query(sql);
    rows.into_iter()
        .map(|row| row[0].clone().unwrap_or_default())
        .collect()
}

#[test]
fn indexes_and_constraints_are_no_kinder_than_the_real_ones() {
    let Some(server) = sandbox_only(Settings::default(), "a look into the database") else {
        return;
    };
    let indexes = |table: &str| {
        column(
            &server,
            &format!("select indexname from pg_indexes where tablename = '{table}' order by 1"),
        )
    };
    assert_eq!(indexes("source"), ["ix_source_modified", "source_pkey"]);
    assert_eq!(indexes("upload"), ["ix_upload_modified", "upload_pkey"]);
    assert_eq!(indexes("author"), ["author_pkey", "ix_author_modified"]);
    assert_eq!(
        indexes("series"),
        ["ix_series_modified", "ix_series_title", "series_pkey"]
    );
    let ebook = [
        "ebook_pkey",
        "full_text_search_idx",
        "ix_ebook_modified",
        "ix_ebook_series_id",
        "ix_ebook_title",
    ];
    assert_eq!(indexes("ebook"), ebook);
    let defaults = "select column_name from information_schema.columns
        where column_name in ('created', 'modified') and column_default is not null";
    assert!(column(&server, defaults).is_empty());
    let sizes = "select table_name || '.' || column_name || ' ' || data_type || ' '
            || coalesce(character_maximum_length, 0)
        from information_schema.columns where table_schema = 'public' and table_name = 'source'
        order by ordinal_position";
    let expected = [
        "id bigint 0",
        "version_id integer 0",
        "created timestamp without time zone 0",
        "modified timestamp without time zone 0",
        "ebook_id bigint 0",
        "location character varying 512",
        "load_source character varying 256",
        "format_id bigint 0",
        "size integer 0",
        "hash character varying 128",
        "quality double precision 0",
        "quality_count integer 0",
        "created_by_id bigint 0",
        "modified_by_id bigint 0",
    ];
    assert_eq!(
        column(&server, sizes),
        expected.map(|line| format!("source.{line}"))
    );
    let triggers = "select tgrelid::regclass || '.' || tgname from pg_trigger
        where not tgisinternal order by 1";
    let expected = [
        "author.ebook_ts_update",
        "ebook.ebook_ts_insert",
        "ebook.ebook_ts_update",
        "ebook_authors.ebook_ts_update",
        "series.ebook_ts_update",
    ];
    assert_eq!(column(&server, triggers), expected);
    assert_eq!(column(&server, "select count(*) from synonym"), ["6"]);
    let mime = "select '[' || mime_type || ']' from format where extension = 'prc'";
    assert_eq!(column(&server, mime), ["[application/vnd.palm ]"]);
}

#[test]
fn triggers_keep_the_full_text_of_what_is_written_past_the_api() {
    let Some(server) = sandbox_only(Settings::default(), "a write into the database") else {
        return;
    };
    let body = json!({
        "title": "Orchard", "language": { "id": 2 }, "series": { "title": "Meadow" },
        "authors": [{ "last_name": "Miller", "first_name": "Eve" }],
    });
    let book = server.ebook(body);
    let found =
        |words: &str| server.get(&format!("/api/search/{words}")).ok()["items"][0]["id"] == book.id;
    let sql = |sql: &str| column(&server, sql);
    assert!(found("orchard%20eve%20miller%20meadow"));
    sql("update author set last_name = 'Sawyer'");
    assert!(found("sawyer") && !found("miller"));
    sql("update series set title = 'Forest'");
    assert!(found("forest") && !found("meadow"));
    sql("update ebook set title = 'Cellar'");
    assert!(found("cellar") && !found("orchard"));
    sql("update ebook set series_id = null");
    assert!(found("cellar") && !found("forest"));
    sql("delete from ebook_authors");
    assert!(found("cellar") && !found("sawyer"));
}
