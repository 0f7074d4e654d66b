//! `{NAME}` in the command, and what takes its place.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use wire::{Exit, Fatal, OrFatal};

/// The values of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Values from the command line and from a file. A name that nobody asks for is a mistake, and so
    /// is one with two values.
    pub(crate) fn read(
        given: &[String],
        file: Option<&Path>,
        command: &[OsString],
    ) -> anyhow::Result<Params> {
        let text = match file {
            Some(file) => {
                let shown = format_args!("{}: read", file.display()).to_string();
                fs::read_to_string(file).or_fatal(Exit::Usage, shown)?
            }
            None => String::new(),
        };
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut values = BTreeMap::new();
        for line in given.iter().map(String::as_str).chain(lines) {
            let usage = |why: &str| Fatal::new(Exit::Usage, format_args!("{line}: {why}"));
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| usage("write a parameter as NAME=VALUE"))?;
            let name = name.trim_end();
            if name == "worker" || name == "workers" {
                return Err(usage("this name is the pool's own").into());
            }
            let place = format!("{{{name}}}");
            let has = |word: &OsString| find(word.as_bytes(), place.as_bytes()).is_some();
            if !command.iter().any(has) {
                return Err(usage(&format!("the command has no {place}")).into());
            }
            if values
                .insert(name.into(), value.trim_start().into())
                .is_some()
            {
                return Err(usage("this name has a value already").into());
            }
        }
        Ok(Params(values))
    }

    /// The command of one worker. Braces around anything else stay as they are: a shell may want them.
    pub(crate) fn command(&self, command: &[OsString], worker: u32, workers: u32) -> Vec<OsString> {
        let mut names: Vec<(String, String)> = vec![
            ("{worker}".into(), worker.to_string()),
            ("{workers}".into(), workers.to_string()),
        ];
        let own = self
            .0
            .iter()
            .map(|(name, value)| (format!("{{{name}}}"), value.clone()));
        names.extend(own);
        command.iter().map(|word| fill(word, &names)).collect()
    }
}

/// One pass: what was put in is not looked at again.
fn fill(word: &OsString, names: &[(String, String)]) -> OsString {
    let mut rest = word.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = find(rest, b"{") {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match names
            .iter()
            .find(|(name, _)| rest.starts_with(name.as_bytes()))
        {
            Some((name, value)) => {
                out.extend_from_slice(value.as_bytes());
                rest = &rest[name.len()..];
            }
            None => {
                out.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn places_are_filled_and_a_shell_s_own_braces_left() {
        let command = words(&[
            "sh",
            "-c",
            "awk '{print}' {worker}/{workers}{batch} {",
            "{{batch}}",
        ]);
        let given = ["batch={worker}".to_string()];
        let params = Params::read(&given, None, &command).unwrap();
        assert_eq!(
            params.command(&command, 3, 4),
            words(&["sh", "-c", "awk '{print}' 3/4{worker} {", "{{worker}}"])
        );
    }

    #[test]
    fn mistakes_are_told() {
        let command = words(&["a", "{batch}"]);
        let says = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|word| word.to_string()).collect();
            Params::read(&given, None, &command)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(says(&["bacth=3"]), "bacth=3: the command has no {bacth}");
        assert_eq!(says(&["batch"]), "batch: write a parameter as NAME=VALUE");
        assert_eq!(
            says(&["batch=1", "batch=2"]),
            "batch=2: this name has a value already"
        );
        assert_eq!(says(&["worker=1"]), "worker=1: this name is the pool's own");
    }
}
