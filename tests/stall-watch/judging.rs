use super::*;

#[test]
fn a_silent_sleep_is_ended() {
    let work = Workdir::new();
    let ran = watched(&work, &["--events", "e"], "echo begun; sleep 1000").code(124);
    assert_eq!(ran.stdout(), "begun\n");
    let events = events(&work, "e");
    assert_eq!(
        names(&events),
        ["started", "warned", "stalled", "killed", "ended"]
    );
}

/// original.md 8.D.5: an upload that computed and said nothing was killed.
#[test]
fn a_silent_command_that_computes_is_left_alone() {
    let work = Workdir::new();
    let flags = [
        "--stall",
        "2s",
        "--cpu-min",
        "0.01s",
        "--signals",
        "output,cpu",
    ];
    let script = "end=$((SECONDS + 5)); while ((SECONDS < end)); do :; done";
    let ran = watched(&work, &flags, script).ok();
    assert_eq!(ran.stderr(), "");
}

#[test]
fn where_descriptors_are_few_what_has_none_of_them_is_seen_all_the_same() {
    // The last of many is the one that works.
    let script = "for n in {1..30}; do sleep 1000 & done
        (end=$((SECONDS + 4)); while ((SECONDS < end)); do :; done); kill $(jobs -p)";
    let inner = "ulimit -n $FEW; exec stall-watch --stall 2s --sample 0.1s --signals cpu \
        --cpu-min 0.01s -- bash -c \"$SCRIPT\"";
    // Two a process: of one of these the last is left over.
    for few in ["32", "33"] {
        let work = Workdir::new();
        let run = work.shell(inner).env("FEW", few);
        run.env("SCRIPT", script).ok();
    }
}

#[test]
fn cpu_time_below_the_least_is_no_progress() {
    let work = Workdir::new();
    let flags = ["--cpu-min", "60s", "--signals", "cpu"];
    watched(&work, &flags, "while :; do :; done").code(124);
}

/// original.md 8.D.5: half a line held up every limit.
#[test]
fn half_a_line_counts_and_holds_nothing_up() {
    let work = Workdir::new();
    let flags = ["--stall", "2s", "--signals", "output"];
    let script = "for n in {1..10}; do printf .; sleep 0.4; done; sleep 1000";
    let ran = watched(&work, &flags, script).code(124);
    assert_eq!(ran.stdout(), "..........");
}

/// original.md 8.D.5: a command that closed its stdout made the watchdog spin.
#[test]
fn a_closed_stdout_costs_no_cpu_time() {
    let work = Workdir::new();
    let script = "exec >&- 2>&-; touch closed; sleep 1000";
    let mut child = watched(&work, &["--stall", "60s"], script).spawn();
    wait_for("closed streams", DEADLINE, || {
        work.join("closed").exists().then_some(())
    });
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    let (begun, before) = (std::time::Instant::now(), ticks());
    wait_for("two seconds", DEADLINE, || {
        (begun.elapsed().as_secs() >= 2).then_some(())
    });
    let used = ticks() - before;
    // Hundredths of a second; spinning would take some two hundred.
    assert!(used < 40, "{used}");
    work.command("kill").arg(child.id().to_string()).ok();
    child.wait().unwrap();
}

/// Days of output and nothing done: output alone is no progress where units are asked for.
#[test]
fn a_chatty_loop_without_units_is_told_apart() {
    let work = Workdir::new();
    let chatty = "while :; do echo retrying; sleep 0.1; done";
    let ran = watched(&work, &["--signals", "units"], chatty).code(124);
    assert!(ran.stdout().starts_with("retrying\n"));
    // Both ways of writing to it.
    let works = "for n in 1 2 3; do
        echo work >>/dev/fd/$STALL_PROGRESS_FD; sleep 0.5
        echo discovery >&$STALL_PROGRESS_FD; sleep 0.5
    done";
    let flags = ["--signals", "units", "--stall", "2s", "--events", "e"];
    watched(&work, &flags, works).ok();
}

#[test]
fn units_reach_the_watchdog_outside_too() {
    let work = Workdir::new();
    let inner = "stall-watch --sample 0.1s bash -c 'echo work >&$STALL_PROGRESS_FD; sleep 1'";
    let ran = work
        .shell(&format!("STALL_PROGRESS_FD=7 {inner} 7>units; cat units"))
        .ok();
    assert_eq!(ran.stdout(), "work\n");
}

/// The command waits; a child of its child works.
#[test]
fn what_a_grandchild_does_counts() {
    let work = Workdir::new();
    let flags = ["--stall", "2s", "--cpu-min", "0.01s"];
    let script =
        "(bash -c 'end=$((SECONDS + 5)); while ((SECONDS < end)); do :; done'; true); true";
    watched(&work, &flags, script).ok();
}

#[test]
fn offsets_that_move_without_a_byte_read_count() {
    let work = Workdir::new();
    work.write(
        "seek.py",
        "import os,time\nfd = os.open('seek.py', os.O_RDONLY)\n\
         for n in range(10):\n    os.lseek(fd, n, os.SEEK_SET)\n    time.sleep(0.4)\n",
    );
    let seek = || {
        work.tool("stall-watch")
            .args(["--stall", "2s", "--sample", "0.1s", "--signals"])
    };
    seek().args(["io", "python3", "seek.py"]).ok();
    seek().args(["output,cpu", "python3", "seek.py"]).code(124);
}

#[test]
fn a_command_that_was_stopped_stands_still_and_can_be_ended() {
    let work = Workdir::new();
    let flags = ["--kill-after", "20s", "--events", "e"];
    watched(&work, &flags, "kill -STOP $$").code(124);
    let events = events(&work, "e");
    let killed = events
        .iter()
        .find(|event| event["event"] == "killed")
        .unwrap();
    assert_eq!(killed["action"], "TERM");
}
