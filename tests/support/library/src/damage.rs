//! Databases that contradict themselves, as after a crash or on a bad disk.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

/// Changes a table while its indexes look away: they keep what they had.
///
/// # Errors
/// There is no such table, or the change is none.
pub fn unseen_by_indexes(database: &Path, table: &str, change: &str) -> Result<()> {
    let sql = |db: &Connection| -> Result<String> {
        let of = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1";
        Ok(db.query_row(of, [table], |row| row.get(0))?)
    };
    let rewrite = |db: &Connection, sql: &str| {
        let name = "UPDATE sqlite_master SET sql = ?2 WHERE type = 'table' AND name = ?1";
        db.execute(name, params![table, sql])
    };
    let db = editable(database)?;
    db.execute_batch(&format!(
        "CREATE TABLE hidden AS SELECT * FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}';
         DELETE FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}'"
    ))?;
    let whole = sql(&db)?;
    rewrite(&db, &without_keys(&whole)?)?;
    drop(db);

    let db = Connection::open(database)?;
    db.execute_batch(change)?;
    drop(db);

    let db = editable(database)?;
    rewrite(&db, &whole)?;
    db.execute_batch("INSERT INTO sqlite_master SELECT * FROM hidden")?;
    drop(db);
    Ok(Connection::open(database)?.execute_batch("DROP TABLE hidden")?)
}

/// Turns an index around, its definition as it was.
///
/// # Errors
/// There is no such index.
pub fn reversed(database: &Path, index: &str, column: &str) -> Result<()> {
    for (from, to) in [
        (column, format!("{column} DESC")),
        (&format!("{column} DESC"), column.into()),
    ] {
        let db = editable(database)?;
        let rename =
            "UPDATE sqlite_master SET sql = replace(sql, '(' || ?2 || ')', '(' || ?3 || ')')
                      WHERE name = ?1";
        db.execute(rename, params![index, from, to])?;
        drop(db);
        if from == column {
            Connection::open(database)?.execute_batch(&format!("REINDEX {index}"))?;
        }
    }
    Ok(())
}

fn editable(database: &Path) -> Result<Connection> {
    let db = Connection::open(database)?;
    db.execute_batch("PRAGMA writable_schema = ON")?;
    Ok(db)
}

/// The definition of a table without its keys, which imply indexes.
fn without_keys(sql: &str) -> Result<String> {
    let mut sql = sql.to_string();
    while let Some(start) = sql.find("UNIQUE") {
        let length = sql[start..].find(')').context("a key without an end")?;
        sql.replace_range(start..=start + length, "CHECK(1)");
    }
    Ok(sql)
}

/// Makes a database anew with its texts in UTF-16, which SQLite allows and hides from who reads text as text.
///
/// # Errors
/// It cannot be read, or the new one not be written.
pub fn to_utf16(database: &Path) -> Result<()> {
    let aside = database.with_extension("utf16");
    let (old, new) = (Connection::open(database)?, Connection::open(&aside)?);
    new.execute_batch("PRAGMA encoding = 'UTF-16le'; BEGIN")?;
    let of = "SELECT type, name, sql FROM sqlite_master
              WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
              ORDER BY type <> 'table'";
    let mut definitions = old.prepare(of)?;
    let definitions = definitions.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
    })?;
    let definitions: Vec<(String, String, String)> = definitions.collect::<Result<_, _>>()?;
    for (kind, name, sql) in definitions {
        new.execute_batch(&sql)?;
        if kind != "table" {
            continue;
        }
        let mut rows = old.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let places = vec!["?"; rows.column_count()].join(",");
        let mut insert = new.prepare(&format!("INSERT INTO \"{name}\" VALUES ({places})"))?;
        let columns = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
            let values: Vec<_> = values.collect::<Result<_, _>>()?;
            insert.execute(rusqlite::params_from_iter(values))?;
        }
    }
    let version: i64 = old.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    new.execute_batch(&format!("COMMIT; PRAGMA user_version = {version}"))?;
    let encoding: String = new.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    anyhow::ensure!(encoding == "UTF-16le", "{encoding}");
    Ok(std::fs::rename(aside, database)?)
}
