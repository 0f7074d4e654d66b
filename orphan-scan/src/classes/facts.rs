//! What the class of an entry depends on.

use crate::{names::Likeness, reserved::Area};

/// May a file's bytes be removed without loss, as far as is known?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removable {
    /// They may.
    Yes,
    /// They may not.
    No,
    /// It was not asked, or there was no answer.
    Unknown,
}

impl Removable {
    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Removable::Yes => "yes",
            Removable::No => "no",
            Removable::Unknown => "unknown",
        }
    }
}

/// What kind of entry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link; it is not followed.
    Link,
    /// A FIFO, a socket, a device.
    Special,
    /// A folder or file that something else is mounted on, or a folder that is another library; it
    /// was not entered. Why.
    Border(&'static str),
    /// It could not be looked at.
    Unseen,
}

/// Why Calibre may need a file beside or against what its own name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It needs it for nothing else.
    None,
    /// Another record leads to this very file by another path.
    Tracked,
    /// A record's file is missing, and this may be it.
    Missing,
    /// It is not known; why.
    Unknown(&'static str),
}

/// Has the server these bytes?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Nobody asked for that (no `--known`).
    NotAsked,
    /// A row of its has this SHA-1 and size.
    Has,
    /// None has.
    Lacks,
    /// It is not known; why.
    Unknown(&'static str),
}

/// Does a link of the server's store lead here?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// Nobody asked for that (no `--store`).
    NotAsked,
    /// One does.
    Yes,
    /// The links are all known, and none does.
    No,
    /// It is not known; why.
    Unknown(&'static str),
}

/// All that the class of an entry depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How its path is like that of a tracked file.
    pub row: Option<Likeness>,
    /// The area that it is in.
    pub area: Area,
    /// What kind of entry it is.
    pub kind: Kind,
    /// Is a tracked format with this extension missing in its folder, so that Calibre may take this
    /// file for it?
    pub heals: bool,
    /// Why Calibre may need it all the same.
    pub claim: Claim,
    /// Does another file lie in its folder that Calibre would take for it, were it gone?
    pub rival: bool,
    /// Has it an e-book's extension?
    pub book: bool,
    /// Is it known that it may not be read? Only what nobody tracks is asked.
    pub unreadable: bool,
    /// Has the server the bytes?
    pub server: Server,
    /// Does a link lead here?
    pub linked: Linked,
    /// Has the file other names (hard links)? The server's own file may be one of them.
    pub shared: bool,
    /// Was it made or changed after the library's database was read, so that Calibre may have it on
    /// record by now?
    pub late: bool,
    /// May the list of tracked files lack some (`--partial`)?
    pub partial: bool,
}
