//! The known set read from files and pipes. A pipe of `mbs-hashes --follow` is read up to its
//! `caught_up` before the run, then on in the background, so that the set never grows stale.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read},
    ops::Range,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    sync::Arc,
    thread,
};

use rustix::{fs::OFlags, io::Errno};
use wire::{Diagnostics, Exit, Fatal, Item, OrFatal, Reader, Record, Writer, stop};

use super::{Content, Known, Set, samples::Samples};

/// A row of the server, by which it is found out whether it still has what a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its content.
    pub content: Content,
    /// Its ebook and its own id, where the file says so.
    pub ids: Option<(i64, i64)>,
    /// Its place among all that was read.
    pub at: u64,
}

/// What one file says.
#[derive(Debug)]
pub struct Claimed {
    /// The file, for people.
    pub file: String,
    /// The places of its rows.
    pub places: Range<u64>,
    /// Some of its rows.
    pub samples: Samples<Row>,
}

/// What was read, before it is believed.
pub struct Heard {
    set: Set,
    claims: Vec<Claimed>,
    following: Vec<Stream>,
}

/// Reads what the server is known to have: files, and pipes to the end of their first pass.
///
/// # Errors
/// A file cannot be opened or read. One that is cut short is only told of: the server's own check
/// decides.
pub fn read(files: &[impl AsRef<Path>], out: &Writer) -> Result<Heard, Fatal> {
    let (mut set, mut claims, mut following) = (Set::default(), Vec::new(), Vec::new());
    for file in files.iter().map(AsRef::as_ref) {
        let mut stream = Stream::open(file)?;
        let (first, mut samples) = (set.pushed(), Samples::default());
        let caught_up = stream.pass(|content, record| {
            let ebook = record.get::<i64>("ebook_id");
            samples.push(Row {
                content,
                ids: ebook.zip(record.get("source_id")),
                at: set.pushed(),
            });
            set.push(content);
        });
        let caught_up = caught_up.or_fatal(Exit::Usage, format_args!("{}: read", stream.shown))?;
        let rows = format!("{} contents are known", stream.rows);
        out.verbose(&stream.shown, "read", &rows);
        claims.push(Claimed {
            file: stream.shown.clone(),
            places: first..set.pushed(),
            samples,
        });
        match caught_up {
            true => following.push(stream),
            false => stream.ended(&out.diagnostics(), "the server decides about the rest"),
        }
    }
    Ok(Heard {
        set,
        claims,
        following,
    })
}

impl Heard {
    /// What the files say, each by itself.
    pub fn claims(&self) -> &[Claimed] {
        &self.claims
    }

    /// Believes it, but for what stands at these places, which are in order. What a pipe still brings is
    /// taken in as it comes, by threads that nobody waits for.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn believe(mut self, doubtful: &[Range<u64>], out: &Writer) -> Result<Known, Fatal> {
        self.set.take_out(doubtful);
        self.set.seal();
        let known = Known(Arc::new(self.set.into()));
        for stream in self.following {
            let (known, diagnostics) = (known.clone(), out.diagnostics());
            thread::Builder::new()
                .name("known".into())
                .spawn(move || stream.follow(&known, &diagnostics))
                .or_fatal(Exit::GaveUp, "known: start a thread")?;
        }
        Ok(known)
    }
}

/// Reads a file to its end, or a pipe to the end of its first pass, and hands over each content and
/// the record that named it. Says why the stream may not name all, where that is so.
///
/// # Errors
/// The file cannot be opened or read.
pub fn first_pass(
    file: &Path,
    each: impl FnMut(Content, &Record),
) -> Result<Option<String>, Fatal> {
    let mut stream = Stream::open(file)?;
    let caught_up = stream.pass(each);
    if caught_up.or_fatal(Exit::Usage, format_args!("{}: read", stream.shown))? {
        return Ok(None);
    }
    if stream.unusable > 0 {
        return Ok(Some(format!(
            "{} lines of it name no content",
            stream.unusable
        )));
    }
    if stream.rows == 0 && stream.others > 0 {
        return Ok(Some(
            "not one of its records names a content; mbs-hashes writes what is wanted".into(),
        ));
    }
    Ok(stream.reader.completeness().report().why)
}

struct Stream {
    reader: Reader<BufReader<Source>>,
    shown: String,
    pipe: bool,
    rows: u64,
    unusable: u64,
    /// Records of other types.
    others: u64,
}

impl Stream {
    fn open(path: &Path) -> Result<Stream, Fatal> {
        let shown = path.display().to_string();
        let source = Source::open(path).or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
        Ok(Stream {
            pipe: matches!(source, Source::Pipe(_)),
            reader: Reader::new(BufReader::with_capacity(1 << 16, source)),
            shown,
            rows: 0,
            unusable: 0,
            others: 0,
        })
    }

    /// Reads to the end, or of a pipe to its next `caught_up`; says whether that was it.
    fn pass(&mut self, mut each: impl FnMut(Content, &Record)) -> io::Result<bool> {
        while let Some(item) = self.reader.next_item()? {
            let named = match &item {
                Item::Record(record) if record.kind() == "known_hash" => record
                    .get::<u64>("size")
                    .and_then(|size| Content::new(&record.text("sha1")?, size))
                    .map(|content| (content, record)),
                Item::Record(record) if record.kind() == "caught_up" && self.pipe => {
                    return Ok(true);
                }
                Item::Record(_) => {
                    self.others += 1;
                    continue;
                }
                Item::Unusable(..) => None,
            };
            match named {
                Some((content, record)) => {
                    self.rows += 1;
                    each(content, record);
                }
                None => self.unusable += 1,
            }
        }
        Ok(false)
    }

    fn follow(mut self, known: &Known, diagnostics: &Diagnostics) {
        loop {
            match self.pass(|content, _| known.add(content)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return diagnostics.warn(&self.shown, "read", &error.to_string()),
            }
        }
        // A signal to all of a pipeline ends this one, too.
        if !stop::requested() {
            let rows = format!("ended after {} contents", self.rows);
            diagnostics.warn(&self.shown, "follow", &rows);
            self.ended(
                diagnostics,
                "what others send from now on is left to the server's check",
            );
        }
    }

    fn ended(self, diagnostics: &Diagnostics, then: &str) {
        if self.unusable > 0 {
            let lines = format!("{} lines name no content", self.unusable);
            diagnostics.warn(&self.shown, "read", &lines);
        }
        if let Some(why) = self.reader.completeness().report().why {
            diagnostics.warn(&self.shown, "read", &format!("{why}; {then}"));
        }
    }
}

/// A file, or something that may keep us waiting.
enum Source {
    File(File),
    Pipe(File),
}

impl Source {
    /// Opens without waiting for the writer of a FIFO: that could not be interrupted.
    fn open(path: &Path) -> io::Result<Source> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)?;
        let kind = file.metadata()?.file_type();
        Ok(match kind.is_file() || kind.is_dir() {
            true => Source::File(file),
            false => Source::Pipe(file),
        })
    }
}

impl Read for Source {
    /// A pipe ends when the process is asked to stop.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pipe = match self {
            Source::File(file) => return file.read(buffer),
            Source::Pipe(pipe) => pipe,
        };
        while !stop::requested() {
            if stop::wait_readable(pipe.as_fd(), None)? {
                match rustix::io::read(&*pipe, &mut *buffer) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    read => return read.map_err(Into::into),
                }
            }
        }
        Ok(0)
    }
}
