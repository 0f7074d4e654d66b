use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
};

use serde_json::Value;

use super::*;

/// Makes an archive of `names` with GNU tar.
fn pack(work: &Workdir, archive: &str, options: &[&str], names: &[&str]) {
    let tar = work.command("tar").args(["-cf", archive, "--sort=name"]);
    tar.args(options).arg("--").args(names).ok();
}

fn hash(work: &Workdir) -> harness::Run {
    work.tool("hash-files").arg("--tar")
}

/// The exact name of a record's member.
fn member(record: &Value) -> Vec<u8> {
    let record = wire::Record::parse(record.to_string().into_bytes()).unwrap();
    let name = record.path_of("member", "member_b64").unwrap().unwrap();
    name.as_os_str().as_bytes().to_vec()
}

/// SHA-1 by member, with the digest of what really stands at each place.
fn members(ran: &Ran) -> Vec<(Vec<u8>, String)> {
    use sha1::Digest as _;
    let checked = |record: &Value| {
        let line = wire::Record::parse(record.to_string().into_bytes()).unwrap();
        assert_eq!(line.path_of("archive", "archive_b64").unwrap(), line.path());
        let archive = fs::File::open(line.path().unwrap()).unwrap();
        let mut bytes = vec![0; record["size"].as_u64().unwrap() as usize];
        let offset = record["offset"].as_u64().unwrap();
        archive.read_exact_at(&mut bytes, offset).unwrap();
        let there: String = sha1::Sha1::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(record["sha1"], there, "{record}");
        (member(record), there)
    };
    ran.of_type("file_hash").iter().map(checked).collect()
}

/// A folder of names and sizes that archives have trouble with.
fn zoo(work: &Workdir) {
    let long = format!("zoo/{}/{}/n.epub", "d".repeat(90), "e".repeat(140));
    let longer = format!("zoo/{}/{}.fb2", "f".repeat(120), "g".repeat(120));
    for (name, size) in [
        ("zoo/empty.txt", 0),
        ("zoo/one.pdf", 1),
        ("zoo/511.pdf", 511),
        ("zoo/512.pdf", 512),
        ("zoo/513.pdf", 513),
        ("zoo/large.pdf", 3_000_000),
        ("zoo/new\nline \"quoted\" \\.epub", 10),
        ("zoo/Война и мир.fb2", 11),
        ("zoo/sub/two words.mobi", 12),
        (&long, 13),
        (&longer, 14),
    ] {
        let bytes: Vec<u8> = (0..size).map(|i: usize| (i * 7 + size) as u8).collect();
        work.write(name, bytes);
    }
    let odd = std::ffi::OsStr::from_bytes(b"zoo/\xff\xfe.epub");
    fs::write(work.join(odd), "odd").unwrap();
}

#[test]
fn members_are_what_unpacking_gives_in_every_dialect() {
    let work = Workdir::new();
    zoo(&work);
    let formats = ["v7", "oldgnu", "gnu", "ustar", "pax"];
    let archives: Vec<_> = formats
        .iter()
        .map(|format| format!("{format}.tar"))
        .collect();
    for (format, archive) in formats.iter().zip(&archives) {
        // The old ones cannot hold all names, and say so.
        let ran = work
            .command("tar")
            .args(["-cf", archive, "--sort=name", "--format", format, "zoo"])
            .run();
        assert!(
            ran.status.success() || ["v7", "ustar"].contains(format),
            "{}",
            ran.report()
        );
    }
    let ran = hash(&work).args(&archives).ok();
    assert_eq!(ran.summary()["complete"], true, "{}", ran.report());
    let unpacked = sha1sum(&work, "zoo");
    let found = ran.of_type("file_hash");
    for (format, archive) in formats.iter().zip(&archives) {
        let of_this = |record: &&Value| {
            record["path"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/{archive}"))
        };
        let count = found.iter().filter(of_this).count();
        let listed = work
            .shell(&format!("tar -tf {archive} | grep -vc '/$'"))
            .ok();
        assert_eq!(count.to_string(), listed.stdout().trim(), "{format}");
        assert!(
            count == unpacked.len() || ["v7", "ustar"].contains(format),
            "{format}"
        );
    }
    for (name, sha1) in members(&ran) {
        let path = work.join(std::ffi::OsStr::from_bytes(&name));
        assert_eq!(unpacked[&path], sha1);
    }
}

#[test]
fn times_are_those_of_the_archive() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    work.shell("touch -d '2001-02-03 04:05:06.789 UTC' a.epub")
        .ok();
    pack(&work, "gnu.tar", &[], &["a.epub"]);
    pack(&work, "pax.tar", &["--format=pax"], &["a.epub"]);
    let ran = hash(&work).args(["--ordered", "gnu.tar", "pax.tar"]).ok();
    let times: Vec<_> = ran.of_type("file_hash");
    assert_eq!(times[0]["mtime"], "2001-02-03T04:05:06.000000000Z");
    assert_eq!(times[1]["mtime"], "2001-02-03T04:05:06.789000000Z");
}

#[test]
fn archives_come_as_arguments_names_records_or_in_folders() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    fs::create_dir(work.join("in")).unwrap();
    pack(&work, "in/x.tar", &[], &["a.epub"]);
    work.write("in/readme", "no archive");
    let by_argument = hash(&work).arg("in/x.tar").ok();
    let by_name = hash(&work).arg("-0").stdin("in/x.tar\0").ok();
    let by_folder = hash(&work).args(["-r", "--ext", "tar", "in"]).ok();
    assert_eq!(by_argument.records(), by_name.records());
    assert_eq!(members(&by_argument), members(&by_folder));
    assert_eq!(by_folder.summary()["complete"], false, "a selection");

    // What a record says of the archive it says of the members, but for what is the archive's own.
    let more = r#","sha1":"old","size":1,"format":"tar","languages":["rus"]"#;
    let input = record("file_hash", work.join("in/x.tar"), more) + &whole(1);
    let by_record = hash(&work).stdin(input).ok();
    assert_eq!(members(&by_record), members(&by_argument));
    let found = &by_record.of_type("file_hash")[0];
    assert_eq!(found["languages"][0], "rus");
    assert_eq!(found["format"], "epub");
    assert_eq!(by_record.summary()["complete"], true);
    assert_eq!(by_record.summary()["library"], "u-1");
    let input = record("file_hash", work.join("in/y.tar"), more) + &whole(1);
    work.shell("ln -s a.epub link; tar -cf in/y.tar link").ok();
    let error = &hash(&work).stdin(input).code(1).of_type("error")[0];
    assert_eq!(
        (error["was"].as_str(), error["member"].as_str()),
        (Some("file_hash"), Some("link"))
    );
    assert!(
        error.get("sha1").is_none() && error["languages"][0] == "rus",
        "{error}"
    );
}

#[test]
fn what_is_hostile_or_no_file_is_an_error_and_the_rest_is_hashed() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    work.write("sub/b.epub", "b");
    let sparse = fs::File::create(work.join("sparse.pdf")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(b"x", 1 << 19).unwrap();
    work.shell("ln -s /etc/passwd link; ln a.epub hard; mkfifo fifo")
        .ok();
    for (archive, options) in [
        ("gnu.tar", &["--format=gnu", "-S"][..]),
        ("pax.tar", &["--format=pax", "-S"][..]),
    ] {
        let names = ["a.epub", "fifo", "hard", "link", "sparse.pdf", "sub"];
        pack(&work, archive, options, &names);
        // Under names that lead elsewhere, and a device, which needs no right to be put in.
        let outer = ["-P", "--transform", "s,a.epub,../outer.epub,"];
        let append = |options: &[&str], name: &str| {
            work.command("tar")
                .args(["-rf", archive])
                .args(options)
                .arg(name)
                .ok();
        };
        append(&outer, "a.epub");
        append(
            &["-P", "--transform", "s,a.epub,/etc/absolute.epub,"],
            "a.epub",
        );
        append(&[], "/dev/null");
        let ran = hash(&work).arg(archive).code(1);
        let hashed: Vec<_> = members(&ran).into_iter().map(|(name, _)| name).collect();
        assert_eq!(hashed, [&b"a.epub"[..], b"sub/b.epub"], "{}", ran.report());
        let errors = ran.of_type("error");
        for (name, why) in [
            ("fifo", "a FIFO"),
            ("hard", "a hard link to a.epub"),
            ("link", "a symbolic link to /etc/passwd"),
            ("sparse.pdf", "a sparse file"),
            ("../outer.epub", "leads out of its folder"),
            ("/etc/absolute.epub", "absolute"),
            ("dev/null", "a character device"),
        ] {
            let of_name = |error: &&Value| error["member"] == name;
            let error = errors
                .iter()
                .find(of_name)
                .unwrap_or_else(|| panic!("{name}\n{}", ran.report()));
            assert_eq!(
                (&error["was"], &error["retry"]),
                (&"file_hash".into(), &false.into())
            );
            assert_eq!(error["path"], work.join(archive).to_str().unwrap());
            assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        }
        assert_eq!(errors.len(), 7);
        assert_eq!(ran.summary()["complete"], true, "every member has its line");
    }
}

#[test]
fn a_member_is_never_written_anywhere_whatever_its_name() {
    let work = Workdir::new();
    work.write("in/a.epub", "a");
    let outer = ["-P", "--transform", "s,in/a.epub,../a.epub,"];
    pack(&work, "in/x.tar", &outer, &["in/a.epub"]);
    let listing = || {
        work.shell("find . -printf '%p %s %i %T@ %C@\\n' | sort")
            .ok()
            .stdout()
    };
    let before = listing();
    hash(&work).arg("in/x.tar").code(1);
    assert_eq!(
        listing(),
        before,
        "nothing is moved, deleted or written, either"
    );
}

#[test]
fn a_half_written_archive_gives_what_is_whole_and_says_so() {
    let work = Workdir::new();
    for name in ["a.epub", "b.epub", "c.epub"] {
        work.write(name, name.repeat(1000));
    }
    pack(&work, "x.tar", &[], &["a.epub", "b.epub", "c.epub"]);
    let bytes = fs::read(work.join("x.tar")).unwrap();
    let place =
        |ran: &Ran, n: usize| ran.of_type("file_hash")[n]["offset"].as_u64().unwrap() as usize;
    let whole = hash(&work).arg("x.tar").ok();
    let (b, c) = (place(&whole, 1), place(&whole, 2));
    for (cut, left, why) in [
        (b + 3000, 1, "only 3000 of its 6000 bytes"),
        (c - 300, 2, "without an end mark"),
        (c + 6000, 3, "without an end mark"),
        (c - 512, 2, "without an end mark"),
    ] {
        fs::write(work.join("cut.tar"), &bytes[..cut]).unwrap();
        let ran = hash(&work).arg("cut.tar").code(1);
        assert_eq!(members(&ran), members(&whole)[..left], "{}", ran.report());
        let error = &ran.of_type("error")[0];
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        assert_eq!(ran.summary()["failed"], 1);
        assert_eq!(
            ran.summary()["complete"],
            false,
            "nobody knows what is missing"
        );
        ran.one_line(&["hash-files: ", "cut.tar", ": read: ", why]);
    }
}

#[test]
fn what_is_compressed_or_no_archive_is_refused_with_what_to_do() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    pack(&work, "x.tar", &[], &["a.epub"]);
    work.shell("gzip -k x.tar; : >empty.tar; mkdir folder.tar")
        .ok();
    // How files of the programs begin that a small machine lacks.
    work.write("x.tar.xz", b"\xfd7zXZ\0 and more");
    work.write("x.tar.bz2", b"BZh91AY&SY and more");
    work.write("x.tar.zst", b"\x28\xb5\x2f\xfd and more");
    work.write("book.tar", "once upon a time ".repeat(100));
    let files = [
        "x.tar.gz",
        "x.tar.xz",
        "x.tar.bz2",
        "x.tar.zst",
        "book.tar",
        "empty.tar",
        "absent.tar",
        "folder.tar",
    ];
    let ran = hash(&work).args(files).arg("x.tar").code(1);
    let reasons = [
        "`gzip -dk`",
        "`xz -dk`",
        "`bzip2 -dk`",
        "`zstd -dk`",
        "not a tar archive",
        "empty",
        "No such file",
        "-r",
    ];
    for (file, why) in files.iter().zip(reasons) {
        let path = work.join(file);
        let errors = ran.of_type("error");
        let error = errors
            .iter()
            .find(|e| e["path"] == path.to_str().unwrap())
            .unwrap();
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
    }
    assert_eq!(members(&ran).len(), 1, "the good one among them is hashed");
    assert_eq!(ran.summary()["complete"], false);
}

#[test]
fn an_archive_that_is_changed_while_it_is_read_is_an_error() {
    let work = Workdir::new();
    for i in 0..3000 {
        work.write(format!("in/{i}.epub"), i.to_string());
    }
    pack(&work, "x.tar", &[], &["in"]);
    let mut child = hash(&work).arg("x.tar").spawn();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // Three thousand records are more than a pipe holds: it waits for us in the middle of the archive.
    output.next().unwrap().unwrap();
    let archive = fs::OpenOptions::new().append(true).open(work.join("x.tar"));
    archive.unwrap().write_all(&[0; 512]).unwrap();
    let rest: Vec<String> = output.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let [.., error, summary] = &rest[..] else {
        panic!("{rest:?}")
    };
    assert!(rest.len() < 3000, "it went on to the end");
    assert!(
        error.contains(r#""message":"changed while it was read: "#),
        "{error}"
    );
    assert!(error.contains("members were hashed before") && error.contains(r#""retry":true"#));
    assert!(summary.contains(r#""complete":false"#));
}

#[test]
fn an_archive_that_is_being_written_is_an_error() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    pack(&work, "x.tar", &[], &["a.epub"]);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut archive = fs::OpenOptions::new()
                .append(true)
                .open(work.join("x.tar"))
                .unwrap();
            // Not for ever, should the tool hang.
            for _ in 0..30_000 {
                if ended.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                archive.write_all(&[0; 512]).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = hash(&work).arg("x.tar").run();
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    assert_eq!(ran.status.code(), Some(1), "{}", ran.report());
    ran.one_line(&["x.tar", "changed while it was read"]);
    assert_eq!(ran.summary()["complete"], false);
}

#[test]
fn two_members_of_one_name_have_a_record_each() {
    let work = Workdir::new();
    work.write("a.epub", "old");
    pack(&work, "x.tar", &[], &["a.epub"]);
    work.write("a.epub", "newer");
    work.shell("tar -rf x.tar a.epub").ok();
    let ran = hash(&work).arg("x.tar").ok();
    let all = ran.of_type("file_hash");
    let sizes: Vec<_> = all
        .iter()
        .map(|record| record["size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [3, 5]);
    assert_ne!(all[0]["offset"], all[1]["offset"]);
    assert_eq!(members(&ran).len(), 2);
}

#[test]
fn formats_come_from_names_and_else_from_bytes() {
    let work = Workdir::new();
    work.write("in/Vol. 2", "%PDF-1.7 and so on");
    work.write("in/b.EPUB", "what it really is the server will find out");
    work.write("in/._b.EPUB", b"\0\x05\x16\x07\0\x02\0\0Mac OS X");
    work.write("in/blob", [0, 1, 2]);
    work.write("in/empty", "");
    pack(&work, "x.tar", &[], &["in"]);
    let ran = hash(&work).arg("x.tar").ok();
    let all = ran.of_type("file_hash");
    let of = |name: &str| {
        all.iter()
            .find(|r| r["member"] == name)
            .unwrap()
            .get("format")
            .cloned()
    };
    assert_eq!(of("in/Vol. 2"), Some("pdf".into()));
    assert_eq!(of("in/b.EPUB"), Some("epub".into()));
    assert_eq!(of("in/._b.EPUB"), Some("appledouble".into()));
    assert_eq!(of("in/blob"), None);
    assert_eq!(of("in/empty"), None);
}

#[test]
fn many_archives_at_once_and_in_order() {
    let work = Workdir::new();
    let mut names = Vec::new();
    for i in 0..12 {
        let file = format!("{i}.epub");
        work.write(&file, vec![i; 20_000 * (12 - usize::from(i))]);
        let archive = format!("{i:02}.tar");
        let twice = ["--hard-dereference"];
        pack(&work, &archive, &twice, &[&file, &file]);
        names.push(archive);
    }
    let free = hash(&work).args(&names).ok();
    let ordered = hash(&work).arg("--ordered").args(&names).ok();
    let sorted = |ran: &Ran| {
        let mut all: Vec<_> = ran
            .of_type("file_hash")
            .iter()
            .map(Value::to_string)
            .collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&free), sorted(&ordered));
    let places: Vec<_> = ordered
        .of_type("file_hash")
        .iter()
        .map(|r| (r["path"].to_string(), r["offset"].as_u64()))
        .collect();
    assert!(places.is_sorted() && places.len() == 24);
    assert_eq!(ordered.summary()["records"], 24);
}

#[test]
fn a_cache_and_archives_do_not_go_together() {
    let work = Workdir::new();
    let ran = hash(&work).args(["--cache", "c.db", "x.tar"]).code(2);
    assert!(ran.stderr().contains("--cache"), "{}", ran.report());
    assert!(!work.join("c.db").exists());
}

#[test]
fn a_member_that_comes_as_a_record_is_not_taken_for_its_archive() {
    let work = Workdir::new();
    work.write("a.epub", "a");
    pack(&work, "x.tar", &[], &["a.epub"]);
    let records = hash(&work).arg("x.tar").ok().stdout;
    for again in [work.tool("hash-files"), hash(&work)] {
        let ran = again.stdin(records.clone()).code(1);
        assert!(ran.of_type("file_hash").is_empty());
        ran.one_line(&["x.tar", "a member of an archive"]);
    }
}

#[test]
fn a_pipe_or_device_is_no_archive_and_blocks_nobody() {
    let work = Workdir::new();
    work.shell("mkfifo fifo").ok();
    let ran = hash(&work).args(["fifo", "/dev/zero"]).code(1);
    assert_eq!(ran.of_type("error").len(), 2);
    assert!(Path::new("/dev/zero").exists());
}
