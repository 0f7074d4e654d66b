//! A CSV export instead of the database.

use std::path::Path;

use wire::{Exit, Writer};

pub(crate) fn stream(_file: &Path, _out: Writer) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
