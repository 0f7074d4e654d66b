use std::os::unix::process::ExitStatusExt;

use super::*;

#[test]
fn the_command_s_own_code_is_ours() {
    let work = Workdir::new();
    for code in [0, 1, 2, 3, 124, 255] {
        let ran = watched(&work, &[], &format!("exit {code}")).code(code);
        assert_eq!(ran.stderr(), "");
    }
}

#[test]
fn a_signal_that_ended_the_command_ends_us() {
    let work = Workdir::new();
    for signal in [1, 9, 11, 15] {
        let ran = watched(&work, &[], &format!("kill -{signal} $$")).run();
        assert_eq!(ran.status.signal(), Some(signal), "{}", ran.report());
        let ran = work
            .shell(&format!(
                "env --default-signal=HUP stall-watch bash -c 'kill -{signal} $$' || echo $?"
            ))
            .ok();
        assert_eq!(ran.stdout(), format!("{}\n", 128 + signal));
    }
}

#[test]
fn what_cannot_be_run_is_126_and_what_is_not_there_127() {
    let work = Workdir::new();
    let plain = work.write("plain", "x");
    for command in [plain.as_path(), work.path()] {
        work.tool("stall-watch")
            .arg(command)
            .code(126)
            .one_line(&["stall-watch: ", ": run: Permission denied"]);
    }
    work.tool("stall-watch")
        .arg("no-such-command")
        .code(127)
        .one_line(&["stall-watch: no-such-command: run: No such file or directory"]);
}

/// As execvp(3) has it, and so timeout(1).
#[test]
fn a_script_without_a_first_line_is_run_by_sh() {
    let work = Workdir::new();
    let script = work.write("plain", "echo \"$0 $*\"; exit 5\n");
    let empty = work.write("empty", "");
    for file in [&script, &empty] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(file, mode).unwrap();
    }
    let ran = work
        .tool("stall-watch")
        .args(["./plain", "a b", "c"])
        .code(5);
    assert_eq!(ran.stdout(), "./plain a b c\n");
    let path = format!("{}:/usr/bin:/bin", work.path().display());
    let ran = work
        .tool("stall-watch")
        .env("PATH", path)
        .args(["plain", "d"])
        .code(5);
    assert_eq!(ran.stdout(), format!("{} d\n", script.display()));
    work.tool("stall-watch").arg("./empty").ok();
}

#[test]
fn a_wrong_call_is_125_and_runs_nothing() {
    let work = Workdir::new();
    for flags in [
        &["--stall", "soon"][..],
        &["--signals", "luck"],
        &["--events", "absent/e"],
        &["--stall", "0"],
        &["--nonsense"],
    ] {
        let ran = watched(&work, flags, "touch ran").code(125);
        assert!(ran.stderr().lines().count() >= 1, "{}", ran.report());
    }
    work.tool("stall-watch").code(125);
    assert!(!work.join("ran").exists());
    work.tool("stall-watch").arg("--help").ok();
    let schema = work.tool("stall-watch").args(["--schema", "json"]).ok();
    assert!(schema.stdout().contains("\"event\""));
}

#[test]
fn a_stall_is_124_and_one_line_says_why() {
    let work = Workdir::new();
    watched(&work, &[], "exec sleep 1000")
        .code(124)
        .one_line(&["stall-watch: bash: stalled: no progress for "]);
}

#[test]
fn it_is_124_also_when_kill_was_needed() {
    let work = Workdir::new();
    watched(&work, &["--kill-after", "0.2s"], "trap '' TERM; sleep 1000").code(124);
}

#[test]
fn over_time_is_124_however_busy_it_is() {
    let work = Workdir::new();
    let busy = "while :; do echo; sleep 0.05; done";
    let ran = watched(&work, &["--max", "1s", "--stall", "60s"], busy).code(124);
    ran.one_line(&["over time after 1."]);
    assert!(!ran.stdout.is_empty());
}

#[test]
fn output_that_cannot_be_written_is_no_success() {
    let work = Workdir::new();
    let ran = work
        .shell("stall-watch bash -c 'trap \"\" PIPE; echo lost 2>/dev/null; exit 0' >/dev/full")
        .code(125);
    ran.one_line(&["stall-watch: stdout: write: No space left"]);
}

/// It ended with 134, as all that Rust aborts.
#[test]
fn where_there_is_no_memory_it_ends_with_its_own_code() {
    let work = Workdir::new();
    let long = "x".repeat(100_000);
    let mut failed = 0;
    for mib in 8..24 {
        let run = work.command("prlimit").arg(format!("--as={}", mib << 20));
        let run = run.args(["timeout", "-s", "KILL", "60"]);
        let run = run.arg(tool("stall-watch")).args(["--", "true"]);
        let ran = run.args(vec![&long; 14]).run();
        // With still less not even its libraries find room.
        if ran.stderr().contains("memory allocation of ") {
            assert_eq!(ran.status.code(), Some(125), "{}", ran.report());
            failed += 1;
        }
    }
    assert!(failed > 0);
}
