//! The task "metadata": reads an uploaded file, merges what the caller proposes, makes an upload.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use tokio::process::Command;

use crate::App;
use crate::database::as_psycopg;
use crate::engine::Task;
use crate::{cover, lookup};

/// What came of a task.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) upload_id: i64,
    pub(crate) duration: f64,
    pub(crate) hash: String,
}

/// A Python exception, as text, and the seconds that the tool ran if it did.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: String,
    pub(crate) duration: Option<f64>,
}

/// Runs the task.
pub(crate) async fn run(app: &App, task: &Task) -> Result<Done, Failed> {
    let early = |error: String| Failed {
        error,
        duration: None,
    };
    let file = match task.args.first() {
        Some(Value::String(file)) => file,
        Some(_) => return Err(early("join() argument must be str or bytes".to_owned())),
        None => return Err(early("tuple index out of range".to_owned())),
    };
    let path = app.uploads().join(file);
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    if extension == "doc" && !app.settings.office {
        let office = "/usr/bin/soffice";
        return Err(early(format!(
            "[Errno 2] No such file or directory: '{office}': '{office}'"
        )));
    }
    if std::fs::File::open(&path).is_err() {
        let path = path.display();
        let error = format!("('File %s does not exists or is not readable', '{path}')");
        return Err(early(error));
    }

    let begun = Instant::now();
    let read = read(app, &path, &stem).await;
    let duration = begun.elapsed().as_secs_f64();
    let late = |error: String| Failed {
        error,
        duration: Some(duration),
    };
    let mut meta = read.map_err(late)?;
    let proposed = merge(&mut meta, task.args.get(1)).map_err(late)?;
    let client = app.database.get().await.map_err(|e| late(e.to_string()))?;
    lookup::look_up(&client, &mut meta).await.map_err(late)?;
    if extension == "doc" && !proposed.contains_key("title") {
        // What a .doc says about itself is not believed.
        meta.clear();
        meta.insert("title".into(), stem.into());
        if let Some(quality) = proposed.get("quality") {
            meta.insert("quality".into(), quality.clone());
        }
    }
    let (hash, size) = digest(&path).map_err(late)?;
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let cover = cover::shrink(&app.uploads(), folder).await;

    let insert = "insert into upload (version_id, created, modified, cover, file, load_source,
            format_id, size, hash, meta, created_by_id, modified_by_id)
        values (1, now(), now(), $1, $2, $3, (select id from format where extension = $4),
            $5::int8::int4, $6, $7, (select id from \"user\" where email = $8),
            (select id from \"user\" where email = $8))
        returning id";
    let source = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let meta = Value::Object(meta);
    let row = client
        .query_one(
            insert,
            &[
                &cover, file, &source, &extension, &size, &hash, &meta, &task.user,
            ],
        )
        .await
        .map_err(|e| late(as_psycopg(&e)))?;
    Ok(Done {
        upload_id: row.get(0),
        duration,
        hash,
    })
}

/// What the file says about itself, by ebook-meta or, without it, like a file it cannot parse.
async fn read(app: &App, path: &Path, stem: &str) -> Result<Map<String, Value>, String> {
    let least = tokio::time::sleep(Duration::from_millis(app.settings.task_millis));
    let Some(tool) = &app.settings.ebook_meta else {
        least.await;
        return Ok(from_name(
            stem,
            path.extension().is_some_and(|end| end == "txt"),
        ));
    };
    let mut command = Command::new(tool);
    let cover = path.with_file_name(cover::FRESH);
    command
        .arg(format!("--get-cover={}", cover.display()))
        .arg(path);
    command
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let limit = app.settings.task_limit;
    let output = tokio::time::timeout(Duration::from_secs(limit), command.output()).await;
    let output = output.map_err(|_| format!("Timeout after {limit}.000000"))?;
    let output = output.map_err(|e| e.to_string())?;
    least.await;
    if !output.status.success() {
        let code = output.status.code().unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', "\\n");
        let (tool, cover, path) = (tool.display(), cover.display(), path.display());
        return Err(format!(
            "Command \"{tool} ('--get-cover={cover}', '{path}')\" failed with return code {code}\n\
             Output: b''\nError Output: b'{said}'"
        ));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// What Calibre makes of a file that it cannot read: its name, with blanks for underscores, as
/// "Title - Author". A plain text is never unreadable, and its title is the name as it is.
fn from_name(stem: &str, plain: bool) -> Map<String, Value> {
    let name = stem.replace('_', " ");
    let (title, authors) = match name.rsplit_once(" - ") {
        _ if plain => (stem, vec![author("Unknown")]),
        Some((title, names)) => (title, names.split(" and ").map(author).collect()),
        None => (name.as_str(), vec![author("Unknown")]),
    };
    let mut meta = Map::new();
    meta.insert("title".into(), title.trim().into());
    meta.insert("authors".into(), authors.into());
    meta
}

/// Proposed keys replace whole keys.
fn merge(
    meta: &mut Map<String, Value>,
    proposed: Option<&Value>,
) -> Result<Map<String, Value>, String> {
    match proposed {
        None => Ok(Map::new()),
        Some(Value::Object(proposed)) => {
            meta.extend(proposed.clone());
            Ok(proposed.clone())
        }
        Some(Value::Null) => Err("'NoneType' object is not iterable".to_owned()),
        Some(_) => Err("cannot convert dictionary update sequence".to_owned()),
    }
}

/// Reads ebook-meta's text.
fn parse(text: &str) -> Map<String, Value> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let rest = line
                .strip_prefix(key)?
                .trim_start()
                .strip_prefix(':')?
                .trim();
            (!rest.is_empty()).then(|| rest.to_owned())
        })
    };
    let mut meta = Map::new();
    if let Some(title) = value("Title") {
        meta.insert("title".into(), title.into());
    }
    if let Some(authors) = value("Author(s)") {
        let plain = without_brackets(&authors);
        let authors: Vec<Value> = plain
            .split('&')
            .filter(|name| !name.is_empty())
            .map(|n| author(n.trim()))
            .collect();
        meta.insert("authors".into(), authors.into());
    }
    if let Some(tags) = value("Tags") {
        let tags = tags.split(',').filter(|tag| !tag.is_empty());
        let tags: Vec<Value> = tags.map(|tag| json!({ "name": tag.trim() })).collect();
        meta.insert("genres".into(), tags.into());
    }
    if let Some(languages) = value("Languages") {
        let code = languages.split(',').next().unwrap_or_default().trim();
        meta.insert("language".into(), json!({ "code": code }));
    }
    if let Some(series) = value("Series")
        && let Some((title, index)) = series.rsplit_once(" #")
    {
        let digits: String = index.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(index) = digits.parse::<i64>() {
            meta.insert("series".into(), json!({ "title": title }));
            meta.insert("series_index".into(), index.into());
        }
    }
    meta
}

fn without_brackets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let Some(end) = rest[start..].find(']').filter(|end| *end > 1) else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    out + rest
}

/// "Last, First" or "First More Last".
fn author(name: &str) -> Value {
    let parts: Vec<&str> = name.split(',').collect();
    if let [last, first @ ..] = parts.as_slice()
        && !first.is_empty()
    {
        let first = first
            .iter()
            .map(|part| part.trim())
            .collect::<Vec<_>>()
            .join(" ");
        return json!({ "last_name": last, "first_name": first });
    }
    match name.split_whitespace().collect::<Vec<_>>().as_slice() {
        [first @ .., last] if !first.is_empty() => {
            json!({ "last_name": last, "first_name": first.join(" ") })
        }
        _ => json!({ "last_name": name.trim() }),
    }
}

fn digest(path: &Path) -> Result<(String, i64), String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    if bytes.is_empty() {
        return Err("Empty file!".to_owned());
    }
    let hash = Sha1::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((hash, i64::try_from(bytes.len()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_tool_s_text() {
        let text = "Title               : A: B\nAuthor(s)           : Jan Novák [Novák, Jan] & \
                    Čapek, Karel & Homer\nTags                : Humor, Zzz\nLanguages           : \
                    ces, eng\nSeries              : Škola #3.5\n";
        let meta = parse(text);
        assert_eq!(meta["title"], "A: B");
        let authors = json!([
            { "last_name": "Novák", "first_name": "Jan" },
            { "last_name": "Čapek", "first_name": "Karel" },
            { "last_name": "Homer" }
        ]);
        assert_eq!(meta["authors"], authors);
        assert_eq!(
            meta["genres"],
            json!([{ "name": "Humor" }, { "name": "Zzz" }])
        );
        assert_eq!(meta["language"], json!({ "code": "ces" }));
        assert_eq!(
            (&meta["series"], &meta["series_index"]),
            (&json!({ "title": "Škola" }), &json!(3))
        );
    }
}
