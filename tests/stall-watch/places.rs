use super::*;

#[allow(clippy::print_stderr)]
/// A run with an empty folder in the place of /proc; none where that is not allowed.
fn without_proc(work: &Workdir, command: &str) -> Option<Run> {
    let hide = "mount -t tmpfs none /proc";
    let allowed = work.command("unshare").args(["-m", "sh", "-c", hide]).run();
    if !allowed.status.success() {
        eprintln!("SKIPPED: /proc cannot be hidden here: {}", allowed.stderr());
        return None;
    }
    let tool = tool("stall-watch");
    let script = format!("{hide} && exec {} {command}", tool.display());
    Some(work.command("unshare").args(["-m", "sh", "-c", &script]))
}

const SHORT: &str = "--stall 2s --sample 0.1s --kill-after 0.5s";

#[test]
fn without_proc_output_counts_and_that_is_said() {
    let work = Workdir::new();
    let talks = format!("{SHORT} -- bash -c 'for n in 1 2 3 4 5 6; do echo $n; sleep 0.5; done'");
    let Some(run) = without_proc(&work, &talks) else {
        return;
    };
    let ran = run.ok();
    assert_eq!(ran.stdout(), "1\n2\n3\n4\n5\n6\n");
    ran.one_line(&["/proc: read: it is not there; only output, units counts as progress"]);
}

#[test]
fn without_proc_a_silent_tree_is_ended_all_the_same() {
    let work = Workdir::new();
    let inner = "trap \"\" TERM; echo $$ >>pids; sleep 1000";
    let script = format!(
        "{SHORT} -- bash -c '(bash -c \"{}\" &); sleep 1000'",
        inner.replace('"', "\\\"").replace('$', "\\$")
    );
    let Some(run) = without_proc(&work, &script) else {
        return;
    };
    run.code(124);
    assert!(!lives(numbers(&work.join("pids"), 1)[0]));
}

#[test]
fn without_anything_to_tell_by_nothing_is_killed() {
    let work = Workdir::new();
    let script = "--stall 0.4s --sample 0.1s --signals cpu -- sleep 3";
    let Some(run) = without_proc(&work, script) else {
        return;
    };
    run.ok()
        .one_line(&["no sign of progress can be read; only --max ends the command"]);
}

/// Runs a command on a terminal of its own.
fn on_terminal(work: &Workdir, command: &str) -> Run {
    // What the caller ignores (nohup, `&` in a script) would be ignored on this terminal, too. Without
    // exec the caller's $SHELL may stay between them, and die of ^C.
    work.shell("env --default-signal=INT,QUIT,HUP script -qefc \"exec $COMMAND\" /dev/null")
        .env("COMMAND", command)
}

#[test]
fn a_command_on_a_terminal_has_it() {
    let work = Workdir::new();
    let command = "stall-watch --stall 20s bash -c '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && read -r x && echo got:$x'";
    let ran = on_terminal(&work, command).stdin("word\n").ok();
    assert!(ran.stdout().contains("got:word"), "{}", ran.report());
}

#[test]
fn a_stall_on_a_terminal_is_one_too() {
    let work = Workdir::new();
    let short = "--stall 1s --sample 0.1s --kill-after 1s --signals output";
    let command = format!("stall-watch {short} bash -c 'echo hi; sleep 1000 & echo $! >pid; wait'");
    on_terminal(&work, &command).code(124);
    assert!(!lives(numbers(&work.join("pid"), 1)[0]));
    let talks = "stall-watch --stall 2s --sample 0.1s --signals output \
                 bash -c 'for n in 1 2 3 4 5 6; do echo $n; sleep 0.5; done'";
    on_terminal(&work, talks).ok();
}

#[test]
fn control_c_reaches_the_command_once() {
    let work = Workdir::new();
    let inner = "trap \"echo heard >>heard\" INT; echo $$ >pids; until [ -s heard ]; do sleep 0.1; done; sleep 0.5";
    // Not bash: a signal that meets it while it begins to wait can make it signal itself for ever.
    let command = format!("stall-watch --stall 30s sh -c '{inner}'");
    let mut child = on_terminal(&work, &command).spawn();
    numbers(&work.join("pids"), 1);
    use std::io::Write;
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        std::fs::read_to_string(work.join("heard")).unwrap(),
        "heard\n"
    );
}
