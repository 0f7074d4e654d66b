//! The server's copy: its rows of a SHA-1, and the stored file of one.

use std::{os::unix::fs::MetadataExt, path::Path, time::SystemTime};

use crate::store::Owner;
use hash_files::{
    HashError, Stamp,
    cache::STILL,
    digest::{digest, look},
};
use mbs_hashes::Failure;

use super::{Prover, Reading, links::note_link};
use crate::removal::{links::is_other, proof::Answer, server::SourceRow};

impl Prover<'_> {
    /// The server's rows of this SHA-1 as they are now; links of new rows are noted on the way.
    pub(super) fn rows(&mut self, sha1: &str) -> Result<Vec<SourceRow>, String> {
        if let Some(why) = &self.down {
            return Err(why.clone());
        }
        let ids = self.ids.get(sha1).cloned().unwrap_or_default();
        let answer = (|| {
            let mark = self.server.mark()?;
            let new = match &self.mark {
                Some(mark) => self.server.since(mark)?,
                None => Vec::new(),
            };
            Ok((mark, new, self.server.of_ids(&ids)?))
        })();
        let (mark, new, mut rows) = answer.map_err(|failure: Failure| self.lost(&failure))?;
        if let Ok(links) = &mut self.links {
            for row in &new {
                note_link(links, &self.store, row);
            }
            self.mark = Some(mark);
        }
        rows.extend(
            new.into_iter()
                .filter(|row| row.sha1 == sha1 && !ids.contains(&row.id)),
        );
        // A new row belongs to the next file of the same bytes as well.
        if let Some(known) = self.ids.get_mut(sha1) {
            *known = rows.iter().map(|row| row.id).collect();
        } else if !rows.is_empty() {
            let ids = rows.iter().map(|row| row.id).collect();
            self.ids.insert(sha1.into(), ids);
        }
        Ok(rows)
    }

    /// Has one of these rows a file of its own with these bytes?
    pub(super) fn stored(
        &mut self,
        rows: &[&SourceRow],
        file: &Stamp,
        sha1: &str,
        reading: Reading,
    ) -> Answer {
        let mut last = Answer::No("the server has no stored file of these bytes".into());
        if let Err(why) = self.store.is_there() {
            return Answer::Unknown(format!("the server's store: {why}"));
        }
        for row in rows {
            last = self.stored_of(row, file, sha1, reading);
            if last.yes() {
                break;
            }
        }
        last
    }

    fn stored_of(&mut self, row: &SourceRow, file: &Stamp, sha1: &str, reading: Reading) -> Answer {
        let of = |what: &dyn std::fmt::Display| {
            let location = String::from_utf8_lossy(&row.location);
            format!(
                "the server's stored file {location} (source {}): {what}",
                row.id
            )
        };
        let Some(place) = self.store.place(&row.location) else {
            return Answer::Unknown(of(&"it is not below the store"));
        };
        let this = |seen: std::fs::Metadata| (seen.dev(), seen.ino()) == (file.dev, file.inode);
        if place.metadata().is_ok_and(this) {
            return Answer::No(of(&"it is this very file, by a link"));
        }
        let at = match self.store.owner(&place, &self.others) {
            Owner::Server(at) => at,
            Owner::NotServer(why) => return Answer::No(of(&why)),
            Owner::Unknown(why) => return Answer::Unknown(of(&why)),
        };
        let (stamp, found, how) = match self.hashed_before(&at, reading) {
            Some((stamp, found)) => (stamp, found, "unchanged since it was hashed, looked at"),
            None => match self.hash(&at) {
                Ok((stamp, found)) => (stamp, found, "hashed"),
                Err(why) => return Answer::Unknown(of(&why)),
            },
        };
        match is_other(&stamp, file) {
            Answer::Yes(_) => {}
            answer => return answer,
        }
        if found != sha1 || stamp.size != file.size {
            return Answer::No(of(&"it has other bytes than its row says"));
        }
        Answer::Yes(of(&format_args!(
            "{how} at {}: dev {}, inode {}, the same bytes",
            crate::removal::journal::now(),
            stamp.dev,
            stamp.inode
        )))
    }

    /// The digest of a stored file that this batch has read and nobody has written to since.
    fn hashed_before(&self, at: &Path, reading: Reading) -> Option<(Stamp, String)> {
        let (stamp, sha1) = self.hashed.get(at).filter(|_| reading == Reading::Once)?;
        let same = look(at).is_ok_and(|now| now == *stamp);
        same.then(|| (*stamp, sha1.clone()))
    }

    fn hash(&mut self, at: &Path) -> Result<(Stamp, String), HashError> {
        let begun = SystemTime::now();
        let digest = digest(at, &mut self.buffer)?;
        let found = (digest.stamp, digest.hex());
        if digest.stamp.still_for(STILL, begun) {
            self.hashed.insert(at.into(), found.clone());
        }
        Ok(found)
    }
}
