//! Where a file's bytes are: a file of their own, or a part of a tar archive.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use wire::Record;

use crate::model::job::JobError;

/// A place that holds the bytes of one book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file to open.
    pub file: PathBuf,
    /// Where in it, if it is an archive.
    pub member: Option<Member>,
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name there: a title of last resort, and never a path.
    pub name: PathBuf,
    /// Where its bytes begin.
    pub offset: u64,
}

impl Origin {
    /// The place that a record names.
    ///
    /// # Errors
    /// It names none.
    pub fn of(record: &Record) -> Result<Origin, JobError> {
        let path = |name, exact| record.path_of(name, exact).transpose();
        let file = record.path().map_err(JobError::Path)?;
        let archive = path("archive", "archive_b64").map_err(JobError::Path)?;
        let name = path("member", "member_b64").map_err(JobError::Path)?;
        let offset = record.get::<u64>("offset");
        Ok(match (archive, name, offset) {
            (None, None, _) => Origin { file, member: None },
            (archive, Some(name), Some(offset)) => Origin {
                file: archive.unwrap_or(file),
                member: Some(Member { name, offset }),
            },
            _ => return Err(JobError::Member),
        })
    }

    /// The name of the file or member, for what its last part tells of title and format.
    pub fn name(&self) -> &Path {
        match &self.member {
            Some(member) => &member.name,
            None => &self.file,
        }
    }

    /// It for people.
    pub fn shown(&self) -> String {
        let file = self.file.to_string_lossy();
        match &self.member {
            Some(member) => format!("{file}[{}]", member.name.display()),
            None => file.into_owned(),
        }
    }
}

/// The last part of a name before its last dot, and what follows the dot.
pub fn stem_and_extension(name: &Path) -> (String, String) {
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    (text(name.file_stem()), text(name.extension()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_a_file_or_a_member_whole() {
        let of = |fields: &str| {
            let line = format!(r#"{{"type":"file_hash","path":"/a.tar"{fields}}}"#);
            Origin::of(&Record::parse(line.into_bytes()).unwrap())
        };
        assert_eq!(of("").unwrap().shown(), "/a.tar");
        let member = of(r#","archive":"/b.tar","member":"x/y.epub","offset":512"#).unwrap();
        assert_eq!(member.shown(), "/b.tar[x/y.epub]");
        assert_eq!(
            stem_and_extension(member.name()),
            ("y".into(), "epub".into())
        );
        for half in [
            r#","archive":"/b.tar""#,
            r#","member":"y""#,
            r#","member":"y","offset":"512""#,
            r#","member":"y","offset":-1"#,
            r#","archive":"/b.tar","offset":1"#,
        ] {
            assert!(of(half).is_err(), "{half}");
        }
    }
}
