//! Rows in one run of bytes. A group is a folder and the rows that were told one after the other in
//! it: how many bytes it has, the folder, the number of its first row, the rows.

mod bytes;
mod short;

use std::collections::HashMap;

use mbs_hashes::known::{Content, Set};

use super::{Row, Told};
use crate::names::Likeness;
use bytes::{Bytes, put, put_bytes, unzigzag, zigzag};
use short::{derive, derived, id_of, long_uuid, short_uuid};

/// Where a row's SHA-1 and size are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    /// In the known set, at this place.
    Known(u32),
    /// Here.
    Told(Content),
}

const DERIVED: u8 = 1;
const HAS_ID: u8 = 2;
const SHORT_UUID: u8 = 4;
const KNOWN: u8 = 8;
const TOLD: u8 = 16;
/// Its number and uuid are those of the row before it in its group.
const SAME_BOOK: u8 = 32;
/// Its number is the one at the end of its folder's name.
const ID_OF_FOLDER: u8 = 64;

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    formats: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    rows: u32,
    /// The group that may still grow.
    folder: Option<Vec<u8>>,
    waiting: Vec<u8>,
    first: u32,
    /// The number and uuid of the last row.
    book: (Option<i64>, Box<str>),
}

impl Packed {
    /// How many rows there are.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Adds a row; gives the place of its group where it begins one.
    pub(super) fn add(
        &mut self,
        folder: &[u8],
        name: &[u8],
        told: &Told<'_>,
        hash: Option<(Hash, i64)>,
    ) -> Result<Option<u32>, String> {
        let new = self.folder.as_deref() != Some(folder);
        if new {
            self.close();
            self.folder = Some(folder.to_vec());
            self.first = self.rows;
        }
        self.row(folder, name, told, hash);
        self.rows = self.rows.checked_add(1).ok_or("more rows than fit")?;
        // A group's bytes follow when it is closed, and begin here.
        let at = u32::try_from(self.bytes.len()).map_err(|_| "more rows than fit")?;
        Ok(new.then_some(at))
    }

    /// Ends the group that may still grow.
    pub(super) fn close(&mut self) {
        let Some(folder) = self.folder.take() else {
            return;
        };
        let mut head = Vec::with_capacity(folder.len() + 8);
        put_bytes(&mut head, &folder);
        put(&mut head, u64::from(self.first));
        put(&mut head, u64::from(self.rows - self.first));
        let need = head.len() + self.waiting.len() + 8;
        if self.bytes.capacity() - self.bytes.len() < need {
            // Doubling would cost twice the memory just after it.
            self.bytes
                .reserve_exact(need + 65_536 + self.bytes.len() / 8);
        }
        put(&mut self.bytes, (head.len() + self.waiting.len()) as u64);
        self.bytes.append(&mut head);
        self.bytes.append(&mut self.waiting);
    }

    fn row(&mut self, folder: &[u8], name: &[u8], told: &Told<'_>, hash: Option<(Hash, i64)>) {
        let format = self.format(told.format);
        let derived = derive(folder, name, told.format);
        let uuid = short_uuid(told.uuid);
        let follows = self.rows > self.first;
        let same = follows && self.book.0 == told.book_id && *self.book.1 == *told.uuid;
        if !same {
            self.book = (told.book_id, told.uuid.into());
        }
        let of_folder = told.book_id.is_some() && told.book_id == id_of(folder);
        let mut flags = 0;
        flags |= if same { SAME_BOOK } else { 0 };
        flags |= if of_folder { ID_OF_FOLDER } else { 0 };
        flags |= if derived.is_some() { DERIVED } else { 0 };
        flags |= if told.book_id.is_some() { HAS_ID } else { 0 };
        flags |= if uuid.is_some() { SHORT_UUID } else { 0 };
        flags |= match hash {
            Some((Hash::Known(_), _)) => KNOWN,
            Some((Hash::Told(_), _)) => TOLD,
            None => 0,
        };
        let out = &mut self.waiting;
        out.push(flags);
        put(out, u64::from(format));
        match derived {
            Some((title, author)) => out.extend([title, author]),
            None => put_bytes(out, name),
        }
        if let Some(id) = told.book_id.filter(|_| !same && !of_folder) {
            put(out, zigzag(id));
        }
        match uuid {
            _ if same => {}
            Some(uuid) => out.extend(uuid.to_be_bytes()),
            None => put_bytes(out, told.uuid.as_bytes()),
        }
        match hash {
            Some((Hash::Known(place), mtime)) => {
                out.extend(place.to_be_bytes());
                out.extend(mtime.to_be_bytes());
            }
            Some((Hash::Told(content), mtime)) => {
                out.extend(content.digest());
                put(out, content.size());
                out.extend(mtime.to_be_bytes());
            }
            None => {}
        }
    }

    fn format(&mut self, format: &str) -> u32 {
        if let Some(&number) = self.numbers.get(format) {
            return number;
        }
        let number = self.formats.len() as u32;
        self.formats.push(format.into());
        self.numbers.insert(format.into(), number);
        number
    }

    /// The places of all groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = u32> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let at = next;
            let mut bytes = Bytes(self.bytes.get(at..).filter(|rest| !rest.is_empty())?);
            let length = bytes.number() as usize;
            next = self.bytes.len() - bytes.0.len() + length;
            // As when it was added.
            Some(at as u32)
        })
    }

    fn head(&self, at: u32) -> (&[u8], u32, u32, Bytes<'_>) {
        let mut bytes = Bytes(&self.bytes[at as usize..]);
        let _ = bytes.number();
        let folder = bytes.counted();
        let (first, count) = (bytes.number() as u32, bytes.number() as u32);
        (folder, first, count, bytes)
    }

    /// The folder of a group.
    pub(super) fn folder(&self, at: u32) -> &[u8] {
        self.head(at).0
    }

    /// The numbers of the rows of a group.
    pub(super) fn numbers(&self, at: u32) -> std::ops::Range<u32> {
        let (_, first, count, _) = self.head(at);
        first..first + count
    }

    /// The rows of a group.
    pub(super) fn group<'a>(
        &'a self,
        at: u32,
        known: Option<&'a Set>,
    ) -> impl Iterator<Item = Row> + 'a {
        let (folder, first, count, mut bytes) = self.head(at);
        let mut book = (None, String::new());
        (first..first + count).map(move |number| {
            let row = self.read(&mut bytes, folder, number, &book, known);
            book.0 = row.book_id;
            book.1.clone_from(&row.uuid);
            row
        })
    }

    fn read(
        &self,
        bytes: &mut Bytes<'_>,
        folder: &[u8],
        number: u32,
        before: &(Option<i64>, String),
        known: Option<&Set>,
    ) -> Row {
        let flags = bytes.take(1)[0];
        let format = &self.formats[bytes.number() as usize];
        let name = match flags & DERIVED {
            0 => bytes.counted().to_vec(),
            _ => {
                let lengths = bytes.take(2);
                derived(folder, (lengths[0], lengths[1]), format)
            }
        };
        let (book_id, uuid) = if flags & SAME_BOOK != 0 {
            before.clone()
        } else {
            let book_id = match flags & ID_OF_FOLDER {
                0 => (flags & HAS_ID != 0).then(|| unzigzag(bytes.number())),
                _ => id_of(folder),
            };
            let uuid = match flags & SHORT_UUID {
                0 => String::from_utf8_lossy(bytes.counted()).into_owned(),
                _ => long_uuid(u128::from_be_bytes(bytes.array())),
            };
            (book_id, uuid)
        };
        let content = if flags & KNOWN != 0 {
            let place = u32::from_be_bytes(bytes.array());
            let mtime = i64::from_be_bytes(bytes.array());
            let content = known.and_then(|known| known.sorted().get(place as usize));
            content.map(|content| (*content, Some(place), mtime))
        } else if flags & TOLD != 0 {
            let digest: [u8; 20] = bytes.array();
            let size = bytes.number();
            let mtime = i64::from_be_bytes(bytes.array());
            Some((Content::of(&digest, size), None, mtime))
        } else {
            None
        };
        Row {
            number,
            likeness: Likeness::Same,
            folder: folder.to_vec(),
            name,
            book_id,
            format: format.to_string(),
            uuid,
            content,
        }
    }
}
