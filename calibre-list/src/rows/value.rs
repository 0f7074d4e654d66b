//! SQLite keeps any type in any column, and text need not be UTF-8. What is not as it should be is
//! shown as well as can be, never an error.

use std::borrow::Cow;

use rusqlite::{Row, types::ValueRef};

/// A column's value. The statements name their columns, so the index is there.
pub(crate) fn value<'r>(row: &'r Row<'_>, column: usize) -> ValueRef<'r> {
    row.get_ref(column).unwrap_or(ValueRef::Null)
}

/// The text of a value appended to `out`, bytes that are not UTF-8 replaced by U+FFFD. Says whether
/// there was one.
pub(crate) fn push_text(out: &mut String, value: ValueRef<'_>) -> bool {
    let shown = shown(value);
    out.push_str(shown.as_deref().unwrap_or_default());
    shown.is_some()
}

/// The text of a value.
pub(crate) fn text(value: ValueRef<'_>) -> Option<String> {
    shown(value).map(Cow::into_owned)
}

/// The text of a value, borrowed where it is one.
pub(crate) fn shown(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(number.to_string().into()),
    }
}

/// Sets `out` to the text of a value and says whether there was one.
pub(crate) fn set_text(out: &mut String, value: ValueRef<'_>) -> bool {
    out.clear();
    push_text(out, value)
}

/// The exact bytes of a name, appended to `out`.
pub(crate) fn push_bytes(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => out.extend_from_slice(bytes),
        ValueRef::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::Real(number) => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// A whole number, also one written as text.
pub(crate) fn int(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Real(number) if number.fract() == 0.0 => Some(number as i64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        _ => None,
    }
    // Readers of JSON keep 53 bits.
    .filter(|number| number.unsigned_abs() < 1 << 53)
}

/// A number, also one written as text.
pub(crate) fn float(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// Yes or no, as SQLite itself would judge it.
pub(crate) fn flag(value: ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Null => None,
        other => Some(float(other).is_some_and(|number| number != 0.0)),
    }
}
