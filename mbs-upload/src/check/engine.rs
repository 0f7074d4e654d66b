//! Are API and engine of one server? Both may be reachable, accept the same token (servers share
//! secrets) and yet belong to different libraries.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{api::engine::Event, check::Subject, model::failure::Failure};

/// A format that nobody converts to, so that the engine looks at the file's row and then refuses.
const NO_FORMAT: &str = "none";

/// What the engine knows of a file that the API shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Knows {
    /// It is in the engine's database.
    Yes,
    /// It is not.
    No,
    /// It said something else.
    Unclear(String),
}

/// Asks the engine for the row of a file of that format; nothing is converted or changed.
///
/// # Errors
/// [`Failure::NoEngine`] when it does not answer.
pub(super) fn knows(server: Subject<'_>, source: i64, format: &str) -> Result<Knows, Failure> {
    let said = refusal(server, "convert", &json!([source, NO_FORMAT]))?;
    // Formats that are not converted at all are named, and so is the absence of one.
    let named = said.strip_prefix("Cannot convert from format ");
    Ok(match named {
        Some("None") => Knows::No,
        Some(other) if other == format => Knows::Yes,
        Some(_) => Knows::No,
        None if said.contains("Not supported target format") => Knows::Yes,
        None => Knows::Unclear(said),
    })
}

/// Does the engine say that it lacks LibreOffice, without which it takes no `.doc`? It is asked about a
/// file that is not there; one that looks for the file first does not say it.
pub(super) fn lacks_office(server: Subject<'_>) -> Result<bool, Failure> {
    let said = refusal(server, "metadata", &json!(["none/none.doc", {}]))?;
    Ok(said.contains("soffice"))
}

fn refusal(server: Subject<'_>, task: &str, args: &Value) -> Result<String, Failure> {
    let call = server.api.call(task, args)?;
    let deadline = Instant::now() + server.policy.confirm_within() * 10;
    loop {
        match call.next(Some(deadline)) {
            Some(Event::Failed(why) | Event::Refused(why)) => return Ok(why),
            Some(Event::Done(_)) => return Ok("it made a row of nothing".into()),
            Some(Event::Gone(why)) => return Err(Failure::NoEngine(why)),
            Some(_) => {}
            None => return Err(Failure::NoEngine("no answer".into())),
        }
    }
}
