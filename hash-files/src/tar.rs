//! The members of a plain tar archive, found in one pass and in constant memory.
//!
//! The crate `tar` is not used: it takes a truncated member for a short one, keeps extended headers of
//! any size in memory, ends a pax value at its first newline, and lets sizes beyond 64 bits wrap. Here
//! every byte of the archive is accounted for: it is a member's, or padding, or told of.
//!
//! A damaged header does not end the walk: the next block that is a header goes on, and what lies
//! between is told of. Blocks of zeros end an archive only where nothing but padding follows: a lost sector
//! reads as zeros, too. What remains: zeros within the last record (10 KiB, or the archive's own record
//! size) look like padding, so members that were lost there go unnoticed. Archives joined one after another are read on, as `tar -i` does, and told of.

mod header;

use std::io::{self, Read};

use header::{BLOCK, Extended, Header, map_goes_on, text};

/// Extended headers and long names beyond this size are no names.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What programs write at a time, and pad an archive to; `tar -b` takes more, up to those of tapes.
const RECORD: u64 = 20 * BLOCK as u64;
const LARGER_RECORDS: [u64; 7] = [
    1 << 14,
    1 << 15,
    1 << 16,
    1 << 17,
    1 << 18,
    1 << 19,
    1 << 20,
];

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its name, the exact bytes. Never a path to act upon.
    pub name: Vec<u8>,
    /// Where its bytes begin in the archive.
    pub offset: u64,
    /// How many there are.
    pub size: u64,
    /// Time of last change in nanoseconds since 1970, where the archive tells it.
    pub mtime: Option<i128>,
}

/// What is found next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file, wholly in the archive; [`Archive::read`] gives its bytes.
    File(Member),
    /// A member that is no file, or that cannot be had, and why.
    Refused(Member, String),
    /// A part of the archive, or what follows, is lost: why.
    Damaged(String),
}

/// An archive being read.
#[derive(Debug)]
pub struct Archive<R> {
    input: R,
    size: u64,
    at: u64,
    /// Bytes of the present member that were not read yet.
    left: u64,
    /// Bytes after them up to the next header.
    padding: u64,
    /// Has a header been seen?
    begun: bool,
    /// Blocks of zeros since the last header.
    zeros: u64,
    /// Where the blocks began that are no headers.
    lost_from: Option<u64>,
    /// What headers for all members say.
    global: Extended,
    /// A header that is to be looked at before the next is read.
    pending: Option<[u8; BLOCK]>,
    ended: bool,
    cut: bool,
}

impl<R: Read> Archive<R> {
    /// An archive of `size` bytes, which `input` gives from the first on.
    pub fn new(input: R, size: u64) -> Archive<R> {
        Archive {
            input,
            size,
            at: 0,
            left: 0,
            padding: 0,
            begun: false,
            zeros: 0,
            lost_from: None,
            global: Extended::default(),
            pending: None,
            ended: false,
            cut: false,
        }
    }

    /// Was it found to be damaged or cut short, so that it may have held more than the entries?
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The next entry; what was not read of the last one is passed over.
    ///
    /// # Errors
    /// Of the input. That the archive itself is damaged is an entry.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        self.skip(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut extended = Extended::default();
        while !self.ended {
            let start = self.at;
            let block = match self.pending.take() {
                Some(block) => Some(block),
                None => self.block()?,
            };
            let Some(block) = block else {
                return self.end(&extended);
            };
            if block == [0; BLOCK] {
                self.zeros += u64::from(self.lost_from.is_none());
                continue;
            }
            let Some(header) = Header::parse(&block) else {
                if !self.begun {
                    (self.ended, self.cut) = (true, true);
                    return Ok(Some(Entry::Damaged(what_it_is(&block))));
                }
                self.lost_from.get_or_insert(start);
                continue;
            };
            if let Some(why) = self.gap() {
                self.pending = Some(block);
                (self.cut, self.begun) = (true, true);
                return Ok(Some(Entry::Damaged(why)));
            }
            (self.begun, self.zeros) = (true, 0);
            match header.kind {
                b'x' | b'X' | b'L' | b'K' | b'g' => {
                    if let Some(entry) = self.extend(&header, &mut extended)? {
                        return Ok(Some(entry));
                    }
                }
                _ => {
                    if let Some(entry) = self.member(header, std::mem::take(&mut extended))? {
                        return Ok(Some(entry));
                    }
                    self.skip(self.left + self.padding)?;
                    (self.left, self.padding) = (0, 0);
                }
            }
        }
        Ok(None)
    }

    /// The next bytes of the present member; as many as `buffer` holds unless it ends, then none.
    ///
    /// # Errors
    /// Of the input.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.fill(&mut buffer[..most])?;
        self.left -= most as u64;
        Ok(most)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(buffer)?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        // The padding of the last member may be missing.
        let bytes = bytes.min(self.size - self.at);
        io::copy(&mut self.input.by_ref().take(bytes), &mut io::sink())?;
        self.at += bytes;
        Ok(())
    }

    /// The next block; none where the archive ends, be it within one.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        if self.size - self.at < BLOCK as u64 {
            return Ok(None);
        }
        self.fill(&mut block)?;
        Ok(Some(block))
    }

    /// What lies between this header and the last member, but should not.
    fn gap(&mut self) -> Option<String> {
        let at = self.at - BLOCK as u64;
        let zeros = std::mem::take(&mut self.zeros) * BLOCK as u64;
        match self.lost_from.take() {
            Some(from) => Some(format!(
                "no header at byte {from}, where one must be: damaged; read again from byte {at}"
            )),
            None if zeros > 0 => Some(format!(
                "zeros from byte {} on, where a header must be; read again from byte {at}: members may be \
                 lost there, unless archives were joined",
                at - zeros
            )),
            None => None,
        }
    }

    /// Why these zeros at the end are no orderly end: two blocks, and padding to the size of a record.
    fn disorder(&self) -> Option<String> {
        let padding = self.zeros.saturating_sub(2) * BLOCK as u64;
        let padded = |record: u64| padding < record && self.size.is_multiple_of(record);
        if self.at < self.size {
            return Some("it ends within a block: it may have been cut short".into());
        }
        if self.zeros == 1 {
            return Some("only half an end mark: it may have been cut short".into());
        }
        if padding < RECORD || LARGER_RECORDS.into_iter().any(padded) {
            return None;
        }
        let zeros = self.zeros * BLOCK as u64;
        Some(format!(
            "{zeros} bytes of zeros at its end, more than an end mark and padding: members may be lost there"
        ))
    }

    /// The archive has ended.
    fn end(&mut self, extended: &Extended) -> io::Result<Option<Entry>> {
        self.ended = true;
        let why = match self.lost_from {
            Some(from) if self.zeros > 1 => {
                format!("what stands behind its end mark, from byte {from} on, is no archive")
            }
            Some(from) => {
                format!("no header at byte {from}, where one must be: damaged from there on")
            }
            None if *extended != Extended::default() => {
                "an extended header without its member: it may have been cut short".into()
            }
            None if self.zeros > 0 => match self.disorder() {
                Some(why) => why,
                None => return Ok(None),
            },
            None if self.size == 0 => "empty, not even an end mark in it".into(),
            None if self.begun => {
                "without an end mark: it may have been cut short here, after its last whole member"
                    .into()
            }
            None => {
                let mut short = [0; BLOCK];
                self.fill(&mut short[..self.size.min(BLOCK as u64) as usize])?;
                what_it_is(&short)
            }
        };
        self.cut = true;
        Ok(Some(Entry::Damaged(why)))
    }

    /// A header that only tells more of the next one.
    fn extend(&mut self, header: &Header, extended: &mut Extended) -> io::Result<Option<Entry>> {
        let Some(size) = header.size else {
            self.lost_from = Some(self.at - BLOCK as u64);
            return Ok(None);
        };
        if size > self.size - self.at {
            (self.ended, self.cut) = (true, true);
            return Ok(Some(Entry::Damaged(format!(
                "cut short in an extended header at byte {}: what comes after it is not read",
                self.at - BLOCK as u64
            ))));
        }
        if size > LONGEST_EXTENSION {
            let of = match header.kind {
                b'g' => &mut self.global,
                _ => extended,
            };
            of.too_large = true;
            self.skip(size + padding(size))?;
            return Ok(None);
        }
        let mut body = vec![0; size as usize];
        self.fill(&mut body)?;
        self.skip(padding(size))?;
        match header.kind {
            b'L' => extended.name = Some(text(&body).into()),
            b'K' => extended.link = Some(text(&body).into()),
            b'g' => self.global.take_pax(&body),
            _ => extended.take_pax(&body),
        }
        Ok(None)
    }

    fn member(&mut self, header: Header, extended: Extended) -> io::Result<Option<Entry>> {
        if header.kind == b'S' {
            let mut more = header.more_map;
            while more {
                match self.block()? {
                    Some(block) => more = map_goes_on(&block),
                    None => return self.end(&extended),
                }
            }
        }
        let mut member = Member {
            name: extended.name.unwrap_or(header.name),
            offset: self.at,
            size: 0,
            mtime: extended.mtime.or(self.global.mtime).or(header.mtime),
        };
        // A hard link may tell the size of what it leads to; no bytes follow.
        let size = match header.kind {
            b'1' => Some(0),
            _ => extended.size.or(self.global.size).or(header.size),
        };
        let Some(size) = size else {
            (self.ended, self.cut) = (true, true);
            let why = "its size is no number: what comes after it is not read";
            return Ok(Some(Entry::Refused(member, why.into())));
        };
        member.size = size;
        if size > self.size - self.at {
            (self.ended, self.cut) = (true, true);
            let why = format!(
                "cut short or damaged: only {} of its {size} bytes are in the archive; what comes \
                 after it cannot be read",
                self.size - self.at
            );
            return Ok(Some(Entry::Refused(member, why)));
        }
        (self.left, self.padding) = (size, padding(size));
        let link = extended.link.unwrap_or(header.link);
        let why = match header.kind {
            // A folder's name ends with a slash where the letter for folders was not known yet.
            b'5' | b'D' | b'V' => return Ok(None),
            b'0' | 0 | b'7' if member.name.ends_with(b"/") => return Ok(None),
            b'0' | 0 | b'7' => match refused(&member.name) {
                Some(why) => why.into(),
                None if extended.too_large => "its extended header is larger than 1 MiB".into(),
                None if self.global.is_strange_for_all() => {
                    "a header before it gives all members one name or size, or cannot be read"
                        .into()
                }
                None if extended.damaged => "its extended header is damaged".into(),
                None if extended.sparse => SPARSE.into(),
                None => return Ok(Some(Entry::File(member))),
            },
            b'1' => format!("a hard link to {}, not a file of its own", shown(&link)),
            b'2' => format!("a symbolic link to {}, not a file", shown(&link)),
            b'3' => "a character device, not a file".into(),
            b'4' => "a block device, not a file".into(),
            b'6' => "a FIFO, not a file".into(),
            b'S' => SPARSE.into(),
            b'M' => "a part of a file that began in another archive".into(),
            other => format!("of the unknown kind {:?}, not a file", char::from(other)),
        };
        Ok(Some(Entry::Refused(member, why)))
    }
}

const SPARSE: &str =
    "a sparse file, whose bytes are not in one piece: unpack it, or pack without -S";

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Why no honest archive has a file of this name.
fn refused(name: &[u8]) -> Option<&'static str> {
    let mut parts = name.split(|&byte| byte == b'/');
    match name {
        [] => Some("it has no name"),
        [b'/', ..] => Some("its name is absolute"),
        _ if name.contains(&0) => Some("its name holds a NUL"),
        _ if parts.any(|part| part == b"..") => Some("its name leads out of its folder"),
        _ => None,
    }
}

/// A file that does not begin as a tar archive does.
fn what_it_is(block: &[u8; BLOCK]) -> String {
    let packed: &[(&[u8], &str, &str)] = &[
        (b"\x1f\x8b", "gzip", "gzip -dk"),
        (b"\xfd7zXZ\0", "xz", "xz -dk"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dk"),
        (b"BZh", "bzip2", "bzip2 -dk"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -dk"),
        (b"LZIP", "lzip", "lzip -dk"),
    ];
    let other: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a ZIP file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
    ];
    if let Some((_, name, how)) = packed.iter().find(|(magic, ..)| block.starts_with(magic)) {
        return format!(
            "compressed with {name}: members are sent from their place in a plain archive; unpack it \
             with `{how}` first"
        );
    }
    match other.iter().find(|(magic, _)| block.starts_with(magic)) {
        Some((_, name)) => format!("{name}, not a tar archive"),
        None => "not a tar archive".into(),
    }
}

#[cfg(test)]
mod tests;
