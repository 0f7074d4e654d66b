use std::{fs, path::PathBuf, process::Command, thread};

use super::*;

fn record(number: u64) -> Line {
    let mut line = Line::new(if number == 0 { "head" } else { "step" });
    line.int("n", number).text("text", "{\"type\":\"half");
    line
}

/// A journal of a head and `steps` records.
fn journal(path: &Path, steps: u64) -> Journal {
    let journal = Journal::open_or_create(path, "head", 0o600).unwrap();
    for number in 0..=steps {
        journal.append(&record(number)).unwrap();
    }
    journal
}

/// The number of each record, and those of the lines that hold none.
fn read(path: &Path) -> (Vec<u64>, Vec<u64>) {
    let mut reader = Reader::new(io::BufReader::new(File::open(path).unwrap()));
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        let record = entry.text.map_err(String::from);
        match record.and_then(|text| crate::Record::parse(text.to_vec())) {
            Ok(record) => records.push(record.get("n").unwrap()),
            Err(_) => bad.push(entry.number),
        }
    }
    (records, bad)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    (folder, path)
}

#[test]
fn a_journal_cut_at_any_byte_keeps_all_whole_lines_and_goes_on_behind_them() {
    let (_folder, path) = folder();
    drop(journal(&path, 2));
    let bytes = fs::read(&path).unwrap();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count() as u64;
        let kept: Vec<u64> = (0..whole).collect();
        assert_eq!(read(&path), (kept.clone(), vec![]), "cut at {cut}");
        let journal = Journal::open(&path, "head").unwrap();
        assert_eq!(
            fs::read(&path).unwrap().len(),
            cut,
            "opening writes nothing"
        );
        assert_eq!(journal.is_begun(), whole > 0);
        journal.append_synced(&record(9)).unwrap();
        drop(journal);
        assert_eq!(
            read(&path),
            ([kept, vec![9]].concat(), vec![]),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_line_that_cannot_be_read_is_named_and_hides_no_other() {
    let (_folder, path) = folder();
    drop(journal(&path, 0));
    let line = |number| String::from_utf8(record(number).bytes()).unwrap();
    let glued = [&line(1)[..20], &line(2)].concat();
    let long = "x".repeat(70_000) + "\n";
    let head = fs::read_to_string(&path).unwrap();
    let text = [
        &*head,
        &glued,
        "\0\0\0\n",
        "\n",
        &long,
        "not JSON\n",
        &line(3),
        &line(4)[..9],
    ];
    fs::write(&path, text.concat()).unwrap();
    assert_eq!(read(&path), (vec![0, 2, 3], vec![2, 3, 5, 6]));
}

#[test]
fn an_entry_tells_where_its_record_stands() {
    let (_folder, path) = folder();
    drop(journal(&path, 1));
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"\n{\"type\":\"ha");
    bytes.extend(record(2).bytes());
    fs::write(&path, &bytes).unwrap();
    let mut reader = Reader::new(&*bytes);
    let mut places = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        if let Ok(text) = entry.text {
            assert!(bytes[entry.at as usize..].starts_with(text));
            places += 1;
        }
    }
    assert_eq!(places, 3);
}

/// A disk of 64 KiB, where one may be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]);
        let mounted = mount.arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|mount| mount.status.success());
        mounted.then(|| SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_line_that_finds_the_disk_full_in_its_middle_leaves_nothing_behind() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0; 8192]).unwrap();
    let path = disk.0.path().join("journal");
    let journal = journal(&path, 0);
    let full = (1..).find(|&number| journal.append(&record(number)).is_err());
    let full = full.unwrap();
    assert_eq!(fs::read(&path).unwrap().last(), Some(&b'\n'));
    let failure = journal.failure().unwrap().to_string();
    assert!(failure.contains("journal: write: "), "{failure}");
    fs::remove_file(&filler).unwrap();
    journal.append_synced(&record(full)).unwrap();
    drop(journal);
    assert_eq!(read(&path), ((0..=full).collect(), vec![]));
}

#[test]
fn a_piece_that_could_not_be_taken_back_is_cut_off_by_the_next_line() {
    let (_folder, path) = folder();
    let journal = journal(&path, 1);
    // As after a failed write whose truncation failed, too.
    (&journal.file).write_all(b"{\"type\":\"st").unwrap();
    journal.lock().torn = true;
    journal.append(&record(2)).unwrap();
    assert_eq!(read(&path), (vec![0, 1, 2], vec![]));
}

#[test]
fn only_one_process_writes_and_what_it_wrote_last_is_kept() {
    let (_folder, path) = folder();
    let first = journal(&path, 1);
    let refused = Journal::open_or_create(&path, "head", 0o600).unwrap_err();
    assert_eq!(refused.exit, Exit::Refused);
    assert!(last_line(&path).is_err());
    first.append(&record(2)).unwrap();
    drop(first);
    assert_eq!(last_line(&path).unwrap(), record(2).bytes());
    Journal::open(&path, "head")
        .unwrap()
        .append(&record(3))
        .unwrap();
    assert_eq!(read(&path), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn what_is_no_such_journal_is_refused_and_left_alone() {
    let (folder, path) = folder();
    for other in [
        "x",
        "{\"type\":\"header\",",
        "{\"type\":\"head_of_another\"}\n",
        "%PDF",
        "{}\n",
    ] {
        fs::write(&path, other).unwrap();
        let refused = Journal::open_or_create(&path, "head", 0o600).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage, "{other}");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    for beginning in ["", "{\"ty", "{\"type\":\"head\",\"n", "\0\0\0\0"] {
        fs::write(&path, beginning).unwrap();
        assert!(
            !Journal::open(&path, "head").unwrap().is_begun(),
            "{beginning}"
        );
    }
    assert_eq!(
        Journal::open(folder.path(), "head").unwrap_err().exit,
        Exit::Usage
    );
    let missing = folder.path().join("missing");
    assert_eq!(
        Journal::open(&missing, "head").unwrap_err().exit,
        Exit::Usage
    );
    assert!(!missing.exists());
}

#[test]
fn lines_of_several_threads_stay_whole_and_are_all_on_disk() {
    let (_folder, path) = folder();
    let journal = journal(&path, 0);
    thread::scope(|scope| {
        for start in [1, 101, 201] {
            let journal = &journal;
            scope.spawn(move || {
                (start..start + 100).for_each(|n| journal.append_synced(&record(n)).unwrap())
            });
        }
    });
    let (mut records, bad) = read(&path);
    records.sort_unstable();
    assert_eq!((records, bad), ((0..=300).collect(), vec![]));
    assert_eq!(journal.lock().safe, fs::metadata(&path).unwrap().len());
}
