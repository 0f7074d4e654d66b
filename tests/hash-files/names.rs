use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::*;

/// A folder of all the names that have broken somebody's script, with contents that differ.
fn dirty(work: &Workdir) -> usize {
    let names: [&[u8]; 22] = [
        b"plain.epub",
        b"new\nline.epub",
        b"\n",
        b"tab\tbell\x07escape\x1b[2J.pdf",
        b"\"double\" and 'single'.epub",
        b"back\\slash\\n.epub",
        b"-rf",
        b"--help",
        b"-",
        b" leading and trailing ",
        b"{brace}.epub",
        b"dollar$HOME`id`$(id).pdf",
        b"glob*?[a].pdf",
        "Война и мир.fb2".as_bytes(),
        "紅樓夢.txt".as_bytes(),
        "cafe\u{301}.epub".as_bytes(),
        "caf\u{e9}.epub".as_bytes(),
        "\u{202e}gpj.exe".as_bytes(),
        b"latin1-caf\xe9.epub",
        b"\xff\xfe\xfd",
        b".hidden",
        b"del\x7f\x01",
    ];
    for (n, name) in names.iter().enumerate() {
        let folder = ["books/", "books/-a b/", "books/.calnotes/"][n % 3];
        let path = [folder.as_bytes(), name].concat();
        work.write(OsStr::from_bytes(&path), format!("content {n}"));
    }
    work.write(
        format!("books/{}", "x".repeat(255)),
        "as long as a name can be",
    );
    work.write(
        format!("books/{}", "ж".repeat(127)),
        "as long as a Cyrillic one can be",
    );
    names.len() + 2
}

#[test]
fn sha1sum_agrees_on_every_dirty_name() {
    let work = Workdir::new();
    let number = dirty(&work);
    let expected = sha1sum(&work, "books");
    assert_eq!(expected.len(), number);

    let walked = work.tool("hash-files").args(["-r", "books"]).ok();
    assert_eq!(digests(&walked), expected);
    assert_eq!(walked.summary()["records"], number);
    assert_eq!(walked.summary()["complete"], true);

    let named = work
        .shell("find books -type f -print0 | hash-files -0")
        .ok();
    assert_eq!(digests(&named), expected);

    let given = work
        .shell("find books -type f -print0 | xargs -0 hash-files --")
        .ok();
    assert_eq!(digests(&given), expected);
}

#[test]
fn names_survive_from_record_to_record() {
    let work = Workdir::new();
    dirty(&work);
    let script = "hash-files -r books > 1; hash-files < 1 > 2; hash-files --ordered < 2";
    let again = work.shell(script).ok();
    assert_eq!(digests(&again), sha1sum(&work, "books"));
}

/// The predecessor cleaned the path itself, and then did not find the file.
#[test]
fn control_characters_in_a_path_are_not_cleaned_away() {
    let work = Workdir::new();
    let path = work.write("a\x01b\r\nc.epub", "x");
    let ran = work
        .tool("hash-files")
        .stdin(record("book_file", &path, "") + &whole(1))
        .ok();
    assert_eq!(digests(&ran).into_keys().collect::<Vec<_>>(), [path]);
}

#[test]
fn a_name_that_is_not_utf8_is_shown_and_kept() {
    let work = Workdir::new();
    let path = work.write(OsStr::from_bytes(b"caf\xe9"), "x");
    let ran = work.tool("hash-files").arg("-r").arg(".").ok();
    let hash = &ran.of_type("file_hash")[0];
    assert!(hash["path"].as_str().unwrap().ends_with("/caf\u{fffd}"));
    assert!(hash["path_b64"].is_string());
    assert!(digests(&ran).contains_key(&path));
}

#[test]
fn sha1sum_agrees_on_every_size() {
    let work = Workdir::new();
    let bytes: Vec<u8> = (0..3 << 20)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let sizes = [
        0,
        1,
        55,
        56,
        63,
        64,
        65,
        65_535,
        65_536,
        65_537,
        131_072,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        3 << 20,
    ];
    for size in sizes {
        work.write(format!("sizes/{size}"), &bytes[..size]);
    }
    let sparse = std::fs::File::create(work.join("sizes/sparse")).unwrap();
    sparse.set_len(50_000_001).unwrap();

    let expected = sha1sum(&work, "sizes");
    for flags in [
        &["-j", "1"][..],
        &["--io-threads", "1"],
        &["-j", "3", "--io-threads", "2"],
        &[],
    ] {
        let ran = work
            .tool("hash-files")
            .args(flags)
            .args(["-r", "sizes"])
            .ok();
        assert_eq!(digests(&ran), expected, "{flags:?}");
        for hash in ran.of_type("file_hash") {
            let name = hash["path"].as_str().unwrap().rsplit('/').next().unwrap();
            let size = name.parse().unwrap_or(50_000_001);
            assert_eq!(hash["size"], size);
        }
    }
}

#[test]
fn paths_are_absolute_whatever_was_given() {
    let work = Workdir::new();
    let path = work.write("d/f", "x");
    work.write("e/f", "x");
    for given in ["d/f", "./d/f", "d//f", "d/./f"] {
        let ran = work.tool("hash-files").arg(given).ok();
        assert_eq!(
            digests(&ran).into_keys().collect::<Vec<_>>(),
            std::slice::from_ref(&path)
        );
    }
    // `..` stays: behind a symbolic link it is another folder than it seems.
    let ran = work.tool("hash-files").arg("e/../d/f").ok();
    assert!(digests(&ran).contains_key(&work.join("e/../d/f")));
}

#[test]
fn mtime_has_its_nanoseconds() {
    let work = Workdir::new();
    work.write("f", "x");
    work.shell("touch -d '2001-02-03 04:05:06.123456789 UTC' f")
        .ok();
    let ran = work.tool("hash-files").arg("f").ok();
    assert_eq!(
        ran.of_type("file_hash")[0]["mtime"],
        "2001-02-03T04:05:06.123456789Z"
    );
}
