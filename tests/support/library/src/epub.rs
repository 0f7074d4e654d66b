//! A small but real EPUB 2 file.

use std::io::{Cursor, Write};

use anyhow::Result;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::Book;

const CONTAINER: &str = r#"<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"#;

/// The file of this book: title, authors, languages and cover are in its package document, `text`
/// is its one chapter. Equal input makes equal bytes.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn epub(book: &Book, text: &str) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    // The type must come first and plain: that is how a reader knows an EPUB (OCF 2.0, 3.3).
    zip.start_file("mimetype", stored)?;
    zip.write_all(b"application/epub+zip")?;
    zip.start_file("META-INF/container.xml", packed)?;
    zip.write_all(CONTAINER.as_bytes())?;
    zip.start_file("content.opf", packed)?;
    zip.write_all(package(book).as_bytes())?;
    zip.start_file("toc.ncx", packed)?;
    zip.write_all(contents(&book.title).as_bytes())?;
    zip.start_file("chapter.xhtml", packed)?;
    zip.write_all(chapter(&book.title, text).as_bytes())?;
    if let Some(jpeg) = &book.cover {
        zip.start_file("cover.jpg", stored)?;
        zip.write_all(jpeg)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn package(book: &Book) -> String {
    let mut metadata = format!(
        "<dc:title>{}</dc:title><dc:identifier id=\"id\">urn:title:{0}</dc:identifier>",
        xml(&book.title)
    );
    for (name, sort) in &book.authors {
        metadata += &format!(
            "<dc:creator opf:role=\"aut\" opf:file-as=\"{}\">{}</dc:creator>",
            xml(sort),
            xml(name)
        );
    }
    for code in &book.languages {
        metadata += &format!("<dc:language>{}</dc:language>", xml(code));
    }
    let cover = match book.cover {
        Some(_) => {
            metadata += "<meta name=\"cover\" content=\"cover\"/>";
            "<item id=\"cover\" href=\"cover.jpg\" media-type=\"image/jpeg\"/>"
        }
        None => "",
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="2.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">{metadata}</metadata>
<manifest><item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="chapter" href="chapter.xhtml" media-type="application/xhtml+xml"/>{cover}</manifest>
<spine toc="ncx"><itemref idref="chapter"/></spine>
</package>"#
    )
}

fn contents(title: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><head/>
<docTitle><text>{0}</text></docTitle>
<navMap><navPoint id="c1" playOrder="1"><navLabel><text>{0}</text></navLabel><content src="chapter.xhtml"/></navPoint></navMap>
</ncx>"#,
        xml(title)
    )
}

fn chapter(title: &str, text: &str) -> String {
    let paragraphs: String = text
        .lines()
        .map(|line| format!("<p>{}</p>\n", xml(line)))
        .collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{0}</title></head>
<body><h1>{0}</h1>
{paragraphs}</body></html>"#,
        xml(title)
    )
}

/// Text for XML: markup escaped, characters that XML 1.0 forbids left out.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\t' | '\n' | '\r' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(c),
        }
    }
    out
}
