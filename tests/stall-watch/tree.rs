use super::*;

/// Fifty grandchildren that ignore TERM, some in sessions of their own, some orphaned on purpose.
#[test]
fn of_fifty_grandchildren_that_ignore_term_none_is_left() {
    let work = Workdir::new();
    let script = "trap '' TERM
        for n in {1..50}; do
            case $((n % 3)) in
                0) start=setsid ;;
                *) start= ;;
            esac
            ( $start bash -c \"trap '' TERM; echo \\$\\$ >>pids; sleep 1000\" & )
        done
        wait; sleep 1000";
    let flags = ["--stall", "3s", "--kill-after", "0.5s", "--events", "e"];
    watched(&work, &flags, script).code(124);
    let pids = numbers(&work.join("pids"), 50);
    assert_eq!(pids.len(), 50);
    let left: Vec<u32> = pids.into_iter().filter(|pid| lives(*pid)).collect();
    assert_eq!(left, [0; 0]);
    let events = events(&work, "e");
    let killed = events
        .iter()
        .find(|event| event["event"] == "killed")
        .unwrap();
    assert_eq!(killed["action"], "KILL");
    assert_eq!(killed["remaining"].as_array().unwrap().len(), 0);
}

/// original.md 8.J: a pattern that meant worker 1 hit 10, 12 and an editor.
#[test]
fn a_stranger_of_the_same_name_lives_on() {
    let work = Workdir::new();
    let mut stranger = work.command("sleep").arg("1000").spawn();
    watched(&work, &[], "exec sleep 1000").code(124);
    assert!(lives(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_daemon_that_let_go_of_everything_outlives_a_command_that_ended_well() {
    let work = Workdir::new();
    let script = "setsid bash -c 'echo $$ >pid; exec sleep 1000' >&- 2>&- <&- & exit 0";
    watched(&work, &["--stall", "60s"], script).ok();
    let pid = numbers(&work.join("pid"), 1)[0];
    assert!(lives(pid));
    work.command("kill").arg(pid.to_string()).ok();
}

/// `sleep 31 & echo done` ended with 124 after half a minute, and with --restart was done twice.
#[test]
fn the_command_s_own_end_decides_whoever_holds_its_output() {
    for leaves in [
        "sleep 1000 & echo $! >pid",
        "sleep 1000 2>&1 >&- & echo $! >pid",
        "exec 5>&1 >/dev/null; sleep 1000 & echo $! >pid; exec >&5",
        "(setsid bash -c '(echo $BASHPID >pid; exec sleep 1000) & exit' & ) ; until [ -s pid ]; do :; done",
    ] {
        for code in [0, 3] {
            let work = Workdir::new();
            let script = format!("echo ran >>ran; {leaves}; echo done; exit {code}");
            let flags = ["--restart", "2", "--events", "e"];
            let ran = watched(&work, &flags, &script).code(code);
            assert_eq!(
                (ran.stdout().as_str(), ran.stderr().as_str()),
                ("done\n", "")
            );
            assert_eq!(std::fs::read_to_string(work.join("ran")).unwrap(), "ran\n");
            assert_eq!(names(&events(&work, "e")), ["started", "ended"]);
            // It is let go, as those are that hold nothing.
            let pid = numbers(&work.join("pid"), 1)[0];
            assert!(lives(pid), "{leaves}");
            work.command("kill").arg(pid.to_string()).ok();
        }
    }
}
