//! Can the server find a content without reading its whole table?

use crate::{locks::Locks, model::failure::Failure};

/// Makes the index that the server lacks, without stopping it.
pub const INDEX: &str = "CREATE INDEX CONCURRENTLY source_hash_size ON source (hash, size)";

/// What it means that there is none.
pub const SLOW: &str =
    "source(hash) has no index: the server reads the whole table for each file, several times";

impl Locks {
    /// Is there an index of all hashes?
    pub fn indexed(&self) -> Result<bool, Failure> {
        let sql = "SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
            WHERE indrelid = 'source'::regclass AND attname = 'hash' AND indisvalid AND indpred IS NULL";
        let (rows, _) = self.ask(|line| line.query(sql))?;
        Ok(!rows.is_empty())
    }
}
