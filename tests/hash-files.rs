//! hash-files, the real binary.
