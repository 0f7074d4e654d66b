//! The members of tar archives: each hashed, in one pass, without unpacking.
//!
//! An archive may be larger than all memory and take hours, so each member's record is written as soon
//! as it is hashed. That the archive was changed meanwhile is seen before the next record, and makes
//! an error; who acts on a record hashes again.

use std::{io, path::Path};

use hash_files::{
    HashError,
    digest::{BUFFER, open_at_rest},
    format, stamp,
    tar::{Archive, Entry, Member},
};
use sha1::{Digest as _, Sha1};
use wire::Record;

use crate::{
    ahead::{Ahead, ahead},
    permits::{Permits, Readers},
    task::{At, Failure, Outcome},
};

/// How archives are read.
pub(crate) struct Archives<'a> {
    pub readers: &'a Readers,
    pub hashers: Option<&'a Permits>,
}

/// Where the outcomes go; says whether more are wanted.
type Emit<'a> = dyn FnMut(Outcome) -> bool + 'a;

impl Archives<'_> {
    /// Hashes all members of the archive at `path`, named by `record`. Says whether each of them had
    /// its outcome: an archive that is damaged may have held more.
    pub(crate) fn hash(
        &self,
        path: &Path,
        record: Option<&Record>,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) -> bool {
        let mut members = 0;
        let result = self.read(path, record, buffer, &mut members, emit);
        result.unwrap_or_else(|error| {
            let mut failure = Failure::of_hash(path, record.cloned(), &error);
            if members > 0 {
                failure.message += &format!("; {members} members were hashed before");
            }
            emit(Outcome::Fail(failure));
            false
        })
    }

    fn read(
        &self,
        path: &Path,
        record: Option<&Record>,
        buffer: &mut [u8],
        members: &mut u64,
        emit: &mut Emit<'_>,
    ) -> Result<bool, HashError> {
        let reading = open_at_rest(path)?;
        reading.from_end_to_end();
        let (stamp, guard) = (reading.stamp(), reading.guard()?);
        let device = self.readers.of(stamp.dev);
        let _turn = device.permits.take();
        let whole = ahead(reading, |input| {
            let mut archive = Archive::new(input, stamp.size);
            let mut whole = true;
            while let Some(entry) = archive.next_entry().map_err(cause)? {
                let outcome = match entry {
                    Entry::File(member) => {
                        let mtime = stamp::time_text(member.mtime.unwrap_or(stamp.mtime));
                        let hashed = self.member(&mut archive, &member, mtime, buffer)?;
                        guard.unchanged()?;
                        *members += 1;
                        Outcome::member(path, record, &member, &hashed)
                    }
                    Entry::Refused(member, why) => {
                        let at = At::of(&member);
                        Outcome::Fail(Failure {
                            record: record.cloned(),
                            object: format!("{}[{}]", path.display(), at.name.display()),
                            at: Some(at),
                            ..Failure::of_path(path, "read", why)
                        })
                    }
                    Entry::Damaged(why) => {
                        whole = false;
                        Outcome::Fail(Failure {
                            record: record.cloned(),
                            ..Failure::of_path(path, "read", why)
                        })
                    }
                };
                if !emit(outcome) {
                    return Ok(false);
                }
            }
            Ok(whole && !archive.is_cut())
        })?;
        guard.unchanged_at(path)?;
        Ok(whole)
    }

    fn member(
        &self,
        archive: &mut Archive<&mut Ahead>,
        member: &Member,
        mtime: String,
        buffer: &mut [u8],
    ) -> Result<Hashed, HashError> {
        let buffer = &mut buffer[..BUFFER];
        let mut sha1 = Sha1::new();
        let mut count = archive.read(buffer).map_err(cause)?;
        let format = format::format(&member.name, &buffer[..count]);
        while count > 0 {
            let core = self.hashers.map(Permits::take);
            sha1.update(&buffer[..count]);
            drop(core);
            count = archive.read(buffer).map_err(cause)?;
        }
        Ok(Hashed {
            sha1: sha1.finalize().into(),
            mtime,
            format,
        })
    }
}

/// What was found of a member.
pub(crate) struct Hashed {
    pub sha1: [u8; 20],
    pub mtime: String,
    pub format: Option<String>,
}

/// Why reading failed; an archive that ends before its time was changed.
fn cause(error: io::Error) -> HashError {
    match error.downcast::<HashError>() {
        Ok(cause) => cause,
        Err(_) => HashError::Changed("it ends before its size says"),
    }
}
