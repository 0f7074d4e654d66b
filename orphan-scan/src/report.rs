//! What a run came to, for people: totals, where the space is, samples, and how sure it is. As text, as
//! one page without anything beside it, or as JSON.

mod json;
mod page;
mod text;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
};

use crate::{
    books,
    classes::{Class, Removable},
};

/// Samples of each class that are shown.
const SAMPLES: usize = 10;
/// Formats and authors that are shown by name.
const SHOWN: usize = 20;
/// Beyond this many authors only the sums grow; no library has as many.
const AUTHORS: usize = 2_000_000;

/// Files and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum {
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl Sum {
    /// One more file.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.files += 1;
    }

    /// Takes in another sum.
    pub fn merge(&mut self, other: Sum) {
        self.bytes += other.bytes;
        self.files += other.files;
    }
}

/// What one thread saw, or all.
#[derive(Clone, Debug, Default)]
pub struct Part {
    classes: HashMap<Class, Sum>,
    formats: HashMap<Box<str>, Sum>,
    authors: HashMap<Box<str>, Sum>,
    samples: HashMap<Class, Vec<Box<str>>>,
    /// Of all that may be removed.
    removable: Sum,
}

impl Part {
    /// One finding, by its path relative to the library.
    pub fn add(&mut self, class: Class, removable: Removable, path: &[u8], bytes: u64) {
        self.classes.entry(class).or_default().add(bytes);
        let shown = String::from_utf8_lossy(path);
        let samples = self.samples.entry(class).or_default();
        // The first by name, so that two runs show the same.
        let at = samples.partition_point(|other| **other < *shown);
        if at < SAMPLES {
            samples.insert(at, shown.as_ref().into());
            samples.truncate(SAMPLES);
        }
        if class == Class::Missing {
            return;
        }
        if removable == Removable::Yes {
            self.removable.add(bytes);
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let format = match books::is_book(name) {
            true => books::extension(name)
                .unwrap_or_default()
                .to_ascii_lowercase(),
            false => b"other files".to_vec(),
        };
        let format = String::from_utf8_lossy(&format).into_owned();
        self.formats.entry(format.into()).or_default().add(bytes);
        let author = match shown.split_once('/') {
            Some((author, _)) => author,
            None => "(at the top)",
        };
        if self.authors.len() < AUTHORS || self.authors.contains_key(author) {
            match self.authors.get_mut(author) {
                Some(sum) => sum.add(bytes),
                None => {
                    let first = Sum { bytes, files: 1 };
                    self.authors.insert(author.into(), first);
                }
            }
        }
    }

    /// Takes in another thread's.
    pub fn merge(&mut self, other: Part) {
        for (class, sum) in other.classes {
            self.classes.entry(class).or_default().merge(sum);
        }
        for (format, sum) in other.formats {
            self.formats.entry(format).or_default().merge(sum);
        }
        for (author, sum) in other.authors {
            self.authors.entry(author).or_default().merge(sum);
        }
        for (class, samples) in other.samples {
            let all = self.samples.entry(class).or_default();
            all.extend(samples);
            all.sort_unstable();
            all.truncate(SAMPLES);
        }
        self.removable.merge(other.removable);
    }

    fn class(&self, class: Class) -> Sum {
        self.classes.get(&class).copied().unwrap_or_default()
    }

    /// Those that are there, in the order of the decision.
    fn classes(&self) -> Vec<(&'static str, Sum)> {
        let named = Class::ALL.map(|class| (class.name(), self.class(class)));
        named.into_iter().filter(|(_, sum)| sum.files > 0).collect()
    }

    fn total(&self) -> Sum {
        let mut total = Sum::default();
        for (class, sum) in &self.classes {
            if *class != Class::Missing {
                total.merge(*sum);
            }
        }
        total
    }
}

/// The largest by bytes, and what all the others come to.
fn largest(sums: &HashMap<Box<str>, Sum>) -> Vec<(String, Sum)> {
    let mut all: Vec<_> = sums.iter().map(|(name, sum)| (*sum, name)).collect();
    all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut others = Sum::default();
    let many = all.len().saturating_sub(SHOWN);
    all.iter()
        .skip(SHOWN)
        .for_each(|(sum, _)| others.merge(*sum));
    let mut shown: Vec<_> = all
        .into_iter()
        .take(SHOWN)
        .map(|(sum, name)| (name.to_string(), sum))
        .collect();
    if many > 0 {
        shown.push((format!("{many} others"), others));
    }
    shown
}

/// What a report says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which program, and what it did: `orphan-scan`.
    pub tool: String,
    /// What it was about: the library's folder.
    pub subject: String,
    /// When it was made, RFC 3339.
    pub at: String,
    /// What was found.
    pub part: Part,
    /// Outcomes of a run that acts, files and bytes of each: removed, kept, failed.
    pub outcomes: Vec<(String, Sum)>,
    /// What a person must know before believing it.
    pub warnings: Vec<String>,
    /// How sure it is: what was asked, and what was not. Where the journal is.
    pub notes: Vec<String>,
    /// Was it all?
    pub complete: bool,
}

/// Can a report be written to this file? Asked before the work whose report it is.
///
/// # Errors
/// No file can be made in its folder.
pub fn may_write(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    tempfile::tempfile_in(folder).map(drop)
}

/// A report's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain text.
    Text,
    /// One page.
    Page,
    /// One JSON object.
    Json,
}

impl Form {
    /// By the file's extension: txt, html or json.
    ///
    /// # Errors
    /// It is another one.
    pub fn of(file: &Path) -> Result<Form, String> {
        let extension = file.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("txt") => Ok(Form::Text),
            Some("html" | "htm") => Ok(Form::Page),
            Some("json") => Ok(Form::Json),
            _ => Err("a report's name ends in .txt, .html or .json".into()),
        }
    }
}

impl Report {
    /// The totals, in one sentence.
    fn in_all(&self) -> String {
        let total = self.part.total();
        let all = format!("In all {} files, {}", total.files, human(total.bytes));
        // What became of them, where something did, is among the outcomes.
        if !self.outcomes.is_empty() {
            return all;
        }
        let Sum { files, bytes } = self.part.removable;
        // Those are on record in Calibre.
        let by_name = match self.part.class(Class::DuplicateOfServer).files {
            0 => "",
            _ => ", those of duplicate_of_server only by that name (--classes)",
        };
        format!(
            "{all}; {files} files, {} may be removed{by_name}",
            human(bytes)
        )
    }

    /// The report in a form.
    pub fn render(&self, form: Form) -> String {
        match form {
            Form::Text => text::render(self),
            Form::Page => page::render(self),
            Form::Json => json::render(self),
        }
    }

    /// Puts the report into a file by its extension; what was there is replaced at once or not at all.
    ///
    /// # Errors
    /// The name has another extension, or the file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let form = Form::of(file).map_err(io::Error::other)?;
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let mut new = tempfile::Builder::new()
            .permissions(mode)
            .tempfile_in(folder)?;
        new.write_all(self.render(form).as_bytes())?;
        new.persist(file).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Bytes as people read them, in powers of 1024.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_people_read_them() {
        let shown = [0, 1023, 1024, 1_048_575, 1 << 20, u64::MAX].map(human);
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "16.0 EiB"]
        );
    }

    #[test]
    fn parts_come_to_the_same_in_any_order() {
        let entries: Vec<_> = (0..50u64)
            .map(|i| (format!("Author {}/Book/{i:02}.epub", i % 30), i))
            .collect();
        let sum = |groups: &[&[(String, u64)]]| {
            let mut all = Part::default();
            for group in groups {
                let mut part = Part::default();
                for (path, bytes) in *group {
                    part.add(
                        Class::Untracked,
                        Removable::Unknown,
                        path.as_bytes(),
                        *bytes,
                    );
                }
                all.merge(part);
            }
            Report {
                part: all,
                ..Report::default()
            }
            .render(Form::Json)
        };
        let whole = sum(&[&entries]);
        assert_eq!(whole, sum(&[&entries[20..], &entries[..20]]));
        assert!(whole.contains("10 others"), "{whole}");
    }

    #[test]
    fn the_form_goes_by_the_extension() {
        assert_eq!(Form::of(Path::new("a/b.HTML")), Ok(Form::Page));
        assert_eq!(Form::of(Path::new("b.json")), Ok(Form::Json));
        assert!(Form::of(Path::new("b")).is_err() && Form::of(Path::new("b.pdf")).is_err());
    }
}
