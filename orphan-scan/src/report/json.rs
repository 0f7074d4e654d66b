//! The report as one JSON object.

use serde_json::{Map, Value, json};

use super::{Report, Sum, largest};

pub(super) fn render(report: &Report) -> String {
    let total = report.part.total();
    let samples: Map<String, Value> = crate::classes::Class::ALL
        .into_iter()
        .filter_map(|class| {
            let samples = report.part.samples.get(&class)?;
            Some((class.name().to_string(), json!(samples)))
        })
        .collect();
    let classes = report.part.classes();
    let classes = classes
        .into_iter()
        .map(|(name, sum)| (name.to_string(), sum));
    let all = json!({
        "tool": report.tool,
        "subject": report.subject,
        "at": report.at,
        "complete": report.complete,
        "files": total.files,
        "bytes": total.bytes,
        "removable": sum(&report.part.removable),
        "outcomes": named(report.outcomes.clone()),
        "classes": named(classes.collect()),
        "formats": named(largest(&report.part.formats)),
        "authors": named(largest(&report.part.authors)),
        "samples": samples,
        "warnings": report.warnings,
        "notes": report.notes,
    });
    format!("{all:#}\n")
}

fn sum(sum: &Sum) -> Value {
    json!({ "files": sum.files, "bytes": sum.bytes })
}

/// A list, since order matters and names come from file names.
fn named(sums: Vec<(String, Sum)>) -> Vec<Value> {
    let one = |(name, sum): (String, Sum)| json!({ "name": name, "files": sum.files, "bytes": sum.bytes });
    sums.into_iter().map(one).collect()
}
