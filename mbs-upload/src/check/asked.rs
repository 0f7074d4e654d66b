//! What is asked of a server that is there: one finding each.

use std::{path::Path, time::Duration};

use crate::{
    api::{Api, sample, upload_check::Batch},
    check::{
        Subject, Trouble,
        engine::{self, Knows},
        limits,
        report::{Finding, Report},
        store,
    },
    input::links::Links,
    known::Content,
    locks::{self, Locks, Same},
    model::{check::Question, failure::Failure},
    retry::attempt::{chance, with_retries},
    run::session::Target,
};

/// Extensions that libraries have, whether servers know them or not.
const EXTENSIONS: [&str; 28] = [
    "azw", "azw3", "azw4", "cbr", "cbz", "chm", "djvu", "doc", "docm", "docx", "epub", "fb2",
    "fbz", "htm", "html", "kepub", "kfx", "lit", "lrf", "mobi", "odt", "pdb", "pdf", "prc", "rar",
    "rtf", "txt", "zip",
];

/// What is known of the server when its files are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    /// Bytes of a request's body that it takes at most.
    pub(super) limit: u64,
    /// Its engine said that it has no LibreOffice.
    pub(super) lacks_office: bool,
}

/// All about the server but its reach.
pub(super) fn look_at(
    server: Subject<'_>,
    target: &Target,
    report: &Report<'_>,
    gone: &mut Option<String>,
) -> Result<ServerLimits, Trouble> {
    let (api, policy) = (server.api, server.policy);
    if server.has_engine {
        report.say(&one_server(server, &target.ws)?)?;
    }
    let limit = with_retries(policy, || limits::checked(api, &unknown("epub")))?;
    let passed = with_retries(policy, || limits::passed(api, limit))?;
    let mut finding = Finding::ok("limit", api.address());
    finding.max_size = Some(passed);
    if passed < limit {
        finding.message = Some(format!(
            "a proxy takes less than the server itself: {limit}"
        ));
    }
    report.say(&finding)?;
    report.say(&languages(server, target))?;
    let (finding, lacks_office) = formats(server)?;
    report.say(&finding)?;
    if server.links.is_some() {
        report.say(&links(server)?)?;
    }
    if let Some(folder) = &target.store {
        report.say(&same_store(server, folder)?)?;
    }
    let seen = ServerLimits {
        limit: passed,
        lacks_office,
    };
    if let Some(settings) = &target.database {
        match Locks::open(
            settings.clone(),
            Duration::ZERO,
            &target.shutdown,
            report.diagnostics(),
        ) {
            Ok(claims) => {
                report.say(&same_database(api, &claims)?)?;
                report.say(&index(&claims)?)?;
            }
            Err(failure) => {
                let object = settings.to_string();
                report.say(&Finding::failed("database", &object, &failure.to_string()))?;
                // It is within reach, but no database for locks.
                if let mbs_hashes::Failure::Unsafe(_) = failure {
                    return Ok(seen);
                }
                gone.get_or_insert_with(|| format!("{object}: connect: {failure}"));
            }
        }
    }
    Ok(seen)
}

/// A file that no server has.
pub(super) fn unknown(extension: &str) -> Question {
    let sha1 = format!("{:016x}{:016x}{:08x}", chance(), chance(), chance() as u32);
    Question {
        content: Content::new(&sha1, 1).unwrap_or_else(|| unreachable!("40 digits")),
        extension: extension.into(),
    }
}

fn one_server(server: Subject<'_>, ws: &str) -> Result<Finding, Trouble> {
    const CHECK: &str = "one_server";
    let base = server.api.address();
    let shown = with_retries(server.policy, || sample::newest(server.api))?;
    let Some(file) = shown else {
        let why = format!("{base} has no file yet to compare by");
        return Ok(Finding::warning(CHECK, ws, &why));
    };
    let about = format!("file {} of {base}", file.source);
    Ok(match engine::knows(server, file.source, &file.format) {
        Ok(Knows::Yes) => Finding::ok(CHECK, ws),
        Ok(Knows::No) => Finding::failed(
            CHECK,
            ws,
            &format!("does not know {about}: another server?"),
        ),
        Ok(Knows::Unclear(said)) => {
            Finding::warning(CHECK, ws, &format!("asked for {about}: {said}"))
        }
        Err(failure) => Finding::failed(CHECK, ws, &format!("asked for {about}: {failure}")),
    })
}

fn languages(server: Subject<'_>, target: &Target) -> Finding {
    let codes = server
        .catalog
        .languages
        .offered
        .iter()
        .map(|l| l.code.clone());
    let mut finding = match (&target.default_language, &server.catalog.languages.default) {
        (Some(code), None) => {
            let why = format!("--default-language {code}: the server does not have it");
            Finding::failed("languages", server.api.address(), &why)
        }
        _ => Finding::ok("languages", server.api.address()),
    };
    finding.languages = Some(codes.collect());
    finding
}

/// The run is refused where neither the server nor the store shows what became of a link.
fn links(server: Subject<'_>) -> Result<Finding, Trouble> {
    const CHECK: &str = "links";
    let base = server.api.address();
    let known_to_link = with_retries(server.policy, || Batch::default().is_there(server.api))?;
    let sees = server.links.is_some_and(Links::sees);
    Ok(match (known_to_link, sees) {
        (true, true) => Finding::ok(CHECK, base),
        (true, false) => Finding::warning(CHECK, base, "nobody looks whether it does: --store"),
        (false, true) => {
            let why =
                "it makes copies, as far as is known; the first file will show, and end the run";
            Finding::warning(CHECK, base, why)
        }
        (false, false) => Finding::failed(CHECK, base, &Links::unlikely().message),
    })
}

/// Just then the file that is compared may be removed, so that what is not there is asked for twice.
fn same_store(server: Subject<'_>, folder: &Path) -> Result<Finding, Trouble> {
    let look = || -> Result<Finding, Failure> {
        let shown = with_retries(server.policy, || sample::newest(server.api))?;
        Ok(store::look(folder, shown.as_ref()))
    };
    let found = look()?;
    Ok(if found.is_failed() { look()? } else { found })
}

/// The formats that the server takes, and whether the engine said that it lacks LibreOffice.
fn formats(server: Subject<'_>) -> Result<(Finding, bool), Trouble> {
    let mut takes = Vec::new();
    for extension in EXTENSIONS {
        if with_retries(server.policy, || {
            limits::takes(server.api, &unknown(extension))
        })? {
            takes.push(extension.to_string());
        }
    }
    let office = server.has_engine
        && takes.iter().any(|extension| extension == "doc")
        && engine::lacks_office(server).unwrap_or(false);
    let mut finding = match office {
        true => Finding::warning(
            "formats",
            server.api.address(),
            "no doc: the engine lacks LibreOffice",
        ),
        false => Finding::ok("formats", server.api.address()),
    };
    takes.retain(|extension| !office || extension != "doc");
    finding.formats = Some(takes);
    Ok((finding, office))
}

fn same_database(api: &dyn Api, claims: &Locks) -> Result<Finding, Trouble> {
    Ok(match locks::same(&|| sample::newest(api), claims)? {
        Same::Yes => Finding::ok("database", claims.database()),
        Same::No(why) => {
            let why = format!("not the database of {}: {why}", api.address());
            Finding::failed("database", claims.database(), &why)
        }
        Same::Unknown(why) => Finding::warning("database", claims.database(), why),
    })
}

fn index(claims: &Locks) -> Result<Finding, Trouble> {
    if claims.indexed()? {
        return Ok(Finding::ok("index", claims.database()));
    }
    let mut finding = Finding::warning("index", claims.database(), locks::SLOW);
    finding.statement = Some(locks::INDEX.into());
    Ok(finding)
}
