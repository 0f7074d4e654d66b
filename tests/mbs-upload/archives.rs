use std::{fs, os::unix::fs::FileExt};

use library::{Book, epub::epub};

use super::*;

/// Makes `x.tar` of these names and contents.
fn pack(bench: &Bench, members: &[(&str, &[u8])]) {
    for (name, content) in members {
        bench.dir.write(format!("in/{name}"), content);
    }
    let names = members.iter().map(|(name, _)| name);
    let tar = bench
        .dir
        .command("tar")
        .args(["-cf", "x.tar", "-C", "in", "--"]);
    tar.args(names).ok();
}

/// The records of the members of `x.tar`.
fn hashed(bench: &Bench) -> Vec<Value> {
    let ran = bench
        .dir
        .tool("hash-files")
        .args(["--tar", "--ordered", "x.tar"])
        .run();
    ran.of_type("file_hash")
}

/// `hash-files --tar x.tar | mbs-upload`
fn pipeline(bench: &Bench) -> Run {
    bench
        .dir
        .shell("hash-files --tar x.tar | mbs-upload --retry-wait 40ms --default-language en")
        .env("MBS_API", bench.server.api())
        .env("MBS_WS", bench.server.ws())
        .env("MBS_USER", "user")
        .env("MBS_PASSWORD_FILE", bench.server.password_file("user"))
}

/// Title and bytes of each stored file.
fn stored(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let sql = "select title, location from source join ebook on ebook.id = ebook_id";
    let read = |row: &Vec<Option<String>>| {
        let path = bench
            .server
            .data_dir()
            .join("books")
            .join(row[1].as_deref().unwrap());
        (row[0].clone().unwrap(), fs::read(path).unwrap())
    };
    bench.server.query(sql).iter().map(read).collect()
}

#[test]
fn books_in_an_archive_arrive_with_what_they_say_of_themselves() {
    let bench = Bench::with(Settings {
        ebook_meta: Some("/usr/bin/ebook-meta".into()),
        ..Settings::default()
    });
    let one = Book::new("Válka s mloky").by("Karel Čapek").language("ces");
    let two = Book::new("The Time Machine")
        .by("H. G. Wells")
        .language("eng");
    let (one, two) = (epub(&one, "mloci").unwrap(), epub(&two, "time").unwrap());
    pack(
        &bench,
        &[
            ("sub/1.epub", &one),
            // Only its bytes say what it is.
            ("The Time Machine. Vol 1", &two),
            ("._1.epub", b"\0\x05\x16\x07\0\x02\0\0Mac OS X"),
            ("empty.epub", b""),
        ],
    );
    bench
        .dir
        .shell("ln -s /etc/passwd link.epub; tar -rf x.tar link.epub")
        .ok();
    let archive = bench.dir.join("x.tar");
    let shape = || {
        (
            sha1(&fs::read(&archive).unwrap()),
            fs::metadata(&archive).unwrap().modified().unwrap(),
        )
    };
    let before = shape();

    let ran = pipeline(&bench).code(1);
    assert_eq!(
        counts(&ran),
        [("unsupported".into(), 2), ("uploaded".into(), 2)].into()
    );
    let titles = ["The Time Machine", "Válka s mloky"];
    assert_eq!(
        stored(&bench),
        titles
            .map(String::from)
            .into_iter()
            .zip([two, one])
            .collect()
    );
    let names = bench
        .server
        .query("select last_name from author order by 1");
    assert_eq!(
        names,
        [[Some("Wells".to_string())], [Some("Čapek".to_string())]]
    );
    let uploads = ran.of_type("upload");
    let of = |name: &str| {
        uploads
            .iter()
            .find(|upload| upload["member"] == name)
            .unwrap()
    };
    assert_eq!(of("sub/1.epub")["path"], archive.to_str().unwrap());
    assert!(
        of("._1.epub")["reason"]
            .as_str()
            .unwrap()
            .contains("appledouble")
    );
    assert_eq!(ran.of_type("error")[0]["member"], "link.epub");

    // A second time nothing is sent, and the archive stays as and where it is.
    let again = pipeline(&bench).code(1);
    assert_eq!(counts(&again)["duplicate"], 2);
    assert_eq!(bench.ebooks(), 2);
    assert_eq!(shape(), before);
}

#[test]
fn a_record_may_tell_better_than_the_file() {
    let bench = Bench::new();
    pack(&bench, &[("a.epub", b"a"), ("sub/b.pdf", b"b")]);
    let mut records = hashed(&bench);
    for (name, value) in meta("Told by the Record", "Jan Novák").as_object().unwrap() {
        records[0][name] = value.clone();
    }
    let ran = bench.tool(&records).args(["--default-language", "cs"]).ok();
    assert_eq!(counts(&ran)["uploaded"], 2, "{}", ran.report());
    let titles = bench
        .server
        .query("select title, language_id from ebook order by title");
    let row =
        |title: &str, language: &str| vec![Some(title.to_string()), Some(language.to_string())];
    // What tells nothing has its name in the archive for a title.
    assert_eq!(titles, [row("Told by the Record", "2"), row("b", "1")]);
    bench.holds(&records);
}

#[test]
fn what_was_changed_in_an_archive_since_it_was_hashed_is_not_sent() {
    let bench = Bench::new();
    pack(
        &bench,
        &[
            ("a.epub", &[b'a'; 5000]),
            ("b.epub", &[b'b'; 5000]),
            ("c.epub", &[b'c'; 5000]),
        ],
    );
    let records = hashed(&bench);
    let place = records[1]["offset"].as_u64().unwrap() + 4999;
    let archive = fs::OpenOptions::new()
        .write(true)
        .open(bench.dir.join("x.tar"))
        .unwrap();
    archive.write_all_at(b"B", place).unwrap();
    let english = ["--default-language", "en"];
    let ran = bench.tool(&records).args(english).code(1);
    let failed = &ran
        .of_type("upload")
        .into_iter()
        .find(|u| u["outcome"] == "failed")
        .unwrap();
    assert_eq!(failed["member"], "b.epub");
    assert!(
        failed["reason"]
            .as_str()
            .unwrap()
            .contains("changed since hashed")
    );
    assert!(ran.stderr().contains("x.tar[b.epub]"), "{}", ran.report());
    bench.holds(&[records[0].clone(), records[2].clone()]);

    // Cut short, and gone.
    archive.set_len(place).unwrap();
    let ran = bench.tool(&records[1..2]).args(english).code(1);
    ran.one_line(&[
        "x.tar[b.epub]",
        "not in the archive",
        "run hash-files again",
    ]);
    fs::remove_file(bench.dir.join("x.tar")).unwrap();
    bench
        .tool(&records[1..2])
        .args(english)
        .code(1)
        .one_line(&["x.tar[b.epub]", "No such file"]);
    assert_eq!(bench.ebooks(), 2, "and no ebook is left without a file");
}

/// The predecessor copied members to one folder by name: the second got the bytes of the first.
#[test]
fn members_of_one_name_never_take_each_others_bytes() {
    let bench = Bench::new();
    pack(&bench, &[("same.txt", b"first")]);
    bench.dir.write("in/same.txt", "second");
    bench
        .dir
        .shell("tar -rf x.tar -C in same.txt; mkdir d; cp in/same.txt d; echo third >d/same.txt")
        .ok();
    bench.dir.shell("tar -rf x.tar d/same.txt").ok();
    let records = hashed(&bench);
    assert_eq!(records.len(), 3);
    let ran = pipeline(&bench).ok();
    assert_eq!(counts(&ran)["uploaded"], 3, "{}", ran.report());
    bench.holds(&records);
}

/// The predecessor unpacked `../x` outside its folder, and then sent what it found by name.
#[test]
fn a_member_s_name_is_never_opened() {
    let bench = Bench::new();
    bench.dir.write("secret.epub", "secret");
    pack(&bench, &[("a.epub", b"public")]);
    let mut records = hashed(&bench);
    for name in ["../secret.epub", "/etc/passwd", "secret.epub"] {
        records[0]["member"] = name.into();
        records[0]["sha1"] = sha1(b"secret").into();
        let ran = bench
            .tool(&records)
            .args(["--default-language", "en"])
            .code(1);
        assert_eq!(outcome(&ran, &records[0])["outcome"], "failed");
    }
    assert_eq!(bench.number("select count(*) from source"), 0);
    records[0]["sha1"] = sha1(b"public").into();
    bench.tool(&records).args(["--default-language", "en"]).ok();
    bench.holds(&records);
}

/// The predecessor marked such archives as completed and moved them away.
#[test]
fn bug_b13_an_archive_with_failures_is_not_done_and_the_next_run_brings_the_rest() {
    let bench = Bench::new();
    pack(
        &bench,
        &[("a.epub", &[b'a'; 3000]), ("b.epub", &[b'b'; 3000])],
    );
    let records = hashed(&bench);
    let whole = fs::read(bench.dir.join("x.tar")).unwrap();
    fs::write(bench.dir.join("x.tar"), &whole[..5000]).unwrap();
    let ran = pipeline(&bench).code(1);
    assert_eq!(counts(&ran), [("uploaded".into(), 1)].into());
    let error = &ran.of_type("error")[0];
    assert_eq!(
        (error["was"].as_str(), error["member"].as_str()),
        (Some("file_hash"), Some("b.epub"))
    );
    assert_eq!(
        (&ran.summary()["complete"], &ran.summary()["failed"]),
        (&false.into(), &1.into())
    );
    bench.holds(&records[..1]);

    fs::write(bench.dir.join("x.tar"), whole).unwrap();
    let ran = pipeline(&bench).ok();
    assert_eq!(
        counts(&ran),
        [("duplicate".into(), 1), ("uploaded".into(), 1)].into()
    );
    assert_eq!(ran.summary()["complete"], true);
    bench.holds(&records);
}
