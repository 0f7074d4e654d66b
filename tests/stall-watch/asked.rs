use std::{os::unix::process::ExitStatusExt, process::Child};

use super::*;

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let done = std::process::Command::new("kill")
        .args(["-s", name, &pid])
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_signal_is_handed_on_and_the_command_s_answer_is_ours() {
    let work = Workdir::new();
    for name in ["TERM", "INT", "HUP", "QUIT"] {
        let pids = format!("pids-{name}");
        let script =
            format!("trap 'echo bye; exit 7' {name}; echo $$ >{pids}; while :; do sleep 0.1; done");
        let child = watched(&work, &["--stall", "60s"], &script).spawn();
        numbers(&work.join(&pids), 1);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{name}");
        assert_eq!(output.stdout, b"bye\n");
    }
}

#[test]
fn a_command_that_dies_by_it_takes_us_with_it() {
    let work = Workdir::new();
    let child = watched(&work, &["--stall", "60s"], "echo $$ >pids; exec sleep 1000").spawn();
    numbers(&work.join("pids"), 1);
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_second_signal_kills_all_of_it() {
    let work = Workdir::new();
    let script = "trap 'echo heard >>heard' TERM
        bash -c 'trap \"\" TERM; echo $$ >>pids; while :; do sleep 0.1; done' &
        echo $$ >>pids; while :; do sleep 0.1; done";
    let child = watched(&work, &["--stall", "60s", "--kill-after", "60s"], script).spawn();
    let pids = numbers(&work.join("pids"), 2);
    signal(&child, "TERM");
    wait_for("the first to be heard", DEADLINE, || {
        work.join("heard").exists().then_some(())
    });
    assert!(pids.iter().all(|pid| lives(*pid)));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(15));
    assert!(!pids.iter().any(|pid| lives(*pid)));
}

#[test]
fn what_nohup_protects_stays_protected() {
    let work = Workdir::new();
    let script = "trap '' HUP; exec stall-watch bash -c 'echo $$ >pids; sleep 2; echo done'";
    let child = work.shell(script).spawn();
    let pid = numbers(&work.join("pids"), 1)[0];
    signal(&child, "HUP");
    work.command("kill")
        .args(["-s", "HUP", &pid.to_string()])
        .ok();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(output.status.success());
}

/// The command has ended, and nobody reads what it wrote: there is none left to hand the signal on to.
#[test]
fn one_signal_is_enough_where_only_a_reader_is_waited_for() {
    let work = Workdir::new();
    let script = "echo $$ >own; exec head -c 500000 /dev/zero";
    let flags = ["--stall", "60s", "--kill-after", "0.1s"];
    let mut child = watched(&work, &flags, script).spawn();
    let own = numbers(&work.join("own"), 1)[0];
    let mut reader = child.stdout.take().unwrap();
    wait_for("the command's end", DEADLINE, || {
        // All but what fits into a pipe, so that the command ends and the rest stays.
        std::io::Read::read_exact(&mut reader, &mut [0; 1000]).unwrap();
        (!Path::new(&format!("/proc/{own}")).exists()).then_some(())
    });
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

/// It killed stall-watch, whose command lived on unwatched.
#[test]
fn usr1_is_answered_with_a_line_and_kills_nobody() {
    let work = Workdir::new();
    let script = "echo $$ >pids; printf 12345; echo work >&$STALL_PROGRESS_FD
        echo waiting 50 a friend >&$STALL_PROGRESS_FD; until [ -e go ]; do sleep 0.1; done";
    let mut child = watched(&work, &["--stall", "60s", "--quiet"], script).spawn();
    numbers(&work.join("pids"), 1);
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    wait_for("how far it is", DEADLINE, || {
        signal(&child, "USR1");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
        assert!(line.starts_with("stall-watch: bash: runs for "), "{line}");
        line.contains(
            " s, 5 bytes written, 1 units done, 0 looked at, waits on purpose: a friend\n",
        )
        .then_some(())
    });
    work.write("go", "");
    assert!(child.wait().unwrap().success());
}

#[test]
fn usr1_between_two_starts_is_answered_too() {
    let work = Workdir::new();
    let script = "[ -e again ] && exit 3; touch again; sleep 1000";
    let flags = ["--restart", "1", "--events", "e"];
    let mut child = watched(&work, &flags, script).spawn();
    wait_for("its end", DEADLINE, || {
        names(&events(&work, "e")).contains(&"ended").then_some(())
    });
    signal(&child, "USR1");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn what_came_ignored_stays_so_and_is_for_the_command_too() {
    let work = Workdir::new();
    let shown = "grep SigIgn /proc/self/status";
    let ignored = |ran: harness::run::Ran| {
        let text = ran.stdout();
        let mask = text.trim().rsplit(char::is_whitespace).next().unwrap();
        u64::from_str_radix(mask, 16).unwrap()
    };
    let signals = [1, 2, 3, 10, 15];
    let all = signals
        .iter()
        .fold(0, |mask, signal| mask | 1 << (signal - 1));
    let run = |how: &str| ignored(work.shell(&format!("env {how} stall-watch {shown}")).ok()) & all;
    assert_eq!(run("--ignore-signal=HUP,INT,QUIT,USR1,TERM"), all);
    assert_eq!(run("--default-signal=HUP,INT,QUIT,USR1,TERM"), 0);
}

/// A machine that was suspended, or a job that was stopped with ^Z: the time in between is nobody's.
#[test]
fn what_was_stopped_and_resumed_has_not_stood_still_meanwhile() {
    let work = Workdir::new();
    let script = "echo $$ >pids; read -r x <fifo; echo done";
    work.command("mkfifo").arg("fifo").ok();
    let flags = ["--stall", "3s", "--signals", "output"];
    let child = watched(&work, &flags, script).spawn();
    let command = numbers(&work.join("pids"), 1)[0].to_string();
    signal(&child, "STOP");
    work.command("kill").args(["-s", "STOP", &command]).ok();
    let begun = std::time::Instant::now();
    wait_for("longer than it may stand still", DEADLINE, || {
        (begun.elapsed().as_secs() >= 4).then_some(())
    });
    work.command("kill").args(["-s", "CONT", &command]).ok();
    signal(&child, "CONT");
    std::fs::write(work.join("fifo"), "go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"done\n");
}

#[test]
fn what_came_blocked_is_let_through_to_us_and_to_the_command() {
    let work = Workdir::new();
    let blocked = "import os, signal, sys; \
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); os.execvp(sys.argv[1], sys.argv[1:])";
    let run = || {
        let flags = ["--stall", "60s", "--sample", "60s", "--"];
        let python = work
            .command("env")
            .arg("--default-signal")
            .args(["python3", "-c", blocked]);
        python.arg(tool("stall-watch")).args(flags)
    };
    let ran = run().args(["grep", "SigBlk", "/proc/self/status"]).ok();
    assert_eq!(ran.stdout().trim(), "SigBlk:\t0000000000000000");
    let child = run()
        .args(["bash", "-c", "echo $$ >pids; exec sleep 1000"])
        .spawn();
    numbers(&work.join("pids"), 1);
    signal(&child, "TERM");
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(15));
}

/// The first process of a container cannot send itself a signal; the attempt ended it by SIGSEGV.
#[test]
fn as_the_first_process_it_ends_with_what_a_shell_makes_of_the_signal() {
    let work = Workdir::new();
    // Without setsid its process group is of the namespace outside, and has no number here.
    for (signal, code, session) in [("TERM", 143, "setsid"), ("KILL", 137, "env")] {
        let script = format!("kill -{signal} $$");
        let first = work
            .command("unshare")
            .args(["--fork", "--pid", "--mount-proc", session]);
        let run = first.arg(tool("stall-watch")).args(["bash", "-c", &script]);
        assert_eq!(run.run().status.code(), Some(code), "{signal}");
    }
}
