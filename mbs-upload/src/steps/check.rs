//! The server is asked whether it would take a file, before its bytes are sent.

use crate::{
    api::{upload::Form, upload_check},
    metadata::{
        book::Book,
        language::{self, Choice},
    },
    model::{
        check::CheckAnswer,
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome, Refused},
    },
    retry::attempt::chance,
    steps::Tools,
};

/// A file from this size on is asked about a second time with the form around it: the server's
/// limit is one for the whole request, and its refusal may be lost with the connection.
const LARGE: u64 = 32 << 20;

/// The outcome, or nothing when the server wants the file. On the `first` try an answer that came
/// for many files at once is taken.
pub(super) fn check(
    with: &Tools<'_>,
    job: &Job,
    book: &Book,
    first: bool,
) -> Result<Option<Outcome>, Failure> {
    let question = job.question();
    let answer = match &job.checked {
        Some(answer) if first => answer.clone(),
        _ => upload_check::one(with.api, &question)?,
    };
    let size = job.content.size();
    match answer {
        CheckAnswer::Wanted => {}
        CheckAnswer::Exists => return Ok(Some(Outcome::duplicate("check"))),
        CheckAnswer::TooBig(why) => {
            let refused = Refused::Size(size);
            return Ok(Some(Outcome::refused(Kind::TooBig, why, refused)));
        }
        CheckAnswer::Unsupported(why) => {
            let refused = Refused::Format;
            return Ok(Some(Outcome::refused(Kind::Unsupported, why, refused)));
        }
    }
    let length = form(job).length(size);
    if size >= LARGE && !upload_check::body_fits(with.api, &question, length)? {
        let why = format!("with the form around it, {length} bytes, too big");
        let refused = Refused::Size(length);
        return Ok(Some(Outcome::refused(Kind::TooBig, why, refused)));
    }
    let offered = &with.catalog.languages.offered;
    Ok(match language::choose(&book.languages, offered) {
        Choice::Lacking => Some(lacking_language(with, book)),
        Choice::Found(_) | Choice::None => None,
    })
}

/// The form around its bytes.
pub(super) fn form(job: &Job) -> Form {
    let nonce = format!("{:016x}", chance());
    Form::new(&job.content, &job.extension, &nonce)
}

/// The server has no language of this book.
pub(super) fn lacking_language(with: &Tools<'_>, book: &Book) -> Outcome {
    let named = book.languages.join(", ");
    let offered = with.catalog.languages.offered.iter();
    let has: Vec<_> = offered.map(|language| language.code.as_str()).collect();
    let why = format!("language {named}: the server has {}", has.join(", "));
    Outcome::refused(Kind::Unsupported, why, Refused::Language)
}
