//! Names that each end in a NUL, as `find -print0` and `git ls-files -z` write them.

use std::{
    ffi::OsString,
    io::{self, BufRead},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

/// Far longer than any path; what has no NUL for so long is not a list of names.
const LONGEST: usize = 64 * 1024;

/// The names in a stream of bytes; the last may lack its NUL.
pub(crate) struct Names<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Names<R> {
    pub(crate) fn new(input: R) -> Names<R> {
        Names { input, number: 0 }
    }

    /// How many names were read, the unusable ones too.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next name, or why it is none; nothing at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<PathBuf, &'static str>>> {
        let mut name = Vec::new();
        let mut length = 0;
        loop {
            let part = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let end = part.iter().position(|&byte| byte == 0);
            let text = &part[..end.unwrap_or(part.len())];
            if text.is_empty() && end.is_none() {
                if length == 0 {
                    return Ok(None);
                }
                break;
            }
            length += text.len();
            if length <= LONGEST {
                name.extend_from_slice(text);
            }
            let taken = text.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        Ok(Some(match length {
            0 => Err("an empty name"),
            1..=LONGEST => Ok(OsString::from_vec(name).into()),
            _ => Err("a name longer than any path; is the input NUL-separated?"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(input: &[u8]) -> Vec<Result<PathBuf, &'static str>> {
        // A tiny buffer, so that names lie across its ends.
        let mut names = Names::new(io::BufReader::with_capacity(3, input));
        std::iter::from_fn(|| names.next().unwrap()).collect()
    }

    #[test]
    fn names_end_at_nul_and_nowhere_else() {
        let all = names(b"a\nb\0\0-long name\0\xff");
        assert_eq!(all[0], Ok("a\nb".into()));
        assert_eq!(all[1], Err("an empty name"));
        assert_eq!(all[2], Ok("-long name".into()));
        assert_eq!(all[3], Ok(OsString::from_vec(vec![0xff]).into()));
        assert_eq!(all.len(), 4);
        assert!(names(b"").is_empty());
    }

    #[test]
    fn what_is_no_list_of_names_costs_no_endless_memory() {
        let mut input = vec![b'x'; LONGEST + 1];
        input.extend_from_slice(b"\0a\0");
        let all = names(&input);
        assert!(all[0].is_err());
        assert_eq!(all[1], Ok("a".into()));
    }
}
