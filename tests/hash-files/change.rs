use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

const SIZE: u64 = 100_000_000;

/// Runs hash-files on a large file, halts it in the middle of reading, lets `change` act on the file,
/// and gives the one record that comes of it.
fn changed_by(change: impl Fn(&Path)) -> serde_json::Value {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "never caught in the middle");
        let work = Workdir::new();
        let path = work.join("author/book.pdf");
        fs::create_dir(work.join("author")).unwrap();
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        let mut child = work.tool("hash-files").arg(&path).spawn();
        let pid = Pid::from_child(&child);
        let offset = loop {
            match offset(child.id(), &path) {
                None if child.try_wait().unwrap().is_some() => break None,
                None | Some(0) => std::thread::yield_now(),
                some => break some,
            }
        };
        if offset.is_none() {
            continue;
        }
        kill_process(pid, Signal::STOP).unwrap();
        harness::wait_for("a halted process", DEADLINE, || {
            let state = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let state = state
                .rsplit(')')
                .next()
                .unwrap()
                .trim_start()
                .chars()
                .next();
            matches!(state, Some('T' | 'Z')).then_some(())
        });
        let caught = offset_below_end(child.id(), &path);
        if caught {
            change(&path);
        }
        kill_process(pid, Signal::CONT).unwrap();
        let output = child.wait_with_output().unwrap();
        if caught {
            assert_eq!(output.status.code(), Some(1));
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(text.lines().count(), 2, "{text}");
            return serde_json::from_str(text.lines().next().unwrap()).unwrap();
        }
    }
}

/// How far the process has read the file, where it has it open.
fn offset(pid: u32, path: &Path) -> Option<u64> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .find_map(|fd| {
            let fd = fd.ok()?;
            let name = fs::read_link(fd.path()).ok()?;
            if name != path {
                return None;
            }
            let number = fd.file_name().into_string().ok()?;
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
            info.lines()
                .next()?
                .strip_prefix("pos:")?
                .trim()
                .parse()
                .ok()
        })
}

fn offset_below_end(pid: u32, path: &Path) -> bool {
    offset(pid, path).is_some_and(|offset| offset < SIZE)
}

fn assert_changed(error: &serde_json::Value, how: &str) {
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["was"], "file_hash");
    assert_eq!(error["op"], "read");
    assert_eq!(error["retry"], true);
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("changed while it was read"),
        "{message}"
    );
    assert!(message.contains(how), "{message}");
    assert!(error.get("sha1").is_none());
}

#[test]
fn a_file_that_grows_while_read_has_no_hash() {
    let error = changed_by(|path| {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    });
    assert_changed(&error, "");
}

#[test]
fn a_file_that_is_cut_while_read_has_no_hash() {
    let error = changed_by(|path| {
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(SIZE - 1)
            .unwrap();
    });
    assert_changed(&error, "ends before");
}

#[test]
fn a_byte_changed_behind_the_reader_is_noticed_though_size_and_mtime_are_restored() {
    let error = changed_by(|path| {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"!", 0).unwrap();
        file.set_modified(before).unwrap();
    });
    assert_changed(&error, "size or times");
}

#[test]
fn a_file_replaced_by_rename_while_read_has_no_hash() {
    // The old file lives on under another name, so only the path tells.
    let error = changed_by(|path| {
        let other = path.with_extension("new");
        File::create(&other).unwrap().set_len(SIZE).unwrap();
        fs::rename(other, path).unwrap();
    });
    assert_changed(&error, "");
}

#[test]
fn a_file_removed_while_read_has_no_hash() {
    let error = changed_by(|path| fs::remove_file(path).unwrap());
    assert_changed(&error, "");
}

#[test]
fn a_folder_renamed_away_while_its_file_is_read_is_noticed() {
    // Nothing of the file itself changes.
    let away = |path: &Path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_extension("away")).unwrap();
    };
    assert_changed(&changed_by(away), "removed or renamed");
    let error = changed_by(|path| {
        away(path);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, "another book").unwrap();
    });
    assert_changed(&error, "another file");
}

/// Files are replaced all the time while they are hashed; every hash must be that of a content that
/// was there, whole.
#[test]
fn a_hash_is_never_that_of_half_of_two_contents() {
    let work = Workdir::new();
    let contents: Vec<Vec<u8>> = (0..3_u8).map(|n| vec![n; 300_000]).collect();
    let mut known = Vec::new();
    for (n, content) in contents.iter().enumerate() {
        work.write(format!("known/{n}"), content);
    }
    known.extend(sha1sum(&work, "known").into_values());

    let path = work.write("book", &contents[0]);
    let names: String = format!("{}\0", path.display()).repeat(100);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let ordering = std::sync::atomic::Ordering::Relaxed;
            for content in contents.iter().cycle() {
                if stop.load(ordering) {
                    return;
                }
                // In place, so that a reader can see the front of one and the back of another.
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all_at(content, 0).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = work.tool("hash-files").arg("-0").stdin(names).run();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    assert_eq!(ran.summary()["records"], 100);
    let hashes = ran.of_type("file_hash");
    for hash in &hashes {
        assert!(
            known.contains(&hash["sha1"].as_str().unwrap().to_string()),
            "{hash}"
        );
    }
    assert_eq!(hashes.len() + ran.of_type("error").len(), 100);
}
