use std::io::{Read, Write};

use super::*;

/// All byte values, no period.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

#[test]
fn every_byte_goes_in_and_comes_out() {
    let work = Workdir::new();
    let bytes = noise(1_000_003);
    let ran = watched(&work, &["--stall", "60s"], "tee /dev/stderr")
        .stdin(bytes.clone())
        .ok();
    assert!(ran.stdout == bytes && ran.stderr == bytes);
}

#[test]
fn files_and_devices_get_it_too() {
    let work = Workdir::new();
    let path = work.write("out", "before\n");
    work.shell("stall-watch bash -c 'echo one; echo two >&2; echo three' >>out 2>&1")
        .ok();
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "before\none\ntwo\nthree\n"
    );
    work.shell("stall-watch echo x >/dev/null").ok();
}

#[test]
fn two_streams_into_one_pipe_keep_their_order() {
    let work = Workdir::new();
    let script = "for n in {1..200}; do echo $n; echo $n >&2; done";
    let ran = work
        .shell(&format!("stall-watch bash -c '{script}' 2>&1 | cat"))
        .ok();
    let wanted: String = (1..=200).map(|n| format!("{n}\n{n}\n")).collect();
    assert_eq!(ran.stdout(), wanted);
}

#[test]
fn half_a_line_is_there_before_the_command_goes_on() {
    let work = Workdir::new();
    let mut child = watched(
        &work,
        &["--stall", "60s"],
        "printf 'name? '; read name; printf \"hello $name\"",
    )
    .spawn();
    let mut asked = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut asked)
        .unwrap();
    assert_eq!(&asked, b"name? ");
    child.stdin.take().unwrap().write_all(b"you\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"hello you");
}

#[test]
fn four_at_once_on_one_pipe_never_tear_a_line() {
    let work = Workdir::new();
    // Lines of odd lengths, each written by one call, more than fit into the pipe at once.
    work.write(
        "lines.py",
        "import os,sys\nfor n in range(400): os.write(1, (sys.argv[1] * (1500 + n) + '\\n').encode())\n",
    );
    let ran = work
        .shell("printf '%s\\n' a b c d | xargs -P 4 -n 1 stall-watch python3 lines.py | cat")
        .ok();
    let mut lengths = std::collections::BTreeMap::<u8, Vec<usize>>::new();
    for line in ran.stdout.split_inclusive(|&byte| byte == b'\n') {
        let (newline, letters) = line.split_last().unwrap();
        assert!(*newline == b'\n' && letters.iter().all(|byte| *byte == letters[0]));
        lengths.entry(letters[0]).or_default().push(letters.len());
    }
    assert_eq!(lengths.len(), 4);
    for of_one in lengths.values() {
        assert_eq!(of_one, &(1500..1900).collect::<Vec<_>>());
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_command_as_without_us() {
    let work = Workdir::new();
    let ran = work
        .shell("set +o pipefail; stall-watch yes | head -1; echo ${PIPESTATUS[0]}")
        .ok();
    assert_eq!(
        (ran.stdout().as_str(), ran.stderr().as_str()),
        ("y\n141\n", "")
    );
}

#[test]
fn what_a_slow_reader_has_not_read_yet_is_not_lost_and_no_stall() {
    let work = Workdir::new();
    // More than the pipes hold; the reader begins long after the stall limit.
    let ran = work
        .shell(
            "stall-watch --stall 0.5s --sample 0.1s head -c 500000 /dev/zero | { sleep 3; wc -c; }",
        )
        .ok();
    assert_eq!(ran.stdout().trim(), "500000");
}

/// Whoever writes on after the command's end must not hold us, nor take the place of what it wrote itself.
#[test]
fn of_what_the_command_wrote_nothing_is_lost_when_another_writes_on_for_ever() {
    let work = Workdir::new();
    let script = "head -c 110000 /dev/zero; yes & exit 4";
    let ran = work
        .shell(&format!(
            "set +o pipefail; stall-watch -k 0.2s bash -c '{script}' | {{ sleep 2; tr -d 'y\\n' | wc -c; }}; \
             echo ${{PIPESTATUS[0]}}"
        ))
        .ok();
    assert_eq!(ran.stdout(), "110000\n4\n");
}

#[test]
fn what_a_background_child_writes_after_the_command_s_end_is_not_lost() {
    let work = Workdir::new();
    let ran = watched(
        &work,
        &["--stall", "20s"],
        "{ sleep 0.7; echo late; } & exit 5",
    )
    .code(5);
    assert_eq!(ran.stdout(), "late\n");
}
