//! A log that begins anew at a size, and keeps some of the old ones as .1, .2 and so on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A log that is written to. A disk that is full stops nobody: what finds no room is lost.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    limit: u64,
    keep: u32,
    file: Option<File>,
    size: u64,
    /// The last byte was a newline.
    whole: bool,
}

impl Log {
    /// Goes on writing to `path`; beyond `limit` bytes a new one is begun, `keep` old ones are kept.
    pub(crate) fn open(path: &Path, limit: u64, keep: u32) -> io::Result<Log> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Log {
            path: path.into(),
            limit,
            keep,
            file: Some(file),
            size,
            whole: true,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what has come.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Between two lines, unless there are none.
            if self.size >= self.limit && (self.whole || self.size >= self.limit.saturating_mul(2))
            {
                self.rotate();
            }
            let (now, later) = bytes.split_at(self.fits(bytes));
            self.append(now);
            bytes = later;
        }
    }

    /// How much goes before the next look at the size: to the end of the line that reaches the limit.
    fn fits(&self, bytes: &[u8]) -> usize {
        let room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let reaches = room.saturating_sub(1);
        let line = bytes.iter().skip(reaches).position(|&byte| byte == b'\n');
        let longest = usize::try_from(self.limit).unwrap_or(usize::MAX).max(1);
        let end = line.map_or(room.saturating_add(longest), |at| reaches + at + 1);
        end.min(bytes.len())
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.file.is_none() {
            self.file = append(&self.path).ok();
        }
        if let Some(file) = &mut self.file
            && file.write_all(bytes).is_ok()
        {
            self.size += bytes.len() as u64;
        }
        self.whole = bytes.ends_with(b"\n");
    }

    fn rotate(&mut self) {
        for n in (1..self.keep).rev() {
            let _ = fs::rename(old(&self.path, n), old(&self.path, n + 1));
        }
        let gone = match self.keep {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, old(&self.path, 1)),
        };
        // Where that is not allowed, it goes on growing.
        self.file = None;
        self.size = match gone {
            Ok(()) => 0,
            Err(_) => self.limit / 2,
        };
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The path of the `n`th old one.
pub(crate) fn old(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use harness::Workdir;

    use super::*;

    #[test]
    fn no_line_is_lost_or_cut_between_the_logs() {
        let work = Workdir::new();
        let path = work.join("log");
        let mut log = Log::open(&path, 100, 3).unwrap();
        for n in 100..130 {
            log.write(format!("line {n}").as_bytes());
            log.write(b" ends\n");
        }
        let text = |path: PathBuf| fs::read_to_string(path).unwrap();
        let all = [3, 2, 1].map(|n| text(old(&path, n))).concat() + &text(path.clone());
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.len(), 30);
        assert!(
            lines
                .iter()
                .zip(100..)
                .all(|(line, n)| *line == format!("line {n} ends"))
        );
        assert!(
            [1, 2, 3]
                .iter()
                .all(|n| text(old(&path, *n)).ends_with('\n'))
        );
        assert!(!old(&path, 4).exists());
    }

    #[test]
    fn much_at_once_is_as_good_as_a_line_at_a_time() {
        let text: String = (100..130).map(|n| format!("line {n} ends\n")).collect();
        let lengths = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let work = Workdir::new();
            let path = work.join("log");
            let mut log = Log::open(&path, 100, 9).unwrap();
            pieces.for_each(|piece| log.write(piece));
            let all = (1..=9).map(|n| old(&path, n)).chain([path.clone()]);
            all.map(|path| fs::metadata(path).map_or(0, |meta| meta.len()))
                .collect::<Vec<u64>>()
        };
        let lines = lengths(&mut text.split_inclusive('\n').map(str::as_bytes));
        assert_eq!(lengths(&mut [text.as_bytes()].into_iter()), lines);
        assert_eq!(lengths(&mut text.as_bytes().chunks(7)), lines);
        assert!(
            lines.iter().sum::<u64>() == text.len() as u64 && lines[2] > 0,
            "{lines:?}"
        );
    }

    #[test]
    fn the_oldest_go_and_an_endless_line_is_cut() {
        let work = Workdir::new();
        let path = work.join("log");
        let mut log = Log::open(&path, 10, 1).unwrap();
        for _ in 0..100 {
            log.write(b"xxxxx");
        }
        assert!(fs::metadata(&path).unwrap().len() <= 25);
        assert!(!old(&path, 2).exists());
        let mut log = Log::open(&work.join("none"), 10, 0).unwrap();
        for _ in 0..10 {
            log.write(b"0123456789\n");
        }
        assert_eq!(fs::metadata(work.join("none")).unwrap().len(), 11);
        assert!(!old(&work.join("none"), 1).exists());
    }
}
