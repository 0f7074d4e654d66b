//! One file's way to the server, step by step. Each step can be taken again after a failure; the
//! steps that must not be done twice first ask what became of the earlier try.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    attempt::{Next, chance},
    book::Book,
    check::{self, Verdict},
    ebook::{self, Added},
    extract::{self, Since},
    failure::Failure,
    floor::{Floor, Held},
    job::Job,
    language::{self, Choice},
    matching,
    outcome::{Kind, Outcome},
    server::Server,
    upload::{self, Form},
    wanted::{self, Wanted},
};

/// A file from this size on is asked about a second time with the form around it: the server's
/// limit is one for the whole request, and its refusal may be lost with the connection.
const LARGE: u64 = 32 << 20;

/// Failures of one file in all its steps, as a multiple of those that one step may have.
const IN_ALL: u32 = 4;

/// The step that is next.
#[derive(Clone, Debug)]
enum Step {
    Check,
    Send,
    Extract {
        file: String,
        since: Since,
    },
    Describe {
        upload: i64,
    },
    Place {
        upload: i64,
        wanted: Wanted,
    },
    Create {
        upload: i64,
        wanted: Wanted,
    },
    Add {
        upload: i64,
        wanted: Wanted,
        ebook: i64,
    },
}

/// A file under way.
pub struct Errand<'a> {
    server: &'a Server,
    floor: &'a Floor,
    job: &'a Job,
    dry_run: bool,
    sent: &'a dyn Fn(u64),
    book: Book,
    step: Step,
    /// The last try of this step may have been done by the server.
    in_doubt: bool,
    /// The file's name on the server, to find its row by.
    uploaded: Option<(String, Since)>,
    /// The ebook that this errand made and that is still empty.
    made: Option<i64>,
    genres: Vec<i64>,
    series: Option<i64>,
    failures: u32,
    late: Option<Held<'a>>,
    /// Steps of which one try may have been done unheard.
    doubted: Doubted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Doubted {
    create: bool,
    add: bool,
}

/// How an errand ended.
#[derive(Debug)]
pub struct End {
    /// For the record.
    pub outcome: Outcome,
    /// The last failure, where it failed.
    pub failure: Option<Failure>,
}

/// Does the engine lack what it needs for this file: a format of that extension, or LibreOffice to
/// convert a `.doc`?
fn lacks_for_good(why: &str) -> bool {
    why.contains("format_id") || why.contains("soffice")
}

type Stepped = Result<Option<Outcome>, Failure>;

impl<'a> Errand<'a> {
    /// The way of `job`; `sent` is told the bytes as they go.
    pub fn new(
        server: &'a Server,
        floor: &'a Floor,
        job: &'a Job,
        dry_run: bool,
        sent: &'a dyn Fn(u64),
    ) -> Errand<'a> {
        Errand {
            server,
            floor,
            job,
            dry_run,
            sent,
            book: job.book.clone(),
            step: Step::Check,
            in_doubt: false,
            uploaded: None,
            made: None,
            genres: Vec::new(),
            series: None,
            failures: 0,
            late: None,
            doubted: Doubted::default(),
        }
    }

    /// Goes the whole way.
    pub fn run(mut self) -> End {
        let (mut outcome, failure) = self.go();
        if self.made.is_some() && outcome.kind != Kind::Uploaded {
            self.clear_away(&mut outcome);
        }
        if self.doubted.create {
            self.clear_twins(&outcome);
        }
        outcome
            .notes
            .splice(0..0, std::mem::take(&mut self.book.notes));
        outcome.attempts += self.failures;
        if matches!(outcome.kind, Kind::Uploaded | Kind::Duplicate) {
            self.floor.now_known(self.job.content);
        }
        End { outcome, failure }
    }

    fn go(&mut self) -> (Outcome, Option<Failure>) {
        if let Some(outcome) = self.without_asking() {
            return (outcome, None);
        }
        let mut failed = 0;
        loop {
            match self.advance() {
                Ok(Some(outcome)) => {
                    return (
                        Outcome {
                            attempts: 1,
                            ..outcome
                        },
                        None,
                    );
                }
                Ok(None) => failed = 0,
                Err(failure) => {
                    failed += 1;
                    self.note_doubt(&failure);
                    let policy = self.server.policy;
                    let in_all = self.failures >= policy.retries.saturating_mul(IN_ALL);
                    match policy.next(&failure, failed, chance()) {
                        Next::Wait(pause) if !in_all => {
                            self.failures += 1;
                            thread::sleep(pause);
                        }
                        _ => return self.give_up(failure),
                    }
                }
            }
        }
    }

    fn note_doubt(&mut self, failure: &Failure) {
        if failure.in_doubt() {
            self.in_doubt = true;
            self.doubted.create |= matches!(self.step, Step::Create { .. });
            self.doubted.add |= matches!(self.step, Step::Add { .. });
        }
    }

    fn without_asking(&self) -> Option<Outcome> {
        if self.floor.is_known(&self.job.content) {
            return Some(Outcome::duplicate("known"));
        }
        if self.job.content.size() == 0 {
            return Some(Outcome::because(Kind::Unsupported, "the file is empty"));
        }
        if self.job.extension.is_empty() {
            let why = "the file has no extension";
            return Some(Outcome::because(Kind::Unsupported, why));
        }
        if !self
            .job
            .extension
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            let why = format!("no format is called {:?}", self.job.extension);
            return Some(Outcome::because(Kind::Unsupported, why));
        }
        let most = self
            .server
            .max_size
            .filter(|_| self.server.is_over(&self.job.content));
        most.map(|most| Outcome::because(Kind::TooBig, format!("larger than --max-size {most}")))
    }

    /// Takes the next step; an outcome ends the errand.
    fn advance(&mut self) -> Stepped {
        match self.step.clone() {
            Step::Check => self.check(),
            Step::Send => self.send(),
            Step::Extract { file, since } => self.extract(file, since),
            Step::Describe { upload } => self.describe(upload),
            Step::Place { upload, wanted } => self.place(upload, wanted),
            Step::Create { upload, wanted } => self.create(upload, wanted),
            Step::Add {
                upload,
                wanted,
                ebook,
            } => self.add(upload, wanted, ebook),
        }
    }

    fn then(&mut self, step: Step) -> Stepped {
        self.step = step;
        self.in_doubt = false;
        Ok(None)
    }

    fn check(&mut self) -> Stepped {
        upload::look(&self.job.path, &self.job.content)?;
        let question = self.job.question();
        let verdict = match &self.job.checked {
            Some(verdict) if self.failures == 0 => verdict.clone(),
            _ => check::one(&self.server.api, &question)?,
        };
        match verdict {
            Verdict::Wanted => {}
            Verdict::Exists => return Ok(Some(Outcome::duplicate("check"))),
            Verdict::TooBig(why) => return Ok(Some(Outcome::because(Kind::TooBig, why))),
            Verdict::Unsupported(why) => return Ok(Some(Outcome::because(Kind::Unsupported, why))),
        }
        if self.job.content.size() >= LARGE {
            let length = self.form().length(self.job.content.size());
            if !check::body_fits(&self.server.api, &question, length)? {
                let why = format!("with the form around it, {length} bytes, too big");
                return Ok(Some(Outcome::because(Kind::TooBig, why)));
            }
        }
        if let Choice::Lacking =
            language::choose(&self.book.languages, &self.server.offer.languages)
        {
            return Ok(Some(self.lacking_language()));
        }
        if self.dry_run {
            return Ok(Some(Outcome::new(Kind::WouldUpload)));
        }
        self.then(Step::Send)
    }

    fn form(&self) -> Form {
        Form::new(
            &self.job.content,
            &self.job.extension,
            &format!("{:016x}", chance()),
        )
    }

    fn lacking_language(&self) -> Outcome {
        let named = self.book.languages.join(", ");
        let has: Vec<_> = self
            .server
            .offer
            .languages
            .iter()
            .map(|l| l.code.as_str())
            .collect();
        let why = format!("language {named}: the server has {}", has.join(", "));
        Outcome::because(Kind::Unsupported, why)
    }

    fn send(&mut self) -> Stepped {
        let form = self.form();
        let (api, job) = (&self.server.api, self.job);
        // A second try asks before it sends: the first may have broken on a refusal.
        match form.send(api, &job.path, &job.content, self.in_doubt, self.sent) {
            Ok(file) => {
                let since = Since::now(self.server);
                self.uploaded = Some((file.clone(), since));
                self.then(Step::Extract { file, since })
            }
            Err(Failure::Said { error, .. }) => Ok(Some(match error.as_str() {
                "file already exists" => Outcome::duplicate("upload"),
                "file too big" => Outcome::because(Kind::TooBig, error),
                other if other.starts_with("unsupported") => {
                    Outcome::because(Kind::Unsupported, other)
                }
                other => return Err(Failure::Refused(other.into())),
            })),
            Err(Failure::TooLarge(why)) => Ok(Some(Outcome::because(Kind::TooBig, why))),
            Err(other) => Err(other),
        }
    }

    fn extract(&mut self, file: String, since: Since) -> Stepped {
        let found = match self.in_doubt {
            true => extract::find(self.server, &file, since)?,
            false => None,
        };
        let upload = match found {
            Some(upload) => Ok(upload),
            None => extract::extract(self.server, &file, &self.proposal(), since),
        };
        match upload {
            Ok(upload) => self.then(Step::Describe { upload }),
            Err(Failure::Task(why)) if lacks_for_good(&why) => Ok(Some(Outcome::because(
                Kind::Unsupported,
                format!("metadata task: {why}"),
            ))),
            Err(Failure::Task(why)) if why.contains("does not exist") => {
                // The uploaded file is gone: somebody cleaned up. Send it again.
                self.step = Step::Send;
                Err(Failure::Task(why))
            }
            Err(other) => Err(other),
        }
    }

    /// The metadata that the engine is to take instead of what it finds in the file.
    fn proposal(&self) -> Value {
        let mut meta = json!({});
        if let Some(title) = &self.book.title {
            meta["title"] = title.as_str().into();
        }
        if !self.book.authors.is_empty() {
            meta["authors"] = wanted::authors(&self.book.authors);
        }
        if let Some(language) = self.language() {
            meta["language"] = json!({"code": language.code});
        }
        if let Some(series) = &self.book.series {
            meta["series"] = json!({"title": series.title});
            if let Some(index) = series.index {
                meta["series_index"] = index.into();
            }
        }
        if self.book.stated {
            let names = self.genre_names();
            meta["genres"] = names.map(|name| json!({"name": name})).collect();
        }
        meta
    }

    /// The tags that are genres or may be.
    fn genre_names(&self) -> impl Iterator<Item = &str> {
        let offer = &self.server.offer;
        let tags = self
            .book
            .tags
            .iter()
            .map(|tag| tag.trim())
            .filter(|tag| !tag.is_empty());
        tags.filter(|tag| offer.genre(tag) != Some(None))
    }

    fn language(&self) -> Option<&language::Language> {
        match language::choose(&self.book.languages, &self.server.offer.languages) {
            Choice::Found(language) => Some(language),
            Choice::Lacking => None,
            Choice::None => self.server.default_language.as_ref(),
        }
    }

    /// Completes the book by what the engine found, where something is missing that only it knows.
    fn describe(&mut self, upload: i64) -> Stepped {
        let offer = &self.server.offer;
        let series = self.book.series.as_ref();
        let known = self.book.stated
            && !self.book.authors.is_empty()
            && self.language().is_some()
            && series.is_none_or(|series| offer.series(&series.title).is_some())
            && self.genre_names().all(|tag| offer.genre(tag).is_some());
        if !known {
            let row = match extract::read(self.server, upload) {
                Ok(row) => row,
                Err(Failure::NotFound(_)) => {
                    return self.extract_again("its row of metadata is gone");
                }
                Err(other) => return Err(other),
            };
            let hash = row.get("hash").and_then(Value::as_str);
            if hash.is_some_and(|hash| hash != self.job.content.sha1()) {
                self.step = Step::Send;
                return Err(Failure::Server(
                    "the server stored other bytes than were sent".into(),
                ));
            }
            self.learn(row.get("meta").unwrap_or(&Value::Null));
        }
        let Some(language) = self.language().map(|language| language.id) else {
            return Ok(Some(match self.book.languages.is_empty() {
                true => Outcome::because(
                    Kind::Unsupported,
                    "no language is known: --default-language",
                ),
                false => self.lacking_language(),
            }));
        };
        self.resolve();
        if !self.job.knows_its_book() && self.late.is_none() {
            self.late = Some(self.floor.hold(wanted::claims(&self.book)));
        }
        let wanted = Wanted::new(&self.book, language);
        self.then(Step::Place { upload, wanted })
    }

    /// Takes over what the engine found and resolved.
    fn learn(&mut self, meta: &Value) {
        let offer = &self.server.offer;
        let id = |value: &Value| value.get("id").and_then(Value::as_i64);
        let proposed: Vec<String> = self.genre_names().map(String::from).collect();
        let made_up = upload::made_up_name(&self.job.content);
        self.book
            .complete(meta, &made_up, &self.job.stem(), &self.job.extension);
        let found = meta
            .get("genres")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let names = if self.book.stated {
            proposed
        } else {
            self.book.tags.clone()
        };
        // The engine answers each name in its place, under its own name for it.
        if names.len() == found.len() {
            for (name, genre) in names.iter().zip(found) {
                offer.learn_genre(name, id(genre));
            }
        }
        if let (Some(series), Some(found)) = (&self.book.series, meta.get("series"))
            && let Some(id) = id(found)
        {
            offer.learn_series(&series.title, id);
        }
    }

    /// Looks up genres and series; what is no genre is left out and noted.
    fn resolve(&mut self) {
        let offer = &self.server.offer;
        let mut lacking = Vec::new();
        self.genres.clear();
        for tag in self.book.tags.iter().filter(|tag| !tag.trim().is_empty()) {
            match offer.genre(tag).flatten() {
                Some(id) if !self.genres.contains(&id) => self.genres.push(id),
                Some(_) => {}
                None => lacking.push(tag.as_str()),
            }
        }
        self.series = self
            .book
            .series
            .as_ref()
            .and_then(|series| offer.series(&series.title));
        if !lacking.is_empty() {
            let note = format!("tags that are no genres left out: {}", lacking.join(", "));
            self.book.notes.push(note);
        }
    }

    fn extract_again(&mut self, why: &str) -> Stepped {
        self.step = match self.uploaded.clone() {
            Some((file, since)) => Step::Extract { file, since },
            None => Step::Send,
        };
        Err(Failure::Task(why.into()))
    }

    fn place(&mut self, upload: i64, wanted: Wanted) -> Stepped {
        let there = match self.server.placed.get(&wanted) {
            Some(ebook) => Some(ebook),
            None => matching::find(&self.server.api, &wanted)?,
        };
        self.then(match there {
            Some(ebook) => Step::Add {
                upload,
                wanted,
                ebook,
            },
            None => Step::Create { upload, wanted },
        })
    }

    fn create(&mut self, upload: i64, wanted: Wanted) -> Stepped {
        if self.in_doubt
            && let Some(ebook) = self.created(&wanted)?
        {
            return self.then(Step::Add {
                upload,
                wanted,
                ebook,
            });
        }
        // From here on it may be done without our hearing of it.
        let body = wanted.body(self.series, &self.genres);
        match ebook::create(&self.server.api, &body) {
            Ok(ebook) => {
                self.made = Some(ebook);
                self.then(Step::Add {
                    upload,
                    wanted,
                    ebook,
                })
            }
            Err(failure) => {
                if let (Some(series), true) = (&wanted.series, failure.in_doubt()) {
                    // A series that was merged away in the meantime makes the server answer 500.
                    self.server.offer.forget_series(&series.title);
                    self.series = None;
                }
                Err(failure)
            }
        }
    }

    /// The ebook that an earlier try made without our hearing of it. Before that try there was none.
    fn created(&mut self, wanted: &Wanted) -> Result<Option<i64>, Failure> {
        let Some(ebook) = matching::find(&self.server.api, wanted)? else {
            return Ok(None);
        };
        let Some(found) = ebook::get(&self.server.api, ebook)? else {
            return Ok(None);
        };
        let ours = found.created_by.is_some() && found.created_by == self.server.api.user_id();
        if ours && found.sources.is_empty() {
            self.made = Some(ebook);
        }
        Ok(Some(ebook))
    }

    fn add(&mut self, upload: i64, wanted: Wanted, ebook: i64) -> Stepped {
        if self.doubted.add
            && let Some(outcome) = self.added(&wanted, ebook)?
        {
            return Ok(Some(outcome));
        }
        match ebook::add(&self.server.api, ebook, upload) {
            Ok(Added::Source(source)) => Ok(Some(self.arrived(&wanted, ebook, Some(source)))),
            Ok(Added::Exists {
                source,
                ebook: there,
            }) if self.doubted.add && there == Some(ebook) => {
                Ok(Some(self.arrived(&wanted, ebook, source)))
            }
            Ok(Added::Exists { source, ebook }) => Ok(Some(Outcome {
                ebook,
                source,
                ..Outcome::duplicate("add")
            })),
            Err(Failure::NotFound(_)) => self.missing(wanted, upload, ebook),
            Err(other) => Err(other),
        }
    }

    /// Did an earlier try add the file without our hearing of it?
    fn added(&mut self, wanted: &Wanted, ebook: i64) -> Stepped {
        if check::one(&self.server.api, &self.job.question())? != Verdict::Exists {
            return Ok(None);
        }
        let there = ebook::get(&self.server.api, ebook)?;
        let source = there.and_then(|e| e.source_like(&self.job.content, &self.job.extension));
        Ok(Some(match source {
            Some(_) => self.arrived(wanted, ebook, source),
            None => Outcome::duplicate("add"),
        }))
    }

    fn arrived(&mut self, wanted: &Wanted, ebook: i64, source: Option<i64>) -> Outcome {
        self.server.placed.put(wanted, ebook);
        Outcome {
            ebook: Some(ebook),
            source,
            ..Outcome::new(Kind::Uploaded)
        }
    }

    /// The ebook or the upload's row is not there: which?
    fn missing(&mut self, wanted: Wanted, upload: i64, ebook: i64) -> Stepped {
        if ebook::get(&self.server.api, ebook)?.is_some() {
            // An addition that was done unheard takes the row with it.
            if self.doubted.add
                && let Some(outcome) = self.added(&wanted, ebook)?
            {
                return Ok(Some(outcome));
            }
            return self.extract_again("its row of metadata is gone");
        }
        self.server.placed.forget(&wanted);
        self.made = None;
        self.step = Step::Place { upload, wanted };
        self.in_doubt = false;
        Err(Failure::Server(format!(
            "ebook {ebook} has been removed meanwhile"
        )))
    }

    /// No more tries: says so, unless the last one was a success after all.
    fn give_up(&mut self, failure: Failure) -> (Outcome, Option<Failure>) {
        if self.in_doubt {
            match self.step.clone() {
                Step::Add { wanted, ebook, .. } => {
                    if let Ok(Some(outcome)) = self.added(&wanted, ebook) {
                        return (
                            Outcome {
                                attempts: 1,
                                ..outcome
                            },
                            None,
                        );
                    }
                }
                // Only to know what is to be cleared away.
                Step::Create { wanted, .. } => drop(self.created(&wanted)),
                _ => {}
            }
        }
        let mut outcome = Outcome::because(Kind::Failed, failure.to_string());
        outcome.attempts = 1;
        if self.made.is_none() && self.in_doubt && matches!(self.step, Step::Create { .. }) {
            outcome
                .notes
                .push("an ebook without a file may have been left".into());
        }
        (outcome, Some(failure))
    }

    /// A creation that was not heard of may have come to its end only after we asked for it and tried
    /// again: then a second ebook, empty, stands beside the right one. There was none before.
    fn clear_twins(&self, outcome: &Outcome) {
        let (Step::Create { wanted, .. } | Step::Add { wanted, .. }) = &self.step else {
            return;
        };
        let api = &self.server.api;
        for ebook in matching::twins(api, wanted).unwrap_or_default() {
            let ours = |e: &ebook::Ebook| e.created_by.is_some() && e.created_by == api.user_id();
            if Some(ebook) != outcome.ebook
                && let Ok(Some(found)) = ebook::get(api, ebook)
                && ours(&found)
            {
                // What is not empty stays; what cannot be removed was told of, or is seen later.
                let _ = ebook::remove_if_empty(api, ebook);
            }
        }
    }

    /// Removes the ebook that we made and that got no file.
    fn clear_away(&mut self, outcome: &mut Outcome) {
        let Some(ebook) = self.made.take() else {
            return;
        };
        let policy = self.server.policy;
        for failed in 1.. {
            match ebook::remove_if_empty(&self.server.api, ebook) {
                Ok(_) => return,
                Err(failure) => match policy.next(&failure, failed, chance()) {
                    Next::Wait(pause) => thread::sleep(pause.min(Duration::from_secs(30))),
                    Next::GiveUp => {
                        outcome.notes.push(format!(
                            "ebook {ebook} may be left without a file: {failure}"
                        ));
                        return;
                    }
                },
            }
        }
    }
}
