//! One block of 512 bytes that describes a member, in any of tar's dialects: the seventh edition's,
//! POSIX (ustar), GNU; and the extended headers (pax) that override it.

/// All that is in an archive comes in blocks of this size.
pub(super) const BLOCK: usize = 512;

/// A header as it stands; what extended headers before it say is not in it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Its letter for what kind of member this is.
    pub kind: u8,
    /// The name, its exact bytes.
    pub name: Vec<u8>,
    /// Where a link leads.
    pub link: Vec<u8>,
    /// Bytes that follow. Absent where the number is none, or beyond all sizes.
    pub size: Option<u64>,
    /// Time of last change, in nanoseconds since 1970, where it is a number.
    pub mtime: Option<i128>,
    /// GNU's old sparse files: more blocks of their map follow.
    pub more_map: bool,
}

impl Header {
    /// Takes a block; nothing, if its checksum says that it is no header.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Option<Header> {
        let told = number(&block[148..156])?;
        let sum = |sum: fn(&u8) -> i128| -> i128 {
            let blank = 8 * i128::from(b' ');
            blank
                + block[..148]
                    .iter()
                    .chain(&block[156..])
                    .map(sum)
                    .sum::<i128>()
        };
        // Some old programs summed signed bytes.
        if told != sum(|&b| b.into()) && told != sum(|&b| b.cast_signed().into()) {
            return None;
        }
        let mut name = text(&block[..100]).to_vec();
        let prefix = text(&block[345..500]);
        // GNU keeps other things there, under the same name with a blank.
        if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        Some(Header {
            kind: block[156],
            name,
            link: text(&block[157..257]).to_vec(),
            size: number(&block[124..136]).and_then(|size| size.try_into().ok()),
            mtime: number(&block[136..148]).and_then(|seconds| seconds.checked_mul(1_000_000_000)),
            more_map: block[482] != 0,
        })
    }
}

/// Does another block of a sparse file's map follow this one?
pub(super) fn map_goes_on(block: &[u8; BLOCK]) -> bool {
    block[504] != 0
}

/// What stands before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits, or GNU's binary form for what they cannot hold. An empty field is 0.
fn number(field: &[u8]) -> Option<i128> {
    match field[0] {
        first @ (0x80 | 0xff) => {
            let sign = if first == 0xff { -1 } else { 0 };
            let digits = field[1..].iter();
            // Twelve bytes at most, so it fits.
            Some(digits.fold(sign, |value, &byte| (value << 8) | i128::from(byte)))
        }
        _ => {
            let digits = text(field).trim_ascii();
            digits
                .iter()
                .try_fold(0, |value: i128, &digit| match digit {
                    b'0'..=b'7' => Some(value * 8 + i128::from(digit - b'0')),
                    _ => None,
                })
        }
    }
}

/// What extended headers say of the member that follows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    pub name: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub mtime: Option<i128>,
    pub sparse: bool,
    /// One of them was too large to be read.
    pub too_large: bool,
    /// Some of it could not be read.
    pub damaged: bool,
}

impl Extended {
    /// Takes in what a pax header holds: `LENGTH KEY=VALUE\n`, again and again. Values may hold
    /// newlines, so only the lengths tell where one ends.
    pub(super) fn take_pax(&mut self, mut body: &[u8]) {
        // Some programs pad with NULs.
        while !body.is_empty() && body[0] != 0 {
            let Some((key, value, rest)) = pax_record(body) else {
                self.damaged = true;
                return;
            };
            body = rest;
            match key {
                b"path" | b"GNU.sparse.name" => self.name = Some(value.into()),
                b"linkpath" => self.link = Some(value.into()),
                b"size" => {
                    self.size = decimal(value);
                    self.damaged |= self.size.is_none();
                }
                b"mtime" => self.mtime = pax_time(value),
                _ => {}
            }
            self.sparse |= key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize";
        }
    }

    /// Does a header for all members that follow say what we cannot let it say for all of them?
    pub(super) fn is_strange_for_all(&self) -> bool {
        self.too_large || self.damaged || self.sparse || self.name.is_some() || self.size.is_some()
    }
}

/// Key, value, and what follows.
fn pax_record(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = body.iter().take(21).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&body[..blank])?).ok()?;
    if length <= blank + 1 || length > body.len() {
        return None;
    }
    let (record, rest) = body.split_at(length);
    let pair = record[blank + 1..].strip_suffix(b"\n")?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// Seconds with a fraction, as pax has them; what is finer than nanoseconds is cut off.
fn pax_time(value: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(value).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = decimal(whole.as_bytes())?;
    let nine: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some(sign * (i128::from(whole) * 1_000_000_000 + i128::from(decimal(nine.as_bytes())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_forms() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777"), Some(0o77777777777));
        assert_eq!(number(&[0; 12]), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        let large = [0x80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1];
        assert_eq!(number(&large), Some((3 << 32) + 1));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        // No wrap-around: a size of 2^64 and more is none.
        let absurd = [0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        assert!(u64::try_from(number(&absurd).unwrap()).is_err());
    }

    #[test]
    fn pax_values_may_hold_anything() {
        let mut extended = Extended::default();
        extended.take_pax(
            b"16 path=a\nb=c d\n16 comment=10 k\n26 mtime=1700000000.12345\n13 size=1234\n",
        );
        assert_eq!(extended.name.as_deref(), Some(&b"a\nb=c d"[..]));
        assert_eq!(extended.size, Some(1234));
        assert_eq!(extended.mtime, Some(1_700_000_000_123_450_000));
        assert!(!extended.damaged && !extended.sparse);
    }

    #[test]
    fn damaged_pax_is_seen() {
        for body in [
            &b"99 path=a\n"[..],
            b"0 path=a\n",
            b"3 \n",
            b"path=a\n",
            b"8 path=a\n",
            b"10 size=-1\n",
            b"99999999999999999999 a=b\n",
        ] {
            let mut extended = Extended::default();
            extended.take_pax(body);
            assert!(extended.damaged, "{}", body.escape_ascii());
        }
        assert_eq!(pax_time(b"-1.5"), Some(-1_500_000_000));
        assert_eq!(pax_time(b"1.x"), None);
    }
}
