//! The README's commands are run, and what it shows is what they print.
//!
//! A `console` block holds commands after `$ `, continued after `> `, each followed by what it
//! prints. `…` stands for anything within a line, a line of only `…` for any lines. All blocks run in
//! one folder, in the README's order, against a sample library and a throw-away server.

#![allow(clippy::unwrap_used)]

use std::fs;

use harness::Workdir;
use library::demo;
use sandbox::{Sandbox, Settings};

struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (false, _) => {}
            (true, line) => match (line.strip_prefix("$ "), line.strip_prefix("> ")) {
                (Some(command), _) => steps.push(Step {
                    line: number + 1,
                    command: command.into(),
                    shown: Vec::new(),
                }),
                (_, Some(more)) => {
                    let command = &mut steps.last_mut().expect("a command first").command;
                    command.push('\n');
                    command.push_str(more);
                }
                _ => steps
                    .last_mut()
                    .expect("a command first")
                    .shown
                    .push(line.into()),
            },
        }
    }
    steps
}

/// Does `line` look like `pattern`, where `…` is any text?
fn like(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        if i + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

fn all_like(patterns: &[String], lines: &[&str]) -> bool {
    match patterns {
        [] => lines.is_empty(),
        [any, rest @ ..] if any.trim() == "…" => {
            (0..=lines.len()).any(|skipped| all_like(rest, &lines[skipped..]))
        }
        [pattern, rest @ ..] => {
            lines.first().is_some_and(|line| like(pattern, line)) && all_like(rest, &lines[1..])
        }
    }
}

#[test]
fn the_patterns_can_fail() {
    assert!(like("a…c", "abbbc") && like("…", "") && like("a", "a"));
    assert!(!like("a…c", "abbbd") && !like("a", "ab") && !like("a…b…c", "acb"));
    let patterns = ["a".to_string(), "…".into(), "z".into()];
    assert!(all_like(&patterns, &["a", "b", "c", "z"]));
    assert!(!all_like(&patterns, &["a", "b", "c"]));
}

#[test]
fn every_command_prints_what_the_readme_shows() {
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../README.md")).unwrap();
    let dir = Workdir::new();
    demo::make(&dir.join("Calibre Library")).unwrap();
    let server = Sandbox::start(Settings::default());
    let password = dir.write("password", "admin\n");
    let steps = steps(&text);
    assert!(steps.len() > 10, "the README's commands were not found");
    for step in steps {
        let ran = dir
            .shell(&step.command)
            .env("MBS_API", server.api())
            .env("MBS_WS", server.ws())
            .env("MBS_DB", server.db_url())
            .env("MBS_STORE", server.data_dir())
            .env("MBS_USER", "admin")
            .env("MBS_PASSWORD_FILE", &password)
            .run();
        let report = ran.report();
        assert!(ran.status.success(), "README.md:{}\n{report}", step.line);
        let printed = ran.stdout() + &ran.stderr();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            all_like(&step.shown, &lines),
            "README.md:{}\n--- shown\n{}\n{report}",
            step.line,
            step.shown.join("\n")
        );
    }
}
