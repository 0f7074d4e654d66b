//! The report as one page: no script, nothing fetched, the pictures in it. Names come from strangers,
//! so every text is escaped, and the page's own policy lets nothing else act.

use std::fmt::Write;

use wire::path::printable;

use super::{Report, Sum, human, largest};
use crate::classes::Class;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;\
padding:0 1em;color:#222;background:#fff}h1{font-size:1.4em;overflow-wrap:anywhere}\
h2{font-size:1.1em;margin-top:2em}p.warn,p.part{background:#fff3cd;padding:.5em 1em}\
svg{width:100%;height:auto}text{font:13px system-ui,sans-serif;fill:#222}\
rect.bar{fill:#4878a8}rect.ground{fill:#eef1f4}li{overflow-wrap:anywhere}\
code{font-size:13px;white-space:pre-wrap}@media(prefers-color-scheme:dark){\
body{color:#ddd;background:#181a1b}text{fill:#ddd}rect.ground{fill:#2a2d2f}\
p.warn,p.part{background:#4a3f10}}";

pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = put(&mut page, report);
    page
}

fn put(page: &mut String, report: &Report) -> std::fmt::Result {
    let title = escape(&format!("{}: {}", report.tool, report.subject));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p>{} &#183; {}</p>\n",
        escape(&report.at),
        escape(&report.in_all()),
    )?;
    if !report.complete {
        page.push_str("<p class=\"part\">Not complete: this is a part of it.</p>\n");
    }
    for warning in &report.warnings {
        writeln!(page, "<p class=\"warn\">{}</p>", escape(warning))?;
    }
    if !report.notes.is_empty() {
        page.push_str("<h2>How sure this is</h2>\n<ul>\n");
        for note in &report.notes {
            writeln!(page, "<li>{}</li>", escape(note))?;
        }
        page.push_str("</ul>\n");
    }
    if !report.outcomes.is_empty() {
        chart(page, "Outcomes", &report.outcomes)?;
    }
    let classes = report.part.classes();
    let classes: Vec<_> = classes
        .into_iter()
        .map(|(name, sum)| (name.to_string(), sum))
        .collect();
    chart(page, "Where the space is, by class", &classes)?;
    chart(page, "By format", &largest(&report.part.formats))?;
    chart(page, "By author", &largest(&report.part.authors))?;
    samples(page, report)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

/// Bars, the longest as long as the picture is wide.
fn chart(page: &mut String, title: &str, rows: &[(String, Sum)]) -> std::fmt::Result {
    const ROW: usize = 26;
    const BAR: f64 = 420.0;
    let most = rows
        .iter()
        .map(|(_, sum)| sum.bytes)
        .max()
        .unwrap_or(0)
        .max(1);
    let height = rows.len() * ROW;
    writeln!(
        page,
        "<h2>{0}</h2>\n<svg viewBox=\"0 0 900 {height}\" role=\"img\" aria-label=\"{0}\">",
        escape(title)
    )?;
    for (at, (name, sum)) in rows.iter().enumerate() {
        let (top, middle) = (at * ROW, at * ROW + 17);
        let length = sum.bytes as f64 / most as f64 * BAR;
        let full = escape(name);
        let short = escape(&shortened(name));
        let (files, size) = (sum.files, human(sum.bytes));
        let bar = top + 4;
        writeln!(
            page,
            "<g><title>{full}: {files} files, {size}</title>\
             <text x=\"0\" y=\"{middle}\">{short}</text>\
             <rect class=\"ground\" x=\"270\" y=\"{bar}\" width=\"{BAR}\" height=\"18\"/>\
             <rect class=\"bar\" x=\"270\" y=\"{bar}\" width=\"{length:.1}\" height=\"18\"/>\
             <text x=\"700\" y=\"{middle}\">{size}, {files} files</text></g>"
        )?;
    }
    page.push_str("</svg>\n");
    Ok(())
}

fn samples(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str("<h2>Examples</h2>\n");
    for class in Class::ALL {
        let Some(samples) = report.part.samples.get(&class) else {
            continue;
        };
        let all = report.part.class(class).files;
        writeln!(page, "<h3>{class} ({all})</h3>\n<ul>")?;
        for sample in samples {
            writeln!(page, "<li><code>{}</code></li>", escape(sample))?;
        }
        page.push_str("</ul>\n");
    }
    Ok(())
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(36) {
        Some((end, _)) => format!("{}\u{2026}", &name[..end]),
        None => name.into(),
    }
}

/// Text that is text and nothing else, also within an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{classes::Removable, report::Form};

    #[test]
    fn no_name_is_more_than_text() {
        let mut report = Report {
            subject: "</title><script>alert(1)</script>".into(),
            warnings: vec!["<img src=x onerror=\"alert(1)\">".into()],
            outcomes: vec![("<b>".into(), Sum::default())],
            ..Report::default()
        };
        let hostile = "\"><svg onload='alert(1)'>/x\u{202e}\u{1b}[2J<!--.epub";
        report
            .part
            .add(Class::Untracked, Removable::No, hostile.as_bytes(), 5);
        let page = report.render(Form::Page);
        for bad in [
            "<script",
            "<img",
            "<b>",
            "<svg onload",
            "<!--",
            "\u{202e}",
            "\u{1b}",
        ] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
        assert!(page.contains("&lt;svg onload=&#39;alert(1)&#39;&gt;"));
    }
}
