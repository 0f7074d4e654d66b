//! Reads a CSV export where only somebody else can reach the database.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::Path,
    rc::Rc,
    str,
};

use csv::{ByteRecord, ReaderBuilder};
use mbs_hashes::source::Source;
use wire::{Exit, Fatal, OrFatal, Writer, records::Summary, stop};

use crate::records::RowWriter;

/// Our name of each column, and the server's.
const COLUMNS: [(&str, &str); 6] = [
    ("source_id", "id"),
    ("ebook_id", "ebook_id"),
    ("sha1", "hash"),
    ("size", "size"),
    ("location", "location"),
    ("format", "extension"),
];

/// Streams the file's rows; `-` is standard input.
///
/// # Errors
/// A [`Fatal`] when the file cannot be read or its header is not that of the export.
pub(crate) fn stream(file: &Path, out: Writer) -> anyhow::Result<Exit> {
    let name = file.display().to_string();
    let ended = Rc::new(Cell::new(b'\n'));
    let bytes = LastByte {
        inner: open(file).or_fatal(Exit::Usage, format_args!("{name}: open"))?,
        last: Rc::clone(&ended),
    };
    let mut rows = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let reading = format!("{name}: read");
    let header = rows.byte_headers().or_fatal(Exit::GaveUp, &reading)?;
    let columns = Columns::find(header)
        .map_err(|reason| Fatal::new(Exit::Usage, format_args!("{name}: header: {reason}")))?;
    let mut known = RowWriter::new(&out);
    let (mut row, mut next) = (ByteRecord::new(), ByteRecord::new());
    let mut count = RowCount::default();
    let mut more = rows
        .read_byte_record(&mut row)
        .or_fatal(Exit::GaveUp, &reading)?;
    while more && !stop::requested() {
        // Whether a row is the last one, and whole, shows only when the next is asked for.
        more = rows
            .read_byte_record(&mut next)
            .or_fatal(Exit::GaveUp, &reading)?;
        let cut = !more && (ended.get() != b'\n' || row.len() != columns.count);
        count.add(columns.announced(&row), cut);
        let line = row.position().map_or(0, csv::Position::line);
        // What a broken line seems to say may be the beginning of something else.
        let source = if cut {
            Source::default()
        } else {
            columns.source(&row)
        };
        known.write_from(&source, || format!("{name}:{line}"))?;
        std::mem::swap(&mut row, &mut next);
    }
    let incomplete = count.incomplete();
    if let Some(why) = &incomplete {
        out.warn(&name, "read", why);
    }
    Ok(out.finish(Summary {
        complete: incomplete.is_none(),
        ..Summary::default()
    })?)
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    Ok(if file == Path::new("-") {
        Box::new(stop::stdin())
    } else {
        Box::new(File::open(file)?)
    })
}

/// Is the file whole? A cut between two lines shows nowhere but in a count.
#[derive(Debug, Default)]
struct RowCount {
    rows: u64,
    /// What the first row says of the number of rows; every row must say the same.
    announced: Option<u64>,
    differs: bool,
    cut: bool,
}

impl RowCount {
    fn add(&mut self, announced: Option<u64>, cut: bool) {
        if self.rows == 0 {
            self.announced = announced;
        }
        self.rows += 1;
        self.cut |= cut;
        self.differs |= announced != self.announced && !cut;
    }

    fn incomplete(&self) -> Option<String> {
        let rows = self.rows;
        match self.announced {
            _ if self.cut => Some("the file is cut short: its last line is not whole".into()),
            _ if rows == 0 => Some("no rows, so nothing proves that the file is whole".into()),
            Some(announced) if announced == rows && !self.differs => None,
            Some(announced) if !self.differs => {
                Some(format!("the file is not whole: {rows} rows of {announced}"))
            }
            _ => Some(
                "nothing proves that the file is whole; the query in --help has a column rows for that"
                    .into(),
            ),
        }
    }
}

/// Where the header has each column.
struct Columns {
    places: [usize; 6],
    rows: Option<usize>,
    count: usize,
}

impl Columns {
    fn find(header: &ByteRecord) -> Result<Columns, String> {
        let place = |name: &str| {
            header
                .iter()
                .position(|column| column.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        let mut places = [0; 6];
        for (found, (ours, theirs)) in places.iter_mut().zip(COLUMNS) {
            *found = place(ours).or_else(|| place(theirs)).ok_or_else(|| {
                format!("no column {ours}; the query to export with is in --help")
            })?;
        }
        Ok(Columns {
            places,
            rows: place("rows"),
            count: header.len(),
        })
    }

    fn source<'a>(&self, row: &'a ByteRecord) -> Source<'a> {
        if row.len() != self.count {
            return Source::default();
        }
        let field = |i: usize| row.get(self.places[i]).filter(|value| !value.is_empty());
        let number = |i: usize| str::from_utf8(field(i)?).ok()?.parse().ok();
        Source {
            id: number(0),
            ebook_id: number(1),
            hash: field(2),
            size: number(3),
            location: field(4),
            format: field(5),
        }
    }

    fn announced(&self, row: &ByteRecord) -> Option<u64> {
        str::from_utf8(row.get(self.rows?)?).ok()?.parse().ok()
    }
}

/// Remembers how the file ends: psql ends every line.
struct LastByte<R> {
    inner: R,
    last: Rc<Cell<u8>>,
}

impl<R: Read> Read for LastByte<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(&last) = buffer[..count].last() {
            self.last.set(last);
        }
        Ok(count)
    }
}
