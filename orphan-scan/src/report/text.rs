//! The report as plain text.

use std::fmt::Write;

use wire::path::printable;

use super::{Report, Sum, human, largest};
use crate::classes::Class;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = put(&mut text, report);
    text
}

fn put(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "{} of {}", report.tool, printable(&report.subject))?;
    writeln!(text, "{}", report.at)?;
    if !report.complete {
        writeln!(text, "\nNOT COMPLETE: what follows is a part of it.")?;
    }
    list(text, "Warnings", &report.warnings)?;
    list(text, "How sure this is", &report.notes)?;
    if !report.outcomes.is_empty() {
        table(text, "Outcomes", report.outcomes.clone())?;
    }
    writeln!(text, "\n{}.", report.in_all())?;
    let classes = report.part.classes();
    let classes = classes
        .into_iter()
        .map(|(name, sum)| (name.to_string(), sum));
    table(text, "By class", classes.collect())?;
    table(text, "By format", largest(&report.part.formats))?;
    table(text, "By author", largest(&report.part.authors))?;
    for class in Class::ALL {
        let Some(samples) = report.part.samples.get(&class) else {
            continue;
        };
        let more = report.part.class(class).files - samples.len() as u64;
        writeln!(text, "\n{class}, for example")?;
        for sample in samples {
            writeln!(text, "  {}", printable(sample))?;
        }
        if more > 0 {
            writeln!(text, "  and {more} more")?;
        }
    }
    Ok(())
}

fn list(text: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    if !lines.is_empty() {
        writeln!(text, "\n{title}")?;
    }
    lines
        .iter()
        .try_for_each(|line| writeln!(text, "  {}", printable(line)))
}

fn table(text: &mut String, title: &str, rows: Vec<(String, Sum)>) -> std::fmt::Result {
    writeln!(text, "\n{title:<32}{:>12}{:>14}", "files", "size")?;
    rows.iter().try_for_each(|(name, sum)| {
        let (name, size) = (printable(name), human(sum.bytes));
        writeln!(text, "  {name:<30}{:>12}{size:>14}", sum.files)
    })
}
