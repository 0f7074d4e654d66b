//! Which index a table may be read by. A row that an index lacks would never be seen, and SQLite
//! checks that nowhere: so an index is first compared with its table, in one pass over each, which is
//! a fifth of what `integrity_check` costs. All statements name how they read: by such an index, or
//! by none.

use std::cmp::Ordering;

use rusqlite::{Connection, ErrorCode, Result, types::ValueRef};

use super::value::{text, value};
use crate::error::Damage;

/// How a table may be read, as it stands after FROM; or what is wrong with it.
pub(super) enum Way {
    By(String),
    Damaged(Damage),
}

/// Compares an index of `table` with it, one in the order of the column `book` where there is such a
/// column. `is_plain` says whether the table has this column, and as one that is stored.
pub(super) fn way(db: &Connection, table: &str, is_plain: impl Fn(&str) -> bool) -> Result<Way> {
    let by_none = format!("{table} NOT INDEXED");
    let Some(index) = best(db, table, is_plain)? else {
        return Ok(Way::By(by_none));
    };
    let by_index = format!("{table} INDEXED BY {}", quoted(&index.name));
    let columns: Vec<String> = index.columns.iter().map(|column| quoted(column)).collect();
    let columns = columns.join(", ");
    let rows = match sum(db, &format!("SELECT {columns}, rowid FROM {by_index}")) {
        Ok(rows) => rows,
        // One of a kind that a whole table cannot be read by is none for us either.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
            return Ok(Way::By(by_none));
        }
        Err(error) => return Err(error),
    };
    let whole = sum(db, &format!("SELECT {columns}, rowid FROM {by_none}"))?;
    if (rows.count, rows.hash) != (whole.count, whole.hash) || index.by_book && !rows.in_order {
        return Ok(Way::Damaged(Damage::Index(index.name, table.into())));
    }
    Ok(Way::By(match index.by_book {
        true => by_index,
        false => by_none,
    }))
}

struct Index {
    name: String,
    columns: Vec<String>,
    by_book: bool,
}

/// The widest index in the order of `book`; where there is none, any index.
fn best(db: &Connection, table: &str, is_plain: impl Fn(&str) -> bool) -> Result<Option<Index>> {
    let mut found: Option<Index> = None;
    let mut listed = db.prepare(&format!("PRAGMA main.index_list({table})"))?;
    let mut rows = listed.query([])?;
    while let Some(row) = rows.next()? {
        let (Some(name), ValueRef::Integer(0)) = (text(value(row, 1)), value(row, 4)) else {
            // It has a condition, so that not all rows are in it.
            continue;
        };
        let Some((columns, descending)) = columns(db, &name)? else {
            continue;
        };
        if !columns.iter().all(|column| is_plain(column)) {
            continue;
        }
        let by_book = columns.first().is_some_and(|column| column == "book") && !descending;
        let index = Index {
            name,
            columns,
            by_book,
        };
        let rank = |index: &Index| (index.by_book, index.columns.len());
        if found
            .as_ref()
            .is_none_or(|found| rank(found) < rank(&index))
        {
            found = Some(index);
        }
    }
    Ok(found)
}

/// The columns of an index, and whether the first one is in falling order; nothing where one of them
/// is computed.
fn columns(db: &Connection, index: &str) -> Result<Option<(Vec<String>, bool)>> {
    let mut info = db.prepare(&format!("PRAGMA main.index_xinfo({})", quoted(index)))?;
    let mut rows = info.query([])?;
    let (mut columns, mut descending) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        if value(row, 5) != ValueRef::Integer(1) {
            continue;
        }
        let Some(name) = text(value(row, 2)) else {
            return Ok(None);
        };
        descending |= columns.is_empty() && value(row, 3) == ValueRef::Integer(1);
        columns.push(name.to_ascii_lowercase());
    }
    Ok(Some((columns, descending)))
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Rows, in any order.
struct Sum {
    count: u64,
    hash: u64,
    /// Did the first column never fall?
    in_order: bool,
}

fn sum(db: &Connection, sql: &str) -> Result<Sum> {
    let mut sum = Sum {
        count: 0,
        hash: 0,
        in_order: true,
    };
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut last = Key::Null;
    while let Some(row) = rows.next()? {
        let row_hash = (0..columns).fold(0, |hash, column| with(hash, value(row, column)));
        sum.count += 1;
        sum.hash = sum.hash.wrapping_add(row_hash);
        let key = Key::of(value(row, 0));
        sum.in_order &= key.partial_cmp(&last) != Some(Ordering::Less);
        last = key;
    }
    Ok(sum)
}

/// A hash with one more value in it. It is met by accidents only, and must cost next to nothing.
fn with(hash: u64, value: ValueRef<'_>) -> u64 {
    let mix = |hash: u64, word: u64| {
        let mixed = (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    };
    match value {
        ValueRef::Null => mix(hash, 1),
        ValueRef::Integer(number) => mix(mix(hash, 2), number as u64),
        ValueRef::Real(number) => mix(mix(hash, 3), number.to_bits()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let start = mix(mix(hash, 4), bytes.len() as u64);
            bytes.chunks(8).fold(start, |hash, chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                mix(hash, u64::from_le_bytes(word))
            })
        }
    }
}

/// A value as far as it matters for looking up books by their numbers, in SQLite's order.
#[derive(PartialEq, PartialOrd)]
enum Key {
    Null,
    Number(f64),
    Text,
    Blob,
}

impl Key {
    fn of(value: ValueRef<'_>) -> Key {
        match value {
            ValueRef::Null => Key::Null,
            ValueRef::Integer(number) => Key::Number(number as f64),
            ValueRef::Real(number) => Key::Number(number),
            ValueRef::Text(_) => Key::Text,
            ValueRef::Blob(_) => Key::Blob,
        }
    }
}
