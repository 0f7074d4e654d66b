//! What the server has of a file.

use std::{path::Path, time::SystemTime};

use hash_files::digest::{BUFFER, digest, look as stamp_of};
use mbs_hashes::known::Content;
use orphan_scan::{
    classes::{Kind, Server},
    tracked::Row,
};

use super::{Walker, entry::One};

impl Walker<'_> {
    /// What the server has of a tracked file, by the hash that the list tells.
    pub(super) fn listed(&self, entry: &One<'_>, row: &Row<'_>) -> (Server, Option<Content>) {
        let asked = self.job.known.is_some();
        let unless_asked = |server| if asked { server } else { Server::NotAsked };
        let Some((content, place, mtime)) = row.content else {
            let why = "its hash is not known (give the list to hash-files first)";
            return (unless_asked(Server::Unknown(why)), None);
        };
        let same = entry
            .seen
            .is_some_and(|seen| seen.size == content.size() && seen.mtime == i128::from(mtime));
        if entry.kind != Kind::File || !same {
            let why = "it was changed since it was hashed";
            return (unless_asked(Server::Unknown(why)), None);
        }
        let Some(known) = self.job.known else {
            return (Server::NotAsked, Some(content));
        };
        let server = match place {
            Some(place) => {
                known.meet(place);
                Server::Has
            }
            None => self.lacks(),
        };
        (server, Some(content))
    }

    /// The same where the list tells of a file of exactly the row's name, which this one is not.
    pub(super) fn listed_for_another(&self) -> Server {
        match self.job.known {
            None => Server::NotAsked,
            Some(_) => Server::Unknown("the file of exactly the name on record is there, too"),
        }
    }

    fn lacks(&self) -> Server {
        let flawed = self.job.known.is_some_and(|known| known.flaw.is_some());
        match flawed {
            true => Server::Unknown("the list of what the server has may lack it"),
            false => Server::Lacks,
        }
    }

    /// What the server has of a file that nobody tracks: by its size, and if need be by its hash.
    pub(super) fn found(&mut self, entry: &One<'_>, path: &Path) -> (Server, Option<Content>) {
        let (Some(known), Some(seen)) = (self.job.known, entry.seen) else {
            return (Server::NotAsked, None);
        };
        if !known.has_size(seen.size) && !self.job.needed.has_size(seen.size) {
            return (self.lacks(), None);
        }
        let begun = SystemTime::now();
        let cached = self.job.cache.and_then(|cache| {
            let stamp = stamp_of(path).ok()?;
            let same = (stamp.dev, stamp.inode, stamp.size) == (seen.dev, seen.inode, seen.size);
            same.then(|| cache.get(path, &stamp)).flatten()
        });
        let sha1 = match cached {
            Some(sha1) => {
                self.counts.cached += 1;
                sha1
            }
            None => {
                self.counts.hashed += 1;
                self.buffer.resize(BUFFER, 0);
                let Ok(digest) = digest(path, &mut self.buffer) else {
                    let why = "it could not be hashed, or was changed meanwhile";
                    return (Server::Unknown(why), None);
                };
                let stamp = digest.stamp;
                if (stamp.dev, stamp.inode, stamp.size) != (seen.dev, seen.inode, seen.size) {
                    return (Server::Unknown("it was replaced meanwhile"), None);
                }
                if let Some(cache) = self.job.cache {
                    cache.put(path, &digest, begun);
                }
                digest.sha1
            }
        };
        let content = Content::of(&sha1, seen.size);
        let server = match known.find(&content) {
            Some(_) => Server::Has,
            None => self.lacks(),
        };
        (server, Some(content))
    }
}
