//! `calibre-list` against libraries made by Calibre, and by makers of trouble.

#[path = "calibre-list/errors.rs"]
mod errors;
