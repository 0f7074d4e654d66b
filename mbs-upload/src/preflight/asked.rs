//! What is asked of a server that is there: one finding each.

use std::time::Duration;

use super::{
    Trouble,
    engine::{self, Knows},
    limits,
    report::{Finding, Report},
};
use crate::{
    claims::{self, Claims, Same},
    known::Content,
    patience::attempt::{chance, patiently},
    server::{Server, api::Api, check::Question, reach::Target, shown},
};

/// Extensions that libraries have, whether servers know them or not.
const EXTENSIONS: [&str; 28] = [
    "azw", "azw3", "azw4", "cbr", "cbz", "chm", "djvu", "doc", "docm", "docx", "epub", "fb2",
    "fbz", "htm", "html", "kepub", "kfx", "lit", "lrf", "mobi", "odt", "pdb", "pdf", "prc", "rar",
    "rtf", "txt", "zip",
];

/// All about the server but its reach; gives its limit for a request's body.
pub(super) fn look_at(
    server: &Server,
    target: &Target,
    report: &Report<'_>,
    gone: &mut Option<String>,
) -> Result<u64, Trouble> {
    let (api, policy) = (&server.api, server.policy);
    if server.engine.is_some() {
        report.say(&one_server(server, &target.ws)?)?;
    }
    let limit = patiently(policy, || limits::checked(api, &unknown("epub")))?;
    let passed = patiently(policy, || limits::passed(api, limit))?;
    let mut finding = Finding::ok("limit", api.base());
    finding.max_size = Some(passed);
    if passed < limit {
        finding.message = Some(format!(
            "a proxy takes less than the server itself: {limit}"
        ));
    }
    report.say(&finding)?;
    report.say(&languages(server, target))?;
    report.say(&formats(server)?)?;
    if let Some(settings) = &target.database {
        match Claims::open(
            settings.clone(),
            Duration::ZERO,
            &target.halt,
            report.voice(),
        ) {
            Ok(claims) => {
                report.say(&same_database(api, &claims)?)?;
                report.say(&index(&claims)?)?;
            }
            Err(failure) => {
                let object = settings.to_string();
                report.say(&Finding::failed("database", &object, &failure.to_string()))?;
                gone.get_or_insert_with(|| format!("{object}: connect: {failure}"));
            }
        }
    }
    Ok(passed)
}

/// A file that no server has.
pub(super) fn unknown(extension: &str) -> Question {
    let sha1 = format!("{:016x}{:016x}{:08x}", chance(), chance(), chance() as u32);
    Question {
        content: Content::new(&sha1, 1).unwrap_or_else(|| unreachable!("40 digits")),
        extension: extension.into(),
    }
}

fn one_server(server: &Server, ws: &str) -> Result<Finding, Trouble> {
    const CHECK: &str = "one_server";
    let base = server.api.base();
    let shown = patiently(server.policy, || shown::newest(&server.api))?;
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

fn languages(server: &Server, target: &Target) -> Finding {
    let codes = server.offer.languages.iter().map(|l| l.code.clone());
    let mut finding = match (&target.default_language, &server.default_language) {
        (Some(code), None) => {
            let why = format!("--default-language {code}: the server does not have it");
            Finding::failed("languages", server.api.base(), &why)
        }
        _ => Finding::ok("languages", server.api.base()),
    };
    finding.languages = Some(codes.collect());
    finding
}

fn formats(server: &Server) -> Result<Finding, Trouble> {
    let mut takes = Vec::new();
    for extension in EXTENSIONS {
        if patiently(server.policy, || {
            limits::takes(&server.api, &unknown(extension))
        })? {
            takes.push(extension.to_string());
        }
    }
    let office = server.engine.is_some()
        && takes.iter().any(|extension| extension == "doc")
        && engine::lacks_office(server).unwrap_or(false);
    let mut finding = match office {
        true => Finding::warning(
            "formats",
            server.api.base(),
            "no doc: the engine lacks LibreOffice",
        ),
        false => Finding::ok("formats", server.api.base()),
    };
    takes.retain(|extension| !office || extension != "doc");
    finding.formats = Some(takes);
    Ok(finding)
}

fn same_database(api: &Api, claims: &Claims) -> Result<Finding, Trouble> {
    Ok(match claims::same(api, claims)? {
        Same::Yes => Finding::ok("database", claims.database()),
        Same::No(why) => {
            let why = format!("not the database of {}: {why}", api.base());
            Finding::failed("database", claims.database(), &why)
        }
        Same::Unknown(why) => Finding::warning("database", claims.database(), why),
    })
}

fn index(claims: &Claims) -> Result<Finding, Trouble> {
    if claims.indexed()? {
        return Ok(Finding::ok("index", claims.database()));
    }
    let mut finding = Finding::warning("index", claims.database(), claims::SLOW);
    finding.statement = Some(claims::INDEX.into());
    Ok(finding)
}
